// SPDX-License-Identifier: MIT
#include "ppo/mlp.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fx/random.h"
#include "ppo/streams.h"

#define BETA1 0.9
#define BETA2 0.999
#define EPSILON 1e-8

static size_t layer_parameters(const struct mlp *mlp, unsigned layer)
{
	return (mlp->size[layer] + 1) * mlp->size[layer + 1];
}

static void initialize(struct mlp *mlp, double last_scale, uint64_t seed, uint64_t stream)
{
	double *parameter = mlp->parameter;
	uint32_t draw = 0;

	for (unsigned l = 0; l < mlp->layers; l++) {
		const double scale = (l + 1 == mlp->layers ? last_scale : 1) / sqrt((double)mlp->size[l]);
		const size_t weights = mlp->size[l] * mlp->size[l + 1];

		for (size_t i = 0; i < weights; i++)
			parameter[i] = scale *
				       (double)fx_random_normal(fx_random_philox(seed, STREAM_WEIGHTS, stream, draw++)) /
				       FX_ONE;
		parameter += layer_parameters(mlp, l);
	}
}

int mlp_create(struct mlp *mlp, unsigned layers, const size_t *size, double last_scale, uint64_t seed, uint64_t stream)
{
	size_t units = 0, widest = 0;
	double *memory;

	memset(mlp, 0, sizeof(*mlp));
	if (!layers || layers > MLP_MAX_LAYERS)
		return -EINVAL;
	mlp->layers = layers;
	memcpy(mlp->size, size, (layers + 1) * sizeof(*size));
	for (unsigned l = 0; l < layers; l++)
		mlp->count += layer_parameters(mlp, l);
	for (unsigned l = 0; l <= layers; l++) {
		units += size[l];
		widest = size[l] > widest ? size[l] : widest;
	}
	memory = calloc(4 * mlp->count + units + 2 * widest, sizeof(double));
	if (!memory)
		return -ENOMEM;
	mlp->parameter = memory;
	mlp->gradient = memory += mlp->count;
	mlp->moment1 = memory += mlp->count;
	mlp->moment2 = memory += mlp->count;
	memory += mlp->count;
	for (unsigned l = 0; l <= layers; l++) {
		mlp->unit[l] = memory;
		memory += size[l];
	}
	mlp->slope = memory;
	initialize(mlp, last_scale, seed, stream);
	return 0;
}

void mlp_destroy(struct mlp *mlp)
{
	free(mlp->parameter);
	memset(mlp, 0, sizeof(*mlp));
}

const double *mlp_forward(struct mlp *mlp, const double *input)
{
	const double *parameter = mlp->parameter;

	memcpy(mlp->unit[0], input, mlp->size[0] * sizeof(*input));
	for (unsigned l = 0; l < mlp->layers; l++) {
		const size_t inputs = mlp->size[l], outputs = mlp->size[l + 1];
		const double *bias = parameter + inputs * outputs;

		for (size_t n = 0; n < outputs; n++) {
			const double *weight = parameter + n * inputs;
			double sum = bias[n];

			for (size_t k = 0; k < inputs; k++)
				sum += weight[k] * mlp->unit[l][k];
			mlp->unit[l + 1][n] = l + 1 < mlp->layers ? tanh(sum) : sum;
		}
		parameter += layer_parameters(mlp, l);
	}
	return mlp->unit[mlp->layers];
}

void mlp_backward(struct mlp *mlp, const double *output_gradient)
{
	size_t widest = 0, offset = mlp->count;
	double *dy, *dx;

	for (unsigned l = 0; l <= mlp->layers; l++)
		widest = mlp->size[l] > widest ? mlp->size[l] : widest;
	dy = mlp->slope;
	dx = mlp->slope + widest;
	memcpy(dy, output_gradient, mlp->size[mlp->layers] * sizeof(*dy));
	for (unsigned l = mlp->layers; l-- > 0;) {
		const size_t inputs = mlp->size[l], outputs = mlp->size[l + 1];
		const double *weight;
		double *gradient, *swap = dy;

		offset -= layer_parameters(mlp, l);
		weight = mlp->parameter + offset;
		gradient = mlp->gradient + offset;
		memset(dx, 0, inputs * sizeof(*dx));
		for (size_t n = 0; n < outputs; n++) {
			for (size_t k = 0; k < inputs; k++) {
				gradient[n * inputs + k] += dy[n] * mlp->unit[l][k];
				dx[k] += dy[n] * weight[n * inputs + k];
			}
			gradient[inputs * outputs + n] += dy[n];
		}
		/* The input has no activation function before it, and nobody asks for its gradient. */
		for (size_t k = 0; l && k < inputs; k++)
			dx[k] *= 1 - mlp->unit[l][k] * mlp->unit[l][k];
		dy = dx;
		dx = swap;
	}
}

void mlp_clear_gradient(struct mlp *mlp)
{
	memset(mlp->gradient, 0, mlp->count * sizeof(*mlp->gradient));
}

void mlp_update(struct mlp *mlp, double rate, double largest)
{
	double length = 0, scale = 1, correction1, correction2;

	for (size_t i = 0; i < mlp->count; i++)
		length += mlp->gradient[i] * mlp->gradient[i];
	length = sqrt(length);
	if (length > largest)
		scale = largest / length;
	mlp->steps++;
	correction1 = 1 - pow(BETA1, (double)mlp->steps);
	correction2 = 1 - pow(BETA2, (double)mlp->steps);
	for (size_t i = 0; i < mlp->count; i++) {
		const double g = mlp->gradient[i] * scale;

		mlp->moment1[i] += (1 - BETA1) * (g - mlp->moment1[i]);
		mlp->moment2[i] += (1 - BETA2) * (g * g - mlp->moment2[i]);
		mlp->parameter[i] -= rate * (mlp->moment1[i] / correction1) /
				     (sqrt(mlp->moment2[i] / correction2) + EPSILON);
	}
}

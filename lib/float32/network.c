/* SPDX-License-Identifier: MIT */
/* Passes through a network, and how their work is split between threads. */
#include "float32/network.h"

/* Rough speeds, to tell what is worth sharing between threads: multiply-accumulates and updates in a nanosecond. */
#define PRODUCT_SPEED 16
#define UPDATE_SPEED 1

/* [*from, *to) = the part'th of `parts` shares of n items, each share a multiple of `grain` but for the last. */
static void share(size_t n, size_t grain, unsigned part, unsigned parts, size_t *from, size_t *to)
{
	const size_t grains = (n + grain - 1) / grain;

	*from = grains * part / parts * grain;
	*to = grains * (part + 1) / parts * grain;
	if (*from > n)
		*from = n;
	if (*to > n)
		*to = n;
}

static size_t nanoseconds(const struct f32_product *product)
{
	return product->rows * product->columns * product->depth / PRODUCT_SPEED;
}

/* By panels, so that none is packed twice, unless there are too few of them to be shared fairly. */
static void product_part(const struct f32_context *context, const struct f32_product *product, unsigned part,
			 unsigned parts)
{
	size_t row_from = 0, row_to = product->rows, column_from = 0, column_to = product->columns;

	if (product->columns >= 4 * (size_t)parts * F32_PANEL)
		share(product->columns, F32_PANEL, part, parts, &column_from, &column_to);
	else
		share(product->rows, F32_TILE_ROWS, part, parts, &row_from, &row_to);
	if (row_from < row_to && column_from < column_to)
		context->engine->product(product, row_from, row_to, column_from, column_to, context->scratch[part]);
}

struct forward_work {
	const struct f32_context *context;
	struct f32_product product;
};

static void forward_part(void *user, unsigned part, unsigned parts)
{
	const struct forward_work *work = user;

	product_part(work->context, &work->product, part, parts);
}

void f32_forward(const struct f32_context *context, struct f32_network *network, const float *parameters, size_t batch)
{
	for (uint32_t l = 0; l < network->layers; l++) {
		const struct f32_layer *layer = &network->layer[l];
		struct forward_work work = {
			.context = context,
			.product = {
				.rows = batch,
				.columns = layer->outputs,
				.depth = layer->inputs,
				.a = network->value[l],
				.a_row = f32_stride(layer->inputs),
				.a_column = 1,
				.b = parameters + layer->weight,
				.b_row = 1,
				.b_column = layer->inputs,
				.bias = parameters + layer->bias,
				.relu = l + 1 < network->layers,
				.c = network->value[l + 1],
				.c_row = f32_stride(layer->outputs),
			},
		};

		pe_pool_share(context->pool, nanoseconds(&work.product), forward_part, &work);
	}
}

/* One layer's dX, dW and db do not depend on each other, so threads meet only once per layer. */
struct backward_work {
	const struct f32_context *context;
	int with_input, with_parameters;
	struct f32_product input, weight;
	float *bias_gradient;
};

static void backward_part(void *user, unsigned part, unsigned parts)
{
	const struct backward_work *work = user;

	if (work->with_input)
		product_part(work->context, &work->input, part, parts);
	if (work->with_parameters) {
		size_t from, to;

		product_part(work->context, &work->weight, part, parts);
		share(work->weight.rows, F32_PANEL, part, parts, &from, &to);
		/* dW's A is dY transposed. */
		work->context->engine->column_sums(work->weight.depth, work->weight.a, work->weight.a_column, from, to,
						   work->bias_gradient);
	}
}

void f32_backward(const struct f32_context *context, struct f32_network *network, size_t batch, float *const dy[2],
		  int parameters, float *input_gradient, size_t first, size_t columns)
{
	unsigned current = 0;

	for (uint32_t l = network->layers; l-- > 0; current ^= 1) {
		const struct f32_layer *layer = &network->layer[l];
		const size_t inputs = f32_stride(layer->inputs), outputs = f32_stride(layer->outputs);
		struct backward_work work = {
			.context = context,
			.with_input = l > 0 || input_gradient,
			.with_parameters = parameters,
			.input = {
				.rows = batch,
				.columns = l > 0 ? layer->inputs : columns,
				.depth = layer->outputs,
				.a = dy[current],
				.a_row = outputs,
				.a_column = 1,
				.b = network->weight + layer->weight + (l > 0 ? 0 : first),
				.b_row = layer->inputs,
				.b_column = 1,
				.gate = l > 0 ? network->value[l] : NULL,
				.gate_row = inputs,
				.c = l > 0 ? dy[current ^ 1] : input_gradient,
				.c_row = l > 0 ? inputs : f32_stride(columns),
			},
			.weight = {
				.rows = layer->outputs,
				.columns = layer->inputs,
				.depth = batch,
				.a = dy[current],
				.a_row = 1,
				.a_column = outputs,
				.b = network->value[l],
				.b_row = inputs,
				.b_column = 1,
				.c = network->gradient + layer->weight,
				.c_row = layer->inputs,
			},
			.bias_gradient = network->gradient + layer->bias,
		};
		const size_t cost =
			(work.with_input ? nanoseconds(&work.input) : 0) + (parameters ? nanoseconds(&work.weight) : 0);

		if (work.with_input || parameters)
			pe_pool_share(context->pool, cost, backward_part, &work);
	}
}

struct update_work {
	const struct f32_context *context;
	struct f32_network *network;
	const struct f32_adam *constants;
	float tau;
};

static void adam_part(void *user, unsigned part, unsigned parts)
{
	const struct update_work *work = user;
	struct f32_network *network = work->network;
	size_t from, to;

	share(network->size, F32_PANEL, part, parts, &from, &to);
	work->context->engine->adam(to - from, network->gradient + from, network->moment1 + from,
				    network->moment2 + from, network->weight + from, work->constants);
}

void f32_adam_update(const struct f32_context *context, struct f32_network *network, const struct f32_adam *constants)
{
	struct update_work work = { .context = context, .network = network, .constants = constants };

	pe_pool_share(context->pool, network->size / UPDATE_SPEED, adam_part, &work);
}

static void soft_update_part(void *user, unsigned part, unsigned parts)
{
	const struct update_work *work = user;
	struct f32_network *network = work->network;
	size_t from, to;

	share(network->size, F32_PANEL, part, parts, &from, &to);
	work->context->engine->soft_update(to - from, network->weight + from, network->target + from, work->tau);
}

void f32_soft_update(const struct f32_context *context, struct f32_network *network, float tau)
{
	struct update_work work = { .context = context, .network = network, .tau = tau };

	pe_pool_share(context->pool, network->size / UPDATE_SPEED, soft_update_part, &work);
}

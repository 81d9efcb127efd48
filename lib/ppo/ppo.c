// SPDX-License-Identifier: MIT
#include "ppo/ppo.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fx/random.h"
#include "ppo/mlp.h"
#include "ppo/streams.h"

/* A first policy is close to uniform, a first value close to 0. */
#define FIRST_POLICY 0.01
#define FIRST_VALUE 1.0

struct ppo {
	struct ppo_options options;
	struct mlp policy, value;
	double *logit, *logit_gradient, *output_gradient, *probability;
	double *first;	/* logits of the first policy */
	double *spread; /* actions x actions: logit = spread x output; symmetric */
	uint64_t actions_drawn, epochs_done;

	/* Steps kept: one row each. */
	size_t steps, capacity;
	double *observation;
	size_t *action;
	double *log_probability, *value_then, *reward;
	unsigned char *end;
	double *advantage, *target; /* of an update */
	size_t *order;
};

static void free_steps(struct ppo *ppo)
{
	free(ppo->observation);
	free(ppo->action);
	free(ppo->log_probability);
	free(ppo->value_then);
	free(ppo->reward);
	free(ppo->end);
	free(ppo->advantage);
	free(ppo->target);
	free(ppo->order);
}

void ppo_destroy(struct ppo *ppo)
{
	if (!ppo)
		return;
	mlp_destroy(&ppo->policy);
	mlp_destroy(&ppo->value);
	free(ppo->logit);
	free(ppo->logit_gradient);
	free(ppo->output_gradient);
	free(ppo->first);
	free(ppo->spread);
	free(ppo->probability);
	free_steps(ppo);
	free(ppo);
}

static int enlarge(void **memory, size_t count, size_t size)
{
	void *larger = reallocarray(*memory, count, size);

	if (!larger)
		return -ENOMEM;
	*memory = larger;
	return 0;
}

/* Room for one more step; what is there stays valid when memory is out. */
static int reserve(struct ppo *ppo)
{
	const size_t capacity = ppo->capacity ? 2 * ppo->capacity : 64;

	if (ppo->steps < ppo->capacity)
		return 0;
	if (enlarge((void **)&ppo->observation, capacity * ppo->options.observations, sizeof(double)) ||
	    enlarge((void **)&ppo->action, capacity, sizeof(*ppo->action)) ||
	    enlarge((void **)&ppo->log_probability, capacity, sizeof(double)) ||
	    enlarge((void **)&ppo->value_then, capacity, sizeof(double)) ||
	    enlarge((void **)&ppo->reward, capacity, sizeof(double)) ||
	    enlarge((void **)&ppo->end, capacity, sizeof(*ppo->end)) ||
	    enlarge((void **)&ppo->advantage, capacity, sizeof(double)) ||
	    enlarge((void **)&ppo->target, capacity, sizeof(double)) ||
	    enlarge((void **)&ppo->order, capacity, sizeof(*ppo->order)))
		return -ENOMEM;
	ppo->capacity = capacity;
	return 0;
}

static int options_valid(const struct ppo_options *o)
{
	return o->observations && o->actions && o->hidden[0] && o->hidden[1] && o->rate > 0 && o->clip > 0 &&
	       o->clip < 1 && o->discount >= 0 && o->discount <= 1 && o->lambda >= 0 && o->lambda <= 1 &&
	       o->entropy >= 0 && o->neighbours >= 0 && o->first_deviation >= 0 && o->largest_gradient > 0 && o->epochs && o->minibatch;
}

static void first_policy(struct ppo *ppo)
{
	const double deviation = ppo->options.first_deviation;

	for (size_t i = 0; i < ppo->options.actions && deviation > 0; i++) {
		const double distance = ((double)i - ppo->options.first_action) / deviation;

		ppo->first[i] = -distance * distance / 2;
	}
}

static void spread(struct ppo *ppo)
{
	const size_t n = ppo->options.actions;
	const double deviation = ppo->options.neighbours;

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			const double distance = (double)i - (double)j;

			ppo->spread[i * n + j] = i == j	       ? 1 :
						 deviation > 0 ? exp(-distance * distance / (2 * deviation * deviation)) :
								 0;
		}
	}
}

int ppo_create(const struct ppo_options *options, struct ppo **created)
{
	struct ppo *ppo;
	int error = -ENOMEM;

	*created = NULL;
	if (!options_valid(options))
		return -EINVAL;
	ppo = calloc(1, sizeof(*ppo));
	if (!ppo)
		return -ENOMEM;
	ppo->options = *options;
	ppo->logit = calloc(options->actions, sizeof(double));
	ppo->logit_gradient = calloc(options->actions, sizeof(double));
	ppo->output_gradient = calloc(options->actions, sizeof(double));
	ppo->probability = calloc(options->actions, sizeof(double));
	ppo->first = calloc(options->actions, sizeof(double));
	ppo->spread = calloc(options->actions, options->actions * sizeof(double));
	if (!ppo->logit || !ppo->logit_gradient || !ppo->output_gradient || !ppo->probability || !ppo->first ||
	    !ppo->spread || reserve(ppo))
		goto failed;
	first_policy(ppo);
	spread(ppo);
	error = mlp_create(&ppo->policy, 3,
			   (size_t[]){ options->observations, options->hidden[0], options->hidden[1], options->actions },
			   FIRST_POLICY, options->seed, 0);
	if (!error)
		error = mlp_create(&ppo->value, 3,
				   (size_t[]){ options->observations, options->hidden[0], options->hidden[1], 1 },
				   FIRST_VALUE, options->seed, 1);
	if (error)
		goto failed;
	*created = ppo;
	return 0;

failed:
	ppo_destroy(ppo);
	return error;
}

/* ---- The policy ---- */

/* Softmax, without overflow; returns the logarithm of the sum of exponentials. */
static double softmax(size_t n, const double *logits, double *probability)
{
	double largest = logits[0], sum = 0;

	for (size_t i = 1; i < n; i++)
		largest = fmax(largest, logits[i]);
	for (size_t i = 0; i < n; i++)
		sum += probability[i] = exp(logits[i] - largest);
	for (size_t i = 0; i < n; i++)
		probability[i] /= sum;
	return largest + log(sum);
}

/* to = spread x from; the matrix is symmetric, so this is also how derivatives go back. */
static void apply_spread(const struct ppo *ppo, const double *from, double *to)
{
	const size_t n = ppo->options.actions;

	for (size_t i = 0; i < n; i++) {
		to[i] = 0;
		for (size_t j = 0; j < n; j++)
			to[i] += ppo->spread[i * n + j] * from[j];
	}
}

static const double *logits_of(struct ppo *ppo, const double *observation)
{
	apply_spread(ppo, mlp_forward(&ppo->policy, observation), ppo->logit);
	for (size_t i = 0; i < ppo->options.actions; i++)
		ppo->logit[i] += ppo->first[i];
	return ppo->logit;
}

void ppo_probabilities(struct ppo *ppo, const double *observation, double *probability)
{
	softmax(ppo->options.actions, logits_of(ppo, observation), probability);
}

size_t ppo_best(struct ppo *ppo, const double *observation)
{
	const double *logits = logits_of(ppo, observation);
	size_t best = 0;

	for (size_t i = 1; i < ppo->options.actions; i++)
		if (logits[i] > logits[best])
			best = i;
	return best;
}

double ppo_value(struct ppo *ppo, const double *observation)
{
	return mlp_forward(&ppo->value, observation)[0];
}

void ppo_set_entropy(struct ppo *ppo, double entropy)
{
	ppo->options.entropy = entropy;
}

size_t ppo_steps(const struct ppo *ppo)
{
	return ppo->steps;
}

size_t ppo_act(struct ppo *ppo, const double *observation)
{
	const size_t actions = ppo->options.actions, step = ppo->steps;
	const double *logits = logits_of(ppo, observation);
	const double normalizer = softmax(actions, logits, ppo->probability);
	double left = (fx_random_word(ppo->options.seed, STREAM_ACTION, ppo->actions_drawn++, 0) + 0.5) * 0x1p-32;
	size_t action = 0;

	/* What rounding leaves goes to the last action. */
	while (action + 1 < actions && left >= ppo->probability[action])
		left -= ppo->probability[action++];
	memcpy(ppo->observation + step * ppo->options.observations, observation,
	       ppo->options.observations * sizeof(*observation));
	ppo->action[step] = action;
	ppo->log_probability[step] = logits[action] - normalizer;
	ppo->value_then[step] = ppo_value(ppo, observation);
	return action;
}

int ppo_reward(struct ppo *ppo, double reward, int end)
{
	ppo->reward[ppo->steps] = reward;
	ppo->end[ppo->steps] = end != 0;
	ppo->steps++;
	return reserve(ppo);
}

/* ---- Learning ---- */

void ppo_advantages(size_t n, const double *reward, const double *value, const unsigned char *end, double discount,
		    double lambda, double *advantage, double *target)
{
	double next_advantage = 0, next_value = 0;

	for (size_t i = n; i-- > 0;) {
		if (end[i])
			next_advantage = next_value = 0;
		next_advantage = reward[i] + discount * next_value - value[i] + discount * lambda * next_advantage;
		next_value = value[i];
		advantage[i] = next_advantage;
		target[i] = next_advantage + value[i];
	}
}

double ppo_step_loss(size_t actions, const double *logits, size_t action, double old_log_probability, double advantage,
		     double clip, double entropy_weight, double *gradient, double *entropy, int *clipped)
{
	/* `gradient` holds the probabilities first. */
	const double normalizer = softmax(actions, logits, gradient);
	const double ratio = exp(logits[action] - normalizer - old_log_probability);
	const double limited = fmin(fmax(ratio, 1 - clip), 1 + clip);
	/* The smaller of the two counts; where that is the limited one, it does not depend on the logits. */
	const double slope = ratio * advantage <= limited * advantage ? ratio * advantage : 0;

	*clipped = limited != ratio;
	*entropy = 0;
	for (size_t i = 0; i < actions; i++)
		*entropy -= gradient[i] * (logits[i] - normalizer);
	for (size_t i = 0; i < actions; i++) {
		const double p = gradient[i];

		gradient[i] = -slope * ((i == action) - p) + entropy_weight * p * (logits[i] - normalizer + *entropy);
	}
	return -fmin(ratio * advantage, limited * advantage) - entropy_weight * *entropy;
}

static void normalize(size_t n, double *values)
{
	double mean = 0, variance = 0;

	for (size_t i = 0; i < n; i++)
		mean += values[i];
	mean /= (double)n;
	for (size_t i = 0; i < n; i++)
		variance += (values[i] - mean) * (values[i] - mean);
	variance /= (double)n;
	for (size_t i = 0; i < n; i++)
		values[i] = (values[i] - mean) / (sqrt(variance) + 1e-8);
}

static void shuffle(struct ppo *ppo)
{
	const uint64_t epoch = ppo->epochs_done++;

	for (size_t i = 0; i < ppo->steps; i++)
		ppo->order[i] = i;
	for (size_t i = ppo->steps; i-- > 1;) {
		const size_t j = fx_random_below(fx_random_word(ppo->options.seed, STREAM_SHUFFLE, epoch, (uint32_t)i),
						 (uint32_t)i + 1);
		const size_t swap = ppo->order[i];

		ppo->order[i] = ppo->order[j];
		ppo->order[j] = swap;
	}
}

static void learn_minibatch(struct ppo *ppo, const size_t *order, size_t n, struct ppo_statistics *sum)
{
	const struct ppo_options *o = &ppo->options;

	mlp_clear_gradient(&ppo->policy);
	mlp_clear_gradient(&ppo->value);
	for (size_t i = 0; i < n; i++) {
		const size_t step = order[i];
		const double *observation = ppo->observation + step * o->observations;
		const double *logits = logits_of(ppo, observation);
		double entropy, difference;
		int clipped;

		sum->policy_loss += ppo_step_loss(o->actions, logits, ppo->action[step], ppo->log_probability[step],
						  ppo->advantage[step], o->clip, o->entropy, ppo->logit_gradient,
						  &entropy, &clipped);
		for (size_t a = 0; a < o->actions; a++)
			ppo->logit_gradient[a] /= (double)n;
		apply_spread(ppo, ppo->logit_gradient, ppo->output_gradient);
		mlp_backward(&ppo->policy, ppo->output_gradient);
		difference = ppo_value(ppo, observation) - ppo->target[step];
		mlp_backward(&ppo->value, &(double){ difference / (double)n });
		sum->value_loss += 0.5 * difference * difference;
		sum->entropy += entropy;
		sum->clipped += clipped;
	}
	mlp_update(&ppo->policy, o->rate, o->largest_gradient);
	mlp_update(&ppo->value, o->rate, o->largest_gradient);
}

int ppo_update(struct ppo *ppo, struct ppo_statistics *statistics)
{
	const struct ppo_options *o = &ppo->options;
	const double all = (double)ppo->steps * o->epochs;
	struct ppo_statistics sum = { 0 }, last = { 0 };

	if (!ppo->steps || !ppo->end[ppo->steps - 1])
		return -EINVAL;
	ppo_advantages(ppo->steps, ppo->reward, ppo->value_then, ppo->end, o->discount, o->lambda, ppo->advantage,
		       ppo->target);
	normalize(ppo->steps, ppo->advantage);
	for (unsigned epoch = 0; epoch < o->epochs; epoch++) {
		shuffle(ppo);
		last.clipped = -sum.clipped;
		for (size_t from = 0; from < ppo->steps; from += o->minibatch) {
			const size_t left = ppo->steps - from;

			learn_minibatch(ppo, ppo->order + from, left < o->minibatch ? left : o->minibatch, &sum);
		}
		last.clipped += sum.clipped;
	}
	if (statistics)
		*statistics = (struct ppo_statistics){
			.policy_loss = sum.policy_loss / all,
			.value_loss = sum.value_loss / all,
			.entropy = sum.entropy / all,
			.clipped = last.clipped / (double)ppo->steps,
		};
	ppo->steps = 0;
	return 0;
}

// SPDX-License-Identifier: MIT
/*
 * Description: what the host computes (conversions, hyperparameters, draws, choice of fractions) gives the reference's
 * bits
 */
#include "fx/fixed.h"
#include "golden.h"

#include <math.h>

#include <fixar/fixar.h>

#include "ddpg/edge.h"
#include "fx/random.h"
#include "qat/policy.h"

typedef int (*row_check)(const struct golden_table *table, const struct golden_row *row);

static double double_of(int64_t bits)
{
	double x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static int64_t bits_of(double x)
{
	int64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static int check_to_fixed(const struct golden_table *table, const struct golden_row *row)
{
	uint64_t count = 0;
	uint32_t bits;
	float single;

	if (edge_single(ldexp(double_of(row->in[0]), (int)row->in[1]), &single)) {
		ktap_note("to_fixed.txt line %u: refused", row->line);
		return 0;
	}
	memcpy(&bits, &single, sizeof(bits));
	return golden_same(table, row, 0, bits) && golden_same(table, row, 1, edge_fixed((double)single, &count)) &&
	       golden_same(table, row, 2, (int64_t)count);
}

static int check_environment_action(const struct golden_table *table, const struct golden_row *row)
{
	const double low = double_of(row->in[1]), high = double_of(row->in[2]);

	return golden_same(table, row, 0, bits_of(edge_action((int32_t)row->in[0], low, high)));
}

static int check_warm_up(const struct golden_table *table, const struct golden_row *row)
{
	const uint64_t seed = (uint64_t)row->in[0], step = (uint64_t)row->in[1];
	const uint32_t j = (uint32_t)row->in[2];

	return golden_same(table, row, 0, fx_random_word(seed, FX_RANDOM_WARM_UP, step, j)) &&
	       golden_same(table, row, 1, edge_warm_up(seed, step, j));
}

static int check_draw(const struct golden_table *table, const struct golden_row *row)
{
	const uint32_t word =
		fx_random_word((uint64_t)row->in[0], FX_RANDOM_REPLAY, (uint64_t)row->in[1], (uint32_t)row->in[2]);

	return golden_same(table, row, 0, word) &&
	       golden_same(table, row, 1, fx_random_below(word, (uint32_t)row->in[3]));
}

static int check_range_fraction(const struct golden_table *table, const struct golden_row *row)
{
	const struct step_range range = { (int32_t)row->in[0], (int32_t)row->in[1] };

	return golden_same(
		table, row, 0,
		qat_fraction(&range, (int32_t)row->in[2], (int32_t)row->in[3], (int)row->in[5], (int32_t)row->in[4]));
}

/* One of them is the row's, the others have their defaults. */
static int check_hyperparameters(const struct golden_table *table, const struct golden_row *row)
{
	const double x = strtod(row->word[1], NULL);
	const char *name = row->word[0];
	struct edge_complaint complaint;
	struct step_hyperparameters hyper;
	struct fixar_agent_options options = FIXAR_AGENT_OPTIONS_INIT;

	if (!strcmp(name, "sigma") || !strcmp(name, "theta"))
		return golden_same(table, row, 0, (int64_t)edge_fraction(x, FX_NOISE));
	if (!strcmp(name, "discount"))
		options.discount = x;
	else if (!strcmp(name, "tau"))
		options.tau = x;
	else if (!strcmp(name, "beta1"))
		options.beta1 = x;
	else if (!strcmp(name, "beta2"))
		options.beta2 = x;
	else if (!strcmp(name, "learning_rate"))
		options.actor_rate = options.critic_rate = x;
	else
		return 0;
	if (edge_hyperparameters(&options, &hyper, &complaint)) {
		ktap_note("hyperparameters.txt line %u: %s was refused, expected %s", row->line, complaint.name,
			  complaint.expected);
		return 0;
	}
	if (!strcmp(name, "discount"))
		return golden_same(table, row, 0, hyper.discount);
	if (!strcmp(name, "tau"))
		return golden_same(table, row, 0, hyper.tau);
	if (!strcmp(name, "beta1"))
		return golden_same(table, row, 0, hyper.beta1);
	if (!strcmp(name, "beta2"))
		return golden_same(table, row, 0, hyper.one_minus_beta2);
	for (int n = 0; n < STEP_NETWORKS; n++)
		if (!golden_same(table, row, 0, hyper.rate_mantissa[n]) ||
		    !golden_same(table, row, 1, hyper.rate_exponent[n]))
			return 0;
	return 1;
}

static void run_rows(const char *name, row_check check)
{
	struct golden_table table;
	int passed = golden_load(name, &table);

	for (size_t i = 0; passed && i < table.count; i++)
		passed = check(&table, &table.row[i]);
	if (table.count)
		ktap_ok(passed, "%s, %zu rows", name, table.count);
	golden_free(&table);
}

int main(int argc, char **argv)
{
	golden_find(argc, argv);
	ktap_start();
	run_rows("to_fixed", check_to_fixed);
	run_rows("environment_action", check_environment_action);
	run_rows("warm_up", check_warm_up);
	run_rows("draw", check_draw);
	run_rows("range_fraction", check_range_fraction);
	run_rows("hyperparameters", check_hyperparameters);
	return ktap_finish();
}

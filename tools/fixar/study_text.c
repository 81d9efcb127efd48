// SPDX-License-Identifier: MIT
/* results.md: what a person reads. */
#include <math.h>

#include "study_report.h"

/* A number for a table; a dash where there is none. */
static const char *cell(double value, const char *format, char *buffer)
{
	if (isnan(value))
		return "-";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(buffer, CLI_TEXT, format, value);
#pragma GCC diagnostic pop
	return buffer;
}

static const char *verdict(const struct study_comparison *comparison, double margin)
{
	if (isnan(margin))
		return "no margin given";
	if (isnan(comparison->bound))
		return "too few pairs";
	return comparison->non_inferior ? "not inferior" : "not shown";
}

static void write_arms(const struct study_summary *summary, size_t e, FILE *file)
{
	const struct study *study = summary->study;
	double margin = study->environments[e].margin;
	char a[CLI_TEXT], b[CLI_TEXT], c[CLI_TEXT], d[CLI_TEXT];

	fprintf(file, "| Precision | Seeds finished | Mean return over seeds | Deviation | Array cycles, 10^9 | Steps/s |\n"
		      "| --- | --- | --- | --- | --- | --- |\n");
	for (size_t p = 0; p < study->arm_count; p++) {
		const struct study_outcome *arm = summary_outcome(summary, e, p);

		fprintf(file, "| %s | %zu of %llu | %s | %s | %s | %s |\n", study->arms[p].name,
			arm->finished, (unsigned long long)study->seeds, cell(arm->mean, "%.1f", a),
			cell(arm->deviation, "%.1f", b), cell(arm->array_cycles / 1e9, "%.2f", d),
			cell(arm->steps_per_second, "%.0f", c));
	}
	for (size_t i = 0; i < json_array_size(study->environments[e].published); i++) {
		json_t *entry = json_array_get(study->environments[e].published, i);

		fprintf(file, "| published: %s | | %.10g | | | |\n", json_string_value(json_object_get(entry, "label")),
			json_number_value(json_object_get(entry, "return")));
	}
	if (study->arm_count < 2)
		return;
	fprintf(file,
		"\nDifferences to %s, seed by seed, on the same start states:\n\n"
		"| Precision | Pairs | Mean difference | Deviation | Lower bound (%g %%, one-sided) | Margin | p | "
		"Verdict |\n"
		"| --- | --- | --- | --- | --- | --- | --- | --- |\n",
		study->arms[study->reference].name, 100 * study->confidence);
	for (size_t p = 0; p < study->arm_count; p++) {
		const struct study_comparison *comparison = &summary_outcome(summary, e, p)->comparison;
		char f[CLI_TEXT];

		if (p == study->reference)
			continue;
		fprintf(file, "| %s | %zu | %s | %s | %s | %s | %s | %s |\n",
			study->arms[p].name, comparison->pairs,
			cell(comparison->pairs ? comparison->mean : (double)NAN, "%+.1f", a),
			cell(comparison->pairs ? comparison->deviation : (double)NAN, "%.1f", b),
			cell(comparison->bound, "%+.1f", c), cell(margin, "%g", d),
			cell(comparison->p_value, "%.2g", f), verdict(comparison, margin));
	}
}

static void write_saturations(const struct study_result *result, FILE *file)
{
	const char *separator = "";

	for (unsigned i = 0; i < FIXAR_SATURATIONS; i++) {
		char number[CLI_TEXT];

		if (!result->saturation[i])
			continue;
		fprintf(file, "%s%s %s", separator, fixar_saturation_name(i), cli_group(result->saturation[i], number));
		separator = ", ";
	}
	fprintf(file, "%s", *separator ? "" : "none");
}

static void write_runs(const struct study_summary *summary, size_t e, FILE *file)
{
	const struct study *study = summary->study;

	fprintf(file,
		"\n| Run | State | Return (%llu episodes) | Deviation | Critic loss, last tenth | Largest weight | "
		"Saturations | Switches | Array cycles, 10^9 | Steps/s |\n"
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
		(unsigned long long)study->evaluation_episodes);
	for (size_t i = 0; i < summary->run_count; i++) {
		const struct study_run *run = &summary->runs[i];
		const struct study_result *result = &summary->results[i];
		char a[CLI_TEXT], b[CLI_TEXT], c[CLI_TEXT], d[CLI_TEXT], speed[CLI_TEXT], steps[CLI_TEXT];

		if (run->environment != e)
			continue;
		fprintf(file, "| %s, seed %llu | %s", study->arms[run->arm].name,
			(unsigned long long)run->seed, study_state_name(result->state));
		if (result->state == STUDY_UNFINISHED)
			fprintf(file, " (%s steps)", cli_group(result->environment_steps, steps));
		fprintf(file, " | %s | %s | %s | %s | ", cell(result->mean_return, "%.1f", a),
			cell(result->std_return, "%.1f", b), cell(result->critic_loss, "%.3g", c),
			cell(result->largest_weight, "%.2f", d));
		if (result->state == STUDY_FINISHED)
			write_saturations(result, file);
		else
			fputc('-', file);
		if (result->state == STUDY_FINISHED)
			fprintf(file, " | %llu", (unsigned long long)result->switches);
		else
			fprintf(file, " | -");
		fprintf(file, " | %s | %s |\n",
			cell(result->array_cycles ? (double)result->array_cycles / 1e9 : (double)NAN, "%.2f", a),
			cell(result->steps_per_second, "%.0f", speed));
	}
}

static void write_sources(const struct study_environment *environment, FILE *file)
{
	for (size_t i = 0; i < json_array_size(environment->published); i++) {
		json_t *entry = json_array_get(environment->published, i);

		fprintf(file, "%s%s: %s.\n", i ? "" : "\nPublished figures. ",
			json_string_value(json_object_get(entry, "label")),
			json_string_value(json_object_get(entry, "source")));
	}
}

void study_write_text(const struct study_summary *summary, FILE *file)
{
	const struct study *study = summary->study;

	fprintf(file, "# %s\n\n", study->title ? study->title : study->name);
	if (study->note)
		fprintf(file, "%s\n\n", study->note);
	fprintf(file,
		"%zu of %zu runs finished.%s Seeds 0 to %llu; final policies evaluated without exploration on %llu "
		"episodes, "
		"the same start states for all precisions of a seed.\n",
		summary->finished, summary->run_count,
		summary->finished == summary->run_count ? "" : " **The study is not complete.**",
		(unsigned long long)study->seeds - 1, (unsigned long long)study->evaluation_episodes);
	for (size_t e = 0; e < study->environment_count; e++) {
		const struct study_environment *environment = &study->environments[e];
		const struct setting *hidden = settings_find("hidden");
		char layers[SETTINGS_TEXT], steps[CLI_TEXT], delay[CLI_TEXT];

		hidden->format(hidden, &environment->settings, layers);
		fprintf(file,
			"\n## %s\n\n%s steps, batch %u, hidden layers %s, quantization delay of qat16 %s steps.\n\n",
			environment->label, cli_group(environment->settings.steps, steps),
			environment->settings.agent.batch, layers, cli_group(environment->settings.agent.delay, delay));
		write_arms(summary, e, file);
		write_sources(environment, file);
		write_runs(summary, e, file);
	}
}

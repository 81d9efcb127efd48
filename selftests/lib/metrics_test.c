// SPDX-License-Identifier: MIT
/*
 * Description: metrics.csv and the event file hold what was added, a resumed run cuts them back to its checkpoint and
 * ends with the rows of an undisturbed one, and no error leaves half a row.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/crc32c.h"
#include "faults.h"
#include "ktap.h"
#include "metrics/metrics.h"
#include "scratch.h"

static char message[1024];

/* A test of what went wrong; the message, which names a folder of this run alone, is no part of the test's name. */
#define says(passed, ...) (ktap_ok((passed), __VA_ARGS__), ktap_note("%s", message))

static const char *const columns[] = { "episode", "train/return", "critic_loss" };
#define COLUMNS 3
#define HEADER "step,episode,train/return,critic_loss\n"

static struct metrics *open_metrics(const char *folder, uint64_t step)
{
	struct metrics *metrics;

	if (metrics_open(folder, columns, COLUMNS, step, &metrics, message, sizeof(message)))
		return NULL;
	return metrics;
}

static int add(struct metrics *metrics, uint64_t step)
{
	const double values[COLUMNS] = { (double)step / 200, step % 200 ? NAN : -(double)step * 1.1,
					 1.0 / (double)(step + 3) };

	return metrics_add(metrics, step, values, message, sizeof(message));
}

/* The rows of the steps from, from + 50 ... to. */
static int add_range(struct metrics *metrics, uint64_t from, uint64_t to)
{
	int error = 0;

	for (uint64_t step = from; step <= to && !error; step += 50)
		error = add(metrics, step);
	return error;
}

/* The path of the event file of a folder, the last one if there are several; "" if there is none. */
static const char *event_file(const char *folder)
{
	static char path[1400];
	struct dirent *entry;
	DIR *names = opendir(folder);

	*path = 0;
	while (names && (entry = readdir(names)))
		if (!strncmp(entry->d_name, "events.out.tfevents.", 20)) {
			char found[1400];

			snprintf(found, sizeof(found), "%s/%s", folder, entry->d_name);
			if (strcmp(found, path) > 0)
				memcpy(path, found, sizeof(path));
		}
	if (names)
		closedir(names);
	return path;
}

/* ---- What is written ---- */

static void test_csv(void)
{
	const double rows[][COLUMNS] = {
		{ 0.1, NAN, 1e-300 }, { 1.0 / 3, -INFINITY, 0 }, { NAN, NAN, NAN }, { -0.0, 1e21, 2 }
	};
	static const char expected[] =
		HEADER "0,0.1,,1e-300\n50,0.3333333333333333,-inf,0\n50,,,\n18446744073,-0,1e+21,2\n";
	const uint64_t steps[] = { 0, 50, 50, 18446744073 };
	const char *folder = scratch_folder("csv");
	struct metrics *metrics = open_metrics(folder, METRICS_NEW);
	int error = 0, status = -1;
	size_t size;
	char *text;

	for (size_t i = 0; i < 4; i++)
		error |= metrics_add(metrics, steps[i], rows[i], message, sizeof(message));
	ktap_ok(!error, "rows are added");
	text = read_whole(in_scratch("csv/" METRICS_CSV), &size);
	ktap_ok(text && !strcmp(text, expected), "a row is in the file at once, with numbers as short as they can be");
	free(text);
	says(metrics_add(metrics, 49, rows[0], message, sizeof(message)) == -EINVAL, "a step back is refused");
	ktap_ok(!metrics_flush(metrics, message, sizeof(message)), "flush");
	metrics_close(metrics);
	text = read_by_python("events", event_file(folder), &status);
	if (!text) {
		ktap_skip("the independent reader agrees on the event file", "no python3");
		return;
	}
	/* A row without a value is no event. */
	ktap_ok(!status && !strcmp(text, "step 0 version brain.Event:2\n"
					 "step 0 episode=0.1 critic_loss=0\n"
					 "step 50 episode=0.333333 train/return=-inf critic_loss=0\n"
					 "step 18446744073 episode=-0 train/return=1e+21 critic_loss=2\n"),
		"the independent reader agrees on the event file");
	free(text);
}

/* ---- A locale with another decimal point, whether or not one is installed here ---- */

static const char *decimal_point;

int snprintf(char *text, size_t size, const char *format, ...)
{
	va_list arguments;
	char *dot;
	int used;

	va_start(arguments, format);
	used = vsnprintf(text, size, format, arguments);
	va_end(arguments);
	dot = decimal_point && !strcmp(format, "%.*g") ? strchr(text, '.') : NULL;
	if (dot) {
		memmove(dot + strlen(decimal_point), dot + 1, strlen(dot));
		memcpy(dot, decimal_point, strlen(decimal_point));
		used += (int)strlen(decimal_point) - 1;
	}
	return used;
}

static void test_locale(void)
{
	static const char *const points[] = { ",", "\xd9\xab" };

	for (size_t i = 0; i < 2; i++) {
		struct metrics *metrics = open_metrics(scratch_folder("locale"), METRICS_NEW);
		size_t size;
		char *text;

		decimal_point = points[i];
		metrics_add(metrics, 1, (const double[]){ 0.5, 1, -2.25 }, message, sizeof(message));
		decimal_point = NULL;
		metrics_close(metrics);
		text = read_whole(in_scratch("locale/" METRICS_CSV), &size);
		ktap_ok(!strcmp(text, HEADER "1,0.5,1,-2.25\n"), "a decimal point is a dot in a locale with '%s'",
			points[i]);
		free(text);
	}
}

static void test_names(void)
{
	static const char *const bad[] = { "a,b", "", "a b", "a\n", "\xc3\xbc" };
	const char *folder = scratch_folder("names");
	struct metrics *metrics;
	int refused = 1;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused &= metrics_open(folder, &bad[i], 1, METRICS_NEW, &metrics, message, sizeof(message)) == -EINVAL;
	says(refused, "column names that would break a file are refused");
	says(metrics_open(folder, columns, 0, METRICS_NEW, &metrics, message, sizeof(message)) == -EINVAL, "no column");
}

/* ---- Resuming ---- */

/* A whole run, for comparison. */
static char *undisturbed(uint64_t to)
{
	const char *folder = scratch_folder("undisturbed");
	struct metrics *metrics = open_metrics(folder, METRICS_NEW);
	size_t size;

	add_range(metrics, 50, to);
	metrics_close(metrics);
	return read_whole(in_scratch("undisturbed/" METRICS_CSV), &size);
}

/* An event file but for its times: the only bytes that differ between runs. */
static char *events_text(const char *path)
{
	int status = -1;
	char *text = read_by_python("events", path, &status);

	if (text && status)
		ktap_note("%s", text);
	return text;
}

static void test_resume(void)
{
	const char *folder = scratch_folder("resume"), *csv = in_scratch("resume/" METRICS_CSV);
	char *expected = undisturbed(2000), *expected_events = events_text(event_file(in_scratch("undisturbed")));
	struct metrics *metrics = open_metrics(folder, METRICS_NEW);
	char *found, *found_events;
	size_t size, names = 0;
	DIR *entries;

	add_range(metrics, 50, 730);
	metrics_close(metrics);
	says(!open_metrics(folder, METRICS_NEW) && strstr(message, csv),
	     "a new run does not write over another one's metrics");
	metrics = open_metrics(folder, 500);
	ktap_ok(metrics && !*message, "a resume says nothing if there is nothing to say");
	says(add(metrics, 450) == -EINVAL, "a row before the checkpoint is refused");
	add_range(metrics, 550, 1200);
	metrics_close(metrics);
	metrics = open_metrics(folder, 1200);
	add_range(metrics, 1250, 1250);
	metrics_close(metrics);
	metrics = open_metrics(folder, 40);
	metrics_close(metrics);
	found = read_whole(csv, &size);
	ktap_ok(!strcmp(found, HEADER), "a resume before the first row cuts off all rows");
	free(found);
	metrics = open_metrics(folder, 40);
	add_range(metrics, 50, 1999);
	metrics_close(metrics);
	metrics = open_metrics(folder, 1960);
	add_range(metrics, 2000, 2000);
	metrics_close(metrics);
	found = read_whole(csv, &size);
	ktap_ok(!strcmp(found, expected), "a run resumed four times has the rows of an undisturbed one");
	found_events = events_text(event_file(folder));
	if (found_events && expected_events)
		ktap_ok(!strcmp(found_events, expected_events), "and the events");
	else
		ktap_skip("and the events", "no python3");
	entries = opendir(folder);
	while (readdir(entries))
		names++;
	closedir(entries);
	ktap_ok(names == 4, "in two files");
	free(found);
	free(found_events);
	free(expected);
	free(expected_events);
}

/* Cut off anywhere, the files of a run are resumed to those of an undisturbed one as long as the rows up to the
 * checkpoint are. */
static void test_torn(void)
{
	const char *folder = scratch_folder("torn"), *csv = in_scratch("torn/" METRICS_CSV);
	struct metrics *metrics = open_metrics(folder, METRICS_NEW);
	size_t csv_size, events_size, csv_kept, events_kept, size, wrong = 0;
	char *rows, *records, path[1400], *found;

	add_range(metrics, 50, 100);
	metrics_close(metrics);
	strcpy(path, event_file(folder));
	free(read_whole(csv, &csv_kept));
	free(read_whole(path, &events_kept));
	metrics = open_metrics(folder, 100);
	add_range(metrics, 150, 200);
	metrics_close(metrics);
	rows = read_whole(csv, &csv_size);
	records = read_whole(path, &events_size);
	for (size_t length = csv_kept; length <= csv_size; length++) {
		write_whole(csv, rows, length);
		metrics = open_metrics(folder, 100);
		wrong += !metrics || *message;
		metrics_close(metrics);
		found = read_whole(csv, &size);
		wrong += size != csv_kept || memcmp(found, rows, size);
		free(found);
	}
	ktap_ok(!wrong, "metrics.csv cut off at any byte behind the checkpoint's row");
	for (size_t length = events_kept; length <= events_size; length++) {
		write_whole(path, records, length);
		metrics = open_metrics(folder, 100);
		wrong += !metrics || *message;
		metrics_close(metrics);
		found = read_whole(path, &size);
		wrong += size != events_kept || memcmp(found, records, size);
		free(found);
	}
	ktap_ok(!wrong, "an event file cut off at any byte behind the checkpoint's record");
	for (size_t length = 0; length < csv_kept; length++) {
		write_whole(csv, rows, length);
		metrics = open_metrics(folder, 100);
		wrong += !metrics || *message;
		metrics_close(metrics);
		found = read_whole(csv, &size);
		/* Whole rows are left, or the header alone. */
		wrong += size > csv_kept || memcmp(found, rows, size) || size < strlen(HEADER) ||
			 found[size - 1] != '\n';
		free(found);
	}
	ktap_ok(!wrong, "metrics.csv cut off anywhere");
	for (size_t length = 0; length < events_kept; length++) {
		write_whole(path, records, length);
		metrics = open_metrics(folder, 100);
		if (!metrics || *message)
			ktap_note("%zu: %s", length, message);
		wrong += !metrics || *message;
		metrics_close(metrics);
		found = read_whole(path, &size);
		wrong += size > events_kept || !size;
		free(found);
	}
	ktap_ok(!wrong, "an event file cut off anywhere");
	free(rows);
	free(records);
}

static void test_damage(void)
{
	static const char *const bad_rows[] = { "abc,1,2,3\n",
						",1,2,3\n",
						"60,1,2\n",
						"60,1,2,3,4\n",
						"\n",
						"-60,1,2,3\n",
						"99999999999999999999,1,2,3\n",
						"60,1,\x01,3\n",
						"60;1;2;3\n" };
	const char *folder = scratch_folder("damage"), *csv = in_scratch("damage/" METRICS_CSV);
	struct metrics *metrics = open_metrics(folder, METRICS_NEW);
	size_t size, good_size, wrong = 0, silent = 0;
	char *records, path[1400], text[256];

	add_range(metrics, 50, 200);
	metrics_close(metrics);
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		char *found;

		snprintf(text, sizeof(text), HEADER "50,1,2,3\n%s100,1,2,3\n", bad_rows[i]);
		write_whole(csv, text, strlen(text));
		metrics = open_metrics(folder, 200);
		silent += !strstr(message, csv) || !strstr(message, "damaged at byte 47:");
		metrics_close(metrics);
		found = read_whole(csv, &size);
		wrong += strcmp(found, HEADER "50,1,2,3\n") != 0;
		free(found);
	}
	ktap_ok(!wrong && !silent, "damaged rows are cut off, and it is said");
	ktap_note("%s", message);
	write_whole(csv, "step,other\n50,1\n", 16);
	says(!open_metrics(folder, 200) && strstr(message, csv) && strstr(message, "first line is not 'step,episode,"),
	     "a file with other columns is not touched");
	remove(csv);
	mkdir(csv, 0777);
	says(!open_metrics(folder, 200) && strstr(message, csv), "a directory in its place");
	remove(csv);

	strcpy(path, event_file(folder));
	records = read_whole(path, &good_size);
	wrong = silent = 0;
	/* The first record is 12 + 24 + 4 bytes; without it, it is no event file. */
	for (size_t i = 0; i < good_size; i++) {
		records[i] ^= 0x40;
		write_whole(path, records, good_size);
		records[i] ^= 0x40;
		metrics = open_metrics(folder, 200);
		if (i < 40)
			wrong += metrics || !strstr(message, "not an event file") || !strstr(message, path);
		else
			silent += !metrics || !strstr(message, "damaged at byte");
		metrics_close(metrics);
	}
	ktap_ok(!wrong, "what is no event file is not touched");
	ktap_ok(!silent, "damaged events are cut off, and it is said");
	free(records);
	write_whole(path, "not an event file, and of more than a few bytes; it goes on and on and on", 70);
	says(!open_metrics(folder, 200) && strstr(message, path), "a foreign file of an event file's name");
}

/* Records whose checksums are right and whose contents are not. */
static void test_hostile_events(void)
{
	static const struct {
		const char *what, *data;
		size_t size;
	} cases[] = {
		{ "an endless number", "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 },
		{ "a number that is cut off", "\x10\xff", 2 },
		{ "a text longer than its record", "\x2a\x7f\x01", 3 },
		{ "a text of 2^64 bytes", "\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 },
		{ "a double that is cut off", "\x09\x01\x02", 3 },
		{ "a float that is cut off", "\x0d\x01", 2 },
		{ "a group", "\x0b", 1 },
	};
	const char *folder = scratch_folder("hostile");
	struct metrics *metrics = open_metrics(folder, METRICS_NEW);
	unsigned char record[64];
	char path[1400], *file;
	size_t size, left;

	metrics_close(metrics);
	strcpy(path, event_file(folder));
	file = read_whole(path, &size);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t length = cases[i].size;
		uint32_t crc;
		char *whole = malloc(size + sizeof(record));

		memcpy(record, &length, 8);
		crc = crc32c(0, record, 8);
		crc = (crc >> 15 | crc << 17) + 0xa282ead8;
		memcpy(record + 8, &crc, 4);
		memcpy(record + 12, cases[i].data, length);
		crc = crc32c(0, cases[i].data, length);
		crc = (crc >> 15 | crc << 17) + 0xa282ead8;
		memcpy(record + 12 + length, &crc, 4);
		memcpy(whole, file, size);
		memcpy(whole + size, record, 16 + length);
		write_whole(path, whole, size + 16 + length);
		metrics = open_metrics(folder, 100);
		metrics_close(metrics);
		free(whole);
		whole = read_whole(path, &left);
		ktap_ok(metrics && strstr(message, "damaged at byte") && left == size && !memcmp(whole, file, size),
			"an event with %s", cases[i].what);
		free(whole);
	}
	free(file);
}

/* ---- Errors of the file system ---- */

static void test_faults(void)
{
	const char *folder = scratch_folder("faults"), *csv = in_scratch("faults/" METRICS_CSV);
	struct metrics *metrics = open_metrics(folder, METRICS_NEW);
	char *expected = undisturbed(300), *found;
	int error = 0;
	size_t size;

	for (uint64_t step = 50; step <= 300; step += 50) {
		/* The first write is that of the row, the second that of the record. */
		fault_arm(FAULT_WRITE, 1 + (long)(step / 50 % 2), ENOSPC);
		error |=
			add(metrics, step) != -ENOSPC || !strstr(message, folder) || !strstr(message, strerror(ENOSPC));
		fault_disarm();
		error |= add(metrics, step);
	}
	fault_arm(FAULT_SYNC, 1, EIO);
	error |= metrics_flush(metrics, message, sizeof(message)) != -EIO || !strstr(message, csv);
	fault_disarm();
	metrics_close(metrics);
	found = read_whole(csv, &size);
	ktap_ok(!error && !strcmp(found, expected), "a row that did not fit on the disk is not there by half");
	free(found);
	found = events_text(event_file(folder));
	free(expected);
	expected = events_text(event_file(in_scratch("undisturbed")));
	if (found && expected)
		ktap_ok(!strcmp(found, expected), "nor its event");
	else
		ktap_skip("nor its event", "no python3");
	free(found);
	free(expected);
	fault_arm(FAULT_OPEN, 1, EACCES);
	metrics = open_metrics(scratch_folder("denied"), METRICS_NEW);
	fault_disarm();
	says(!metrics && strstr(message, "denied/" METRICS_CSV) && strstr(message, strerror(EACCES)),
	     "a directory without the right to write");
	says(!open_metrics(in_scratch("absent"), METRICS_NEW) && strstr(message, strerror(ENOENT)),
	     "a directory that is not there");
}

int main(void)
{
	scratch_make();
	ktap_start();
	test_csv();
	test_locale();
	test_names();
	test_resume();
	test_torn();
	test_damage();
	test_hostile_events();
	test_faults();
	return ktap_finish();
}

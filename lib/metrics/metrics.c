// SPDX-License-Identifier: MIT
/*
 * The metrics of a run: one CSV file and one event file, written side by side.
 *
 * Every row goes out with one write at a place that we know, so that after a failed one (a full disk) the file is cut
 * back and stays readable. Resuming cuts off what lies behind the checkpoint's step; to cut is the same however often
 * it is done, so a run that is killed while it does so loses nothing.
 */
#include "metrics/metrics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/atomic.h"
#include "metrics/private.h"

#define EVENTS_PREFIX "events.out.tfevents."
#define EVENTS_SUFFIX ".fixar"

struct metrics {
	struct metrics_file csv, events;
	size_t columns;
	const char **names; /* into `text` */
	char *text;	    /* "step\0return\0..." */
	char *header;	    /* "step,return,...\n" */
	char *row;
	unsigned char *record;
	uint64_t step; /* of the last row */
};

static double wall_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int name_ok(const char *name)
{
	if (!*name)
		return 0;
	for (; *name; name++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-", *name))
			return 0;
	return 1;
}

/* Copies the names of the columns and makes the header and the buffers. */
static int make_header(struct metrics *metrics, const char *const *columns, size_t count, const struct message *message)
{
	size_t size = sizeof("step"), used = 0;

	if (!count || count > METRICS_MAX_COLUMNS)
		return fail(message, -EINVAL, "metrics: %zu columns, expected 1 to %d", count, METRICS_MAX_COLUMNS);
	for (size_t i = 0; i < count; i++) {
		if (!name_ok(columns[i]))
			return fail(message, -EINVAL, "metrics: not the name of a column: '%s'", columns[i]);
		size += strlen(columns[i]) + 1;
	}
	metrics->columns = count;
	metrics->names = calloc(count, sizeof(*metrics->names));
	metrics->text = malloc(size);
	metrics->header = malloc(size + 1);
	metrics->row = malloc(csv_row_size(count));
	metrics->record = malloc(events_record_size(count, size));
	if (!metrics->names || !metrics->text || !metrics->header || !metrics->row || !metrics->record)
		return fail(message, -ENOMEM, "metrics: out of memory");
	for (size_t i = 0; i <= count; i++) {
		const char *name = i ? columns[i - 1] : "step";

		if (i)
			metrics->names[i - 1] = metrics->text + used;
		memcpy(metrics->text + used, name, strlen(name) + 1);
		memcpy(metrics->header + used, name, strlen(name));
		used += strlen(name) + 1;
		metrics->header[used - 1] = i < count ? ',' : '\n';
	}
	metrics->header[used] = 0;
	return 0;
}

static int open_file(struct metrics_file *file, const char *directory, const char *name, int flags,
		     const struct message *message)
{
	int error;

	if (asprintf(&file->path, "%s/%s", directory, name) < 0) {
		file->path = NULL;
		return fail(message, -ENOMEM, "%s: out of memory", directory);
	}
	file->fd = open(file->path, O_RDWR | O_NONBLOCK | O_CLOEXEC | flags, 0666);
	if (file->fd < 0)
		return fail(message, -errno, "%s: %s", file->path, strerror(errno));
	error = file_size(file->fd, &file->size);
	return error ? fail(message, error, "%s: not a regular file", file->path) : 0;
}

static void close_file(struct metrics_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	*file = (struct metrics_file){ .fd = -1 };
}

/* Takes back what was written behind `size`. */
static void take_back(struct metrics_file *file, uint64_t size)
{
	file->size = size;
	/* If that fails, the bytes stay for now; but the next write goes to the same place. */
	if (ftruncate(file->fd, (off_t)size))
		return;
}

/* Appends, all or nothing. */
static int append(struct metrics_file *file, const void *bytes, size_t size, const struct message *message)
{
	int error = 0;

	if (lseek(file->fd, (off_t)file->size, SEEK_SET) < 0)
		error = -errno;
	if (!error)
		error = write_all(file->fd, bytes, size);
	if (error) {
		fail(message, error, "%s: cannot be written: %s", file->path, strerror(-error));
		take_back(file, file->size);
		return error;
	}
	file->size += size;
	return 0;
}

/* Cuts a file back to what a scan said; a second problem in *message does not displace the first. */
static int cut(struct metrics_file *file, const struct metrics_scan *scan, const struct message *message)
{
	if (scan->damaged != UINT64_MAX && message->text && message->size && !*message->text)
		fail(message, 0, "%s: damaged at byte %llu: %llu bytes from there on were cut off", file->path,
		     (unsigned long long)scan->damaged, (unsigned long long)(file->size - scan->damaged));
	if (scan->keep < file->size && ftruncate(file->fd, (off_t)scan->keep))
		return fail(message, -errno, "%s: cannot be cut back: %s", file->path, strerror(errno));
	file->size = scan->keep;
	return 0;
}

static int open_csv(struct metrics *metrics, const char *directory, uint64_t resume_step, const struct message *message)
{
	struct metrics_scan scan;
	int error;

	error = open_file(&metrics->csv, directory, METRICS_CSV, O_CREAT | (resume_step == METRICS_NEW ? O_EXCL : 0),
			  message);
	if (!error && resume_step != METRICS_NEW) {
		error = csv_scan(metrics->csv.fd, metrics->csv.path, metrics->header, metrics->columns, resume_step,
				 &scan, message);
		if (!error)
			error = cut(&metrics->csv, &scan, message);
	}
	if (!error && !metrics->csv.size)
		error = append(&metrics->csv, metrics->header, strlen(metrics->header), message);
	return error;
}

static int is_event_file(const struct dirent *entry)
{
	return !strncmp(entry->d_name, EVENTS_PREFIX, sizeof(EVENTS_PREFIX) - 1);
}

/* Cuts back all event files; the last one by name (the newest one) is left open to be continued. */
static int resume_events(struct metrics *metrics, const char *directory, struct dirent *const *names, int count,
			 uint64_t resume_step, const struct message *message)
{
	for (int i = 0; i < count; i++) {
		struct metrics_scan scan;
		int error;

		close_file(&metrics->events);
		error = open_file(&metrics->events, directory, names[i]->d_name, 0, message);
		if (!error)
			error = events_scan(metrics->events.fd, metrics->events.path, resume_step, &scan, message);
		if (!error)
			error = cut(&metrics->events, &scan, message);
		if (error)
			return error;
	}
	return 0;
}

static int open_events(struct metrics *metrics, const char *directory, uint64_t resume_step,
		       const struct message *message)
{
	struct dirent **names = NULL;
	int count = scandir(directory, &names, is_event_file, alphasort), error = 0;
	char name[64];

	if (count < 0)
		return fail(message, -errno, "%s: %s", directory, strerror(errno));
	if (count && resume_step == METRICS_NEW)
		error = fail(message, -EEXIST, "%s/%s: %s", directory, names[0]->d_name, strerror(EEXIST));
	else
		error = resume_events(metrics, directory, names, count, resume_step, message);
	if (!error && !count) {
		/* Ten digits, as TensorFlow writes them: names sort by time. */
		snprintf(name, sizeof(name), EVENTS_PREFIX "%010llu" EVENTS_SUFFIX, (unsigned long long)time(NULL));
		error = open_file(&metrics->events, directory, name, O_CREAT | O_EXCL, message);
	}
	if (!error && !metrics->events.size)
		error = append(&metrics->events, metrics->record, events_version(metrics->record, wall_time()),
			       message);
	while (count > 0)
		free(names[--count]);
	free(names);
	return error;
}

int metrics_open(const char *directory, const char *const *columns, size_t column_count, uint64_t resume_step,
		 struct metrics **metrics, char *text, size_t text_size)
{
	const struct message message = { text, text_size };
	struct metrics *m = calloc(1, sizeof(*m));
	int error;

	*metrics = NULL;
	if (text && text_size)
		*text = 0;
	if (!m)
		return fail(&message, -ENOMEM, "%s: out of memory", directory);
	m->csv.fd = -1;
	m->events.fd = -1;
	error = make_header(m, columns, column_count, &message);
	if (!error)
		error = open_csv(m, directory, resume_step, &message);
	if (!error)
		error = open_events(m, directory, resume_step, &message);
	if (!error) {
		error = sync_directory_of(m->csv.path);
		if (error)
			fail(&message, error, "%s: cannot be synced to the disk: %s", directory, strerror(-error));
	}
	if (error) {
		metrics_close(m);
		return error;
	}
	m->step = resume_step == METRICS_NEW ? 0 : resume_step;
	*metrics = m;
	return 0;
}

int metrics_add(struct metrics *metrics, uint64_t step, const double *values, char *text, size_t text_size)
{
	const struct message message = { text, text_size };
	uint64_t before = metrics->csv.size;
	size_t size;
	int error;

	if (step < metrics->step || step > INT64_MAX)
		return fail(&message, -EINVAL, "metrics: step %llu after step %llu", (unsigned long long)step,
			    (unsigned long long)metrics->step);
	error = append(&metrics->csv, metrics->row, csv_row(metrics->row, step, values, metrics->columns), &message);
	if (error)
		return error;
	size = events_record(metrics->record, wall_time(), step, metrics->names, values, metrics->columns);
	error = append(&metrics->events, metrics->record, size, &message);
	if (error) {
		/* A row is in both files or in none, so that the caller may try again. */
		take_back(&metrics->csv, before);
		return error;
	}
	metrics->step = step;
	return 0;
}

int metrics_flush(struct metrics *metrics, char *text, size_t text_size)
{
	const struct message message = { text, text_size };

	if (fdatasync(metrics->csv.fd))
		return fail(&message, -errno, "%s: cannot be synced to the disk: %s", metrics->csv.path,
			    strerror(errno));
	if (fdatasync(metrics->events.fd))
		return fail(&message, -errno, "%s: cannot be synced to the disk: %s", metrics->events.path,
			    strerror(errno));
	return 0;
}

void metrics_close(struct metrics *metrics)
{
	if (!metrics)
		return;
	close_file(&metrics->csv);
	close_file(&metrics->events);
	free(metrics->names);
	free(metrics->text);
	free(metrics->header);
	free(metrics->row);
	free(metrics->record);
	free(metrics);
}

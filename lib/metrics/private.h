/* SPDX-License-Identifier: MIT */
/* The two kinds of files of metrics, for metrics.c and for tests. */
#ifndef FIXAR_LIB_METRICS_PRIVATE_H
#define FIXAR_LIB_METRICS_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "checkpoint/message.h"

/* A file that grows by whole rows or records. */
struct metrics_file {
	int fd;
	char *path;
	uint64_t size;
};

/* What a look through an existing file found. */
struct metrics_scan {
	uint64_t keep;	  /* bytes up to and with the last row or record whose step is not above the limit */
	uint64_t damaged; /* the first byte that is not ours; UINT64_MAX: none but a torn end */
};

/*
 * Looks through a CSV file whose first line must be `header` (with its newline). An empty file, and one that ends
 * inside the header, come to keep = 0. -EBADMSG: another header.
 */
int csv_scan(int fd, const char *path, const char *header, size_t columns, uint64_t step, struct metrics_scan *scan,
	     const struct message *message);
/* The same for an event file: keep = 0 asks for the first record, events_version(). -EBADMSG: not an event file. */
int events_scan(int fd, const char *path, uint64_t step, struct metrics_scan *scan, const struct message *message);

/* Bytes that fit a row or a record of `columns` values with names of `names` bytes in all. */
size_t csv_row_size(size_t columns);
size_t events_record_size(size_t columns, size_t names);

/* Write a row, the first record or a record to a buffer that is big enough; return the number of bytes. */
size_t csv_row(char *row, uint64_t step, const double *values, size_t columns);
size_t events_version(unsigned char *record, double wall_time);
/* 0 if all values are NAN: then there is nothing to record. */
size_t events_record(unsigned char *record, double wall_time, uint64_t step, const char *const *tags,
		     const double *values, size_t columns);

#endif /* FIXAR_LIB_METRICS_PRIVATE_H */

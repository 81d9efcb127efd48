/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: named tensors and strings in one safetensors file.
 *
 * The file is the published format (8 bytes of header length, a JSON header, tensor bytes, all little-endian), so that
 * any safetensors reader shows it. Ours asks for more, to tell a checkpoint of ours from anything else: the strings
 * `format`, `schema` and `crc32c`, the last one over the whole file. The bytes are a function of what is given to
 * checkpoint_write() alone: neither time nor host nor the order of the arguments is in them.
 *
 * Functions return 0 or a negative errno value. `message` (may be NULL) receives one line that names the file, what was
 * found and what was expected; it is not touched on success.
 */
#ifndef FIXAR_LIB_CHECKPOINT_CHECKPOINT_H
#define FIXAR_LIB_CHECKPOINT_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

/* Of the checkpoint of an agent: changes whenever the names or the meaning of its tensors and strings do. */
#define CHECKPOINT_SCHEMA 1
#define CHECKPOINT_FILE "checkpoint.safetensors" /* its name in the directory of a run */
#define CHECKPOINT_MAX_DIMS 4
#define CHECKPOINT_MAX_NAME 127		 /* bytes of a tensor's name */
#define CHECKPOINT_MAX_HEADER (4u << 20) /* bytes; a longer header is refused */

/* The first four are those of enum step_dtype. */
enum checkpoint_dtype {
	CHECKPOINT_I32,
	CHECKPOINT_U32,
	CHECKPOINT_U64,
	CHECKPOINT_F32,
	CHECKPOINT_F64,
	CHECKPOINT_I64,
	CHECKPOINT_U8
};

/* Bytes of an element; 0 if there is no such type. */
size_t checkpoint_dtype_size(enum checkpoint_dtype dtype);
/* "I32" ... as in the file. */
const char *checkpoint_dtype_name(enum checkpoint_dtype dtype);

/* A tensor to write. No dimension means one element; a dimension of 0 means none. */
struct checkpoint_tensor {
	const char *name; /* printable ASCII, unique, not "__metadata__" */
	enum checkpoint_dtype dtype;
	uint32_t dim_count;
	uint64_t dim[CHECKPOINT_MAX_DIMS];
	const void *data;
	size_t bytes; /* must be what dtype and dims come to */
};

/* A string to write; UTF-8. The keys "format", "schema" and "crc32c" are taken. */
struct checkpoint_string {
	const char *key;
	const char *value;
};

/*
 * Writes a checkpoint aside, syncs it and renames it to `path`: a crash at any instant leaves the old file or the new
 * one, complete. On an error the old file is as it was.
 * -EINVAL: a name twice, bytes that do not fit the dims, a key that is taken; -EDOM: a NaN or an infinity in a float
 * tensor (a reader would refuse it, so it never gets into a file); or what the file system said.
 */
int checkpoint_write(const char *path, const struct checkpoint_tensor *tensors, size_t tensor_count,
		     const struct checkpoint_string *strings, size_t string_count, char *message, size_t message_size);

/* A checkpoint that was opened: its header was checked and its checksum is right. */
struct checkpoint;

/* What the file says of a tensor; belongs to the checkpoint. */
struct checkpoint_entry {
	char name[CHECKPOINT_MAX_NAME + 1];
	enum checkpoint_dtype dtype;
	uint32_t dim_count;
	uint64_t dim[CHECKPOINT_MAX_DIMS];
	uint64_t offset; /* in the file */
	uint64_t bytes;
};

/*
 * Opens a checkpoint and reads all of it once for the checksum.
 * -ENOENT: no file; -EBADMSG: damaged, truncated or foreign; -EPROTONOSUPPORT: a schema this library does not know.
 */
int checkpoint_open(const char *path, struct checkpoint **checkpoint, char *message, size_t message_size);
void checkpoint_close(struct checkpoint *checkpoint);

/* As it was given to checkpoint_open(), for messages of callers. */
const char *checkpoint_path(const struct checkpoint *checkpoint);

/* The tensors, in the file's order. */
size_t checkpoint_count(const struct checkpoint *checkpoint);
const struct checkpoint_entry *checkpoint_at(const struct checkpoint *checkpoint, size_t index);
/* NULL if there is none. */
const struct checkpoint_entry *checkpoint_find(const struct checkpoint *checkpoint, const char *name);

/*
 * Copies a tensor that must be there in exactly this type and shape: `bytes` (what dtype and dims come to) to `data`.
 * -EBADMSG if it is missing or another; -EINVAL if `bytes` is wrong.
 */
int checkpoint_read(const struct checkpoint *checkpoint, const char *name, enum checkpoint_dtype dtype,
		    uint32_t dim_count, const uint64_t *dim, void *data, size_t bytes, char *message,
		    size_t message_size);

/* NULL if there is none. */
const char *checkpoint_string(const struct checkpoint *checkpoint, const char *key);
/* A string that must be there: -EBADMSG if not. */
int checkpoint_require(const struct checkpoint *checkpoint, const char *key, const char **value, char *message,
		       size_t message_size);
/* A string that must be there and be a decimal number of at most `maximum`: -EBADMSG if not. */
int checkpoint_number(const struct checkpoint *checkpoint, const char *key, uint64_t maximum, uint64_t *value,
		      char *message, size_t message_size);

#endif /* FIXAR_LIB_CHECKPOINT_CHECKPOINT_H */

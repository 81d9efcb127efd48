/* SPDX-License-Identifier: MIT */
/*
 * How an agent's options and record are written in a checkpoint: numbers become strings that name them
 * ("options.batch"), in a form that does not depend on the locale and reads back to the very bits. The tables of fields
 * in stored.c serve both ways, so that saving and loading cannot disagree.
 */
#ifndef FIXAR_LIB_AGENT_STORED_H
#define FIXAR_LIB_AGENT_STORED_H

#include "agent/agent.h"
#include "checkpoint/checkpoint.h"

#define STORED_STRINGS_MAX 64
#define STORED_VALUE_MAX 384 /* the longest: 31 hidden layers */

/* Strings on their way into a checkpoint. */
struct stored_strings {
	struct checkpoint_string strings[STORED_STRINGS_MAX];
	char values[STORED_STRINGS_MAX][STORED_VALUE_MAX];
	size_t count;
};

/* Adds one string; the key must outlive the list. */
__attribute__((format(printf, 3, 4))) void stored_add(struct stored_strings *list, const char *key, const char *format,
						      ...);
void stored_add_options(struct stored_strings *list, const struct fixar_agent_options *options);
void stored_add_record(struct stored_strings *list, const struct ddpg_record *record);

/*
 * Reading: 0, or -EBADMSG with a message that names the file, the key and what was found. `bits` of the options are not
 * touched, nor are the arrays of the record.
 */
int stored_read_options(const struct checkpoint *checkpoint, struct fixar_agent_options *options, char *message,
			size_t message_size);
int stored_read_record(const struct checkpoint *checkpoint, struct ddpg_record *record, char *message,
		       size_t message_size);

/* The arrays of a record, which are tensors. */
#define STORED_RECORD_TENSORS 4
void stored_record_tensors(const struct ddpg_record *record, struct checkpoint_tensor tensors[STORED_RECORD_TENSORS]);

#endif /* FIXAR_LIB_AGENT_STORED_H */

/* SPDX-License-Identifier: MIT */
/*
 * What a device's commands cost on the modelled card (lib/pe/array.h, lib/pe/ARRAY.md): the array's products and the
 * element-wise passes of ACT and TRAIN, one after the other, and the memories that they need. Integers only.
 */
#ifndef FIXAR_LIB_STEP_CYCLES_H
#define FIXAR_LIB_STEP_CYCLES_H

#include "pe/array.h"
#include "step/step.h"

/* One operation of a command. */
struct step_operation {
	const char *name;      /* "critic forward"; an operation has this name in every layer and slice */
	int layer;	       /* -1: not of one layer */
	uint64_t times;	       /* how often it is done: once for each slice of this size */
	struct pe_count count; /* of all times; `cycles` alone where the array is not used */
};

typedef void (*step_operation_visit)(void *user, const struct step_operation *operation);

struct step_cycles {
	uint64_t cycles;       /* of the command */
	uint64_t array_cycles; /* of these, in products */
	uint64_t macs;
	uint64_t slots; /* at most array_cycles x PEs: struct pe_count */
	uint32_t slice; /* samples that the activation memory holds at a time; the batch if it holds all */
};

/* What is asked about. */
struct step_workload {
	const struct pe_array *array;
	const struct step_config *config;
	const struct step_mode *mode;		 /* quantized, parallelism and, for ACT, noise count */
	const struct step_quantizer *quantizers; /* step_read_quantizers(); widths alone count. NULL: all 32 bits */
	uint32_t batch;
};

/* Bytes that a workload needs in the card's memories. */
struct step_footprint {
	uint64_t weight_bytes;	 /* both networks and targets with moments */
	uint64_t gradient_bytes; /* the larger network's */
	uint64_t sample_bytes;	 /* activation memory per sample of a slice */
	uint32_t slice;
};

/*
 * 0; -EINVAL for a configuration, array or batch out of range; -ENOSPC for a network that the card cannot hold.
 * `message` (may be NULL) says which layer needs how much of what.
 */
int step_card_footprint(const struct step_workload *workload, struct step_footprint *footprint, char *message,
			size_t message_size);

/*
 * The cycles of TRAIN on workload->batch samples, or of ACT on as many observations. `visit` (may be NULL) sees each
 * operation. Returns as step_card_footprint() does.
 */
int step_cycles_train(const struct step_workload *workload, step_operation_visit visit, void *user,
		      struct step_cycles *total, char *message, size_t message_size);
int step_cycles_act(const struct step_workload *workload, step_operation_visit visit, void *user,
		    struct step_cycles *total, char *message, size_t message_size);

#endif /* FIXAR_LIB_STEP_CYCLES_H */

/* SPDX-License-Identifier: MIT */
/* Operand codes and their 16-bit pieces: shared by the files of lib/nn. */
#ifndef FIXAR_LIB_NN_OPERANDS_H
#define FIXAR_LIB_NN_OPERANDS_H

#include "nn/network.h"

/* 16-bit pieces: a code of `bits` significant bits, its sign included. No pieces: the product has to be wide. */
#define NN_PIECE_BITS 16
#define NN_SPLIT_BITS 27
struct pe_split nn_split(unsigned bits);

/* Significant bits of the codes of a quantizer, the sign included. */
unsigned nn_code_bits(const struct step_quantizer *quantizer);

/* Whether the codes of a class are pieces of 16 bits. */
int nn_is_narrow(const struct nn_context *context, const struct nn_layer *layer, enum step_class class);

/* The fraction of the operands of a quantizer: its own, or what follows from the largest absolute value. */
int nn_operand_fraction(const struct step_quantizer *quantizer, enum step_class class, uint32_t magnitude);

/* Limits of codes and so on for a pass over master values; `fraction` as above. Nothing is quantized in the mode full. */
void nn_set_operand(const struct nn_context *context, const struct step_quantizer *quantizer, enum step_class class, int fraction,
		    struct pe_operand *operand);

/*
 * How many products of 16-bit pieces, from each multiple of that number on, have a sum that certainly fits 32 bits; norms are of the vectors'
 * pieces, bits those of the codes. At least the depth: all of them. 0: not even two, the product has to be wide.
 */
size_t nn_chunk(size_t depth, const struct pe_split *a, unsigned a_bits, const struct pe_norms *a_norms, const struct pe_split *b,
		unsigned b_bits, const struct pe_norms *b_norms);

/*
 * Gathers what several workers found: the largest where they had different vectors, the sum where they had parts of the same ones (the
 * largest norms of the parts, added, are not less than the largest of the whole).
 */
void nn_raise_norms(struct pe_norms *norms, const struct pe_norms *found);
void nn_add_norms(struct pe_norms *norms, const struct pe_norms *found);

/* Raises *value to at least `found`; workers may do so at the same time. */
void nn_raise(uint32_t *value, uint32_t found);

#endif /* FIXAR_LIB_NN_OPERANDS_H */

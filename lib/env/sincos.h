/* SPDX-License-Identifier: MIT */
/*
 * Sine and cosine that give the same bits on every machine. The C library's don't: glibc picks a variant with fused
 * multiply-add where the processor has it, and other libraries round differently.
 */
#ifndef FIXAR_LIB_ENV_SINCOS_H
#define FIXAR_LIB_ENV_SINCOS_H

/* Beyond this the reduction would lose bits; the answer is then NaN for both. */
#define ENV_SINCOS_MAX 1e6

/* Less than one unit in the last place from the true values for finite abs(angle) <= ENV_SINCOS_MAX. */
void env_sincos(double angle, double *sine, double *cosine);

#endif /* FIXAR_LIB_ENV_SINCOS_H */

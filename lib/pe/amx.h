/* SPDX-License-Identifier: MIT */
/* What the engine "amx" has of its own (pe_amx_avx512.c); the rest of it is the AVX-512 engine's. */
#ifndef FIXAR_LIB_PE_AMX_H
#define FIXAR_LIB_PE_AMX_H

#include "pe/engine.h"

/* Whether processor and kernel let this process use AMX. */
int pe_amx_available(void);

/* As pe_engine.product. */
uint64_t pe_amx_product(const struct pe_product *product, size_t row_from, size_t row_to, size_t column_from, size_t column_to, void *scratch);

#endif /* FIXAR_LIB_PE_AMX_H */

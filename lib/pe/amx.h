/* SPDX-License-Identifier: MIT */
/* What the engine "amx" has of its own (pe_amx_avx512.c); the rest of it is the AVX-512 engine's. */
#ifndef FIXAR_LIB_PE_AMX_H
#define FIXAR_LIB_PE_AMX_H

#include "pe/engine.h"

/* Whether processor and kernel let this process use AMX. */
int pe_amx_available(void);

/* As pe_engine.product. */
uint64_t pe_amx_product(const struct pe_product *product, size_t row_from, size_t row_to, size_t column_from, size_t column_to, void *scratch);

/* As pe_form_ops.wide_panels. */
void pe_amx_wide_panels(size_t column_from, size_t column_to, size_t depth, const int32_t *codes, size_t code_row, int32_t *to);

#endif /* FIXAR_LIB_PE_AMX_H */

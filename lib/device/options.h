/* SPDX-License-Identifier: MIT */
/*
 * Structs that begin with their size: how a caller and a library of different age understand each other. What the
 * caller does not have keeps its default; what the library does not know must be zero.
 */
#ifndef FIXAR_LIB_DEVICE_OPTIONS_H
#define FIXAR_LIB_DEVICE_OPTIONS_H

#include <stddef.h>

/*
 * Options in: `known` (known_size bytes, its first member a size_t size) holds the defaults and receives what the
 * caller gave. The caller's struct may be NULL. Returns 0, -EINVAL (given_size too small for the size itself) or -E2BIG
 * (unknown bytes that are not zero).
 */
int options_copy(void *known, size_t known_size, const void *given, size_t given_size);

/* Results out: fills the caller's struct from `known`, zeros where the library is older. `size` stays the caller's. */
int options_answer(void *given, size_t given_size, const void *known, size_t known_size);

#endif /* FIXAR_LIB_DEVICE_OPTIONS_H */

/* SPDX-License-Identifier: MIT */
/* CRC-32C (Castagnoli): the checksum of checkpoints, of replay segments and of TensorBoard's event files. */
#ifndef FIXAR_LIB_CHECKPOINT_CRC32C_H
#define FIXAR_LIB_CHECKPOINT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` is the checksum of (0: nothing), followed by these bytes. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);

#endif /* FIXAR_LIB_CHECKPOINT_CRC32C_H */

// SPDX-License-Identifier: GPL-2.0-only
// MODULE_IMPORT_NS() takes an identifier: until 6.12.
#include <linux/module.h>

MODULE_IMPORT_NS(DMA_BUF);

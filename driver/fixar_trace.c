// SPDX-License-Identifier: GPL-2.0-only
/* The trace points' code: once in the module. */
#include "fixar_device.h"

#ifndef __CHECKER__
#define CREATE_TRACE_POINTS
#include "fixar_trace.h"
#endif

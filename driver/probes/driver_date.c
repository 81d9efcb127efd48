// SPDX-License-Identifier: GPL-2.0-only
// drm_driver.date: until 6.13.
#include <drm/drm_drv.h>

struct drm_driver probe = { .date = "20260101" };

// SPDX-License-Identifier: GPL-2.0-only
// PRIME wants its callbacks named by the driver: until 6.5.
#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_prime.h>

struct drm_driver probe = { .gem_prime_mmap = drm_gem_prime_mmap };

// SPDX-License-Identifier: GPL-2.0-only
/* The mode registers: one table from which validation, the registers' writing and sysfs follow. */
#include <linux/module.h>

#include "fixar_device.h"

#define FIXAR_FIELD(_name, _member, _reg, _min, _max)                                           \
	{                                                                                       \
		.name = _name, .offset = offsetof(struct drm_fixar_mode, _member), .reg = _reg, \
		.min = _min, .max = _max                                                        \
	}
#define FIXAR_SIGNED_FIELD(_name, _member, _reg, _min, _max)                                    \
	{                                                                                       \
		.name = _name, .offset = offsetof(struct drm_fixar_mode, _member), .reg = _reg, \
		.min = _min, .max = _max, .is_signed = true                                     \
	}
#define FIXAR_CRITIC(reg) ((reg) + FIXAR_MODE_NETWORK_STRIDE)

const struct fixar_mode_field fixar_mode_fields[] = {
	FIXAR_FIELD("precision", precision, FIXAR_MODE_PRECISION, FIXAR_MODE_PRECISION_FULL,
		    FIXAR_MODE_PRECISION_QUANTIZED),
	FIXAR_FIELD("quantization", quantization, FIXAR_MODE_QUANTIZATION, 0,
		    FIXAR_MODE_QUANTIZATION_OBSERVE),
	FIXAR_FIELD("parallelism", parallelism, FIXAR_MODE_PARALLELISM, FIXAR_MODE_PARALLELISM_AUTO,
		    FIXAR_MODE_PARALLELISM_BATCH),
	FIXAR_FIELD("noise", noise, FIXAR_MODE_NOISE, FIXAR_MODE_NOISE_NONE, FIXAR_MODE_NOISE_OU),
	FIXAR_FIELD("noise_sigma", noise_sigma, FIXAR_MODE_NOISE_SIGMA, 0,
		    FIXAR_MODE_NOISE_SIGMA_MAX),
	FIXAR_FIELD("noise_theta", noise_theta, FIXAR_MODE_NOISE_THETA, 0,
		    FIXAR_MODE_NOISE_THETA_MAX),
	FIXAR_FIELD("discount", discount, FIXAR_MODE_DISCOUNT, 0, FIXAR_MODE_DISCOUNT_MAX),
	FIXAR_FIELD("tau", tau, FIXAR_MODE_TAU, FIXAR_MODE_TAU_MIN, FIXAR_MODE_TAU_MAX),
	FIXAR_FIELD("beta1", beta1, FIXAR_MODE_BETA1, 0, FIXAR_MODE_BETA1_MAX),
	FIXAR_FIELD("one_minus_beta2", one_minus_beta2, FIXAR_MODE_ONE_MINUS_BETA2,
		    FIXAR_MODE_ONE_MINUS_BETA2_MIN, FIXAR_MODE_ONE_MINUS_BETA2_MAX),
	FIXAR_FIELD("actor_rate_mantissa", rate_mantissa[0], FIXAR_MODE_RATE_MANTISSA,
		    FIXAR_MODE_RATE_MANTISSA_MIN, FIXAR_MODE_RATE_MANTISSA_MAX),
	FIXAR_FIELD("critic_rate_mantissa", rate_mantissa[1],
		    FIXAR_CRITIC(FIXAR_MODE_RATE_MANTISSA), FIXAR_MODE_RATE_MANTISSA_MIN,
		    FIXAR_MODE_RATE_MANTISSA_MAX),
	FIXAR_FIELD("actor_rate_exponent", rate_exponent[0], FIXAR_MODE_RATE_EXPONENT,
		    FIXAR_MODE_RATE_EXPONENT_MIN, FIXAR_MODE_RATE_EXPONENT_MAX),
	FIXAR_FIELD("critic_rate_exponent", rate_exponent[1],
		    FIXAR_CRITIC(FIXAR_MODE_RATE_EXPONENT), FIXAR_MODE_RATE_EXPONENT_MIN,
		    FIXAR_MODE_RATE_EXPONENT_MAX),
	FIXAR_SIGNED_FIELD("actor_gradient_scale", gradient_scale[0], FIXAR_MODE_GRADIENT_SCALE,
			   FIXAR_MODE_GRADIENT_SCALE_MIN, FIXAR_MODE_GRADIENT_SCALE_MAX),
	FIXAR_SIGNED_FIELD("critic_gradient_scale", gradient_scale[1],
			   FIXAR_CRITIC(FIXAR_MODE_GRADIENT_SCALE), FIXAR_MODE_GRADIENT_SCALE_MIN,
			   FIXAR_MODE_GRADIENT_SCALE_MAX),
};

const unsigned int fixar_mode_field_count = ARRAY_SIZE(fixar_mode_fields);

/* The table names every word of the struct. */
static_assert(ARRAY_SIZE(fixar_mode_fields) * sizeof(u32) == sizeof(struct drm_fixar_mode));

/* As struct drm_fixar_mode documents them. */
const struct drm_fixar_mode fixar_mode_initial = {
	.precision = DRM_FIXAR_PRECISION_FULL,
	.parallelism = DRM_FIXAR_PARALLELISM_AUTO,
	.noise = DRM_FIXAR_NOISE_NONE,
	.discount = 2126008812,
	.tau = 10737418,
	.beta1 = 1932735283,
	.one_minus_beta2 = 4294967,
	.rate_mantissa = { 1099511628, 1099511628 },
	.rate_exponent = { 40, 40 },
	.gradient_scale = { 2, 0 },
};

u32 fixar_mode_get(const struct drm_fixar_mode *mode, const struct fixar_mode_field *field)
{
	return *(const u32 *)((const u8 *)mode + field->offset);
}

void fixar_mode_set(struct drm_fixar_mode *mode, const struct fixar_mode_field *field, u32 value)
{
	*(u32 *)((u8 *)mode + field->offset) = value;
}

bool fixar_mode_valid(const struct drm_fixar_mode *mode)
{
	const struct fixar_mode_field *field;
	unsigned int i;
	s64 value;
	u32 word;

	for (i = 0; i < fixar_mode_field_count; i++) {
		field = &fixar_mode_fields[i];
		word = fixar_mode_get(mode, field);
		value = field->is_signed ? (s64)(s32)word : (s64)word;
		if (value < field->min || value > field->max)
			return false;
	}
	return true;
}

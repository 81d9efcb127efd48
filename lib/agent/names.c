// SPDX-License-Identifier: MIT
/* Names that the public interface hands out. */
#include <errno.h>
#include <string.h>

#include <fixar/fixar.h>

#include "device/log.h"
#include "step/step.h"

#define STRING(x) #x
#define VERSION(major, minor, patch) STRING(major) "." STRING(minor) "." STRING(patch)

static const char *const precision_name[] = {
	[FIXAR_FLOAT32] = "float32",
	[FIXAR_FIXED32] = "fixed32",
	[FIXAR_QAT16] = "qat16",
	[FIXAR_QAT16X16] = "qat16x16",
};

static const char *const saturation_name[] = {
	[STEP_SATURATION_ACTIVATION] = "activation",
	[STEP_SATURATION_ACTIVATION_QUANTIZER] = "activation_quantizer",
	[STEP_SATURATION_WEIGHT_QUANTIZER] = "weight_quantizer",
	[STEP_SATURATION_GRADIENT] = "gradient",
	[STEP_SATURATION_GRADIENT_QUANTIZER] = "gradient_quantizer",
	[STEP_SATURATION_WEIGHT_GRADIENT] = "weight_gradient",
	[STEP_SATURATION_MOMENT] = "moment",
	[STEP_SATURATION_RATIO] = "ratio",
	[STEP_SATURATION_WEIGHT] = "weight",
	[STEP_SATURATION_TARGET_VALUE] = "target_value",
	[STEP_SATURATIONS] = "input",
};

_Static_assert(sizeof(saturation_name) / sizeof(saturation_name[0]) == FIXAR_SATURATIONS, "a counter without a name");

const char *fixar_version(void)
{
	return VERSION(FIXAR_VERSION_MAJOR, FIXAR_VERSION_MINOR, FIXAR_VERSION_PATCH);
}

const char *fixar_strerror(int error)
{
	return error ? log_errno(error) : "success";
}

const char *fixar_precision_name(enum fixar_precision precision)
{
	return (unsigned int)precision <= FIXAR_QAT16X16 ? precision_name[precision] : "unknown";
}

int fixar_precision_parse(const char *name, enum fixar_precision *precision)
{
	for (unsigned int i = 0; name && i <= FIXAR_QAT16X16; i++) {
		if (!strcmp(name, precision_name[i])) {
			*precision = (enum fixar_precision)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *fixar_saturation_name(unsigned index)
{
	return index < FIXAR_SATURATIONS ? saturation_name[index] : "unknown";
}

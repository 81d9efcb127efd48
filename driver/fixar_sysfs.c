// SPDX-License-Identifier: GPL-2.0-only
/*
 * sysfs, below the PCI device:
 *
 *	fixar/reset	write 1: function or bus reset. Copies are repeated, the core's job ends
 *	fixar_mode/NAME	the mode of contexts to come, field by field (struct drm_fixar_mode)
 *
 * Both are root's to write.
 */
#include <linux/device.h>
#include <linux/kstrtox.h>
#include <linux/sysfs.h>

#include "fixar_device.h"

static ssize_t reset_store(struct device *dev, struct device_attribute *attr, const char *buf,
			   size_t count)
{
	struct fixar_device *fdev = dev_get_drvdata(dev);
	bool value;
	int ret;

	ret = kstrtobool(buf, &value);
	if (ret)
		return ret;
	if (!value)
		return -EINVAL;
	if (fixar_state(fdev) == FIXAR_GONE)
		return -ENODEV;
	fixar_event(fdev, FIXAR_EVENT_RESET);
	return count;
}
static DEVICE_ATTR_WO(reset);

static struct attribute *fixar_attrs[] = {
	&dev_attr_reset.attr,
	NULL,
};

static const struct attribute_group fixar_group = {
	.name = "fixar",
	.attrs = fixar_attrs,
};

struct fixar_mode_attribute {
	struct device_attribute base;
	unsigned int field;
};

static const struct fixar_mode_field *fixar_attr_field(struct device_attribute *attr)
{
	return &fixar_mode_fields[container_of(attr, struct fixar_mode_attribute, base)->field];
}

static ssize_t fixar_mode_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct fixar_mode_field *field = fixar_attr_field(attr);
	struct fixar_device *fdev = dev_get_drvdata(dev);
	u32 value;

	spin_lock(&fdev->default_lock);
	value = fixar_mode_get(&fdev->default_mode, field);
	spin_unlock(&fdev->default_lock);
	return field->is_signed ? sysfs_emit(buf, "%d\n", (s32)value)
				: sysfs_emit(buf, "%u\n", value);
}

static ssize_t fixar_mode_store(struct device *dev, struct device_attribute *attr, const char *buf,
				size_t count)
{
	const struct fixar_mode_field *field = fixar_attr_field(attr);
	struct fixar_device *fdev = dev_get_drvdata(dev);
	s64 value;
	int ret;

	ret = kstrtos64(buf, 0, &value);
	if (ret)
		return ret;
	if (value < field->min || value > field->max)
		return -EINVAL;
	spin_lock(&fdev->default_lock);
	fixar_mode_set(&fdev->default_mode, field, (u32)value);
	spin_unlock(&fdev->default_lock);
	return count;
}

/* In the order of fixar_mode_fields[]. */
#define FIXAR_MODE_ATTR(_name, _field)                                          \
	static struct fixar_mode_attribute fixar_mode_##_name = {               \
		.base = __ATTR(_name, 0644, fixar_mode_show, fixar_mode_store), \
		.field = _field,                                                \
	}

FIXAR_MODE_ATTR(precision, 0);
FIXAR_MODE_ATTR(quantization, 1);
FIXAR_MODE_ATTR(parallelism, 2);
FIXAR_MODE_ATTR(noise, 3);
FIXAR_MODE_ATTR(noise_sigma, 4);
FIXAR_MODE_ATTR(noise_theta, 5);
FIXAR_MODE_ATTR(discount, 6);
FIXAR_MODE_ATTR(tau, 7);
FIXAR_MODE_ATTR(beta1, 8);
FIXAR_MODE_ATTR(one_minus_beta2, 9);
FIXAR_MODE_ATTR(actor_rate_mantissa, 10);
FIXAR_MODE_ATTR(critic_rate_mantissa, 11);
FIXAR_MODE_ATTR(actor_rate_exponent, 12);
FIXAR_MODE_ATTR(critic_rate_exponent, 13);
FIXAR_MODE_ATTR(actor_gradient_scale, 14);
FIXAR_MODE_ATTR(critic_gradient_scale, 15);

static struct attribute *fixar_mode_attrs[] = {
	&fixar_mode_precision.base.attr,
	&fixar_mode_quantization.base.attr,
	&fixar_mode_parallelism.base.attr,
	&fixar_mode_noise.base.attr,
	&fixar_mode_noise_sigma.base.attr,
	&fixar_mode_noise_theta.base.attr,
	&fixar_mode_discount.base.attr,
	&fixar_mode_tau.base.attr,
	&fixar_mode_beta1.base.attr,
	&fixar_mode_one_minus_beta2.base.attr,
	&fixar_mode_actor_rate_mantissa.base.attr,
	&fixar_mode_critic_rate_mantissa.base.attr,
	&fixar_mode_actor_rate_exponent.base.attr,
	&fixar_mode_critic_rate_exponent.base.attr,
	&fixar_mode_actor_gradient_scale.base.attr,
	&fixar_mode_critic_gradient_scale.base.attr,
	NULL,
};

static const struct attribute_group fixar_mode_group = {
	.name = "fixar_mode",
	.attrs = fixar_mode_attrs,
};

const struct attribute_group *fixar_sysfs_groups[] = {
	&fixar_group,
	&fixar_mode_group,
	NULL,
};

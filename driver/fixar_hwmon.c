// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sensors of the card management controller (CMS, PG348): volts, amperes, watts, temperatures. All
 * are read together, at most once a second. A controller that is absent or dead costs its sensors
 * and nothing else.
 */
#include <linux/delay.h>
#include <linux/hwmon.h>
#include <linux/jiffies.h>

#include "fixar_device.h"

#define FIXAR_CMS_READY_MS 2000
#define FIXAR_CMS_POLL_MS 50
#define FIXAR_CMS_DEAD_MS 5000 /* the heartbeat has not changed for as long */
#define FIXAR_RAILS 3
#define FIXAR_TEMPERATURES 3

/* More is no sensor's value: a card that answers nonsense has no watts. mV, mA, degrees. */
#define FIXAR_CMS_LIMIT 100000u
#define FIXAR_CMS_DEGREES 1000u

struct fixar_hwmon {
	struct fixar_device *fdev;
	struct mutex lock; /* all below; a leaf */
	unsigned long read_at;
	unsigned long beat_at;
	bool read;
	u32 beat;
	u32 volts[FIXAR_RAILS];
	u32 amperes[FIXAR_RAILS];
	u32 degrees[FIXAR_TEMPERATURES];
};

static const u32 fixar_volts[FIXAR_RAILS] = { FIXAR_CMS_12V_PEX, FIXAR_CMS_3V3_PEX,
					      FIXAR_CMS_12V_AUX };
static const u32 fixar_amperes[FIXAR_RAILS] = { FIXAR_CMS_12V_PEX_CURRENT,
						FIXAR_CMS_3V3_PEX_CURRENT,
						FIXAR_CMS_12V_AUX_CURRENT };
static const u32 fixar_degrees[FIXAR_TEMPERATURES] = { FIXAR_CMS_FPGA_TEMPERATURE,
						       FIXAR_CMS_HBM_TEMPERATURE,
						       FIXAR_CMS_HBM2_TEMPERATURE };
static const char *const fixar_rail_names[FIXAR_RAILS] = { "12V_PEX", "3V3_PEX", "12V_AUX" };
static const char *const fixar_temp_names[FIXAR_TEMPERATURES] = { "FPGA", "HBM1", "HBM2" };

static int fixar_hwmon_read_all(struct fixar_hwmon *hwmon)
{
	struct fixar_device *fdev = hwmon->fdev;
	u32 beat, i;

	lockdep_assert_held(&hwmon->lock);

	if (hwmon->read && time_before(jiffies, hwmon->read_at + HZ))
		return 0;
	if (fixar_state(fdev) != FIXAR_OK)
		return -ENODATA;

	beat = fixar_read(fdev, FIXAR_CMS_HEARTBEAT);
	if (fixar_read(fdev, FIXAR_CMS_ID) != FIXAR_CMS_ID_VALUE)
		return -ENODATA;
	if (!hwmon->read || beat != hwmon->beat) {
		hwmon->beat = beat;
		hwmon->beat_at = jiffies;
	} else if (time_after(jiffies, hwmon->beat_at + msecs_to_jiffies(FIXAR_CMS_DEAD_MS)) &&
		   time_before(hwmon->read_at,
			       hwmon->beat_at + msecs_to_jiffies(FIXAR_CMS_DEAD_MS))) {
		/* The first look after a long pause: only a second one tells. */
		hwmon->beat_at = jiffies - msecs_to_jiffies(FIXAR_CMS_DEAD_MS) / 2;
	} else if (time_after(jiffies, hwmon->beat_at + msecs_to_jiffies(FIXAR_CMS_DEAD_MS))) {
		return -ENODATA;
	}

	for (i = 0; i < FIXAR_RAILS; i++) {
		hwmon->volts[i] = fixar_read(fdev, fixar_volts[i] + FIXAR_CMS_SENSOR_NOW);
		hwmon->amperes[i] = fixar_read(fdev, fixar_amperes[i] + FIXAR_CMS_SENSOR_NOW);
		if (hwmon->volts[i] > FIXAR_CMS_LIMIT || hwmon->amperes[i] > FIXAR_CMS_LIMIT)
			return -ENODATA;
	}
	for (i = 0; i < FIXAR_TEMPERATURES; i++) {
		hwmon->degrees[i] = fixar_read(fdev, fixar_degrees[i] + FIXAR_CMS_SENSOR_NOW);
		if (hwmon->degrees[i] > FIXAR_CMS_DEGREES)
			return -ENODATA;
	}
	hwmon->read_at = jiffies;
	hwmon->read = true;
	return 0;
}

static u64 fixar_hwmon_power(const struct fixar_hwmon *hwmon)
{
	u64 microwatts = 0;
	u32 i;

	for (i = 0; i < FIXAR_RAILS; i++)
		microwatts += (u64)hwmon->volts[i] * hwmon->amperes[i];
	return microwatts;
}

static int fixar_hwmon_read(struct device *dev, enum hwmon_sensor_types type, u32 attr, int channel,
			    long *value)
{
	struct fixar_hwmon *hwmon = dev_get_drvdata(dev);
	int idx;
	int ret;

	if (!drm_dev_enter(&hwmon->fdev->drm, &idx))
		return -ENODEV;
	mutex_lock(&hwmon->lock);
	ret = fixar_hwmon_read_all(hwmon);
	if (ret)
		goto out;
	switch (type) {
	case hwmon_power:
		*value = min_t(u64, fixar_hwmon_power(hwmon), LONG_MAX);
		break;
	case hwmon_in:
		*value = hwmon->volts[channel];
		break;
	case hwmon_curr:
		*value = hwmon->amperes[channel];
		break;
	case hwmon_temp:
		*value = hwmon->degrees[channel] * 1000;
		break;
	default:
		ret = -EOPNOTSUPP;
	}
out:
	mutex_unlock(&hwmon->lock);
	drm_dev_exit(idx);
	return ret;
}

static int fixar_hwmon_read_string(struct device *dev, enum hwmon_sensor_types type, u32 attr,
				   int channel, const char **value)
{
	switch (type) {
	case hwmon_power:
		*value = "card";
		return 0;
	case hwmon_in:
	case hwmon_curr:
		*value = fixar_rail_names[channel];
		return 0;
	case hwmon_temp:
		*value = fixar_temp_names[channel];
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static umode_t fixar_hwmon_is_visible(const void *data, enum hwmon_sensor_types type, u32 attr,
				      int channel)
{
	return 0444;
}

static const struct hwmon_ops fixar_hwmon_ops = {
	.is_visible = fixar_hwmon_is_visible,
	.read = fixar_hwmon_read,
	.read_string = fixar_hwmon_read_string,
};

static FIXAR_HWMON_INFO fixar_hwmon_info[] = {
	HWMON_CHANNEL_INFO(power, HWMON_P_INPUT | HWMON_P_LABEL),
	HWMON_CHANNEL_INFO(in, HWMON_I_INPUT | HWMON_I_LABEL, HWMON_I_INPUT | HWMON_I_LABEL,
			   HWMON_I_INPUT | HWMON_I_LABEL),
	HWMON_CHANNEL_INFO(curr, HWMON_C_INPUT | HWMON_C_LABEL, HWMON_C_INPUT | HWMON_C_LABEL,
			   HWMON_C_INPUT | HWMON_C_LABEL),
	HWMON_CHANNEL_INFO(temp, HWMON_T_INPUT | HWMON_T_LABEL, HWMON_T_INPUT | HWMON_T_LABEL,
			   HWMON_T_INPUT | HWMON_T_LABEL),
	NULL
};

static const struct hwmon_chip_info fixar_hwmon_chip = {
	.ops = &fixar_hwmon_ops,
	.info = fixar_hwmon_info,
};

static bool fixar_cms_start(struct fixar_device *fdev)
{
	int waited;

	if (!fixar_read(fdev, FIXAR_CMS_MB_RESETN))
		fixar_write(fdev, FIXAR_CMS_MB_RESETN, 1);
	for (waited = 0; waited <= FIXAR_CMS_READY_MS; waited += FIXAR_CMS_POLL_MS) {
		if (fixar_read(fdev, FIXAR_CMS_ID) == FIXAR_CMS_ID_VALUE &&
		    (fixar_read(fdev, FIXAR_CMS_HOST_STATUS2) & FIXAR_CMS_HOST_STATUS2_READY))
			return true;
		msleep(FIXAR_CMS_POLL_MS);
	}
	return false;
}

/* Never fails the probe. */
void fixar_hwmon_init(struct fixar_device *fdev)
{
	struct device *dev = fixar_dev(fdev);
	struct fixar_hwmon *hwmon;
	struct device *made;

	if (!(fdev->info.capabilities & DRM_FIXAR_CAP_SENSORS))
		return;
	if (!fixar_cms_start(fdev)) {
		dev_warn(dev, "the card management controller does not answer: no sensors\n");
		return;
	}
	hwmon = devm_kzalloc(dev, sizeof(*hwmon), GFP_KERNEL);
	if (!hwmon)
		return;
	hwmon->fdev = fdev;
	mutex_init(&hwmon->lock);
	made = devm_hwmon_device_register_with_info(dev, FIXAR_NAME, hwmon, &fixar_hwmon_chip,
						    NULL);
	if (IS_ERR(made))
		dev_warn(dev, "no sensors: %ld\n", PTR_ERR(made));
}

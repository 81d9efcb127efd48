// SPDX-License-Identifier: MIT
/* The card management subsystem: a processor that has to be started, sensors, a heartbeat. */
#include "sensors.h"

#include <string.h>

#include "card.h"
#include "hw/fixar_regs.h"

#define START_NS UINT64_C(100000000) /* from its reset to the first values */
#define HEARTBEAT_NS UINT64_C(100000000)
#define STATUS_SATELLITE_NORMAL 0x10000000u
#define FIRMWARE 0x0c000001u

/* Values of an idle U50. The 12 V connector does not exist there. */
static const struct {
	const char *name;
	uint32_t offset, value;
} table[SENSORS] = {
	[SENSOR_12V_PEX] = { "12v-pex", FIXAR_CMS_12V_PEX, 12100 },
	[SENSOR_12V_PEX_CURRENT] = { "12v-pex-current", FIXAR_CMS_12V_PEX_CURRENT, 1850 },
	[SENSOR_3V3_PEX] = { "3v3-pex", FIXAR_CMS_3V3_PEX, 3290 },
	[SENSOR_3V3_PEX_CURRENT] = { "3v3-pex-current", FIXAR_CMS_3V3_PEX_CURRENT, 420 },
	[SENSOR_12V_AUX] = { "12v-aux", FIXAR_CMS_12V_AUX, 0 },
	[SENSOR_12V_AUX_CURRENT] = { "12v-aux-current", FIXAR_CMS_12V_AUX_CURRENT, 0 },
	[SENSOR_FPGA_TEMPERATURE] = { "fpga-temperature", FIXAR_CMS_FPGA_TEMPERATURE, 41 },
	[SENSOR_HBM_TEMPERATURE] = { "hbm-temperature", FIXAR_CMS_HBM_TEMPERATURE, 44 },
	[SENSOR_HBM2_TEMPERATURE] = { "hbm2-temperature", FIXAR_CMS_HBM2_TEMPERATURE, 43 },
};

void sensors_reset(struct sensors *sensors)
{
	memset(sensors, 0, sizeof(*sensors));
	for (unsigned i = 0; i < SENSORS; i++)
		sensors->now[i] = sensors->maximum[i] = table[i].value;
}

const char *sensors_name(unsigned sensor)
{
	return sensor < SENSORS ? table[sensor].name : NULL;
}

bool sensors_set(struct sensors *sensors, const char *name, uint32_t value)
{
	for (unsigned i = 0; i < SENSORS; i++) {
		if (strcmp(table[i].name, name))
			continue;
		sensors->now[i] = value;
		if (value > sensors->maximum[i])
			sensors->maximum[i] = value;
		return true;
	}
	return false;
}

static uint32_t sensor_word(const struct sensors *sensors, uint32_t offset)
{
	for (unsigned i = 0; i < SENSORS; i++) {
		if (offset == table[i].offset + FIXAR_CMS_SENSOR_MAXIMUM)
			return sensors->maximum[i];
		/* What is set here does not move, so the average is what is now. */
		if (offset == table[i].offset + FIXAR_CMS_SENSOR_AVERAGE ||
		    offset == table[i].offset + FIXAR_CMS_SENSOR_NOW)
			return sensors->now[i];
	}
	return 0;
}

uint32_t sensors_read(struct card *card, uint32_t offset)
{
	const struct sensors *sensors = &card->sensors;
	const uint64_t age = card_now() - sensors->started;
	const bool dead = faults_strike(card, FAULT_CMS_DEAD, FAULT_ANYWHERE);
	const bool ready = sensors->running && age >= START_NS && !dead;

	switch (offset) {
	case FIXAR_CMS_MB_RESETN:
		return sensors->running;
	case FIXAR_CMS_ID:
		return ready || (dead && sensors->running) ? FIXAR_CMS_ID_VALUE : 0;
	case FIXAR_CMS_FIRMWARE:
		return ready ? FIRMWARE : 0;
	case FIXAR_CMS_STATUS:
		return ready ? STATUS_SATELLITE_NORMAL | FIXAR_CMS_STATUS_INIT_DONE : 0;
	case FIXAR_CMS_HEARTBEAT:
		return ready ? (uint32_t)(age / HEARTBEAT_NS) : 0;
	case FIXAR_CMS_HOST_STATUS2:
		return ready ? FIXAR_CMS_HOST_STATUS2_READY : 0;
	default:
		return ready || dead ? sensor_word(sensors, offset) : 0;
	}
}

void sensors_write(struct card *card, uint32_t offset, uint32_t value)
{
	struct sensors *sensors = &card->sensors;

	if (offset == FIXAR_CMS_MB_RESETN) {
		if ((value & 1) && !sensors->running)
			sensors->started = card_now();
		sensors->running = value & 1;
	} else if (offset == FIXAR_CMS_CONTROL && (value & 1)) {
		memcpy(sensors->maximum, sensors->now, sizeof(sensors->now));
	}
}

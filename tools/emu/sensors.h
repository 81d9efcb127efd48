/* SPDX-License-Identifier: MIT */
/* The card management subsystem (CMS, PG348) in BAR0: sensors, heartbeat. */
#ifndef FIXAR_EMU_SENSORS_H
#define FIXAR_EMU_SENSORS_H

#include <stdbool.h>
#include <stdint.h>

struct card;

enum sensor {
	SENSOR_12V_PEX,
	SENSOR_12V_PEX_CURRENT,
	SENSOR_3V3_PEX,
	SENSOR_3V3_PEX_CURRENT,
	SENSOR_12V_AUX,
	SENSOR_12V_AUX_CURRENT,
	SENSOR_FPGA_TEMPERATURE,
	SENSOR_HBM_TEMPERATURE,
	SENSOR_HBM2_TEMPERATURE,
	SENSORS
};

struct sensors {
	bool running;	  /* its processor is out of reset */
	uint64_t started; /* when */
	uint32_t now[SENSORS], maximum[SENSORS];
};

/* Power-on; no other reset reaches the CMS. */
void sensors_reset(struct sensors *sensors);

/* A word of the CMS's window, by offset in BAR0. */
uint32_t sensors_read(struct card *card, uint32_t offset);
void sensors_write(struct card *card, uint32_t offset, uint32_t value);

/* NULL behind the last. */
const char *sensors_name(unsigned sensor);
/* What it shows from now on: mV, mA, degrees Celsius. False: there is none of that name. */
bool sensors_set(struct sensors *sensors, const char *name, uint32_t value);

#endif /* FIXAR_EMU_SENSORS_H */

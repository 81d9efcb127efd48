// SPDX-License-Identifier: MIT
#include "device/device.h"

#include <math.h>
#include <string.h>

#include "fx/fixed.h"

void device_statistics_set(struct device_statistics *statistics, const struct step_statistics *exact, uint32_t batch)
{
	statistics->critic_loss = ldexp((double)exact->loss_sum, -FX_LOSS) / (double)batch;
	statistics->mean_q = ldexp((double)exact->q_sum, -FX_ACTIVATION) / (double)batch;
	memcpy(statistics->saturation, exact->saturation, sizeof(statistics->saturation));
}

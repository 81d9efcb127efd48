// SPDX-License-Identifier: MIT
/*
 * Sine and cosine from additions and multiplications.
 *
 * 1. Reduction (Cody and Waite): angle = quadrant * pi/2 + r with abs(r) <= pi/4. pi/2 is held in three parts, the
 * first two of 33 bits, so that their products with a quadrant number below 2^20 are exact. r is kept as a sum r + tail
 * of two doubles, since a rounded r near a multiple of pi/2 would spoil the small one of the two results.
 * 2. Taylor polynomials: on abs(r) <= pi/4 the first term left out is below 2^-60 of the result.
 */
#include "sincos.h"

#include <math.h>
#include <stdint.h>

#include "exact.h"

#define PI_2_A 0x1.921fb544p+0	      /* the first 33 bits of pi/2 */
#define PI_2_B 0x1.0b4611a6p-34	      /* the next 33 bits */
#define PI_2_C 0x1.3198a2e037073p-69  /* the rest, rounded */
#define INV_PI_2 0x1.45f306dc9c883p-1 /* 2/pi */
#define NEAREST (0x1.8p52)	      /* adding and subtracting it rounds to an integer */

/* sin(r + tail) = r + (r^3 * P(r^2) + tail * (1 - r^2/2)) */
static double sine_kernel(double r, double tail)
{
	const double z = r * r;
	double p = 1.0 / 355687428096000.0; /* 1/17! */

	p = p * z - 1.0 / 1307674368000.0;
	p = p * z + 1.0 / 6227020800.0;
	p = p * z - 1.0 / 39916800.0;
	p = p * z + 1.0 / 362880.0;
	p = p * z - 1.0 / 5040.0;
	p = p * z + 1.0 / 120.0;
	p = p * z - 1.0 / 6.0;
	return r + (r * z * p + tail * (1.0 - 0.5 * z));
}

/* cos(r + tail) = 1 - r^2/2 + (r^4 * Q(r^2) - r * tail); what 1 - r^2/2 loses in rounding is added back. */
static double cosine_kernel(double r, double tail)
{
	const double z = r * r;
	const double half = 0.5 * z;
	const double head = 1.0 - half;
	double q = -1.0 / 6402373705728000.0; /* 1/18! */

	q = q * z + 1.0 / 20922789888000.0;
	q = q * z - 1.0 / 87178291200.0;
	q = q * z + 1.0 / 479001600.0;
	q = q * z - 1.0 / 3628800.0;
	q = q * z + 1.0 / 40320.0;
	q = q * z - 1.0 / 720.0;
	q = q * z + 1.0 / 24.0;
	return head + (((1.0 - head) - half) + (z * z * q - r * tail));
}

void env_sincos(double angle, double *sine, double *cosine)
{
	double quadrant, first, high, low, r, tail, s, c;

	/* Written so that NaN takes this way too. */
	if (!(angle >= -ENV_SINCOS_MAX && angle <= ENV_SINCOS_MAX)) {
		*sine = *cosine = (double)NAN;
		return;
	}

	quadrant = (angle * INV_PI_2 + NEAREST) - NEAREST;
	first = angle - quadrant * PI_2_A; /* exact */
	high = quadrant * PI_2_B;	   /* exact */
	r = first - high;
	low = r - first;
	tail = (first - (r - low)) - (high + low); /* what the subtraction lost */
	tail -= quadrant * PI_2_C;
	high = r;
	r = high + tail;
	low = r - high;
	tail = (high - (r - low)) + (tail - low);

	s = sine_kernel(r, tail);
	c = cosine_kernel(r, tail);
	switch ((uint32_t)(int32_t)quadrant & 3) {
	case 0:
		*sine = s;
		*cosine = c;
		break;
	case 1:
		*sine = c;
		*cosine = -s;
		break;
	case 2:
		*sine = -s;
		*cosine = -c;
		break;
	default:
		*sine = -c;
		*cosine = s;
	}
}

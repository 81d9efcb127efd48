// SPDX-License-Identifier: MIT
/*
 * The loops are written as instructions, so that no compiler can leave out or move what is counted. Each has as many
 * independent sums as it takes to keep all multipliers busy, and its operands stay in registers.
 */
#include "bench_peak.h"

#include <string.h>

#if defined(__x86_64__)

#include "pe/amx.h"

#define LOOP(body, ...) __asm__ volatile(".p2align 5\n1:\n" body "dec %0\n\tjnz 1b\n" : "+r"(n) : : "cc", __VA_ARGS__)

/* product, sum: numbers of registers */
#define WIDE(v, product, sum)                                \
	"vpmuldq %%" v "14, %%" v "15, %%" v #product "\n\t" \
	"vpaddq %%" v #product ", %%" v #sum ", %%" v #sum "\n\t"
#define NARROW(v, product, sum)                               \
	"vpmaddwd %%" v "14, %%" v "15, %%" v #product "\n\t" \
	"vpaddd %%" v #product ", %%" v #sum ", %%" v #sum "\n\t"
#define ONE(instruction, v, sum) instruction " %%" v "14, %%" v "15, %%" v #sum "\n\t"

#define SEVEN(pair, v) \
	pair(v, 7, 0) pair(v, 8, 1) pair(v, 9, 2) pair(v, 10, 3) pair(v, 11, 4) pair(v, 12, 5) pair(v, 13, 6)
#define FOURTEEN(i, v)                                                                                          \
	ONE(i, v, 0)                                                                                            \
	ONE(i, v, 1) ONE(i, v, 2) ONE(i, v, 3) ONE(i, v, 4) ONE(i, v, 5) ONE(i, v, 6) ONE(i, v, 7) ONE(i, v, 8) \
		ONE(i, v, 9) ONE(i, v, 10) ONE(i, v, 11) ONE(i, v, 12) ONE(i, v, 13)

#define ALL_REGISTERS                                                                                              \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
		"xmm13", "xmm14", "xmm15"

/* Zeros: the speed of these instructions does not depend on values, but denormal floats would be slow. */
#define CLEAR __asm__ volatile("vzeroall" : : : ALL_REGISTERS)

static void wide_512(size_t n)
{
	CLEAR;
	LOOP(SEVEN(WIDE, "zmm"), ALL_REGISTERS);
}

static void narrow_512(size_t n)
{
	CLEAR;
	LOOP(SEVEN(NARROW, "zmm"), ALL_REGISTERS);
}

static void narrow_vnni(size_t n)
{
	CLEAR;
	LOOP(FOURTEEN("vpdpwssd", "zmm"), ALL_REGISTERS);
}

static void wide_256(size_t n)
{
	CLEAR;
	LOOP(SEVEN(WIDE, "ymm"), ALL_REGISTERS);
}

static void narrow_256(size_t n)
{
	CLEAR;
	LOOP(SEVEN(NARROW, "ymm"), ALL_REGISTERS);
}

static void float_256(size_t n)
{
	CLEAR;
	LOOP(FOURTEEN("vfmadd231ps", "ymm"), ALL_REGISTERS);
}

/*
 * Six tiles of sums, as many as the kernels can have beside their operands. All bytes are set: multipliers that are
 * given zeros need less power, and a processor may run them faster. No compiler keeps anything in tiles of its own
 * accord.
 */
#define TILE(sum) "tdpbuud %%tmm7, %%tmm6, %%tmm" #sum "\n\t"
#define TILE_BYTES 1024

static void tiles(size_t n)
{
	uint8_t bytes[TILE_BYTES];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(1 + i * 37);
	__asm__ volatile("ldtilecfg %0\n\t"
			 "tileloadd (%1, %2), %%tmm6\n\t"
			 "tileloadd (%1, %2), %%tmm7"
			 :
			 : "m"(pe_amx_tiles), "r"(bytes), "r"((size_t)64)
			 : "memory");
	LOOP(TILE(0) TILE(1) TILE(2) TILE(3) TILE(4) TILE(5), "memory");
	__asm__ volatile("tilerelease" : : : "memory");
}

static const struct bench_peak peaks[] = {
	{ "amx", "tdpbuud (tiles of bytes)", 6.0 * 16 * 16 * 64 / BENCH_BYTE_PRODUCTS, tiles },
	{ "amx", "vpmuldq, vpaddq (512 bits)", 7 * 8, wide_512 },
	{ "amx", "vpdpwssd (512 bits)", 14 * 32, narrow_vnni },
	{ "amx", "vfmadd231ps (256 bits)", 14 * 8, float_256 }, /* float32 has no wider kernels */
	{ "avx512", "vpmuldq, vpaddq (512 bits)", 7 * 8, wide_512 },
	{ "avx512", "vpdpwssd (512 bits)", 14 * 32, narrow_vnni },
	{ "avx512", "vfmadd231ps (256 bits)", 14 * 8, float_256 },
	{ "avx512 without VNNI", "vpmaddwd, vpaddd (512 bits)", 7 * 32, narrow_512 },
	{ "avx2", "vpmuldq, vpaddq (256 bits)", 7 * 4, wide_256 },
	{ "avx2", "vpmaddwd, vpaddd (256 bits)", 7 * 16, narrow_256 },
	{ "avx2", "vfmadd231ps (256 bits)", 14 * 8, float_256 },
};

static const struct bench_peak *find(const char *engine, void (*const runs[])(size_t), size_t count)
{
	for (size_t i = 0; i < sizeof(peaks) / sizeof(peaks[0]); i++)
		for (size_t r = 0; r < count; r++)
			if (!strcmp(peaks[i].engine, engine) && peaks[i].run == runs[r])
				return &peaks[i];
	return NULL;
}

const struct bench_peak *bench_peak(const char *engine, enum bench_peak_kind kind)
{
	static void (*const runs[PEAK_KINDS][3])(size_t) = {
		[PEAK_WIDE] = { tiles, wide_512, wide_256 }, /* an engine's first in the table */
		[PEAK_NARROW] = { narrow_vnni, narrow_512, narrow_256 },
		[PEAK_FLOAT] = { float_256 },
		[PEAK_VECTOR] = { wide_512 },
	};

	if (kind == PEAK_NARROW && !strcmp(engine, "avx512") && !__builtin_cpu_supports("avx512vnni"))
		engine = "avx512 without VNNI";
	if (kind == PEAK_FLOAT && !__builtin_cpu_supports("fma"))
		return NULL;
	if (kind == PEAK_VECTOR && strcmp(engine, "amx") != 0)
		return NULL;
	return find(engine, runs[kind], 3);
}

double bench_byte_products(const struct pe_engine *engine, const struct pe_product *product, void *scratch)
{
	uint64_t count, tiles_of_results;

	if (engine != &pe_amx)
		return 0;
	count = pe_amx_byte_products(product, scratch, &tiles_of_results);
	return tiles_of_results ? (double)count / (double)tiles_of_results : 0;
}

#elif defined(__aarch64__)

#define LOOP(body)                                                                                                \
	__asm__ volatile(".p2align 5\n1:\n" body "subs %0, %0, #1\n\tb.ne 1b\n"                                   \
			 : "+r"(n)                                                                                \
			 :                                                                                        \
			 : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v14", \
			   "v15")
#define TWELVE(i, to, from)                                                                                          \
	ONE(i, 0, to, from)                                                                                          \
	ONE(i, 1, to, from) ONE(i, 2, to, from) ONE(i, 3, to, from) ONE(i, 4, to, from) ONE(i, 5, to, from)          \
		ONE(i, 6, to, from) ONE(i, 7, to, from) ONE(i, 8, to, from) ONE(i, 9, to, from) ONE(i, 10, to, from) \
			ONE(i, 11, to, from)
#define ONE(i, sum, to, from) i " v" #sum "." to ", v14." from ", v15." from "\n\t"
#define CLEAR __asm__ volatile("movi v14.16b, #0\n\tmovi v15.16b, #0" : : : "v14", "v15")

static void wide_neon(size_t n)
{
	CLEAR;
	LOOP(TWELVE("smlal", "2d", "2s"));
}

static void narrow_neon(size_t n)
{
	CLEAR;
	LOOP(TWELVE("smlal", "4s", "4h"));
}

static void float_neon(size_t n)
{
	CLEAR;
	LOOP(TWELVE("fmla", "4s", "4s"));
}

const struct bench_peak *bench_peak(const char *engine, enum bench_peak_kind kind)
{
	static const struct bench_peak peaks[PEAK_KINDS] = {
		[PEAK_WIDE] = { "neon", "smlal (2 x 64 bits)", 12 * 2, wide_neon },
		[PEAK_NARROW] = { "neon", "smlal (4 x 32 bits)", 12 * 4, narrow_neon },
		[PEAK_FLOAT] = { "neon", "fmla (4 x float32)", 12 * 4, float_neon },
	};

	return strcmp(engine, "neon") || kind == PEAK_VECTOR ? NULL : &peaks[kind];
}

#else

const struct bench_peak *bench_peak(const char *engine, enum bench_peak_kind kind)
{
	(void)engine;
	(void)kind;
	return NULL;
}

#endif

#if !defined(__x86_64__)

double bench_byte_products(const struct pe_engine *engine, const struct pe_product *product, void *scratch)
{
	(void)engine;
	(void)product;
	(void)scratch;
	return 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/* The models themselves: made by cost_model_create(), and known to their tests. */
#ifndef FIXAR_LIB_COST_MODELS_H
#define FIXAR_LIB_COST_MODELS_H

#include "cost/cost.h"

/* ADC resolutions that the tables of energy and area name: 1 to this. */
#define RERAM_ADC_RESOLUTIONS 10

/* A ReRAM crossbar accelerator; lib/cost/reram.json says where each value comes from. */
struct reram_parameters {
	double rows, columns;	  /* cells of a crossbar */
	double cell_bits;	  /* weight bits in a cell: 2^cell_bits conductance levels */
	double input_bits;	  /* input bits in a read: the resolution of the DACs */
	double adc_bits;	  /* resolution that the ADCs are built for */
	double adcs;		  /* of a crossbar, which its columns share */
	double adc_adapts;	  /* 1: a conversion stops at the resolution that its column needs */
	double column_encoding;	  /* 1: columns are stored flipped where that saves the ADC one bit */
	double read_ns;		  /* a crossbar's settling time: the shortest cycle */
	double conversions_per_ns;
	double pipeline_cycles;	  /* of a layer beside its reads */
	double crossbars_per_tile;
	double cell_fj;		  /* energy of a cell in a read */
	double dac_pj;		  /* of driving a row in a read */
	double adc_pj[RERAM_ADC_RESOLUTIONS];
	double shift_add_pj;
	double buffer_bit_pj; /* of moving a bit between buffer and crossbars */
	double crossbar_um2;
	double dac_um2; /* of a row */
	double adc_um2[RERAM_ADC_RESOLUTIONS];
	double shift_add_um2; /* of a crossbar */
	double tile_um2;      /* buffer and bus of a tile */
	double variation;     /* of a cell's conductance: standard deviation, relative */
	double on_off_ratio;  /* largest conductance / smallest; 0: the smallest is 0 */
	double levels;	      /* conductances that a cell can be set to; 0: one for each code */
};

/* The metrics of the ReRAM model. */
enum reram_metric { RERAM_CROSSBARS, RERAM_ENERGY, RERAM_LATENCY, RERAM_AREA, RERAM_METRICS };

/* Where a layer lies and what it does. */
struct reram_mapping {
	uint64_t slices;       /* columns of one output */
	uint64_t row_blocks;   /* crossbars on top of each other */
	uint64_t column_blocks;
	uint64_t crossbars;
	uint64_t cells;	       /* with weight bits in them */
	double padding;	       /* share of the crossbars' cells that have none */
	uint64_t reads;	       /* of every crossbar, for one vector of inputs */
	double cycle_ns;
};

int reram_create(const char *parameter_file, struct cost_model **model, char *message, size_t message_size);
const struct reram_parameters *reram_parameters_of(const struct cost_model *model);
void reram_map(const struct reram_parameters *parameters, const struct cost_layer *layer,
	       const struct cost_widths *widths, struct reram_mapping *mapping);

/*
 * What a layer's weights become in cells that vary: `codes` are those of its weights [first, first + count), of `width`
 * bits (signed); noisy[] gets the values that the crossbars compute with, in units of a code. The draws depend on `seed`,
 * `stream` and a weight's number alone, so that a layer may be taken in pieces.
 */
void reram_disturb(const struct reram_parameters *parameters, uint32_t width, size_t first, size_t count,
		   const int32_t *codes, uint64_t seed, uint64_t stream, double *noisy);

/* The metrics of the FIXAR array. */
enum array_metric { ARRAY_CYCLES, ARRAY_MEMORY, ARRAY_METRICS };

int array_create(const char *parameter_file, struct cost_model **model, char *message, size_t message_size);
struct pe_array;
const struct pe_array *array_parameters_of(const struct cost_model *model, uint32_t *batch);

#endif /* FIXAR_LIB_COST_MODELS_H */

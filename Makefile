# SPDX-License-Identifier: MIT
# FIXAR: `make` builds the library and the tools into build/. `make help` lists the targets.

PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
O       ?= build

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
CFLAGS   ?= -O2 -g
# Signed overflow is never relied on; floating point at the edges is never contracted, so that Pendulum gives the same bits everywhere.
BASE     := -std=gnu11 -D_GNU_SOURCE -Iinclude -Ilib $(WARNINGS) -ffp-contract=off -pthread -MMD -MP
LDLIBS_LIB  := -ljansson -ldl -lm -pthread
LDLIBS_TOOL := -ljansson -lgsl -lgslcblas -lm -pthread

ARCH := $(shell $(CC) -dumpmachine | cut -d- -f1)

LIB_SRC := $(wildcard lib/fx/*.c lib/pe/*.c lib/nn/*.c lib/step/*.c lib/device/*.c lib/float32/*.c lib/env/*.c lib/qat/*.c \
	lib/checkpoint/*.c lib/metrics/*.c lib/ddpg/*.c lib/agent/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(O)/%.o)
TOOL_SRC := $(wildcard tools/fixar/*.c)
TOOL_OBJ := $(TOOL_SRC:%.c=$(O)/%.o)

all: $(O)/libfixar.so $(O)/libfixar.a $(O)/fixar plugins

# Loops over tensors outside the engines (ReLU and its mask): let the compiler vectorize them.
$(O)/lib/nn/%.o: EXTRA := -O3

# Files compiled for one instruction set extension; the engine table calls them only where the processor has it.
ifeq ($(ARCH),x86_64)
$(O)/%_avx2.o: EXTRA := -mavx2 -O3
$(O)/lib/float32/%_avx2.o: EXTRA := -mavx2 -mfma -O3
endif

$(O)/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -fPIC -fvisibility=hidden $(EXTRA) -c $< -o $@

$(O)/tools/%.o: tools/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -c $< -o $@

$(O)/libfixar.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(O)/libfixar.so.0: $(LIB_OBJ) lib/libfixar.map
	$(CC) $(CFLAGS) -shared -Wl,-soname,libfixar.so.0 -Wl,--version-script=lib/libfixar.map -o $@ $(LIB_OBJ) $(LDFLAGS) $(LDLIBS_LIB)

$(O)/libfixar.so: $(O)/libfixar.so.0
	ln -sf libfixar.so.0 $@

# The tool uses parts of the library that are not public (the array model, kernels to time), so it is linked statically; the
# dynamic symbols are for plug-ins.
$(O)/fixar: $(TOOL_OBJ) $(O)/libfixar.a
	$(CC) $(CFLAGS) -rdynamic -o $@ $(TOOL_OBJ) $(O)/libfixar.a $(LDFLAGS) $(LDLIBS_TOOL) -ldl

include lib/env/plugins.mk

clean:
	rm -rf $(O)

-include $(shell find $(O) -name '*.d' 2>/dev/null)

.PHONY: all plugins clean

# SPDX-License-Identifier: MIT
# FIXAR: `make` builds the library and the tool into build/. `make help` lists the targets.

all: # the first target; its parts stand below

# Where things are installed. DESTDIR goes before all of it and is never built in.
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/fixar
DESTDIR    ?=

CC      ?= cc
CFLAGS  ?= -O2 -g
INSTALL ?= install
# The folder of everything that is built; others may lie beside it or anywhere else: make O=/tmp/fixar CC=clang
O       ?= build
# WERROR=-Werror makes warnings errors, as `make check` does. Not the default: compilers to come know other warnings.
WERROR  ?=

# The ioctl header includes libdrm's drm.h.
DRM      := $(or $(shell pkg-config --cflags libdrm 2>/dev/null),-I/usr/include/libdrm)
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
# Floating point at the edges is never contracted, so that Pendulum gives the same bits everywhere.
BASE     := -std=gnu11 -D_GNU_SOURCE -Iinclude -Iinclude/uapi -Ilib $(DRM) $(WARNINGS) $(WERROR) -ffp-contract=off -pthread -MMD -MP
LDLIBS_LIB  := -ljansson -ldrm -lpci -ldl -lm -pthread
LDLIBS_TOOL := -ljansson -ldrm -lpci -lgsl -lgslcblas -lm -pthread

ARCH := $(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1)

# The version stands in the public header; the newest node of the symbol map must be of the same one, or a function of this
# version would be exported as one of an older.
MAP     := lib/libfixar.map
VERSION := $(shell awk '/define FIXAR_VERSION_/ { v = v dot $$3; dot = "." } END { print v }' include/fixar/fixar.h)
NODE    := $(shell sed -n 's/^LIBFIXAR_\([0-9.]*\) {/\1/p' $(MAP) | tail -n 1)
ifneq ($(filter $(NODE).%,$(VERSION)),$(VERSION))
$(error The newest node of $(MAP) is LIBFIXAR_$(NODE), but include/fixar/fixar.h says version $(VERSION))
endif

LIB_SRC := $(wildcard lib/fx/*.c lib/pe/*.c lib/nn/*.c lib/step/*.c lib/device/*.c lib/float32/*.c lib/env/*.c lib/qat/*.c \
	lib/checkpoint/*.c lib/metrics/*.c lib/ddpg/*.c lib/agent/*.c lib/cost/*.c lib/ppo/*.c lib/quantize/*.c)
# Kernels of other architectures.
LIB_SRC := $(filter-out $(if $(filter x86_64,$(ARCH)),,%_avx2.c %_avx512.c) $(if $(filter aarch64,$(ARCH)),,%_neon.c),$(LIB_SRC))
LIB_OBJ := $(LIB_SRC:%.c=$(O)/%.o)
TOOL_SRC := $(wildcard tools/fixar/*.c)
TOOL_OBJ := $(TOOL_SRC:%.c=$(O)/%.o) $(O)/tools/fixar/golden_train.o

all: $(O)/libfixar.so $(O)/libfixar.a $(O)/libfixar.pc $(O)/fixar $(O)/fixar-emu plugins

# Loops over tensors outside the engines (ReLU and its mask): let the compiler vectorize them.
$(O)/lib/nn/%.o: EXTRA := -O3

# Files compiled for one instruction set extension; the engine table calls them only where the processor has it.
ifeq ($(ARCH),x86_64)
$(O)/%_avx2.o: EXTRA := -mavx2 -O3
AVX512 := -mavx512f -mavx512cd -mavx512dq -mavx512vl -mavx512bw -mprefer-vector-width=512 -O3
$(O)/%_avx512.o: EXTRA := $(AVX512)
$(O)/%_vnni_avx512.o: EXTRA := $(AVX512) -mavx512vnni
$(O)/%_amx_avx512.o: EXTRA := $(AVX512) -mamx-tile -mamx-int8
$(O)/lib/float32/%_avx2.o: EXTRA := -mavx2 -mfma -O3
endif
$(O)/lib/pe/%_neon.o: EXTRA := -O3

# Files that change when what is in them does: objects are made again with another compiler or other flags, and what holds a
# path of the installation with another path.
$(O)/flags: NOW = $(CC) $(BASE) $(CFLAGS) $(LDFLAGS)
$(O)/paths: NOW = $(PREFIX) $(LIBDIR) $(INCLUDEDIR)
$(O)/flags $(O)/paths: FORCE
	@mkdir -p $(@D)
	@echo '$(NOW)' | cmp -s - $@ || echo '$(NOW)' > $@
FORCE:

$(O)/lib/%.o: lib/%.c $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -fPIC -fvisibility=hidden $(EXTRA) -c $< -o $@

$(O)/tools/%.o: tools/%.c $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -c $< -o $@

# The golden vectors are part of the tool: fixar conform plays them.
$(O)/tools/fixar/golden_train.o: tools/fixar/golden_train.S selftests/lib/golden/train.txt $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c $< -o $@

$(O)/libfixar.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(O)/libfixar.so.0: $(LIB_OBJ) $(MAP)
	$(CC) $(CFLAGS) -shared -Wl,-soname,libfixar.so.0 -Wl,--version-script=$(MAP) -o $@ $(LIB_OBJ) $(LDFLAGS) $(LDLIBS_LIB)

$(O)/libfixar.so: $(O)/libfixar.so.0
	ln -sf libfixar.so.0 $@

$(O)/libfixar.pc: lib/libfixar.pc.in $(O)/paths include/fixar/fixar.h
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' $< > $@

# The tool uses parts of the library that are not public (the array model, kernels to time), so it is linked statically; the
# dynamic symbols are for plug-ins.
$(O)/fixar: $(TOOL_OBJ) $(O)/libfixar.a
	$(CC) $(CFLAGS) -rdynamic -o $@ $(TOOL_OBJ) $(O)/libfixar.a $(LDFLAGS) $(LDLIBS_TOOL) -ldl

include lib/env/plugins.mk
include lib/cost/cost.mk
include selftests/tests.mk
include tools/emu/emu.mk
include selftests/fuzz/fuzz.mk
include selftests/machine/machine.mk
include driver/driver.mk
include selftests/driver/driver.mk

# ---- Installation ----

PLUGINS  = $(if $(filter yes,$(MUJOCO)),$(O)/env-mujoco.so)
MAN     := $(wildcard tools/man/*.1 lib/man/*.3 lib/man/*.7)
HEADERS := $(wildcard include/fixar/*.h)
EXAMPLES := $(wildcard lib/examples/*)
DOCS    := README.md $(wildcard lib/*.md lib/*/*.md)
man_dir  = $(DESTDIR)$(MANDIR)/man$(patsubst .%,%,$(suffix $(1)))

install: all
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(LIBDIR)/fixar
	$(INSTALL) -d $(DESTDIR)$(INCLUDEDIR)/fixar $(DESTDIR)$(DOCDIR)/examples $(sort $(foreach page,$(MAN),$(call man_dir,$(page))))
	$(INSTALL) -m 755 $(O)/fixar $(O)/fixar-emu $(DESTDIR)$(BINDIR)/
	$(INSTALL) -m 755 $(O)/libfixar.so.0 $(DESTDIR)$(LIBDIR)/
	ln -sf libfixar.so.0 $(DESTDIR)$(LIBDIR)/libfixar.so
	$(INSTALL) -m 644 $(O)/libfixar.a $(DESTDIR)$(LIBDIR)/
	$(INSTALL) -m 644 $(O)/libfixar.pc $(DESTDIR)$(LIBDIR)/pkgconfig/
	$(if $(PLUGINS),$(INSTALL) -m 755 $(PLUGINS) $(DESTDIR)$(LIBDIR)/fixar/)
	$(INSTALL) -m 644 $(HEADERS) $(DESTDIR)$(INCLUDEDIR)/fixar/
	$(INSTALL) -D -m 644 include/uapi/drm/fixar_accel.h $(DESTDIR)$(INCLUDEDIR)/drm/fixar_accel.h
	$(INSTALL) -m 644 $(EXAMPLES) $(DESTDIR)$(DOCDIR)/examples/
	$(INSTALL) -m 644 $(DOCS) $(DESTDIR)$(DOCDIR)/
	$(foreach page,$(MAN),$(INSTALL) -m 644 $(page) $(call man_dir,$(page))/ &&) :

# Folders of our own go when they are empty; those of others stay.
uninstall:
	rm -f $(DESTDIR)$(BINDIR)/fixar $(DESTDIR)$(BINDIR)/fixar-emu $(addprefix $(DESTDIR)$(LIBDIR)/,libfixar.so.0 libfixar.so libfixar.a pkgconfig/libfixar.pc)
	rm -f $(DESTDIR)$(LIBDIR)/fixar/env-mujoco.so $(addprefix $(DESTDIR)$(INCLUDEDIR)/fixar/,$(notdir $(HEADERS))) $(DESTDIR)$(INCLUDEDIR)/drm/fixar_accel.h
	rm -f $(addprefix $(DESTDIR)$(DOCDIR)/examples/,$(notdir $(EXAMPLES))) $(addprefix $(DESTDIR)$(DOCDIR)/,$(notdir $(DOCS)))
	rm -f $(foreach page,$(MAN),$(call man_dir,$(page))/$(notdir $(page)))
	rmdir $(addprefix $(DESTDIR),$(LIBDIR)/fixar $(INCLUDEDIR)/fixar $(INCLUDEDIR)/drm $(DOCDIR)/examples $(DOCDIR)) 2>/dev/null || :

# ---- For people ----

# Each of these installs what it needs first, so it builds in a make of its own, which looks anew at what there is.
run:
	@selftests/install-packages run
	+@$(SUBMAKE) all
	@tools/first-run $(O)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

help:
	@echo 'make                  the library, the tool and the plug-ins, in $(O)/'
	@echo 'make run              installs what is missing, builds, trains Pendulum until it is solved and shows the result'
	@echo 'make check            installs what is missing and passes every test (on a new machine at most 25 minutes)'
	@echo 'make install          into PREFIX ($(PREFIX)); DESTDIR goes before it. make uninstall takes it away'
	@echo 'make driver           fixar.ko for the kernel KVER ($(KVER)); make load, make unload: into the running kernel and out'
	@echo 'make modules_install  the module and the udev rule, below INSTALL_MOD_PATH. make dkms_install: its source, for dkms'
	@echo 'make check-all        the same, with the driver on all kernels and all repetitions (hours)'
	@echo 'make check-sanitize   the tests again with the address, undefined-behaviour and thread sanitizers'
	@echo 'make check-fuzz       the reader of checkpoints, and the emulated card, against mutated input, FUZZ_SECONDS=600 each'
	@echo 'make check-vm         the virtual machine that tests the driver: boots each kernel (fetches them first, as root)'
	@echo 'make check-debug      the driver on a kernel with KASAN, lockdep and the like (builds that kernel first: 20 minutes, once)'
	@echo 'make check-learning   the studies: full-length training in all precisions (hours)'
	@echo 'make format           clang-format over all C files'
	@echo 'make clean            removes $(O)/'
	@echo
	@echo 'Variables: O (folder of the build), CC, CFLAGS, LDFLAGS, WERROR, PREFIX, BINDIR, LIBDIR, INCLUDEDIR, MANDIR, DOCDIR'

clean:
	rm -rf $(O)

-include $(LIB_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(MUJOCO_OBJ:.o=.d)

.PHONY: all plugins install uninstall run format help clean FORCE

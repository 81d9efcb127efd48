# SPDX-License-Identifier: MIT
# Building and running the tests. Included by the Makefile.

# A test is one file that links with the static library, whose inner functions it may call. Those that need more have rules of
# their own (lib/env/plugins.mk); a flag for one test is set so:  $(O)/selftests/NAME_test: EXTRA := -Wl,--wrap=write
, := ,
TESTS := $(patsubst selftests/lib/%.c,$(O)/selftests/%,$(wildcard selftests/lib/*_test.c))
ifneq ($(MUJOCO),yes)
TESTS := $(filter-out %/env_mujoco_test,$(TESTS))
endif

tests: $(TESTS) $(O)/selftests/card_preload.so

# In place of libdrm's functions: selftests/lib/card_fake.h.
$(O)/selftests/card_test: EXTRA := $(addprefix -Wl$(,)--wrap=,drmIoctl drmGetVersion drmFreeVersion drmSyncobjCreate \
	drmSyncobjDestroy drmSyncobjWait drmCloseBufferHandle)

$(O)/selftests/%_test: selftests/lib/%_test.c $(O)/libfixar.a $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -MF $@.d -MT $@ -o $@ $< $(EXTRA) $(O)/libfixar.a $(LDFLAGS) $(LDLIBS_LIB)

$(O)/selftests/card_preload.so: selftests/tools/card_preload.c $(O)/libfixar.a $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -fPIC -shared -MF $@.d -MT $@ -o $@ $< $(O)/libfixar.a $(LDFLAGS) -ljansson -lpci -ldl -lm -pthread

-include $(TESTS:=.d) $(O)/selftests/card_preload.so.d

# What a device computes, and its tests, need nothing but a compiler and a C library. So they can be built for another architecture
# and, being static, run by an emulator (selftests/lib/neon_test.py): make O=build/aarch64 CC=aarch64-linux-gnu-gcc core-tests
CORE_OBJ   := $(filter $(addprefix $(O)/lib/,fx/% pe/% nn/% step/%),$(LIB_OBJ))
CORE_TESTS := $(addprefix $(O)/core/,golden_test golden_train_test core_test narrow_test step_test)
NEON_CC    ?= $(if $(filter aarch64,$(ARCH)),$(CC),aarch64-linux-gnu-gcc)

core-tests: $(CORE_TESTS)

$(O)/libfixar-core.a: $(CORE_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(O)/core/%_test: selftests/lib/%_test.c $(O)/libfixar-core.a $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -MF $@.d -MT $@ -static -o $@ $< $(O)/libfixar-core.a $(LDFLAGS)

-include $(CORE_TESTS:=.d)

# Each tier builds in a folder of its own, in a make of its own that starts when the packages are there. `make -s` says
# nothing but warnings and errors.
SUBMAKE = $(MAKE) -s --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$$(nproc))

# What says that nothing was tested in the words of a test run.
OR_FAIL = || { echo 'The build failed: nothing was tested.'; echo '0 passed, 1 failed, 0 skipped'; exit 1; }

# Warnings are errors, here with gcc and in selftests/build/clang_test with clang. The driver is tested in a virtual machine: all
# on Linux 6.12, in some minutes on the other kernels; check-all tests all on all, with full counts (hours).
check:
	@selftests/install-packages check
	@selftests/vm provision
	+@$(SUBMAKE) O=$(O)/check CC=gcc WERROR=-Werror all tests $(OR_FAIL)
	+@$(SUBMAKE) O=$(O)/check/aarch64 CC=$(NEON_CC) WERROR=-Werror core-tests $(OR_FAIL)
	@selftests/run --build $(O)/check --logs $(O)/logs

check-all: export FIXAR_TEST_FULL = 1
check-all: check

# The studies, at full length. What was trained is kept (FIXAR_STUDY_DIR) and not trained again.
STUDIES ?= $(wildcard selftests/learning/*.json)
check-learning:
	@selftests/install-packages run
	+@$(SUBMAKE) all
	@for study in $(STUDIES); do $(O)/fixar study $$study || exit; done

# The programs and the tool once more under sanitizers. Signed overflow is part of "undefined"; it is named because the
# arithmetic promises its absence. Leaks count. A thread sanitizer wants addresses that are not randomized too widely.
SANITIZE  = -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all
UNDEFINED = -fsanitize=address,undefined,signed-integer-overflow,float-cast-overflow
check-sanitize:
	@selftests/install-packages check
	+@$(SUBMAKE) O=$(O)/address CC=gcc CFLAGS="$(SANITIZE) $(UNDEFINED)" all tests $(OR_FAIL)
	+@$(SUBMAKE) O=$(O)/thread CC=gcc CFLAGS="$(SANITIZE) -fsanitize=thread" all tests $(OR_FAIL)
	@ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
		selftests/run --build $(O)/address --logs $(O)/logs/address --slow 10 lib tools
	@setarch -R selftests/run --build $(O)/thread --logs $(O)/logs/thread --slow 20 lib tools

.PHONY: tests core-tests check check-all check-sanitize check-learning

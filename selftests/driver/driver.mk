# SPDX-License-Identifier: MIT
# The driver's tests. Included by the Makefile.

# The kernel's harness comes with its source package: KSELFTEST is its folder tools/testing/selftests.
KSELFTEST ?= $(lastword $(sort $(wildcard $(or $(FIXAR_VM_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fixar/vm)/sources/linux-source-6.12_*/tools/testing/selftests)))

DRIVER_TESTS := $(patsubst selftests/driver/%.c,$(O)/selftests/driver/%,$(wildcard selftests/driver/*_test.c) selftests/driver/ioctl_fuzz.c selftests/driver/recovery_clients.c)
# Comparisons of the harness's macros, and its longjmp, are not ours to mend.
DRIVER_TEST_FLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-clobbered $(WERROR) -pthread \
	-DFIXAR_HARNESS -isystem $(KSELFTEST) -Iinclude/uapi $(shell pkg-config --cflags libdrm 2>/dev/null) -MMD -MP

driver-tests: $(DRIVER_TESTS)

$(O)/selftests/driver/%: selftests/driver/%.c selftests/driver/fixar_lib.c $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(DRIVER_TEST_FLAGS) -MF $@.d -MT $@ -o $@ $< selftests/driver/fixar_lib.c

-include $(DRIVER_TESTS:=.d)

.PHONY: driver-tests

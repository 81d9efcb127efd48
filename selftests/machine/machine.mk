# SPDX-License-Identifier: MIT
# The virtual machine. Included by the Makefile.

# The machine itself, with all kernels; what is missing is fetched first (root, some minutes).
check-vm:
	@selftests/vm provision
	@selftests/run --build $(abspath $(O)) --logs $(O)/logs machine

# The debug kernel, which is built first if there is none (some 20 minutes, once): that it finds mistakes, and then what runs in a
# guest, on it. Everything is slower there.
CHECK_DEBUG := debug foreign driver/vm_test
check-debug:
	@selftests/install-packages check
	@selftests/vm provision --debug
	+@$(SUBMAKE) O=$(O)/check CC=gcc WERROR=-Werror all tests $(OR_FAIL)
	@FIXAR_VM_KERNELS=debug selftests/run --build $(O)/check --logs $(O)/logs/debug --jobs 1 --slow 5 $(CHECK_DEBUG)

.PHONY: check-vm check-debug

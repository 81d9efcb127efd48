# SPDX-License-Identifier: MIT
# The virtual machine. Included by the Makefile.

# The machine itself, with all kernels; what is missing is fetched first (root, some minutes).
check-vm:
	@selftests/vm provision
	@selftests/run --build $(abspath $(O)) --logs $(O)/logs machine

.PHONY: check-vm

# SPDX-License-Identifier: GPL-2.0-only
# The kernel module. It is built in a folder of its own for each kernel, so that several can be at once, and copied to
# fixar.ko. Plain Kbuild works too: make -C /lib/modules/$(uname -r)/build M=$PWD modules

KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
# Further arguments of the kernel's make: KARGS='W=1 C=2'
KARGS ?=

DRIVER_DIR := $(abspath $(O))/driver/$(KVER)
DRIVER_SRC := Kbuild $(wildcard driver/*.c driver/*.h driver/probes/*.c include/hw/*.h include/uapi/drm/*.h)
# The kernel's make knows O and CC too, and means something else by them: none of our variables reach it.
KMAKE := env -u MAKEFLAGS -u MFLAGS -u O -u CC $(notdir $(firstword $(MAKE))) -C $(KDIR) M=$(DRIVER_DIR) $(KARGS)
# Modules that fixar.ko needs and that insmod does not load by itself.
DRIVER_NEEDS := drm_shmem_helper gpu-sched

driver: $(DRIVER_DIR)/fixar.ko
	@cp $< fixar.ko

$(DRIVER_DIR)/fixar.ko: $(DRIVER_SRC) FORCE
	@for file in $(DRIVER_SRC); do \
		mkdir -p $(DRIVER_DIR)/$$(dirname $$file) && \
		{ cmp -s $$file $(DRIVER_DIR)/$$file || cp $$file $(DRIVER_DIR)/$$file; } || exit 1; \
	done
	$(KMAKE) modules

load: driver
	for module in $(DRIVER_NEEDS); do modprobe $$module || exit 1; done
	insmod fixar.ko

unload:
	rmmod fixar

# As in a kernel tree: INSTALL_MOD_PATH goes before /lib/modules. DESTDIR is that too, unless it is given.
INSTALL_MOD_PATH ?= $(DESTDIR)
UDEV_RULES_DIR   ?= /usr/lib/udev/rules.d
# Where dkms looks for sources.
DKMS_DIR         ?= /usr/src
DKMS_VERSION     := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' driver/dkms.conf)
DKMS_TREE        := $(INSTALL_MOD_PATH)$(DKMS_DIR)/fixar-$(DKMS_VERSION)

modules_install: $(DRIVER_DIR)/fixar.ko udev_install
	$(KMAKE) INSTALL_MOD_PATH=$(abspath $(INSTALL_MOD_PATH)) modules_install

udev_install:
	$(INSTALL) -d $(INSTALL_MOD_PATH)$(UDEV_RULES_DIR)
	$(INSTALL) -m 644 driver/71-fixar.rules $(INSTALL_MOD_PATH)$(UDEV_RULES_DIR)/

# The source for dkms, which then builds the module for each kernel that is installed:
#	make dkms_install && dkms install fixar/VERSION
dkms_install: udev_install
	for file in $(DRIVER_SRC); do $(INSTALL) -D -m 644 $$file $(DKMS_TREE)/$$file || exit 1; done
	$(INSTALL) -m 644 driver/dkms.conf $(DKMS_TREE)/

.PHONY: driver load unload modules_install udev_install dkms_install

# SPDX-License-Identifier: MIT
# Plug-ins with environments, and the tests of lib/env. Included by the Makefile.

# MuJoCo 2.x as Debian packages it; later versions have another virtual file system.
MUJOCO_PROBE := printf '\#include <mujoco/mujoco.h>\nint main(void) { return mj_makeEmptyFileVFS(0, "", 0); }\n'
MUJOCO := $(shell $(MUJOCO_PROBE) | $(CC) $(CFLAGS) -x c - -o /dev/null -lmujoco 2>/dev/null && echo yes)
MUJOCO_OBJ := $(patsubst %.c,$(O)/%.o,$(wildcard lib/env/mujoco/*.c))

ifeq ($(MUJOCO),yes)
plugins: $(O)/env-mujoco.so
else
plugins:
	@echo "not built: env-mujoco.so with halfcheetah, hopper and swimmer (install libmujoco-dev)"
endif

# Where a program that has libfixar.a within it looks; libfixar.so knows the folder beside it.
LIBDIR ?= $(PREFIX)/lib
$(O)/lib/env/registry.o: EXTRA := -DFIXAR_PLUGIN_DIR_DEFAULT='"$(LIBDIR)/fixar"'

# The models become part of the plug-in, as string literals.
$(O)/lib/env/mujoco/%.xml.inc: lib/env/mujoco/%.xml
	@mkdir -p $(@D)
	sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n"/' $< > $@

$(MUJOCO_OBJ): EXTRA := -I$(O)/lib/env/mujoco
$(MUJOCO_OBJ): $(patsubst %.xml,$(O)/%.xml.inc,$(wildcard lib/env/mujoco/*.xml))

# libfixar.so.0 is mostly in the process already; the path is for programs that have libfixar.a within them.
$(O)/env-mujoco.so: $(MUJOCO_OBJ) $(O)/libfixar.so
	$(CC) $(CFLAGS) -shared -Wl,-z,defs -o $@ $(MUJOCO_OBJ) -L$(O) -lfixar -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..' $(LDFLAGS) \
		-lmujoco -pthread

# Tests: of the registry and the built-in environments, with plug-ins made for the purpose, and of the models.
ENV_TEST_OBJ := $(patsubst %.c,$(O)/%.o,$(wildcard lib/env/*.c))
ENV_TEST_PLUGINS := $(addprefix $(O)/selftests/plugins/,good/env-good.so abi/env-abi.so empty/env-empty.so missing/env-mujoco.so)

# The programs to run.
ENV_TESTS := $(O)/selftests/env_test $(if $(filter yes,$(MUJOCO)),$(O)/selftests/env_mujoco_test)

$(O)/selftests/env_test: selftests/lib/env_test.c selftests/lib/ktap.h $(ENV_TEST_OBJ) $(ENV_TEST_PLUGINS)
	$(CC) $(BASE) $(CFLAGS) -o $@ $< $(ENV_TEST_OBJ) $(LDFLAGS) -ldl -lm -pthread

$(O)/selftests/env_mujoco_test: selftests/lib/env_mujoco_test.c selftests/lib/ktap.h $(MUJOCO_OBJ) $(ENV_TEST_OBJ)
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -o $@ $< $(MUJOCO_OBJ) $(ENV_TEST_OBJ) $(LDFLAGS) -lmujoco -ldl -lm -pthread

$(O)/selftests/plugins/%.so: selftests/lib/env_plugin.c include/fixar/env.h
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -fPIC -shared -DPLUGIN_$(*D) -o $@ $< $(LDFLAGS)

# As if a library that the plug-in needs were not installed.
$(O)/selftests/plugins/missing/env-mujoco.so: selftests/lib/env_plugin.c
	@mkdir -p $(@D)
	printf 'int absent;\n' | $(CC) -shared -fPIC -x c - -Wl,-soname,libabsent.so.1 -o $(@D)/libabsent.so
	$(CC) $(BASE) $(CFLAGS) -fPIC -shared -DPLUGIN_good -o $@ $< -Wl,--no-as-needed $(@D)/libabsent.so $(LDFLAGS)
	rm $(@D)/libabsent.so

# SPDX-License-Identifier: MIT
# fixar-emu, the emulated card. Included by the Makefile. It computes with the core of the library alone.

EMU_SRC := $(wildcard tools/emu/*.c)
EMU_OBJ := $(EMU_SRC:%.c=$(O)/%.o)

$(O)/tools/emu/%.o: BASE += -DFIXAR_EMU_VERSION='"$(VERSION)"'

$(O)/fixar-emu: $(EMU_OBJ) $(O)/libfixar-core.a
	$(CC) $(CFLAGS) -o $@ $(EMU_OBJ) $(O)/libfixar-core.a $(LDFLAGS) -ljansson -lm -pthread

-include $(EMU_OBJ:.o=.d)

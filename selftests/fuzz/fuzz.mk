# SPDX-License-Identifier: MIT
# Fuzzing what reads files of a run, and what the emulated card takes from outside. Included by the Makefile.

FUZZ_SECONDS ?= 600
FUZZ_CC      ?= clang
# An integer that wraps is no error by itself (checksums do), so only what is undefined stops the run.
FUZZ_FLAGS   := -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
FUZZ_LIB     := $(wildcard lib/checkpoint/*.c lib/metrics/*.c lib/ddpg/replay*.c)
FUZZ         := $(O)/fuzz

$(FUZZ)/%: selftests/fuzz/%.c selftests/fuzz/fuzz_format.h $(FUZZ_LIB)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(filter-out -MMD -MP,$(BASE)) $(FUZZ_FLAGS) $(FUZZER) -o $@ $< $(FUZZ_LIB) -ljansson -lm
$(FUZZ)/checkpoint_fuzz: FUZZER := -fsanitize=fuzzer

# An input takes milliseconds; the limit is long because it counts the time in which a busy machine does something else.
# What was found interesting stays in $(FUZZ)/corpus and is where the next run starts. A finding is in $(FUZZ)/crash-* and the
# like; $(FUZZ)/checkpoint_fuzz FILE repeats it.
check-fuzz: check-fuzz-files check-fuzz-emu

check-fuzz-files:
	@selftests/install-packages fuzz
	@$(MAKE) -s --no-print-directory $(FUZZ)/checkpoint_fuzz $(FUZZ)/seeds
	@mkdir -p $(FUZZ)/corpus
	@$(FUZZ)/seeds $(FUZZ)/corpus
	@$(FUZZ)/checkpoint_fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=300 -rss_limit_mb=2048 -print_final_stats=1 \
		-dict=selftests/fuzz/checkpoint.dict -artifact_prefix=$(FUZZ)/ $(FUZZ)/corpus >$(FUZZ)/log 2>&1 || \
		{ tail -n 60 $(FUZZ)/log; echo 'not ok - $(FUZZ)/checkpoint_fuzz found something; the whole log is $(FUZZ)/log'; exit 1; }
	@grep -a -E '^#[0-9]+[[:space:]]+DONE|^stat::number_of_executed_units' $(FUZZ)/log
	@echo 'ok - no findings in $(FUZZ_SECONDS) seconds'

# The emulated card: its objects and the library's with their own flags, in a folder of their own.
FUZZ_EMU     := $(FUZZ)/emu
FUZZ_EMU_OBJ := $(patsubst %.c,$(O)/%.o,$(filter-out tools/emu/main.c,$(EMU_SRC)))

$(O)/emu_fuzz: selftests/fuzz/emu_fuzz.c $(FUZZ_EMU_OBJ) $(O)/libfixar-core.a
	$(CC) $(filter-out -MMD -MP,$(BASE)) -Itools/emu $(CFLAGS) -fsanitize=fuzzer -o $@ $< $(FUZZ_EMU_OBJ) $(O)/libfixar-core.a -ljansson -lm

check-fuzz-emu:
	@selftests/install-packages fuzz
	@$(MAKE) -s --no-print-directory O=$(FUZZ_EMU) CC=$(FUZZ_CC) CFLAGS='$(FUZZ_FLAGS) -fsanitize=fuzzer-no-link' $(FUZZ_EMU)/emu_fuzz
	@mkdir -p $(FUZZ_EMU)/corpus
	@selftests/fuzz/emu_seeds.py $(FUZZ_EMU)/corpus
	@$(FUZZ_EMU)/emu_fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=300 -rss_limit_mb=4096 -print_final_stats=1 \
		-artifact_prefix=$(FUZZ_EMU)/ $(FUZZ_EMU)/corpus >$(FUZZ_EMU)/log 2>&1 || \
		{ tail -n 60 $(FUZZ_EMU)/log; echo 'not ok - $(FUZZ_EMU)/emu_fuzz found something; the whole log is $(FUZZ_EMU)/log'; exit 1; }
	@grep -a -E '^#[0-9]+[[:space:]]+DONE|^stat::number_of_executed_units' $(FUZZ_EMU)/log
	@echo 'ok - the emulated card: no findings in $(FUZZ_SECONDS) seconds'

.PHONY: check-fuzz check-fuzz-files check-fuzz-emu

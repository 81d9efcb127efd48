# SPDX-License-Identifier: MIT
# The hardware's parameters become part of the library, as string literals. Included by the Makefile.

$(O)/lib/cost/%.json.inc: lib/cost/%.json
	@mkdir -p $(@D)
	sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n"/' $< > $@

$(O)/lib/cost/reram.o $(O)/lib/cost/array.o: EXTRA := -I$(O)/lib/cost
$(O)/lib/cost/reram.o: $(O)/lib/cost/reram.json.inc
$(O)/lib/cost/array.o: $(O)/lib/cost/array.json.inc

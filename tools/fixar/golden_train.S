/* SPDX-License-Identifier: MIT */
/* The golden vectors, so that an installed program has them. The path is from the root of the source tree. */
	.section .rodata
	.globl golden_train
	.globl golden_train_end
golden_train:
	.incbin "selftests/lib/golden/train.txt"
golden_train_end:
	.byte 0
	.section .note.GNU-stack,"",%progbits

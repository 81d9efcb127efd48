// SPDX-License-Identifier: MIT
/* A command from its checks to its end: driver/HARDWARE.md sections 7, 9 and 12. */
#include <stddef.h>
#include <string.h>

#include "card.h"
#include "hw/fixar_arena.h"

bool core_fail(struct core_command *command, uint32_t code, uint64_t offset)
{
	command->code = code;
	command->offset = offset;
	return false;
}

/* ---- Card memory through the window ---- */

static bool in_window(const struct card *card, const struct core_command *command, uint64_t offset, uint64_t count)
{
	return !card->options.windows || (offset <= command->window_limit && count <= command->window_limit - offset);
}

static uint64_t transaction(uint64_t offset)
{
	return offset & ~(uint64_t)(FIXAR_ARENA_ALIGN - 1);
}

/* Where the first byte of a range lies that is not in memory. */
static uint64_t first_missing(const struct card *card, const struct core_command *command, uint64_t offset, uint64_t count)
{
	const struct card_memory *memory = &card->memory;
	const uint64_t end = memory->base + memory->size - command->window_base; /* of memory, as an offset */

	if (!card_memory_at(memory, command->window_base + offset, 1) || end - offset >= count)
		return offset;
	return end;
}

/* The bytes of a range, or NULL: the command has failed. */
static unsigned char *reach(struct card *card, struct core_command *command, uint64_t offset, uint64_t count,
			    uint32_t error)
{
	unsigned char *memory;

	if (!in_window(card, command, offset, count)) {
		core_fail(command, FIXAR_ERROR_WINDOW, offset);
		return NULL;
	}
	memory = offset > UINT64_MAX - command->window_base
			 ? NULL
			 : card_memory_at(&card->memory, command->window_base + offset, count);
	if (!memory)
		core_fail(command, error, transaction(first_missing(card, command, offset, count)));
	return memory;
}

bool core_load(struct card *card, struct core_command *command, uint64_t offset, void *bytes, uint64_t count)
{
	const unsigned char *memory = reach(card, command, offset, count, FIXAR_ERROR_READ);
	uint64_t where;

	if (!memory)
		return false;
	if (!card_memory_readable(&card->memory, command->window_base + offset, count, &where))
		return core_fail(command, FIXAR_ERROR_ECC, transaction(where - command->window_base));
	memcpy(bytes, memory, count);
	command->read_bytes += count;
	card->core.progress++;
	return true;
}

bool core_store(struct card *card, struct core_command *command, uint64_t offset, const void *bytes, uint64_t count)
{
	unsigned char *memory;

	command->started = true;
	memory = reach(card, command, offset, count, FIXAR_ERROR_WRITE);
	if (!memory)
		return false;
	memcpy(memory, bytes, count);
	card_memory_wrote(&card->memory, command->window_base + offset, count);
	command->write_bytes += count;
	card->core.progress++;
	return true;
}

/* ---- Checks 1 to 4 ---- */

static bool check_command(struct core_command *command)
{
	const struct fixar_command *slot = &command->slot;
	const uint32_t opcode = slot->control & FIXAR_COMMAND_OPCODE;
	const bool act = opcode == FIXAR_OPCODE_ACT, train = opcode == FIXAR_OPCODE_TRAIN;
	const uint32_t flags = FIXAR_COMMAND_OPCODE | FIXAR_COMMAND_INTERRUPT |
			       (act ? FIXAR_COMMAND_EXPLORE | FIXAR_COMMAND_RESET_NOISE : 0);

	if (slot->control & ~flags)
		return core_fail(command, FIXAR_ERROR_COMMAND, offsetof(struct fixar_command, control));
	if ((slot->count != 0) != (act || train))
		return core_fail(command, FIXAR_ERROR_COMMAND, offsetof(struct fixar_command, count));
	if (slot->reserved0)
		return core_fail(command, FIXAR_ERROR_COMMAND, offsetof(struct fixar_command, reserved0));
	if ((slot->input != 0) != (act || train) || slot->input % FIXAR_ARENA_ALIGN)
		return core_fail(command, FIXAR_ERROR_COMMAND, offsetof(struct fixar_command, input));
	if ((slot->output != 0) != act || slot->output % FIXAR_ARENA_ALIGN)
		return core_fail(command, FIXAR_ERROR_COMMAND, offsetof(struct fixar_command, output));
	if ((slot->statistics && opcode == FIXAR_OPCODE_NOP) || slot->statistics % FIXAR_ARENA_ALIGN)
		return core_fail(command, FIXAR_ERROR_COMMAND, offsetof(struct fixar_command, statistics));
	for (size_t i = 0; i < sizeof(slot->reserved1) / sizeof(slot->reserved1[0]); i++)
		if (slot->reserved1[i])
			return core_fail(command, FIXAR_ERROR_COMMAND, offsetof(struct fixar_command, reserved1));
	return true;
}

enum { ACT = 1u << FIXAR_OPCODE_ACT, TRAIN = 1u << FIXAR_OPCODE_TRAIN };

static const struct {
	uint32_t offset, used_by;
	int64_t minimum, maximum; /* a negative minimum: two's complement */
} modes[] = {
	{ FIXAR_MODE_PRECISION, ACT | TRAIN, 0, FIXAR_MODE_PRECISION_QUANTIZED },
	{ FIXAR_MODE_QUANTIZATION, TRAIN, 0, FIXAR_MODE_QUANTIZATION_OBSERVE },
	{ FIXAR_MODE_PARALLELISM, ACT | TRAIN, 0, FIXAR_MODE_PARALLELISM_BATCH },
	{ FIXAR_MODE_NOISE, ACT, 0, FIXAR_MODE_NOISE_OU },
	{ FIXAR_MODE_NOISE_SIGMA, ACT, 0, FIXAR_MODE_NOISE_SIGMA_MAX },
	{ FIXAR_MODE_NOISE_THETA, ACT, 0, FIXAR_MODE_NOISE_THETA_MAX },
	{ FIXAR_MODE_DISCOUNT, TRAIN, 0, FIXAR_MODE_DISCOUNT_MAX },
	{ FIXAR_MODE_TAU, TRAIN, FIXAR_MODE_TAU_MIN, FIXAR_MODE_TAU_MAX },
	{ FIXAR_MODE_BETA1, TRAIN, 0, FIXAR_MODE_BETA1_MAX },
	{ FIXAR_MODE_ONE_MINUS_BETA2, TRAIN, FIXAR_MODE_ONE_MINUS_BETA2_MIN, FIXAR_MODE_ONE_MINUS_BETA2_MAX },
	{ FIXAR_MODE_RATE_MANTISSA, TRAIN, FIXAR_MODE_RATE_MANTISSA_MIN, FIXAR_MODE_RATE_MANTISSA_MAX },
	{ FIXAR_MODE_RATE_MANTISSA + FIXAR_MODE_NETWORK_STRIDE, TRAIN, FIXAR_MODE_RATE_MANTISSA_MIN,
	  FIXAR_MODE_RATE_MANTISSA_MAX },
	{ FIXAR_MODE_RATE_EXPONENT, TRAIN, FIXAR_MODE_RATE_EXPONENT_MIN, FIXAR_MODE_RATE_EXPONENT_MAX },
	{ FIXAR_MODE_RATE_EXPONENT + FIXAR_MODE_NETWORK_STRIDE, TRAIN, FIXAR_MODE_RATE_EXPONENT_MIN,
	  FIXAR_MODE_RATE_EXPONENT_MAX },
	{ FIXAR_MODE_GRADIENT_SCALE, TRAIN, FIXAR_MODE_GRADIENT_SCALE_MIN, FIXAR_MODE_GRADIENT_SCALE_MAX },
	{ FIXAR_MODE_GRADIENT_SCALE + FIXAR_MODE_NETWORK_STRIDE, TRAIN, FIXAR_MODE_GRADIENT_SCALE_MIN,
	  FIXAR_MODE_GRADIENT_SCALE_MAX },
};

static bool check_modes(struct core_command *command)
{
	const uint32_t opcode = command->slot.control & FIXAR_COMMAND_OPCODE;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		const uint32_t word = command->mode[(modes[i].offset - CORE_MODE_BASE) / 4];
		const int64_t value = modes[i].minimum < 0 ? (int64_t)(int32_t)word : (int64_t)word;

		if ((modes[i].used_by >> opcode & 1) && (value < modes[i].minimum || value > modes[i].maximum))
			return core_fail(command, FIXAR_ERROR_MODE, modes[i].offset);
	}
	return true;
}

/* ---- Execution ---- */

void core_execute(struct card *card, struct core_command *command)
{
	const uint32_t opcode = command->slot.control & FIXAR_COMMAND_OPCODE;

	if (command->slot.seq != command->seq) {
		core_fail(command, FIXAR_ERROR_SEQUENCE, offsetof(struct fixar_command, seq));
		return;
	}
	if (opcode >= 32 || !(FIXAR_OPCODE_ALL >> opcode & 1)) {
		core_fail(command, FIXAR_ERROR_OPCODE, offsetof(struct fixar_command, control));
		return;
	}
	if (!check_command(command) || !check_modes(command) || opcode == FIXAR_OPCODE_NOP)
		return;
	if (opcode == FIXAR_OPCODE_RELOAD)
		command->resident = false;
	if (!core_agent_prepare(card, command)) {
		/* Whatever was being loaded is not the arena's. */
		command->resident = false;
		return;
	}
	switch (opcode) {
	case FIXAR_OPCODE_ACT:
		core_agent_act(card, command);
		break;
	case FIXAR_OPCODE_TRAIN:
		core_agent_train(card, command);
		break;
	case FIXAR_OPCODE_READ_RANGES:
		core_agent_read_ranges(card, command);
		break;
	default:
		core_agent_reload(card, command);
	}
}

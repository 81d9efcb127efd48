// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client of the kernel's DMA engine interface: moves data to card memory and back through
 * whichever driver has the channels, and compares every byte.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/dma/amd_xdma.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "foreign.h"

static unsigned int patience = 60;
module_param(patience, uint, 0444);
MODULE_PARM_DESC(patience, "seconds that a transfer may take");

#define DESCRIPTORS_OF_A_BLOCK 32 /* XDMA_DESC_ADJACENT of mainline's driver */
#define GUARD 64 /* bytes on both sides of what is transferred that must stay as they are */

/* Registers of the core: driver/HARDWARE.md, section 5. */
#define CORE_MEMORY_SIZE 0x010
#define CORE_MEMORY_BASE 0x018
#define CORE_FIFO_DEPTH 0x024
#define CORE_USER_IRQ 0x028
#define CORE_INT_STATUS 0x1008
#define CORE_INT_ENABLE 0x100c
#define CORE_DOORBELL 0x1010
#define CORE_SUBMITTED_SEQ 0x1014
#define CORE_COMPLETED_SEQ 0x1018
#define CORE_SLOTS 0x8000
#define SLOT_BYTES 64
#define COMMAND_NOP 0x101 /* with an interrupt */
#define SEQ_MASK 0x7fffffff

/* Host memory in pages from anywhere, seen as one piece. */
struct buffer {
	struct page **pages;
	unsigned int page_count;
	u8 *bytes;
};

static void buffer_free(struct buffer *buffer)
{
	if (buffer->bytes)
		vunmap(buffer->bytes);
	while (buffer->page_count)
		__free_page(buffer->pages[--buffer->page_count]);
	kvfree(buffer->pages);
	memset(buffer, 0, sizeof(*buffer));
}

static int buffer_alloc(struct buffer *buffer, size_t bytes)
{
	unsigned int wanted = DIV_ROUND_UP(bytes, PAGE_SIZE), i;

	memset(buffer, 0, sizeof(*buffer));
	buffer->pages = kvcalloc(wanted, sizeof(*buffer->pages), GFP_KERNEL);
	if (!buffer->pages)
		return -ENOMEM;
	for (i = 0; i < wanted; i++) {
		buffer->pages[i] = alloc_page(GFP_KERNEL);
		if (!buffer->pages[i])
			goto no_memory;
		buffer->page_count++;
	}
	/* Neighbours are often neighbours in memory: every other pair changes places. */
	for (i = 0; i + 2 < wanted; i += 4)
		swap(buffer->pages[i], buffer->pages[i + 2]);
	buffer->bytes = vmap(buffer->pages, wanted, VM_MAP, PAGE_KERNEL);
	if (!buffer->bytes)
		goto no_memory;
	return 0;

no_memory:
	buffer_free(buffer);
	return -ENOMEM;
}

/* Bytes that depend on the seed and on their place. */
static void fill(u8 *bytes, size_t count, u32 seed)
{
	u32 state = seed * 2654435761u | 1;
	size_t i;

	for (i = 0; i < count; i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		bytes[i] = state >> 24;
	}
}

/* A scatter list of part of a buffer, each entry at most `piece` bytes and within a page. */
static int make_list(struct sg_table *list, struct buffer *buffer, size_t offset, size_t bytes,
		     size_t piece)
{
	size_t at, end = offset + bytes, count = 0;
	struct scatterlist *entry;
	int ret;

	for (at = offset; at < end; at += min3(piece, end - at, PAGE_SIZE - at % PAGE_SIZE))
		count++;
	ret = sg_alloc_table(list, count, GFP_KERNEL);
	if (ret)
		return ret;
	entry = list->sgl;
	for (at = offset; at < end; entry = sg_next(entry)) {
		size_t here = min3(piece, end - at, PAGE_SIZE - at % PAGE_SIZE);

		sg_set_page(entry, buffer->pages[at / PAGE_SIZE], here, at % PAGE_SIZE);
		at += here;
	}
	return 0;
}

/* One transfer, between start and end. */
struct transfer {
	struct foreign_card *card;
	struct dma_chan *channel;
	enum dma_transfer_direction direction;
	struct sg_table list;
	struct completion done;
	dma_cookie_t cookie;
};

static enum dma_data_direction data_direction(const struct transfer *transfer)
{
	return transfer->direction == DMA_MEM_TO_DEV ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
}

static void transfer_done(void *argument)
{
	complete(argument);
}

/* The list is the transfer's from here on, also if this fails. */
static int transfer_start(struct transfer *transfer, u64 card_address)
{
	struct device *dev = &transfer->card->pdev->dev;
	struct dma_slave_config config = { .direction = transfer->direction };
	struct dma_async_tx_descriptor *descriptor;
	bool full;
	int ret;

	if (transfer->direction == DMA_MEM_TO_DEV)
		config.dst_addr = card_address;
	else
		config.src_addr = card_address;
	init_completion(&transfer->done);

	ret = dma_map_sgtable(dev, &transfer->list, data_direction(transfer), 0);
	if (ret)
		goto free_list;
	ret = dmaengine_slave_config(transfer->channel, &config);
	if (ret)
		goto unmap;
	/*
	 * Where descriptors fill the last of their blocks, mainline's xdma_fill_descs() reads what
	 * would be the next block's address (in Linux 6.12 to 7.3 at least), and does not use it.
	 * KASAN lets that pass, and nothing else.
	 */
	full = transfer->list.nents % DESCRIPTORS_OF_A_BLOCK == 0;
	if (full)
		kasan_disable_current();
	descriptor = dmaengine_prep_slave_sg(transfer->channel, transfer->list.sgl,
					     transfer->list.nents, transfer->direction,
					     DMA_PREP_INTERRUPT | DMA_CTRL_ACK);
	if (full)
		kasan_enable_current();
	if (!descriptor) {
		ret = -ENOMEM;
		goto unmap;
	}
	descriptor->callback = transfer_done;
	descriptor->callback_param = &transfer->done;
	transfer->cookie = dmaengine_submit(descriptor);
	ret = dma_submit_error(transfer->cookie);
	if (ret)
		goto unmap;
	dma_async_issue_pending(transfer->channel);
	return 0;

unmap:
	dma_unmap_sgtable(dev, &transfer->list, data_direction(transfer), 0);
free_list:
	sg_free_table(&transfer->list);
	return ret;
}

static int transfer_end(struct transfer *transfer)
{
	int ret = 0;

	if (!wait_for_completion_timeout(&transfer->done, secs_to_jiffies(patience))) {
		dmaengine_terminate_sync(transfer->channel);
		ret = -ETIMEDOUT;
	} else if (dma_async_is_tx_complete(transfer->channel, transfer->cookie, NULL, NULL) !=
		   DMA_COMPLETE) {
		ret = -EIO;
	}
	dma_unmap_sgtable(&transfer->card->pdev->dev, &transfer->list, data_direction(transfer), 0);
	sg_free_table(&transfer->list);
	return ret;
}

/* What a test has: a card, two buffers of the same size and somewhere to say what happened. */
struct session {
	struct foreign_card *card;
	struct seq_file *results;
	struct buffer wanted, seen;
	u64 base, end; /* of card memory */
};

/* Copies part of a buffer to card memory (or back), in pieces of at most `piece` bytes. */
static int copy(struct session *s, struct dma_chan *channel, enum dma_transfer_direction direction,
		struct buffer *buffer, size_t offset, size_t bytes, size_t piece, u64 card_address)
{
	struct transfer transfer = {
		.card = s->card, .channel = channel, .direction = direction
	};
	int ret;

	ret = make_list(&transfer.list, buffer, offset, bytes, piece);
	if (!ret)
		ret = transfer_start(&transfer, card_address);
	return ret ?: transfer_end(&transfer);
}

/* Says where two pieces of memory begin to differ. */
static int compare(struct session *s, const char *what, const u8 *seen, const u8 *wanted,
		   size_t bytes)
{
	size_t i;

	if (!memcmp(seen, wanted, bytes))
		return 0;
	for (i = 0; seen[i] == wanted[i]; i++)
		;
	seq_printf(s->results, "# %s: byte %zu of %zu is %#x, not %#x\n", what, i, bytes, seen[i],
		   wanted[i]);
	return -EILSEQ;
}

static const size_t sizes[] = {
	1, 2, 3, 4, 31, 63, 64, 65, 4095, 4096, 4097, 65549, SZ_1M + 1
};

static const size_t offsets[] = { 0, 1, 63 };

/*
 * Writes to card memory over a background, reads it back with what is around it, and reads it once
 * more alone into a buffer with something around it.
 */
static int one_size(struct session *s, unsigned int number, size_t bytes, size_t host, size_t place)
{
	struct dma_chan *h2c = s->card->h2c[number % s->card->h2c_count];
	struct dma_chan *c2h = s->card->c2h[number / 2 % s->card->c2h_count];
	u8 *wanted = s->wanted.bytes, *seen = s->seen.bytes;
	size_t data = GUARD + place; /* where in card memory, from its base */
	size_t whole = data + bytes + GUARD;
	int ret;

	fill(wanted, whole, number);
	ret = copy(s, h2c, DMA_MEM_TO_DEV, &s->wanted, 0, whole, PAGE_SIZE, s->base);
	if (ret)
		return ret;
	fill(seen + host, bytes, number + 1000000);
	ret = copy(s, h2c, DMA_MEM_TO_DEV, &s->seen, host, bytes, PAGE_SIZE, s->base + data);
	if (ret)
		return ret;
	memcpy(wanted + data, seen + host, bytes);
	memset(seen, 0, whole);
	ret = copy(s, c2h, DMA_DEV_TO_MEM, &s->seen, 0, whole, PAGE_SIZE, s->base);
	ret = ret ?: compare(s, "card memory", seen, wanted, whole);
	if (ret)
		return ret;

	memset(seen, 0xa5, GUARD + host + bytes + GUARD);
	ret = copy(s, c2h, DMA_DEV_TO_MEM, &s->seen, GUARD + host, bytes, PAGE_SIZE,
		   s->base + data);
	ret = ret ?: compare(s, "host memory", seen + GUARD + host, wanted + data, bytes);
	if (ret)
		return ret;
	memset(wanted, 0xa5, GUARD + host);
	ret = compare(s, "before it", seen, wanted, GUARD + host);
	return ret ?: compare(s, "behind it", seen + GUARD + host + bytes, wanted, GUARD);
}

static int test_sizes(struct session *s)
{
	unsigned int i, number = ARRAY_SIZE(sizes) * ARRAY_SIZE(offsets) * ARRAY_SIZE(offsets);

	for (i = 0; i < number; i++) {
		size_t place = offsets[i % 3], host = offsets[i / 3 % 3], bytes = sizes[i / 9];
		int ret = one_size(s, i, bytes, host, place);

		BUILD_BUG_ON(ARRAY_SIZE(offsets) != 3);
		if (ret) {
			seq_printf(s->results, "# %zu bytes, host offset %zu, card offset %zu\n",
				   bytes, host, place);
			return ret;
		}
	}
	seq_printf(s->results, "# %u combinations\n", number);
	return 0;
}

/*
 * Numbers of descriptors around those where the driver's blocks (32) and its runs (128 blocks) end.
 * Pieces have an odd size, so that no two are aligned alike.
 */
static const unsigned int counts[] = {
	1, 2, 31, 32, 33, 63, 64, 65, 96, 128, 1023, 4095, 4096, 4097, 8193
};

#define PIECE 419

static int test_descriptors(struct session *s)
{
	u64 at = s->base + SZ_8M;
	unsigned int i, n;
	int ret;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		size_t bytes = 0;

		/* Pieces end at pages, too: as many bytes as give this number of entries. */
		for (n = 0; n < counts[i]; n++)
			bytes += min_t(size_t, PIECE, PAGE_SIZE - bytes % PAGE_SIZE);
		fill(s->wanted.bytes, bytes, i);
		memset(s->seen.bytes, 0, bytes);
		ret = copy(s, s->card->h2c[i % s->card->h2c_count], DMA_MEM_TO_DEV, &s->wanted, 0,
			   bytes, PIECE, at);
		ret = ret ?: copy(s, s->card->c2h[i % s->card->c2h_count], DMA_DEV_TO_MEM, &s->seen,
				  0, bytes, PIECE, at);
		ret = ret ?: compare(s, "back", s->seen.bytes, s->wanted.bytes, bytes);
		if (ret) {
			seq_printf(s->results, "# %u descriptors\n", counts[i]);
			return ret;
		}
	}
	return 0;
}

/* To the last byte of card memory, which lies above 4 GiB on a card of 8. */
static int test_end_of_memory(struct session *s)
{
	size_t bytes = SZ_2M + 1;
	u64 at = s->end - bytes;
	int ret;

	fill(s->wanted.bytes, bytes, 7);
	memset(s->seen.bytes, 0, bytes);
	ret = copy(s, s->card->h2c[0], DMA_MEM_TO_DEV, &s->wanted, 0, bytes, PAGE_SIZE, at);
	ret = ret ?: copy(s, s->card->c2h[0], DMA_DEV_TO_MEM, &s->seen, 0, bytes, PAGE_SIZE, at);
	return ret ?: compare(s, "back", s->seen.bytes, s->wanted.bytes, bytes);
}

/*
 * Every channel of both directions at once. There are two slices for each pair of channels; rounds
 * 0 and 1 write one of the two each, rounds 1 and 2 read what the round before wrote, each channel
 * what another wrote.
 */
static int test_all_at_once(struct session *s)
{
	unsigned int pairs = min(s->card->h2c_count, s->card->c2h_count), round, i;
	size_t bytes = s->wanted.page_count / (2 * FOREIGN_CHANNELS) * PAGE_SIZE;
	struct transfer transfers[2 * FOREIGN_CHANNELS] = {};
	int ret = 0;

	fill(s->wanted.bytes, 2 * pairs * bytes, 99);
	memset(s->seen.bytes, 0, 2 * pairs * bytes);
	for (round = 0; round < 3; round++) {
		unsigned int started = 0;

		for (i = 0; i < 2 * pairs && !ret; i++) {
			struct transfer *transfer = &transfers[started];
			bool up = i % 2 == 0;
			size_t at;

			if (up ? round == 2 : round == 0)
				continue;
			at = bytes * (up ? round * pairs + i / 2 :
					   (round - 1) * pairs + (i / 2 + 1) % pairs);
			*transfer = (struct transfer){
				.card = s->card,
				.channel = up ? s->card->h2c[i / 2] : s->card->c2h[i / 2],
				.direction = up ? DMA_MEM_TO_DEV : DMA_DEV_TO_MEM,
			};
			ret = make_list(&transfer->list, up ? &s->wanted : &s->seen, at, bytes,
					PAGE_SIZE);
			ret = ret ?: transfer_start(transfer, s->base + at);
			if (!ret)
				started++;
		}
		while (started) {
			int ended = transfer_end(&transfers[--started]);

			ret = ret ?: ended;
		}
		if (ret)
			return ret;
	}
	return compare(s, "back", s->seen.bytes, s->wanted.bytes, 2 * pairs * bytes);
}

struct interrupts {
	void __iomem *core;
	atomic_t count;
	u32 status;
};

static irqreturn_t core_interrupt(int irq, void *argument)
{
	struct interrupts *interrupts = argument;

	interrupts->status = readl(interrupts->core + CORE_INT_STATUS);
	writel(interrupts->status, interrupts->core + CORE_INT_STATUS);
	atomic_inc(&interrupts->count);
	return IRQ_HANDLED;
}

/* The core's interrupt through the foreign driver: commands without work that ask for one. */
static int test_user_interrupt(struct session *s)
{
	void __iomem *core = s->card->user;
	struct interrupts interrupts = { .core = core };
	u32 depth = readl(core + CORE_FIFO_DEPTH), seq = readl(core + CORE_SUBMITTED_SEQ);
	unsigned int i, word, waits;
	int irq, ret;

	irq = xdma_get_user_irq(s->card->engine, readl(core + CORE_USER_IRQ));
	if (irq < 0)
		return irq;
	ret = request_irq(irq, core_interrupt, 0, "fixar-core", &interrupts);
	if (ret)
		return ret;
	writel(1, core + CORE_INT_ENABLE);
	ret = xdma_enable_user_irq(s->card->engine, irq);
	for (i = 1; i <= 5 && !ret; i++) {
		void __iomem *slot;
		u32 completed;

		seq = (seq + 1) & SEQ_MASK;
		slot = core + CORE_SLOTS + seq % depth * SLOT_BYTES;
		for (word = 0; word < SLOT_BYTES / 4; word++)
			writel(word == 0 ? COMMAND_NOP : word == 1 ? seq : 0, slot + 4 * word);
		writel(seq, core + CORE_DOORBELL);
		for (waits = 0; atomic_read(&interrupts.count) < i; waits++) {
			if (waits == 50 * patience)
				break;
			msleep(20);
		}
		completed = readl(core + CORE_COMPLETED_SEQ);
		if (atomic_read(&interrupts.count) != i || interrupts.status != 1 ||
		    completed != seq) {
			seq_printf(s->results, "# command %u: %d interrupts, status %#x, seq %u\n",
				   i, atomic_read(&interrupts.count), interrupts.status, completed);
			ret = -EIO;
		}
	}
	xdma_disable_user_irq(s->card->engine, irq);
	writel(0, core + CORE_INT_ENABLE);
	free_irq(irq, &interrupts);
	return ret;
}

static const struct {
	const char *name;
	int (*run)(struct session *s);
} tests[] = {
	{ "sizes and alignments, each way, with guards", test_sizes },
	{ "many descriptors", test_descriptors },
	{ "to the last byte of card memory", test_end_of_memory },
	{ "all channels at once", test_all_at_once },
	{ "the core's interrupt", test_user_interrupt },
};

static u64 core_read64(struct foreign_card *card, u32 offset)
{
	return readl(card->user + offset) | (u64)readl(card->user + offset + 4) << 32;
}

int foreign_run_tests(struct foreign_card *card, struct seq_file *results)
{
	struct session s = { .card = card, .results = results };
	unsigned int i;
	int ret;

	ret = buffer_alloc(&s.wanted, SZ_8M);
	ret = ret ?: buffer_alloc(&s.seen, SZ_8M);
	if (ret)
		goto free;
	s.base = core_read64(card, CORE_MEMORY_BASE);
	s.end = s.base + core_read64(card, CORE_MEMORY_SIZE);

	seq_printf(results, "KTAP version 1\n1..%zu\n", ARRAY_SIZE(tests));
	seq_printf(results, "# %s: %u H2C and %u C2H channels\n", pci_name(card->pdev),
		   card->h2c_count, card->c2h_count);
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		int error = tests[i].run(&s);

		if (error)
			seq_printf(results, "# error %d\n", error);
		seq_printf(results, "%s %u %s\n", error ? "not ok" : "ok", i + 1, tests[i].name);
	}
free:
	buffer_free(&s.wanted);
	buffer_free(&s.seen);
	return ret;
}

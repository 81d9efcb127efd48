// SPDX-License-Identifier: GPL-2.0-only
// dma_buf_unmap_attachment_unlocked(): 6.2.
#include <linux/dma-buf.h>

void probe(struct dma_buf_attachment *attach, struct sg_table *sgt);
void probe(struct dma_buf_attachment *attach, struct sg_table *sgt)
{
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
}

// SPDX-License-Identifier: MIT
/* PCI configuration space: header, capabilities, what writes do. */
#include "config_space.h"

#include <linux/pci_regs.h>
#include <string.h>

#include "card.h"
#include "hw/fixar_regs.h"
#include "hw/fixar_xdma.h"

/* Where XDMA has its capabilities. */
#define AT_POWER 0x40
#define AT_MSI 0x48
#define AT_MSIX 0x60
#define AT_EXPRESS 0x70
#define AT_AER 0x100
#define AT_SERIAL 0x140

#define LINK_SPEED 3 /* 8.0 GT/s */
#define LINK_WIDTH 16
#define PAYLOAD_512 2 /* 128 << 2 */

static void put(uint8_t *place, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		place[i] = (uint8_t)(value >> 8 * i);
}

static void set(struct config_space *config, uint32_t offset, uint64_t value, unsigned bytes)
{
	put(config->value + offset, value, bytes);
}

static void allow(struct config_space *config, uint32_t offset, uint64_t mask, unsigned bytes)
{
	put(config->writable + offset, mask, bytes);
}

static uint32_t get(const struct config_space *config, uint32_t offset, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint32_t)config->value[offset + i] << 8 * i;
	return value;
}

static void header(struct config_space *config, const struct card_options *options)
{
	set(config, PCI_VENDOR_ID, FIXAR_PCI_VENDOR, 2);
	set(config, PCI_DEVICE_ID, FIXAR_PCI_DEVICE, 2);
	set(config, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	allow(config, PCI_COMMAND,
	      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
		      PCI_COMMAND_INTX_DISABLE,
	      2);
	put(config->clears + PCI_STATUS,
	    PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |
		    PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY,
	    2);
	set(config, PCI_CLASS_PROG, FIXAR_PCI_CLASS, 3);
	allow(config, PCI_CACHE_LINE_SIZE, 0xff, 1);
	/* Addresses are multiples of the sizes. */
	allow(config, PCI_BASE_ADDRESS_0, ~(FIXAR_USER_BAR_BYTES - 1), 4);
	allow(config, PCI_BASE_ADDRESS_1, ~(FIXAR_XDMA_BAR_BYTES - 1), 4);
	set(config, PCI_SUBSYSTEM_VENDOR_ID, options->subsystem_vendor, 2);
	set(config, PCI_SUBSYSTEM_ID, options->subsystem, 2);
	set(config, PCI_CAPABILITY_LIST, AT_POWER, 1);
	allow(config, PCI_INTERRUPT_LINE, 0xff, 1);
}

static void power_management(struct config_space *config)
{
	set(config, AT_POWER, PCI_CAP_ID_PM, 1);
	set(config, AT_POWER + 1, AT_MSI, 1);
	set(config, AT_POWER + PCI_PM_PMC, 3, 2); /* version 1.2 */
	set(config, AT_POWER + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET, 2);
	allow(config, AT_POWER + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK, 2);
}

static void interrupts(struct config_space *config, const struct card_options *options)
{
	config->msi = AT_MSI;
	config->msix = options->msi_only ? 0 : AT_MSIX;

	/* One message, 64-bit addresses, no masks. */
	set(config, AT_MSI, PCI_CAP_ID_MSI, 1);
	set(config, AT_MSI + 1, config->msix ? AT_MSIX : AT_EXPRESS, 1);
	set(config, AT_MSI + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT, 2);
	allow(config, AT_MSI + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE, 2);
	allow(config, AT_MSI + PCI_MSI_ADDRESS_LO, 0xfffffffc, 4);
	allow(config, AT_MSI + PCI_MSI_ADDRESS_HI, 0xffffffff, 4);
	allow(config, AT_MSI + PCI_MSI_DATA_64, 0xffff, 2);

	if (!config->msix)
		return;
	set(config, AT_MSIX, PCI_CAP_ID_MSIX, 1);
	set(config, AT_MSIX + 1, AT_EXPRESS, 1);
	set(config, AT_MSIX + PCI_MSIX_FLAGS, FIXAR_XDMA_MSIX_VECTORS - 1, 2);
	allow(config, AT_MSIX + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	/* Both in BAR1. */
	set(config, AT_MSIX + PCI_MSIX_TABLE, FIXAR_XDMA_MSIX_TABLE | 1, 4);
	set(config, AT_MSIX + PCI_MSIX_PBA, FIXAR_XDMA_MSIX_PBA | 1, 4);
}

static void express(struct config_space *config, const struct card_options *options)
{
	const uint32_t at = AT_EXPRESS;

	config->express = at;
	set(config, at, PCI_CAP_ID_EXP, 1);
	set(config, at + PCI_EXP_FLAGS, PCI_EXP_TYPE_ENDPOINT << 4 | 2, 2);
	set(config, at + PCI_EXP_DEVCAP,
	    PAYLOAD_512 | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_RBER |
		    (options->function_reset ? PCI_EXP_DEVCAP_FLR : 0),
	    4);
	set(config, at + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_READRQ_512B, 2);
	allow(config, at + PCI_EXP_DEVCTL, 0x7fff & ~PCI_EXP_DEVCTL_PHANTOM & ~PCI_EXP_DEVCTL_AUX_PME, 2);
	put(config->clears + at + PCI_EXP_DEVSTA, 0xf, 2);
	set(config, at + PCI_EXP_LNKCAP, LINK_WIDTH << 4 | LINK_SPEED, 4);
	allow(config, at + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC, 2);
	set(config, at + PCI_EXP_LNKSTA, LINK_WIDTH << 4 | LINK_SPEED, 2);
	set(config, at + PCI_EXP_DEVCAP2, PCI_EXP_DEVCAP2_COMP_TMOUT_DIS, 4);
	allow(config, at + PCI_EXP_DEVCTL2, 0x1f, 2);
	set(config, at + PCI_EXP_LNKCAP2,
	    PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB | PCI_EXP_LNKCAP2_SLS_8_0GB, 4);
	set(config, at + PCI_EXP_LNKCTL2, LINK_SPEED, 2);
}

/* Advanced error reporting, and a serial number. */
static void extended(struct config_space *config)
{
	const uint32_t errors = PCI_ERR_UNC_DLP | PCI_ERR_UNC_POISON_TLP | PCI_ERR_UNC_FCP | PCI_ERR_UNC_COMP_TIME |
				PCI_ERR_UNC_COMP_ABORT | PCI_ERR_UNC_UNX_COMP | PCI_ERR_UNC_RX_OVER |
				PCI_ERR_UNC_MALF_TLP | PCI_ERR_UNC_ECRC | PCI_ERR_UNC_UNSUP;
	const uint32_t corrected = PCI_ERR_COR_RCVR | PCI_ERR_COR_BAD_TLP | PCI_ERR_COR_BAD_DLLP |
				   PCI_ERR_COR_REP_ROLL | PCI_ERR_COR_REP_TIMER | PCI_ERR_COR_ADV_NFAT;

	set(config, AT_AER, (uint32_t)AT_SERIAL << 20 | 2 << 16 | PCI_EXT_CAP_ID_ERR, 4);
	put(config->clears + AT_AER + PCI_ERR_UNCOR_STATUS, errors, 4);
	allow(config, AT_AER + PCI_ERR_UNCOR_MASK, errors, 4);
	allow(config, AT_AER + PCI_ERR_UNCOR_SEVER, errors, 4);
	set(config, AT_AER + PCI_ERR_UNCOR_SEVER,
	    PCI_ERR_UNC_DLP | PCI_ERR_UNC_FCP | PCI_ERR_UNC_RX_OVER | PCI_ERR_UNC_MALF_TLP, 4);
	put(config->clears + AT_AER + PCI_ERR_COR_STATUS, corrected, 4);
	allow(config, AT_AER + PCI_ERR_COR_MASK, corrected, 4);
	set(config, AT_AER + PCI_ERR_COR_MASK, PCI_ERR_COR_ADV_NFAT, 4);

	set(config, AT_SERIAL, 1 << 16 | PCI_EXT_CAP_ID_DSN, 4);
	set(config, AT_SERIAL + 4, UINT64_C(0x000a35f150000001), 8);
}

void config_space_reset(struct config_space *config, const struct card_options *options)
{
	memset(config, 0, sizeof(*config));
	header(config, options);
	power_management(config);
	interrupts(config, options);
	express(config, options);
	extended(config);
}

void config_space_read(const struct config_space *config, uint32_t offset, void *data, uint32_t count)
{
	memcpy(data, config->value + offset, count);
}

void config_space_write(struct card *card, uint32_t offset, const void *data, uint32_t count)
{
	struct config_space *config = &card->config;
	const uint8_t *bytes = data;
	const uint32_t reset = config->express + PCI_EXP_DEVCTL + 1;
	bool function_reset = false;

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *value = &config->value[offset + i];
		const uint8_t writable = config->writable[offset + i];

		*value = (uint8_t)((*value & ~writable) | (bytes[i] & writable));
		*value &= (uint8_t) ~(bytes[i] & config->clears[offset + i]);
		if (offset + i == reset && (bytes[i] & PCI_EXP_DEVCTL_BCR_FLR >> 8))
			function_reset = true;
	}
	if (offset < PCI_COMMAND + 2 && offset + count > PCI_COMMAND)
		dma_map_enable(&card->dma, config_space_bus_master(config));
	if (!function_reset)
		return;
	if (card->options.function_reset)
		card_function_reset(card);
	else
		strict_note(card, "function-level reset asked for, but the card has none");
}

bool config_space_bus_master(const struct config_space *config)
{
	return get(config, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

bool config_space_memory(const struct config_space *config)
{
	return get(config, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY;
}

bool config_space_msi(const struct config_space *config)
{
	return get(config, config->msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE;
}

bool config_space_msix(const struct config_space *config)
{
	return config->msix && (get(config, config->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE);
}

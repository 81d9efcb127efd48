/* SPDX-License-Identifier: MIT */
#ifndef FIXAR_TOOLS_INFO_CARD_H
#define FIXAR_TOOLS_INFO_CARD_H

#include <jansson.h>

/* One element of cards_describe_all() in words. */
void info_print_card(const json_t *card);

#endif /* FIXAR_TOOLS_INFO_CARD_H */

/* delivery.h: the order in which a write set's two halves reach the store. delivery.c alone knows
 * the modes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_DELIVERY_H
#define WR_DELIVERY_H

#include "txn/store.h"

enum wr_delivery { WR_EXACTLY_ONCE };

/* Makes the sealed epoch (NULL: none) and the markers durable. Thread: decide. */
weir_status wr_delivery_decide(enum wr_delivery delivery, struct wr_store *store,
                               struct wr_epoch *epoch, const struct wr_marker *markers,
                               size_t marker_count, struct wr_error *error);

/* "exactly-once"; false when the text names no mode. */
bool wr_delivery_parse(const char *text, enum wr_delivery *delivery_out);
const char *wr_delivery_name(enum wr_delivery delivery);

#endif

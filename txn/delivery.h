/* delivery.h: the order in which a write set's two halves, effects and positions, reach the store,
 * and how outside sinks are written. delivery.c alone knows the modes.
 *
 * Thread: decide, but for wr_deliverer_new, _start and _free (before the threads start and after
 * they ended) and what takes a mode (any).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_DELIVERY_H
#define WR_DELIVERY_H

#include "txn/forward.h"

enum wr_delivery { WR_EXACTLY_ONCE, WR_AT_LEAST_ONCE, WR_AT_MOST_ONCE };

struct wr_deliverer;

/* positions_ms: how often at-least-once stores positions. */
weir_status wr_deliverer_new(struct wr_store *store, struct wr_forwarder *forwarder,
                             enum wr_delivery delivery, struct wr_env *env, int64_t positions_ms,
                             struct wr_deliverer **deliverer_out, struct wr_error *error);
/* Stores nothing. NULL is ignored. */
void wr_deliverer_free(struct wr_deliverer *deliverer);
/* Once the outlets were checked. At-least-once first forwards what an earlier run left in logs, and
 * has the markers of new sinks decided. */
weir_status wr_deliverer_start(struct wr_deliverer *deliverer, struct wr_error *error);

/* Makes the sealed epoch (NULL: none) and the markers durable, as the mode does. */
weir_status wr_deliverer_decide(struct wr_deliverer *deliverer, const struct wr_epoch *epoch,
                                const struct wr_marker *markers, size_t marker_count,
                                struct wr_error *error);
/* Stores the positions that were put off: those that are old enough, or (`all`: a clean stop) all
 * of them. */
weir_status wr_deliverer_rest(struct wr_deliverer *deliverer, bool all, struct wr_error *error);
/* Milliseconds until wr_deliverer_rest has something to do; INT64_MAX: nothing is put off. */
int64_t wr_deliverer_due_ms(const struct wr_deliverer *deliverer);

/* Whether outside sinks are written when an epoch is decided, without a log: nothing is left to a
 * forward thread. */
bool wr_delivery_is_direct(enum wr_delivery delivery);
/* "exactly-once"; false when the text names no mode. */
bool wr_delivery_parse(const char *text, enum wr_delivery *delivery_out);
const char *wr_delivery_name(enum wr_delivery delivery);
/* What a sink's output is worth in this mode, and why, in one line. `outside`: what its outlet says
 * of exactly-once (NULL: it is in the store). */
void wr_delivery_describe(enum wr_delivery delivery, enum wr_sync sync, enum wr_sink_kind kind,
                          const char *outside, char *text, size_t size);

#endif

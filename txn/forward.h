/* forward.h: the forwarder: copies the outbox of each outside sink to its outlet, in order, from
 * its marker.
 *
 *   log (decided) ──read──▶ outlet.send* ──▶ outlet.settle ──▶ marker in the next transaction ──▶
 * trim
 *
 * A crash anywhere in between leaves the outside longer than the marker; the outlet's check cuts it
 * back at the next start. Thread: forward for wr_forward_step; wr_forward_markers and
 * wr_forward_decided are called by the decide thread, and the caller provides the mutual exclusion
 * (the engine's one mutex for hand-overs).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_FORWARD_H
#define WR_FORWARD_H

#include "txn/outlets/outlet.h"

struct wr_forwarder;

/* One forwarder for all outside sinks of an instance. Takes the outlets (closes them in
 * wr_forwarder_free). */
weir_status wr_forwarder_new(struct wr_env *env, struct wr_store *store, struct wr_arena *arena,
                             struct wr_forwarder **forwarder_out, struct wr_error *error);
void wr_forwarder_free(struct wr_forwarder *forwarder);
weir_status wr_forwarder_add(struct wr_forwarder *forwarder, const struct wr_sink *sink,
                             struct wr_outlet *outlet, const struct wr_marker *marker,
                             struct wr_error *error);
/* Checks every outlet against its marker (cutting files back). Before anything is decided. */
weir_status wr_forwarder_check(struct wr_forwarder *forwarder, struct wr_error *error);

/* Sends what is decided and not yet sent, at most about 16 MiB, and settles. *moved_out: markers
 * are waiting to be decided. Nothing to do: *moved_out false. While moved markers wait it sends
 * nothing more for that sink. */
weir_status wr_forwarder_step(struct wr_forwarder *forwarder, bool *moved_out,
                              struct wr_error *error);
/* The markers that wait to be decided; valid until wr_forwarder_decided. */
size_t wr_forwarder_markers(struct wr_forwarder *forwarder, const struct wr_marker **markers_out);
void wr_forwarder_decided(struct wr_forwarder *forwarder);

size_t wr_forwarder_sinks(const struct wr_forwarder *forwarder);
/* Records decided and not yet sent, over all sinks. Thread: forward. */
int64_t wr_forwarder_backlog(const struct wr_forwarder *forwarder);
const char *wr_forwarder_guarantee(const struct wr_forwarder *forwarder, const char *sink);

#endif

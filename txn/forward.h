/* forward.h: the forwarder: copies the outbox of each outside sink to its outlet, in order, from
 * its marker.
 *
 *   log (decided) ──read──▶ outlet.send* ──▶ outlet.settle ──▶ marker in the next transaction ──▶
 * trim
 *
 * A crash anywhere in between leaves the outside longer than the marker; the outlet's check cuts it
 * back at the next start. The check itself leaves a marker that waits to be decided where the
 * outside is not yet what the store knows (a new sink, a new empty file): nothing is sent before
 * that.
 *
 * Markers wait together: from the moment wr_forwarder_step (or _check) says that they moved until
 * wr_forwarder_decided they belong to the decide thread, and a step does nothing. So the two
 * threads never touch them at the same time, and need no lock for it.
 *
 * An outside that does not answer (a broker that is away) stops nobody: the calls return, and the
 * forwarder stays behind until a later one succeeds.
 *
 * Thread: forward for wr_forwarder_send and wr_forwarder_step; wr_forwarder_markers and
 * wr_forwarder_decided are called by the decide thread; all else before the threads start or after
 * they ended.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_FORWARD_H
#define WR_FORWARD_H

#include "txn/outlets/outlet.h"

struct wr_forwarder;

/* One forwarder for all outside sinks of an instance, on a connection of its own to the store. */
weir_status wr_forwarder_new(struct wr_env *env, struct wr_store *store, struct wr_arena *arena,
                             struct wr_forwarder **forwarder_out, struct wr_error *error);
/* Closes the outlets too. NULL is ignored. */
void wr_forwarder_free(struct wr_forwarder *forwarder);
/* Takes the outlet, also when it fails. `marker` is what the store holds (NULL: none yet). The
 * sink's topic must be known (wr_store_define). */
weir_status wr_forwarder_add(struct wr_forwarder *forwarder, const struct wr_sink *sink,
                             struct wr_outlet *outlet, const struct wr_marker *marker,
                             struct wr_error *error);
/* Checks every outlet against its marker (cutting files back). Before anything is decided. */
weir_status wr_forwarder_check(struct wr_forwarder *forwarder, struct wr_error *error);

/* Lets outlets wait for what does not answer (WR_OUTSIDE_WAIT_MS), where nobody asks again. */
void wr_forwarder_wait(struct wr_forwarder *forwarder, bool waits);

/* Sends what is decided and not yet sent, at most about 16 MiB between two steps, but settles
 * nothing. *full_out: as much as may be was sent. */
weir_status wr_forwarder_send(struct wr_forwarder *forwarder, bool *full_out,
                              struct wr_error *error);
/* Sends what is decided and not yet sent, at most about 16 MiB, and settles. *moved_out: markers
 * are waiting to be decided, by this step or since an earlier one; while they wait it sends nothing
 * more. Nothing to do: *moved_out false. */
weir_status wr_forwarder_step(struct wr_forwarder *forwarder, bool *moved_out,
                              struct wr_error *error);
/* At-least-once: sends an epoch's output outside, around the logs; it may be read there when this
 * returns. Nothing may be left in the logs (wr_forwarder_step). Thread: decide. */
weir_status wr_forwarder_direct(struct wr_forwarder *forwarder, const struct wr_epoch *epoch,
                                struct wr_error *error);
/* What was sent so is outside for good; the markers of it wait to be decided. Thread: decide. */
weir_status wr_forwarder_settle(struct wr_forwarder *forwarder, struct wr_error *error);
/* Before the check: what is longer outside than its marker says was sent, and stays. */
void wr_forwarder_keep(struct wr_forwarder *forwarder);

/* The markers that wait to be decided (0: none); valid until wr_forwarder_decided. */
size_t wr_forwarder_markers(struct wr_forwarder *forwarder, const struct wr_marker **markers_out);
void wr_forwarder_decided(struct wr_forwarder *forwarder);

/* Something decided is not outside, or a marker not decided, as of the last send or step. Thread:
 * that of the step. */
bool wr_forwarder_is_behind(const struct wr_forwarder *forwarder);
/* An outlet wants a step now and then, also when there is nothing to send. Thread: any. */
bool wr_forwarder_ticks(const struct wr_forwarder *forwarder);
/* An epoch was decided, with what it has for outside sinks. Thread: decide. */
void wr_forwarder_grew(struct wr_forwarder *forwarder, const struct wr_epoch *epoch);
/* A sink for which more waits than may (its backlog_max), NULL: none. Thread: any. */
const struct wr_sink *wr_forwarder_full(const struct wr_forwarder *forwarder);
/* When the call into the outside that is being made must have come back, by the monotonic clock; 0:
 * none is being made. Later than that it hangs for ever. Thread: any. */
int64_t wr_forwarder_overdue_us(const struct wr_forwarder *forwarder);

size_t wr_forwarder_sinks(const struct wr_forwarder *forwarder);
/* Records decided and not yet sent, over all sinks, as of the last step. Thread: any. */
int64_t wr_forwarder_backlog(const struct wr_forwarder *forwarder);
/* The sink that is being sent to, NULL: none; and a number that grows as long as the outside takes
 * what it is given. Thread: any. */
const struct wr_sink *wr_forwarder_sending(const struct wr_forwarder *forwarder, int64_t *sent_out);
/* Where outlets of Kafka find each other. */
struct wr_kafka_forward **wr_forwarder_kafka(struct wr_forwarder *forwarder);
const char *wr_forwarder_guarantee(const struct wr_forwarder *forwarder, const char *sink);

#endif

/* instance.h: one running instance of a job, shared by time.c (watermarks and timers), dispatch.c
 * (one unit through the graph), instance.c (open, poll, seal, undo, drop) and its two drivers:
 * loop.c, with threads, and the test kit.
 *
 * Two epochs: one fills, one is sealed or decided. A unit is one record's dispatch or one timer's
 * firing.
 *
 *   operator thread   open ─▶ ┌▶ poll ─▶ unit* ─▶ seal ─┐      ┌─▶ drop ─▶ begin ─┐ ─▶ close
 *                             └─────────────────────────│──────│──────────────────┘
 *   decide thread                                       └▶ decide
 *
 * An epoch may also be sealed while the one before it is not decided. Then both are sealed, none
 * fills, and the operator thread does nothing until the older one is decided and dropped, whose
 * memory the next one needs. The decide thread meanwhile finds its next epoch ready.
 *
 *   dropped <= decided <= sealed <= dropped + 2         numbers of epochs
 *   one fills:  sealed <= dropped + 1, and its number is sealed + 1
 *
 * Thread: operator, but for wr_instance_decide (decide thread) and what the opener does before the
 * threads start.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_INSTANCE_H
#define WR_INSTANCE_H

#include "engine/change.h"
#include "engine/job.h"
#include "engine/metrics.h"
#include "engine/rejects.h"
#include "engine/run.h"
#include "engine/sources/source.h"
#include "txn/base/slab.h"
#include "txn/forward.h"
#include "txn/state.h"

/* ---- Time ------------------------------------------------------------------------------------ */

struct wr_time_part { /* one source partition as one timing sees it */
    int64_t watermark_ms; /* INT64_MIN: no record yet */
    bool idle; /* no records for idle_ms */
    bool ended; /* read to its end in a bounded run; not kept */
};

/* Makes watermarks: of a source, or of a weir_times node. */
struct wr_timing {
    struct wr_node *node; /* the weir_times node, or the source itself */
    int64_t out_of_order_ms, idle_ms;
    struct wr_time_part *parts; /* by global partition number */
    struct wr_time_part *saved; /* as of the start of the filling epoch */
    size_t capacity; /* of both, and of `reaches` */
    bool *reaches; /* whether this partition's records come here */
    int64_t lowest_ms; /* over the parts that hold something back; see time.c */
    bool idle; /* none holds anything back */
    size_t at_lowest; /* parts that have it: 0, look for it again */
};

/* A pending timer in memory: all of a node's timers before its horizon are. */
struct wr_pending {
    uint64_t hash;
    weir_bytes key, name;
    int64_t time_ms;
    size_t place; /* in the heap */
    uint32_t bytes;
    bool clock;
};

struct wr_timer_heap {
    struct wr_pending **items; /* binary heap by (time, key, name) */
    size_t count, capacity;
    bool all; /* no pending timer of this node and clock is outside the heap */
    bool has_horizon; /* timers up to and with the horizon are in the heap */
    struct wr_timer horizon;
    struct wr_arena arena; /* of the horizon's bytes */
};

struct wr_node_time {
    int64_t watermark_ms, stored_ms; /* stored: as of the last sealed epoch */
    bool idle;
    struct wr_timing *timing; /* SOURCE, TIMES */
    struct wr_timer_heap event, clock;
    struct wr_map pending; /* by (key, name) */
};

/* ---- Instance -------------------------------------------------------------------------------- */

struct wr_part { /* a source partition; its place in the array is its global number */
    struct wr_source *source;
    struct wr_source_partition *at;
    struct wr_node *node;
    int64_t next; /* position after the last dispatched record */
    int64_t sealed_next; /* as of the last sealed epoch */
    int64_t sealed_before; /* as of the one before */
    struct wr_time_part sealed_time;
    int64_t quiet_us; /* since when every poll found it waiting; -1: the last one did not */
    bool ended, defined; /* defined: the store has a row */
};

struct wr_instance {
    struct wr_env *env;
    weir_job *job;
    const struct wr_run_options *options;
    struct wr_store *store;
    struct wr_change change; /* what this start changed */
    struct wr_reader *reader; /* operator thread's */
    struct wr_forwarder *forwarder;
    struct wr_deliverer *deliverer;
    struct wr_arena arena; /* the run's */
    struct wr_metrics metrics;
    struct wr_sink *sinks; /* by node->index */
    struct wr_source **sources;
    struct wr_part *parts;
    size_t part_count, part_capacity, poll_at;
    size_t *source_parts; /* by source: how many of its partitions are among the parts */
    int64_t measured_us; /* when lag, watermark and timers were last put into the metrics */
    int64_t discover_us; /* when sources were last asked for new partitions */
    int64_t leapt_us; /* since when positions that moved without a record wait to be decided; 0:
                         none does */
    _Atomic bool woken; /* a watch fired since then; set by the loop */
    /* How a source is opened; the test kit sets its own. */
    weir_status (*open_source)(struct wr_instance *instance, struct wr_node *node,
                               struct wr_source **source_out, struct wr_error *error);
    void *kit;

    struct wr_epoch epochs[2]; /* by number & 1 */
    struct wr_epoch *filling; /* or, while both are sealed, the newer one */
    _Atomic int64_t sealed, decided; /* the last; set by the operator, by the decide thread */
    int64_t dropped; /* the last */
    int64_t began_us; /* first unit of the filling epoch, 0: none yet */
    struct wr_state state;
    struct wr_polled polled; /* being dispatched */
    size_t polled_part, cursor; /* its partition; the next record of it */

    struct wr_node_time *times; /* by node->order */
    struct wr_timing *timings;
    size_t timing_count;
    int64_t *snapshot_ms; /* of every node, at the start of the filling epoch */
    bool *snapshot_idle;
    size_t advance_at; /* node order at which a round of advancing stands, 0: between rounds */
    bool draining;
    bool time_moved; /* a watermark may move or a timer be due */
    int64_t clock_ms; /* the wall clock, as timers see it */
    struct wr_slab slab; /* of pending timers */

    struct wr_arena call; /* what a call allocates */
    uint64_t unit;
    unsigned unit_rejects;
    size_t unit_bytes; /* of the write set when the unit began */
    struct wr_origin origin;
    struct wr_error failure; /* of the unit at hand: undo */
    struct wr_failures failures;
    struct wr_rejecting rejecting;
    struct wr_retry retry;
    int64_t units; /* of the filling epoch */
    int64_t retry_wait_ms;
    bool retry_now; /* the driver waits retry_wait_ms, and clears this */
    int64_t retry_since_us, retry_said_us; /* of the first retry without progress; see stuck.h */
    int64_t unit_out, unit_late; /* counted, added to the metrics when the epoch is sealed */
    int64_t epoch_out, epoch_late;
};

weir_status wr_instance_open(struct wr_env *env, weir_job *job,
                             const struct wr_run_options *options, struct wr_instance *instance,
                             struct wr_error *error);
/* `instance` is zeroed by the caller (who may set open_source and kit). Frees everything; decides
 * nothing; also after a failed open. */
void wr_instance_close(struct wr_instance *instance);

/* Polls the next partition that has something. *more_out: WR_SOURCE_MORE records were queued; WAIT:
 * nothing now; ENDED: every input is read to its end. */
weir_status wr_instance_poll(struct wr_instance *instance, enum wr_source_more *more_out,
                             struct wr_error *error);
/* Runs one unit: a due timer, else a dead letter to take again, else the next queued record.
 * *did_out false: neither is there. When
 * the unit fails, the filling epoch is undone: WEIR_RETRY after the wait in retry_wait_ms, WEIR_OK
 * with *did_out true when it will be replayed at once, else the error that stops the run. */
weir_status wr_instance_unit(struct wr_instance *instance, bool *did_out, struct wr_error *error);
/* Whether records are queued, not yet dispatched. */
bool wr_instance_queued(const struct wr_instance *instance);
/* The filling epoch has reached a limit. */
bool wr_instance_full(const struct wr_instance *instance);
bool wr_instance_has_work(const struct wr_instance *instance); /* something to seal */
/* Seals the filling epoch: it is handed over. Then wr_instance_begin, before anything else. */
weir_status wr_instance_seal(struct wr_instance *instance, struct wr_error *error);
/* Whether an epoch fills: false between a seal and wr_instance_begin. */
bool wr_instance_fills(const struct wr_instance *instance);
/* Lets the next epoch fill, when every sealed one but the last is decided; drops that whose memory
 * it takes. */
weir_status wr_instance_begin(struct wr_instance *instance, struct wr_error *error);
/* Throws the filling epoch away; its records are polled again. */
weir_status wr_instance_undo(struct wr_instance *instance, struct wr_error *error);
/* Sealed epochs that are not decided: 0, 1 or 2. Thread: any. */
int wr_instance_undecided(const struct wr_instance *instance);
/* Makes the oldest of these (when `epoch`) and the markers that wait durable. Thread: decide. */
weir_status wr_instance_decide(struct wr_instance *instance, bool epoch,
                               const struct wr_marker *markers, size_t marker_count,
                               struct wr_error *error);
/* Drops the oldest epoch if it is decided: its values move to the cache. Between units. */
weir_status wr_instance_drop(struct wr_instance *instance, struct wr_error *error);
/* Moves the watermark to the end of time; the timers then fire as units. */
void wr_instance_drain(struct wr_instance *instance);
/* Between batches: timers that the clock makes due. */
void wr_instance_tick(struct wr_instance *instance);
/* Brings lag, watermark and timers in the metrics up to date, ten times a second or always. */
void wr_instance_measure(struct wr_instance *instance, bool always);
/* Lag over all partitions, -1: not known. */
int64_t wr_instance_lag(struct wr_instance *instance);
/* Wall-clock milliseconds until the next clock timer or idle partition, INT64_MAX: none. */
int64_t wr_instance_next_ms(struct wr_instance *instance);

/* ---- instance_inputs.c ----------------------------------------------------------------------- */

weir_status wr_inputs_open(struct wr_instance *instance, struct wr_error *error);
void wr_inputs_close(struct wr_instance *instance);
/* Makes the parts, and brings each to its stored position. */
weir_status wr_inputs_start(struct wr_instance *instance, const struct wr_catalog *catalog,
                            struct wr_error *error);
/* Once watermarks are loaded: what is read to its end already holds nothing back. */
void wr_inputs_note_ends(struct wr_instance *instance);
/* Between units: new partitions, when it is time to look for them. */
weir_status wr_inputs_discover(struct wr_instance *instance, struct wr_error *error);
/* There may be partitions later of which nothing is known yet. */
bool wr_inputs_grow(const struct wr_instance *instance);
/* Every source that is not read to its end has watches: no need to poll while nothing changes. */
bool wr_inputs_watched(const struct wr_instance *instance);
/* A source cannot reach what it reads from. */
bool wr_inputs_away(const struct wr_instance *instance);
/* After a poll that found no record: its position may have moved all the same. */
void wr_inputs_leap(struct wr_instance *instance, struct wr_part *part);
/* When the next record is due by the monotonic clock, as far as sources know; INT64_MAX: none does.
 */
int64_t wr_inputs_due_us(const struct wr_instance *instance);

/* ---- pace.c ---------------------------------------------------------------------------------- */

/* The decide thread has no epoch. */
bool wr_pace_is_free(const struct wr_instance *instance);
/* After a unit: whether it is time to look at the clock. */
bool wr_pace_look(const struct wr_instance *instance);
/* The filling epoch, not empty, is old enough to be sealed now. */
bool wr_pace_is_due(const struct wr_instance *instance);
/* The filling epoch is to be sealed. idle: no records wait. */
bool wr_pace_should_seal(const struct wr_instance *instance, bool idle);
/* Until the filling epoch must be sealed; INT64_MAX: there is nothing to decide. */
int64_t wr_pace_left_ms(const struct wr_instance *instance);
/* Whether every input is read to its end, also after an undone epoch moved some of them back. */
bool wr_pace_all_read(const struct wr_instance *instance);

/* ---- time.c ---------------------------------------------------------------------------------- */

weir_status wr_time_init(struct wr_instance *instance, const struct wr_catalog *catalog,
                         struct wr_error *error);
void wr_time_fini(struct wr_instance *instance);
/* Parts from `first` on are new. The epoch that fills goes on. */
weir_status wr_time_grow(struct wr_instance *instance, size_t first, struct wr_error *error);
/* A record with this time came through a timing; counts it as late where it is. */
void wr_time_seen(struct wr_instance *instance, struct wr_timing *timing, size_t part,
                  int64_t time_ms);
/* A poll of a partition brought records (idle ends), found none yet, or found its end. Idle is what
 * polls found waiting idle_ms apart, with nothing in between: a partition that was not polled,
 * because the operators or the disk were slow, may have records. */
void wr_time_part_active(struct wr_instance *instance, size_t part);
void wr_time_part_quiet(struct wr_instance *instance, size_t part);
void wr_time_part_ended(struct wr_instance *instance, size_t part);
/* Moves watermarks in graph order as far as no timer is due; the first due one otherwise. Timers on
 * the clock come after those in event time. The timer is taken off memory and cancelled in the
 * write set; its bytes live in the call arena. */
weir_status wr_time_next(struct wr_instance *instance, struct wr_node **node_out,
                         struct wr_pending *timer_out, bool *due_out, struct wr_error *error);
/* Sets (or, with INT64_MAX, cancels) a timer. */
weir_status wr_time_wake(struct wr_instance *instance, struct wr_node *node, weir_bytes key,
                         weir_bytes name, bool clock, int64_t time_ms, struct wr_error *error);
/* The epoch that fills starts here; its undoing comes back to here. */
void wr_time_save(struct wr_instance *instance);
void wr_time_restore(struct wr_instance *instance);
/* Puts the watermarks that changed into the epoch about to be sealed. */
weir_status wr_time_seal(struct wr_instance *instance, struct wr_error *error);
int64_t wr_time_watermark(
    const struct wr_instance *instance); /* lowest of the sinks', or of all nodes */
/* A partition's watermark as its position keeps it. */
struct wr_time_part wr_time_of_part(const struct wr_instance *instance, size_t part);
int64_t wr_time_pending(const struct wr_instance *instance); /* timers in memory */

/* ---- timers.c ----------------------------------------------------------------------------------
 */

/* The first pending timer of a node and clock, NULL: none. Reads the store when memory has none. */
weir_status wr_timers_first(struct wr_instance *instance, struct wr_node *node, bool clock,
                            struct wr_pending **first_out, struct wr_error *error);
/* Sets, moves or (INT64_MAX) cancels a timer, in memory and in the write set. */
weir_status wr_timers_set(struct wr_instance *instance, struct wr_node *node, weir_bytes key,
                          weir_bytes name, bool clock, int64_t time_ms, struct wr_error *error);
void wr_timers_forget(struct wr_instance *instance, struct wr_node *node);
void wr_timers_fini(struct wr_instance *instance, struct wr_node *node);

/* ---- dispatch.c, sink.c ---------------------------------------------------------------------- */

/* Runs one record (a reject reason sends it to the dead letters), one timer, or one dead letter
 * that is taken again, through the graph, depth first. An origin that failed too often is rejected
 * instead. A failure is left in instance->failure. */
void wr_dispatch_record(struct wr_instance *instance, size_t part, const weir_record *record,
                        int64_t offset, const char *reject);
void wr_dispatch_timer(struct wr_instance *instance, struct wr_node *node,
                       const struct wr_pending *timer);
void wr_dispatch_letter(struct wr_instance *instance, const struct wr_letter *letter);
/* Brings a node's state to the job's version, slot by slot, in one transaction: see weir_state. */
weir_status wr_dispatch_upgrade(struct wr_instance *instance, const struct wr_node *node,
                                const struct wr_stored_node *stored, struct wr_error *error);
/* Puts a record into a sink's part of the write set. */
void wr_sink_put(struct wr_instance *instance, const struct wr_node *node,
                 const weir_record *record);

#endif

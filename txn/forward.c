/* forward.c: see forward.h.
 *
 *           step sent and settled, or
 *           check found a new outside
 *   IDLE ─────────────────────────────▶ WAITING          `waiting`: how many markers wait
 *     ▲                                    │
 *     └──────── wr_forwarder_decided ──────┘
 *
 * In IDLE the markers belong to the forward thread, in WAITING to the decide thread; the hand-over
 * is the atomic `waiting`.
 *
 * Invariant 4 (epoch.h) holds because a step reads through a connection of its own, so only what is
 * decided, from the marker on, without a hole; invariant 5 because a step asserts that the check
 * has passed.
 *
 * Long because the markers' hand-over is one protocol, whichever way records go out.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/forward.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

enum { STEP_BYTES = 16 * 1024 * 1024 };

struct forward {
    const struct wr_sink *sink;
    struct wr_outlet *outlet;
    struct wr_marker marker; /* as decided */
};

struct wr_forwarder {
    struct wr_env *env;
    struct wr_arena *arena; /* the job's */
    struct wr_arena batch; /* of the batch at hand */
    struct wr_reader *reader;
    uint64_t incarnation;
    struct forward *forwards;
    struct wr_marker *moved; /* the markers that wait, as they shall be */
    size_t *moved_of; /* which sink each belongs to */
    size_t count, capacity, turn; /* turn: the sink that a step starts with */
    bool checked;
    atomic_size_t waiting;
    _Atomic int64_t backlog;
    _Atomic size_t sending; /* which sink is being sent to, from 1; 0: none */
    _Atomic int64_t sent; /* calls of outlets that came back */
};

/* ---- Life ------------------------------------------------------------------------------------ */

weir_status wr_forwarder_new(struct wr_env *env, struct wr_store *store, struct wr_arena *arena,
                             struct wr_forwarder **forwarder_out, struct wr_error *error)
{
    struct wr_forwarder *forwarder = calloc(1, sizeof *forwarder);
    if (!forwarder) {
        return wr_fail_memory(error);
    }
    const struct wr_store_info *info = wr_store_info(store);
    forwarder->env = env;
    forwarder->arena = arena;
    forwarder->incarnation = info->incarnation;
    wr_arena_init(&forwarder->batch, 2 * WR_BATCH_BYTES_MAX);
    atomic_init(&forwarder->waiting, 0);
    atomic_init(&forwarder->backlog, 0);
    weir_status status = wr_reader_open(env, info->path, &forwarder->reader, error);
    if (status != WEIR_OK) {
        wr_forwarder_free(forwarder);
        return status;
    }
    *forwarder_out = forwarder;
    return WEIR_OK;
}

void wr_forwarder_free(struct wr_forwarder *forwarder)
{
    if (!forwarder) {
        return;
    }
    for (size_t i = 0; i < forwarder->count; i++) {
        forwarder->forwards[i].outlet->ops->close(forwarder->forwards[i].outlet);
    }
    if (forwarder->reader) {
        wr_reader_close(forwarder->reader);
    }
    wr_arena_fini(&forwarder->batch);
    free(forwarder->forwards);
    free(forwarder->moved);
    free(forwarder->moved_of);
    free(forwarder);
}

static bool reserve(struct wr_forwarder *forwarder)
{
    if (forwarder->count < forwarder->capacity) {
        return true;
    }
    size_t capacity = forwarder->capacity ? forwarder->capacity * 2 : 4;
    struct forward *forwards = realloc(forwarder->forwards, capacity * sizeof *forwards);
    if (forwards) {
        forwarder->forwards = forwards;
    }
    struct wr_marker *moved = realloc(forwarder->moved, capacity * sizeof *moved);
    if (moved) {
        forwarder->moved = moved;
    }
    size_t *moved_of = realloc(forwarder->moved_of, capacity * sizeof *moved_of);
    if (moved_of) {
        forwarder->moved_of = moved_of;
    }
    if (!forwards || !moved || !moved_of) {
        return false;
    }
    forwarder->capacity = capacity;
    return true;
}

weir_status wr_forwarder_add(struct wr_forwarder *forwarder, const struct wr_sink *sink,
                             struct wr_outlet *outlet, const struct wr_marker *marker,
                             struct wr_error *error)
{
    wr_assert(!forwarder->checked);
    wr_assert_that(sink->kind, ==, WR_SINK_OUTBOX);
    struct wr_marker own = marker ? *marker : (struct wr_marker){.length = -1};
    own.sink = sink->name;
    bool copied = reserve(forwarder);
    if (copied && own.identity) {
        own.identity = wr_arena_string(forwarder->arena, own.identity);
        copied = own.identity != NULL;
    }
    if (!copied) {
        outlet->ops->close(outlet);
        return wr_fail_memory(error);
    }
    forwarder->forwards[forwarder->count++] = (struct forward){sink, outlet, own};
    return WEIR_OK;
}

/* ---- Markers --------------------------------------------------------------------------------- */

static bool same_outside(const struct wr_marker *a, const struct wr_marker *b)
{
    return a->identity && b->identity && strcmp(a->identity, b->identity) == 0 &&
           a->length == b->length && a->crc == b->crc;
}

/* Settles one sink's outlet and puts the marker it gives on the list, which is not yet handed over.
 * `next`: the log offset after the last record sent. */
static weir_status settle(struct wr_forwarder *forwarder, size_t at, int64_t next, size_t *count,
                          struct wr_error *error)
{
    struct forward *forward = &forwarder->forwards[at];
    struct wr_marker marker = forward->marker;
    WR_TRY(forward->outlet->ops->settle(forward->outlet, &marker, error));
    marker.next = next;
    if (marker.next == forward->marker.next && same_outside(&marker, &forward->marker)) {
        return WEIR_OK;
    }
    wr_assert_that(marker.next, >=, forward->marker.next);
    marker.incarnation = forwarder->incarnation;
    wr_assert_that(*count, <, forwarder->count);
    forwarder->moved[*count] = marker;
    forwarder->moved_of[*count] = at;
    ++*count;
    return WEIR_OK;
}

static void hand_over(struct wr_forwarder *forwarder, size_t count)
{
    wr_assert_that(atomic_load(&forwarder->waiting), ==, 0);
    atomic_store_explicit(&forwarder->waiting, count, memory_order_release);
}

size_t wr_forwarder_markers(struct wr_forwarder *forwarder, const struct wr_marker **markers_out)
{
    *markers_out = forwarder->moved;
    return atomic_load_explicit(&forwarder->waiting, memory_order_acquire);
}

void wr_forwarder_decided(struct wr_forwarder *forwarder)
{
    size_t count = atomic_load_explicit(&forwarder->waiting, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        forwarder->forwards[forwarder->moved_of[i]].marker = forwarder->moved[i];
    }
    atomic_store_explicit(&forwarder->waiting, 0, memory_order_release);
}

weir_status wr_forwarder_check(struct wr_forwarder *forwarder, struct wr_error *error)
{
    size_t moved = 0;
    wr_assert(!forwarder->checked);
    for (size_t i = 0; i < forwarder->count; i++) {
        struct forward *forward = &forwarder->forwards[i];
        if (*forward->sink->next != forward->marker.next) {
            forward->outlet->keeps = false; /* what is longer will come again from the log */
        }
        WR_TRY(forward->outlet->ops->check(forward->outlet, &forward->marker, error));
        if (forward->outlet->keeps && forward->marker.identity) {
            continue; /* what it keeps counts once the positions behind it are stored */
        }
        WR_TRY(settle(forwarder, i, forward->marker.next, &moved, error));
    }
    forwarder->checked = true;
    hand_over(forwarder, moved);
    return WEIR_OK;
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* Names the batch in an error about its content, which the one who found it could not. */
static weir_status fail_batch(const struct forward *forward, int64_t offset, weir_status status,
                              struct wr_error *error)
{
    if (error->exit_code != WR_EXIT_DATA && error->exit_code != WR_EXIT_CONFIG) {
        return status;
    }
    struct wr_error cause = *error;
    wr_error_clear(error);
    return wr_fail(error, status, cause.exit_code,
                   "cannot forward sink %s (topic %s) from offset %" PRId64
                   ": %.500s; `weir verify` shows what else is damaged",
                   forward->sink->name, forward->sink->topic_name, offset, cause.text);
}

/* Sends the records of a batch from `*next` on, and moves it. */
static weir_status send_batch(struct wr_forwarder *forwarder, const struct forward *forward,
                              weir_bytes bytes, int64_t *next, struct wr_error *error)
{
    struct wr_batch_reader batch;
    weir_status status = wr_batch_open(bytes, &batch, error);
    if (status != WEIR_OK) {
        return fail_batch(forward, *next, status, error);
    }
    if (batch.first_offset > *next || batch.first_offset > INT64_MAX - (int64_t)batch.count ||
        batch.first_offset + (int64_t)batch.count <= *next) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "cannot forward sink %s: the log of topic %s has no offset %" PRId64
                       " (its next batch starts at %" PRId64
                       "); `weir verify` shows what else is damaged",
                       forward->sink->name, forward->sink->topic_name, *next, batch.first_offset);
    }
    for (;;) {
        struct wr_mark mark = wr_arena_mark(&forwarder->batch);
        weir_record record;
        int64_t offset = 0;
        bool more = false;
        status = wr_batch_next(&batch, &forwarder->batch, &record, &offset, &more, error);
        if (status != WEIR_OK) {
            return fail_batch(forward, *next, status, error);
        }
        if (!more) {
            return WEIR_OK;
        }
        if (offset >= *next) {
            wr_assert_that(offset, ==, *next);
            WR_TRY(forward->outlet->ops->send(forward->outlet, &record, offset, error));
            atomic_fetch_add_explicit(&forwarder->sent, 1, memory_order_relaxed);
            *next = offset + 1;
        }
        wr_arena_release(&forwarder->batch, mark);
    }
}

/* The batch that holds `next`, in forwarder->batch. No snapshot outlives the call: an outside that
 * keeps us waiting must not make the WAL grow. */
static weir_status read_batch(struct wr_forwarder *forwarder, const struct forward *forward,
                              int64_t next, weir_bytes *bytes_out, struct wr_error *error)
{
    wr_arena_reset(&forwarder->batch);
    weir_status status = wr_reader_batch(forwarder->reader, forward->sink->topic, 0, next,
                                         &forwarder->batch, bytes_out, error);
    wr_reader_end(forwarder->reader);
    WR_TRY(status);
    if (bytes_out->data) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "cannot forward sink %s: the log of topic %s ends before offset %" PRId64
                   ", which was decided; `weir verify` shows what else is damaged",
                   forward->sink->name, forward->sink->topic_name, next);
}

/* Sends what one sink's log holds from its marker on, within `*budget` bytes, and settles. */
static weir_status forward_from(struct wr_forwarder *forwarder, size_t at, size_t *budget,
                                size_t *moved, int64_t *backlog, struct wr_error *error)
{
    const struct forward *forward = &forwarder->forwards[at];
    struct wr_fault *fault = &forwarder->env->fault;
    struct wr_extent extent;
    int64_t first = forward->marker.next, next = first;
    weir_status status =
        wr_reader_extent(forwarder->reader, forward->sink->topic, 0, &extent, error);
    wr_reader_end(forwarder->reader);
    WR_TRY(status);
    if (next > extent.next) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "cannot forward sink %s: its marker is at offset %" PRId64
                       " and the log of topic %s ends at %" PRId64
                       "; `weir verify` shows what else is damaged",
                       forward->sink->name, next, forward->sink->topic_name, extent.next);
    }
    while (next<extent.next && * budget> 0) {
        if (next == first) {
            WR_FAULT(fault, forward_before_send, error);
        }
        weir_bytes bytes;
        WR_TRY(read_batch(forwarder, forward, next, &bytes, error));
        WR_TRY(send_batch(forwarder, forward, bytes, &next, error));
        *budget -= bytes.size < *budget ? bytes.size : *budget;
    }
    *backlog += extent.next - next;
    if (next == first) {
        return WEIR_OK;
    }
    WR_FAULT(fault, forward_after_send, error);
    WR_TRY(settle(forwarder, at, next, moved, error));
    WR_FAULT(fault, forward_after_sync, error);
    return WEIR_OK;
}

static weir_status forward_sink(struct wr_forwarder *forwarder, size_t at, size_t *budget,
                                size_t *moved, int64_t *backlog, struct wr_error *error)
{
    atomic_store_explicit(&forwarder->sending, at + 1, memory_order_relaxed);
    weir_status status = forward_from(forwarder, at, budget, moved, backlog, error);
    atomic_store_explicit(&forwarder->sending, 0, memory_order_relaxed);
    return status;
}

weir_status wr_forwarder_step(struct wr_forwarder *forwarder, bool *moved_out,
                              struct wr_error *error)
{
    *moved_out = atomic_load_explicit(&forwarder->waiting, memory_order_acquire) > 0;
    wr_assert(forwarder->checked);
    if (*moved_out || forwarder->count == 0) {
        return WEIR_OK;
    }
    size_t budget = STEP_BYTES, moved = 0;
    int64_t backlog = 0;
    for (size_t i = 0; i < forwarder->count; i++) {
        size_t at = (forwarder->turn + i) % forwarder->count;
        WR_TRY(forward_sink(forwarder, at, &budget, &moved, &backlog, error));
    }
    forwarder->turn = (forwarder->turn + 1) % forwarder->count;
    atomic_store(&forwarder->backlog, backlog);
    hand_over(forwarder, moved);
    *moved_out = moved > 0;
    return WEIR_OK;
}

/* ---- Around the logs ------------------------------------------------------------------------- */

void wr_forwarder_keep(struct wr_forwarder *forwarder)
{
    wr_assert(!forwarder->checked);
    for (size_t i = 0; i < forwarder->count; i++) {
        forwarder->forwards[i].outlet->keeps = true;
    }
}

static weir_status send_all(struct wr_forwarder *forwarder, struct wr_outlet *outlet,
                            const struct wr_batch *batch, struct wr_error *error)
{
    struct wr_batch_reader reader;
    wr_arena_reset(&forwarder->batch);
    WR_TRY(wr_batch_open(wr_bytes(batch->bytes.data, batch->bytes.size), &reader, error));
    for (bool more = true; more;) {
        struct wr_mark mark = wr_arena_mark(&forwarder->batch);
        weir_record record;
        int64_t offset = 0;
        WR_TRY(wr_batch_next(&reader, &forwarder->batch, &record, &offset, &more, error));
        if (more) {
            WR_TRY(outlet->ops->send(outlet, &record, offset, error));
        }
        wr_arena_release(&forwarder->batch, mark);
    }
    return WEIR_OK;
}

static weir_status direct_sink(struct wr_forwarder *forwarder, size_t at,
                               const struct wr_epoch *epoch, struct wr_error *error)
{
    const struct forward *forward = &forwarder->forwards[at];
    const struct wr_epoch_sink *write = &epoch->sink[forward->sink - epoch->sinks];
    for (const struct wr_batch *batch = write->batches; batch; batch = batch->next) {
        WR_TRY(send_all(forwarder, forward->outlet, batch, error));
    }
    return write->batches ? forward->outlet->ops->flush(forward->outlet, error) : WEIR_OK;
}

weir_status wr_forwarder_direct(struct wr_forwarder *forwarder, const struct wr_epoch *epoch,
                                struct wr_error *error)
{
    wr_assert(forwarder->checked);
    wr_assert_that(atomic_load(&forwarder->waiting), ==, 0);
    for (size_t i = 0; i < forwarder->count; i++) {
        atomic_store_explicit(&forwarder->sending, i + 1, memory_order_relaxed);
        WR_TRY(direct_sink(forwarder, i, epoch, error));
        atomic_store_explicit(&forwarder->sending, 0, memory_order_relaxed);
    }
    return WEIR_OK;
}

weir_status wr_forwarder_settle(struct wr_forwarder *forwarder, struct wr_error *error)
{
    size_t moved = 0;
    wr_assert(forwarder->checked);
    for (size_t i = 0; i < forwarder->count; i++) {
        WR_TRY(settle(forwarder, i, forwarder->forwards[i].marker.next, &moved, error));
    }
    hand_over(forwarder, moved);
    return WEIR_OK;
}

/* ---- Looking --------------------------------------------------------------------------------- */

size_t wr_forwarder_sinks(const struct wr_forwarder *forwarder)
{
    return forwarder->count;
}

int64_t wr_forwarder_backlog(const struct wr_forwarder *forwarder)
{
    return atomic_load(&forwarder->backlog);
}

const struct wr_sink *wr_forwarder_sending(const struct wr_forwarder *forwarder, int64_t *sent_out)
{
    size_t sending = atomic_load_explicit(&forwarder->sending, memory_order_relaxed);
    *sent_out = atomic_load_explicit(&forwarder->sent, memory_order_relaxed);
    return sending > 0 ? forwarder->forwards[sending - 1].sink : NULL;
}

const char *wr_forwarder_guarantee(const struct wr_forwarder *forwarder, const char *sink)
{
    for (size_t i = 0; i < forwarder->count; i++) {
        const struct forward *forward = &forwarder->forwards[i];
        if (strcmp(forward->sink->name, sink) == 0) {
            return forward->outlet->ops->guarantee(forward->outlet);
        }
    }
    return NULL;
}

/* forward.c: see forward.h.
 *
 *           step settled what was sent, or
 *           check found a new outside
 *   IDLE ─────────────────────────────▶ WAITING          `waiting`: how many markers wait
 *     ▲                                    │
 *     └──────── wr_forwarder_decided ──────┘
 *
 * In IDLE `moved` belongs to the forward thread, in WAITING to the decide thread; the hand-over is
 * the atomic `waiting`. In WAITING more may be sent, but it is not settled: so a decided marker is
 * one step behind the outside at most.
 *
 * Invariant 4 (epoch.h) holds because a step reads through a connection of its own, so only what is
 * decided, from the marker on, without a hole; invariant 5 because a step asserts that the check
 * has passed.
 *
 * Long because the markers' hand-over is one protocol, whichever way records go out.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/forward_inner.h"

enum { STEP_BYTES = 16 * 1024 * 1024 };

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
    forwarder->generation = info->generation;
    wr_arena_init(&forwarder->batch, 2 * WR_BATCH_BYTES_MAX);
    forwarder->budget = STEP_BYTES;
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
    free(forwarder);
}

static bool reserve(struct wr_forwarder *forwarder)
{
    if (forwarder->count < forwarder->capacity) {
        return true;
    }
    size_t capacity = forwarder->capacity ? forwarder->capacity * 2 : 4;
    struct wr_forward *forwards = realloc(forwarder->forwards, capacity * sizeof *forwards);
    if (forwards) {
        forwarder->forwards = forwards;
    }
    struct wr_marker *moved = realloc(forwarder->moved, capacity * sizeof *moved);
    if (moved) {
        forwarder->moved = moved;
    }
    if (!forwards || !moved) {
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
    outlet->log = sink;
    outlet->reader = forwarder->reader;
    outlet->overdue_us = &forwarder->overdue_us;
    forwarder->forwards[forwarder->count++] =
        (struct wr_forward){.sink = sink, .outlet = outlet, .marker = own, .next = own.next};
    return WEIR_OK;
}

/* ---- Markers --------------------------------------------------------------------------------- */

static bool same_marker(const struct wr_marker *a, const struct wr_marker *b)
{
    return a->next == b->next && a->identity && b->identity &&
           strcmp(a->identity, b->identity) == 0 && a->length == b->length && a->crc == b->crc;
}

void wr_forward_take(struct wr_forwarder *forwarder, struct wr_forward *forward,
                     const struct wr_marker *marker)
{
    if (!same_marker(marker, &forward->marker)) {
        wr_assert_that(marker->next, >=, forward->marker.next);
        forward->marker = *marker;
        forward->marker.incarnation = forwarder->incarnation;
        forward->moved = true;
    }
}

/* Settles one sink's outlet. Its marker, where it moved, is not yet handed over. */
static weir_status settle(struct wr_forwarder *forwarder, struct wr_forward *forward,
                          struct wr_error *error)
{
    struct wr_marker marker = forward->marker;
    marker.next = forward->next;
    WR_TRY(forward->outlet->ops->settle(forward->outlet, &marker, error));
    forward->next = marker.next; /* earlier than what was sent: that goes again */
    wr_forward_take(forwarder, forward, &marker);
    return WEIR_OK;
}

/* Hands the markers that moved to the decide thread. */
static void hand_over(struct wr_forwarder *forwarder)
{
    size_t count = 0;
    wr_assert_that(atomic_load(&forwarder->waiting), ==, 0);
    for (size_t i = 0; i < forwarder->count; i++) {
        struct wr_forward *forward = &forwarder->forwards[i];
        if (forward->moved) {
            forwarder->moved[count++] = forward->marker;
            forward->moved = false;
        }
    }
    atomic_store_explicit(&forwarder->waiting, count, memory_order_release);
}

static bool is_waiting(const struct wr_forwarder *forwarder)
{
    return atomic_load_explicit(&forwarder->waiting, memory_order_acquire) > 0;
}

size_t wr_forwarder_markers(struct wr_forwarder *forwarder, const struct wr_marker **markers_out)
{
    *markers_out = forwarder->moved;
    return atomic_load_explicit(&forwarder->waiting, memory_order_acquire);
}

void wr_forwarder_decided(struct wr_forwarder *forwarder)
{
    atomic_store_explicit(&forwarder->waiting, 0, memory_order_release);
}

void wr_forwarder_wait(struct wr_forwarder *forwarder, bool waits)
{
    for (size_t i = 0; i < forwarder->count; i++) {
        forwarder->forwards[i].outlet->waits = waits;
    }
}

static weir_status check(struct wr_forwarder *forwarder, struct wr_error *error)
{
    for (size_t i = 0; i < forwarder->count; i++) {
        struct wr_forward *forward = &forwarder->forwards[i];
        if (*forward->sink->next != forward->marker.next) {
            forward->outlet->keeps = false; /* what is longer will come again from the log */
        }
        WR_TRY(forward->outlet->ops->check(forward->outlet, &forward->marker, error));
    }
    for (size_t i = 0; i < forwarder->count; i++) { /* what is shared by some knows all of them */
        struct wr_forward *forward = &forwarder->forwards[i];
        if (forward->outlet->keeps && forward->marker.identity) {
            continue; /* what it keeps counts once the positions behind it are stored */
        }
        weir_status status = settle(forwarder, forward, error);
        if (status != WEIR_OK && status != WEIR_RETRY) {
            return status;
        }
        wr_error_clear(error); /* it is checked later, before anything is sent */
    }
    return WEIR_OK;
}

weir_status wr_forwarder_check(struct wr_forwarder *forwarder, struct wr_error *error)
{
    wr_assert(!forwarder->checked);
    wr_forwarder_wait(forwarder, true);
    WR_TRY(check(forwarder, error));
    wr_forwarder_wait(forwarder, false);
    forwarder->checked = true;
    forwarder->behind = forwarder->count > 0; /* nobody has looked at the logs yet */
    hand_over(forwarder);
    return WEIR_OK;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* For the other threads, and for who asks whether there is something left to do. */
static void publish(struct wr_forwarder *forwarder)
{
    int64_t backlog = 0;
    bool moved = is_waiting(forwarder);
    for (size_t i = 0; i < forwarder->count; i++) {
        const struct wr_forward *forward = &forwarder->forwards[i];
        backlog += forward->end > forward->marker.next ? forward->end - forward->marker.next : 0;
        moved = moved || forward->moved;
    }
    forwarder->behind = moved || backlog > 0;
    atomic_store(&forwarder->backlog, backlog);
}

weir_status wr_forwarder_send(struct wr_forwarder *forwarder, bool *full_out,
                              struct wr_error *error)
{
    *full_out = false;
    wr_assert(forwarder->checked);
    if (!forwarder->opened && is_waiting(forwarder)) {
        forwarder->behind = true;
        return WEIR_OK;
    }
    forwarder->opened = true;
    for (size_t i = 0; i < forwarder->count; i++) {
        size_t at = (forwarder->turn + i) % forwarder->count;
        atomic_store_explicit(&forwarder->sending, at + 1, memory_order_relaxed);
        weir_status status = wr_forward_send(forwarder, &forwarder->forwards[at], error);
        if (status != WEIR_OK && status != WEIR_RETRY) {
            return status;
        }
        wr_error_clear(error);
        atomic_store_explicit(&forwarder->sending, 0, memory_order_relaxed);
    }
    publish(forwarder);
    *full_out = forwarder->budget == 0;
    return WEIR_OK;
}

static weir_status settle_all(struct wr_forwarder *forwarder, struct wr_error *error)
{
    struct wr_fault *fault = &forwarder->env->fault;
    for (size_t i = 0; i < forwarder->count; i++) {
        size_t at = (forwarder->turn + i) % forwarder->count;
        struct wr_forward *forward = &forwarder->forwards[at];
        bool sent = forward->next > forward->marker.next;
        if (!sent && !forward->outlet->ops->prepare) {
            continue;
        }
        if (sent) {
            WR_FAULT(fault, forward_after_send, error);
        }
        atomic_store_explicit(&forwarder->sending, at + 1, memory_order_relaxed);
        weir_status status = settle(forwarder, forward, error);
        if (status != WEIR_OK && status != WEIR_RETRY) {
            return status;
        }
        wr_error_clear(error);
        atomic_store_explicit(&forwarder->sending, 0, memory_order_relaxed);
        if (sent && status == WEIR_OK) {
            atomic_fetch_add_explicit(&forwarder->sent, 1, memory_order_relaxed);
            WR_FAULT(fault, forward_after_sync, error);
        }
    }
    return WEIR_OK;
}

/* Whether everything that was sent is settled; then as much again may be sent. */
static bool is_settled(const struct wr_forwarder *forwarder)
{
    for (size_t i = 0; i < forwarder->count; i++) {
        if (forwarder->forwards[i].next != forwarder->forwards[i].marker.next) {
            return false;
        }
    }
    return true;
}

static bool has_moved(const struct wr_forwarder *forwarder)
{
    for (size_t i = 0; i < forwarder->count; i++) {
        if (forwarder->forwards[i].moved) {
            return true;
        }
    }
    return false;
}

weir_status wr_forwarder_step(struct wr_forwarder *forwarder, bool *moved_out,
                              struct wr_error *error)
{
    bool full = false;
    *moved_out = is_waiting(forwarder);
    wr_assert(forwarder->checked);
    if (*moved_out || forwarder->count == 0) {
        forwarder->behind = *moved_out;
        return WEIR_OK;
    }
    WR_TRY(wr_forwarder_send(forwarder, &full, error));
    if (!has_moved(forwarder)) { /* else that marker first: it is one step behind at most */
        WR_TRY(settle_all(forwarder, error));
    }
    if (is_settled(forwarder)) {
        forwarder->budget = STEP_BYTES;
        forwarder->turn = (forwarder->turn + 1) % forwarder->count;
    }
    hand_over(forwarder);
    publish(forwarder);
    *moved_out = is_waiting(forwarder);
    return WEIR_OK;
}

weir_status wr_forwarder_settle(struct wr_forwarder *forwarder, struct wr_error *error)
{
    wr_assert(forwarder->checked);
    for (size_t i = 0; i < forwarder->count; i++) {
        WR_TRY(settle(forwarder, &forwarder->forwards[i], error));
    }
    hand_over(forwarder);
    return WEIR_OK;
}

/* ---- Looking --------------------------------------------------------------------------------- */

size_t wr_forwarder_sinks(const struct wr_forwarder *forwarder)
{
    return forwarder->count;
}

bool wr_forwarder_is_behind(const struct wr_forwarder *forwarder)
{
    return forwarder->behind;
}

bool wr_forwarder_ticks(const struct wr_forwarder *forwarder)
{
    for (size_t i = 0; i < forwarder->count; i++) {
        if (forwarder->forwards[i].outlet->ops->prepare) {
            return true;
        }
    }
    return false;
}

void wr_forwarder_grew(struct wr_forwarder *forwarder, const struct wr_epoch *epoch)
{
    for (size_t i = 0; i < forwarder->count; i++) {
        struct wr_forward *forward = &forwarder->forwards[i];
        const struct wr_epoch_sink *write = &epoch->sink[forward->sink - epoch->sinks];
        int64_t bytes = 0;
        for (const struct wr_batch *batch = write->batches; batch; batch = batch->next) {
            bytes += (int64_t)batch->bytes.size;
        }
        atomic_fetch_add_explicit(&forward->bytes, bytes, memory_order_relaxed);
    }
}

const struct wr_sink *wr_forwarder_full(const struct wr_forwarder *forwarder)
{
    for (size_t i = 0; i < forwarder->count; i++) {
        const struct wr_forward *forward = &forwarder->forwards[i];
        int64_t most = forward->outlet->backlog_max;
        if (most > 0 && atomic_load_explicit(&forward->bytes, memory_order_relaxed) > most) {
            return forward->sink;
        }
    }
    return NULL;
}

int64_t wr_forwarder_overdue_us(const struct wr_forwarder *forwarder)
{
    return atomic_load_explicit(&forwarder->overdue_us, memory_order_relaxed);
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

struct wr_kafka_forward **wr_forwarder_kafka(struct wr_forwarder *forwarder)
{
    return &forwarder->kafka;
}

const char *wr_forwarder_guarantee(const struct wr_forwarder *forwarder, const char *sink)
{
    for (size_t i = 0; i < forwarder->count; i++) {
        const struct wr_forward *forward = &forwarder->forwards[i];
        if (strcmp(forward->sink->name, sink) == 0) {
            return forward->outlet->ops->guarantee(forward->outlet);
        }
    }
    return NULL;
}

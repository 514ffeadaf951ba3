/* instance.c: what the operator thread does with an open instance: poll, one unit, seal, undo,
 * drop.
 *
 * Records are kept only while they are dispatched. Undoing the filling epoch moves each source
 * partition back to where the last sealed epoch ended, and polls again: inputs are logs, they last
 * (keeping the records of an epoch cost more memory than its write set, and made epochs small). A
 * sealed epoch is never replayed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/instance.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/stuck.h"
#include "txn/base/assert.h"

enum { RETRY_FIRST_MS = 50, RETRY_LAST_MS = 2000 };

/* ---- Poll ------------------------------------------------------------------------------------ */

bool wr_instance_queued(const struct wr_instance *instance)
{
    return instance->cursor < instance->polled.count;
}

static weir_status poll_part(struct wr_instance *instance, size_t index,
                             enum wr_source_more *more_out, struct wr_error *error)
{
    struct wr_part *part = &instance->parts[index];
    wr_arena_reset(&instance->polled.arena);
    instance->polled.count = 0;
    instance->polled.rejects = NULL;
    instance->cursor = 0;
    instance->polled_part = index;
    WR_TRY(part->source->ops->poll(part->source, part->at, &instance->polled, more_out, error));
    if (instance->polled.count > 0) {
        wr_time_part_active(instance, index);
        return WEIR_OK;
    }
    wr_inputs_leap(instance, part);
    if (*more_out == WR_SOURCE_WAIT) {
        wr_time_part_quiet(instance, index);
    }
    return WEIR_OK;
}

weir_status wr_instance_poll(struct wr_instance *instance, enum wr_source_more *more_out,
                             struct wr_error *error)
{
    wr_assert(!wr_instance_queued(instance));
    if (wr_retry_pending(&instance->retry)) { /* nothing new before the dead letters */
        *more_out = WR_SOURCE_MORE;
        return WEIR_OK;
    }
    bool waiting = wr_inputs_grow(instance);
    for (size_t i = 0; i < instance->part_count; i++) {
        size_t index = (instance->poll_at + i) % instance->part_count;
        if (instance->parts[index].ended) {
            continue;
        }
        enum wr_source_more more = WR_SOURCE_WAIT;
        WR_TRY(poll_part(instance, index, &more, error));
        if (wr_instance_queued(instance)) {
            instance->poll_at = index + 1;
            *more_out = WR_SOURCE_MORE;
            return WEIR_OK;
        }
        if (more == WR_SOURCE_ENDED) {
            instance->parts[index].ended = true;
            wr_time_part_ended(instance, index);
        } else {
            waiting = true;
        }
    }
    *more_out = waiting ? WR_SOURCE_WAIT : WR_SOURCE_ENDED;
    return WEIR_OK;
}

/* ---- Undo ------------------------------------------------------------------------------------ */

weir_status wr_instance_undo(struct wr_instance *instance, struct wr_error *error)
{
    WR_FAULT(&instance->env->fault, undo_before_replay, error);
    wr_epoch_undo(instance->filling);
    WR_TRY(wr_state_fill(&instance->state, instance->filling, instance->state.sealed, error));
    wr_time_restore(instance);
    wr_retry_undo(instance);
    wr_failures_undo(&instance->failures);
    for (size_t i = 0; i < instance->part_count; i++) {
        instance->parts[i].next = instance->parts[i].sealed_next;
        instance->parts[i].at->next = instance->parts[i].sealed_next;
        instance->parts[i].quiet_us = -1;
    }
    instance->polled.count = 0;
    instance->cursor = 0;
    instance->epoch_out = 0;
    instance->epoch_late = 0;
    instance->units = 0;
    return WEIR_OK;
}

/* A unit failed: undo and replay, or stop. */
static weir_status handle_failure(struct wr_instance *instance, struct wr_error *error)
{
    struct wr_error failure = instance->failure;
    wr_error_clear(&instance->failure);
    if (failure.status == WEIR_RETRY) {
        int64_t wait = instance->retry_wait_ms ? instance->retry_wait_ms * 2 : RETRY_FIRST_MS;
        wait = wait < RETRY_LAST_MS ? wait : RETRY_LAST_MS;
        int64_t now_us = instance->env->monotonic_us(instance->env);
        if (instance->retry_wait_ms == 0) {
            instance->retry_since_us = now_us;
            instance->retry_said_us = 0;
        }
        bool stuck = wr_stuck_say(now_us, instance->retry_since_us, &instance->retry_said_us);
        instance->retry_wait_ms = wait;
        instance->retry_now = true;
        wr_log(instance->env, stuck ? WR_LOG_WARN : WR_LOG_DEBUG,
               "%.800s; tried again in %" PRId64 " ms, until it succeeds (for %" PRId64 " s now)",
               failure.text, wait, (now_us - instance->retry_since_us) / 1000000);
        return wr_instance_undo(instance, error);
    }
    int count = 0;
    if (failure.status == WEIR_ABORT) {
        WR_TRY(wr_failures_add(instance, &failure, &count, error));
    }
    if (count > 0 && count < WR_FAILURES_MAX) {
        wr_log(instance->env, WR_LOG_DEBUG,
               "%.800s; the epoch is undone and tried again (%d of %d)", failure.text, count,
               WR_FAILURES_MAX - 1);
        return wr_instance_undo(instance, error);
    }
    if (count == WR_FAILURES_MAX && wr_failures_reason(instance)) { /* the replay rejects it */
        return wr_instance_undo(instance, error);
    }
    char origin[WR_ERROR_TEXT_MAX / 2];
    wr_origin_describe(instance, origin, sizeof origin);
    if (count > 0) {
        return wr_fail(error, WEIR_FATAL, failure.exit_code,
                       "%s failed %d times: %s; mend the record or the job and start again, or "
                       "have it made a dead letter by --on-error reject; nothing decided is lost",
                       origin, count, failure.text);
    }
    return wr_fail_native(error, WEIR_FATAL, failure.exit_code, failure.native, "%s: %s", origin,
                          failure.text);
}

/* ---- Unit ------------------------------------------------------------------------------------ */

static void dispatch_next(struct wr_instance *instance)
{
    const struct wr_polled *polled = &instance->polled;
    size_t at = instance->cursor;
    wr_dispatch_record(instance, instance->polled_part, &polled->records[at], polled->offsets[at],
                       polled->rejects ? polled->rejects[at] : NULL);
    if (instance->failure.status == WEIR_OK) {
        instance->parts[instance->polled_part].next = polled->nexts[at];
        instance->filling->records_in++;
        instance->cursor++;
    }
}

/* Takes the next dead letter that was queued; false: there is none. */
static bool take_letter(struct wr_instance *instance)
{
    const struct wr_letter *letter = NULL;
    struct wr_error *failure = &instance->failure;
    if (wr_retry_next(instance, &letter, failure) == WEIR_OK && letter &&
        wr_retry_take(instance, letter, failure) == WEIR_OK) {
        wr_dispatch_letter(instance, letter);
    }
    return letter || failure->status != WEIR_OK;
}

/* The unit at hand is done, and will be decided with its epoch. */
static weir_status pass_unit(struct wr_instance *instance, struct wr_error *error)
{
    WR_TRY(wr_failures_passed(instance, error));
    if (instance->origin.letter) {
        WR_TRY(wr_retry_passed(instance, error));
    }
    instance->epoch_out += instance->unit_out;
    instance->epoch_late += instance->unit_late;
    wr_state_trim(&instance->state);
    if (instance->units++ == 0) {
        instance->began_us = instance->env->monotonic_us(instance->env);
        WR_FAULT(&instance->env->fault, fill_first_unit, error);
    }
    return WEIR_OK;
}

weir_status wr_instance_unit(struct wr_instance *instance, bool *did_out, struct wr_error *error)
{
    *did_out = false;
    wr_arena_reset(&instance->call);
    struct wr_node *node = NULL;
    struct wr_pending timer;
    bool due = false;
    instance->origin = (struct wr_origin){.part = SIZE_MAX, .offset = -1};
    weir_status status = wr_time_next(instance, &node, &timer, &due, &instance->failure);
    if (status == WEIR_OK && due) {
        wr_dispatch_timer(instance, node, &timer);
        *did_out = true;
    } else if (status == WEIR_OK && wr_retry_pending(&instance->retry)) {
        *did_out = take_letter(instance);
    }
    if (status == WEIR_OK && !*did_out && wr_instance_queued(instance)) {
        dispatch_next(instance);
    } else if (status == WEIR_OK && !*did_out) {
        return WEIR_OK;
    }
    *did_out = true;
    if (instance->failure.status != WEIR_OK) {
        return handle_failure(instance, error);
    }
    return pass_unit(instance, error);
}

bool wr_instance_full(const struct wr_instance *instance)
{
    int64_t records = instance->options->epoch_records;
    return instance->units >= (records > 0 ? records : WR_EPOCH_RECORDS_DEFAULT) ||
           instance->failures.passed || wr_epoch_bytes(instance->filling) >= WR_EPOCH_BYTES_MAX;
}

bool wr_instance_has_work(const struct wr_instance *instance)
{
    return instance->units > 0;
}

/* ---- Seal, decide, drop ---------------------------------------------------------------------- */

static weir_status seal_positions(struct wr_instance *instance, struct wr_error *error)
{
    struct wr_epoch *epoch = instance->filling;
    for (size_t i = 0; i < instance->part_count; i++) {
        struct wr_part *part = &instance->parts[i];
        struct wr_time_part time = wr_time_of_part(instance, i);
        part->sealed_before = part->sealed_next;
        if (part->defined && part->next == part->sealed_next &&
            time.watermark_ms == part->sealed_time.watermark_ms &&
            time.idle == part->sealed_time.idle) {
            continue;
        }
        if (!epoch->progress.positions) {
            epoch->progress.positions = wr_arena_alloc(
                &epoch->arena, instance->part_count * sizeof *epoch->progress.positions);
            if (!epoch->progress.positions) {
                return wr_fail_memory(error);
            }
        }
        const char *identity = part->at->identity ? part->at->identity : "";
        identity = wr_arena_string(&epoch->arena, identity); /* the source may change it any time */
        if (!identity) {
            return wr_fail_memory(error);
        }
        epoch->progress.positions[epoch->progress.position_count++] = (struct wr_position){
            part->node->name, part->at->part, part->next, time.watermark_ms, time.idle, identity};
        part->sealed_next = part->next;
        part->at->kept = part->next;
        part->sealed_time = time;
        part->defined = true;
    }
    return WEIR_OK;
}

static void count(_Atomic int64_t *counter, int64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

int wr_instance_undecided(const struct wr_instance *instance)
{
    /* In this order: of the thread's own number it knows the newest, and the other's only grows. */
    int64_t decided = atomic_load_explicit(&instance->decided, memory_order_acquire);
    int64_t sealed = atomic_load_explicit(&instance->sealed, memory_order_acquire);
    return (int)(sealed - decided);
}

bool wr_instance_fills(const struct wr_instance *instance)
{
    return instance->filling->phase == WR_EPOCH_FILLING;
}

weir_status wr_instance_seal(struct wr_instance *instance, struct wr_error *error)
{
    struct wr_epoch *epoch = instance->filling;
    wr_assert_that(epoch->number, ==, atomic_load(&instance->sealed) + 1);
    wr_assert_that(epoch->number, <=, instance->dropped + 2);
    WR_TRY(seal_positions(instance, error));
    WR_TRY(wr_time_seal(instance, error));
    WR_TRY(wr_retry_seal(instance, error));
    WR_TRY(wr_state_seal(&instance->state, error));
    WR_FAULT(&instance->env->fault, fill_before_seal, error);
    wr_epoch_seal(epoch);
    WR_FAULT(&instance->env->fault, fill_after_seal, error);
    wr_reader_end(instance->reader);
    count(&instance->metrics.records_in, epoch->records_in);
    count(&instance->metrics.records_out, instance->epoch_out);
    count(&instance->metrics.late, instance->epoch_late);
    count(&instance->metrics.rejects, (int64_t)epoch->reject_count);
    count(&instance->metrics.retried, (int64_t)epoch->progress.retried_count);
    wr_rejects_seal(instance);
    wr_failures_seal(&instance->failures);
    wr_time_save(instance);
    instance->epoch_out = 0;
    instance->epoch_late = 0;
    instance->units = 0;
    instance->began_us = 0;
    instance->leapt_us = 0;
    instance->retry_wait_ms = 0; /* what failed is behind */
    atomic_store_explicit(&instance->sealed, epoch->number, memory_order_release);
    return WEIR_OK;
}

weir_status wr_instance_begin(struct wr_instance *instance, struct wr_error *error)
{
    const struct wr_epoch *sealed = instance->filling;
    wr_assert_that(sealed->phase, ==, WR_EPOCH_SEALED);
    wr_assert_that(wr_instance_undecided(instance), <=, 1);
    if (instance->dropped < sealed->number - 1) {
        WR_TRY(wr_instance_drop(instance, error));
    }
    wr_assert_that(instance->dropped, ==, sealed->number - 1);
    instance->filling = &instance->epochs[(sealed->number + 1) & 1];
    wr_epoch_begin(instance->filling, sealed->number + 1);
    return wr_state_fill(&instance->state, instance->filling, sealed, error);
}

weir_status wr_instance_decide(struct wr_instance *instance, bool epoch,
                               const struct wr_marker *markers, size_t marker_count,
                               struct wr_error *error)
{
    int64_t number = atomic_load_explicit(&instance->decided, memory_order_relaxed) + 1;
    struct wr_epoch *sealed = epoch ? &instance->epochs[number & 1] : NULL;
    int64_t from_us = instance->env->monotonic_us(instance->env);
    int64_t rejects = wr_store_sql_rejects(instance->store);
    wr_assert(!epoch || sealed->number == number);
    WR_TRY(wr_store_check_there(instance->store, error));
    WR_TRY(wr_deliverer_decide(instance->deliverer, sealed, markers, marker_count, error));
    if (sealed) {
        const struct wr_observer *observer = instance->options->observer;
        int64_t took_us = instance->env->monotonic_us(instance->env) - from_us;
        wr_histogram_add(&instance->metrics.decide, took_us, 1);
        count(&instance->metrics.epochs, 1);
        count(&instance->metrics.rejects, wr_store_sql_rejects(instance->store) - rejects);
        if (observer) {
            observer->decided(observer->data, instance, sealed->records_in);
        }
        if (wr_store_is_behind(instance->store)) {
            WR_TRY(wr_store_checkpoint(instance->store, error));
        }
        atomic_store_explicit(&instance->decided, number, memory_order_release);
    }
    return WEIR_OK;
}

weir_status wr_instance_drop(struct wr_instance *instance, struct wr_error *error)
{
    if (instance->dropped == atomic_load_explicit(&instance->decided, memory_order_acquire)) {
        return WEIR_OK;
    }
    struct wr_epoch *epoch = &instance->epochs[(instance->dropped + 1) & 1];
    wr_assert_that(epoch->number, ==, instance->dropped + 1);
    WR_FAULT(&instance->env->fault, drop_before, error);
    epoch->phase = WR_EPOCH_DECIDED; /* here: this thread reads it, and may any time */
    WR_TRY(wr_state_drop(&instance->state, error));
    WR_FAULT(&instance->env->fault, drop_after, error);
    instance->dropped = epoch->number;
    return WEIR_OK;
}

/* time.c: watermarks. A timing (of each source, and of each weir_times node) keeps a watermark for
 * each partition; the lowest of those that hold something back is what its successors see. Nodes
 * advance in graph order: a node fires its due timers by (time, key, name), and only then does its
 * own watermark move and its successors see it. When all have moved, the timers fire that the clock
 * made due.
 *
 * The rules for idle inputs are Flink's (FLIP-27's watermark multiplexer): an idle or ended
 * partition holds nothing back; when all are idle, the highest counts. A node's own watermark never
 * falls.
 *
 * Long because watermarks and the timers that they fire are one set of rules, read as one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/instance.h"

#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

/* ---- Set-up ---------------------------------------------------------------------------------- */

/* A source whose only consumer is a weir_times node is timed by that: nobody sees its own time. */
static struct wr_node *timed_by(struct wr_node *node)
{
    const struct wr_edge *edge = node->out[0];
    if (node->kind == WR_NODE_SOURCE && edge && !edge->next && edge->to->kind == WR_NODE_TIMES) {
        return edge->to;
    }
    return node;
}

static void mark_reached(struct wr_instance *instance, bool *reached, const struct wr_node *node)
{
    reached[node->order] = true;
    for (size_t i = node->order; i < instance->job->node_count; i++) {
        const struct wr_node *at = instance->job->nodes[i];
        for (size_t j = 0; j < at->input_count; j++) {
            reached[at->order] = reached[at->order] || reached[at->inputs[j].from->order];
        }
    }
}

/* Room for all parts; those from `first` on are new. */
static weir_status timing_grow(struct wr_instance *instance, struct wr_timing *timing, size_t first,
                               bool *reached, struct wr_error *error)
{
    if (timing->capacity < instance->part_count || !timing->parts) {
        size_t capacity = instance->part_capacity ? instance->part_capacity : 1;
        struct wr_time_part *parts = wr_arena_zalloc(&instance->arena, capacity * sizeof *parts);
        struct wr_time_part *saved = wr_arena_zalloc(&instance->arena, capacity * sizeof *saved);
        bool *reaches = wr_arena_zalloc(&instance->arena, capacity);
        if (!parts || !saved || !reaches) {
            return wr_fail_memory(error);
        }
        if (first > 0) {
            memcpy(parts, timing->parts, first * sizeof *parts);
            memcpy(saved, timing->saved, first * sizeof *saved);
            memcpy(reaches, timing->reaches, first);
        }
        timing->parts = parts;
        timing->saved = saved;
        timing->reaches = reaches;
        timing->capacity = capacity;
    }
    const struct wr_node *of = NULL;
    for (size_t i = first; i < instance->part_count; i++) {
        if (of != instance->parts[i].node) { /* a source's parts stand together, mostly */
            of = instance->parts[i].node;
            memset(reached, 0, instance->job->node_count);
            mark_reached(instance, reached, of);
        }
        timing->reaches[i] = reached[timing->node->order];
        timing->parts[i] = (struct wr_time_part){.watermark_ms = INT64_MIN};
        timing->saved[i] = timing->parts[i];
    }
    return WEIR_OK;
}

static weir_status timing_init(struct wr_instance *instance, struct wr_timing *timing,
                               struct wr_node *node, bool *reached, struct wr_error *error)
{
    timing->node = node;
    timing->out_of_order_ms = node->out_of_order_ms;
    timing->idle_ms = node->idle_ms;
    return timing_grow(instance, timing, 0, reached, error);
}

static struct wr_timing *timing_of(struct wr_instance *instance, const struct wr_node *node)
{
    return instance->times[node->order].timing;
}

static void load_watermarks(struct wr_instance *instance, const struct wr_catalog *catalog)
{
    for (size_t i = 0; i < instance->part_count; i++) {
        struct wr_part *part = &instance->parts[i];
        struct wr_timing *timing = timing_of(instance, timed_by(part->node));
        for (size_t j = 0; j < catalog->position_count; j++) {
            const struct wr_position *stored = &catalog->positions[j];
            if (strcmp(stored->source, part->node->name) == 0 &&
                strcmp(stored->part, part->at->part) == 0) {
                timing->parts[i].watermark_ms = stored->watermark_ms;
                timing->parts[i].idle = stored->idle;
            }
        }
        for (size_t j = 0; j < catalog->watermark_count; j++) {
            const struct wr_watermark *stored = &catalog->watermarks[j];
            for (size_t k = 0; k < instance->timing_count; k++) {
                timing = &instance->timings[k];
                if (timing->node->id == stored->node &&
                    strcmp(stored->source, part->node->name) == 0 &&
                    strcmp(stored->part, part->at->part) == 0) {
                    timing->parts[i].watermark_ms = stored->watermark_ms;
                    timing->parts[i].idle = stored->idle;
                }
            }
        }
    }
    for (size_t i = 0; i < instance->job->node_count; i++) {
        struct wr_node_time *time = &instance->times[i];
        time->watermark_ms = INT64_MIN;
        for (size_t j = 0; j < catalog->node_count; j++) {
            if (catalog->nodes[j].id == instance->job->nodes[i]->id) {
                time->watermark_ms = catalog->nodes[j].watermark_ms;
            }
        }
        time->stored_ms = time->watermark_ms;
    }
}

/* Some nodes came to the end of time and others did not: the run that drained them was cut short,
 * and this one goes on with it. */
static bool drain_began(const struct wr_instance *instance)
{
    size_t ended = 0, all = 0;
    for (size_t i = 0; i < instance->job->node_count; i++) {
        if (instance->job->nodes[i]->kind != WR_NODE_SINK) { /* it has no timers, and may be new */
            all++;
            ended += instance->times[i].watermark_ms == INT64_MAX;
        }
    }
    return ended > 0 && ended < all;
}

static void recombine(struct wr_instance *instance, struct wr_timing *timing)
{
    int64_t lowest = INT64_MAX, highest = INT64_MIN;
    size_t at_lowest = 0;
    bool any = false;
    for (size_t i = 0; i < instance->part_count; i++) {
        const struct wr_time_part *part = &timing->parts[i];
        if (!timing->reaches[i]) {
            continue;
        }
        highest = part->watermark_ms > highest ? part->watermark_ms : highest;
        if (part->idle || part->ended) {
            continue;
        }
        any = true;
        if (part->watermark_ms < lowest) {
            lowest = part->watermark_ms;
            at_lowest = 0;
        }
        at_lowest += part->watermark_ms == lowest;
    }
    timing->idle = !any;
    timing->lowest_ms = any ? lowest : highest;
    timing->at_lowest = at_lowest;
    instance->time_moved = true;
}

weir_status wr_time_init(struct wr_instance *instance, const struct wr_catalog *catalog,
                         struct wr_error *error)
{
    weir_job *job = instance->job;
    struct wr_arena *arena = &instance->arena;
    instance->times = wr_arena_zalloc(arena, job->node_count * sizeof *instance->times);
    instance->timings = wr_arena_zalloc(arena, job->node_count * sizeof *instance->timings);
    bool *reached = wr_arena_alloc(arena, job->node_count);
    if (!instance->times || !instance->timings || !reached) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < job->node_count; i++) {
        struct wr_node *node = job->nodes[i];
        if (node->kind == WR_NODE_TIMES ||
            (node->kind == WR_NODE_SOURCE && timed_by(node) == node)) {
            struct wr_timing *timing = &instance->timings[instance->timing_count++];
            WR_TRY(timing_init(instance, timing, node, reached, error));
            instance->times[i].timing = timing;
        }
    }
    load_watermarks(instance, catalog);
    instance->draining = drain_began(instance);
    instance->snapshot_ms = wr_arena_zalloc(arena, job->node_count * sizeof(int64_t));
    instance->snapshot_idle = wr_arena_zalloc(arena, job->node_count);
    if (!instance->snapshot_ms || !instance->snapshot_idle) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < instance->timing_count; i++) {
        recombine(instance, &instance->timings[i]);
    }
    instance->clock_ms = instance->env->wall_ms(instance->env);
    return WEIR_OK;
}

weir_status wr_time_grow(struct wr_instance *instance, size_t first, struct wr_error *error)
{
    bool *reached = wr_arena_alloc(&instance->call, instance->job->node_count);
    if (!reached) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < instance->timing_count; i++) {
        WR_TRY(timing_grow(instance, &instance->timings[i], first, reached, error));
        recombine(instance, &instance->timings[i]);
    }
    return WEIR_OK;
}

void wr_time_fini(struct wr_instance *instance)
{
    for (size_t i = 0; instance->times && i < instance->job->node_count; i++) {
        wr_timers_fini(instance, instance->job->nodes[i]);
    }
    wr_slab_fini(&instance->slab);
}

/* ---- What moves watermarks ------------------------------------------------------------------- */

void wr_time_seen(struct wr_instance *instance, struct wr_timing *timing, size_t part_index,
                  int64_t time_ms)
{
    if (time_ms < instance->times[timing->node->order].watermark_ms) {
        instance->unit_late++;
    }
    struct wr_time_part *part = &timing->parts[part_index];
    int64_t watermark_ms = time_ms < INT64_MIN + timing->out_of_order_ms
                               ? INT64_MIN
                               : time_ms - timing->out_of_order_ms;
    if (watermark_ms <= part->watermark_ms) {
        return;
    }
    if (watermark_ms == INT64_MAX) {
        watermark_ms--; /* INT64_MAX is the end of time */
    }
    bool was_lowest = part->watermark_ms == timing->lowest_ms || timing->idle;
    part->watermark_ms = watermark_ms;
    if (was_lowest && (timing->at_lowest <= 1 || timing->idle)) {
        recombine(instance, timing);
    } else if (was_lowest) {
        timing->at_lowest--;
    }
}

void wr_time_part_active(struct wr_instance *instance, size_t part)
{
    instance->parts[part].quiet_us = -1;
    for (size_t i = 0; i < instance->timing_count; i++) {
        struct wr_timing *timing = &instance->timings[i];
        if (timing->reaches[part] && timing->parts[part].idle) {
            timing->parts[part].idle = false;
            recombine(instance, timing);
        }
    }
}

void wr_time_part_quiet(struct wr_instance *instance, size_t part)
{
    int64_t now_us = instance->env->monotonic_us(instance->env);
    int64_t *quiet_us = &instance->parts[part].quiet_us;
    *quiet_us = *quiet_us < 0 ? now_us : *quiet_us;
    for (size_t i = 0; i < instance->timing_count; i++) {
        struct wr_timing *timing = &instance->timings[i];
        struct wr_time_part *at = &timing->parts[part];
        if (timing->idle_ms > 0 && timing->reaches[part] && !at->idle &&
            (now_us - *quiet_us) / 1000 >= timing->idle_ms) {
            at->idle = true;
            recombine(instance, timing);
        }
    }
}

void wr_time_part_ended(struct wr_instance *instance, size_t part)
{
    for (size_t i = 0; i < instance->timing_count; i++) {
        instance->timings[i].parts[part].ended = true;
        recombine(instance, &instance->timings[i]);
    }
}

void wr_instance_tick(struct wr_instance *instance)
{
    instance->clock_ms = instance->env->wall_ms(instance->env);
    for (size_t i = 0; i < instance->job->node_count; i++) {
        const struct wr_timer_heap *heap = &instance->times[i].clock;
        if (heap->count ? heap->items[0]->time_ms <= instance->clock_ms : !heap->all) {
            instance->time_moved = true;
        }
    }
}

int64_t wr_instance_next_ms(struct wr_instance *instance)
{
    int64_t next_ms = INT64_MAX;
    int64_t now_ms = instance->env->wall_ms(instance->env);
    int64_t now_us = instance->env->monotonic_us(instance->env);
    for (size_t i = 0; i < instance->job->node_count; i++) {
        const struct wr_timer_heap *heap = &instance->times[i].clock;
        if (heap->count && heap->items[0]->time_ms - now_ms < next_ms) {
            next_ms = heap->items[0]->time_ms - now_ms;
        }
    }
    for (size_t i = 0; i < instance->timing_count; i++) {
        const struct wr_timing *timing = &instance->timings[i];
        for (size_t j = 0; timing->idle_ms > 0 && j < instance->part_count; j++) {
            const struct wr_time_part *part = &timing->parts[j];
            int64_t quiet_us = instance->parts[j].quiet_us;
            int64_t left = timing->idle_ms - (now_us - quiet_us) / 1000;
            if (timing->reaches[j] && quiet_us >= 0 && !part->idle && !part->ended &&
                left < next_ms) {
                next_ms = left;
            }
        }
    }
    return next_ms < 0 ? 0 : next_ms;
}

void wr_instance_drain(struct wr_instance *instance)
{
    instance->draining = true;
    instance->time_moved = true;
    instance->advance_at = 0;
}

/* ---- Advancing ------------------------------------------------------------------------------- */

/* What a node's inputs let its watermark be. */
static int64_t target_of(struct wr_instance *instance, const struct wr_node *node, bool *idle_out)
{
    struct wr_timing *timing = timing_of(instance, node);
    if (instance->draining && (timing || node->input_count == 0)) {
        return INT64_MAX;
    }
    if (timing) {
        *idle_out = timing->idle;
        return timing->lowest_ms;
    }
    if (node->kind == WR_NODE_SOURCE) { /* nobody sees it: its weir_times node does the work */
        timing = timing_of(instance, timed_by((struct wr_node *)(uintptr_t)node));
        *idle_out = timing->idle;
        return timing->lowest_ms;
    }
    int64_t lowest = INT64_MAX, highest = INT64_MIN;
    bool any = false;
    for (size_t i = 0; i < node->input_count; i++) {
        const struct wr_node_time *from = &instance->times[node->inputs[i].from->order];
        highest = from->watermark_ms > highest ? from->watermark_ms : highest;
        if (!from->idle) {
            any = true;
            lowest = from->watermark_ms < lowest ? from->watermark_ms : lowest;
        }
    }
    *idle_out = !any;
    return any ? lowest : highest;
}

/* The first timer of the event time up to the limit, or of the clock; NULL: none is due. */
static weir_status due_timer(struct wr_instance *instance, struct wr_node *node, bool clock,
                             int64_t limit_ms, struct wr_pending **due_out, struct wr_error *error)
{
    struct wr_pending *first;
    *due_out = NULL;
    if (node->kind == WR_NODE_THROUGH) {
        WR_TRY(wr_timers_first(instance, node, clock, &first, error));
        *due_out = first && first->time_ms <= limit_ms ? first : NULL;
    }
    return WEIR_OK;
}

/* Copies the timer to where the call's memory is and takes it away: firing it cancels it. */
static weir_status take_timer(struct wr_instance *instance, struct wr_node *node,
                              const struct wr_pending *due, struct wr_pending *timer_out,
                              struct wr_error *error)
{
    *timer_out = *due;
    if (!wr_arena_copy(&instance->call, due->key, &timer_out->key) ||
        !wr_arena_copy(&instance->call, due->name, &timer_out->name)) {
        return wr_fail_memory(error);
    }
    return wr_timers_set(instance, node, timer_out->key, timer_out->name, due->clock, INT64_MAX,
                         error);
}

/* Moves watermarks in graph order until a timer is due. */
static weir_status advance(struct wr_instance *instance, struct wr_node **node_out,
                           struct wr_pending **due_out, struct wr_error *error)
{
    for (; instance->advance_at < instance->job->node_count; instance->advance_at++) {
        struct wr_node *node = instance->job->nodes[instance->advance_at];
        struct wr_node_time *time = &instance->times[instance->advance_at];
        bool idle = false;
        int64_t target = target_of(instance, node, &idle);
        if (target < time->watermark_ms) {
            target = time->watermark_ms;
        }
        *node_out = node;
        WR_TRY(due_timer(instance, node, false, target, due_out, error));
        if (!*due_out && instance->draining) { /* what they emit is not yet late further down */
            WR_TRY(due_timer(instance, node, true, INT64_MAX, due_out, error));
        }
        if (*due_out) {
            return WEIR_OK;
        }
        time->watermark_ms = target;
        time->idle = idle;
    }
    instance->advance_at = 0;
    return WEIR_OK;
}

/* Timers on the clock fire where watermarks stand still, so that they see the same ones when the
 * epoch is undone, or after a crash. */
static weir_status due_by_clock(struct wr_instance *instance, struct wr_node **node_out,
                                struct wr_pending **due_out, struct wr_error *error)
{
    for (size_t i = 0; i < instance->job->node_count && !*due_out; i++) {
        *node_out = instance->job->nodes[i];
        WR_TRY(due_timer(instance, *node_out, true, instance->clock_ms, due_out, error));
    }
    return WEIR_OK;
}

weir_status wr_time_next(struct wr_instance *instance, struct wr_node **node_out,
                         struct wr_pending *timer_out, bool *due_out, struct wr_error *error)
{
    struct wr_pending *due = NULL;
    *due_out = false;
    while (!due && (instance->time_moved || instance->advance_at > 0)) {
        if (instance->advance_at == 0) {
            instance->time_moved = false; /* what moves from here on is for another round */
        }
        WR_TRY(advance(instance, node_out, &due, error));
        if (!due && !instance->time_moved) {
            WR_TRY(due_by_clock(instance, node_out, &due, error));
            instance->time_moved = due != NULL; /* there may be more */
        }
    }
    *due_out = due != NULL;
    return due ? take_timer(instance, *node_out, due, timer_out, error) : WEIR_OK;
}

/* At the end of time a timer that a firing sets would fire at once, set itself again, or another
 * that sets it, and so for ever: what a node's own firings set there is dropped. Which of them
 * fired before is not asked, since after a crash nobody would know. */
weir_status wr_time_wake(struct wr_instance *instance, struct wr_node *node, weir_bytes key,
                         weir_bytes name, bool clock, int64_t time_ms, struct wr_error *error)
{
    bool at_end =
        instance->draining || (!clock && instance->times[node->order].watermark_ms == INT64_MAX);
    if (time_ms != INT64_MAX && at_end && instance->origin.node == node) {
        atomic_fetch_add_explicit(&instance->metrics.timers_dropped, 1, memory_order_relaxed);
        return WEIR_OK;
    }
    if (clock ? time_ms <= instance->clock_ms
              : time_ms <= instance->times[node->order].watermark_ms) {
        instance->time_moved = true;
    }
    return wr_timers_set(instance, node, key, name, clock, time_ms, error);
}

/* ---- Epochs ---------------------------------------------------------------------------------- */

void wr_time_save(struct wr_instance *instance)
{
    for (size_t i = 0; i < instance->timing_count; i++) {
        struct wr_timing *timing = &instance->timings[i];
        if (instance->part_count > 0) {
            memcpy(timing->saved, timing->parts, instance->part_count * sizeof *timing->saved);
        }
    }
    for (size_t i = 0; i < instance->job->node_count; i++) {
        instance->snapshot_ms[i] = instance->times[i].watermark_ms;
        instance->snapshot_idle[i] = instance->times[i].idle;
    }
}

void wr_time_restore(struct wr_instance *instance)
{
    for (size_t i = 0; i < instance->timing_count; i++) {
        struct wr_timing *timing = &instance->timings[i];
        if (instance->part_count > 0) {
            memcpy(timing->parts, timing->saved, instance->part_count * sizeof *timing->parts);
        }
        recombine(instance, timing);
    }
    for (size_t i = 0; i < instance->part_count; i++) { /* its end is met again after its records */
        instance->parts[i].ended = instance->timings[0].parts[i].ended;
    }
    for (size_t i = 0; i < instance->job->node_count; i++) {
        instance->times[i].watermark_ms = instance->snapshot_ms[i];
        instance->times[i].idle = instance->snapshot_idle[i];
        wr_timers_forget(instance, instance->job->nodes[i]);
    }
    instance->advance_at = 0;
    instance->time_moved = true;
}

static weir_status seal_parts(struct wr_instance *instance, size_t index, struct wr_error *error)
{
    struct wr_timing *timing = &instance->timings[index];
    const struct wr_time_part *saved = timing->saved;
    struct wr_epoch *epoch = instance->filling;
    for (size_t i = 0; i < instance->part_count; i++) {
        struct wr_part *part = &instance->parts[i];
        struct wr_time_part now = timing->parts[i];
        if (timing == timing_of(instance, timed_by(part->node)) || !timing->reaches[i] ||
            (now.watermark_ms == saved[i].watermark_ms && now.idle == saved[i].idle)) {
            continue; /* the source's own is in its position */
        }
        if (!epoch->progress.watermarks) {
            epoch->progress.watermarks =
                wr_arena_alloc(&epoch->arena, instance->timing_count * instance->part_count *
                                                  sizeof *epoch->progress.watermarks);
            if (!epoch->progress.watermarks) {
                return wr_fail_memory(error);
            }
        }
        epoch->progress.watermarks[epoch->progress.watermark_count++] = (struct wr_watermark){
            timing->node->id, part->node->name, part->at->part, now.watermark_ms, now.idle};
    }
    return WEIR_OK;
}

weir_status wr_time_seal(struct wr_instance *instance, struct wr_error *error)
{
    struct wr_epoch *epoch = instance->filling;
    for (size_t i = 0; i < instance->timing_count; i++) {
        WR_TRY(seal_parts(instance, i, error));
    }
    size_t count = instance->job->node_count;
    epoch->progress.nodes = wr_arena_alloc(&epoch->arena, count * sizeof *epoch->progress.nodes);
    if (!epoch->progress.nodes) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        struct wr_node_time *time = &instance->times[i];
        if (time->watermark_ms != time->stored_ms) {
            epoch->progress.nodes[epoch->progress.node_count++] =
                (struct wr_node_watermark){instance->job->nodes[i]->id, time->watermark_ms};
            time->stored_ms = time->watermark_ms;
        }
    }
    return WEIR_OK;
}

struct wr_time_part wr_time_of_part(const struct wr_instance *instance, size_t part)
{
    struct wr_node *node = timed_by(instance->parts[part].node);
    return instance->times[node->order].timing->parts[part];
}

int64_t wr_time_watermark(const struct wr_instance *instance)
{
    int64_t lowest = INT64_MAX;
    const struct wr_node *rejects = instance->job->rejects; /* it has no time of its own */
    for (size_t i = 0; i < instance->job->node_count; i++) {
        if (instance->times[i].watermark_ms < lowest && instance->job->nodes[i] != rejects) {
            lowest = instance->times[i].watermark_ms;
        }
    }
    return lowest;
}

int64_t wr_time_pending(const struct wr_instance *instance)
{
    size_t count = 0;
    for (size_t i = 0; i < instance->job->node_count; i++) {
        count += instance->times[i].pending.count;
    }
    return (int64_t)count;
}

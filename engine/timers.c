/* timers.c: the pending timers of each node, as the filling epoch leaves them, in two heaps: event
 * time and wall clock.
 *
 * Never all are loaded. A heap holds every pending timer up to its horizon; those beyond are in the
 * store and in the write sets of the two epochs, and are read in steps of WR_TIMERS_LOADED_MAX when
 * the heap runs empty, at first in a smaller one, since most nodes have few:
 *
 *   in memory (heap)     | horizon | store, under the sealed epoch, under the filling epoch
 *   ─────────────────────┴─────────┴──────────────────────────────────────────────────────▶ time
 *
 * Undoing an epoch empties the heaps; they are read again.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/instance.h"

#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

enum { FIRST_STEP = 1024 };

static uint64_t timer_hash(const struct wr_node *node, weir_bytes key, weir_bytes name)
{
    return wr_hash(node->id, key, name);
}

static int compare(int64_t time_ms, weir_bytes key, weir_bytes name, const struct wr_pending *other)
{
    if (time_ms != other->time_ms) {
        return time_ms < other->time_ms ? -1 : 1;
    }
    int order = wr_bytes_compare(key, other->key);
    return order ? order : wr_bytes_compare(name, other->name);
}

static bool before(const struct wr_pending *a, const struct wr_pending *b)
{
    return compare(a->time_ms, a->key, a->name, b) < 0;
}

/* ---- Heap ------------------------------------------------------------------------------------ */

static void sift_up(struct wr_timer_heap *heap, size_t at)
{
    struct wr_pending *item = heap->items[at];
    while (at > 0 && before(item, heap->items[(at - 1) / 2])) {
        heap->items[at] = heap->items[(at - 1) / 2];
        heap->items[at]->place = at;
        at = (at - 1) / 2;
    }
    heap->items[at] = item;
    item->place = at;
}

static void sift_down(struct wr_timer_heap *heap, size_t at)
{
    struct wr_pending *item = heap->items[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count && before(heap->items[child + 1], heap->items[child])) {
            child++;
        }
        if (!before(heap->items[child], item)) {
            break;
        }
        heap->items[at] = heap->items[child];
        heap->items[at]->place = at;
        at = child;
    }
    heap->items[at] = item;
    item->place = at;
}

static void heap_remove(struct wr_timer_heap *heap, const struct wr_pending *item)
{
    size_t at = item->place;
    wr_assert(heap->items[at] == item);
    struct wr_pending *last = heap->items[--heap->count];
    if (last == item) {
        return;
    }
    heap->items[at] = last;
    last->place = at;
    sift_up(heap, at);
    sift_down(heap, last->place);
}

static bool heap_reserve(struct wr_timer_heap *heap)
{
    if (heap->count < heap->capacity) {
        return true;
    }
    size_t capacity = heap->capacity ? heap->capacity * 2 : 16;
    struct wr_pending **items = realloc(heap->items, capacity * sizeof(struct wr_pending *));
    if (!items) {
        return false;
    }
    heap->items = items;
    heap->capacity = capacity;
    return true;
}

/* ---- Pending timers in memory ---------------------------------------------------------------- */

static struct wr_timer_heap *heap_of(struct wr_node_time *time, bool clock)
{
    return clock ? &time->clock : &time->event;
}

static struct wr_pending *pending_find(const struct wr_node_time *time, weir_bytes key,
                                       weir_bytes name, uint64_t hash)
{
    struct wr_pending *item;
    for (size_t at = wr_map_first(&time->pending, hash);
         (item = wr_map_at(&time->pending, hash, &at)); at++) {
        if (wr_bytes_equal(item->key, key) && wr_bytes_equal(item->name, name)) {
            return item;
        }
    }
    return NULL;
}

static void pending_remove(struct wr_instance *instance, struct wr_node_time *time,
                           struct wr_pending *item)
{
    heap_remove(heap_of(time, item->clock), item);
    wr_map_remove(&time->pending, item->hash, item);
    wr_slab_free(&instance->slab, item, item->bytes);
}

static bool pending_add(struct wr_instance *instance, struct wr_node_time *time, weir_bytes key,
                        weir_bytes name, uint64_t hash, bool clock, int64_t time_ms)
{
    struct wr_timer_heap *heap = heap_of(time, clock);
    size_t bytes = sizeof(struct wr_pending) + key.size + name.size;
    if (!heap_reserve(heap) || !wr_map_reserve(&time->pending)) {
        return false;
    }
    struct wr_pending *item = wr_slab_alloc(&instance->slab, bytes);
    if (!item) {
        return false;
    }
    unsigned char *at = (unsigned char *)(item + 1);
    *item = (struct wr_pending){.hash = hash,
                                .key = {key.data ? at : NULL, key.size},
                                .name = {name.data ? at + key.size : NULL, name.size},
                                .time_ms = time_ms,
                                .bytes = (uint32_t)bytes,
                                .clock = clock};
    if (key.size) {
        memcpy(at, key.data, key.size);
    }
    if (name.size) {
        memcpy(at + key.size, name.data, name.size);
    }
    wr_map_insert(&time->pending, hash, item);
    heap->items[heap->count++] = item;
    sift_up(heap, heap->count - 1);
    return true;
}

/* Whether this timer must be in memory: it is not beyond the horizon. */
static bool inside(const struct wr_timer_heap *heap, int64_t time_ms, weir_bytes key,
                   weir_bytes name)
{
    if (heap->all) {
        return true;
    }
    if (!heap->has_horizon) {
        return false;
    }
    struct wr_pending horizon = {
        .time_ms = heap->horizon.time_ms, .key = heap->horizon.key, .name = heap->horizon.name};
    return compare(time_ms, key, name, &horizon) <= 0;
}

static bool set_horizon(struct wr_timer_heap *heap, int64_t time_ms, weir_bytes key,
                        weir_bytes name)
{
    struct wr_arena fresh;
    wr_arena_init(&fresh, 0);
    struct wr_timer horizon = {.time_ms = time_ms};
    if (!wr_arena_copy(&fresh, key, &horizon.key) || !wr_arena_copy(&fresh, name, &horizon.name)) {
        wr_arena_fini(&fresh);
        return false;
    }
    wr_arena_fini(&heap->arena);
    heap->arena = fresh;
    heap->horizon = horizon;
    heap->has_horizon = true;
    heap->all = false;
    return true;
}

static int by_time(const void *left, const void *right)
{
    const struct wr_pending *const *a = left, *const *b = right;
    return before(*a, *b) ? -1 : before(*b, *a);
}

/* A heap of more than four steps forgets all but the first two; they are in the store or the write
 * sets. */
static weir_status shrink(struct wr_instance *instance, struct wr_node_time *time,
                          struct wr_timer_heap *heap, struct wr_error *error)
{
    if (heap->count <= (size_t)4 * WR_TIMERS_LOADED_MAX) {
        return WEIR_OK;
    }
    qsort(heap->items, heap->count, sizeof(struct wr_pending *), by_time);
    for (size_t i = 0; i < heap->count; i++) { /* sorted is a heap too */
        heap->items[i]->place = i;
    }
    const struct wr_pending *last = heap->items[2 * WR_TIMERS_LOADED_MAX - 1];
    if (!set_horizon(heap, last->time_ms, last->key, last->name)) {
        return wr_fail_memory(error);
    }
    while (heap->count > (size_t)2 * WR_TIMERS_LOADED_MAX) {
        pending_remove(instance, time, heap->items[heap->count - 1]);
    }
    return WEIR_OK;
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* What a timer of the store or the sealed epoch was changed to since. */
static bool changed_since(const struct wr_instance *instance, const struct wr_node *node,
                          const struct wr_timer *timer, bool in_sealed)
{
    if (wr_epoch_timer_find(instance->filling, node->id, timer->key, timer->name, timer->hash)) {
        return true;
    }
    const struct wr_epoch *sealed = instance->state.sealed;
    return !in_sealed && sealed &&
           wr_epoch_timer_find(sealed, node->id, timer->key, timer->name, timer->hash);
}

/* The timers that an epoch set, between the old horizon and the new one. */
static bool overlay(struct wr_instance *instance, const struct wr_node *node,
                    struct wr_node_time *time, bool clock, const struct wr_epoch *epoch,
                    const struct wr_timer_heap *old)
{
    struct wr_timer_heap *heap = heap_of(time, clock);
    for (const struct wr_timer *at = epoch->timer_list; at; at = at->next) {
        if (at->node != node->id || at->clock != clock || at->time_ms == INT64_MAX ||
            inside(old, at->time_ms, at->key, at->name) ||
            !inside(heap, at->time_ms, at->key, at->name)) {
            continue;
        }
        if (epoch != instance->filling && changed_since(instance, node, at, true)) {
            continue;
        }
        if (!pending_find(time, at->key, at->name, at->hash) &&
            !pending_add(instance, time, at->key, at->name, at->hash, clock, at->time_ms)) {
            return false;
        }
    }
    return true;
}

static weir_status load_step(struct wr_instance *instance, const struct wr_node *node,
                             struct wr_node_time *time, bool clock, struct wr_arena *arena,
                             struct wr_error *error)
{
    struct wr_timer_heap *heap = heap_of(time, clock);
    size_t step = heap->has_horizon ? WR_TIMERS_LOADED_MAX : FIRST_STEP;
    struct wr_timer *timers = wr_arena_alloc(arena, step * sizeof *timers);
    if (!timers) {
        return wr_fail_memory(error);
    }
    size_t count = 0;
    WR_TRY(wr_reader_timers(instance->reader, node->id, clock,
                            heap->has_horizon ? &heap->horizon : NULL, step, arena, timers, &count,
                            error));
    for (size_t i = 0; i < count; i++) {
        timers[i].hash = timer_hash(node, timers[i].key, timers[i].name);
        if (!changed_since(instance, node, &timers[i], false) &&
            !pending_find(time, timers[i].key, timers[i].name, timers[i].hash) &&
            !pending_add(instance, time, timers[i].key, timers[i].name, timers[i].hash, clock,
                         timers[i].time_ms)) {
            return wr_fail_memory(error);
        }
    }
    struct wr_timer_heap old = *heap; /* its horizon alone is read; copied, since it moves */
    if (old.has_horizon && (!wr_arena_copy(arena, old.horizon.key, &old.horizon.key) ||
                            !wr_arena_copy(arena, old.horizon.name, &old.horizon.name))) {
        return wr_fail_memory(error);
    }
    if (count < step) {
        heap->all = true;
    } else if (!set_horizon(heap, timers[count - 1].time_ms, timers[count - 1].key,
                            timers[count - 1].name)) {
        return wr_fail_memory(error);
    }
    const struct wr_epoch *sealed = instance->state.sealed;
    if ((sealed && !overlay(instance, node, time, clock, sealed, &old)) ||
        !overlay(instance, node, time, clock, instance->filling, &old)) {
        return wr_fail_memory(error);
    }
    return shrink(instance, time, heap, error);
}

/* The first pending timer of a node and clock, NULL: none. */
weir_status wr_timers_first(struct wr_instance *instance, struct wr_node *node, bool clock,
                            struct wr_pending **first_out, struct wr_error *error)
{
    struct wr_node_time *time = &instance->times[node->order];
    struct wr_timer_heap *heap = heap_of(time, clock);
    if (heap->count > 0 || heap->all) {
        *first_out = heap->count ? heap->items[0] : NULL;
        return WEIR_OK;
    }
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    weir_status status = WEIR_OK;
    while (status == WEIR_OK && heap->count == 0 && !heap->all) {
        wr_arena_reset(&arena);
        status = load_step(instance, node, time, clock, &arena, error);
    }
    wr_arena_fini(&arena);
    *first_out = heap->count ? heap->items[0] : NULL;
    return status;
}

/* ---- Setting --------------------------------------------------------------------------------- */

weir_status wr_timers_set(struct wr_instance *instance, struct wr_node *node, weir_bytes key,
                          weir_bytes name, bool clock, int64_t time_ms, struct wr_error *error)
{
    struct wr_node_time *time = &instance->times[node->order];
    uint64_t hash = timer_hash(node, key, name);
    WR_TRY(wr_epoch_timer(instance->filling, node->id, key, name, hash, clock, time_ms, error));
    struct wr_pending *item = pending_find(time, key, name, hash);
    struct wr_timer_heap *heap = heap_of(time, clock);
    bool keep = time_ms != INT64_MAX && inside(heap, time_ms, key, name);
    if (item && keep && item->clock == clock) {
        item->time_ms = time_ms;
        sift_up(heap, item->place);
        sift_down(heap, item->place);
        return WEIR_OK;
    }
    if (item) {
        pending_remove(instance, time, item);
    }
    if (keep && !pending_add(instance, time, key, name, hash, clock, time_ms)) {
        return wr_fail_memory(error);
    }
    return keep ? shrink(instance, time, heap, error) : WEIR_OK;
}

/* Empties a node's heaps; they are read again when asked. */
void wr_timers_forget(struct wr_instance *instance, struct wr_node *node)
{
    struct wr_node_time *time = &instance->times[node->order];
    for (int clock = 0; clock < 2; clock++) {
        struct wr_timer_heap *heap = heap_of(time, clock);
        while (heap->count) {
            pending_remove(instance, time, heap->items[heap->count - 1]);
        }
        heap->all = false;
        heap->has_horizon = false;
        wr_arena_fini(&heap->arena);
    }
}

void wr_timers_fini(struct wr_instance *instance, struct wr_node *node)
{
    wr_timers_forget(instance, node);
    struct wr_node_time *time = &instance->times[node->order];
    free(time->event.items);
    free(time->clock.items);
    wr_map_fini(&time->pending);
}

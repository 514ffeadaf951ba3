/* epoch_state.c: the state entries of an epoch: a hash map, and their order for scans.
 *
 * The order is a skip list, W. Pugh, "Skip Lists: A Probabilistic Alternative to Balanced Trees",
 * CACM 1990; it is kept only once a scan asked for it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "txn/base/assert.h"
#include "txn/epoch.h"

enum { LEVELS_MAX = 20 };

/* Writes a value into a buffer of the arena that is used again when it is large enough. */
bool wr_epoch_value(struct wr_arena *arena, weir_bytes value, void *buffer, uint32_t *capacity,
                    weir_bytes *value_out)
{
    if (!value.data) {
        *value_out = (weir_bytes){NULL, 0};
        return true;
    }
    if (!buffer || value.size > *capacity) {
        size_t rounded = value.size ? (value.size + 7) & ~(size_t)7 : 8;
        if (buffer && rounded < 2 * (size_t)*capacity) {
            rounded = 2 * (size_t)*capacity; /* it grows, and will again */
        }
        buffer = wr_arena_alloc(arena, rounded);
        if (!buffer) {
            return false;
        }
        *capacity = (uint32_t)rounded;
    }
    if (value.size) {
        memcpy(buffer, value.data, value.size);
    }
    *value_out = (weir_bytes){buffer, value.size};
    return true;
}

struct wr_entry *wr_epoch_find(const struct wr_epoch *epoch, uint32_t node, weir_bytes key,
                               weir_bytes slot, uint64_t hash)
{
    struct wr_entry *entry;
    for (size_t at = wr_map_first(&epoch->state, hash);
         (entry = wr_map_at(&epoch->state, hash, &at)); at++) {
        if (entry->node == node && wr_bytes_equal(entry->key, key) &&
            wr_bytes_equal(entry->slot, slot)) {
            return entry;
        }
    }
    return NULL;
}

int wr_entry_compare(const struct wr_entry *entry, uint32_t node, weir_bytes key, weir_bytes slot)
{
    if (entry->node != node) {
        return entry->node < node ? -1 : 1;
    }
    int order = wr_bytes_compare(entry->key, key);
    return order ? order : wr_bytes_compare(entry->slot, slot);
}

static uint64_t next_random(struct wr_epoch *epoch) /* xorshift64, G. Marsaglia 2003 */
{
    epoch->random ^= epoch->random << 13;
    epoch->random ^= epoch->random >> 7;
    epoch->random ^= epoch->random << 17;
    return epoch->random;
}

static bool index_insert(struct wr_epoch *epoch, struct wr_entry *entry)
{
    uint64_t bits = next_random(epoch);
    uint32_t levels = 1;
    while (levels < LEVELS_MAX && (bits & 3) == 0) {
        bits >>= 2;
        levels++;
    }
    entry->forward = wr_arena_alloc(&epoch->arena, levels * sizeof *entry->forward);
    if (!entry->forward) {
        return false;
    }
    entry->levels = levels;
    struct wr_entry *at = epoch->index;
    for (uint32_t level = LEVELS_MAX; level-- > 0;) {
        struct wr_entry *next;
        while ((next = at->forward[level]) &&
               wr_entry_compare(next, entry->node, entry->key, entry->slot) < 0) {
            at = next;
        }
        if (level < levels) {
            entry->forward[level] = next;
            at->forward[level] = entry;
        }
    }
    return true;
}

weir_status wr_epoch_index(struct wr_epoch *epoch, struct wr_error *error)
{
    if (epoch->index) {
        return WEIR_OK;
    }
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    struct wr_entry *head = wr_arena_zalloc(&epoch->arena, sizeof *head);
    if (!head) {
        return wr_fail_memory(error);
    }
    head->forward = wr_arena_zalloc(&epoch->arena, LEVELS_MAX * sizeof *head->forward);
    if (!head->forward) {
        return wr_fail_memory(error);
    }
    head->levels = LEVELS_MAX;
    epoch->index = head;
    for (struct wr_entry *entry = epoch->entries; entry; entry = entry->next) {
        if (!index_insert(epoch, entry)) {
            epoch->index = NULL;
            return wr_fail_memory(error);
        }
    }
    return WEIR_OK;
}

const struct wr_entry *wr_epoch_first(const struct wr_epoch *epoch, uint32_t node, weir_bytes key,
                                      weir_bytes from)
{
    if (!epoch->index) {
        wr_assert_that(epoch->entry_count, ==, 0);
        return NULL;
    }
    const struct wr_entry *at = epoch->index;
    for (uint32_t level = LEVELS_MAX; level-- > 0;) {
        const struct wr_entry *next;
        while ((next = at->forward[level]) && wr_entry_compare(next, node, key, from) < 0) {
            at = next;
        }
    }
    return at->forward[0];
}

const struct wr_entry *wr_epoch_next(const struct wr_entry *entry)
{
    return entry->forward[0];
}

/* Overwrites an entry. The value that was there may have been handed out in this unit, so it is
 * kept as the spare and used again no earlier than in the next unit. */
static bool overwrite(struct wr_epoch *epoch, struct wr_entry *entry, weir_bytes value,
                      uint64_t unit)
{
    void *held = (void *)(uintptr_t)entry->value.data;
    uint32_t held_capacity = entry->value_capacity;
    bool reusable = entry->unit != unit;
    void *buffer = reusable ? entry->spare : NULL;
    uint32_t capacity = reusable ? entry->spare_capacity : 0;
    if (!wr_epoch_value(&epoch->arena, value, buffer, &capacity, &entry->value)) {
        return false;
    }
    entry->value_capacity = value.data ? capacity : 0;
    if (entry->value.data == entry->spare) { /* in use from now on */
        entry->spare = NULL;
        entry->spare_capacity = 0;
    }
    if (held) {
        entry->spare = held;
        entry->spare_capacity = held_capacity;
    }
    entry->unit = unit;
    return true;
}

static struct wr_entry *entry_new(struct wr_epoch *epoch, weir_bytes key, weir_bytes slot)
{
    struct wr_entry *entry = wr_arena_alloc(&epoch->arena, sizeof *entry);
    if (!entry) {
        return NULL;
    }
    *entry = (struct wr_entry){.next = epoch->entries};
    if (!wr_arena_copy(&epoch->arena, key, &entry->key) ||
        !wr_arena_copy(&epoch->arena, slot, &entry->slot)) {
        return NULL;
    }
    return entry;
}

weir_status wr_epoch_put(struct wr_epoch *epoch, uint32_t node, weir_bytes key, weir_bytes slot,
                         uint64_t hash, weir_bytes value, uint64_t unit, struct wr_error *error)
{
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    struct wr_entry *entry = wr_epoch_find(epoch, node, key, slot, hash);
    if (entry) {
        return overwrite(epoch, entry, value, unit) ? WEIR_OK : wr_fail_memory(error);
    }
    entry = wr_map_reserve(&epoch->state) ? entry_new(epoch, key, slot) : NULL;
    if (!entry) {
        return wr_fail_memory(error);
    }
    entry->hash = hash;
    entry->node = node;
    entry->unit = unit;
    if (!wr_epoch_value(&epoch->arena, value, NULL, &entry->value_capacity, &entry->value) ||
        (epoch->index && !index_insert(epoch, entry))) {
        return wr_fail_memory(error);
    }
    wr_map_insert(&epoch->state, hash, entry);
    epoch->entries = entry;
    epoch->entry_count++;
    epoch->entry_bytes += key.size + slot.size + value.size + 4; /* and their sizes */
    return WEIR_OK;
}

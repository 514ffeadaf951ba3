/* epoch_state.c: the state entries of an epoch: a hash map, and their order for scans.
 *
 * The order is a skip list, W. Pugh, "Skip Lists: A Probabilistic Alternative to Balanced Trees",
 * CACM 1990; it is kept only once a scan asked for it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
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
        if (entry->node == node && wr_bytes_equal(wr_entry_key(entry), key) &&
            wr_bytes_equal(wr_entry_slot(entry), slot)) {
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
    int order = wr_bytes_compare(wr_entry_key(entry), key);
    return order ? order : wr_bytes_compare(wr_entry_slot(entry), slot);
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
    weir_bytes key = wr_entry_key(entry), slot = wr_entry_slot(entry);
    struct wr_entry *at = epoch->index;
    for (uint32_t level = LEVELS_MAX; level-- > 0;) {
        struct wr_entry *next;
        while ((next = at->forward[level]) && wr_entry_compare(next, entry->node, key, slot) < 0) {
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

/* Overwrites an entry. The value that was there may have been handed out in this unit, so its
 * buffer becomes the spare one, and is used again no earlier than in the next unit. */
static bool overwrite(struct wr_epoch *epoch, struct wr_entry *entry, weir_bytes value,
                      uint32_t unit)
{
    if (value.data) {
        bool reusable = entry->unit != unit;
        uint32_t capacity = reusable ? entry->spare_capacity : 0;
        weir_bytes copy;
        if (!wr_epoch_value(&epoch->arena, value, reusable ? entry->spare : NULL, &capacity,
                            &copy)) {
            return false;
        }
        entry->spare = entry->value;
        entry->spare_capacity = entry->value_capacity;
        entry->value = (unsigned char *)(uintptr_t)copy.data;
        entry->value_capacity = capacity;
        entry->value_size = (uint32_t)copy.size;
    } else {
        entry->value_size = UINT32_MAX;
    }
    entry->unit = unit;
    return true;
}

static struct wr_entry *entry_new(struct wr_epoch *epoch, uint32_t node, weir_bytes key,
                                  weir_bytes slot, weir_bytes value)
{
    size_t parts = offsetof(struct wr_entry, data) + key.size + slot.size;
    size_t bytes = (parts + (value.size < 8 ? 8 : value.size) + 7) & ~(size_t)7; /* counts grow */
    struct wr_entry *entry = bytes < UINT32_MAX ? wr_arena_alloc(&epoch->arena, bytes) : NULL;
    if (!entry) {
        return NULL;
    }
    entry->next = epoch->entries;
    entry->forward = NULL;
    entry->value = entry->data + key.size + slot.size;
    entry->spare = NULL;
    entry->value_capacity = (uint32_t)(bytes - parts);
    entry->spare_capacity = 0;
    entry->node = node;
    entry->key_size = wr_sized_put(entry->data, key);
    entry->slot_size = wr_sized_put(entry->data + key.size, slot);
    entry->value_size = wr_sized_put(entry->value, value);
    return entry;
}

weir_status wr_epoch_put(struct wr_epoch *epoch, uint32_t node, weir_bytes key, weir_bytes slot,
                         uint64_t hash, weir_bytes value, uint64_t unit, struct wr_error *error)
{
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    struct wr_entry *entry = wr_epoch_find(epoch, node, key, slot, hash);
    if (entry) {
        return overwrite(epoch, entry, value, (uint32_t)unit) ? WEIR_OK : wr_fail_memory(error);
    }
    entry = wr_map_reserve(&epoch->state) ? entry_new(epoch, node, key, slot, value) : NULL;
    if (!entry || (epoch->index && !index_insert(epoch, entry))) {
        return wr_fail_memory(error);
    }
    entry->unit = (uint32_t)unit;
    wr_map_insert(&epoch->state, hash, entry);
    epoch->entries = entry;
    epoch->entry_count++;
    epoch->entry_bytes += key.size + slot.size + value.size + 4; /* and their sizes */
    return WEIR_OK;
}

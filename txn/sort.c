/* sort.c: see sort.h. A merge sort of (prefix, pointer) pairs: it is stable, never worse than
 * n log n whatever the keys, and needs half as much room again.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "txn/sort.h"

weir_status wr_sorter_reserve(struct wr_sorter *sorter, size_t count, struct wr_error *error)
{
    if (count <= sorter->capacity) {
        return WEIR_OK;
    }
    size_t capacity = sorter->capacity ? sorter->capacity : 1024;
    while (capacity < count) {
        capacity += capacity / 2;
    }
    wr_sorter_fini(sorter);
    sorter->items = malloc((capacity + capacity / 2 + 1) * sizeof *sorter->items);
    if (!sorter->items) {
        return wr_fail_memory(error);
    }
    sorter->capacity = capacity;
    return WEIR_OK;
}

void wr_sorter_fini(struct wr_sorter *sorter)
{
    free(sorter->items);
    *sorter = (struct wr_sorter){NULL, 0};
}

/* ---- Prefixes -------------------------------------------------------------------------------- */

static weir_bytes part_of(const void *item, wr_parts_fn parts, bool second)
{
    weir_bytes both[2];
    parts(item, &both[0], &both[1]);
    return both[second ? 1 : 0];
}

/* How many bytes all have in common; *equal_out: they are equal altogether. An absent one has none,
 * and is equal to absent ones only. */
static size_t shared_bytes(const struct wr_sorted *items, size_t count, wr_parts_fn parts,
                           bool second, bool *equal_out)
{
    weir_bytes first = part_of(items[0].item, parts, second);
    size_t shared = first.size;
    *equal_out = true;
    for (size_t i = 1; i < count && (shared > 0 || *equal_out); i++) {
        weir_bytes other = part_of(items[i].item, parts, second);
        const unsigned char *a = first.data, *b = other.data;
        size_t limit = other.size < shared ? other.size : shared, at = 0;
        while (at < limit && a[at] == b[at]) {
            at++;
        }
        if (at < first.size || other.size != first.size || !a != !b) {
            *equal_out = false;
        }
        shared = at;
    }
    return shared;
}

static uint64_t prefix_of(weir_bytes bytes, size_t skip)
{
    unsigned char at[8] = {0};
    if (bytes.size > skip) {
        size_t size = bytes.size - skip;
        memcpy(at, (const unsigned char *)bytes.data + skip, size < 8 ? size : 8);
    }
    uint64_t number;
    memcpy(&number, at, 8);
    return __builtin_bswap64(number);
}

void wr_sort_prefix(struct wr_sorter *sorter, size_t from, size_t count, wr_parts_fn parts)
{
    struct wr_sorted *items = sorter->items + from;
    bool equal = true, second = false;
    size_t skip = count ? shared_bytes(items, count, parts, false, &equal) : 0;
    if (equal && count > 1) {
        second = true;
        skip = shared_bytes(items, count, parts, true, &equal);
    }
    for (size_t i = 0; i < count; i++) {
        items[i].prefix = prefix_of(part_of(items[i].item, parts, second), skip);
    }
}

/* ---- Sorting --------------------------------------------------------------------------------- */

static bool is_after(const struct wr_sorted *a, const struct wr_sorted *b, wr_parts_fn parts)
{
    if (a->prefix != b->prefix) {
        return a->prefix > b->prefix;
    }
    if (!parts) {
        return false;
    }
    weir_bytes key_a, second_a, key_b, second_b;
    parts(a->item, &key_a, &second_a);
    parts(b->item, &key_b, &second_b);
    int order = wr_bytes_compare(key_a, key_b);
    return order ? order > 0 : wr_bytes_compare(second_a, second_b) > 0;
}

static void insertion_sort(struct wr_sorted *items, size_t count, wr_parts_fn parts)
{
    for (size_t i = 1; i < count; i++) {
        struct wr_sorted item = items[i];
        size_t at = i;
        for (; at > 0 && is_after(&items[at - 1], &item, parts); at--) {
            items[at] = items[at - 1];
        }
        items[at] = item;
    }
}

static void merge_sort(struct wr_sorted *items, size_t count, struct wr_sorted *spare,
                       wr_parts_fn parts)
{
    if (count <= 16) {
        insertion_sort(items, count, parts);
        return;
    }
    size_t half = count / 2;
    merge_sort(items, half, spare, parts);
    merge_sort(items + half, count - half, spare, parts);
    if (!is_after(&items[half - 1], &items[half], parts)) {
        return; /* in order already, as a source's keys often are */
    }
    memcpy(spare, items, half * sizeof *items);
    const struct wr_sorted *left = spare, *left_end = spare + half;
    const struct wr_sorted *right = items + half, *right_end = items + count;
    for (struct wr_sorted *out = items; left < left_end; out++) {
        if (right < right_end && is_after(left, right, parts)) {
            *out = *right++;
        } else {
            *out = *left++;
        }
    }
}

void wr_sort(struct wr_sorter *sorter, size_t from, size_t count, wr_parts_fn parts)
{
    merge_sort(sorter->items + from, count, sorter->items + sorter->capacity, parts);
}

void wr_sort_nodes(struct wr_sorter *sorter, size_t count, wr_node_fn node_of, wr_parts_fn parts)
{
    struct wr_sorted *items = sorter->items;
    bool one_node = true;
    for (size_t i = 0; i < count; i++) {
        items[i].prefix = node_of(items[i].item);
        one_node = one_node && items[i].prefix == items[0].prefix;
    }
    if (!one_node) {
        wr_sort(sorter, 0, count, NULL);
    }
    for (size_t from = 0, to; from < count; from = to) {
        uint64_t node = node_of(items[from].item);
        for (to = from + 1; to < count && items[to].prefix == node; to++) {
        }
        wr_sort_prefix(sorter, from, to - from, parts);
        wr_sort(sorter, from, to - from, parts);
    }
}

/* ---- Order as it is asked for ---------------------------------------------------------------- */

enum { RUN = 512 }; /* sorted at once */

void wr_sort_lazily(struct wr_lazy_sort *lazy, size_t count)
{
    *lazy = (struct wr_lazy_sort){.ends = {count}, .depth = 1};
}

/* Two parts, neither empty, of at least two items: the index at which the second begins. */
static size_t partition(struct wr_sorted *items, size_t from, size_t end)
{
    uint64_t pivot = items[from + (end - from - 1) / 2].prefix;
    size_t low = from, high = end - 1;
    for (;;) {
        while (items[low].prefix < pivot) {
            low++;
        }
        while (items[high].prefix > pivot) {
            high--;
        }
        if (low >= high) {
            return high + 1;
        }
        struct wr_sorted item = items[low];
        items[low++] = items[high];
        items[high--] = item;
    }
}

size_t wr_sort_more(struct wr_sorter *sorter, struct wr_lazy_sort *lazy, size_t at,
                    wr_parts_fn parts)
{
    size_t most = sizeof lazy->ends / sizeof *lazy->ends;
    while (lazy->ends[lazy->depth - 1] - at > RUN && lazy->depth < most) {
        size_t end = partition(sorter->items, at, lazy->ends[lazy->depth - 1]);
        lazy->ends[lazy->depth++] = end;
    }
    size_t end = lazy->ends[--lazy->depth];
    wr_sort(sorter, at, end - at, parts);
    return end;
}

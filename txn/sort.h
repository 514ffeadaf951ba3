/* sort.h: putting what is written in key order, as (prefix, pointer) pairs. The prefix is 8 bytes
 * of the key as a number, taken after what all keys have in common (`user-000`), or of the second
 * part where all keys are equal: with it most comparisons touch neither item nor key.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SORT_H
#define WR_SORT_H

#include "txn/base/bytes.h"
#include "txn/base/error.h"

struct wr_sorted {
    uint64_t prefix;
    const void *item;
};

struct wr_sorter { /* zeroed: empty; keeps its memory */
    struct wr_sorted *items; /* room for `capacity`, and half as much again */
    size_t capacity;
};

/* What an item is ordered by: its node, then its key, then its slot or timer name. */
typedef uint32_t (*wr_node_fn)(const void *item);
typedef void (*wr_parts_fn)(const void *item, weir_bytes *key_out, weir_bytes *second_out);

/* Room for `count` items; what was in it is lost when it grows. */
weir_status wr_sorter_reserve(struct wr_sorter *sorter, size_t count, struct wr_error *error);
void wr_sorter_fini(struct wr_sorter *sorter);

/* Sets the prefixes of items from..from + count - 1. */
void wr_sort_prefix(struct wr_sorter *sorter, size_t from, size_t count, wr_parts_fn parts);
/* Puts them in order: by prefix, then by parts (NULL: items with one prefix stay as they are). */
void wr_sort(struct wr_sorter *sorter, size_t from, size_t count, wr_parts_fn parts);
/* Items 0 to count - 1 by node, key and second part. */
void wr_sort_nodes(struct wr_sorter *sorter, size_t count, wr_node_fn node_of, wr_parts_fn parts);

/* Order made as it is asked for: by prefix, and by parts among neighbours; items with one prefix
 * may lie apart. Incremental quicksort: R. Paredes and G. Navarro, "Optimal Incremental Sorting",
 * 2006, with the partition of C. A. R. Hoare. */
struct wr_lazy_sort {
    size_t ends[64]; /* what lies before one of them comes before what lies behind */
    size_t depth;
};
void wr_sort_lazily(struct wr_lazy_sort *lazy, size_t count);
/* Puts the items from `at` on in order, up to the index that it returns, which is above `at`. `at`
 * is what the last call returned, at first 0; below count. */
size_t wr_sort_more(struct wr_sorter *sorter, struct wr_lazy_sort *lazy, size_t at,
                    wr_parts_fn parts);

#endif

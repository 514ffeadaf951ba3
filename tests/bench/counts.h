/* counts.h: a hash map from keys to counts, as the hand-written loops keep it: of its own, so that
 * they include nothing of weir.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_COUNTS_H
#define BENCH_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct count {
    uint64_t hash;
    int64_t value;
    bool changed; /* in this batch */
    size_t key_size;
    char key[];
};

/* Zeroed: empty. */
struct counts {
    struct count **places; /* NULL: free */
    struct count **changed; /* in this batch; room for all */
    size_t room, used, changed_count; /* room: a power of two */
};

/* The count of a key, 0 when it is new. NULL: no memory. */
struct count *counts_find(struct counts *counts, const char *key, size_t size);
/* For qsort of `changed`. */
int counts_by_key(const void *left, const void *right);
void counts_free(struct counts *counts);

#endif

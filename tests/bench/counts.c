/* counts.c: open addressing, linear probing, half full at most. See counts.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/counts.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *key, size_t size) /* FNV-1a */
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (unsigned char)key[i]) * UINT64_C(1099511628211);
    }
    return hash ^ hash >> 32;
}

static bool counts_grow(struct counts *counts)
{
    size_t room = counts->room ? counts->room * 2 : 1024;
    struct count **changed = realloc(counts->changed, room / 2 * sizeof *changed);
    if (!changed) {
        return false;
    }
    counts->changed = changed;
    struct count **places = calloc(room, sizeof *places);
    if (!places) {
        return false;
    }
    for (size_t i = 0; i < counts->room; i++) {
        struct count *count = counts->places[i];
        if (count) {
            size_t at = count->hash & (room - 1);
            while (places[at]) {
                at = (at + 1) & (room - 1);
            }
            places[at] = count;
        }
    }
    free(counts->places);
    counts->places = places;
    counts->room = room;
    return true;
}

struct count *counts_find(struct counts *counts, const char *key, size_t size)
{
    if (counts->used * 2 >= counts->room && !counts_grow(counts)) {
        return NULL;
    }
    uint64_t hash = hash_of(key, size);
    size_t at = hash & (counts->room - 1);
    for (; counts->places[at]; at = (at + 1) & (counts->room - 1)) {
        struct count *count = counts->places[at];
        if (count->hash == hash && count->key_size == size && memcmp(count->key, key, size) == 0) {
            return count;
        }
    }
    struct count *count = malloc(sizeof *count + size);
    if (count) {
        *count = (struct count){.hash = hash, .key_size = size};
        memcpy(count->key, key, size);
        counts->places[at] = count;
        counts->used++;
    }
    return count;
}

int counts_by_key(const void *left, const void *right)
{
    const struct count *a = *(struct count *const *)left, *b = *(struct count *const *)right;
    size_t size = a->key_size < b->key_size ? a->key_size : b->key_size;
    int order = memcmp(a->key, b->key, size);
    return order ? order : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

void counts_free(struct counts *counts)
{
    for (size_t i = 0; i < counts->room; i++) {
        free(counts->places[i]);
    }
    free(counts->places);
    free(counts->changed);
}

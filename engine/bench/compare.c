/* compare.c: see compare.h. Both sides become lists of (identity, place). Sorted by identity they
 * are walked side by side, which pairs records off; what is left on a side is lost or repeated. The
 * pairs, sorted by where they were found, then tell by where they were expected what is out of
 * order.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/compare.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/arena.h"
#include "txn/base/assert.h"
#include "txn/base/bytes.h"
#include "txn/base/map.h"

enum { STREAM_BITS = 20, NUMBER_BITS = 64 - STREAM_BITS };

struct item {
    uint64_t identity; /* hash of what the record is known by */
    uint64_t place; /* stream, then number: sorts as the records came */
};

struct list {
    struct item *items;
    size_t count, capacity;
};

/* Last values, hashed; 0: none. */
struct key {
    uint64_t expected, found;
    struct key *next;
};

struct stream {
    const char *topic;
    int32_t partition;
};

struct wr_compare {
    bool stateful;
    size_t records_max;
    struct list expected, found;
    struct stream *streams;
    size_t stream_count, stream_capacity;
    struct wr_map keys;
    struct key *first;
    struct wr_arena arena; /* of keys and names */
};

weir_status wr_compare_new(bool stateful, int64_t records_max, struct wr_compare **compare_out,
                           struct wr_error *error)
{
    wr_assert(records_max >= 0 && records_max <= WR_COMPARE_RECORDS_MAX);
    struct wr_compare *compare = calloc(1, sizeof *compare);
    if (!compare) {
        return wr_fail_memory(error);
    }
    compare->stateful = stateful;
    compare->records_max = (size_t)records_max;
    wr_arena_init(&compare->arena, 0);
    *compare_out = compare;
    return WEIR_OK;
}

void wr_compare_free(struct wr_compare *compare)
{
    if (compare) {
        free(compare->expected.items);
        free(compare->found.items);
        free(compare->streams);
        wr_map_fini(&compare->keys);
        wr_arena_fini(&compare->arena);
        free(compare);
    }
}

/* ---- Streams --------------------------------------------------------------------------------- */

weir_status wr_compare_stream(struct wr_compare *compare, const char *topic, int32_t partition,
                              uint32_t *stream_out, struct wr_error *error)
{
    for (size_t i = 0; i < compare->stream_count; i++) {
        const struct stream *stream = &compare->streams[i];
        if (stream->partition == partition && strcmp(stream->topic, topic) == 0) {
            *stream_out = (uint32_t)i;
            return WEIR_OK;
        }
    }
    if (compare->stream_count == WR_COMPARE_STREAMS_MAX) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "the job writes to more than %d partitions, too many to be compared",
                       WR_COMPARE_STREAMS_MAX);
    }
    if (compare->stream_count == compare->stream_capacity) {
        size_t capacity = compare->stream_capacity ? compare->stream_capacity * 2 : 16;
        struct stream *streams = realloc(compare->streams, capacity * sizeof *streams);
        if (!streams) {
            return wr_fail_memory(error);
        }
        compare->streams = streams;
        compare->stream_capacity = capacity;
    }
    const char *name = wr_arena_string(&compare->arena, topic);
    if (!name) {
        return wr_fail_memory(error);
    }
    *stream_out = (uint32_t)compare->stream_count;
    compare->streams[compare->stream_count++] = (struct stream){name, partition};
    return WEIR_OK;
}

/* ---- Records --------------------------------------------------------------------------------- */

static weir_status reserve(struct list *list, struct wr_error *error)
{
    if (list->count < list->capacity) {
        return WEIR_OK;
    }
    size_t capacity = list->capacity ? list->capacity * 2 : 1024;
    struct item *items = realloc(list->items, capacity * sizeof *items);
    if (!items) {
        return wr_fail_memory(error);
    }
    list->items = items;
    list->capacity = capacity;
    return WEIR_OK;
}

static weir_status add(struct wr_compare *compare, struct list *list,
                       const struct wr_compared *record, struct wr_error *error)
{
    wr_assert_that(record->stream, <, compare->stream_count);
    if (compare->expected.count + compare->found.count >= compare->records_max) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "more than %zu output records, expected and found, cannot be compared; kill "
                       "a job of fewer records (--records)",
                       compare->records_max);
    }
    WR_TRY(reserve(list, error));
    unsigned char head[12];
    weir_bytes value = compare->stateful ? (weir_bytes){NULL, 0} : record->value;
    wr_u64_put(head, (uint64_t)record->time_ms);
    wr_u32_put(head + 8, record->stream);
    uint64_t seed = wr_hash(0, wr_bytes(head, sizeof head), value);
    list->items[list->count] = (struct item){
        .identity = wr_hash(seed, record->key, (weir_bytes){NULL, 0}),
        .place = (uint64_t)record->stream << NUMBER_BITS | list->count,
    };
    list->count++;
    return WEIR_OK;
}

/* The key in its stream; made when it is new. */
static weir_status key_of(struct wr_compare *compare, const struct wr_compared *record,
                          struct key **key_out, struct wr_error *error)
{
    /* Twice the number: wr_hash tells an absent key by the lowest bit of its seed. */
    uint64_t hash = wr_hash((uint64_t)record->stream * 2, record->key, (weir_bytes){NULL, 0});
    size_t at = wr_map_first(&compare->keys, hash);
    *key_out = wr_map_at(&compare->keys, hash, &at);
    if (*key_out) {
        return WEIR_OK;
    }
    struct key *key = wr_arena_zalloc(&compare->arena, sizeof *key);
    if (!key || !wr_map_reserve(&compare->keys)) {
        return wr_fail_memory(error);
    }
    wr_map_insert(&compare->keys, hash, key);
    key->next = compare->first;
    compare->first = key;
    *key_out = key;
    return WEIR_OK;
}

static uint64_t hash_value(weir_bytes value)
{
    uint64_t hash = wr_hash(0, value, (weir_bytes){NULL, 0});
    return hash ? hash : 1;
}

weir_status wr_compare_expect(struct wr_compare *compare, const struct wr_compared *record,
                              struct wr_error *error)
{
    struct key *key = NULL;
    WR_TRY(add(compare, &compare->expected, record, error));
    if (compare->stateful) {
        WR_TRY(key_of(compare, record, &key, error));
        key->expected = hash_value(record->value);
    }
    return WEIR_OK;
}

weir_status wr_compare_find(struct wr_compare *compare, const struct wr_compared *record,
                            struct wr_error *error)
{
    struct key *key = NULL;
    WR_TRY(add(compare, &compare->found, record, error));
    if (compare->stateful) {
        WR_TRY(key_of(compare, record, &key, error));
        key->found = hash_value(record->value);
    }
    return WEIR_OK;
}

/* ---- The result ------------------------------------------------------------------------------ */

static int by_place(const void *left, const void *right)
{
    const struct item *a = left, *b = right;
    return (a->place > b->place) - (a->place < b->place);
}

static int by_identity(const void *left, const void *right)
{
    const struct item *a = left, *b = right;
    return a->identity == b->identity ? by_place(left, right) : a->identity > b->identity ? 1 : -1;
}

static void sort(struct list *list, int (*compare)(const void *, const void *))
{
    if (list->count > 1) {
        qsort(list->items, list->count, sizeof *list->items, compare);
    }
}

/* Where the items that are like the one at `at` end. */
static size_t end_of(const struct list *list, size_t at, uint64_t identity)
{
    while (at < list->count && list->items[at].identity == identity) {
        at++;
    }
    return at;
}

/* Leaves in `found` the pairs: `identity` becomes the place at which the record was expected. */
static void pair(struct list *expected, struct list *found, struct wr_difference *difference)
{
    size_t e = 0, f = 0, pairs = 0;
    sort(expected, by_identity);
    sort(found, by_identity);
    while (e < expected->count || f < found->count) {
        bool first = f == found->count || (e < expected->count &&
                                           expected->items[e].identity < found->items[f].identity);
        uint64_t identity = first ? expected->items[e].identity : found->items[f].identity;
        size_t e_end = end_of(expected, e, identity), f_end = end_of(found, f, identity);
        while (e < e_end && f < f_end) {
            found->items[pairs++] = (struct item){.identity = expected->items[e++].place,
                                                  .place = found->items[f++].place};
        }
        difference->lost += (int64_t)(e_end - e);
        difference->repeated += (int64_t)(f_end - f);
        e = e_end;
        f = f_end;
    }
    found->count = pairs;
}

static int64_t count_reordered(struct list *pairs)
{
    int64_t reordered = 0;
    sort(pairs, by_place);
    for (size_t i = 1; i < pairs->count; i++) {
        const struct item *before = &pairs->items[i - 1], *at = &pairs->items[i];
        reordered += at->place >> NUMBER_BITS == before->place >> NUMBER_BITS &&
                     at->identity < before->identity;
    }
    return reordered;
}

void wr_compare_end(struct wr_compare *compare, struct wr_difference *difference_out)
{
    *difference_out = (struct wr_difference){.expected = (int64_t)compare->expected.count,
                                             .found = (int64_t)compare->found.count,
                                             .state_errors = compare->stateful ? 0 : -1};
    pair(&compare->expected, &compare->found, difference_out);
    difference_out->reordered = count_reordered(&compare->found);
    for (const struct key *key = compare->first; key; key = key->next) {
        difference_out->state_errors += key->expected != key->found;
    }
}

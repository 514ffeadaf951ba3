/* join_buckets.c: see join_buckets.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/join_buckets.h"

#include <stdlib.h>

enum {
    CHUNK_BYTES_MAX = 1024, /* of more than one record */
    RECORD_BYTES = 13, /* before its value */
    BUCKET_BYTES = 24, /* in the absent slot */
    BUCKETS_SHORT = 64, /* that are as long as the rule says */
};
static const char letters[2] = {'l', 'r'};

/* ---- Buckets --------------------------------------------------------------------------------- */

static unsigned char *put_u32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char)(value >> (24 - 8 * i));
    }
    return at + 4;
}

static uint32_t get_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

bool wr_buckets_read(weir_ctx *ctx, struct wr_buckets *buckets)
{
    weir_bytes kept = weir_get(ctx, wr_absent);
    const unsigned char *at = kept.data;
    buckets->count = kept.size / BUCKET_BYTES;
    buckets->items = weir_scratch(ctx, (buckets->count + 1) * sizeof *buckets->items);
    for (size_t i = 0; buckets->items && i < buckets->count; i++, at += BUCKET_BYTES) {
        buckets->items[i] = (struct wr_bucket){
            wr_get_i64(at), wr_get_i64(at + 8), {get_u32(at + 16), get_u32(at + 20)}};
    }
    return buckets->items != NULL;
}

void wr_buckets_put(weir_ctx *ctx, const struct wr_buckets *buckets)
{
    unsigned char *bytes = weir_scratch(ctx, buckets->count * BUCKET_BYTES + 1), *at = bytes;
    for (size_t i = 0; bytes && i < buckets->count; i++) {
        const struct wr_bucket *bucket = &buckets->items[i];
        at = wr_put_i64(wr_put_i64(at, bucket->first_ms), bucket->last_ms);
        at = put_u32(put_u32(at, bucket->chunks[0]), bucket->chunks[1]);
    }
    if (bytes) {
        weir_put(ctx, wr_absent,
                 at > bytes ? (weir_bytes){bytes, (size_t)(at - bytes)} : wr_absent);
    }
}

struct wr_bucket *wr_buckets_at(const struct wr_buckets *buckets, int64_t time_ms)
{
    for (size_t i = buckets->count; i-- > 0;) {
        struct wr_bucket *bucket = &buckets->items[i];
        if (bucket->first_ms <= time_ms && time_ms <= bucket->last_ms) {
            return bucket;
        }
    }
    return NULL;
}

int64_t wr_bucket_end(const struct wr_bucket_rule *rule, const struct wr_bucket *bucket)
{
    int64_t last = wr_time_add(bucket->last_ms, rule->after_ms);
    return last >= WR_TIMER_MAX - 1 ? WR_TIMER_MAX : last + 2;
}

/* The more buckets there are, the longer new ones become: their list is read with each record, and
 * where no watermark ends the old ones it would grow with the time that has passed; so, it grows
 * with the root of that. */
static int64_t width_of(const struct wr_bucket_rule *rule, size_t count)
{
    int64_t width_ms;
    bool beyond =
        __builtin_mul_overflow(rule->width_ms, (int64_t)(1 + count / BUCKETS_SHORT), &width_ms);
    return beyond ? INT64_MAX : width_ms;
}

struct wr_bucket *wr_buckets_add(weir_ctx *ctx, const struct wr_bucket_rule *rule,
                                 struct wr_buckets *buckets, int64_t time_ms)
{
    int64_t width_ms = width_of(rule, buckets->count);
    int64_t past = time_ms % width_ms;
    int64_t first_ms = wr_time_sub(time_ms, past < 0 ? past + width_ms : past);
    int64_t last_ms = wr_time_add(first_ms, width_ms - 1);
    for (size_t i = 0; i < buckets->count; i++) { /* none reaches into another one */
        const struct wr_bucket *other = &buckets->items[i];
        if (other->last_ms < time_ms && other->last_ms >= first_ms) {
            first_ms = other->last_ms + 1;
        } else if (other->first_ms > time_ms && other->first_ms <= last_ms) {
            last_ms = other->first_ms - 1;
        }
    }
    struct wr_bucket *bucket = &buckets->items[buckets->count++];
    *bucket = (struct wr_bucket){.first_ms = first_ms, .last_ms = last_ms};
    unsigned char name[8];
    wr_put_i64(name, first_ms);
    weir_wake(ctx, (weir_bytes){name, sizeof name}, wr_bucket_end(rule, bucket));
    return bucket;
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

weir_bytes wr_group_name(unsigned char at[WR_GROUP_BYTES], unsigned side, int64_t time_ms)
{
    at[0] = (unsigned char)letters[side];
    wr_put_i64(at + 1, time_ms);
    return (weir_bytes){at, WR_GROUP_BYTES};
}

unsigned wr_group_side(weir_bytes name)
{
    return *(const char *)name.data == letters[1];
}

static weir_bytes chunk_slot(unsigned char at[WR_CHUNK_SLOT_BYTES], unsigned side,
                             const struct wr_bucket *bucket, uint32_t number)
{
    (void)wr_group_name(at, side, bucket->first_ms);
    put_u32(at + WR_GROUP_BYTES, number);
    return (weir_bytes){at, WR_CHUNK_SLOT_BYTES};
}

/* The record at `at`, and where the next one is; 0: these bytes end here. */
static size_t next_record(weir_bytes bytes, size_t at, struct wr_found *found)
{
    const unsigned char *record = (const unsigned char *)bytes.data + at;
    if (bytes.size < at + RECORD_BYTES) {
        return 0;
    }
    size_t size = get_u32(record + 9);
    if (size > bytes.size - at - RECORD_BYTES) {
        return 0;
    }
    *found = (struct wr_found){
        .at = at, .time_ms = wr_get_i64(record + 1), .value = {record + RECORD_BYTES, size}};
    return at + RECORD_BYTES + size;
}

bool wr_found_is_marked(const struct wr_found *found)
{
    return ((const unsigned char *)found->chunk->bytes.data)[found->at] != 0;
}

void wr_found_mark(weir_ctx *ctx, struct wr_found *found)
{
    struct wr_chunk *chunk = found->chunk;
    if (!chunk->changed) {
        chunk->changed = weir_scratch(ctx, chunk->bytes.size);
        if (!chunk->changed) {
            return;
        }
        memcpy(chunk->changed, chunk->bytes.data, chunk->bytes.size);
    }
    chunk->changed[found->at] = 1;
}

void wr_chunks_put(weir_ctx *ctx, struct wr_chunk *chunks)
{
    for (struct wr_chunk *chunk = chunks; chunk; chunk = chunk->next) {
        if (chunk->changed) {
            weir_put(ctx, (weir_bytes){chunk->slot, sizeof chunk->slot},
                     (weir_bytes){chunk->changed, chunk->bytes.size});
        }
    }
}

void wr_buckets_append(weir_ctx *ctx, struct wr_bucket *bucket, unsigned side,
                       const weir_record *in, bool marked, bool *grew_out)
{
    unsigned char slot[WR_CHUNK_SLOT_BYTES];
    uint32_t last = bucket->chunks[side] - 1;
    weir_bytes chunk = wr_absent;
    if (bucket->chunks[side] > 0) {
        chunk = weir_get(ctx, chunk_slot(slot, side, bucket, last));
    }
    *grew_out =
        bucket->chunks[side] == 0 || chunk.size + RECORD_BYTES + in->value.size > CHUNK_BYTES_MAX;
    if (*grew_out) {
        last = bucket->chunks[side]++;
        chunk = wr_absent;
    }
    size_t size = chunk.size + RECORD_BYTES + in->value.size;
    unsigned char *bytes = weir_scratch(ctx, size);
    if (!bytes) {
        return;
    }
    if (chunk.size > 0) {
        memcpy(bytes, chunk.data, chunk.size);
    }
    unsigned char *at = bytes + chunk.size;
    *at++ = marked;
    at = put_u32(wr_put_i64(at, in->time_ms), (uint32_t)in->value.size);
    if (in->value.size > 0) {
        memcpy(at, in->value.data, in->value.size);
    }
    weir_put(ctx, chunk_slot(slot, side, bucket, last), (weir_bytes){bytes, size});
}

/* ---- Searching ------------------------------------------------------------------------------- */

static void search_chunk(weir_ctx *ctx, struct wr_search *search, struct wr_chunk *chunk)
{
    struct wr_found found;
    for (size_t at = 0, next; (next = next_record(chunk->bytes, at, &found)) > 0; at = next) {
        found.chunk = chunk;
        if (found.time_ms < search->first_ms || found.time_ms > search->last_ms ||
            (search->single && wr_found_is_marked(&found))) {
            continue;
        }
        struct wr_found_link *link = weir_scratch(ctx, sizeof *link);
        if (!link) {
            return;
        }
        found.number = search->count++;
        *link = (struct wr_found_link){.found = found};
        *search->end = link;
        search->end = &link->next;
    }
}

static int by_time(const void *left, const void *right)
{
    const struct wr_found *const *a = left, *const *b = right;
    if ((*a)->time_ms != (*b)->time_ms) {
        return (*a)->time_ms < (*b)->time_ms ? -1 : 1;
    }
    return (*a)->number < (*b)->number ? -1 : (*a)->number > (*b)->number;
}

static void sort(weir_ctx *ctx, struct wr_search *search)
{
    size_t count = 0;
    search->sorted = weir_scratch(ctx, (search->count + 1) * sizeof(struct wr_found *));
    if (!search->sorted) {
        search->count = 0;
        return;
    }
    bool in_order = true;
    for (struct wr_found_link *link = search->links; link; link = link->next) {
        in_order =
            in_order && (count == 0 || search->sorted[count - 1]->time_ms <= link->found.time_ms);
        search->sorted[count++] = &link->found;
    }
    search->count = count;
    if (!in_order) {
        qsort(search->sorted, count, sizeof(struct wr_found *), by_time);
    }
}

void wr_buckets_find(weir_ctx *ctx, const struct wr_buckets *buckets, struct wr_search *search)
{
    search->end = &search->links;
    for (size_t i = 0; i < buckets->count; i++) {
        const struct wr_bucket *bucket = &buckets->items[i];
        if (bucket->last_ms < search->first_ms || bucket->first_ms > search->last_ms) {
            continue;
        }
        for (uint32_t number = 0; number < bucket->chunks[search->side]; number++) {
            struct wr_chunk *chunk = weir_scratch(ctx, sizeof *chunk);
            if (!chunk) {
                return;
            }
            chunk->bytes = weir_get(ctx, chunk_slot(chunk->slot, search->side, bucket, number));
            chunk->changed = NULL;
            chunk->next = search->chunks;
            search->chunks = chunk;
            search_chunk(ctx, search, chunk);
        }
    }
    sort(ctx, search);
}

/* ---- The end --------------------------------------------------------------------------------- */

void wr_buckets_drop(weir_ctx *ctx, const bool marks_count[2], struct wr_buckets *buckets,
                     struct wr_bucket *bucket)
{
    bool stays = false;
    for (unsigned side = 0; side < 2; side++) {
        for (uint32_t number = 0; number < bucket->chunks[side]; number++) {
            unsigned char slot[WR_CHUNK_SLOT_BYTES];
            (void)chunk_slot(slot, side, bucket, number);
            struct wr_chunk chunk = {.bytes = wr_absent};
            struct wr_search search = {.first_ms = INT64_MIN, .last_ms = INT64_MAX, .single = true};
            search.end = &search.links;
            if (marks_count[side]) {
                chunk.bytes = weir_get(ctx, (weir_bytes){slot, sizeof slot});
                search_chunk(ctx, &search, &chunk);
            }
            if (search.count == 0) {
                weir_put(ctx, (weir_bytes){slot, sizeof slot}, wr_absent);
            }
            stays = stays || search.count > 0;
        }
    }
    if (!stays) {
        *bucket = buckets->items[--buckets->count];
        wr_buckets_put(ctx, buckets);
    }
}

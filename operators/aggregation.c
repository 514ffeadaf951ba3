/* aggregation.c: see aggregation.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/aggregation.h"

#include <string.h>

enum { BUCKETS_FIRST = 8 };

static const weir_bytes absent = {NULL, 0};

void wr_aggregation_check(weir_job *job, const char *what, const weir_aggregation *aggregation,
                          enum wr_aggregation_use use)
{
    if (!aggregation->add) {
        weir_refuse(job, "%s: the aggregation has no function `add` (weir_reduce needs its own)",
                    what);
    } else if (use == WR_USE_SESSIONS && !aggregation->merge) {
        weir_refuse(job,
                    "%s: sessions that meet become one, and the aggregation has no function "
                    "`merge`; give it one",
                    what);
    }
}

/* ---- Ids ------------------------------------------------------------------------------------- */

bool wr_aggregation_id(weir_ctx *ctx, const weir_aggregation *aggregation, const weir_record *in,
                       weir_bytes *id_out)
{
    *id_out = absent;
    if (!aggregation->distinct) {
        return true;
    }
    *id_out = aggregation->distinct(ctx, in, aggregation->arg);
    if (weir_rejected(ctx)) {
        return false;
    }
    if (!id_out->data) {
        weir_reject(ctx, "no id: different ids are counted");
    }
    return id_out->data != NULL;
}

/* prefix, 'i', id; absent when memory ran out. */
static weir_bytes slot_of(weir_ctx *ctx, weir_bytes prefix, weir_bytes id)
{
    char *slot = weir_scratch(ctx, prefix.size + 1 + id.size);
    if (!slot) {
        return absent;
    }
    if (prefix.size) {
        memcpy(slot, prefix.data, prefix.size);
    }
    slot[prefix.size] = 'i';
    if (id.size) {
        memcpy(slot + prefix.size + 1, id.data, id.size);
    }
    return (weir_bytes){slot, prefix.size + 1 + id.size};
}

/* FNV-1a, and its bits mixed once more: the low ones pick the bucket. */
static uint32_t hash_of(weir_bytes slot)
{
    const unsigned char *at = slot.data, *end = at + slot.size;
    uint32_t hash = 2166136261U;
    while (at < end) {
        hash = (hash ^ *at++) * 16777619U;
    }
    return hash ^ hash >> 15;
}

static struct wr_aggregation_id *find(const struct wr_aggregation_ids *ids, weir_bytes slot,
                                      uint32_t hash)
{
    struct wr_aggregation_id *at =
        ids->bucket_count ? ids->buckets[hash & (ids->bucket_count - 1)] : NULL;
    while (at && (at->hash != hash || at->slot.size != slot.size ||
                  memcmp(at->slot.data, slot.data, slot.size) != 0)) {
        at = at->same;
    }
    return at;
}

/* Twice as many buckets as before. False: out of memory. */
static bool grow(weir_ctx *ctx, struct wr_aggregation_ids *ids)
{
    size_t count = ids->bucket_count ? 2 * ids->bucket_count : BUCKETS_FIRST;
    struct wr_aggregation_id **buckets =
        weir_scratch(ctx, count * sizeof(struct wr_aggregation_id *));
    if (!buckets) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        buckets[i] = NULL;
    }
    for (struct wr_aggregation_id *id = ids->first; id; id = id->next) {
        struct wr_aggregation_id **bucket = &buckets[id->hash & (count - 1)];
        id->same = *bucket;
        *bucket = id;
    }
    ids->buckets = buckets;
    ids->bucket_count = count;
    return true;
}

/* What is kept with an id, as this call will leave it. */
static weir_bytes kept_at(weir_ctx *ctx, const struct wr_aggregation_ids *ids, weir_bytes slot)
{
    const struct wr_aggregation_id *found = find(ids, slot, hash_of(slot));
    return found ? found->value : weir_get(ctx, slot);
}

/* False: out of memory. */
static bool stage(weir_ctx *ctx, struct wr_aggregation_ids *ids, weir_bytes slot, weir_bytes value)
{
    uint32_t hash = hash_of(slot);
    struct wr_aggregation_id *id = find(ids, slot, hash);
    if (!id) {
        if (ids->count == ids->bucket_count && !grow(ctx, ids)) {
            return false;
        }
        id = weir_scratch(ctx, sizeof *id);
        if (!id) {
            return false;
        }
        struct wr_aggregation_id **bucket = &ids->buckets[hash & (ids->bucket_count - 1)];
        *id = (struct wr_aggregation_id){
            .slot = slot, .hash = hash, .next = ids->first, .same = *bucket};
        ids->first = *bucket = id;
        ids->count++;
    }
    id->value = value;
    return true;
}

/* Time and value; absent when memory ran out. */
static weir_bytes record_kept(weir_ctx *ctx, const weir_record *in)
{
    weir_bytes time = weir_i64(ctx, in->time_ms);
    char *kept = weir_scratch(ctx, 8 + in->value.size);
    if (!time.data || !kept) {
        return absent;
    }
    memcpy(kept, time.data, 8);
    if (in->value.size) {
        memcpy(kept + 8, in->value.data, in->value.size);
    }
    return (weir_bytes){kept, 8 + in->value.size};
}

static weir_record kept_record(weir_ctx *ctx, weir_bytes kept)
{
    weir_record record = {.key = weir_key(ctx)};
    if (kept.size >= 8) {
        (void)weir_to_i64((weir_bytes){kept.data, 8}, &record.time_ms);
        record.value = (weir_bytes){(const char *)kept.data + 8, kept.size - 8};
    }
    return record;
}

/* ---- Totals ---------------------------------------------------------------------------------- */

static bool counts_ids(const weir_aggregation *aggregation, const struct wr_aggregation_ids *ids)
{
    return ids->use == WR_USE_KEYS && aggregation->subtract;
}

/* Stages an id that came, *new_out: for the first time. False: out of memory. */
static bool add_id(weir_ctx *ctx, const weir_aggregation *aggregation,
                   struct wr_aggregation_ids *ids, const weir_record *in, weir_bytes id,
                   bool *new_out)
{
    weir_bytes slot = slot_of(ctx, ids->prefix, id);
    if (!slot.data) {
        return false;
    }
    weir_bytes kept = kept_at(ctx, ids, slot), value = {"", 0};
    *new_out = !kept.data;
    if (counts_ids(aggregation, ids)) {
        int64_t count = 0;
        (void)wr_number_parse(kept, &count);
        value = wr_number_text(ctx, count + 1);
    } else if (kept.data) {
        return true;
    } else if (ids->use == WR_USE_SESSIONS) {
        value = record_kept(ctx, in);
    }
    return value.data && stage(ctx, ids, slot, value);
}

bool wr_aggregation_add(weir_ctx *ctx, const weir_aggregation *aggregation,
                        struct wr_aggregation_ids *ids, const weir_record *in, weir_bytes id,
                        weir_bytes *total)
{
    bool is_new = true;
    if (aggregation->distinct && !add_id(ctx, aggregation, ids, in, id, &is_new)) {
        return false;
    }
    if (is_new) {
        *total = aggregation->add(ctx, *total, in, aggregation);
    }
    return !weir_rejected(ctx);
}

bool wr_aggregation_subtract(weir_ctx *ctx, const weir_aggregation *aggregation,
                             struct wr_aggregation_ids *ids, const weir_record *in, weir_bytes id,
                             weir_bytes *total)
{
    int64_t count = 1;
    bool known = total->data != NULL;
    if (aggregation->distinct) {
        weir_bytes slot = slot_of(ctx, ids->prefix, id);
        if (!slot.data) {
            return false;
        }
        known = wr_number_parse(kept_at(ctx, ids, slot), &count) && known;
        weir_bytes left = count > 1 ? wr_number_text(ctx, count - 1) : absent;
        if (!stage(ctx, ids, slot, left)) {
            return false;
        }
    }
    if (!known) {
        weir_reject(ctx, "a change of what was not here: its old value cannot be taken out");
        return false;
    }
    if (count <= 1) {
        *total = aggregation->subtract(ctx, *total, in, aggregation);
    }
    return !weir_rejected(ctx);
}

struct moving {
    const weir_aggregation *aggregation;
    struct wr_aggregation_ids *ids;
    size_t prefix_size;
    weir_bytes *total;
    bool adds; /* what the total does not have is added */
    bool fine;
};

static bool move_id(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    struct moving *moving = arg;
    size_t skipped = moving->prefix_size + 1;
    weir_bytes id = {(const char *)slot.data + skipped, slot.size - skipped};
    weir_bytes to = slot_of(ctx, moving->ids->prefix, id);
    moving->fine = to.data && stage(ctx, moving->ids, slot, absent);
    if (!moving->fine || kept_at(ctx, moving->ids, to).data) {
        return moving->fine;
    }
    moving->fine = stage(ctx, moving->ids, to, value);
    if (moving->fine && moving->adds) {
        weir_record record = kept_record(ctx, value);
        const weir_aggregation *aggregation = moving->aggregation;
        *moving->total = aggregation->add(ctx, *moving->total, &record, aggregation);
        moving->fine = !weir_rejected(ctx);
    }
    return moving->fine;
}

/* Visits the ids at a prefix. */
static void scan_ids(weir_ctx *ctx, weir_bytes prefix, weir_visit_fn visit, void *arg)
{
    weir_bytes from = slot_of(ctx, prefix, absent), to = slot_of(ctx, prefix, absent);
    if (from.data && to.data) {
        char *last = (char *)(uintptr_t)to.data + prefix.size;
        *last = 'i' + 1;
        weir_scan(ctx, from, to, visit, arg);
    }
}

bool wr_aggregation_merge(weir_ctx *ctx, const weir_aggregation *aggregation,
                          struct wr_aggregation_ids *ids, weir_bytes other, weir_bytes prefix,
                          weir_bytes *total)
{
    bool both = total->data && other.data;
    if (!total->data) {
        *total = other;
    } else if (both && !aggregation->distinct) {
        *total = aggregation->merge(ctx, *total, other, aggregation);
    }
    if (weir_rejected(ctx) || !aggregation->distinct) {
        return !weir_rejected(ctx);
    }
    struct moving moving = {.aggregation = aggregation,
                            .ids = ids,
                            .prefix_size = prefix.size,
                            .total = total,
                            .adds = both,
                            .fine = true};
    scan_ids(ctx, prefix, move_id, &moving);
    return moving.fine;
}

/* ---- Afterwards ------------------------------------------------------------------------------ */

weir_record wr_aggregation_reply(weir_ctx *ctx, weir_bytes value, const weir_window *window)
{
    weir_record out = weir_reply(ctx, value);
    if (!window) {
        return out;
    }
    weir_header *headers = weir_scratch(ctx, 2 * sizeof *headers);
    out.headers = NULL;
    out.header_count = 0;
    if (headers) {
        headers[0] = (weir_header){"window_start", wr_number_text(ctx, window->start_ms)};
        headers[1] = (weir_header){"window_end", wr_number_text(ctx, window->end_ms)};
        out.headers = headers;
        out.header_count = 2;
    }
    return out;
}

static weir_record result_of(weir_ctx *ctx, const weir_aggregation *aggregation, weir_bytes total,
                             const weir_window *window)
{
    return aggregation->result ? aggregation->result(ctx, total, window, aggregation)
                               : wr_aggregation_reply(ctx, total, window);
}

bool wr_aggregation_change(weir_ctx *ctx, const weir_aggregation *aggregation, weir_bytes total,
                           weir_bytes old_total, const weir_window *window, int64_t time_ms,
                           weir_record *out)
{
    weir_bytes old = old_total;
    *out = (weir_record){.key = weir_key(ctx)};
    if (old_total.data && (aggregation->result || !total.data)) {
        *out = result_of(ctx, aggregation, old_total, window);
        old = out->value;
        out->value = absent;
    }
    if (total.data && !weir_rejected(ctx)) {
        *out = result_of(ctx, aggregation, total, window);
    }
    out->old = old;
    out->time_ms = time_ms;
    return !weir_rejected(ctx);
}

void wr_aggregation_keep(weir_ctx *ctx, const struct wr_aggregation_ids *ids)
{
    for (const struct wr_aggregation_id *id = ids->first; id; id = id->next) {
        weir_put(ctx, id->slot, id->value);
    }
}

static bool forget_id(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)value, (void)arg;
    weir_put(ctx, slot, absent);
    return true;
}

void wr_aggregation_forget(weir_ctx *ctx, const weir_aggregation *aggregation, weir_bytes prefix)
{
    if (aggregation->distinct) {
        scan_ids(ctx, prefix, forget_id, NULL);
    }
}

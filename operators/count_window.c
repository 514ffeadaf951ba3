/* count_window.c: windows of so many records, whatever their times: Flink's countWindow(size,
 * slide). See weir_window_by in weir_ops.h.
 *
 * Each `advance` records of a key, the last `size` are a window; the first windows have fewer, as
 * Flink's have. What is emitted is put together then, from the values that are kept; a record is
 * added to nothing once as it comes, so that one that cannot be added is rejected itself.
 *
 * State, version 1: for each key, for ever,
 *
 *     absent slot             weir_i64: how many records came
 *     weir_i64(n % size)      record n: its time as weir_i64, then its value; none where no window
 *                             will have it (advance > size)
 *
 * or, where windows do not overlap (advance = size) and all records count, until the window is
 * full: the absent slot with the number of records and the time of the first, both as weir_i64,
 * and, if there is a total, a byte 1 and the total.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "operators/windows.h"

static const weir_bytes absent = {NULL, 0};

/* Bytes after 8 that weir_i64 makes; absent when memory ran out. */
static weir_bytes with_number(weir_ctx *ctx, int64_t number, weir_bytes rest)
{
    weir_bytes head = weir_i64(ctx, number);
    char *bytes = weir_scratch(ctx, 8 + rest.size);
    if (!head.data || !bytes) {
        return absent;
    }
    memcpy(bytes, head.data, 8);
    if (rest.size) {
        memcpy(bytes + 8, rest.data, rest.size);
    }
    return (weir_bytes){bytes, 8 + rest.size};
}

/* Takes such a number off; false: there is none. */
static bool take_number(weir_bytes *bytes, int64_t *number_out)
{
    if (!bytes->data || bytes->size < 8 || !weir_to_i64((weir_bytes){bytes->data, 8}, number_out)) {
        return false;
    }
    *bytes = (weir_bytes){(const char *)bytes->data + 8, bytes->size - 8};
    return true;
}

/* ---- One window at a time -------------------------------------------------------------------- */

static void add_to_total(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in)
{
    const weir_aggregation *aggregation = &by->aggregation;
    int64_t count = 0;
    weir_window window = {in->time_ms, in->time_ms};
    weir_bytes kept = weir_get(ctx, absent), total = absent;
    if (take_number(&kept, &count) && take_number(&kept, &window.start_ms) && kept.size > 0) {
        total = (weir_bytes){(const char *)kept.data + 1, kept.size - 1};
    }
    struct wr_aggregation_ids ids = {.use = WR_USE_WINDOWS};
    if (!wr_aggregation_add(ctx, aggregation, &ids, in, absent, &total)) {
        return;
    }
    count++;
    if (count < by->windows.size) {
        char *marked = weir_scratch(ctx, total.size + 1);
        if (!marked) {
            return;
        }
        *marked = 1;
        if (total.size) {
            memcpy(marked + 1, total.data, total.size);
        }
        weir_bytes rest = {marked, total.data ? total.size + 1 : 0};
        rest = with_number(ctx, window.start_ms, rest);
        weir_put(ctx, absent, with_number(ctx, count, rest));
        return;
    }
    weir_record out;
    if (!wr_aggregation_change(ctx, aggregation, total, absent, &window, in->time_ms, &out)) {
        return;
    }
    weir_put(ctx, absent, absent);
    if (wr_aggregation_is_change(&out)) {
        weir_emit(ctx, &out);
    }
}

/* ---- Windows that overlap -------------------------------------------------------------------- */

static weir_bytes slot_of(weir_ctx *ctx, const struct wr_window_by *by, int64_t number)
{
    return weir_i64(ctx, number % by->windows.size);
}

/* Adds a record, kept or new, to the total of a window. */
static bool add_one(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in,
                    struct wr_aggregation_ids *ids, weir_bytes *total)
{
    weir_bytes id;
    return wr_aggregation_id(ctx, &by->aggregation, in, &id) &&
           wr_aggregation_add(ctx, &by->aggregation, ids, in, id, total);
}

/* The window that ends with record `number`; false: the call has rejected or failed. */
static bool total_up(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in,
                     int64_t number, weir_record *out)
{
    struct wr_aggregation_ids ids = {.use = WR_USE_WINDOWS}; /* never kept */
    int64_t first = number - by->windows.size + 1;
    weir_window window = {in->time_ms, in->time_ms};
    weir_bytes total = absent;
    first = first < 0 ? 0 : first;
    for (int64_t i = first; i < number; i++) {
        weir_record kept = {.key = in->key, .value = weir_get(ctx, slot_of(ctx, by, i))};
        if (!take_number(&kept.value, &kept.time_ms) || !add_one(ctx, by, &kept, &ids, &total)) {
            return false;
        }
        window.start_ms = i == first ? kept.time_ms : window.start_ms;
    }
    return add_one(ctx, by, in, &ids, &total) &&
           wr_aggregation_change(ctx, &by->aggregation, total, absent, &window, in->time_ms, out);
}

static void add_to_many(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in)
{
    struct wr_aggregation_ids ids = {.use = WR_USE_WINDOWS};
    weir_bytes alone = absent;
    int64_t number = 0, advance = by->windows.advance;
    weir_to_i64(weir_get(ctx, absent), &number);
    int64_t more = advance - 1 - number % advance; /* records until a window ends */
    weir_record out = {.value = absent};
    if (!add_one(ctx, by, in, &ids, &alone) ||
        (more == 0 && !total_up(ctx, by, in, number, &out))) {
        return;
    }
    if (more < by->windows.size) {
        weir_put(ctx, slot_of(ctx, by, number), with_number(ctx, in->time_ms, in->value));
    }
    weir_put(ctx, absent, weir_i64(ctx, number + 1));
    if (wr_aggregation_is_change(&out)) {
        weir_emit(ctx, &out);
    }
}

void wr_window_count(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct wr_window_by *by = arg;
    if (!in || !wr_window_takes(ctx, in)) {
        return;
    }
    if (by->windows.advance == by->windows.size && !by->aggregation.distinct) {
        add_to_total(ctx, by, in);
    } else {
        add_to_many(ctx, by, in);
    }
}

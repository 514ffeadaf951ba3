/* top_changes.c: weir_top of a table's changes, which may take rows away again.
 *
 * State, version 2: of each key a slot for each row, so that the best come first in byte order: its
 * number (the highest first), its time, a sequence among equals, each as weir_i64 does. In it is
 * the row's value.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "operators/top.h"

static const weir_bytes absent = {NULL, 0};

enum { SLOT_BYTES = 24 }; /* number, time, sequence */

/* A slot, or how it begins; absent: no memory. ~ turns the order of numbers round. */
static weir_bytes slot_of(weir_ctx *ctx, int64_t number, int64_t time_ms, int64_t sequence)
{
    weir_bytes parts[] = {weir_i64(ctx, ~number), weir_i64(ctx, time_ms), weir_i64(ctx, sequence)};
    unsigned char *slot = weir_scratch(ctx, SLOT_BYTES);
    for (size_t i = 0; slot && i < 3; i++) {
        if (!parts[i].data) {
            return absent;
        }
        memcpy(slot + 8 * i, parts[i].data, 8);
    }
    return (weir_bytes){slot, slot ? SLOT_BYTES : 0};
}

static int64_t part_of(weir_bytes slot, size_t part)
{
    int64_t number = 0;
    if (slot.size == SLOT_BYTES) {
        (void)weir_to_i64((weir_bytes){(const unsigned char *)slot.data + 8 * part, 8}, &number);
    }
    return number;
}

struct best {
    struct wr_top_rows rows;
    size_t most;
};

static bool visit_best(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)ctx;
    struct best *best = arg;
    best->rows.items[best->rows.count++] =
        (struct wr_top_row){~part_of(slot, 0), part_of(slot, 1), part_of(slot, 2), value};
    return best->rows.count < best->most;
}

/* The first row with this value. */
struct search {
    weir_bytes value, slot; /* slot: found, with sequence */
};

static bool visit_search(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)ctx;
    struct search *search = arg;
    if (value.size == search->value.size &&
        memcmp(value.data, search->value.data, value.size) == 0) {
        search->slot = slot;
    }
    return !search->slot.data;
}

static bool visit_last(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)ctx, (void)value;
    int64_t *next = arg;
    *next = part_of(slot, 2) + 1;
    return true;
}

/* What the author's functions see of one of a change's two values. */
static weir_record one_of(const weir_record *in, weir_bytes value)
{
    weir_record one = *in;
    one.value = value;
    one.old = absent;
    return one;
}

/* Where the row of a change's old value is kept; false: rejected, or no memory. */
static bool find_old(weir_ctx *ctx, const struct wr_top *top, const weir_record *in,
                     weir_bytes *slot_out)
{
    weir_record one = one_of(in, in->old);
    struct search search = {.value = in->old};
    int64_t number = 0;
    if (!wr_number_of(ctx, top->number, top->arg, &one, &number)) {
        return false;
    }
    weir_bytes from = slot_of(ctx, number, INT64_MIN, INT64_MIN);
    weir_bytes to = slot_of(ctx, number, INT64_MAX, INT64_MAX);
    if (!from.data || !to.data) {
        return false;
    }
    weir_scan(ctx, from, to, visit_search, &search);
    *slot_out = search.slot;
    if (!search.slot.data) {
        weir_reject(ctx, "a change of what was not here: its old value is no row");
    }
    return search.slot.data != NULL;
}

/* Where a new row is kept: behind all of the same number and time. */
static bool place_new(weir_ctx *ctx, const struct wr_top_row *row, weir_bytes *slot_out)
{
    int64_t next = 0;
    weir_bytes from = slot_of(ctx, row->number, row->time_ms, INT64_MIN);
    weir_bytes to = slot_of(ctx, row->number, row->time_ms, INT64_MAX);
    if (!from.data || !to.data) {
        return false;
    }
    weir_scan(ctx, from, to, visit_last, &next);
    *slot_out = slot_of(ctx, row->number, row->time_ms, next);
    return slot_out->data != NULL;
}

static const char *wrong_with(const weir_record *in)
{
    if (!in->key.data) {
        return "no key: the best rows of each key are kept";
    }
    return in->value.data || in->old.data ? NULL : "no value: there is no row";
}

/* One more than n, because one of them may go. False: no memory. */
static bool best_of(weir_ctx *ctx, const struct wr_top *top, struct wr_top_rows *rows_out)
{
    struct best best = {.most = top->n + 1};
    best.rows.items = weir_scratch(ctx, best.most * sizeof *best.rows.items);
    if (best.rows.items) {
        weir_scan(ctx, absent, absent, visit_best, &best);
    }
    *rows_out = best.rows;
    return best.rows.items != NULL;
}

/* The list without the row of this slot, if it is among them. */
static bool without(weir_ctx *ctx, struct wr_top_rows before, weir_bytes slot,
                    struct wr_top_rows *after_out)
{
    struct wr_top_rows after = {weir_scratch(ctx, (before.count + 1) * sizeof *after.items), 0};
    for (size_t i = 0; after.items && i < before.count; i++) {
        const struct wr_top_row *row = &before.items[i];
        if (!slot.data || row->number != ~part_of(slot, 0) || row->time_ms != part_of(slot, 1) ||
            row->sequence != part_of(slot, 2)) {
            after.items[after.count++] = *row;
        }
    }
    *after_out = after;
    return after.items != NULL;
}

static struct wr_top_rows capped(const struct wr_top *top, struct wr_top_rows rows)
{
    rows.count = rows.count < top->n ? rows.count : top->n;
    return rows;
}

void wr_top_of_changes(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct wr_top *top = arg;
    const char *wrong = wrong_with(in);
    if (wrong) {
        weir_reject(ctx, wrong);
        return;
    }
    weir_record now = one_of(in, in->value);
    struct wr_top_row row = {.time_ms = in->time_ms, .value = in->value};
    weir_bytes gone = absent, came = absent;
    struct wr_top_rows before, after;
    struct wr_top_changes changes;
    if ((in->old.data && !find_old(ctx, top, in, &gone)) ||
        (in->value.data && (!wr_number_of(ctx, top->number, top->arg, &now, &row.number) ||
                            !place_new(ctx, &row, &came))) ||
        !best_of(ctx, top, &before) || !without(ctx, before, gone, &after) ||
        (in->value.data && !wr_top_insert(ctx, top, after, &row, &after)) ||
        !wr_top_compare(ctx, top, capped(top, before), capped(top, after), &changes)) {
        return;
    }
    if (gone.data) {
        weir_put(ctx, gone, absent);
    }
    if (came.data) {
        weir_put(ctx, came, row.value);
    }
    wr_top_emit(ctx, &changes);
}

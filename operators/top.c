/* top.c: see weir_top in weir_ops.h: its ranks, and from a stream its rows.
 *
 * State, version 1, from a stream: of each key the absent slot has its rows, the worst first, so
 * that one look says whether a row is among the best: how many (4 bytes), and of each row its
 * number and time (8 bytes each), its value's size (4 bytes), its value; all numbers little-endian.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/top.h"

#include <string.h>

/* One record may change each rank, and that many rows are copied each time. */
enum { N_MAX = 10000, ROW_BYTES = 20, COUNT_BYTES = 4 };

static const weir_bytes absent = {NULL, 0};

/* ---- Ranks ----------------------------------------------------------------------------------- */

static weir_record default_ranked(weir_ctx *ctx, const weir_record *row, int64_t rank)
{
    weir_bytes text = wr_number_text(ctx, rank);
    char *key = weir_scratch(ctx, row->key.size + 1 + text.size);
    weir_header *header = weir_scratch(ctx, sizeof *header);
    if (!text.data || !key || !header) {
        return *row;
    }
    if (row->key.size) {
        memcpy(key, row->key.data, row->key.size);
    }
    key[row->key.size] = '/';
    memcpy(key + row->key.size + 1, text.data, text.size);
    *header = (weir_header){"rank", text};
    weir_record out = *row;
    out.key = (weir_bytes){key, row->key.size + 1 + text.size};
    out.headers = header;
    out.header_count = 1;
    return out;
}

static weir_record row_at(weir_ctx *ctx, const struct wr_top *top, const struct wr_top_row *row,
                          size_t rank)
{
    weir_record record = {.key = weir_key(ctx), .value = row->value, .time_ms = row->time_ms};
    return top->ranked ? top->ranked(ctx, &record, (int64_t)rank, top->arg)
                       : default_ranked(ctx, &record, (int64_t)rank);
}

static bool is_same(const struct wr_top_row *a, const struct wr_top_row *b)
{
    return a->number == b->number && a->time_ms == b->time_ms && a->value.size == b->value.size &&
           memcmp(a->value.data, b->value.data, a->value.size) == 0;
}

/* What became of one rank; false: the author's function rejected. */
static bool change_of(weir_ctx *ctx, const struct wr_top *top, const struct wr_top_row *before,
                      const struct wr_top_row *after, size_t rank, weir_record *out)
{
    weir_bytes old = absent;
    if (before) {
        *out = row_at(ctx, top, before, rank);
        old = out->value;
        out->value = absent;
    }
    if (after && !weir_rejected(ctx)) {
        *out = row_at(ctx, top, after, rank);
    }
    out->old = old;
    out->time_ms = weir_time(ctx);
    return !weir_rejected(ctx);
}

bool wr_top_compare(weir_ctx *ctx, const struct wr_top *top, struct wr_top_rows before,
                    struct wr_top_rows after, struct wr_top_changes *changes_out)
{
    size_t ranks = before.count > after.count ? before.count : after.count, count = 0;
    weir_record *changes = weir_scratch(ctx, (ranks + 1) * sizeof *changes);
    for (size_t i = 0; changes && i < ranks; i++) {
        const struct wr_top_row *was = i < before.count ? &before.items[i] : NULL;
        const struct wr_top_row *is = i < after.count ? &after.items[i] : NULL;
        if (was && is && is_same(was, is)) {
            continue;
        }
        if (!change_of(ctx, top, was, is, i + 1, &changes[count])) {
            return false;
        }
        count += changes[count].value.data || changes[count].old.data;
    }
    *changes_out = (struct wr_top_changes){changes, count};
    return changes != NULL;
}

void wr_top_emit(weir_ctx *ctx, const struct wr_top_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        weir_emit(ctx, &changes->items[i]);
    }
}

/* Behind all that are as good: they came before. */
static size_t place_of(struct wr_top_rows rows, const struct wr_top_row *row)
{
    size_t at = rows.count;
    while (at > 0 && (row->number > rows.items[at - 1].number ||
                      (row->number == rows.items[at - 1].number &&
                       row->time_ms < rows.items[at - 1].time_ms))) {
        at--;
    }
    return at;
}

bool wr_top_insert(weir_ctx *ctx, const struct wr_top *top, struct wr_top_rows before,
                   const struct wr_top_row *row, struct wr_top_rows *after_out)
{
    size_t at = place_of(before, row), count = before.count + 1;
    struct wr_top_row *items = weir_scratch(ctx, count * sizeof *items);
    if (!items) {
        return false;
    }
    memcpy(items, before.items, at * sizeof *items);
    items[at] = *row;
    memcpy(items + at + 1, before.items + at, (before.count - at) * sizeof *items);
    *after_out = (struct wr_top_rows){items, count < top->n ? count : top->n};
    return true;
}

/* ---- From a stream --------------------------------------------------------------------------- */

static void put_number(unsigned char *at, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (unsigned char)(number >> (8 * i));
    }
}

static uint64_t get_number(const unsigned char *at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number |= (uint64_t)at[i] << (8 * i);
    }
    return number;
}

static size_t count_of(weir_bytes packed)
{
    return packed.data ? (size_t)get_number(packed.data, COUNT_BYTES) : 0;
}

/* One row, and where the next one is. */
static const unsigned char *unpack_row(const unsigned char *at, struct wr_top_row *row)
{
    row->number = (int64_t)get_number(at, 8);
    row->time_ms = (int64_t)get_number(at + 8, 8);
    row->value = (weir_bytes){at + ROW_BYTES, (size_t)get_number(at + 16, 4)};
    return at + ROW_BYTES + row->value.size;
}

/* False: no memory. */
static bool unpack(weir_ctx *ctx, weir_bytes packed, struct wr_top_rows *rows)
{
    rows->count = count_of(packed);
    rows->items = weir_scratch(ctx, (rows->count + 1) * sizeof *rows->items);
    const unsigned char *at = packed.data;
    at = at ? at + COUNT_BYTES : NULL;
    for (size_t i = rows->count; rows->items && i > 0; i--) {
        at = unpack_row(at, &rows->items[i - 1]);
    }
    return rows->items != NULL;
}

/* Absent: no memory. */
static weir_bytes pack(weir_ctx *ctx, struct wr_top_rows rows)
{
    size_t size = COUNT_BYTES;
    for (size_t i = 0; i < rows.count; i++) {
        size += ROW_BYTES + rows.items[i].value.size;
    }
    unsigned char *packed = weir_scratch(ctx, size), *at = packed;
    if (!packed) {
        return absent;
    }
    put_number(at, rows.count, COUNT_BYTES);
    at += COUNT_BYTES;
    for (size_t i = rows.count; i > 0; i--) {
        const struct wr_top_row *row = &rows.items[i - 1];
        put_number(at, (uint64_t)row->number, 8);
        put_number(at + 8, (uint64_t)row->time_ms, 8);
        put_number(at + 16, row->value.size, 4);
        if (row->value.size) {
            memcpy(at + ROW_BYTES, row->value.data, row->value.size);
        }
        at += ROW_BYTES + row->value.size;
    }
    return (weir_bytes){packed, size};
}

/* Whether n rows are as good as this one or better: the worst of them comes first. */
static bool is_beaten(const struct wr_top *top, weir_bytes packed, const struct wr_top_row *row)
{
    struct wr_top_row worst;
    if (count_of(packed) < top->n) {
        return false;
    }
    (void)unpack_row((const unsigned char *)packed.data + COUNT_BYTES, &worst);
    return worst.number > row->number ||
           (worst.number == row->number && worst.time_ms <= row->time_ms);
}

static void run_top(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct wr_top *top = arg;
    const char *wrong = !in->key.data     ? "no key: the best rows of each key are kept"
                        : in->old.data    ? "a change: weir_top takes them with `changes` only"
                        : !in->value.data ? "no value: there is no row"
                                          : NULL;
    struct wr_top_row row = {.time_ms = in->time_ms, .value = in->value};
    if (wrong) {
        weir_reject(ctx, wrong);
        return;
    }
    if (!wr_number_of(ctx, top->number, top->arg, in, &row.number)) {
        return;
    }
    weir_bytes packed = weir_get(ctx, absent);
    struct wr_top_rows before, after;
    struct wr_top_changes changes;
    if (is_beaten(top, packed, &row) || !unpack(ctx, packed, &before) ||
        !wr_top_insert(ctx, top, before, &row, &after) ||
        !wr_top_compare(ctx, top, before, after, &changes)) {
        return;
    }
    weir_put(ctx, absent, pack(ctx, after));
    wr_top_emit(ctx, &changes);
}

/* ---- Building -------------------------------------------------------------------------------- */

weir_stream *weir_top(weir_stream *in, const char *name, int64_t n, bool changes,
                      weir_number_fn number, weir_ranked_fn ranked, void *arg)
{
    weir_job *job = weir_job_of(in);
    struct wr_top *top = weir_alloc(job, sizeof *top);
    *top = (struct wr_top){(size_t)n, number, ranked, arg};
    weir_stream *node = weir_through(in, name, changes ? wr_top_of_changes : run_top, top);
    weir_state(node, changes ? 2 : 1, NULL, NULL); /* so that neither reads the other's */
    if (n < 1 || n > N_MAX) {
        weir_refuse(job, "%s: the best %lld rows; give 1 to %d", name, (long long)n, N_MAX);
    }
    return node;
}

/* lookup.c: see weir_lookup in weir_ops.h: weir_join_table behind a gate that opens when the
 * table's input has been read to its end.
 *
 *     table ──▶ NAME.TABLE (times) ──┐
 *     left ─────────────────────▶ NAME.LEFT ──────────────▶ NAME ──▶
 *                                    └──▶ NAME.WAIT ──────────▲ ▲
 *     table ────────────────────────────────────────────────────┘
 *
 * NAME.TABLE is a weir_times node whose time never moves: it holds NAME.LEFT's watermark where
 * nothing is known, until its input ends and holds nothing back any more. While the watermark is
 * there, NAME.LEFT hands records to NAME.WAIT, which keeps each with a timer of the earliest time
 * there is: they fire in the order the records came, when the gate opens, and before any later
 * record. From then on NAME.LEFT passes records on as they come.
 *
 * As with all timers, left records wait for the left input's own watermark as well: a partition of
 * it that has no record yet holds them, unless a weir_times node with idle_ms is before this. Once
 * open the gate stays open, in later runs too: rows that those find are taken as they come.
 *
 * State of NAME.WAIT, version 1, under the absent key: the absent slot has the next number, a slot
 * of each number (both as weir_i64) a record: its time, then key, value, old as a size (absent: -1)
 * and bytes, the number of headers, and of each its name with a NUL and its value in the same way;
 * sizes and counts as weir_i64. State of NAME: as join_table.c says.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/join.h"

static const int64_t FIRST_MS = INT64_MIN + 1; /* INT64_MIN: nothing is known */

/* ---- A record as bytes ----------------------------------------------------------------------- */

static size_t packed_size(const weir_record *record)
{
    size_t size = 8 + 3 * 8 + record->key.size + record->value.size + record->old.size + 8;
    for (size_t i = 0; i < record->header_count; i++) {
        size += 2 * 8 + strlen(record->headers[i].name) + 1 + record->headers[i].value.size;
    }
    return size;
}

static unsigned char *put_bytes(unsigned char *at, weir_bytes bytes)
{
    at = wr_put_i64(at, bytes.data ? (int64_t)bytes.size : -1);
    if (bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
    }
    return at + bytes.size;
}

static weir_bytes pack(weir_ctx *ctx, const weir_record *record)
{
    size_t size = packed_size(record);
    unsigned char *packed = weir_scratch(ctx, size), *at = packed;
    if (!packed) {
        return wr_absent;
    }
    at = wr_put_i64(at, record->time_ms);
    at = put_bytes(at, record->key);
    at = put_bytes(at, record->value);
    at = put_bytes(at, record->old);
    at = wr_put_i64(at, (int64_t)record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const weir_header *header = &record->headers[i];
        at = put_bytes(at, (weir_bytes){header->name, strlen(header->name) + 1});
        at = put_bytes(at, header->value);
    }
    return (weir_bytes){packed, size};
}

static bool get_number(weir_bytes *rest, int64_t *number_out)
{
    if (!weir_to_i64((weir_bytes){rest->data, rest->size < 8 ? rest->size : 8}, number_out)) {
        return false;
    }
    rest->data = (const unsigned char *)rest->data + 8;
    rest->size -= 8;
    return true;
}

static bool get_bytes(weir_bytes *rest, weir_bytes *bytes_out)
{
    int64_t size;
    *bytes_out = wr_absent;
    if (!get_number(rest, &size) || size < -1 || size > (int64_t)rest->size) {
        return false;
    }
    if (size >= 0) {
        *bytes_out = (weir_bytes){rest->data, (size_t)size};
        rest->data = (const unsigned char *)rest->data + size;
        rest->size -= (size_t)size;
    }
    return true;
}

/* False: these bytes are no record, or memory ran out. */
static bool unpack(weir_ctx *ctx, weir_bytes rest, weir_record *record)
{
    int64_t count = 0;
    *record = (weir_record){.time_ms = 0};
    if (!get_number(&rest, &record->time_ms) || !get_bytes(&rest, &record->key) ||
        !get_bytes(&rest, &record->value) || !get_bytes(&rest, &record->old) ||
        !get_number(&rest, &count) || count < 0 || count > (int64_t)rest.size) {
        return false;
    }
    weir_header *headers = weir_scratch(ctx, ((size_t)count + 1) * sizeof *headers);
    if (!headers) {
        return false;
    }
    record->headers = headers;
    record->header_count = (size_t)count;
    for (int64_t i = 0; i < count; i++) {
        weir_bytes name;
        if (!get_bytes(&rest, &name) || !get_bytes(&rest, &headers[i].value)) {
            return false;
        }
        headers[i].name = name.data;
    }
    return true;
}

/* ---- The gate -------------------------------------------------------------------------------- */

static int64_t never(const weir_record *in, void *arg)
{
    (void)in, (void)arg;
    return INT64_MIN;
}

static void run_left(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (weir_input(ctx) == 1) {
        return; /* the table's are here for their watermark */
    }
    if (weir_watermark(ctx) > INT64_MIN) {
        weir_emit(ctx, in);
        return;
    }
    weir_record waits = *in;
    waits.value = pack(ctx, in);
    waits.key = waits.old = wr_absent;
    waits.headers = NULL;
    waits.header_count = 0;
    weir_emit_to(ctx, 1, &waits);
}

static void run_wait(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    int64_t number = 0;
    weir_record record;
    if (in) {
        weir_to_i64(weir_get(ctx, wr_absent), &number);
        weir_bytes slot = weir_i64(ctx, number);
        weir_put(ctx, slot, in->value);
        weir_put(ctx, wr_absent, weir_i64(ctx, number + 1));
        weir_wake(ctx, slot, FIRST_MS);
    } else if (unpack(ctx, weir_get(ctx, weir_timer(ctx)), &record)) {
        weir_put(ctx, weir_timer(ctx), wr_absent);
        weir_emit(ctx, &record);
    }
}

weir_stream *weir_lookup(weir_stream *left, const char *name, weir_stream *table,
                         weir_join_kind kind, weir_joiner_fn fn, void *arg)
{
    weir_job *job = weir_job_of(left);
    weir_stream *gate = weir_through(left, wr_join_words(job, "", name, ".LEFT"), run_left, NULL);
    weir_with(gate, weir_times(table, wr_join_words(job, "", name, ".TABLE"), never, NULL, 0, 0));
    weir_stream *waits =
        weir_through(weir_side(gate, 1), wr_join_words(job, "", name, ".WAIT"), run_wait, NULL);
    weir_state(waits, 1, NULL, NULL);
    weir_stream *node = weir_join_table(gate, name, table, kind, fn, arg);
    weir_with(node, waits); /* input 2: what is not input 1 is the stream's */
    return node;
}

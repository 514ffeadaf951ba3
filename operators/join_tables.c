/* join_tables.c: see weir_join_tables in weir_ops.h. Kafka Streams' KTable-KTable join.
 *
 * A record of either side replaces that side's row (an absent value removes it). The joined row was
 * there before, and is there now, when the rows of both sides are (INNER), the left one's is
 * (LEFT), either's is (OUTER), and the joiner's value of them is not absent. What is emitted has
 * the row that is there now as its value and the one before as `old`, absent where there is none,
 * and nothing is emitted when there is neither, nor when a row is removed that is not there. Its
 * time is the higher of the two rows' times; of a row that is gone, the higher of those of the
 * record that removed it and of the other side's row. Absent keys are rejected.
 *
 * What a side was is read from state, not from a record's `old`: plain values do as well.
 *
 * State, version 1: slots `l` and `r` hold the sides' rows, time (8 bytes, as weir_i64) and value.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/join.h"

struct join_tables {
    struct wr_join join;
    const char *no_key;
};

/* The joined row of these two, absent when this kind has none. False: the call has rejected. */
static bool joined(weir_ctx *ctx, const struct wr_join *join, const weir_record *const sides[2],
                   weir_bytes *row_out)
{
    *row_out = wr_absent;
    return !wr_join_has(join, sides[0], sides[1]) ||
           wr_join_value(ctx, join, sides[0], sides[1], row_out);
}

static void run_join_tables(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct join_tables *tables = arg;
    static const weir_bytes slots[] = {{"l", 1}, {"r", 1}};
    unsigned side = weir_input(ctx);
    if (!in->key.data) {
        weir_reject(ctx, tables->no_key);
        return;
    }
    weir_record kept, other;
    const weir_record *before[2], *after[2];
    before[side] = wr_row_read(weir_get(ctx, slots[side]), in->key, &kept);
    before[1 - side] = wr_row_read(weir_get(ctx, slots[1 - side]), in->key, &other);
    after[side] = in->value.data ? in : NULL;
    if (!before[side] && !after[side]) {
        return;
    }
    after[1 - side] = before[1 - side];
    weir_record out = *in;
    if (!joined(ctx, &tables->join, before, &out.old) ||
        !joined(ctx, &tables->join, after, &out.value)) {
        return;
    }
    weir_put(ctx, slots[side],
             in->value.data ? wr_row_pack(ctx, in->time_ms, in->value) : wr_absent);
    if (out.old.data || out.value.data) {
        out.time_ms = wr_join_time(in, before[1 - side]);
        weir_emit(ctx, &out);
    }
}

weir_stream *weir_join_tables(weir_stream *left, const char *name, weir_stream *right,
                              weir_join_kind kind, weir_joiner_fn fn, void *arg)
{
    weir_job *job = weir_job_of(left);
    struct join_tables *tables = wr_join_new(job, name, kind, WEIR_OUTER, fn, arg, sizeof *tables);
    tables->no_key = wr_join_words(job, "no key: ", name, " joins by key");
    weir_stream *node = weir_through(left, name, run_join_tables, tables);
    weir_with(node, right);
    weir_state(node, 1, NULL, NULL);
    return node;
}

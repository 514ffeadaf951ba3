/* join_table.c: see weir_join_table in weir_ops.h. Kafka Streams' KStream-KTable join: the table's
 * records only change state, each record of the stream asks it.
 *
 *   stream's record     INNER                       LEFT
 *   absent value        rejected                    rejected
 *   absent key          rejected                    joined with NULL
 *   no row              nothing                     joined with NULL
 *   a row               joined                      joined
 *
 *   table's record: absent key rejected; absent value removes the row; else it is the row, whatever
 *   the times are: the order of arrival counts.
 *
 * State, version 1: the absent slot holds the row, its time (8 bytes, as weir_i64) and its value.
 * Results have the stream record's key, time and headers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/join.h"

struct join_table {
    struct wr_join join;
    const char *no_key, *no_row_key, *no_value;
};

static void keep_row(weir_ctx *ctx, const weir_record *in, const struct join_table *table)
{
    if (!in->key.data) {
        weir_reject(ctx, table->no_row_key);
        return;
    }
    weir_put(ctx, wr_absent, in->value.data ? wr_row_pack(ctx, in->time_ms, in->value) : wr_absent);
}

static void run_join_table(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct join_table *table = arg;
    if (weir_input(ctx) == 1) {
        keep_row(ctx, in, table);
        return;
    }
    if (!in->value.data || (!in->key.data && table->join.kind == WEIR_INNER)) {
        weir_reject(ctx, in->value.data ? table->no_key : table->no_value);
        return;
    }
    weir_record row, out = *in;
    const weir_record *right =
        in->key.data ? wr_row_read(weir_get(ctx, wr_absent), in->key, &row) : NULL;
    if (wr_join_has(&table->join, in, right) &&
        wr_join_value(ctx, &table->join, in, right, &out.value)) {
        out.old = wr_absent;
        weir_emit(ctx, &out);
    }
}

weir_stream *weir_join_table(weir_stream *left, const char *name, weir_stream *right,
                             weir_join_kind kind, weir_joiner_fn fn, void *arg)
{
    weir_job *job = weir_job_of(left);
    struct join_table *table = wr_join_new(job, name, kind, WEIR_LEFT, fn, arg, sizeof *table);
    table->no_key = wr_join_words(job, "no key: ", name, " joins by key");
    table->no_row_key = wr_join_words(job, "no key: ", name, " keeps the table's rows by key");
    table->no_value = wr_join_words(job, "no value: ", name, " has nothing to join");
    weir_stream *node = weir_through(left, name, run_join_table, table);
    weir_with(node, right);
    weir_state(node, 1, NULL, NULL);
    return node;
}

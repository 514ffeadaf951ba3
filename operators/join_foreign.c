/* join_foreign.c: see weir_join_foreign in weir_ops.h. Kafka Streams' KTable-KTable join by foreign
 * key, in three nodes, because a node's state is of its records' key:
 *
 *     left ──▶ NAME.LEFT ──by foreign key──▶ NAME.RIGHT ──by left key──▶ NAME ──▶
 *                                right ──────────▲
 *
 *   NAME.LEFT    knows each left row's foreign key, so that a row that changes it can be taken from
 *                the old one. Tells NAME.RIGHT: this row is yours, or is not any longer.
 *   NAME.RIGHT   for each foreign key the right row, and the left rows that have it (a left join
 *                keeps those without a foreign key under the absent key). Each change of either
 *                gives a result for each left row that it is about.
 *   NAME         makes one change of the two that a left row gives which moves from one foreign key
 *                to another: what it was there, what it is here.
 *
 * As in weir_join_tables a result's `old` is computed from the rows before, nothing is emitted when
 * there was and is none, its time is the higher of the two rows' (of a record that removes one,
 * that record's and the other row's), and absent keys are rejected. A record's own `old` is not
 * read. When the joiner rejects a left row, the dead letter is of NAME.RIGHT, and what it got says
 * which: the old row is joined on until it is retried or the left row changes.
 *
 * State, version 1; sizes and times as weir_i64:
 *   NAME.LEFT    absent slot: 1 and the foreign key, or 0 for a row without one
 *   NAME.RIGHT   absent slot: the right row, slot LEFT KEY: that left row, each time and value
 *   NAME         absent slot: what a row that moves was, from its leaving to its coming, which is
 *                the same call of NAME.LEFT but when the latter was rejected
 * What NAME.LEFT tells: one of the letters below, the size of the left key, that key, the value.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/join.h"

struct join_foreign {
    struct wr_join join;
    weir_value_fn foreign;
    const char *no_left_key, *no_right_key;
};

enum tell {
    IS_YOURS = '+', /* the row has this foreign key */
    IS_GONE = '-', /* it has it no longer, and no other */
    MOVES = '>', /* it has it no longer; the other one is told next */
    HEAD_BYTES = 9, /* letter and size */
};

/* ---- NAME.LEFT ------------------------------------------------------------------------------- */

static void tell(weir_ctx *ctx, enum tell what, weir_bytes foreign, const weir_record *in)
{
    size_t size = HEAD_BYTES + in->key.size + in->value.size;
    unsigned char *message = weir_scratch(ctx, size), *at = message;
    if (!message) {
        return;
    }
    *at++ = (unsigned char)what;
    at = wr_put_i64(at, (int64_t)in->key.size);
    if (in->key.size > 0) {
        memcpy(at, in->key.data, in->key.size);
    }
    if (in->value.size > 0) {
        memcpy(at + in->key.size, in->value.data, in->value.size);
    }
    weir_record out = weir_reply(ctx, (weir_bytes){message, size});
    out.key = foreign;
    weir_emit(ctx, &out);
}

static void keep_foreign(weir_ctx *ctx, weir_bytes foreign)
{
    unsigned char *kept = weir_scratch(ctx, 1 + foreign.size);
    if (kept) {
        kept[0] = foreign.data != NULL;
        if (foreign.size > 0) {
            memcpy(kept + 1, foreign.data, foreign.size);
        }
        weir_put(ctx, wr_absent, (weir_bytes){kept, 1 + foreign.size});
    }
}

static bool is_same(weir_bytes a, weir_bytes b)
{
    return !a.data == !b.data && a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void run_left(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct join_foreign *join = arg;
    if (!in->key.data) {
        weir_reject(ctx, join->no_left_key);
        return;
    }
    weir_bytes kept = weir_get(ctx, wr_absent), before = wr_absent, now = wr_absent;
    if (kept.size > 0 && *(const unsigned char *)kept.data) {
        before = (weir_bytes){(const unsigned char *)kept.data + 1, kept.size - 1};
    }
    if (in->value.data) {
        now = join->foreign(ctx, in, join->join.arg);
    }
    if (weir_rejected(ctx)) {
        return;
    }
    /* Whether NAME.RIGHT knows the row, and is to know it. */
    bool all = join->join.kind == WEIR_LEFT;
    bool known = kept.data && (before.data || all);
    bool wanted = in->value.data && (now.data || all);
    bool same = known && wanted && is_same(before, now);
    if (!in->value.data && kept.data) {
        weir_put(ctx, wr_absent, wr_absent);
    } else if (in->value.data && !(kept.data && is_same(before, now))) {
        keep_foreign(ctx, now);
    }
    if (known && !same) {
        tell(ctx, wanted ? MOVES : IS_GONE, before, in);
    }
    if (wanted) {
        tell(ctx, IS_YOURS, now, in);
    }
}

/* ---- NAME.RIGHT ------------------------------------------------------------------------------ */

/* One left row before and after, beside one right row before and after; absent ones are NULL. */
struct pair {
    const weir_record *left[2], *right[2];
};

/* The joined rows before and after as value and old. False: the call has rejected. */
static bool result_of(weir_ctx *ctx, const struct join_foreign *join, const struct pair *pair,
                      weir_record *out)
{
    weir_bytes rows[2] = {wr_absent, wr_absent};
    for (int i = 0; i < 2; i++) {
        if (wr_join_has(&join->join, pair->left[i], pair->right[i]) &&
            !wr_join_value(ctx, &join->join, pair->left[i], pair->right[i], &rows[i])) {
            return false;
        }
    }
    out->old = rows[0];
    out->value = rows[1];
    return true;
}

static void run_told(weir_ctx *ctx, const weir_record *in, const struct join_foreign *join)
{
    const unsigned char *at = in->value.data;
    int64_t size = in->value.size < HEAD_BYTES ? -1 : wr_get_i64(at + 1);
    if (size < 0 || (uint64_t)size > in->value.size - HEAD_BYTES) {
        weir_reject(ctx, "not what the node before this one writes");
        return;
    }
    weir_bytes key = {at + HEAD_BYTES, (size_t)size};
    weir_record now = {.key = key,
                       .value = {at + HEAD_BYTES + size, in->value.size - HEAD_BYTES - key.size},
                       .time_ms = in->time_ms};
    weir_record kept, row, out = *in;
    struct pair pair = {{wr_row_read(weir_get(ctx, key), key, &kept), NULL}, {NULL, NULL}};
    pair.left[1] = *at == IS_YOURS ? &now : NULL;
    pair.right[0] = in->key.data ? wr_row_read(weir_get(ctx, wr_absent), in->key, &row) : NULL;
    pair.right[1] = pair.right[0];
    if (!result_of(ctx, join, &pair, &out)) {
        return;
    }
    if (pair.left[0] || pair.left[1]) {
        weir_put(ctx, key, pair.left[1] ? wr_row_pack(ctx, now.time_ms, now.value) : wr_absent);
    }
    out.key = key;
    out.time_ms = wr_join_time(&now, pair.right[1]);
    weir_emit_to(ctx, *at == MOVES ? 1 : 0, &out);
}

struct result {
    weir_record left, out;
    struct result *next;
};

struct results {
    struct result *first, **end;
};

static bool add_left(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    struct results *results = arg;
    struct result *result = weir_scratch(ctx, sizeof *result);
    if (result && wr_row_read(value, slot, &result->left)) {
        result->next = NULL;
        *results->end = result;
        results->end = &result->next;
    }
    return result != NULL;
}

static void run_right(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct join_foreign *join = arg;
    if (weir_input(ctx) == 0) {
        run_told(ctx, in, join);
        return;
    }
    if (!in->key.data) {
        weir_reject(ctx, join->no_right_key);
        return;
    }
    weir_record row;
    struct results results = {.end = &results.first};
    struct pair pair = {{NULL, NULL}, {NULL, in->value.data ? in : NULL}};
    pair.right[0] = wr_row_read(weir_get(ctx, wr_absent), in->key, &row);
    if (!pair.right[0] && !pair.right[1]) {
        return;
    }
    weir_scan(ctx, weir_text(""), wr_absent, add_left, &results);
    for (struct result *result = results.first; result; result = result->next) {
        pair.left[0] = pair.left[1] = &result->left;
        result->out = *in;
        result->out.key = result->left.key;
        result->out.time_ms = wr_join_time(&result->left, in);
        if (!result_of(ctx, join, &pair, &result->out)) {
            return;
        }
    }
    weir_put(ctx, wr_absent, in->value.data ? wr_row_pack(ctx, in->time_ms, in->value) : wr_absent);
    for (struct result *result = results.first; result; result = result->next) {
        weir_emit(ctx, &result->out);
    }
}

/* ---- NAME ------------------------------------------------------------------------------------ */

static void run_result(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_bytes was = weir_get(ctx, wr_absent);
    weir_record out = *in;
    if (weir_input(ctx) == 1) {
        if (in->old.data) {
            weir_put(ctx, wr_absent, in->old);
        }
        return;
    }
    if (was.data) {
        weir_put(ctx, wr_absent, wr_absent);
        out.old = was;
    }
    if (out.value.data || out.old.data) {
        weir_emit(ctx, &out);
    }
}

/* ---- Building -------------------------------------------------------------------------------- */

weir_stream *weir_join_foreign(weir_stream *left, const char *name, weir_stream *right,
                               weir_join_kind kind, weir_value_fn foreign, weir_joiner_fn fn,
                               void *arg)
{
    weir_job *job = weir_job_of(left);
    struct join_foreign *join = wr_join_new(job, name, kind, WEIR_LEFT, fn, arg, sizeof *join);
    join->foreign = foreign;
    join->no_left_key = wr_join_words(job, "no key: ", name, " keeps rows by key");
    join->no_right_key = wr_join_words(job, "no key: ", name, " keeps rows by key");
    if (!foreign) {
        weir_refuse(job, "%s: no function that gives a left row's foreign key",
                    name ? name : "a join");
    }
    weir_stream *told = weir_through(left, wr_join_words(job, "", name, ".LEFT"), run_left, join);
    weir_stream *results =
        weir_through(told, wr_join_words(job, "", name, ".RIGHT"), run_right, join);
    weir_with(results, right);
    weir_stream *node = weir_through(results, name, run_result, join);
    weir_with(node, weir_side(results, 1));
    weir_state(told, 1, NULL, NULL);
    weir_state(results, 1, NULL, NULL);
    weir_state(node, 1, NULL, NULL);
    return node;
}

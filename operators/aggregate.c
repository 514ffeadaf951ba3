/* aggregate.c: see weir_aggregate in weir_ops.h.
 *
 * State, version 1: of each key the absent slot has its total, and the ids of `distinct` are beside
 * it as aggregation.h says.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/aggregation.h"

static const weir_bytes absent = {NULL, 0};

static const char *wrong_with(const weir_record *in, const weir_aggregation *aggregation)
{
    if (!in->key.data) {
        return "no key: an aggregate keeps one value for each key";
    }
    if (!in->value.data && !in->old.data) {
        return "no value: there is nothing to add";
    }
    if (in->old.data && !aggregation->subtract) {
        return "a change: this aggregation cannot take an old value out (it has no `subtract`)";
    }
    return NULL;
}

/* The record with one of a change's two values, as it was before or is after. */
static weir_record one_of(const weir_record *in, weir_bytes value)
{
    weir_record one = *in;
    one.value = value;
    one.old = absent;
    return one;
}

static void run_aggregate(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const weir_aggregation *aggregation = arg;
    const char *wrong = wrong_with(in, aggregation);
    if (wrong) {
        weir_reject(ctx, wrong);
        return;
    }
    struct wr_aggregation_ids ids = {.use = WR_USE_KEYS};
    weir_bytes so_far = weir_get(ctx, absent), total = so_far, id;
    if (in->old.data) {
        weir_record before = one_of(in, in->old);
        if (!wr_aggregation_id(ctx, aggregation, &before, &id) ||
            !wr_aggregation_subtract(ctx, aggregation, &ids, &before, id, &total)) {
            return;
        }
    }
    if (in->value.data) {
        weir_record after = one_of(in, in->value);
        if (!wr_aggregation_id(ctx, aggregation, &after, &id) ||
            !wr_aggregation_add(ctx, aggregation, &ids, &after, id, &total)) {
            return;
        }
    }
    weir_record out;
    if (!wr_aggregation_change(ctx, aggregation, total, so_far, NULL, in->time_ms, &out)) {
        return;
    }
    wr_aggregation_keep(ctx, &ids);
    weir_put(ctx, absent, total);
    if (wr_aggregation_is_change(&out)) {
        weir_emit(ctx, &out);
    }
}

weir_stream *weir_aggregate(weir_stream *in, const char *name, weir_aggregation aggregation)
{
    weir_job *job = weir_job_of(in);
    weir_aggregation *copy = weir_alloc(job, sizeof *copy);
    *copy = aggregation;
    weir_stream *node = weir_through(in, name, run_aggregate, copy);
    wr_aggregation_check(job, name, copy, WR_USE_KEYS);
    weir_state(node, 1, NULL, NULL);
    return node;
}

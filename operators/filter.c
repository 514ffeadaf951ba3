/* filter.c: see weir_filter in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "weir_ops.h"

struct filter {
    weir_predicate_fn holds;
    void *arg;
};

/* Of one of a change's two values: an absent one is not there to pass. */
static bool passes(const struct filter *filter, const weir_record *in, weir_bytes value)
{
    weir_record one = *in;
    one.value = value;
    one.old = (weir_bytes){NULL, 0};
    return value.data && filter->holds(&one, filter->arg);
}

static void run_change(weir_ctx *ctx, const weir_record *in, const struct filter *filter)
{
    weir_record out = *in;
    if (!passes(filter, in, in->value)) {
        out.value = (weir_bytes){NULL, 0};
    }
    if (!passes(filter, in, in->old)) {
        out.old = (weir_bytes){NULL, 0};
    }
    if (out.value.data || out.old.data) {
        weir_emit(ctx, &out);
    }
}

static void run_filter(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct filter *filter = arg;
    if (in->old.data) {
        run_change(ctx, in, filter);
    } else if (filter->holds(in, filter->arg)) {
        weir_emit(ctx, in);
    }
}

weir_stream *weir_filter(weir_stream *in, const char *name, weir_predicate_fn holds, void *arg)
{
    struct filter *filter = weir_alloc(weir_job_of(in), sizeof *filter);
    filter->holds = holds;
    filter->arg = arg;
    return weir_through(in, name, holds ? run_filter : NULL, filter);
}

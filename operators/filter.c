/* filter.c: see weir_filter in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "weir_ops.h"

struct filter {
    weir_predicate_fn holds;
    void *arg;
};

static void run_filter(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct filter *filter = arg;
    if (filter->holds(in, filter->arg)) {
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

/* merge.c: see weir_merge in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "weir_ops.h"

static void run_merge(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_emit(ctx, in);
}

weir_stream *weir_merge(weir_stream *in, const char *name, weir_stream *other)
{
    weir_stream *node = weir_through(in, name, run_merge, NULL);
    if (other) {
        (void)weir_with(node, other);
    } else {
        weir_refuse(weir_job_of(in), "%s: there is no other stream to merge", name);
    }
    return node;
}

/* peek.c: see weir_peek in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "weir_ops.h"

struct peek {
    weir_peek_fn fn;
    void *arg;
};

static void run_peek(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct peek *peek = arg;
    peek->fn(in, peek->arg);
    weir_emit(ctx, in);
}

weir_stream *weir_peek(weir_stream *in, const char *name, weir_peek_fn fn, void *arg)
{
    struct peek *peek = weir_alloc(weir_job_of(in), sizeof *peek);
    peek->fn = fn;
    peek->arg = arg;
    return weir_through(in, name, fn ? run_peek : NULL, peek);
}

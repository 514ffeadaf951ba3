/* key_by.c: see weir_key_by in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "weir_ops.h"

static const weir_bytes absent = {NULL, 0};

struct key_by {
    weir_value_fn fn;
    void *arg;
};

static bool is_same(weir_bytes a, weir_bytes b)
{
    return !a.data == !b.data && a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Where the row was, and where it is. */
static void run_change(weir_ctx *ctx, const weir_record *in, const struct key_by *key_by)
{
    weir_record from = *in, to = *in;
    from.value = in->old;
    from.old = to.old = absent;
    from.key = key_by->fn(ctx, &from, key_by->arg);
    if (in->value.data && !weir_rejected(ctx)) {
        to.key = key_by->fn(ctx, &to, key_by->arg);
    }
    if (weir_rejected(ctx)) {
        return;
    }
    if (in->value.data && is_same(from.key, to.key)) {
        to.old = in->old;
        weir_emit(ctx, &to);
        return;
    }
    from.value = absent;
    from.old = in->old;
    weir_emit(ctx, &from);
    if (in->value.data) {
        weir_emit(ctx, &to);
    }
}

static void run_key_by(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct key_by *key_by = arg;
    if (in->old.data) {
        run_change(ctx, in, key_by);
        return;
    }
    weir_record out = *in;
    out.key = key_by->fn(ctx, in, key_by->arg);
    if (!weir_rejected(ctx)) {
        weir_emit(ctx, &out);
    }
}

weir_stream *weir_key_by(weir_stream *in, const char *name, weir_value_fn fn, void *arg)
{
    struct key_by *key_by = weir_alloc(weir_job_of(in), sizeof *key_by);
    key_by->fn = fn;
    key_by->arg = arg;
    return weir_through(in, name, fn ? run_key_by : NULL, key_by);
}

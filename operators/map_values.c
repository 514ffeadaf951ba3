/* map_values.c: see weir_map_values in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "weir_ops.h"

struct map_values {
    weir_value_fn fn;
    void *arg;
};

static weir_bytes mapped(weir_ctx *ctx, const weir_record *in, weir_bytes value,
                         const struct map_values *map)
{
    weir_record one = *in;
    one.value = value;
    one.old = (weir_bytes){NULL, 0};
    return value.data && !weir_rejected(ctx) ? map->fn(ctx, &one, map->arg) : one.old;
}

static void run_map_values(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct map_values *map = arg;
    weir_record out = *in;
    out.value = mapped(ctx, in, in->value, map);
    out.old = mapped(ctx, in, in->old, map);
    if (!weir_rejected(ctx)) {
        weir_emit(ctx, &out);
    }
}

weir_stream *weir_map_values(weir_stream *in, const char *name, weir_value_fn fn, void *arg)
{
    struct map_values *map = weir_alloc(weir_job_of(in), sizeof *map);
    map->fn = fn;
    map->arg = arg;
    return weir_through(in, name, fn ? run_map_values : NULL, map);
}

/* map.c: see weir_map in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "weir_ops.h"

struct map {
    weir_map_fn fn;
    void *arg;
};

static void run_map(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct map *map = arg;
    weir_record out = map->fn(ctx, in, map->arg);
    if (!weir_rejected(ctx)) {
        weir_emit(ctx, &out);
    }
}

weir_stream *weir_map(weir_stream *in, const char *name, weir_map_fn fn, void *arg)
{
    struct map *map = weir_alloc(weir_job_of(in), sizeof *map);
    map->fn = fn;
    map->arg = arg;
    return weir_through(in, name, fn ? run_map : NULL, map);
}

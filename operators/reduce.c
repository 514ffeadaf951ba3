/* reduce.c: see weir_reduce in weir_ops.h. A total is what the author's function returned.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "weir_ops.h"

static weir_bytes add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                      const weir_aggregation *self)
{
    return so_far.data ? self->reduce(ctx, so_far, in->value, self->arg) : in->value;
}

static weir_bytes merge(weir_ctx *ctx, weir_bytes a, weir_bytes b, const weir_aggregation *self)
{
    return self->reduce(ctx, a, b, self->arg);
}

weir_aggregation weir_reduce(weir_reduce_fn fn, void *arg)
{
    return (weir_aggregation){
        .add = fn ? add : NULL, .merge = fn ? merge : NULL, .reduce = fn, .arg = arg};
}

/* min_max.c: see weir_min and weir_max in weir_ops.h. A total is the number as decimal text.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/number.h"

static bool is_less(weir_bytes a, weir_bytes b)
{
    int64_t first = 0, second = 0;
    (void)wr_number_parse(a, &first);
    (void)wr_number_parse(b, &second);
    return first < second;
}

static weir_bytes min_merge(weir_ctx *ctx, weir_bytes a, weir_bytes b, const weir_aggregation *self)
{
    (void)ctx, (void)self;
    return is_less(b, a) ? b : a;
}

static weir_bytes max_merge(weir_ctx *ctx, weir_bytes a, weir_bytes b, const weir_aggregation *self)
{
    (void)ctx, (void)self;
    return is_less(a, b) ? b : a;
}

static weir_bytes add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                      weir_bytes (*choose)(weir_ctx *, weir_bytes, weir_bytes,
                                           const weir_aggregation *),
                      const weir_aggregation *self)
{
    int64_t number = 0;
    if (!wr_number_of(ctx, self->number, self->arg, in, &number)) {
        return so_far;
    }
    weir_bytes text = wr_number_text(ctx, number);
    return so_far.data && text.data ? choose(ctx, so_far, text, self) : text;
}

static weir_bytes min_add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                          const weir_aggregation *self)
{
    return add(ctx, so_far, in, min_merge, self);
}

static weir_bytes max_add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                          const weir_aggregation *self)
{
    return add(ctx, so_far, in, max_merge, self);
}

weir_aggregation weir_min(weir_number_fn number, void *arg)
{
    return (weir_aggregation){.add = min_add, .merge = min_merge, .number = number, .arg = arg};
}

weir_aggregation weir_max(weir_number_fn number, void *arg)
{
    return (weir_aggregation){.add = max_add, .merge = max_merge, .number = number, .arg = arg};
}

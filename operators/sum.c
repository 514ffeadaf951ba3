/* sum.c: see weir_sum in weir_ops.h. A total is the sum as decimal text.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/number.h"

static weir_bytes text_of(weir_ctx *ctx, int64_t sum, bool overflow)
{
    if (overflow) {
        weir_reject(ctx, "the sum would leave 64 bits");
        return (weir_bytes){NULL, 0};
    }
    return wr_number_text(ctx, sum);
}

static weir_bytes add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                      const weir_aggregation *self)
{
    int64_t sum = 0, number = 0;
    if (!wr_number_of(ctx, self->number, self->arg, in, &number)) {
        return so_far;
    }
    (void)wr_number_parse(so_far, &sum);
    bool overflow = __builtin_add_overflow(sum, number, &sum);
    return text_of(ctx, sum, overflow);
}

static weir_bytes subtract(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                           const weir_aggregation *self)
{
    int64_t sum = 0, number = 0;
    if (!wr_number_of(ctx, self->number, self->arg, in, &number)) {
        return so_far;
    }
    (void)wr_number_parse(so_far, &sum);
    bool overflow = __builtin_sub_overflow(sum, number, &sum);
    return text_of(ctx, sum, overflow);
}

static weir_bytes merge(weir_ctx *ctx, weir_bytes a, weir_bytes b, const weir_aggregation *self)
{
    (void)self;
    int64_t first = 0, second = 0;
    (void)wr_number_parse(a, &first);
    (void)wr_number_parse(b, &second);
    bool overflow = __builtin_add_overflow(first, second, &first);
    return text_of(ctx, first, overflow);
}

weir_aggregation weir_sum(weir_number_fn number, void *arg)
{
    return (weir_aggregation){
        .add = add, .subtract = subtract, .merge = merge, .number = number, .arg = arg};
}

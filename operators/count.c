/* count.c: see weir_count and weir_count_distinct in weir_ops.h.
 *
 * A total is the count as decimal text, so that what is kept is what is emitted: one more is mostly
 * one more in the last digit.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "operators/number.h"

static weir_bytes add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                      const weir_aggregation *self)
{
    (void)in, (void)self;
    if (!so_far.data) {
        return (weir_bytes){"1", 1};
    }
    char *text = weir_scratch(ctx, so_far.size + 1);
    if (!text) {
        return (weir_bytes){NULL, 0};
    }
    text[0] = '0';
    memcpy(text + 1, so_far.data, so_far.size);
    size_t at = so_far.size;
    while (text[at] == '9') {
        text[at--] = '0';
    }
    text[at]++;
    size_t skipped = text[0] == '0';
    return (weir_bytes){text + skipped, so_far.size + 1 - skipped};
}

static weir_bytes subtract(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                           const weir_aggregation *self)
{
    (void)in, (void)self;
    int64_t count = 0;
    if (!wr_number_parse(so_far, &count) || count < 1) {
        weir_reject(ctx, "a change of what was not here: the count is 0");
        return so_far;
    }
    return wr_number_text(ctx, count - 1);
}

static weir_bytes merge(weir_ctx *ctx, weir_bytes a, weir_bytes b, const weir_aggregation *self)
{
    (void)self;
    int64_t first = 0, second = 0;
    (void)wr_number_parse(a, &first);
    (void)wr_number_parse(b, &second);
    return wr_number_text(ctx, first + second);
}

weir_aggregation weir_count(void)
{
    return (weir_aggregation){.add = add, .subtract = subtract, .merge = merge};
}

static weir_bytes value_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx, (void)arg;
    return in->value;
}

weir_aggregation weir_count_distinct(weir_value_fn id, void *arg)
{
    weir_aggregation count = weir_count();
    count.distinct = id ? id : value_of;
    count.arg = arg;
    return count;
}

/* average.c: see weir_average in weir_ops.h.
 *
 * A total is the text SUM/COUNT: the exact sum, of up to 128 bits, and how many. The result is
 * their quotient by long division, exact or rounded once, to even, at the 17th digit: no floating
 * point, so it is the same everywhere.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "operators/aggregation.h"

typedef __int128 wide;
typedef unsigned __int128 wide_unsigned;

enum { SUM_MAX = 40, DIGITS = 17, DIGITS_MAX = 64 };

struct mean {
    wide sum;
    int64_t count;
};

/* What encode wrote, or absent. */
static struct mean decode(weir_bytes total)
{
    struct mean mean = {0, 0};
    const char *at = total.data, *slash = at ? memchr(at, '/', total.size) : NULL;
    if (!slash) {
        return mean;
    }
    const char *end = at + total.size;
    bool negative = *at == '-';
    for (at += negative; at < slash; at++) {
        mean.sum = mean.sum * 10 + (*at - '0');
    }
    mean.sum = negative ? -mean.sum : mean.sum;
    (void)wr_number_parse((weir_bytes){slash + 1, (size_t)(end - slash - 1)}, &mean.count);
    return mean;
}

/* Absent for none, and when memory ran out. */
static weir_bytes encode(weir_ctx *ctx, struct mean mean)
{
    weir_bytes count = wr_number_text(ctx, mean.count);
    char *text = weir_scratch(ctx, SUM_MAX + 1 + count.size);
    if (mean.count == 0 || !count.data || !text) {
        return (weir_bytes){NULL, 0};
    }
    bool negative = mean.sum < 0;
    wide_unsigned left = negative ? -(wide_unsigned)mean.sum : (wide_unsigned)mean.sum;
    size_t at = SUM_MAX;
    do {
        text[--at] = (char)('0' + (int)(left % 10));
        left /= 10;
    } while (left);
    if (negative) {
        text[--at] = '-';
    }
    text[SUM_MAX] = '/';
    memcpy(text + SUM_MAX + 1, count.data, count.size);
    return (weir_bytes){text + at, SUM_MAX + 1 + count.size - at};
}

static weir_bytes add_times(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                            const weir_aggregation *self, int times)
{
    int64_t number = 0;
    if (!wr_number_of(ctx, self->number, self->arg, in, &number)) {
        return so_far;
    }
    struct mean mean = decode(so_far);
    mean.sum += (wide)number * times;
    mean.count += times;
    return encode(ctx, mean);
}

static weir_bytes add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                      const weir_aggregation *self)
{
    return add_times(ctx, so_far, in, self, 1);
}

static weir_bytes subtract(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                           const weir_aggregation *self)
{
    return add_times(ctx, so_far, in, self, -1);
}

static weir_bytes merge(weir_ctx *ctx, weir_bytes a, weir_bytes b, const weir_aggregation *self)
{
    (void)self;
    struct mean first = decode(a), second = decode(b);
    return encode(ctx, (struct mean){first.sum + second.sum, first.count + second.count});
}

/* ---- The quotient ---------------------------------------------------------------------------- */

/* Digits with the point behind the first `whole` of them. One more digit is kept free in front for
 * what rounding carries over. */
struct digits {
    char text[DIGITS_MAX];
    size_t count, whole;
};

static void put_whole(struct digits *digits, uint64_t number)
{
    char reversed[DIGITS_MAX];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    digits->text[0] = '0';
    for (size_t i = 0; i < count; i++) {
        digits->text[i + 1] = reversed[count - 1 - i];
    }
    digits->count = digits->whole = count + 1;
}

static void round_up(struct digits *digits)
{
    size_t at = digits->count - 1;
    while (digits->text[at] == '9') {
        digits->text[at--] = '0';
    }
    digits->text[at]++;
}

static void divide(struct digits *digits, wide_unsigned number, uint64_t by)
{
    uint64_t whole = (uint64_t)(number / by), left = (uint64_t)(number % by);
    put_whole(digits, whole);
    size_t written = whole ? digits->count - 1 : 0;
    while (left && written < DIGITS) {
        left *= 10;
        char digit = (char)(left / by);
        left %= by;
        digits->text[digits->count++] = (char)('0' + digit);
        written += written || digit;
    }
    bool odd = digits->text[digits->count - 1] & 1;
    if (left > by - left || (left == by - left && odd)) {
        round_up(digits);
    }
    while (digits->count > digits->whole && digits->text[digits->count - 1] == '0') {
        digits->count--;
    }
}

static weir_record result(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                          const weir_aggregation *self)
{
    (void)self;
    struct mean mean = decode(total);
    char *text = weir_scratch(ctx, DIGITS_MAX + 2);
    if (!text || mean.count < 1) {
        return wr_aggregation_reply(ctx, (weir_bytes){NULL, 0}, window);
    }
    struct digits digits;
    bool negative = mean.sum < 0;
    divide(&digits, negative ? -(wide_unsigned)mean.sum : (wide_unsigned)mean.sum,
           (uint64_t)mean.count);
    size_t size = 0, skipped = digits.text[0] == '0';
    if (negative) {
        text[size++] = '-';
    }
    for (size_t i = skipped; i < digits.count; i++) {
        if (i == digits.whole) {
            text[size++] = '.';
        }
        text[size++] = digits.text[i];
    }
    return wr_aggregation_reply(ctx, (weir_bytes){text, size}, window);
}

weir_aggregation weir_average(weir_number_fn number, void *arg)
{
    return (weir_aggregation){.add = add,
                              .subtract = subtract,
                              .merge = merge,
                              .result = result,
                              .number = number,
                              .arg = arg};
}

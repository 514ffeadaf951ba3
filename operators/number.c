/* number.c: see number.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/number.h"

enum { TEXT_MAX = 20 }; /* of the longest number: a sign and 19 digits */

bool wr_number_parse(weir_bytes text, int64_t *out)
{
    if (!text.data) {
        return false;
    }
    const unsigned char *at = text.data, *end = at + text.size;
    bool negative = at < end && *at == '-';
    at += negative || (at < end && *at == '+');
    if (at == end) {
        return false;
    }
    uint64_t number = 0;
    for (; at < end; at++) {
        unsigned digit = (unsigned)*at - '0';
        if (digit > 9 || __builtin_mul_overflow(number, 10U, &number) ||
            __builtin_add_overflow(number, digit, &number)) {
            return false;
        }
    }
    if (number > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *out = (int64_t)(negative ? 0 - number : number);
    return true;
}

weir_bytes wr_number_text(weir_ctx *ctx, int64_t number)
{
    char *text = weir_scratch(ctx, TEXT_MAX);
    if (!text) {
        return (weir_bytes){NULL, 0};
    }
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    size_t at = TEXT_MAX;
    do {
        text[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (number < 0) {
        text[--at] = '-';
    }
    return (weir_bytes){text + at, TEXT_MAX - at};
}

bool wr_number_of(weir_ctx *ctx, weir_number_fn fn, void *arg, const weir_record *in, int64_t *out)
{
    if (fn ? fn(in, arg, out) : wr_number_parse(in->value, out)) {
        return true;
    }
    weir_reject(ctx, fn ? "no number in this record"
                        : "no number: the value is not a whole number of 64 bits as decimal text");
    return false;
}

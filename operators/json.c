/* json.c: what is in a parsed JSON value, and quoting: see weir_json in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* strtod_l */
#include "operators/json.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN_MAX = 18 }; /* digits that fit 64 bits, whatever they are */

/* ---- Looking --------------------------------------------------------------------------------- */

static bool is_a(const weir_json *value, enum wr_json_kind kind)
{
    return value && value->kind == kind;
}

/* Most names differ in their first byte, and a call costs more than to look at that. */
static bool is_same(const char *a, const char *b, size_t size)
{
    return size == 0 || (*a == *b && memcmp(a, b, size) == 0);
}

const weir_json *weir_json_field(const weir_json *object, const char *name)
{
    const weir_json *found = NULL;
    size_t size = strlen(name);
    if (!is_a(object, IS_OBJECT)) {
        return NULL;
    }
    const weir_json *at = object + 1;
    for (uint32_t i = 0; i < object->size; i++) {
        if (at->size == size && is_same(at->text, name, size)) {
            found = at + 1;
        }
        at += 1 + at[1].span;
    }
    return found;
}

const weir_json *weir_json_item(const weir_json *array, size_t index)
{
    if (!is_a(array, IS_ARRAY) || index >= array->size) {
        return NULL;
    }
    const weir_json *at = array + 1;
    for (; index > 0; index--) {
        at += at->span;
    }
    return at;
}

size_t weir_json_size(const weir_json *value)
{
    return is_a(value, IS_ARRAY) || is_a(value, IS_OBJECT) ? value->size : 0;
}

weir_bytes weir_json_text(const weir_json *value)
{
    if (!is_a(value, IS_STRING)) {
        return (weir_bytes){NULL, 0};
    }
    return (weir_bytes){value->text, value->size};
}

bool weir_json_bool(const weir_json *value, bool *out)
{
    if (!is_a(value, IS_TRUE) && !is_a(value, IS_FALSE)) {
        return false;
    }
    *out = value->kind == IS_TRUE;
    return true;
}

bool weir_json_double(const weir_json *value, double *out)
{
    if (!is_a(value, IS_NUMBER)) {
        return false;
    }
    /* The process may have a locale in which a number has a comma. The one of this name is static:
     * there is nothing to free. */
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double number = plain ? strtod_l(value->text, NULL, plain) : HUGE_VAL;
    if (!isfinite(number)) {
        return false;
    }
    *out = number;
    return true;
}

/* ---- Whole numbers --------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One more digit; false: more than 64 bits. */
static bool push(uint64_t *magnitude, unsigned digit)
{
    return !__builtin_mul_overflow(*magnitude, (uint64_t)10, magnitude) &&
           !__builtin_add_overflow(*magnitude, (uint64_t)digit, magnitude);
}

/* The power of ten that follows the `e` of a number; what is beyond any use stays so. */
static int64_t exponent(const char *at, const char *end)
{
    int64_t value = 0;
    bool negative = at < end && *at == '-';
    for (at += at < end && !is_digit(*at); at < end; at++) {
        value = value < INT32_MAX ? value * 10 + (*at - '0') : value;
    }
    return negative ? -value : value;
}

/* |number|, of a text that is a number's; false: it is not whole, or has more than 64 bits. 12.50e1
 * is whole: digits are taken as far as the last that is not 0, and `scale` zeros follow. */
static bool magnitude_of(const char *text, const char *end, uint64_t *out)
{
    const char *power = text;
    while (power < end && *power != 'e' && *power != 'E') {
        power++;
    }
    int64_t scale = power < end ? exponent(power + 1, end) : 0;
    const char *point = memchr(text, '.', (size_t)(power - text));
    const char *last = power; /* behind the last digit that is not 0 */
    while (last > text && (last[-1] == '0' || last[-1] == '.')) {
        last--;
    }
    if (last == text) {
        *out = 0;
        return true;
    }
    scale += last <= (point ? point : power) ? (point ? point : power) - last : -(last - point - 1);
    uint64_t magnitude = 0;
    bool fits = scale >= 0;
    for (; text < last && fits; text++) {
        fits = *text == '.' || push(&magnitude, (unsigned)(*text - '0'));
    }
    for (; scale > 0 && fits; scale--) {
        fits = push(&magnitude, 0);
    }
    *out = magnitude;
    return fits;
}

/* The same of what nearly all numbers are: at most PLAIN_MAX digits and nothing else. */
static bool plain_magnitude_of(const char *text, const char *end, uint64_t *out)
{
    uint64_t magnitude = 0;
    if (end - text > PLAIN_MAX) {
        return false;
    }
    for (; text < end && is_digit(*text); text++) {
        magnitude = magnitude * 10 + (uint64_t)(*text - '0');
    }
    *out = magnitude;
    return text == end;
}

bool weir_json_i64(const weir_json *value, int64_t *out)
{
    if (!is_a(value, IS_NUMBER)) {
        return false;
    }
    const char *text = value->text, *end = text + value->size;
    bool negative = *text == '-';
    uint64_t magnitude = 0;
    if ((!plain_magnitude_of(text + negative, end, &magnitude) &&
         !magnitude_of(text + negative, end, &magnitude)) ||
        magnitude > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *out = (int64_t)(negative ? ~magnitude + 1 : magnitude);
    return true;
}

/* ---- Quoting --------------------------------------------------------------------------------- */

/* Writes what one character becomes and moves *from behind it; returns the byte after it. */
static char *put_character(char *to, const unsigned char **from, const unsigned char *end)
{
    static const char digits[] = "0123456789abcdef", names[] = "btn?fr"; /* of 8 to 13 */
    unsigned char c = **from;
    size_t size = wr_json_character(*from, end);
    *from += size ? size : 1;
    if (size == 0) {
        memcpy(to, "\xef\xbf\xbd", 3);
        return to + 3;
    }
    if (c == '"' || c == '\\' || (c >= '\b' && c <= '\r' && c != '\v')) {
        to[0] = '\\';
        to[1] = c < 0x20 ? names[c - '\b'] : (char)c;
        return to + 2;
    }
    if (c < 0x20) {
        memcpy(to, "\\u00", 4);
        to[4] = digits[c >> 4];
        to[5] = digits[c & 15];
        return to + 6;
    }
    memcpy(to, *from - size, size);
    return to + size;
}

weir_bytes weir_json_quote(weir_ctx *ctx, weir_bytes text)
{
    char character_text[8];
    size_t size = 2;
    if (!text.data) {
        return (weir_bytes){"null", 4};
    }
    const unsigned char *from = text.data, *end = from + text.size;
    for (const unsigned char *at = from; at < end;) {
        size += (size_t)(put_character(character_text, &at, end) - character_text);
    }
    char *quoted = weir_scratch(ctx, size);
    if (!quoted) {
        return (weir_bytes){NULL, 0};
    }
    char *to = quoted;
    *to++ = '"';
    while (from < end) {
        to = put_character(to, &from, end);
    }
    *to = '"';
    return (weir_bytes){quoted, size};
}

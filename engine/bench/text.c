/* text.c: text of the bench's outputs. See text.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/text.h"

#include <inttypes.h>
#include <math.h>

/* ---- Characters ------------------------------------------------------------------------------ */

static bool is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the character at `at`, at least 1, with *good_out whether it is one (RFC 3629: no
 * overlong form, no surrogate) that may stand in HTML and JSON as it is: no control character, and
 * none of those that turn the direction of text around. */
static size_t character(const unsigned char *at, size_t left, bool *good_out)
{
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    *good_out = false;
    if (size > left || (at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4) {
        return 1;
    }
    uint32_t code = size == 1 ? at[0] : at[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if (!is_tail(at[i])) {
            return 1;
        }
        code = code << 6 | (at[i] & 0x3fu);
    }
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[size] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) {
        return 1;
    }
    bool turns = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    *good_out =
        code >= 0x20 && !(code >= 0x7f && code < 0xa0) && !turns && (code & 0xfffe) != 0xfffe;
    return size;
}

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void wr_bench_text_copy(char *text_out, size_t size, weir_bytes from)
{
    const unsigned char *at = from.data, *end = at + from.size;
    size_t used = 0;
    bool space = false;
    while (at < end) {
        if (is_space(*at)) {
            space = used > 0;
            at++;
            continue;
        }
        bool good;
        size_t bytes = character(at, (size_t)(end - at), &good);
        if (used + space + (good ? bytes : 1) >= size) {
            break;
        }
        if (space) {
            text_out[used++] = ' ';
            space = false;
        }
        if (good) {
            memcpy(text_out + used, at, bytes);
            used += bytes;
        } else {
            text_out[used++] = '?';
        }
        at += bytes;
    }
    text_out[used] = '\0';
}

void wr_bench_text_json(FILE *file, const char *text)
{
    putc('"', file);
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        bool good;
        size_t bytes = character(at, strlen((const char *)at), &good);
        if (*at == '"' || *at == '\\') {
            fprintf(file, "\\%c", *at);
        } else if (good) {
            fwrite(at, 1, bytes, file);
        } else if (bytes == 1 && *at < 0x80) {
            fprintf(file, "\\u%04x", *at);
        } else {
            fputs("\\ufffd", file);
        }
        at += bytes;
    }
    putc('"', file);
}

void wr_bench_text_html(FILE *file, const char *text)
{
    static const char special[] = "&<>\"'";
    static const char *const escaped[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        bool good;
        size_t bytes = character(at, strlen((const char *)at), &good);
        const char *found = strchr(special, *at);
        if (found) {
            fputs(escaped[found - special], file);
        } else if (good || *at == '\n') {
            fwrite(at, 1, bytes, file);
        } else {
            fputs("\xef\xbf\xbd", file);
        }
        at += bytes;
    }
}

/* ---- Numbers --------------------------------------------------------------------------------- */

char *wr_bench_text_count(char text_out[WR_BENCH_NUMBER_MAX], int64_t number)
{
    char digits[24];
    uint64_t size_of = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    int count = snprintf(digits, sizeof digits, "%" PRIu64, size_of);
    size_t used = 0;
    if (number < 0) {
        text_out[used++] = '-';
    }
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0) {
            text_out[used++] = ',';
        }
        text_out[used++] = digits[i];
    }
    text_out[used] = '\0';
    return text_out;
}

char *wr_bench_text_number(char text_out[WR_BENCH_NUMBER_MAX], double number)
{
    double size_of = fabs(number);
    if (!isfinite(number) || size_of >= 1e18) {
        snprintf(text_out, WR_BENCH_NUMBER_MAX, "%g", number);
    } else if (size_of >= 99.95) {
        wr_bench_text_count(text_out, (int64_t)llround(number));
    } else if (number == 0) {
        snprintf(text_out, WR_BENCH_NUMBER_MAX, "0");
    } else {
        int places = size_of >= 9.995 ? 1 : size_of >= 0.0995 ? 2 : size_of >= 0.00995 ? 3 : 4;
        snprintf(text_out, WR_BENCH_NUMBER_MAX, "%.*f", places, number);
    }
    return text_out;
}

/* json.c: see json.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/json.h"

#include <stdio.h>

enum { NUMBER_TEXT_MAX = 24 };

static bool put_bytes(struct wr_buffer *buffer, const void *data, size_t size)
{
    unsigned char *at = wr_buffer_extend(buffer, size);
    if (at && size > 0) {
        memcpy(at, data, size);
    }
    return at != NULL;
}

bool wr_json_put(struct wr_buffer *buffer, const char *text)
{
    return put_bytes(buffer, text, strlen(text));
}

bool wr_json_put_inside(struct wr_buffer *buffer, weir_bytes text)
{
    const unsigned char *at = text.data, *end = at + text.size, *plain = at;
    for (; at < end; at++) {
        if (*at >= ' ' && *at != '"' && *at != '\\') {
            continue;
        }
        char escaped[8];
        snprintf(escaped, sizeof escaped, *at < ' ' ? "\\u%04x" : "\\%c", *at);
        if (!put_bytes(buffer, plain, (size_t)(at - plain)) || !wr_json_put(buffer, escaped)) {
            return false;
        }
        plain = at + 1;
    }
    return put_bytes(buffer, plain, (size_t)(end - plain));
}

bool wr_json_put_string(struct wr_buffer *buffer, weir_bytes text)
{
    return wr_json_put(buffer, "\"") && wr_json_put_inside(buffer, text) &&
           wr_json_put(buffer, "\"");
}

bool wr_json_put_number(struct wr_buffer *buffer, int64_t number)
{
    char text[NUMBER_TEXT_MAX], *at = text + sizeof text;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (number < 0) {
        *--at = '-';
    }
    return put_bytes(buffer, at, (size_t)(text + sizeof text - at));
}

char *wr_base64(const unsigned char *from, size_t size, char *to)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t three = (uint32_t)from[i] << 16;
        three |= left > 1 ? (uint32_t)from[i + 1] << 8 : 0;
        three |= left > 2 ? from[i + 2] : 0;
        *to++ = letters[three >> 18];
        *to++ = letters[three >> 12 & 63];
        *to++ = left > 1 ? letters[three >> 6 & 63] : '=';
        *to++ = left > 2 ? letters[three & 63] : '=';
    }
    return to;
}

bool wr_json_put_base64(struct wr_buffer *buffer, weir_bytes bytes)
{
    unsigned char *to = wr_buffer_extend(buffer, wr_base64_bytes(bytes.size));
    if (to) {
        (void)wr_base64(bytes.data, bytes.size, (char *)to);
    }
    return to != NULL;
}

/* json.c: see json.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/json.h"

#include <stdint.h>
#include <string.h>

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

static bool is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the character at `at`, as RFC 3629 has them (no overlong form, no surrogate, nothing
 * above U+10FFFF); 0: none. */
static size_t utf8_size(const unsigned char *at, size_t left)
{
    if (at[0] < 0x80) {
        return 1;
    }
    if (at[0] >= 0xc2 && at[0] <= 0xdf) {
        return left >= 2 && is_tail(at[1]) ? 2 : 0;
    }
    if (at[0] >= 0xe0 && at[0] <= 0xef) {
        bool good = left >= 3 && is_tail(at[1]) && is_tail(at[2]) &&
                    !(at[0] == 0xe0 && at[1] < 0xa0) && !(at[0] == 0xed && at[1] > 0x9f);
        return good ? 3 : 0;
    }
    if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        bool good = left >= 4 && is_tail(at[1]) && is_tail(at[2]) && is_tail(at[3]) &&
                    !(at[0] == 0xf0 && at[1] < 0x90) && !(at[0] == 0xf4 && at[1] > 0x8f);
        return good ? 4 : 0;
    }
    return 0;
}

bool wr_utf8_is_valid(weir_bytes bytes)
{
    const unsigned char *at = bytes.data;
    size_t left = bytes.size;
    while (left > 0) {
        uint64_t eight;
        if (left >= 8 && (memcpy(&eight, at, 8), (eight & 0x8080808080808080u) == 0)) {
            at += 8; /* all ASCII, the usual case */
            left -= 8;
            continue;
        }
        size_t size = utf8_size(at, left);
        if (size == 0) {
            return false;
        }
        at += size;
        left -= size;
    }
    return true;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put(FILE *file, const void *data, size_t size)
{
    if (size) {
        fwrite_unlocked(data, 1, size, file);
    }
}

static void put_string(FILE *file, const char *text)
{
    put(file, text, strlen(text));
}

static void put_escaped(FILE *file, unsigned char c)
{
    static const char special[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
    const char *found = memchr(special, c, sizeof special - 1);
    if (found) {
        putc_unlocked('\\', file);
        putc_unlocked(letters[found - special], file);
    } else {
        fprintf(file, "\\u%04x", c);
    }
}

void wr_json_text(FILE *file, weir_bytes text)
{
    const unsigned char *at = text.data, *end = at + text.size, *plain = at;
    putc_unlocked('"', file);
    for (; at < end; at++) {
        if (*at < 0x20 || *at == '"' || *at == '\\') {
            put(file, plain, (size_t)(at - plain));
            put_escaped(file, *at);
            plain = at + 1;
        }
    }
    put(file, plain, (size_t)(end - plain));
    putc_unlocked('"', file);
}

static void put_base64(FILE *file, weir_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = bytes.data;
    size_t left = bytes.size;
    for (; left > 0; at += 3) {
        uint32_t three = (uint32_t)at[0] << 16;
        three |= left > 1 ? (uint32_t)at[1] << 8 : 0;
        three |= left > 2 ? (uint32_t)at[2] : 0;
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
                        left > 1 ? digits[three >> 6 & 63] : '=',
                        left > 2 ? digits[three & 63] : '='};
        put(file, four, sizeof four);
        left -= left > 3 ? 3 : left;
    }
}

void wr_json_bytes(FILE *file, const char *name, weir_bytes bytes)
{
    putc_unlocked('"', file);
    put_string(file, name);
    if (!bytes.data) {
        put_string(file, "\":null");
    } else if (wr_utf8_is_valid(bytes)) {
        put_string(file, "\":");
        wr_json_text(file, bytes);
    } else {
        put_string(file, "_base64\":\"");
        put_base64(file, bytes);
        putc_unlocked('"', file);
    }
}

void wr_json_headers(FILE *file, const weir_record *record)
{
    put_string(file, "\"headers\":[");
    for (size_t i = 0; i < record->header_count; i++) {
        put_string(file, i ? ",{" : "{");
        wr_json_bytes(file, "name", weir_text(record->headers[i].name));
        putc_unlocked(',', file);
        wr_json_bytes(file, "value", record->headers[i].value);
        putc_unlocked('}', file);
    }
    putc_unlocked(']', file);
}

/* ---- For people ------------------------------------------------------------------------------ */

void wr_show_bytes(FILE *file, weir_bytes bytes, size_t max)
{
    const unsigned char *data = bytes.data;
    if (!data) {
        put_string(file, "null");
        return;
    }
    putc_unlocked('"', file);
    size_t at = 0;
    while (at < bytes.size && at < max) {
        size_t size = utf8_size(data + at, bytes.size - at);
        bool plain = size > 1 || (size == 1 && data[at] >= 0x20 && data[at] != 0x7f &&
                                  data[at] != '"' && data[at] != '\\');
        if (plain) {
            put(file, data + at, size);
        } else {
            fprintf(file, "\\x%02x", data[at]);
            size = 1;
        }
        at += size;
    }
    put_string(file, at < bytes.size ? "\"..." : "\"");
}

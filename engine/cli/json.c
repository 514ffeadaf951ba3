/* json.c: see json.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/json.h"

#include <string.h>

#include "txn/base/json.h"

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
    enum { STEP = 3 * 256 };
    char text[STEP / 3 * 4];
    const unsigned char *at = bytes.data;
    for (size_t left = bytes.size; left > 0;) {
        size_t size = left < STEP ? left : STEP;
        put(file, text, (size_t)(wr_base64(at, size, text) - text));
        at += size;
        left -= size;
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
        size_t size = wr_utf8_size(data + at, bytes.size - at);
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

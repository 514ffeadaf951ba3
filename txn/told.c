/* told.c: see told.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/told.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool put(struct wr_buffer *buffer, const void *data, size_t size)
{
    unsigned char *at = wr_buffer_extend(buffer, size);
    if (at && size > 0) {
        memcpy(at, data, size);
    }
    return at != NULL;
}

bool wr_told_text(struct wr_buffer *buffer, const char *text)
{
    return put(buffer, text, strlen(text));
}

/* The inside of a string. */
static bool put_escaped(struct wr_buffer *buffer, weir_bytes text)
{
    const unsigned char *at = text.data, *end = at + text.size, *from = at;
    for (; at < end; at++) {
        if (*at >= 0x20 && *at != '"' && *at != '\\') {
            continue;
        }
        char escaped[8];
        if (*at < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", *at);
        } else {
            snprintf(escaped, sizeof escaped, "\\%c", *at);
        }
        if (!put(buffer, from, (size_t)(at - from)) || !wr_told_text(buffer, escaped)) {
            return false;
        }
        from = at + 1;
    }
    return put(buffer, from, (size_t)(at - from));
}

static bool put_base64(struct wr_buffer *buffer, weir_bytes bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = bytes.data;
    unsigned char *to = wr_buffer_extend(buffer, (bytes.size + 2) / 3 * 4);
    for (size_t i = 0; to && i < bytes.size; i += 3, to += 4) {
        size_t left = bytes.size - i;
        uint32_t bits = (uint32_t)from[i] << 16;
        bits |= left > 1 ? (uint32_t)from[i + 1] << 8 : 0;
        bits |= left > 2 ? from[i + 2] : 0;
        to[0] = (unsigned char)letters[bits >> 18];
        to[1] = (unsigned char)letters[bits >> 12 & 63];
        to[2] = left > 1 ? (unsigned char)letters[bits >> 6 & 63] : '=';
        to[3] = left > 2 ? (unsigned char)letters[bits & 63] : '=';
    }
    return to != NULL;
}

/* "NAME":... */
static bool put_member(struct wr_buffer *buffer, const char *name, weir_bytes value)
{
    bool text = !value.data || wr_bytes_is_text(value);
    if (!wr_told_text(buffer, "\"") || !put_escaped(buffer, weir_text(name)) ||
        !wr_told_text(buffer, text ? "\":" : "_base64\":")) {
        return false;
    }
    if (!value.data) {
        return wr_told_text(buffer, "null");
    }
    return wr_told_text(buffer, "\"") &&
           (text ? put_escaped(buffer, value) : put_base64(buffer, value)) &&
           wr_told_text(buffer, "\"");
}

bool wr_told_record(struct wr_buffer *buffer, const weir_record *record)
{
    char time[48];
    snprintf(time, sizeof time, ",\"time_ms\":%" PRId64 "}", record->time_ms);
    return wr_told_text(buffer, "{") && put_member(buffer, "key", record->key) &&
           wr_told_text(buffer, ",") && put_member(buffer, "value", record->value) &&
           wr_told_text(buffer, time);
}

bool wr_told_headers(struct wr_buffer *buffer, const weir_record *record)
{
    bool fine = wr_told_text(buffer, "{");
    for (size_t i = 0; fine && i < record->header_count; i++) {
        const weir_header *header = &record->headers[i];
        fine = (i == 0 || wr_told_text(buffer, ",")) &&
               put_member(buffer, header->name, header->value);
    }
    return fine && wr_told_text(buffer, "}");
}

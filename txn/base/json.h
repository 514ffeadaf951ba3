/* json.h: JSON appended to a buffer: strings, whole numbers, bytes as base64. False, everywhere:
 * out of memory.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BASE_JSON_H
#define WR_BASE_JSON_H

#include "txn/base/bytes.h"

/* Text as it is: punctuation, names that need no escapes. */
bool wr_json_put(struct wr_buffer *buffer, const char *text);
/* The inside of a string, escaped; the bytes must be UTF-8. */
bool wr_json_put_inside(struct wr_buffer *buffer, weir_bytes text);
/* A string with its quotes. */
bool wr_json_put_string(struct wr_buffer *buffer, weir_bytes text);
bool wr_json_put_number(struct wr_buffer *buffer, int64_t number);
/* The inside of a string of base64 (RFC 4648, padded). */
bool wr_json_put_base64(struct wr_buffer *buffer, weir_bytes bytes);

/* Base64 of these bytes at `to`, which has room for wr_base64_bytes. Returns the byte after. */
static inline size_t wr_base64_bytes(size_t size)
{
    return (size + 2) / 3 * 4;
}
char *wr_base64(const unsigned char *from, size_t size, char *to);

#endif

/* json.h: JSON written to a stream as it comes, for output of a million lines; bytes that are not
 * UTF-8 go out as base64 under another name. Errors are the stream's (ferror).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_JSON_H
#define WR_JSON_H

#include <stdio.h>

#include "engine/weir.h"

/* A quoted string; the bytes must be valid UTF-8. */
void wr_json_text(FILE *file, weir_bytes text);
/* "NAME":"..." or "NAME_base64":"..." or "NAME":null. */
void wr_json_bytes(FILE *file, const char *name, weir_bytes bytes);
/* "headers":[{"name":..,"value":..}, ...] in their order. */
void wr_json_headers(FILE *file, const weir_record *record);

/* For people: printable UTF-8 as it is, other bytes as \xHH, absent as `null`, cut after `max`
 * bytes with `...`. */
void wr_show_bytes(FILE *file, weir_bytes bytes, size_t max);

#endif

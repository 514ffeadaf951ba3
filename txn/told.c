/* told.c: see told.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/told.h"

#include "txn/base/json.h"

/* "NAME":... */
static bool put_member(struct wr_buffer *buffer, const char *name, weir_bytes value)
{
    bool text = !value.data || wr_bytes_is_text(value);
    if (!wr_json_put(buffer, "\"") || !wr_json_put_inside(buffer, weir_text(name)) ||
        !wr_json_put(buffer, text ? "\":" : "_base64\":")) {
        return false;
    }
    if (!value.data) {
        return wr_json_put(buffer, "null");
    }
    return wr_json_put(buffer, "\"") &&
           (text ? wr_json_put_inside(buffer, value) : wr_json_put_base64(buffer, value)) &&
           wr_json_put(buffer, "\"");
}

bool wr_told_record(struct wr_buffer *buffer, const weir_record *record)
{
    return wr_json_put(buffer, "{") && put_member(buffer, "key", record->key) &&
           wr_json_put(buffer, ",") && put_member(buffer, "value", record->value) &&
           wr_json_put(buffer, ",\"time_ms\":") && wr_json_put_number(buffer, record->time_ms) &&
           wr_json_put(buffer, "}");
}

bool wr_told_headers(struct wr_buffer *buffer, const weir_record *record)
{
    bool fine = wr_json_put(buffer, "{");
    for (size_t i = 0; fine && i < record->header_count; i++) {
        const weir_header *header = &record->headers[i];
        fine =
            (i == 0 || wr_json_put(buffer, ",")) && put_member(buffer, header->name, header->value);
    }
    return fine && wr_json_put(buffer, "}");
}

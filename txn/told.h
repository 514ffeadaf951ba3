/* told.h: records as JSON, for the statements of sql: sinks.
 *
 * Text is a string where it is valid UTF-8 without NUL; other bytes are base64, under the same name
 * with _base64 behind it; absent is null.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_TOLD_H
#define WR_TOLD_H

#include "engine/weir.h"
#include "txn/base/bytes.h"

/* Appends {"key":...,"value":...,"time_ms":N}. False: out of memory. */
bool wr_told_record(struct wr_buffer *buffer, const weir_record *record);
/* Appends {"NAME":...}: the headers, in their order. False: out of memory. */
bool wr_told_headers(struct wr_buffer *buffer, const weir_record *record);

#endif

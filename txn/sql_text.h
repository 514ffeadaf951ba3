/* sql_text.h: the file of an sql: sink, cut into its sections.
 *
 *     -- what stands before the first section is comments
 *     -- name: setup
 *     CREATE TABLE IF NOT EXISTS totals(who TEXT PRIMARY KEY, sum INTEGER NOT NULL);
 *     -- name: record
 *     INSERT INTO totals VALUES(:key, :value) ON CONFLICT DO UPDATE SET sum = sum + excluded.sum;
 *
 * Sections: setup, record, batch, each at most once; at least one of record and batch. A line that
 * begins with `-- name:` begins a section, wherever it stands: also within a comment or a string.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SQL_TEXT_H
#define WR_SQL_TEXT_H

#include "txn/base/arena.h"
#include "txn/epoch.h"

/* Reads the file for a sink of this name. In the arena. 64: it is too large, no text, or its
 * sections are not as above; 66, 74, 77: it cannot be read. */
weir_status wr_sql_text_read(struct wr_arena *arena, const char *sink, const char *path,
                             const struct wr_sql_text **text_out, struct wr_error *error);

/* Cuts a file's text, which is changed in place and must outlive text_out. For wr_sql_text_read and
 * tests. */
weir_status wr_sql_text_cut(const char *sink, const char *path, char *file, size_t size,
                            struct wr_sql_text *text_out, struct wr_error *error);

/* setup, record, batch. */
const char *wr_sql_section_name(enum wr_sql_section section);

/* The first byte that is neither white space, a semicolon nor within a comment; the end when there
 * is none. */
const char *wr_sql_skip(const char *at);

#endif

/* store_rows.h: rows of any query on a store, for what only looks (inspect, topics, rejects,
 * verify), without naming SQLite. docs/FORMAT.md has the tables.
 *
 *     struct wr_rows *rows = NULL;
 *     WR_TRY(wr_rows_open(reader, "SELECT name, version FROM node WHERE id = ?1", &rows, error));
 *     wr_rows_bind_int(rows, 1, id);
 *     bool more;
 *     while ((status = wr_rows_next(rows, &more, error)) == WEIR_OK && more) {
 *         printf("%s %lld\n", wr_rows_text(rows, 0), (long long)wr_rows_int(rows, 1));
 *     }
 *     wr_rows_close(rows);
 *
 * The first wr_rows_next begins the reader's snapshot; wr_reader_end resets what is open. Close all
 * rows before the reader. Thread: the reader's.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_STORE_ROWS_H
#define WR_STORE_ROWS_H

#include "txn/store.h"

struct wr_rows;

weir_status wr_rows_open(struct wr_reader *reader, const char *text, struct wr_rows **rows_out,
                         struct wr_error *error);
/* NULL is ignored. */
void wr_rows_close(struct wr_rows *rows);

/* Parameters count from 1 and are copied; bind before the first wr_rows_next, or after
 * wr_rows_again. What fails for lack of memory is reported by wr_rows_next. */
void wr_rows_bind_int(struct wr_rows *rows, int at, int64_t value);
void wr_rows_bind_text(struct wr_rows *rows, int at, const char *text); /* NULL: NULL */
void wr_rows_bind_bytes(struct wr_rows *rows, int at, weir_bytes bytes); /* absent: NULL */
/* The same query from its start; what was bound stays until it is bound anew. */
void wr_rows_again(struct wr_rows *rows);

/* *more_out false at the end. */
weir_status wr_rows_next(struct wr_rows *rows, bool *more_out, struct wr_error *error);

/* Columns count from 0; what they point to is valid until the next wr_rows_ call but these. */
int wr_rows_columns(const struct wr_rows *rows);
const char *wr_rows_name(const struct wr_rows *rows, int column);
bool wr_rows_null(const struct wr_rows *rows, int column);
int64_t wr_rows_int(const struct wr_rows *rows, int column); /* NULL: 0 */
double wr_rows_real(const struct wr_rows *rows, int column);
/* NUL-ended; NULL for NULL (and when memory ran out). */
const char *wr_rows_text(const struct wr_rows *rows, int column);
/* Absent for NULL and for the integer 0 by which keys of state and timers say absent. */
weir_bytes wr_rows_bytes(const struct wr_rows *rows, int column);

/* What FROM names for the batches of a log, `log`, by rows of log_seek, `seek`. In their order with
 * ORDER BY seek.first_offset, log.id, without sorting. */
#define WR_LOG_ROWS(topic_is, partition_is)                                                        \
    "log_seek AS seek CROSS JOIN log ON seek.topic = " topic_is                                    \
    " AND seek.partition = " partition_is " AND log.id BETWEEN seek.id AND seek.last"              \
    " AND log.topic = " topic_is " AND log.partition = " partition_is

#endif

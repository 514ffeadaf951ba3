/* store_rows.c: see store_rows.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/store_rows.h"

#include <stdlib.h>

#include "txn/base/assert.h"
#include "txn/store_inner.h"

struct wr_rows {
    struct wr_reader *reader;
    sqlite3_stmt *statement;
    int code; /* of the first binding that failed */
    bool at_row;
};

weir_status wr_rows_open(struct wr_reader *reader, const char *text, struct wr_rows **rows_out,
                         struct wr_error *error)
{
    *rows_out = NULL;
    struct wr_rows *rows = calloc(1, sizeof *rows);
    if (!rows) {
        return wr_fail_memory(error);
    }
    rows->reader = reader;
    wr_sql_doing(&reader->sql, "read");
    weir_status status = wr_sql_prepare(&reader->sql, &rows->statement, text, error);
    if (status != WEIR_OK) {
        free(rows);
        return status;
    }
    *rows_out = rows;
    return WEIR_OK;
}

void wr_rows_close(struct wr_rows *rows)
{
    if (rows) {
        sqlite3_finalize(rows->statement);
        free(rows);
    }
}

static void bound(struct wr_rows *rows, int code)
{
    wr_assert(code != SQLITE_RANGE && code != SQLITE_MISUSE);
    if (rows->code == SQLITE_OK) {
        rows->code = code;
    }
}

void wr_rows_bind_int(struct wr_rows *rows, int at, int64_t value)
{
    bound(rows, sqlite3_bind_int64(rows->statement, at, value));
}

void wr_rows_bind_text(struct wr_rows *rows, int at, const char *text)
{
    bound(rows, sqlite3_bind_text(rows->statement, at, text, -1, SQLITE_TRANSIENT));
}

void wr_rows_bind_bytes(struct wr_rows *rows, int at, weir_bytes bytes)
{
    bound(rows, bytes.data ? sqlite3_bind_blob64(rows->statement, at, bytes.data, bytes.size,
                                                 SQLITE_TRANSIENT)
                           : sqlite3_bind_null(rows->statement, at));
}

void wr_rows_again(struct wr_rows *rows)
{
    sqlite3_reset(rows->statement);
    rows->at_row = false;
    rows->code = SQLITE_OK;
}

weir_status wr_rows_next(struct wr_rows *rows, bool *more_out, struct wr_error *error)
{
    *more_out = false;
    rows->at_row = false;
    if (rows->code != SQLITE_OK) {
        return wr_sql_fail(&rows->reader->sql, rows->code, error);
    }
    WR_TRY(wr_reader_begin(rows->reader, error));
    wr_sql_doing(&rows->reader->sql, "read");
    WR_TRY(wr_sql_step(&rows->reader->sql, rows->statement, more_out, error));
    rows->at_row = *more_out;
    return WEIR_OK;
}

int wr_rows_columns(const struct wr_rows *rows)
{
    return sqlite3_column_count(rows->statement);
}

const char *wr_rows_name(const struct wr_rows *rows, int column)
{
    return sqlite3_column_name(rows->statement, column);
}

bool wr_rows_null(const struct wr_rows *rows, int column)
{
    wr_assert(rows->at_row);
    return sqlite3_column_type(rows->statement, column) == SQLITE_NULL;
}

int64_t wr_rows_int(const struct wr_rows *rows, int column)
{
    wr_assert(rows->at_row);
    return sqlite3_column_int64(rows->statement, column);
}

double wr_rows_real(const struct wr_rows *rows, int column)
{
    wr_assert(rows->at_row);
    return sqlite3_column_double(rows->statement, column);
}

const char *wr_rows_text(const struct wr_rows *rows, int column)
{
    wr_assert(rows->at_row);
    return (const char *)sqlite3_column_text(rows->statement, column);
}

weir_bytes wr_rows_bytes(const struct wr_rows *rows, int column)
{
    wr_assert(rows->at_row);
    return wr_sql_column(rows->statement, column);
}

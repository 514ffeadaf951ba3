/* store_sql.h: what the store's files share about SQLite: one connection with what is being done on
 * it, prepared statements, binding and reading bytes, and errors. The only file that includes
 * sqlite3.h, but for operators/lookup_sqlite.c, which asks databases that are no store.
 *
 * Absent bytes are bound as NULL where a column may be NULL (wr_sql_bytes), and as the integer 0
 * where they are part of a key (wr_sql_key): an integer sorts before every blob, as absent does
 * before everything present. Either is read back as absent.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_STORE_SQL_H
#define WR_STORE_SQL_H

#include <sqlite3.h>

#include "txn/base/arena.h"
#include "txn/base/bytes.h"
#include "txn/base/error.h"

/* "weir" as a number: PRAGMA application_id of a store. */
#define WR_STORE_MARK 0x77656972
/* PRAGMA user_version: the format of the tables and batches. */
#define WR_STORE_FORMAT 4
/* Rows of table log with ids from that of a row of log_seek on, so many, are looked through. */
#define WR_LOG_SEEK_STEP 32
#define WR_LOG_SEEK_STEP_TEXT "32"
#define WR_STORE_BUSY_MS 10000 /* how long a foreign writer is waited for */
#define WR_STORE_PAGE_BYTES 8192 /* of new stores; an older one keeps its own */
/* SQLite's page cache, for each connection: 8 MiB. In pages, since a number of KiB is made one of
 * pages before SQLite has seen how large those of the file are. */
#define WR_STORE_CACHE_PAGES 1024

/* A connection. `doing` is the verb and what goes before the path in an error's text: "decide epoch
 * 812 of". */
struct wr_sql {
    sqlite3 *db;
    const char *path;
    char doing[128];
};

void wr_sql_doing(struct wr_sql *sql, const char *format, ...) WEIR_PRINTF(2, 3);

/* Sets the error for a result code of SQLite: what was being done, to what, what happened, what to
 * do. Always a status that is not WEIR_OK. */
weir_status wr_sql_fail_at(struct wr_sql *sql, int code, const char *file, int line,
                           struct wr_error *error);
#define wr_sql_fail(sql, code, error) wr_sql_fail_at(sql, code, __FILE__, __LINE__, error)
/* The same for a store whose contents cannot be right: exit code 65. */
weir_status wr_sql_broken_at(struct wr_sql *sql, const char *file, int line, struct wr_error *error,
                             const char *format, ...) WEIR_PRINTF(5, 6);
#define wr_sql_broken(sql, error, ...) wr_sql_broken_at(sql, __FILE__, __LINE__, error, __VA_ARGS__)
const char *wr_sql_code_name(int code);

/* Page cache, busy wait and the safe settings of both kinds of connection. */
weir_status wr_sql_configure(struct wr_sql *sql, struct wr_error *error);
/* Finalizes every statement and closes; never writes. sql->db NULL is ignored. */
void wr_sql_close(struct wr_sql *sql);

/* Runs SQL text that returns nothing of interest. */
weir_status wr_sql_exec(struct wr_sql *sql, const char *text, struct wr_error *error);
/* The first column of the first row as an integer; 0 when there is no row or it is NULL. */
weir_status wr_sql_integer(struct wr_sql *sql, const char *text, int64_t *value_out,
                           struct wr_error *error);
/* 75: the store has another generation than this run. */
weir_status wr_sql_fail_overtaken(const struct wr_sql *sql, int64_t ours, int64_t found,
                                  struct wr_error *error);
/* Prepares into *statement unless it was prepared before. */
weir_status wr_sql_prepare(struct wr_sql *sql, sqlite3_stmt **statement, const char *text,
                           struct wr_error *error);
/* One step; *row_out false at the end (and the statement is then reset), also on failure. */
weir_status wr_sql_step(struct wr_sql *sql, sqlite3_stmt *statement, bool *row_out,
                        struct wr_error *error);
/* All steps of a statement that returns no rows. */
weir_status wr_sql_run(struct wr_sql *sql, sqlite3_stmt *statement, struct wr_error *error);

/* A statement for one use: finalized after its run. */
weir_status wr_sql_once(struct wr_sql *sql, const char *text, sqlite3_stmt **statement_out,
                        struct wr_error *error);
weir_status wr_sql_run_once(struct wr_sql *sql, sqlite3_stmt *statement, struct wr_error *error);
/* Runs text with up to two numbers as its parameters. */
weir_status wr_sql_run_text(struct wr_sql *sql, const char *text, int64_t first, int64_t second,
                            struct wr_error *error);
/* The first column for a text as parameter; 0 when there is no row. */
weir_status wr_sql_find(struct wr_sql *sql, const char *text, const char *name, int64_t *id_out,
                        struct wr_error *error);

/* Binds without copying, so that nothing can fail: the bytes must outlive the last step. */
void wr_sql_bytes(sqlite3_stmt *statement, int at, weir_bytes bytes);
/* As TEXT when it is well-formed UTF-8 without NUL, else as a BLOB. */
void wr_sql_value(sqlite3_stmt *statement, int at, weir_bytes bytes);
void wr_sql_key(sqlite3_stmt *statement, int at, weir_bytes bytes);
void wr_sql_text(sqlite3_stmt *statement, int at, const char *text); /* NULL: NULL */
/* Text of this size; size 0: NULL. */
void wr_sql_text_sized(sqlite3_stmt *statement, int at, const void *text, size_t size);
void wr_sql_int(sqlite3_stmt *statement, int at, int64_t value);
void wr_sql_time(sqlite3_stmt *statement, int at, int64_t time_ms); /* INT64_MIN: NULL */

/* Blobs and text; absent for anything else. Valid until the statement's next step. A blob of size 0
 * is empty. */
weir_bytes wr_sql_column(sqlite3_stmt *statement, int at);
int64_t wr_sql_column_time(sqlite3_stmt *statement, int at); /* NULL: INT64_MIN */
/* Copies; false when memory ran out. Text: NULL stays NULL. */
bool wr_sql_column_copy(sqlite3_stmt *statement, int at, struct wr_arena *arena,
                        weir_bytes *bytes_out);
bool wr_sql_column_string(sqlite3_stmt *statement, int at, struct wr_arena *arena,
                          const char **text_out);

#endif

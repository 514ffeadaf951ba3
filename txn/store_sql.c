/* store_sql.c: see store_sql.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/store_sql.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "txn/base/assert.h"

void wr_sql_doing(struct wr_sql *sql, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(sql->doing, sizeof sql->doing, format, args);
    va_end(args);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

struct meaning {
    int code;
    const char *name;
    enum wr_exit exit_code;
    const char *what, *advice;
};

#define DAMAGED                                                                                    \
    "run `weir verify` to see what is damaged; then restore a backup, or delete the store "        \
    "and its -wal and -shm files to start anew"

/* By primary result code; the first line is for codes that are not listed. */
static const struct meaning meanings[] = {
    {-1, "an SQLite error", WR_EXIT_BUG, "unexpected error", "this is a bug in weir: report it"},
    {SQLITE_ERROR, "SQLITE_ERROR", WR_EXIT_DATA, "a table is missing or not as it should be",
     DAMAGED},
    {SQLITE_INTERNAL, "SQLITE_INTERNAL", WR_EXIT_DATA, "SQLite lost its way", DAMAGED},
    {SQLITE_PERM, "SQLITE_PERM", WR_EXIT_PERMISSION, "permission denied",
     "check the owner and mode of the file and its directory"},
    {SQLITE_ABORT, "SQLITE_ABORT", WR_EXIT_IO, "the transaction was rolled back", "start again"},
    {SQLITE_BUSY, "SQLITE_BUSY", WR_EXIT_AGAIN, "another program keeps it locked",
     "end what writes to it (it was waited for) and start again, nothing is lost"},
    {SQLITE_LOCKED, "SQLITE_LOCKED", WR_EXIT_AGAIN, "a table of it is locked", "start again"},
    {SQLITE_NOMEM, "SQLITE_NOMEM", WR_EXIT_AGAIN, "out of memory",
     "free some and start again, nothing decided is lost"},
    {SQLITE_READONLY, "SQLITE_READONLY", WR_EXIT_PERMISSION, "it may only be read",
     "make the file and its directory writable, or name another place with --store"},
    {SQLITE_IOERR, "SQLITE_IOERR", WR_EXIT_IO, "I/O error",
     "check the disk and the system's log, then start again: what was decided is safe if the disk "
     "is"},
    {SQLITE_CORRUPT, "SQLITE_CORRUPT", WR_EXIT_DATA, "the file is damaged", DAMAGED},
    {SQLITE_FULL, "SQLITE_FULL", WR_EXIT_IO, "disk full",
     "free space and start again, nothing is lost"},
    {SQLITE_CANTOPEN, "SQLITE_CANTOPEN", WR_EXIT_IO, "a file of it cannot be opened",
     "check the directory and the -wal and -shm files beside the store"},
    {SQLITE_PROTOCOL, "SQLITE_PROTOCOL", WR_EXIT_AGAIN, "its lock could not be had", "start again"},
    {SQLITE_TOOBIG, "SQLITE_TOOBIG", WR_EXIT_DATA, "a value is too large", DAMAGED},
    {SQLITE_CONSTRAINT, "SQLITE_CONSTRAINT", WR_EXIT_DATA, "a row contradicts another one",
     DAMAGED},
    {SQLITE_MISMATCH, "SQLITE_MISMATCH", WR_EXIT_DATA, "a value has the wrong type", DAMAGED},
    {SQLITE_NOLFS, "SQLITE_NOLFS", WR_EXIT_IO, "the file is too large for the file system",
     "name another place with --store"},
    {SQLITE_NOTADB, "SQLITE_NOTADB", WR_EXIT_DATA,
     "the file is no SQLite database, or its start is damaged",
     "name the right file, or restore a backup"},
};

static const struct meaning *find_meaning(int code)
{
    for (size_t i = 1; i < sizeof meanings / sizeof *meanings; i++) {
        if (meanings[i].code == (code & 0xff)) {
            return &meanings[i];
        }
    }
    return &meanings[0];
}

const char *wr_sql_code_name(int code)
{
    return find_meaning(code)->name;
}

static bool is_access_errno(int native)
{
    return native == EACCES || native == EPERM || native == EROFS;
}

weir_status wr_sql_fail_at(struct wr_sql *sql, int code, const char *file, int line,
                           struct wr_error *error)
{
    const struct meaning *meaning = find_meaning(code);
    enum wr_exit exit_code = meaning->exit_code;
    int native = sql->db ? sqlite3_system_errno(sql->db) : errno;
    bool outside = meaning->code == SQLITE_CANTOPEN || meaning->code == SQLITE_IOERR;
    if (code == SQLITE_IOERR_NOMEM) {
        meaning = find_meaning(SQLITE_NOMEM);
        exit_code = meaning->exit_code;
    } else if (outside && is_access_errno(native)) {
        exit_code = WR_EXIT_PERMISSION;
    } else if (code == SQLITE_IOERR_CORRUPTFS) {
        exit_code = WR_EXIT_DATA;
    }
    char more[128] = "";
    if (outside && native != 0) {
        snprintf(more, sizeof more, " (%s)", strerror(native));
    } else if (meaning->code == -1 || meaning->code == SQLITE_ERROR) {
        snprintf(more, sizeof more, " (%s)", sql->db ? sqlite3_errmsg(sql->db) : "no connection");
    }
    return wr_fail_at(error, WEIR_FATAL, exit_code, code, file, line,
                      "cannot %s %s: %s%s (%s, code %d); %s", sql->doing, sql->path, meaning->what,
                      more, meaning->name, code, meaning->advice);
}

weir_status wr_sql_broken_at(struct wr_sql *sql, const char *file, int line, struct wr_error *error,
                             const char *format, ...)
{
    char what[WR_ERROR_TEXT_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return wr_fail_at(error, WEIR_FATAL, WR_EXIT_DATA, 0, file, line, "cannot %s %s: %s; %s",
                      sql->doing, sql->path, what, DAMAGED);
}

/* ---- Connections ----------------------------------------------------------------------------- */

/* Debian's SQLite overwrites deleted data with zeros, which a store does not need; and memory
 * mapping would turn an I/O error into a signal. The schema is trusted: tables of the user's
 * check, index and show JSON, whose functions count as unsafe there, and a store's connection
 * has no function that could do harm: weir adds none, and extensions are off. */
weir_status wr_sql_configure(struct wr_sql *sql, struct wr_error *error)
{
    sqlite3_extended_result_codes(sql->db, 1);
    sqlite3_busy_timeout(sql->db, WR_STORE_BUSY_MS);
    sqlite3_db_config(sql->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite3_db_config(sql->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, (int *)NULL);
    sqlite3_db_config(sql->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, (int *)NULL);
    sqlite3_db_config(sql->db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    sqlite3_wal_autocheckpoint(sql->db, 0);
    char text[160];
    snprintf(text, sizeof text,
             "PRAGMA cache_size=%d; PRAGMA mmap_size=0; PRAGMA secure_delete=OFF; "
             "PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=OFF",
             WR_STORE_CACHE_PAGES);
    return wr_sql_exec(sql, text, error);
}

void wr_sql_close(struct wr_sql *sql)
{
    if (!sql->db) {
        return;
    }
    for (sqlite3_stmt *at; (at = sqlite3_next_stmt(sql->db, NULL));) {
        sqlite3_finalize(at);
    }
    int code = sqlite3_close(sql->db);
    wr_assert_that(code, ==, SQLITE_OK);
    sql->db = NULL;
}

/* ---- Statements ------------------------------------------------------------------------------ */

weir_status wr_sql_exec(struct wr_sql *sql, const char *text, struct wr_error *error)
{
    int code = sqlite3_exec(sql->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? WEIR_OK : wr_sql_fail(sql, code, error);
}

weir_status wr_sql_prepare(struct wr_sql *sql, sqlite3_stmt **statement, const char *text,
                           struct wr_error *error)
{
    if (*statement) {
        return WEIR_OK;
    }
    int code = sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    return code == SQLITE_OK ? WEIR_OK : wr_sql_fail(sql, code, error);
}

weir_status wr_sql_step(struct wr_sql *sql, sqlite3_stmt *statement, bool *row_out,
                        struct wr_error *error)
{
    int code = sqlite3_step(statement);
    *row_out = code == SQLITE_ROW;
    if (code == SQLITE_ROW) {
        return WEIR_OK;
    }
    weir_status status = code == SQLITE_DONE ? WEIR_OK : wr_sql_fail(sql, code, error);
    sqlite3_reset(statement);
    return status;
}

weir_status wr_sql_run(struct wr_sql *sql, sqlite3_stmt *statement, struct wr_error *error)
{
    bool row = true;
    while (row) {
        WR_TRY(wr_sql_step(sql, statement, &row, error));
    }
    return WEIR_OK;
}

weir_status wr_sql_integer(struct wr_sql *sql, const char *text, int64_t *value_out,
                           struct wr_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    *value_out = 0;
    WR_TRY(wr_sql_prepare(sql, &statement, text, error));
    weir_status status = wr_sql_step(sql, statement, &row, error);
    if (row) {
        *value_out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return status;
}

weir_status wr_sql_fail_overtaken(const struct wr_sql *sql, int64_t ours, int64_t found,
                                  struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_AGAIN,
                   "cannot %s %s: overtaken: this run has generation %lld, and the store was "
                   "opened since by one with %lld; only that one may go on",
                   sql->doing, sql->path, (long long)ours, (long long)found);
}

weir_status wr_sql_once(struct wr_sql *sql, const char *text, sqlite3_stmt **statement_out,
                        struct wr_error *error)
{
    *statement_out = NULL;
    return wr_sql_prepare(sql, statement_out, text, error);
}

weir_status wr_sql_run_once(struct wr_sql *sql, sqlite3_stmt *statement, struct wr_error *error)
{
    weir_status status = wr_sql_run(sql, statement, error);
    sqlite3_finalize(statement);
    return status;
}

weir_status wr_sql_run_text(struct wr_sql *sql, const char *text, int64_t first, int64_t second,
                            struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_sql_once(sql, text, &statement, error));
    wr_sql_int(statement, 1, first);
    if (sqlite3_bind_parameter_count(statement) > 1) {
        wr_sql_int(statement, 2, second);
    }
    return wr_sql_run_once(sql, statement, error);
}

weir_status wr_sql_find(struct wr_sql *sql, const char *text, const char *name, int64_t *id_out,
                        struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row;
    WR_TRY(wr_sql_once(sql, text, &statement, error));
    wr_sql_text(statement, 1, name);
    weir_status status = wr_sql_step(sql, statement, &row, error);
    *id_out = status == WEIR_OK && row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return status;
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* Left for mistakes here: a wrong index, a statement that was not reset. */
static void check_bound(int code)
{
    wr_assert(code != SQLITE_RANGE && code != SQLITE_MISUSE);
}

void wr_sql_bytes(sqlite3_stmt *statement, int at, weir_bytes bytes)
{
    check_bound(bytes.data
                    ? sqlite3_bind_blob64(statement, at, bytes.data, bytes.size, SQLITE_STATIC)
                    : sqlite3_bind_null(statement, at));
}

void wr_sql_value(sqlite3_stmt *statement, int at, weir_bytes bytes)
{
    if (bytes.data && wr_bytes_is_text(bytes)) {
        check_bound(
            sqlite3_bind_text64(statement, at, bytes.data, bytes.size, SQLITE_STATIC, SQLITE_UTF8));
    } else {
        wr_sql_bytes(statement, at, bytes);
    }
}

void wr_sql_key(sqlite3_stmt *statement, int at, weir_bytes bytes)
{
    check_bound(bytes.data
                    ? sqlite3_bind_blob64(statement, at, bytes.data, bytes.size, SQLITE_STATIC)
                    : sqlite3_bind_int(statement, at, 0));
}

void wr_sql_text(sqlite3_stmt *statement, int at, const char *text)
{
    check_bound(sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC));
}

void wr_sql_text_sized(sqlite3_stmt *statement, int at, const void *text, size_t size)
{
    check_bound(size ? sqlite3_bind_text64(statement, at, text, size, SQLITE_STATIC, SQLITE_UTF8)
                     : sqlite3_bind_null(statement, at));
}

void wr_sql_int(sqlite3_stmt *statement, int at, int64_t value)
{
    check_bound(sqlite3_bind_int64(statement, at, value));
}

void wr_sql_time(sqlite3_stmt *statement, int at, int64_t time_ms)
{
    check_bound(time_ms == INT64_MIN ? sqlite3_bind_null(statement, at)
                                     : sqlite3_bind_int64(statement, at, time_ms));
}

weir_bytes wr_sql_column(sqlite3_stmt *statement, int at)
{
    int type = sqlite3_column_type(statement, at);
    if (type != SQLITE_BLOB && type != SQLITE_TEXT) {
        return (weir_bytes){NULL, 0};
    }
    const void *data = sqlite3_column_blob(statement, at); /* NULL for a blob of size 0 */
    size_t size = (size_t)sqlite3_column_bytes(statement, at);
    return (weir_bytes){data ? data : "", data ? size : 0};
}

int64_t wr_sql_column_time(sqlite3_stmt *statement, int at)
{
    return sqlite3_column_type(statement, at) == SQLITE_NULL ? INT64_MIN
                                                             : sqlite3_column_int64(statement, at);
}

bool wr_sql_column_copy(sqlite3_stmt *statement, int at, struct wr_arena *arena,
                        weir_bytes *bytes_out)
{
    weir_bytes bytes = wr_sql_column(statement, at);
    /* A value that is there but could not be unpacked for lack of memory would look empty. */
    if (bytes.data && bytes.size == 0 &&
        sqlite3_errcode(sqlite3_db_handle(statement)) == SQLITE_NOMEM) {
        return false;
    }
    return wr_arena_copy(arena, bytes, bytes_out);
}

bool wr_sql_column_string(sqlite3_stmt *statement, int at, struct wr_arena *arena,
                          const char **text_out)
{
    *text_out = NULL;
    if (sqlite3_column_type(statement, at) == SQLITE_NULL) {
        return true;
    }
    const char *text = (const char *)sqlite3_column_text(statement, at);
    *text_out = text ? wr_arena_string(arena, text) : NULL;
    return *text_out != NULL;
}

/* lookup_sqlite.c: see weir_lookup_sqlite in weir_ops.h.
 *
 * The database is opened, and the query prepared, for the first record, and both stay so until the
 * job is closed. Between two records no transaction is open, so the database can be written
 * meanwhile. What goes wrong:
 *
 *   no such file, no database, a query that cannot be prepared        the run stops
 *   a parameter other than :key, :value, :time_ms; a query that
 *   writes, has no column, or is followed by another                  the run stops
 *   locked by somebody for longer than BUSY_MS                        the epoch waits (WEIR_RETRY)
 *   the query fails for this record, such as json_extract of a
 *   value that is no JSON                                             the record is rejected
 *
 * Keys and values are bound as text when they are UTF-8 without NUL, else as blobs; absent ones are
 * NULL. So they compare with a column of numbers as SQLite compares text with that column.
 *
 * Keeps no state. One of two files that name sqlite3.h; see txn/store_sql.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <sqlite3.h>
#include <stdio.h>

#include "operators/join.h"

enum { BUSY_MS = 250 };

struct lookup_sqlite {
    struct wr_join join;
    const char *name, *file, *query;
    sqlite3 *db;
    sqlite3_stmt *statement;
    int key, value, time_ms; /* numbers of parameters; 0: not in the query */
};

/* ---- The database ---------------------------------------------------------------------------- */

static void close_database(void *arg)
{
    struct lookup_sqlite *lookup = arg;
    sqlite3_finalize(lookup->statement);
    sqlite3_close(lookup->db);
    lookup->statement = NULL;
    lookup->db = NULL;
}

/* Says what SQLite said; a lock is waited for, anything else stops the run. */
static bool fail(weir_ctx *ctx, struct lookup_sqlite *lookup, const char *doing, const char *remedy)
{
    int code = sqlite3_errcode(lookup->db) & 0xff;
    bool busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;
    if (busy) {
        weir_fail(ctx, WEIR_RETRY, "cannot %s %s: %s", doing, lookup->file,
                  sqlite3_errmsg(lookup->db));
    } else {
        weir_fail(ctx, WEIR_FATAL, "cannot %s %s: %s; %s", doing, lookup->file,
                  sqlite3_errmsg(lookup->db), remedy);
    }
    return false;
}

static bool find_parameters(weir_ctx *ctx, struct lookup_sqlite *lookup)
{
    lookup->key = sqlite3_bind_parameter_index(lookup->statement, ":key");
    lookup->value = sqlite3_bind_parameter_index(lookup->statement, ":value");
    lookup->time_ms = sqlite3_bind_parameter_index(lookup->statement, ":time_ms");
    for (int i = 1; i <= sqlite3_bind_parameter_count(lookup->statement); i++) {
        if (i != lookup->key && i != lookup->value && i != lookup->time_ms) {
            const char *name = sqlite3_bind_parameter_name(lookup->statement, i);
            weir_fail(ctx, WEIR_FATAL,
                      "the query \"%s\" has a parameter %s; there are :key, "
                      ":value and :time_ms",
                      lookup->query, name ? name : "without a name");
            return false;
        }
    }
    return true;
}

static bool prepare(weir_ctx *ctx, struct lookup_sqlite *lookup)
{
    const char *rest = "";
    if (sqlite3_prepare_v2(lookup->db, lookup->query, -1, &lookup->statement, &rest) != SQLITE_OK) {
        return fail(ctx, lookup, "prepare its query on", "mend the query, or give another file");
    }
    rest += strspn(rest, " \t\r\n;");
    if (!lookup->statement || *rest || sqlite3_column_count(lookup->statement) < 1 ||
        !sqlite3_stmt_readonly(lookup->statement)) {
        weir_fail(ctx, WEIR_FATAL, "\"%s\" is not one query that reads; give one SELECT",
                  lookup->query);
        return false;
    }
    return find_parameters(ctx, lookup);
}

/* For the first record, and again for the next one when it failed. */
static bool open_database(weir_ctx *ctx, struct lookup_sqlite *lookup)
{
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX; /* only the operator thread uses it */
    bool opened = sqlite3_open_v2(lookup->file, &lookup->db, flags, NULL) == SQLITE_OK
                      ? sqlite3_busy_timeout(lookup->db, BUSY_MS) == SQLITE_OK
                      : fail(ctx, lookup, "open",
                             "give a file that is there, which this user may read (a relative path "
                             "is the working directory's)");
    if (!opened || !prepare(ctx, lookup)) {
        close_database(lookup);
        return false;
    }
    return true;
}

/* ---- One record ------------------------------------------------------------------------------ */

/* The bytes of a character of UTF-8 that is not NUL (RFC 3629); 0: there is none here. */
static size_t character(const unsigned char *at, size_t size)
{
    unsigned char first = at[0];
    size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first == 0 || (first >= 0x80 && first < 0xc2) || first > 0xf4 || length > size) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool is_long = (first == 0xe0 && at[1] < 0xa0) || (first == 0xf0 && at[1] < 0x90);
    bool is_no_character = (first == 0xed && at[1] > 0x9f) || (first == 0xf4 && at[1] > 0x8f);
    return is_long || is_no_character ? 0 : length;
}

static bool is_text(weir_bytes bytes)
{
    const unsigned char *at = bytes.data;
    for (size_t i = 0, length; i < bytes.size; i += length) {
        length = character(at + i, bytes.size - i);
        if (length == 0) {
            return false;
        }
    }
    return true;
}

/* Without a copy: the bytes outlive the call. */
static void bind(sqlite3_stmt *statement, int at, weir_bytes bytes)
{
    if (at == 0) {
        return;
    }
    if (!bytes.data) {
        sqlite3_bind_null(statement, at);
    } else if (is_text(bytes)) {
        sqlite3_bind_text64(statement, at, bytes.data, bytes.size, SQLITE_STATIC, SQLITE_UTF8);
    } else {
        sqlite3_bind_blob64(statement, at, bytes.data, bytes.size, SQLITE_STATIC);
    }
}

/* The first column, in this call's memory. */
static weir_bytes column(weir_ctx *ctx, sqlite3_stmt *statement)
{
    bool is_blob = sqlite3_column_type(statement, 0) == SQLITE_BLOB;
    if (sqlite3_column_type(statement, 0) == SQLITE_NULL) {
        return wr_absent;
    }
    const void *data = is_blob ? sqlite3_column_blob(statement, 0)
                               : (const void *)sqlite3_column_text(statement, 0);
    size_t size = (size_t)sqlite3_column_bytes(statement, 0);
    char *copy = weir_scratch(ctx, size + 1);
    if (copy && size > 0 && !data) {
        weir_fail(ctx, WEIR_RETRY, "out of memory while a row was read");
        return wr_absent;
    }
    if (copy && size > 0) {
        memcpy(copy, data, size);
    }
    return (weir_bytes){copy, copy ? size : 0};
}

/* A query that fails is this record's fault as long as it can still be prepared. */
static void failed(weir_ctx *ctx, struct lookup_sqlite *lookup)
{
    int code = sqlite3_errcode(lookup->db) & 0xff;
    char why[300];
    snprintf(why, sizeof why, "query failed: %s: %s", lookup->name, sqlite3_errmsg(lookup->db));
    if (code != SQLITE_ERROR && code != SQLITE_MISMATCH && code != SQLITE_TOOBIG) {
        (void)fail(ctx, lookup, "read", "see whether `PRAGMA integrity_check` finds it whole");
        return;
    }
    sqlite3_stmt *again = NULL;
    if (sqlite3_prepare_v2(lookup->db, lookup->query, -1, &again, NULL) != SQLITE_OK) {
        (void)fail(ctx, lookup, "prepare its query on", "mend the query, or the database");
    } else {
        weir_reject(ctx, why);
    }
    sqlite3_finalize(again);
}

/* False: the query failed. */
static bool ask(weir_ctx *ctx, struct lookup_sqlite *lookup, const weir_record *in, bool *found_out,
                weir_bytes *value_out)
{
    sqlite3_stmt *statement = lookup->statement;
    bind(statement, lookup->key, in->key);
    bind(statement, lookup->value, in->value);
    if (lookup->time_ms) {
        sqlite3_bind_int64(statement, lookup->time_ms, in->time_ms);
    }
    int code = sqlite3_step(statement);
    *found_out = code == SQLITE_ROW;
    if (*found_out) {
        *value_out = column(ctx, statement);
    } else if (code != SQLITE_DONE) {
        failed(ctx, lookup);
    }
    sqlite3_reset(statement); /* ends the read, so that writers can go on */
    sqlite3_clear_bindings(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

static void run_lookup_sqlite(weir_ctx *ctx, const weir_record *in, void *arg)
{
    struct lookup_sqlite *lookup = arg;
    weir_record row = {.key = in->key, .time_ms = in->time_ms}, out = *in;
    bool found = false;
    if ((!lookup->statement && !open_database(ctx, lookup)) ||
        !ask(ctx, lookup, in, &found, &row.value)) {
        return;
    }
    const weir_record *right = found ? &row : NULL;
    if (wr_join_has(&lookup->join, in, right) &&
        wr_join_value(ctx, &lookup->join, in, right, &out.value)) {
        out.old = wr_absent;
        weir_emit(ctx, &out);
    }
}

weir_stream *weir_lookup_sqlite(weir_stream *in, const char *name, const char *file,
                                const char *query, weir_join_kind kind, weir_joiner_fn fn,
                                void *arg)
{
    weir_job *job = weir_job_of(in);
    struct lookup_sqlite *lookup = wr_join_new(job, name, kind, WEIR_LEFT, fn, arg, sizeof *lookup);
    if (!file || !*file || !query || !*query) {
        weir_refuse(job, "%s: no %s; give an SQLite database and a query", name ? name : "a lookup",
                    !file || !*file ? "file" : "query");
    }
    lookup->name = wr_join_words(job, "", name, "");
    lookup->file = wr_join_words(job, "", file, "");
    lookup->query = wr_join_words(job, "", query, "");
    weir_at_close(job, close_database, lookup);
    return weir_through(in, name, run_lookup_sqlite, lookup);
}

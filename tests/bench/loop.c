/* loop.c: three stream jobs as one writes them by hand, with care, in an afternoon: C and SQLite,
 * nothing of weir. `weir bench` shows weir beside them.
 *
 *   copy        each record as it is
 *   count       for each record its key and how often that came so far
 *   wordcount   the same for each word of a record's value
 *
 * Table `output` gets a row a record; `counts` has a row a key; `position` says how far the input
 * was read. The three change in one transaction per batch of records, so that a crash at any moment
 * leaves an exact cut, from which the next run goes on. Counts are in memory too, in a hash map
 * that is filled from the table at start: a batch reads nothing, and writes each key that it
 * changed once.
 *
 * Tried, as ratios of CPU time to what is here (medians of 3 to 7 interleaved pairs on two shared
 * cores; count over 100,000 keys, 10,000 records a transaction, where nothing else is said):
 *
 *   an INSERT for each row            1.52; copy 1.42; 1.22 at 100 records
 *   10, 50 rows in one INSERT         1.07, 1.10
 *   changed keys as they come         2.98; 2.86 over 2,000,000 keys; 1.46 at 100 records
 *   pages of 4 KiB, of 16 KiB         1.05, 1.19; copy 1.18, 0.93; 8 KiB at 1 record 1.16
 *   a page cache of 2 MiB             0.98; over 2,000,000 keys 1.03 to 1.11
 *   checkpoints each 4,000 pages      1.03; copy 1.08; 1.43 at 1 record
 *   REPLACE instead of ON CONFLICT    0.98; 1.02 at 100 records, 0.95 at 1
 *   locking_mode = EXCLUSIVE          1.01; 0.91 at 1 record: not taken, because nobody else could
 *                                     read the output
 *
 * Long because it is a program of its own, to be read in one go.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/bench/loop.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "tests/bench/counts.h"

enum {
    ROWS = 20, /* of one INSERT */
    LARGE_BATCH = 1000,
};

/* ---- The database ---------------------------------------------------------------------------- */

struct row {
    const char *key, *value; /* value NULL: `number` is meant, if the job counts */
    size_t key_size, value_size;
    int64_t number;
};

struct loop {
    enum loop_job job;
    sqlite3 *db;
    sqlite3_stmt *begin, *end, *output, *outputs, *count, *counts_rows, *position;
    struct counts counts;
    struct row rows[ROWS]; /* of `output`, not yet inserted */
    int row_count;
    int64_t next; /* record */
    char *error;
    size_t error_size;
};

static bool fail(struct loop *loop, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(loop->error, loop->error_size, format, arguments);
    va_end(arguments);
    return false;
}

static bool fail_sql(struct loop *loop, const char *doing)
{
    return fail(loop, "cannot %s: %s", doing, sqlite3_errmsg(loop->db));
}

static bool run(struct loop *loop, const char *sql)
{
    return sqlite3_exec(loop->db, sql, NULL, NULL, NULL) == SQLITE_OK || fail_sql(loop, sql);
}

static bool step(struct loop *loop, sqlite3_stmt *statement, const char *doing)
{
    bool done = sqlite3_step(statement) == SQLITE_DONE;
    if (!done) {
        fail_sql(loop, doing);
    }
    sqlite3_reset(statement);
    return done;
}

/* Prepares `sql`, then `rows` pairs of parameters, then `tail`. */
static bool prepare(struct loop *loop, const char *sql, int rows, const char *tail,
                    sqlite3_stmt **statement_out)
{
    char text[256 + ROWS * 6];
    int at = snprintf(text, sizeof text, "%s", sql);
    for (int i = 0; i < rows; i++) {
        at += snprintf(text + at, sizeof text - (size_t)at, i ? ", (?, ?)" : " VALUES (?, ?)");
    }
    snprintf(text + at, sizeof text - (size_t)at, "%s", tail);
    return sqlite3_prepare_v3(loop->db, text, -1, SQLITE_PREPARE_PERSISTENT, statement_out, NULL) ==
               SQLITE_OK ||
           fail_sql(loop, text);
}

static bool open_database(struct loop *loop, const struct loop_options *options)
{
    static const char update[] = " ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    char pragmas[200];
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(options->path, &loop->db, flags, options->vfs) != SQLITE_OK) {
        return fail(loop, "cannot open %s: %s", options->path, sqlite3_errmsg(loop->db));
    }
    /* Larger pages are cheaper where a transaction fills them, and dearer where it does not. */
    int page = options->batch < LARGE_BATCH ? 4096 : 8192;
    int cache_kib = options->job == LOOP_COPY ? 2000 : 65536; /* 2,000 is what SQLite has */
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA page_size = %d; PRAGMA cache_size = -%d; PRAGMA synchronous = %s", page,
             cache_kib, options->synchronous);
    return run(loop, pragmas) && run(loop, "PRAGMA journal_mode = WAL") &&
           run(loop, "CREATE TABLE IF NOT EXISTS output (id INTEGER PRIMARY KEY, key, value)") &&
           run(loop, "CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, value INTEGER)"
                     " WITHOUT ROWID") &&
           run(loop, "CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY, next)") &&
           prepare(loop, "BEGIN", 0, "", &loop->begin) &&
           prepare(loop, "COMMIT", 0, "", &loop->end) &&
           prepare(loop, "INSERT INTO output (key, value)", 1, "", &loop->output) &&
           prepare(loop, "INSERT INTO output (key, value)", ROWS, "", &loop->outputs) &&
           prepare(loop, "INSERT INTO counts (key, value)", 1, update, &loop->count) &&
           prepare(loop, "INSERT INTO counts (key, value)", ROWS, update, &loop->counts_rows) &&
           prepare(loop, "REPLACE INTO position (id, next)", 1, "", &loop->position);
}

static bool load_positions(struct loop *loop, const struct loop_input *input)
{
    sqlite3_stmt *query;
    int code;
    if (!prepare(loop, "SELECT id, next FROM position", 0, "", &query)) {
        return false;
    }
    while ((code = sqlite3_step(query)) == SQLITE_ROW) {
        int64_t partition = sqlite3_column_int64(query, 0) - 1;
        if (!input->positions) {
            loop->next = sqlite3_column_int64(query, 1);
        } else if (partition >= 0 && partition < input->partitions) {
            input->positions[partition] = sqlite3_column_int64(query, 1);
        }
    }
    sqlite3_finalize(query);
    return code == SQLITE_DONE || fail_sql(loop, "read the position");
}

/* What the last run left. */
static bool load(struct loop *loop, const struct loop_input *input)
{
    sqlite3_stmt *query;
    int code;
    if (!prepare(loop, "SELECT key, value FROM counts", 0, "", &query)) {
        return false;
    }
    while ((code = sqlite3_step(query)) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(query, 0);
        size_t size = (size_t)sqlite3_column_bytes(query, 0);
        struct count *count = counts_find(&loop->counts, key ? key : "", size);
        if (!count) {
            sqlite3_finalize(query);
            return fail(loop, "out of memory");
        }
        count->value = sqlite3_column_int64(query, 1);
    }
    sqlite3_finalize(query);
    if (code != SQLITE_DONE) {
        return fail_sql(loop, "read the counts");
    }
    return load_positions(loop, input);
}

/* ---- What a record does ---------------------------------------------------------------------- */

/* `at` is the first of the row's two parameters. Nothing is copied: what is bound stays until the
 * statement has run. */
static void bind_row(const struct loop *loop, sqlite3_stmt *statement, int at,
                     const struct row *row)
{
    sqlite3_bind_text(statement, at, row->key, (int)row->key_size, SQLITE_STATIC);
    if (loop->job == LOOP_COPY) {
        sqlite3_bind_blob(statement, at + 1, row->value, (int)row->value_size, SQLITE_STATIC);
    } else {
        sqlite3_bind_int64(statement, at + 1, row->number);
    }
}

/* Inserts the rows that are waiting: in one go if they are as many as that statement takes. */
static bool insert_rows(struct loop *loop)
{
    bool all = loop->row_count == ROWS;
    sqlite3_stmt *statement = all ? loop->outputs : loop->output;
    for (int i = 0; i < loop->row_count; i++) {
        bind_row(loop, statement, all ? 2 * i + 1 : 1, &loop->rows[i]);
        if ((!all || i == ROWS - 1) && !step(loop, statement, "insert output")) {
            return false;
        }
    }
    loop->row_count = 0;
    return true;
}

static bool add_row(struct loop *loop, struct row row)
{
    loop->rows[loop->row_count++] = row;
    return loop->row_count < ROWS || insert_rows(loop);
}

static bool count_key(struct loop *loop, const char *key, size_t size)
{
    struct count *count = counts_find(&loop->counts, key ? key : "", size);
    if (!count) {
        return fail(loop, "out of memory");
    }
    count->value++;
    if (!count->changed) {
        count->changed = true;
        loop->counts.changed[loop->counts.changed_count++] = count;
    }
    return add_row(loop, (struct row){.key = count->key, .key_size = size, .number = count->value});
}

static bool is_word_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool count_words(struct loop *loop, const char *text, size_t size)
{
    size_t start = 0;
    for (size_t at = 0; at <= size; at++) {
        if (at == size || !is_word_byte(text[at])) {
            if (at > start && !count_key(loop, text + start, at - start)) {
                return false;
            }
            start = at + 1;
        }
    }
    return true;
}

static bool take(struct loop *loop, const struct loop_record *record)
{
    switch (loop->job) {
    case LOOP_COPY:
        return add_row(loop, (struct row){.key = record->key,
                                          .key_size = record->key_size,
                                          .value = record->value,
                                          .value_size = record->value_size});
    case LOOP_COUNT:
        return count_key(loop, record->key, record->key_size);
    case LOOP_WORDCOUNT:
        return count_words(loop, record->value, record->value_size);
    }
    return false;
}

/* Each key that changed, once. In the order of the table, so that those of one page come together.
 */
static bool put_counts(struct loop *loop)
{
    struct counts *counts = &loop->counts;
    if (counts->changed_count > 1) {
        qsort(counts->changed, counts->changed_count, sizeof *counts->changed, counts_by_key);
    }
    for (size_t i = 0; i < counts->changed_count;) {
        size_t rows = counts->changed_count - i < ROWS ? 1 : ROWS;
        sqlite3_stmt *statement = rows == 1 ? loop->count : loop->counts_rows;
        for (size_t row = 0; row < rows; row++, i++) {
            struct count *count = counts->changed[i];
            int at = (int)(2 * row) + 1;
            sqlite3_bind_text(statement, at, count->key, (int)count->key_size, SQLITE_STATIC);
            sqlite3_bind_int64(statement, at + 1, count->value);
            count->changed = false;
        }
        if (!step(loop, statement, "put counts")) {
            return false;
        }
    }
    counts->changed_count = 0;
    return true;
}

/* ---- Batches --------------------------------------------------------------------------------- */

static bool put_position(struct loop *loop, int partition, int64_t next)
{
    sqlite3_bind_int(loop->position, 1, partition + 1);
    sqlite3_bind_int64(loop->position, 2, next);
    return step(loop, loop->position, "put the position");
}

static bool put_positions(struct loop *loop, const struct loop_input *input)
{
    bool good = input->positions || put_position(loop, 0, loop->next);
    for (int i = 0; i < input->partitions && input->positions && good; i++) {
        good = put_position(loop, i, input->positions[i]);
    }
    return good;
}

/* One transaction. *records_out: how many it decided; fewer than a batch: the input has ended. */
static bool run_batch(struct loop *loop, int64_t batch, const struct loop_input *input,
                      int64_t *records_out)
{
    int64_t records = 0;
    *records_out = 0;
    if (!step(loop, loop->begin, "begin")) {
        return false;
    }
    while (records < batch) {
        const struct loop_record *polled;
        int64_t count = input->poll(input->data, batch - records, &polled);
        if (count < 0) {
            return fail(loop, "cannot read the input");
        }
        for (int64_t i = 0; i < count; i++) {
            if (!take(loop, &polled[i])) {
                return false;
            }
        }
        if (!insert_rows(loop)) { /* the next poll takes away what they point to */
            return false;
        }
        records += count;
        if (count == 0) {
            break;
        }
    }
    loop->next += records;
    if (records > 0 && (!put_counts(loop) || !put_positions(loop, input))) {
        return false;
    }
    if (!step(loop, loop->end, "end a transaction")) {
        return false;
    }
    *records_out = records;
    return true;
}

static void close_database(struct loop *loop)
{
    sqlite3_stmt *all[] = {loop->begin, loop->end,         loop->output,  loop->outputs,
                           loop->count, loop->counts_rows, loop->position};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        sqlite3_finalize(all[i]);
    }
    sqlite3_close(loop->db); /* an open transaction goes */
    counts_free(&loop->counts);
}

bool loop_run(const struct loop_options *options, const struct loop_input *input, char *error,
              size_t size)
{
    struct loop loop = {.job = options->job, .error = error, .error_size = size};
    bool good = open_database(&loop, options) && load(&loop, input) &&
                (input->seek(input->data, loop.next) || fail(&loop, "cannot read the input"));
    int64_t records = options->batch;
    while (good && records == options->batch) {
        good = run_batch(&loop, options->batch, input, &records);
        if (good && records > 0) {
            input->decided(input->data, records);
        }
    }
    close_database(&loop);
    return good;
}

/* store_apply_sql.c: an epoch's records told to the statements of sql: sinks, in its transaction.
 *
 *   each record, of all these sinks in the order in which they came:
 *       SAVEPOINT ▶ the sink's statements `record` ▶ RELEASE
 *           a statement fails ▶ ROLLBACK TO ▶ RELEASE ▶ a dead letter, in the same transaction
 *   each sink with a record that was not refused: its statements `batch`
 *
 * A failure is a record's when SQLite blames the statement and what it was given: a constraint, a
 * RAISE, a value of the wrong type, JSON that is none. The disk, memory, another program are never
 * a record's fault: they end the transaction as they do elsewhere. Nor are tables that another
 * program has changed since: a statement that failed is prepared once more, and when that fails the
 * run stops (78). A batch has no one record to blame, so its failure stops the run (65). See
 * decisions 0095 and 0096.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/base/json.h"
#include "txn/store_inner.h"
#include "txn/told.h"

enum {
    JSON_KEEP = 16 * 1024 * 1024, /* of the memory for parameters, from one epoch to the next */
    MESSAGE_BYTES_MAX = 512, /* of SQLite's */
};

void wr_store_limit_rejects(struct wr_store *store, int64_t held, int64_t max)
{
    store->rejects_held = held;
    store->rejects_max = max;
}

int64_t wr_store_sql_rejects(const struct wr_store *store)
{
    return atomic_load_explicit(&store->sql_rejects, memory_order_relaxed);
}

/* ---- Parameters ------------------------------------------------------------------------------ */

static weir_status bind_headers(struct wr_store *store, sqlite3_stmt *statement, int at,
                                const weir_record *record, struct wr_error *error)
{
    store->json.size = 0;
    if (!wr_told_headers(&store->json, record)) {
        return wr_fail_memory(error);
    }
    wr_sql_text_sized(statement, at, store->json.data, store->json.size);
    return WEIR_OK;
}

static weir_status bind_value(struct wr_store *store, const struct wr_told_statement *statement,
                              int i, const struct wr_told *told, struct wr_error *error)
{
    sqlite3_stmt *to = statement->statement;
    switch (statement->values[i]) {
    case WR_TOLD_KEY:
        wr_sql_value(to, i + 1, told->record.key);
        break;
    case WR_TOLD_VALUE:
        wr_sql_value(to, i + 1, told->record.value);
        break;
    case WR_TOLD_TIME:
        wr_sql_int(to, i + 1, told->record.time_ms);
        break;
    case WR_TOLD_SOURCE:
        wr_sql_text(to, i + 1, told->from.source);
        break;
    case WR_TOLD_PARTITION:
        wr_sql_text(to, i + 1, told->from.part);
        break;
    case WR_TOLD_OFFSET:
        wr_sql_time(to, i + 1, told->from.source ? told->from.offset : INT64_MIN);
        break;
    case WR_TOLD_HEADERS:
        return bind_headers(store, to, i + 1, &told->record, error);
    case WR_TOLD_RECORDS:
    case WR_TOLD_COUNT:
        wr_assert(false);
    }
    return WEIR_OK;
}

static weir_status bind_record(struct wr_store *store, const struct wr_told_statement *statement,
                               const struct wr_told *told, struct wr_error *error)
{
    for (int i = 0; i < statement->parameters; i++) {
        WR_TRY(bind_value(store, statement, i, told, error));
    }
    return WEIR_OK;
}

/* ---- Records --------------------------------------------------------------------------------- */

static weir_status step_own(struct wr_store *store, enum wr_store_statement which, const char *text,
                            struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, which, text, &statement, error));
    return wr_sql_run(&store->sql, statement, error);
}

/* What a failed statement says about its record; WEIR_OK: it is the record's fault. */
static weir_status judge(struct wr_store *store, const struct wr_told_statement *statement,
                         int code, char message[MESSAGE_BYTES_MAX], struct wr_error *error)
{
    if (!wr_told_is_to_blame(code)) {
        return wr_sql_fail(&store->sql, code, error);
    }
    snprintf(message, MESSAGE_BYTES_MAX, "%s", sqlite3_errmsg(store->sql.db));
    if (sqlite3_get_autocommit(store->sql.db)) {
        return wr_told_fail_rolled_back(statement, error);
    }
    if (store->guard.denied) { /* a virtual table has statements of its own, made as it runs */
        return wr_told_fail(statement, WR_EXIT_CONFIG, store->guard.why, error);
    }
    sqlite3_reset(statement->statement);
    int primary = code & 0xff;
    if (primary != SQLITE_ERROR && primary != SQLITE_AUTH && primary != SQLITE_SCHEMA) {
        return WEIR_OK;
    }
    struct wr_told_statement again = *statement;
    again.statement = NULL;
    WR_TRY(wr_told_prepare(store, &again, NULL, error));
    sqlite3_finalize(again.statement);
    return WEIR_OK;
}

static weir_status add_reject(struct wr_store *store, const struct wr_epoch *epoch,
                              const struct wr_told *told, const struct wr_told_statement *statement,
                              const char *message, struct wr_error *error)
{
    char reason[WR_REASON_BYTES_MAX];
    int64_t held = store->rejects_held + (int64_t)epoch->reject_count + store->told_rejects -
                   (int64_t)epoch->progress.retried_count;
    const char *sink = statement->at.sink;
    if (store->rejects_max >= 0 && held >= store->rejects_max) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "cannot %s %s: sink `%s` refuses a record (%.200s), and the store may hold "
                       "no more than %lld dead letters (--rejects-max); look at them with `weir "
                       "rejects STORE`, make room with its --retry or --delete, or allow more",
                       store->sql.doing, store->sql.path, sink, message,
                       (long long)store->rejects_max);
    }
    snprintf(reason, sizeof reason, "%s (line %d of %.300s)", message, statement->at.line,
             statement->at.file);
    struct wr_reject reject = {.source = told->from.source,
                               .part = told->from.part,
                               .offset = told->from.offset,
                               .node = sink,
                               .reason = reason,
                               .seq = told->seq,
                               .record = told->record};
    WR_TRY(wr_store_apply_reject(store, epoch->number, &reject, error));
    store->told_rejects++;
    return WEIR_OK;
}

/* *refused_out: it has a dead letter and no other effect. */
static weir_status tell_record(struct wr_store *store, const struct wr_epoch *epoch,
                               const struct wr_told *told, bool *refused_out,
                               struct wr_error *error)
{
    struct wr_fault *fault = &store->env->fault;
    const struct wr_told_statement *at = store->told[told->sink].section[WR_SQL_RECORD];
    char message[MESSAGE_BYTES_MAX];
    *refused_out = false;
    if (!at) {
        return WEIR_OK;
    }
    WR_TRY(step_own(store, WR_DO_TELL_BEGIN, "SAVEPOINT told", error));
    for (; at && !*refused_out; at = *refused_out ? at : at->next) {
        WR_TRY(bind_record(store, at, told, error));
        int code = wr_told_run(store, at);
        if (code == SQLITE_DONE) {
            sqlite3_reset(at->statement);
            continue;
        }
        WR_TRY(judge(store, at, code, message, error));
        *refused_out = true;
        WR_TRY(step_own(store, WR_DO_TELL_UNDO, "ROLLBACK TO told", error));
        WR_FAULT(fault, sql_after_undo, error);
    }
    WR_FAULT(fault, sql_after_record, error);
    WR_TRY(step_own(store, WR_DO_TELL_END, "RELEASE told", error));
    return *refused_out ? add_reject(store, epoch, told, at, message, error) : WEIR_OK;
}

/* ---- Batches --------------------------------------------------------------------------------- */

/* The sink's records that were not refused, as a JSON array; how many. */
static weir_status gather(struct wr_store *store, const struct wr_epoch *epoch, size_t sink,
                          const bool *refused, int64_t *count_out, struct wr_error *error)
{
    struct wr_buffer *json = &store->json;
    int64_t count = 0;
    json->size = 0;
    bool fine = wr_json_put(json, "[");
    for (const struct wr_told *told = epoch->told; told && fine; told = told->next, refused++) {
        if (told->sink == sink && !*refused) {
            fine = (count == 0 || wr_json_put(json, ",")) && wr_told_record(json, &told->record);
            count++;
        }
    }
    *count_out = count;
    return fine && wr_json_put(json, "]") ? WEIR_OK : wr_fail_memory(error);
}

static weir_status fail_batch(struct wr_store *store, const struct wr_told_statement *at, int code,
                              int64_t count, struct wr_error *error)
{
    char message[MESSAGE_BYTES_MAX];
    WR_TRY(judge(store, at, code, message, error));
    return wr_fail_native(error, WEIR_FATAL, WR_EXIT_DATA, code,
                          "cannot %s %s: sink `%s`: %.300s, line %d, section `batch`: %.300s; a "
                          "batch (here of %lld records) has no one record to blame, so the epoch "
                          "is not decided; mend the statement, or the table, and start again, "
                          "nothing is lost",
                          store->sql.doing, store->sql.path, at->at.sink, at->at.file, at->at.line,
                          message, (long long)count);
}

static weir_status tell_batch(struct wr_store *store, const struct wr_epoch *epoch, size_t sink,
                              const bool *refused, struct wr_error *error)
{
    const struct wr_told_statement *at = store->told[sink].section[WR_SQL_BATCH];
    int64_t count = 0;
    if (!at || !epoch->sink[sink].told) {
        return WEIR_OK;
    }
    WR_TRY(gather(store, epoch, sink, refused, &count, error));
    for (; at && count > 0; at = at->next) {
        for (int i = 0; i < at->parameters; i++) {
            if (at->values[i] == WR_TOLD_COUNT) {
                wr_sql_int(at->statement, i + 1, count);
            } else {
                wr_assert_that(at->values[i], ==, WR_TOLD_RECORDS);
                wr_sql_text_sized(at->statement, i + 1, store->json.data, store->json.size);
            }
        }
        int code = wr_told_run(store, at);
        if (code != SQLITE_DONE) {
            return fail_batch(store, at, code, count, error);
        }
        sqlite3_reset(at->statement);
    }
    return WEIR_OK;
}

/* ---- All of it ------------------------------------------------------------------------------- */

weir_status wr_store_apply_sql(struct wr_store *store, const struct wr_epoch *epoch,
                               struct wr_error *error)
{
    size_t count = 0;
    if (epoch->told_count == 0) {
        return WEIR_OK;
    }
    bool *refused = wr_arena_alloc(&store->scratch, epoch->told_count * sizeof *refused);
    if (!refused) {
        return wr_fail_memory(error);
    }
    for (const struct wr_told *told = epoch->told; told; told = told->next, count++) {
        wr_assert_that(epoch->sinks[told->sink].kind, ==, WR_SINK_SQL);
        WR_TRY(tell_record(store, epoch, told, &refused[count], error));
    }
    wr_assert_that(count, ==, epoch->told_count);
    for (size_t i = 0; i < epoch->sink_count; i++) {
        WR_TRY(tell_batch(store, epoch, i, refused, error));
    }
    if (store->json.capacity > JSON_KEEP) {
        wr_buffer_fini(&store->json);
    }
    return WEIR_OK;
}

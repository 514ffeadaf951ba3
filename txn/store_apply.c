/* store_apply.c: deciding: one transaction makes a sealed epoch last, whole or not at all
 * (invariant 1). See store.h.
 *
 *   reserve memory ▶ BEGIN IMMEDIATE ▶ generation ▶ state ▶ timers ▶ tables ▶ sql ▶ logs,
 *   rejects ▶ positions, watermarks ▶ markers, trimming ▶ the epoch's own row ▶ COMMIT
 *
 * Effects and positions can be applied apart; delivery.c says which when.
 *
 * Whatever fails in between rolls back. The epoch's row is written last: it holds the positions and
 * offsets as they are after it, so every output can be traced to its input range.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/assert.h"
#include "txn/store_inner.h"

enum { HISTORY_STEP = 1000 }; /* the history is trimmed this many epochs at a time */

/* ---- The transaction ------------------------------------------------------------------------- */

/* It changes with each transaction that changed the file, of this connection or of another one. */
static unsigned data_version(struct wr_store *store)
{
    unsigned version = 0;
    int code = sqlite3_file_control(store->sql.db, "main", SQLITE_FCNTL_DATA_VERSION, &version);
    wr_assert_that(code, ==, SQLITE_OK);
    return version;
}

/* What was read is read again when somebody else wrote to the file since the last transaction. */
static weir_status check_generation(struct wr_store *store, struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row;
    if (store->seen == store->info.generation && data_version(store) == store->data_version) {
        return WEIR_OK;
    }
    wr_ledger_forget(&store->ledger);
    WR_TRY(wr_store_statement(store, WR_DO_GENERATION,
                              "SELECT value FROM meta WHERE key = 'generation'", &statement,
                              error));
    WR_TRY(wr_sql_step(&store->sql, statement, &row, error));
    if (!row) {
        return wr_sql_broken(&store->sql, error, "meta holds no generation");
    }
    int64_t found = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    if (found != store->info.generation) {
        return wr_sql_fail_overtaken(&store->sql, store->info.generation, found, error);
    }
    return WEIR_OK;
}

weir_status wr_store_begin(struct wr_store *store, struct wr_error *error)
{
    sqlite3_stmt *statement;
    if (store->starting) {
        return WEIR_OK;
    }
    wr_assert(sqlite3_get_autocommit(store->sql.db));
    WR_TRY(wr_store_statement(store, WR_DO_BEGIN, "BEGIN IMMEDIATE", &statement, error));
    WR_TRY(wr_sql_run(&store->sql, statement, error));
    weir_status status = check_generation(store, error);
    return status == WEIR_OK ? status : wr_store_end(store, status, error);
}

static weir_status undo(struct wr_store *store, weir_status status)
{
    wr_ledger_forget(&store->ledger);
    store->seen = 0;
    for (sqlite3_stmt *at = NULL; (at = sqlite3_next_stmt(store->sql.db, at));) {
        sqlite3_reset(at);
    }
    if (!sqlite3_get_autocommit(store->sql.db)) { /* some failures have rolled back already */
        sqlite3_exec(store->sql.db, "ROLLBACK", NULL, NULL, NULL);
    }
    return status;
}

weir_status wr_store_end(struct wr_store *store, weir_status status, struct wr_error *error)
{
    if (store->starting) {
        return status;
    }
    if (status == WEIR_OK) {
        sqlite3_stmt *statement;
        status = wr_store_statement(store, WR_DO_END, "COMMIT", &statement, error);
        if (status == WEIR_OK) {
            status = wr_sql_run(&store->sql, statement, error);
        }
    }
    if (status != WEIR_OK) {
        return undo(store, status);
    }
    store->data_version = data_version(store);
    store->seen = store->info.generation;
    return WEIR_OK;
}

/* ---- Rejects, positions, watermarks ---------------------------------------------------------- */

weir_status wr_store_apply_reject(struct wr_store *store, int64_t epoch,
                                  const struct wr_reject *reject, struct wr_error *error)
{
    weir_bytes headers = {NULL, 0};
    if (reject->record.header_count > 0) {
        WR_TRY(wr_headers_encode(&reject->record, &store->scratch, &headers, error));
    }
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, WR_DO_REJECT,
                              "INSERT INTO reject(epoch, source, part, offset, node, input, seq,"
                              " key, value, headers, time_ms, timer, reason)"
                              " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                              &statement, error));
    wr_sql_int(statement, 1, epoch);
    wr_sql_text(statement, 2, reject->source);
    wr_sql_text(statement, 3, reject->part);
    wr_sql_time(statement, 4, reject->source ? reject->offset : INT64_MIN);
    wr_sql_text(statement, 5, reject->node);
    wr_sql_int(statement, 6, reject->input);
    wr_sql_int(statement, 7, reject->seq);
    wr_sql_bytes(statement, 8, reject->record.key);
    wr_sql_bytes(statement, 9, reject->record.value);
    wr_sql_bytes(statement, 10, headers);
    wr_sql_int(statement, 11, reject->record.time_ms);
    wr_sql_bytes(statement, 12, reject->timer);
    wr_sql_text(statement, 13, reject->reason);
    return wr_sql_run(&store->sql, statement, error);
}

static weir_status apply_watermark(struct wr_store *store, const struct wr_watermark *watermark,
                                   struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(
        store, WR_DO_WATERMARK_PUT,
        "INSERT OR REPLACE INTO watermark(node, source, part, watermark_ms, idle)"
        " VALUES(?1, ?2, ?3, ?4, ?5)",
        &statement, error));
    wr_sql_int(statement, 1, watermark->node);
    wr_sql_text(statement, 2, watermark->source);
    wr_sql_text(statement, 3, watermark->part);
    wr_sql_time(statement, 4, watermark->watermark_ms);
    wr_sql_int(statement, 5, watermark->idle);
    return wr_sql_run(&store->sql, statement, error);
}

static weir_status apply_rejects(struct wr_store *store, const struct wr_epoch *epoch,
                                 struct wr_error *error)
{
    size_t count = 0;
    for (const struct wr_reject *at = epoch->rejects; at; at = at->next, count++) {
        WR_TRY(wr_store_apply_reject(store, epoch->number, at, error));
    }
    wr_assert_that(count, ==, epoch->reject_count);
    return WEIR_OK;
}

/* A dead letter that was taken again leaves the queue, and goes. */
static weir_status apply_retried(struct wr_store *store, int64_t reject, struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, WR_DO_RETRIED, "DELETE FROM retry WHERE reject = ?1",
                              &statement, error));
    wr_sql_int(statement, 1, reject);
    WR_TRY(wr_sql_run(&store->sql, statement, error));
    WR_TRY(wr_store_statement(store, WR_DO_RETRIED_REJECT, "DELETE FROM reject WHERE id = ?1",
                              &statement, error));
    wr_sql_int(statement, 1, reject);
    return wr_sql_run(&store->sql, statement, error);
}

static weir_status apply_progress(struct wr_store *store, const struct wr_progress *progress,
                                  struct wr_error *error)
{
    for (size_t i = 0; i < progress->position_count; i++) {
        WR_TRY(wr_ledger_position(store, &progress->positions[i], error));
    }
    for (size_t i = 0; i < progress->watermark_count; i++) {
        WR_TRY(apply_watermark(store, &progress->watermarks[i], error));
    }
    for (size_t i = 0; i < progress->node_count; i++) {
        WR_TRY(wr_ledger_node(store, &progress->nodes[i], error));
    }
    for (size_t i = 0; i < progress->retried_count; i++) {
        WR_TRY(apply_retried(store, progress->retried[i], error));
    }
    return WEIR_OK;
}

/* The mode that decides from here on. As long as it is not exactly-once, positions may be elsewhere
 * than the newest epoch's row says, and verify must know. */
static weir_status apply_delivery(struct wr_store *store, const char *delivery,
                                  struct wr_error *error)
{
    sqlite3_stmt *statement;
    if (store->delivery) {
        return WEIR_OK;
    }
    WR_TRY(wr_store_statement(store, WR_DO_DELIVERY,
                              "INSERT OR REPLACE INTO meta(key, value) VALUES('delivery', ?1)",
                              &statement, error));
    wr_sql_text(statement, 1, delivery);
    return wr_sql_run(&store->sql, statement, error);
}

/* ---- The epoch's own row --------------------------------------------------------------------- */

static weir_bytes changes_of(const struct wr_store *store)
{
    const struct wr_buffer *changes = &store->changes;
    return changes->size ? wr_bytes(changes->data, changes->size) : (weir_bytes){NULL, 0};
}

weir_status wr_store_apply_row(struct wr_store *store, int64_t number, int64_t records,
                               int64_t now_ms, struct wr_error *error)
{
    sqlite3_stmt *statement;
    wr_assert_that(number, ==, store->decided + 1);
    WR_TRY(wr_ledger_write(store, error));
    WR_TRY(wr_store_statement(store, WR_DO_EPOCH,
                              "INSERT INTO epoch(number, time_ms, records, positions, offsets,"
                              " progress, folded, changes) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                              &statement, error));
    const struct wr_ledger *ledger = &store->ledger;
    wr_sql_int(statement, 1, number);
    wr_sql_int(statement, 2, now_ms);
    wr_sql_int(statement, 3, records);
    wr_sql_text_sized(statement, 4, ledger->positions.data, ledger->positions.size);
    wr_sql_text_sized(statement, 5, ledger->offsets.data, ledger->offsets.size);
    wr_sql_text_sized(statement, 6, ledger->tail.data, ledger->tail.size);
    wr_sql_int(statement, 7, ledger->folded);
    wr_sql_bytes(statement, 8, changes_of(store));
    WR_TRY(wr_sql_run(&store->sql, statement, error));
    if (number % HISTORY_STEP != 0) {
        return WEIR_OK;
    }
    WR_TRY(wr_store_statement(store, WR_DO_EPOCH_TRIM, "DELETE FROM epoch WHERE number <= ?1",
                              &statement, error));
    int64_t last = number - WR_EPOCH_HISTORY;
    wr_sql_int(statement, 1, last < ledger->folded ? last : ledger->folded);
    return wr_sql_run(&store->sql, statement, error);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static weir_status apply_effects(struct wr_store *store, const struct wr_apply *apply,
                                 int64_t now_ms, struct wr_error *error)
{
    struct wr_fault *fault = &store->env->fault;
    const struct wr_epoch *epoch = apply->epoch;
    WR_TRY(wr_store_apply_state(store, epoch, error));
    WR_FAULT(fault, decide_after_state, error);
    WR_TRY(wr_store_apply_timers(store, epoch, error));
    WR_FAULT(fault, decide_after_timers, error);
    WR_TRY(wr_store_apply_tables(store, epoch, error));
    WR_FAULT(fault, decide_after_tables, error);
    WR_TRY(wr_store_apply_sql(store, epoch, error));
    WR_FAULT(fault, decide_after_sql, error);
    WR_TRY(wr_store_apply_logs(store, epoch, apply->no_outboxes, now_ms, error));
    WR_TRY(apply_rejects(store, epoch, error));
    WR_FAULT(fault, decide_after_logs, error);
    return WEIR_OK;
}

static weir_status apply_all(struct wr_store *store, const struct wr_apply *apply,
                             const char *delivery, struct wr_error *error)
{
    int64_t now_ms = store->env->wall_ms(store->env);
    WR_FAULT(&store->env->fault, decide_after_begin, error);
    store->changes.size = 0;
    store->told_rejects = 0;
    if (apply->epoch) {
        WR_TRY(apply_effects(store, apply, now_ms, error));
    }
    if (apply->progress) {
        WR_TRY(apply_progress(store, apply->progress, error));
        WR_FAULT(&store->env->fault, decide_after_positions, error);
    }
    for (size_t i = 0; i < apply->marker_count; i++) {
        WR_TRY(wr_store_apply_marker(store, &apply->markers[i], error));
    }
    if (apply->epoch || apply->progress) {
        WR_TRY(apply_delivery(store, delivery, error));
    }
    if (apply->epoch) {
        WR_TRY(wr_store_apply_row(store, apply->epoch->number, apply->epoch->records_in, now_ms,
                                  error));
    } else {
        WR_TRY(wr_ledger_rewrite(store, error));
    }
    WR_FAULT(&store->env->fault, decide_before_end, error);
    return WEIR_OK;
}

/* Whether the end of the next transaction syncs the WAL. */
static weir_status set_lazy(struct wr_store *store, bool lazy, struct wr_error *error)
{
    if (store->sync != WR_SYNC_FULL) { /* it does not anyway */
        return WEIR_OK;
    }
    /* Not prepared once: this pragma acts when it is prepared. */
    return wr_sql_exec(&store->sql, lazy ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL",
                       error);
}

static weir_status apply_once(struct wr_store *store, const struct wr_apply *apply,
                              struct wr_error *error)
{
    const char *delivery = apply->delivery ? apply->delivery : "exactly-once";
    wr_arena_reset(&store->scratch);
    WR_FAULT(&store->env->fault, decide_before_begin, error);
    WR_TRY(wr_store_begin(store, error));
    WR_TRY(wr_store_end(store, apply_all(store, apply, delivery, error), error));
    if (apply->epoch || apply->progress) {
        store->delivery = delivery;
    }
    if (apply->epoch) {
        const struct wr_epoch *epoch = apply->epoch;
        store->rejects_held += (int64_t)epoch->reject_count + store->told_rejects -
                               (int64_t)epoch->progress.retried_count;
        atomic_fetch_add(&store->sql_rejects, store->told_rejects);
        store->decided = epoch->number;
        atomic_store(&store->env->epoch, store->decided);
    }
    WR_FAULT(&store->env->fault, decide_after_end, error);
    return WEIR_OK;
}

weir_status wr_store_apply(struct wr_store *store, const struct wr_apply *apply,
                           struct wr_error *error)
{
    if (apply->epoch) {
        wr_assert_that(apply->epoch->phase, ==, WR_EPOCH_SEALED);
        wr_assert_that(apply->epoch->number, ==, store->decided + 1);
        wr_sql_doing(&store->sql, "decide epoch %lld of", (long long)apply->epoch->number);
        WR_TRY(wr_store_reserve(store, apply->epoch, error));
    } else {
        wr_sql_doing(&store->sql, "move the %s of", apply->progress ? "positions" : "markers");
    }
    if (!apply->lazy) {
        return apply_once(store, apply, error);
    }
    WR_TRY(set_lazy(store, true, error));
    WR_TRY(apply_once(store, apply, error));
    return set_lazy(store, false, error);
}

/* store_apply_logs.c: batches appended to logs, markers, and what is trimmed. See store_inner.h.
 *
 * A log is trimmed in whole batches: an outbox below its marker, a topic by its retention. Topics
 * have no forwarder, and an outbox has no retention. The newest batch of a topic always stays. An
 * epoch trims what it appends to; store_retain.c does what age asks for while none comes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/assert.h"
#include "txn/store_inner.h"

enum {
    TRIM_STEP = 32, /* batches looked at in one go */
    TRIM_MAX = 1024, /* batches trimmed from one log in one transaction */
    RETAIN_WAIT_MS_MIN =
        1000, /* between two looks at the age of batches while nothing is decided */
    RETAIN_WAIT_MS_MAX = 60000,
};

/* ---- Trimming -------------------------------------------------------------------------------- */

/* What may go: whole batches below an offset; of these, all, or those beyond the limits. */
struct trim {
    int64_t topic;
    int32_t partition;
    int64_t below; /* offset */
    bool all; /* else by the two limits */
    int64_t bytes_kept; /* 0: no limit */
    int64_t written_before_ms; /* INT64_MIN: no limit */
};

struct batch_row {
    int64_t id, first, count, bytes, written_ms;
};

static weir_status oldest_batches(struct wr_store *store, const struct trim *trim,
                                  struct batch_row rows_out[TRIM_STEP], int *count_out,
                                  struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(
        store, WR_DO_LOG_OLDEST,
        "SELECT log.id, log.first_offset, count, length(batch), written_ms"
        " FROM " WR_LOG_ROWS("?1", "?2") " ORDER BY seek.first_offset, log.id LIMIT ?3",
        &statement, error));
    wr_sql_int(statement, 1, trim->topic);
    wr_sql_int(statement, 2, trim->partition);
    wr_sql_int(statement, 3, TRIM_STEP);
    bool row;
    for (int count = 0;; count++) {
        WR_TRY(wr_sql_step(&store->sql, statement, &row, error));
        if (!row) {
            *count_out = count;
            return WEIR_OK;
        }
        wr_assert_that(count, <, TRIM_STEP);
        struct batch_row *to = &rows_out[count];
        *to = (struct batch_row){
            .id = sqlite3_column_int64(statement, 0),
            .first = sqlite3_column_int64(statement, 1),
            .count = sqlite3_column_int64(statement, 2),
            .bytes = sqlite3_column_int64(statement, 3),
            .written_ms = sqlite3_column_int64(statement, 4),
        };
        if (to->first < 0 || to->first > WR_COUNTER_MAX || to->count < 1 ||
            to->count > UINT32_MAX) {
            sqlite3_reset(statement);
            return wr_sql_broken(&store->sql, error, "a batch of %lld records at offset %lld",
                                 (long long)to->count, (long long)to->first);
        }
    }
}

static bool may_go(const struct trim *trim, const struct wr_ledger_row *at,
                   const struct batch_row *row)
{
    if (row->first + row->count > trim->below) {
        return false;
    }
    bool spare = trim->bytes_kept > 0 && at->bytes - row->bytes >= trim->bytes_kept;
    return trim->all || spare || row->written_ms < trim->written_before_ms;
}

static weir_status remove_batch(struct wr_store *store, int64_t id, struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, WR_DO_LOG_REMOVE, "DELETE FROM log WHERE id = ?1", &statement,
                              error));
    wr_sql_int(statement, 1, id);
    return wr_sql_run(&store->sql, statement, error);
}

/* Rows of log_seek from which nothing is left to be found. */
static weir_status trim_seek(struct wr_store *store, const struct trim *trim, int64_t first,
                             struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, WR_DO_LOG_SEEK_TRIM,
                              "DELETE FROM log_seek WHERE topic = ?1 AND partition = ?2 AND"
                              " first_offset < (SELECT max(first_offset) FROM log_seek"
                              " WHERE topic = ?1 AND partition = ?2 AND first_offset <= ?3)",
                              &statement, error));
    wr_sql_int(statement, 1, trim->topic);
    wr_sql_int(statement, 2, trim->partition);
    wr_sql_int(statement, 3, first);
    return wr_sql_run(&store->sql, statement, error);
}

/* Bounded: what is left over goes with a later epoch. */
static weir_status trim_log(struct wr_store *store, const struct trim *trim,
                            struct wr_ledger_row *at, struct wr_error *error)
{
    struct batch_row rows[TRIM_STEP];
    int removed = 0;
    for (bool more = true; more && removed < TRIM_MAX;) {
        int count;
        WR_TRY(oldest_batches(store, trim, rows, &count, error));
        more = count == TRIM_STEP;
        for (int i = 0; i < count; i++) {
            if (!may_go(trim, at, &rows[i])) {
                more = false;
                break;
            }
            if (removed++ == 0) {
                WR_FAULT(&store->env->fault, trim_before, error);
            }
            WR_TRY(remove_batch(store, rows[i].id, error));
            at->first = rows[i].first + rows[i].count;
            at->bytes -= rows[i].bytes;
        }
    }
    if (removed) {
        wr_ledger_changed(&store->ledger, at);
        WR_TRY(trim_seek(store, trim, at->first, error));
        WR_FAULT(&store->env->fault, trim_after, error);
    }
    return WEIR_OK;
}

weir_status wr_store_trim_old(struct wr_store *store, const struct wr_sink *sink, int32_t partition,
                              int64_t now_ms, struct wr_error *error)
{
    struct wr_ledger_row *at;
    WR_TRY(wr_ledger_partition(store, sink->topic, partition, &at, error));
    struct trim trim = {
        .topic = sink->topic,
        .partition = partition,
        .below = at->next - 1, /* the newest batch ends at next, so it stays */
        .bytes_kept = sink->retain_bytes,
        .written_before_ms = sink->retain_ms > 0 ? now_ms - sink->retain_ms : INT64_MIN,
    };
    return trim_log(store, &trim, at, error);
}

/* The partitions that grew, and one more in turn, so that old batches of quiet ones go as well. */
static weir_status retain_sink(struct wr_store *store, const struct wr_sink *sink,
                               const struct wr_epoch_sink *write, int64_t epoch, int64_t now_ms,
                               struct wr_error *error)
{
    int32_t turn = (int32_t)(epoch % sink->partitions);
    for (int32_t i = 0; i < sink->partitions; i++) {
        if (i == turn || (write->appended && write->appended[i] > 0)) {
            WR_TRY(wr_store_trim_old(store, sink, i, now_ms, error));
        }
    }
    return WEIR_OK;
}

/* ---- Logs ------------------------------------------------------------------------------------ */

static weir_status append_row(struct wr_store *store, int64_t topic, const struct wr_batch *batch,
                              int64_t epoch, int64_t now_ms, int64_t crc, struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, WR_DO_LOG_APPEND,
                              "INSERT INTO log(id, topic, partition, first_offset, count, epoch,"
                              " written_ms, crc, batch) VALUES(?9, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                              &statement, error));
    wr_sql_int(statement, 1, topic);
    wr_sql_int(statement, 2, batch->partition);
    wr_sql_int(statement, 3, batch->first_offset);
    wr_sql_int(statement, 4, batch->count);
    wr_sql_int(statement, 5, epoch);
    wr_sql_int(statement, 6, now_ms);
    wr_sql_int(statement, 7, crc);
    wr_sql_bytes(statement, 8, wr_bytes(batch->bytes.data, batch->bytes.size));
    wr_sql_int(statement, 9, store->ledger.log_id);
    return wr_sql_run(&store->sql, statement, error);
}

/* An index of all batches would be one more page in each transaction: only one in so many ids has a
 * row there. */
static weir_status append_seek(struct wr_store *store, struct wr_ledger_row *at,
                               struct wr_error *error)
{
    sqlite3_stmt *statement;
    int64_t id = store->ledger.log_id++;
    wr_assert_that(at->seek, <, id);
    if (at->seek > 0 && id - at->seek < WR_LOG_SEEK_STEP) {
        return WEIR_OK;
    }
    at->seek = id;
    WR_TRY(wr_store_statement(store, WR_DO_LOG_SEEK,
                              "INSERT INTO log_seek(topic, partition, first_offset, id)"
                              " VALUES(?1, ?2, ?3, ?4)",
                              &statement, error));
    wr_sql_int(statement, 1, at->id);
    wr_sql_int(statement, 2, at->partition);
    wr_sql_int(statement, 3, at->next);
    wr_sql_int(statement, 4, id);
    return wr_sql_run(&store->sql, statement, error);
}

static weir_status append_batch(struct wr_store *store, const struct wr_sink *sink,
                                const struct wr_batch *batch, int64_t epoch, int64_t now_ms,
                                struct wr_error *error)
{
    struct wr_ledger_row *at;
    wr_assert_that(batch->count, >, 0);
    wr_assert_that(batch->bytes.size, >, WR_BATCH_HEADER_BYTES);
    wr_assert_that(batch->partition, <, sink->partitions);
    WR_TRY(wr_ledger_partition(store, sink->topic, batch->partition, &at, error));
    if (at->next != batch->first_offset) {
        return wr_sql_broken(&store->sql, error,
                             "partition %d of topic %s ends at offset %lld, and the epoch's next "
                             "batch starts at %lld",
                             (int)batch->partition, sink->topic_name, (long long)at->next,
                             (long long)batch->first_offset);
    }
    /* The running CRC: over the batches' own, which their headers hold. */
    int64_t crc = wr_crc32c((uint32_t)at->crc, batch->bytes.data + WR_BATCH_CRC_AT, 4);
    WR_TRY(append_row(store, sink->topic, batch, epoch, now_ms, crc, error));
    WR_TRY(append_seek(store, at, error));
    at->next += batch->count;
    at->bytes += (int64_t)batch->bytes.size;
    at->crc = crc;
    wr_ledger_changed(&store->ledger, at);
    return WEIR_OK;
}

weir_status wr_store_apply_logs(struct wr_store *store, const struct wr_epoch *epoch,
                                bool no_outboxes, int64_t now_ms, struct wr_error *error)
{
    for (size_t i = 0; i < epoch->sink_count; i++) {
        const struct wr_sink *sink = &epoch->sinks[i];
        const struct wr_epoch_sink *write = &epoch->sink[i];
        if (no_outboxes && sink->kind == WR_SINK_OUTBOX) {
            continue;
        }
        for (const struct wr_batch *batch = write->batches; batch; batch = batch->next) {
            WR_TRY(append_batch(store, sink, batch, epoch->number, now_ms, error));
        }
        if (sink->kind == WR_SINK_LOG && (sink->retain_ms > 0 || sink->retain_bytes > 0)) {
            WR_TRY(retain_sink(store, sink, write, epoch->number, now_ms, error));
        }
    }
    return WEIR_OK;
}

/* ---- Markers --------------------------------------------------------------------------------- */

static weir_status put_marker(struct wr_store *store, const struct wr_marker *marker,
                              struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(
        store, WR_DO_MARKER_PUT,
        "INSERT OR REPLACE INTO marker(sink, next, length, incarnation, crc, identity)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        &statement, error));
    wr_sql_text(statement, 1, marker->sink);
    wr_sql_int(statement, 2, marker->next);
    wr_sql_int(statement, 3, marker->length);
    wr_sql_int(statement, 4, (int64_t)marker->incarnation);
    wr_sql_int(statement, 5, (int64_t)marker->crc);
    wr_sql_text(statement, 6, marker->identity);
    return wr_sql_run(&store->sql, statement, error);
}

weir_status wr_store_apply_marker(struct wr_store *store, const struct wr_marker *marker,
                                  struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row;
    WR_TRY(put_marker(store, marker, error));
    WR_TRY(wr_store_statement(store, WR_DO_MARKER_TOPIC,
                              "SELECT id FROM topic WHERE name = ?1 AND outbox = 1", &statement,
                              error));
    wr_sql_text(statement, 1, marker->sink);
    WR_TRY(wr_sql_step(&store->sql, statement, &row, error));
    if (!row) {
        return wr_sql_broken(&store->sql, error, "sink `%s` has a marker but no outbox",
                             marker->sink);
    }
    struct trim trim = {.topic = sqlite3_column_int64(statement, 0),
                        .below = marker->next,
                        .all = true,
                        .written_before_ms = INT64_MIN};
    sqlite3_reset(statement);
    struct wr_ledger_row *at;
    WR_TRY(wr_ledger_partition(store, trim.topic, 0, &at, error));
    if (marker->next > at->next || marker->next < 0) {
        return wr_sql_broken(&store->sql, error,
                             "the marker of sink `%s` is %lld, and its outbox ends at %lld",
                             marker->sink, (long long)marker->next, (long long)at->next);
    }
    return trim_log(store, &trim, at, error);
}

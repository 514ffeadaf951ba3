/* store_retain.c: topics trimmed by age while no epoch comes. See store.h.
 *
 * A look reads the time of each partition's oldest batch; from it follows when the next look is
 * worth it, since what is appended later is younger.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/store_inner.h"

enum {
    WAIT_MS_MIN = 1000, /* between two looks */
    WAIT_MS_MAX = 60000, /* the clock may be set back */
};

/* When the oldest batch of a topic that may go was written; INT64_MAX: none may, whatever its age.
 */
static weir_status oldest_written(struct wr_store *store, int64_t topic, int64_t *written_ms_out,
                                  struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row;
    *written_ms_out = INT64_MAX;
    WR_TRY(
        wr_sql_once(&store->sql,
                    "SELECT min((SELECT written_ms FROM " WR_LOG_ROWS(
                        "at.topic", "at.partition") " WHERE log.first_offset + count < at.next"
                                                    " ORDER BY seek.first_offset, log.id LIMIT 1))"
                                                    " FROM partition AS at WHERE at.topic = ?1",
                    &statement, error));
    wr_sql_int(statement, 1, topic);
    weir_status status = wr_sql_step(&store->sql, statement, &row, error);
    if (status == WEIR_OK && row && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        *written_ms_out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return status;
}

static bool has_age(const struct wr_sink *sink)
{
    return sink->kind == WR_SINK_LOG && sink->retain_ms > 0;
}

/* Every partition of the topics that have something too old, in one transaction. */
static weir_status retain_all(struct wr_store *store, int64_t now_ms, struct wr_error *error)
{
    wr_sql_doing(&store->sql, "trim the topics of");
    WR_TRY(wr_store_begin(store, error));
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < store->sink_count && status == WEIR_OK; i++) {
        const struct wr_sink *sink = &store->sinks[i];
        for (int32_t p = 0; has_age(sink) && p < sink->partitions && status == WEIR_OK; p++) {
            status = wr_store_trim_old(store, sink, p, now_ms, error);
        }
    }
    if (status == WEIR_OK) {
        status = wr_ledger_rewrite(store, error);
    }
    return wr_store_end(store, status, error);
}

/* A wait for retention has bounds: more often is of no use, and a clock may be set back. */
static int64_t bounded_wait(int64_t wait_ms)
{
    wait_ms = wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX;
    return wait_ms > WAIT_MS_MIN ? wait_ms : WAIT_MS_MIN;
}

int64_t wr_store_retain_due_ms(const struct wr_store *store)
{
    bool any = false;
    for (size_t i = 0; store->sinks && i < store->sink_count; i++) {
        any = any || has_age(&store->sinks[i]);
    }
    if (!any) {
        return INT64_MAX;
    }
    int64_t left_ms = store->retain_at_ms - store->env->wall_ms(store->env);
    return left_ms > WAIT_MS_MAX ? WAIT_MS_MAX : left_ms > 0 ? left_ms : 0;
}

weir_status wr_store_retain(struct wr_store *store, struct wr_error *error)
{
    int64_t now_ms = store->env->wall_ms(store->env), wait_ms = INT64_MAX;
    bool due = false;
    wr_sql_doing(&store->sql, "look for old batches in");
    for (size_t i = 0; store->sinks && i < store->sink_count; i++) {
        const struct wr_sink *sink = &store->sinks[i];
        int64_t written_ms;
        if (!has_age(sink)) {
            continue;
        }
        WR_TRY(oldest_written(store, sink->topic, &written_ms, error));
        int64_t age_ms = written_ms < now_ms ? now_ms - written_ms : 0;
        due = due || (written_ms < INT64_MAX && age_ms > sink->retain_ms);
        wait_ms = sink->retain_ms - age_ms < wait_ms ? sink->retain_ms - age_ms : wait_ms;
    }
    store->retain_at_ms = now_ms + bounded_wait(wait_ms);
    if (!due) {
        return WEIR_OK;
    }
    WR_TRY(retain_all(store, now_ms, error));
    return wr_store_checkpoint(store, error);
}

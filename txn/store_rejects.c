/* store_rejects.c: see store_rejects.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/store_rejects.h"

#include "txn/store_inner.h"

/* The ids that were chosen: parameters 1 to 5, and 6 is how many at most. */
#define CHOSEN "(SELECT reject.id FROM reject WHERE " WR_REJECT_WHERE " ORDER BY id LIMIT ?6)"
/* A record over the limit: its source keeps the beginning, as many bytes as a record may have.
 * Parameter 7 is that limit. */
#define CUT "(node IS source AND ifnull(length(value), 0) = ?7)"

void wr_reject_filter_init(struct wr_reject_filter *filter)
{
    *filter = (struct wr_reject_filter){.first = 0, .last = INT64_MAX, .number = -1};
}

void wr_reject_filter_bind(const struct wr_reject_filter *filter, struct wr_rows *rows)
{
    wr_rows_bind_text(rows, 1, filter->node);
    wr_rows_bind_text(rows, 2, filter->source);
    wr_rows_bind_text(rows, 3, filter->reason);
    wr_rows_bind_int(rows, 4, filter->first);
    wr_rows_bind_int(rows, 5, filter->last);
}

/* A statement on the chosen ones, for one use. */
static weir_status choose(struct wr_store *store, const char *text,
                          const struct wr_reject_filter *filter, sqlite3_stmt **statement_out,
                          struct wr_error *error)
{
    WR_TRY(wr_sql_once(&store->sql, text, statement_out, error));
    wr_sql_text(*statement_out, 1, filter->node);
    wr_sql_text(*statement_out, 2, filter->source);
    wr_sql_text(*statement_out, 3, filter->reason);
    wr_sql_int(*statement_out, 4, filter->first);
    wr_sql_int(*statement_out, 5, filter->last);
    wr_sql_int(*statement_out, 6, filter->number);
    if (sqlite3_bind_parameter_count(*statement_out) >= 7) {
        wr_sql_int(*statement_out, 7, WR_RECORD_BYTES_MAX);
    }
    return WEIR_OK;
}

static weir_status change(struct wr_store *store, const char *text,
                          const struct wr_reject_filter *filter, int64_t *changed_out,
                          struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(choose(store, text, filter, &statement, error));
    WR_TRY(wr_sql_run_once(&store->sql, statement, error));
    *changed_out = sqlite3_changes64(store->sql.db);
    return WEIR_OK;
}

static weir_status count(struct wr_store *store, const struct wr_reject_filter *filter,
                         struct wr_reject_counts *counts, struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row = false;
    WR_TRY(choose(store,
                  "SELECT count(*), count(retry.reject), count(*) FILTER (WHERE " CUT ")"
                  " FROM reject LEFT JOIN retry ON retry.reject = reject.id"
                  " WHERE reject.id IN " CHOSEN,
                  filter, &statement, error));
    weir_status status = wr_sql_step(&store->sql, statement, &row, error);
    if (status == WEIR_OK && row) {
        counts->matched = sqlite3_column_int64(statement, 0);
        counts->queued = sqlite3_column_int64(statement, 1);
        counts->cut = sqlite3_column_int64(statement, 2);
    }
    sqlite3_finalize(statement);
    return status;
}

static weir_status act_on(struct wr_store *store, const struct wr_reject_filter *filter,
                          enum wr_reject_act act, struct wr_reject_counts *counts,
                          struct wr_error *error)
{
    WR_TRY(count(store, filter, counts, error));
    switch (act) {
    case WR_REJECTS_RETRY:
        WR_TRY(change(store,
                      "INSERT INTO retry(reject) SELECT id FROM reject WHERE id IN " CHOSEN
                      " AND NOT " CUT " ON CONFLICT DO NOTHING",
                      filter, &counts->changed, error));
        return WEIR_OK;
    case WR_REJECTS_KEEP:
        return change(store, "DELETE FROM retry WHERE reject IN " CHOSEN, filter, &counts->changed,
                      error);
    case WR_REJECTS_DELETE:
        WR_TRY(change(store, "DELETE FROM retry WHERE reject IN " CHOSEN, filter, &counts->changed,
                      error));
        WR_TRY(change(store, "DELETE FROM reject WHERE id IN " CHOSEN, filter, &counts->changed,
                      error));
        if (counts->changed != counts->matched) {
            return wr_sql_broken(&store->sql, error, "%lld dead letters match, and %lld went",
                                 (long long)counts->matched, (long long)counts->changed);
        }
        return WEIR_OK;
    }
    return WEIR_OK;
}

weir_status wr_store_rejects(struct wr_store *store, const struct wr_reject_filter *filter,
                             enum wr_reject_act act, struct wr_reject_counts *counts_out,
                             struct wr_error *error)
{
    *counts_out = (struct wr_reject_counts){0};
    wr_sql_doing(&store->sql,
                 act == WR_REJECTS_DELETE ? "delete dead letters of" : "queue dead letters of");
    WR_TRY(wr_store_begin(store, error));
    return wr_store_end(store, act_on(store, filter, act, counts_out, error), error);
}

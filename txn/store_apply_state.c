/* store_apply_state.c: state and timers of a write set. What an epoch changed in state is in its
 * own row; what it folds (fold.h), and timers, are upserted in key order. See
 * store_inner.h.
 *
 * What was tried for state, on 100,000 keys of up to 6 digits with 8-byte values, each epoch all of
 * them: upserts a row at a time take 0.95 us of CPU each (INSERT .. ON CONFLICT DO UPDATE), 0.88
 * (UPDATE) or 0.79 (INSERT OR REPLACE); 16, 32, 64 rows in one statement 0.58, 0.56, 0.54, with the
 * node, and the absent slot where all slots are, not bound again for each row. REPLACE and ON
 * CONFLICT are then equal; REPLACE is shorter. All of it, with sorting (0.05 us) and COMMIT: 0.7
 * us, 1.4 million a second; unsorted it would be 0.1 to 0.2 million.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/fold.h"
#include "txn/store_inner.h"

enum {
    ROWS = 32,
    GROUP = 8 * ROWS,
    ROW_TEXT_MAX = 24,
    LARGE = 1024, /* changes of an epoch that take room */
    TRIM_STEP = 16, /* epochs */
    TRIM_ROWS = 32, /* twice as many as come in a step, and few enough not to be a pause */
    TRIM_LARGE = 64 * 1024, /* an epoch that changes so much does its own part at once */
};
#define LARGE_TEXT "1024"

weir_status wr_store_reserve(struct wr_store *store, const struct wr_epoch *epoch,
                             struct wr_error *error)
{
    size_t most = epoch->timer_count;
    for (size_t i = 0; i < epoch->sink_count; i++) {
        most = epoch->sink[i].row_count > most ? epoch->sink[i].row_count : most;
    }
    return wr_sorter_reserve(&store->sorter, most, error);
}

/* ---- State ----------------------------------------------------------------------------------- */

/* ROWS rows of one node, with the slots bound, or all absent. */
static weir_status put_many_statement(struct wr_store *store, bool plain,
                                      sqlite3_stmt **statement_out, struct wr_error *error)
{
    enum wr_store_statement which = plain ? WR_DO_STATE_PUT_PLAIN_MANY : WR_DO_STATE_PUT_MANY;
    *statement_out = store->statement[which];
    if (*statement_out) {
        return WEIR_OK;
    }
    char text[128 + ROWS * ROW_TEXT_MAX];
    size_t size = (size_t)snprintf(text, sizeof text,
                                   "INSERT OR REPLACE INTO state(node, key, slot, value) VALUES");
    for (int row = 0, at = 2; row < ROWS; row++) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%s(?1,?%d,", row ? "," : "", at);
        at++;
        size += plain ? (size_t)snprintf(text + size, sizeof text - size, "0,?%d)", at)
                      : (size_t)snprintf(text + size, sizeof text - size, "?%d,?%d)", at, at + 1);
        at += plain ? 1 : 2;
        wr_assert_that(size, <, sizeof text);
    }
    return wr_store_statement(store, which, text, statement_out, error);
}

static weir_status put_many(struct wr_store *store, const struct wr_folded *const *entries,
                            bool plain, struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(put_many_statement(store, plain, &statement, error));
    wr_sql_int(statement, 1, entries[0]->node);
    int at = 2;
    for (int i = 0; i < ROWS; i++) {
        wr_sql_key(statement, at++, entries[i]->key);
        if (!plain) {
            wr_sql_key(statement, at++, entries[i]->slot);
        }
        wr_sql_bytes(statement, at++, entries[i]->value);
    }
    return wr_sql_run(&store->sql, statement, error);
}

static weir_status put_one(struct wr_store *store, const struct wr_folded *entry,
                           struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, WR_DO_STATE_PUT,
                              "INSERT OR REPLACE INTO state(node, key, slot, value)"
                              " VALUES(?1, ?2, ?3, ?4)",
                              &statement, error));
    wr_sql_int(statement, 1, entry->node);
    wr_sql_key(statement, 2, entry->key);
    wr_sql_key(statement, 3, entry->slot);
    wr_sql_bytes(statement, 4, entry->value);
    return wr_sql_run(&store->sql, statement, error);
}

static weir_status remove_one(struct wr_store *store, const struct wr_folded *entry,
                              struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, WR_DO_STATE_REMOVE,
                              "DELETE FROM state WHERE node = ?1 AND key = ?2 AND slot = ?3",
                              &statement, error));
    wr_sql_int(statement, 1, entry->node);
    wr_sql_key(statement, 2, entry->key);
    wr_sql_key(statement, 3, entry->slot);
    return wr_sql_run(&store->sql, statement, error);
}

static weir_status put_each(struct wr_store *store, const struct wr_folded *const *entries,
                            size_t count, struct wr_error *error)
{
    for (size_t i = 0; i < count; i++) {
        WR_TRY(put_one(store, entries[i], error));
    }
    return WEIR_OK;
}

weir_status wr_store_put_state(struct wr_store *store, const struct wr_folded *folds, size_t count,
                               struct wr_error *error)
{
    const struct wr_folded *group[ROWS];
    size_t grouped = 0;
    bool plain = true;
    for (size_t i = 0; i < count; i++) {
        const struct wr_folded *entry = &folds[i];
        if (!entry->value.data) {
            WR_TRY(remove_one(store, entry, error));
            continue;
        }
        if (grouped && group[0]->node != entry->node) {
            WR_TRY(put_each(store, group, grouped, error));
            grouped = 0;
        }
        plain = (grouped == 0 || plain) && !entry->slot.data;
        group[grouped++] = entry;
        if (grouped == ROWS) {
            WR_TRY(put_many(store, group, plain, error));
            grouped = 0;
        }
    }
    return put_each(store, group, grouped, error);
}

static weir_status put_folds(struct wr_store *store, const struct wr_epoch *epoch,
                             struct wr_error *error)
{
    struct wr_folded group[GROUP];
    size_t grouped = 0;
    for (const struct wr_fold_copy *at = epoch->folds; at; at = at->next) {
        group[grouped++] = wr_fold_copied(at);
        if (grouped == GROUP || !at->next) {
            WR_TRY(wr_store_put_state(store, group, grouped, error));
            grouped = 0;
        }
    }
    return WEIR_OK;
}

/* ---- Changes --------------------------------------------------------------------------------- */

/* What an epoch changed stays in its row, and goes with it; what takes room goes as soon as table
 * `state` has it, some rows now and again: all that a sweep frees at once would be a pause. */
static weir_status trim_changes(struct wr_store *store, const struct wr_epoch *epoch,
                                struct wr_error *error)
{
    struct wr_ledger *ledger = &store->ledger;
    int64_t upto = epoch->folded_upto > ledger->folded ? epoch->folded_upto : ledger->folded;
    int64_t last = upto < store->large_last ? upto : store->large_last;
    last = last < store->decided ? last : store->decided; /* this epoch has no row yet */
    ledger->folded = upto;
    bool large = store->changes.size > TRIM_LARGE;
    int64_t rows = large ? TRIM_ROWS / TRIM_STEP : TRIM_ROWS;
    if (store->large_first > last || (!large && epoch->number % TRIM_STEP != 0)) {
        return WEIR_OK;
    }
    if (store->large_first == 0) { /* not yet known */
        WR_TRY(wr_sql_integer(
            &store->sql, "SELECT number FROM epoch WHERE length(changes) > " LARGE_TEXT " LIMIT 1",
            &store->large_first, error));
        store->large_first = store->large_first > 0 ? store->large_first : store->decided + 1;
    }
    last = last < store->large_first + rows - 1 ? last : store->large_first + rows - 1;
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, WR_DO_CHANGES_TRIM,
                              "UPDATE epoch SET changes = NULL WHERE number BETWEEN ?1 AND ?2"
                              " AND length(changes) > " LARGE_TEXT,
                              &statement, error));
    wr_sql_int(statement, 1, store->large_first);
    wr_sql_int(statement, 2, last);
    WR_TRY(wr_sql_run(&store->sql, statement, error));
    store->large_first = last + 1 > store->large_first ? last + 1 : store->large_first;
    return WEIR_OK;
}

weir_status wr_store_apply_state(struct wr_store *store, const struct wr_epoch *epoch,
                                 struct wr_error *error)
{
    WR_TRY(wr_ledger_load(store, error));
    if (epoch->entry_count > 0 && !wr_changelog_pack(epoch, &store->changes)) {
        return wr_fail_memory(error);
    }
    if (store->changes.size > LARGE) {
        store->large_last = epoch->number;
    }
    WR_TRY(put_folds(store, epoch, error));
    return trim_changes(store, epoch, error);
}

/* ---- Timers ---------------------------------------------------------------------------------- */

static weir_status apply_timer(struct wr_store *store, const struct wr_timer *timer,
                               struct wr_error *error)
{
    bool remove = timer->time_ms == INT64_MAX;
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(
        store, remove ? WR_DO_TIMER_REMOVE : WR_DO_TIMER_PUT,
        remove ? "DELETE FROM timer WHERE node = ?1 AND key = ?2 AND name = ?3"
               : "INSERT INTO timer(node, key, name, clock, time_ms) VALUES(?1, ?2, ?3, ?4, ?5)"
                 " ON CONFLICT DO UPDATE SET clock = excluded.clock, time_ms = excluded.time_ms",
        &statement, error));
    wr_sql_int(statement, 1, timer->node);
    wr_sql_key(statement, 2, timer->key);
    wr_sql_key(statement, 3, timer->name);
    if (!remove) {
        wr_sql_int(statement, 4, timer->clock);
        wr_sql_int(statement, 5, timer->time_ms);
    }
    return wr_sql_run(&store->sql, statement, error);
}

static void timer_parts(const void *item, weir_bytes *key_out, weir_bytes *name_out)
{
    const struct wr_timer *timer = item;
    *key_out = timer->key;
    *name_out = timer->name;
}

static uint32_t timer_node(const void *item)
{
    return ((const struct wr_timer *)item)->node;
}

weir_status wr_store_apply_timers(struct wr_store *store, const struct wr_epoch *epoch,
                                  struct wr_error *error)
{
    struct wr_sorted *items = store->sorter.items;
    size_t count = 0;
    for (const struct wr_timer *timer = epoch->timer_list; timer; timer = timer->next) {
        wr_assert_that(count, <, store->sorter.capacity);
        items[count++].item = timer;
    }
    wr_assert_that(count, ==, epoch->timer_count);
    wr_sort_nodes(&store->sorter, count, timer_node, timer_parts);
    for (size_t i = 0; i < count; i++) {
        WR_TRY(apply_timer(store, items[i].item, error));
    }
    return WEIR_OK;
}

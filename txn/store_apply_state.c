/* store_apply_state.c: state and timers of a write set, upserted in key order. See store_inner.h.
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
#include "txn/store_inner.h"

enum { ROWS = 32, ROW_TEXT_MAX = 24 };

weir_status wr_store_reserve(struct wr_store *store, const struct wr_epoch *epoch,
                             struct wr_error *error)
{
    size_t most = epoch->entry_count > epoch->timer_count ? epoch->entry_count : epoch->timer_count;
    for (size_t i = 0; i < epoch->sink_count; i++) {
        most = epoch->sink[i].row_count > most ? epoch->sink[i].row_count : most;
    }
    return wr_store_sort_reserve(store, most, error);
}

/* ---- Order ----------------------------------------------------------------------------------- */

static void entry_parts(const void *item, weir_bytes *key_out, weir_bytes *slot_out)
{
    const struct wr_entry *entry = item;
    *key_out = entry->key;
    *slot_out = entry->slot;
}

static void timer_parts(const void *item, weir_bytes *key_out, weir_bytes *name_out)
{
    const struct wr_timer *timer = item;
    *key_out = timer->key;
    *name_out = timer->name;
}

static uint32_t entry_node(const void *item)
{
    return ((const struct wr_entry *)item)->node;
}

static uint32_t timer_node(const void *item)
{
    return ((const struct wr_timer *)item)->node;
}

/* Orders store->sorted[0 .. count - 1] by node, key and second part. */
static void order(struct wr_store *store, size_t count, uint32_t (*node_of)(const void *item),
                  wr_parts_fn parts)
{
    struct wr_sorted *items = store->sorted;
    bool one_node = true;
    for (size_t i = 0; i < count; i++) {
        items[i].prefix = node_of(items[i].item);
        one_node = one_node && items[i].prefix == items[0].prefix;
    }
    if (!one_node) {
        wr_store_sort(store, 0, count, NULL);
    }
    for (size_t from = 0, to; from < count; from = to) {
        uint64_t node = items[from].prefix;
        for (to = from + 1; to < count && items[to].prefix == node; to++) {
        }
        wr_store_sort_prefix(store, from, to - from, parts);
        wr_store_sort(store, from, to - from, parts);
    }
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

static weir_status put_many(struct wr_store *store, const struct wr_entry *const *entries,
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

static weir_status put_one(struct wr_store *store, const struct wr_entry *entry,
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

static weir_status remove_one(struct wr_store *store, const struct wr_entry *entry,
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

/* In key order the entries lie anywhere in the epoch's memory: fetching them ahead takes a tenth
 * off the whole. */
static void fetch_ahead(const struct wr_sorted *items, size_t at, size_t count)
{
    if (at + 16 < count) {
        const struct wr_entry *later = items[at + 16].item, *soon = items[at + 8].item;
        __builtin_prefetch(later);
        __builtin_prefetch((const char *)later + 64);
        __builtin_prefetch(soon->key.data);
        __builtin_prefetch(soon->value.data);
    }
}

static weir_status put_each(struct wr_store *store, const struct wr_entry *const *entries,
                            size_t count, struct wr_error *error)
{
    for (size_t i = 0; i < count; i++) {
        WR_TRY(put_one(store, entries[i], error));
    }
    return WEIR_OK;
}

weir_status wr_store_apply_state(struct wr_store *store, const struct wr_epoch *epoch,
                                 struct wr_error *error)
{
    size_t count = 0;
    for (const struct wr_entry *entry = epoch->entries; entry; entry = entry->next) {
        wr_assert_that(count, <, store->sort_capacity);
        store->sorted[count++].item = entry;
    }
    wr_assert_that(count, ==, epoch->entry_count);
    order(store, count, entry_node, entry_parts);
    const struct wr_entry *group[ROWS];
    size_t grouped = 0;
    bool plain = true;
    for (size_t i = 0; i < count; i++) {
        const struct wr_entry *entry = store->sorted[i].item;
        fetch_ahead(store->sorted, i, count);
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

weir_status wr_store_apply_timers(struct wr_store *store, const struct wr_epoch *epoch,
                                  struct wr_error *error)
{
    size_t count = 0;
    for (const struct wr_timer *timer = epoch->timer_list; timer; timer = timer->next) {
        wr_assert_that(count, <, store->sort_capacity);
        store->sorted[count++].item = timer;
    }
    wr_assert_that(count, ==, epoch->timer_count);
    order(store, count, timer_node, timer_parts);
    for (size_t i = 0; i < count; i++) {
        WR_TRY(apply_timer(store, store->sorted[i].item, error));
    }
    return WEIR_OK;
}

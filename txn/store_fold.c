/* store_fold.c: the changelog as a whole: reading it, and bringing all of it into table `state` at
 * once. See store.h; epochs do it by slices, see fold.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "txn/fold.h"
#include "txn/store_inner.h"

enum { GROUP = 256 };

/* ---- Reading --------------------------------------------------------------------------------- */

weir_status wr_reader_changelog(struct wr_reader *reader, int64_t *epoch, struct wr_arena *arena,
                                weir_bytes *changes_out, struct wr_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool row;
    *changes_out = (weir_bytes){NULL, 0};
    WR_TRY(wr_reader_begin(reader, error));
    WR_TRY(wr_sql_prepare(&reader->sql, &reader->statement[WR_READ_CHANGELOG],
                          "SELECT epoch, entries FROM changelog WHERE epoch > ?1"
                          " ORDER BY epoch LIMIT 1",
                          error));
    statement = reader->statement[WR_READ_CHANGELOG];
    wr_sql_int(statement, 1, *epoch);
    WR_TRY(wr_sql_step(&reader->sql, statement, &row, error));
    if (!row) {
        return WEIR_OK;
    }
    *epoch = sqlite3_column_int64(statement, 0);
    bool copied = wr_sql_column_copy(statement, 1, arena, changes_out);
    sqlite3_reset(statement);
    return copied ? WEIR_OK : wr_fail_memory(error);
}

/* The error for a row: `why` is what is wrong with it, or that memory ran out. */
static weir_status fail_row(struct wr_sql *sql, int64_t epoch, const struct wr_error *why,
                            struct wr_error *error)
{
    if (why->exit_code != WR_EXIT_DATA) {
        *error = *why;
        return why->status;
    }
    return wr_sql_broken(sql, error, "the changes of state of epoch %lld: %.300s", (long long)epoch,
                         why->text);
}

weir_status wr_reader_fail_changelog(struct wr_reader *reader, int64_t epoch,
                                     const struct wr_error *why, struct wr_error *error)
{
    return fail_row(&reader->sql, epoch, why, error);
}

weir_status wr_reader_has_state(struct wr_reader *reader, bool *has_out, struct wr_error *error)
{
    int64_t found;
    WR_TRY(wr_reader_begin(reader, error));
    WR_TRY(wr_sql_integer(&reader->sql, "SELECT EXISTS(SELECT 1 FROM state)", &found, error));
    *has_out = found != 0;
    return WEIR_OK;
}

/* ---- Counting -------------------------------------------------------------------------------- */

struct counts {
    struct wr_arena *arena;
    struct wr_node_changes *items;
    size_t count, room;
};

/* Nodes are few. NULL: no memory. */
static struct wr_node_changes *count_of(struct counts *counts, uint32_t node)
{
    for (size_t i = counts->count; i-- > 0;) {
        if (counts->items[i].node == node) {
            return &counts->items[i];
        }
    }
    if (counts->count == counts->room) {
        size_t room = counts->room ? counts->room * 2 : 16;
        struct wr_node_changes *items = wr_arena_alloc(counts->arena, room * sizeof *items);
        if (!items) {
            return NULL;
        }
        if (counts->count) {
            memcpy(items, counts->items, counts->count * sizeof *items);
        }
        counts->items = items;
        counts->room = room;
    }
    counts->items[counts->count] = (struct wr_node_changes){.node = node};
    return &counts->items[counts->count++];
}

static weir_status count_change(void *data, const struct wr_folded *change, struct wr_error *error)
{
    struct wr_node_changes *count = count_of(data, change->node);
    if (!count) {
        return wr_fail_memory(error);
    }
    count->changes++;
    return WEIR_OK;
}

weir_status wr_reader_count_changes(struct wr_reader *reader, struct wr_arena *arena,
                                    struct wr_node_changes **counts_out, size_t *count_out,
                                    struct wr_error *error)
{
    struct counts counts = {.arena = arena};
    struct wr_arena row;
    weir_status status = WEIR_OK;
    wr_arena_init(&row, 0);
    for (int64_t epoch = 0; status == WEIR_OK;) {
        weir_bytes changes = {NULL, 0};
        struct wr_error inner = {.status = WEIR_OK};
        wr_arena_reset(&row);
        status = wr_reader_changelog(reader, &epoch, &row, &changes, error);
        if (status != WEIR_OK || !changes.data) {
            break;
        }
        if (wr_changelog_each(changes, count_change, &counts, &inner) != WEIR_OK) {
            status = wr_reader_fail_changelog(reader, epoch, &inner, error);
        }
    }
    wr_arena_fini(&row);
    *counts_out = counts.items;
    *count_out = counts.count;
    return status;
}

/* ---- Folding --------------------------------------------------------------------------------- */

static weir_status replay_all(struct wr_store *store, struct wr_cache *cache,
                              struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row = true;
    WR_TRY(wr_sql_once(&store->sql, "SELECT epoch, entries FROM changelog ORDER BY epoch",
                       &statement, error));
    weir_status status = wr_sql_step(&store->sql, statement, &row, error);
    while (status == WEIR_OK && row) {
        struct wr_error why = {.status = WEIR_OK};
        status = wr_changelog_replay(wr_sql_column(statement, 1), cache, &why);
        status = status == WEIR_OK
                     ? wr_sql_step(&store->sql, statement, &row, error)
                     : fail_row(&store->sql, sqlite3_column_int64(statement, 0), &why, error);
    }
    sqlite3_finalize(statement);
    return status;
}

static weir_status put_sorted(struct wr_store *store, struct wr_cache *cache,
                              struct wr_error *error)
{
    struct wr_folded group[GROUP];
    size_t grouped = 0;
    WR_TRY(wr_fold_sort(cache, &store->sorter, error));
    for (size_t i = 0; i < cache->dirty_count; i++) {
        group[grouped++] = wr_fold_of(store->sorter.items[i].item);
        if (grouped == GROUP || i + 1 == cache->dirty_count) {
            WR_TRY(wr_store_put_state(store, group, grouped, error));
            grouped = 0;
        }
    }
    return WEIR_OK;
}

/* No epoch has anything to say that table `state` does not have. */
static weir_status empty_changelog(struct wr_store *store, struct wr_error *error)
{
    wr_ledger_forget(&store->ledger);
    store->large_first = store->decided + 1;
    return wr_sql_exec(&store->sql,
                       "UPDATE epoch SET folded = number"
                       " WHERE number = (SELECT max(number) FROM epoch);"
                       "UPDATE epoch SET changes = NULL WHERE length(changes) > 1024",
                       error);
}

weir_status wr_store_fold_all(struct wr_store *store, struct wr_error *error)
{
    struct wr_cache cache;
    wr_cache_init(&cache, 0);
    weir_status status = replay_all(store, &cache, error);
    if (status == WEIR_OK) {
        status = put_sorted(store, &cache, error);
    }
    wr_cache_fini(&cache);
    return status;
}

static weir_status fold(struct wr_store *store, struct wr_cache *cache, struct wr_error *error)
{
    int64_t any;
    WR_TRY(wr_sql_integer(&store->sql, "SELECT EXISTS(SELECT 1 FROM changelog)", &any, error));
    if (any) {
        WR_TRY(cache ? put_sorted(store, cache, error) : wr_store_fold_all(store, error));
        WR_TRY(empty_changelog(store, error));
    }
    return wr_store_settle(store, error);
}

weir_status wr_store_fold(struct wr_store *store, struct wr_cache *cache, struct wr_error *error)
{
    int64_t any;
    wr_sql_doing(&store->sql, "bring table state up to date in");
    WR_TRY(wr_sql_integer(&store->sql,
                          "SELECT EXISTS(SELECT 1 FROM changelog)"
                          " OR EXISTS(SELECT 1 FROM progress_tail)",
                          &any, error));
    if (!any) {
        return WEIR_OK;
    }
    WR_TRY(wr_store_begin(store, error));
    return wr_store_end(store, fold(store, cache, error), error);
}

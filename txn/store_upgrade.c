/* store_upgrade.c: state of an older version brought up to date, and topics deleted. See store.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "txn/base/assert.h"
#include "txn/store_inner.h"

enum { UPGRADE_ROWS = 256 }; /* read, then written, before the next are read */

struct upgrade {
    struct wr_store *store;
    int64_t node;
    wr_store_upgrade_fn fn;
    void *data;
    sqlite3_stmt *read, *write, *remove;
    weir_bytes key, slot; /* after these the next step reads */
    struct wr_slot slots[UPGRADE_ROWS];
    weir_bytes keys[UPGRADE_ROWS];
};

static weir_status read_step(struct upgrade *upgrade, struct wr_arena *arena, size_t *count_out,
                             struct wr_error *error)
{
    bool row;
    wr_sql_int(upgrade->read, 1, upgrade->node);
    wr_sql_key(upgrade->read, 2, upgrade->key);
    wr_sql_key(upgrade->read, 3, upgrade->slot);
    wr_sql_int(upgrade->read, 4, UPGRADE_ROWS);
    for (size_t i = 0;; i++) {
        WR_TRY(wr_sql_step(&upgrade->store->sql, upgrade->read, &row, error));
        if (!row) {
            *count_out = i;
            return WEIR_OK;
        }
        wr_assert_that(i, <, UPGRADE_ROWS);
        if (!wr_sql_column_copy(upgrade->read, 0, arena, &upgrade->keys[i]) ||
            !wr_sql_column_copy(upgrade->read, 1, arena, &upgrade->slots[i].slot) ||
            !wr_sql_column_copy(upgrade->read, 2, arena, &upgrade->slots[i].value)) {
            return wr_fail_memory(error);
        }
    }
}

static weir_status write_slot(struct upgrade *upgrade, size_t i, struct wr_error *error)
{
    weir_bytes value = {NULL, 0};
    weir_bytes key = upgrade->keys[i], slot = upgrade->slots[i].slot;
    WR_TRY(upgrade->fn(upgrade->data, key, slot, upgrade->slots[i].value, &value, error));
    sqlite3_stmt *statement = value.data ? upgrade->write : upgrade->remove;
    wr_sql_int(statement, 1, upgrade->node);
    wr_sql_key(statement, 2, key);
    wr_sql_key(statement, 3, slot);
    if (value.data) {
        wr_sql_bytes(statement, 4, value);
    }
    return wr_sql_run(&upgrade->store->sql, statement, error);
}

/* The last key and slot read are kept by copying them out of the arena that the next step uses. */
static weir_status upgrade_rows(struct upgrade *upgrade, struct wr_arena arenas[2],
                                struct wr_error *error)
{
    bool first = true;
    for (int turn = 0;; turn = !turn) {
        size_t count = 0;
        const char *text = first ? "SELECT key, slot, value FROM state WHERE node = ?1"
                                   " AND (key, slot) >= (?2, ?3) ORDER BY key, slot LIMIT ?4"
                                 : "SELECT key, slot, value FROM state WHERE node = ?1"
                                   " AND (key, slot) > (?2, ?3) ORDER BY key, slot LIMIT ?4";
        sqlite3_finalize(upgrade->read);
        WR_TRY(wr_sql_once(&upgrade->store->sql, text, &upgrade->read, error));
        wr_arena_reset(&arenas[turn]); /* the other one still holds the last key */
        WR_TRY(read_step(upgrade, &arenas[turn], &count, error));
        for (size_t i = 0; i < count; i++) {
            WR_TRY(write_slot(upgrade, i, error));
        }
        if (count < UPGRADE_ROWS) {
            return WEIR_OK;
        }
        upgrade->key = upgrade->keys[count - 1];
        upgrade->slot = upgrade->slots[count - 1].slot;
        first = false;
    }
}

static weir_status upgrade_all(struct upgrade *upgrade, unsigned version, struct wr_error *error)
{
    struct wr_store *store = upgrade->store;
    WR_TRY(wr_sql_once(&store->sql,
                       "UPDATE state SET value = ?4 WHERE node = ?1 AND key = ?2 AND slot = ?3",
                       &upgrade->write, error));
    WR_TRY(wr_sql_once(&store->sql, "DELETE FROM state WHERE node = ?1 AND key = ?2 AND slot = ?3",
                       &upgrade->remove, error));
    struct wr_arena arenas[2];
    wr_arena_init(&arenas[0], 1024 * 1024);
    wr_arena_init(&arenas[1], 1024 * 1024);
    weir_status status = upgrade_rows(upgrade, arenas, error);
    wr_arena_fini(&arenas[0]);
    wr_arena_fini(&arenas[1]);
    WR_TRY(status);
    return wr_sql_run_text(&store->sql, "UPDATE node SET version = ?2 WHERE id = ?1", upgrade->node,
                           version, error);
}

weir_status wr_store_upgrade(struct wr_store *store, uint32_t node, unsigned version,
                             wr_store_upgrade_fn upgrade, void *data, struct wr_error *error)
{
    wr_sql_doing(&store->sql, "upgrade the state of node %u in", (unsigned)node);
    struct upgrade *state = calloc(1, sizeof *state);
    if (!state) {
        return wr_fail_memory(error);
    }
    *state = (struct upgrade){.store = store, .node = node, .fn = upgrade, .data = data};
    weir_status status = wr_store_begin(store, error);
    if (status == WEIR_OK) {
        status = wr_store_end(store, upgrade_all(state, version, error), error);
    }
    sqlite3_finalize(state->read);
    sqlite3_finalize(state->write);
    sqlite3_finalize(state->remove);
    free(state);
    return status;
}

weir_status wr_store_remove_topic(struct wr_store *store, int64_t topic, struct wr_error *error)
{
    WR_TRY(wr_sql_exec(&store->sql,
                       "INSERT OR REPLACE INTO meta(key, value) SELECT 'topic', max(max(id),"
                       " coalesce((SELECT value FROM meta WHERE key = 'topic'), 0)) FROM topic",
                       error));
    WR_TRY(wr_store_settle(store, error));
    WR_TRY(wr_sql_run_text(&store->sql,
                           "DELETE FROM log WHERE id IN (SELECT log.id FROM log_seek AS seek"
                           " CROSS JOIN log ON seek.topic = ?1"
                           " AND log.id BETWEEN seek.id AND seek.last AND log.topic = ?1)",
                           topic, 0, error));
    WR_TRY(wr_sql_run_text(&store->sql, "DELETE FROM log_seek WHERE topic = ?1", topic, 0, error));
    WR_TRY(wr_sql_run_text(&store->sql, "DELETE FROM progress WHERE kind = 2 AND id = ?1", topic, 0,
                           error));
    return wr_sql_run_text(&store->sql, "DELETE FROM topic WHERE id = ?1", topic, 0, error);
}

/* A topic of this name may be made again, from offset 0: the newest epoch no longer says where it
 * ends. A name needs no escaping. */
static weir_status forget_offsets(struct wr_store *store, const char *name, struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_sql_once(&store->sql,
                       "UPDATE epoch SET offsets = json_remove(offsets, '$.\"' || ?1 || '\"')"
                       " WHERE number = (SELECT max(number) FROM epoch) AND json_valid(offsets)",
                       &statement, error));
    wr_sql_text(statement, 1, name);
    return wr_sql_run_once(&store->sql, statement, error);
}

weir_status wr_store_drop_topic(struct wr_store *store, const char *name, struct wr_error *error)
{
    int64_t id;
    wr_sql_doing(&store->sql, "delete topic `%s` of", name);
    WR_TRY(wr_store_begin(store, error));
    weir_status status = wr_sql_find(
        &store->sql, "SELECT id FROM topic WHERE name = ?1 AND outbox = 0", name, &id, error);
    if (status == WEIR_OK && id == 0) {
        status = wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "cannot %s %s: there is no such topic",
                         store->sql.doing, store->sql.path);
    }
    if (status == WEIR_OK) {
        status = wr_store_remove_topic(store, id, error);
    }
    if (status == WEIR_OK) {
        status = forget_offsets(store, name, error);
    }
    return wr_store_end(store, status, error);
}

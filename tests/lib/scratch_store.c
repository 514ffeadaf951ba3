/* scratch_store.c: see scratch_store.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/scratch_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "txn/base/assert.h"
#include "txn/fold.h"

static int64_t standing_ms(struct wr_env *env)
{
    return ((struct scratch *)env->data)->now_ms;
}

static void silent(struct wr_env *env, enum wr_level level, const char *text)
{
    (void)env;
    (void)level;
    (void)text;
}

struct scratch *scratch_new(void)
{
    struct scratch *s = calloc(1, sizeof *s);
    assert_non_null(s);
    const char *under = getenv("TMPDIR");
    snprintf(s->folder, sizeof s->folder, "%s/store.XXXXXX",
             under && strlen(under) < 40 ? under : "/tmp");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->path, sizeof s->path, "%s/test.weir", s->folder);
    wr_env_init(&s->env);
    s->env.wall_ms = standing_ms;
    s->env.log = silent;
    s->env.data = s;
    s->now_ms = 1700000000000;
    wr_arena_init(&s->arena, 0);
    return s;
}

void scratch_free(struct scratch *s)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
    scratch_close(s);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", s->path, suffixes[i]);
        unlink(path);
    }
    rmdir(s->folder); /* stays when a test left something else in it */
    wr_arena_fini(&s->arena);
    free(s);
}

void scratch_must(struct scratch *s, weir_status status)
{
    if (status != WEIR_OK) {
        fail_msg("%s:%d: %s", s->error.file, s->error.line, s->error.text);
    }
}

void scratch_must_fail(struct scratch *s, weir_status status, enum wr_exit exit_code,
                       const char *contains)
{
    assert_int_not_equal(status, WEIR_OK);
    if (s->error.exit_code != exit_code || !strstr(s->error.text, contains)) {
        fail_msg("expected %d and `%s`, got %d: %s", exit_code, contains, s->error.exit_code,
                 s->error.text);
    }
    wr_error_clear(&s->error);
}

/* ---- Opening and closing --------------------------------------------------------------------- */

weir_status scratch_try_open(struct scratch *s)
{
    struct wr_store_options options = {
        .path = s->path, .job = "test", .create = true, .sync = WR_SYNC_OFF};
    WR_TRY(wr_store_open(&s->env, &options, &s->store, &s->error));
    static const struct wr_sink sinks[SCRATCH_SINKS] = {
        {.name = "counts", .uri = "table:counts", .kind = WR_SINK_TABLE, .table = "counts"},
        {.name = "numbers",
         .uri = "table:numbers?key=integer,value=real",
         .kind = WR_SINK_TABLE,
         .table = "numbers",
         .key_type = WR_COLUMN_INTEGER,
         .value_type = WR_COLUMN_REAL},
        {.name = "out",
         .uri = "log:out?partitions=3",
         .kind = WR_SINK_LOG,
         .topic_name = "out",
         .partitions = SCRATCH_PARTITIONS},
        {.name = "file",
         .uri = "file:out.txt",
         .kind = WR_SINK_OUTBOX,
         .topic_name = "file",
         .partitions = 1},
        {.name = "nothing", .uri = "null:", .kind = WR_SINK_NULL},
    };
    memcpy(s->sinks, sinks, sizeof sinks);
    s->nodes[0] = (struct wr_node_definition){.name = "count", .version = 1};
    s->nodes[1] = (struct wr_node_definition){.name = "join", .version = 3};
    struct wr_definition definition = {.nodes = s->nodes,
                                       .node_count = SCRATCH_NODES,
                                       .sinks = s->sinks,
                                       .sink_count = SCRATCH_SINKS,
                                       .graph = "{}",
                                       .options = "{}"};
    return wr_store_define(s->store, &definition, &s->error);
}

void scratch_open(struct scratch *s)
{
    scratch_must(s, scratch_try_open(s));
}

void scratch_close(struct scratch *s)
{
    if (s->has_epoch) {
        wr_epoch_fini(&s->epoch);
        s->has_epoch = false;
    }
    wr_reader_close(s->reader);
    wr_store_close(s->store);
    s->reader = NULL;
    s->store = NULL;
}

struct wr_reader *scratch_reader(struct scratch *s)
{
    if (!s->reader) {
        scratch_must(s, wr_reader_open(&s->env, s->path, &s->reader, &s->error));
    }
    return s->reader;
}

/* ---- Epochs ---------------------------------------------------------------------------------- */

void scratch_begin(struct scratch *s)
{
    int64_t number = s->has_epoch ? s->epoch.number : wr_store_info(s->store)->epoch;
    if (!s->has_epoch) {
        scratch_must(s, wr_epoch_init(&s->epoch, s->sinks, SCRATCH_SINKS, &s->error));
        s->has_epoch = true;
    }
    wr_epoch_begin(&s->epoch, number + 1);
}

void scratch_fold(struct scratch *s)
{
    struct wr_epoch *epoch = &s->epoch;
    for (const struct wr_entry *entry = epoch->entries; entry; entry = entry->next) {
        struct wr_folded folded = {entry->node, wr_entry_key(entry), wr_entry_slot(entry),
                                   wr_entry_value(entry)};
        assert_true(wr_fold_add(epoch, &folded));
    }
    epoch->folded_upto = epoch->number;
}

weir_status scratch_try_decide(struct scratch *s, const struct wr_marker *markers, size_t count)
{
    scratch_fold(s);
    wr_epoch_seal(&s->epoch);
    struct wr_apply apply = {.epoch = &s->epoch,
                             .progress = &s->epoch.progress,
                             .markers = markers,
                             .marker_count = count};
    WR_TRY(wr_store_apply(s->store, &apply, &s->error));
    s->epoch.phase = WR_EPOCH_DECIDED;
    return WEIR_OK;
}

void scratch_decide(struct scratch *s)
{
    scratch_must(s, scratch_try_decide(s, NULL, 0));
}

void scratch_put(struct scratch *s, uint32_t node, weir_bytes key, weir_bytes slot,
                 weir_bytes value)
{
    scratch_must(s, wr_epoch_put(&s->epoch, node, key, slot, wr_hash(node, key, slot), value,
                                 ++s->unit, &s->error));
}

void scratch_timer(struct scratch *s, uint32_t node, weir_bytes key, weir_bytes name, bool clock,
                   int64_t time_ms)
{
    scratch_must(s, wr_epoch_timer(&s->epoch, node, key, name, wr_hash(node, key, name), clock,
                                   time_ms, &s->error));
}

void scratch_row(struct scratch *s, size_t sink, const char *key, const char *value)
{
    scratch_must(s, wr_epoch_row(&s->epoch, sink, weir_text(key), weir_text(value), &s->error));
}

void scratch_append(struct scratch *s, size_t sink, int32_t partition, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        weir_record record = {.key = weir_text(text), .value = weir_text(text), .time_ms = i};
        scratch_must(s, wr_epoch_append(&s->epoch, sink, partition, &record, &s->error));
    }
}

void scratch_position(struct scratch *s, int64_t next)
{
    struct wr_position *position = wr_arena_zalloc(&s->epoch.arena, sizeof *position);
    assert_non_null(position);
    *position = (struct wr_position){
        .source = "in", .part = "0", .next = next, .watermark_ms = next * 10, .identity = "7"};
    s->epoch.progress.positions = position;
    s->epoch.progress.position_count = 1;
}

/* ---- SQL past weir --------------------------------------------------------------------------- */

static sqlite3 *open_plain(struct scratch *s)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    return db;
}

void scratch_sql(struct scratch *s, const char *text)
{
    sqlite3 *db = open_plain(s);
    char *why = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s: %s", text, why);
    }
    sqlite3_close(db);
}

const char *scratch_query(struct scratch *s, const char *text)
{
    sqlite3 *db = open_plain(s);
    sqlite3_stmt *statement = NULL;
    const char *result = "-";
    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    }
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        result = wr_arena_string(&s->arena, (const char *)sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return result;
}

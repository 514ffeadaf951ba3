/* store_read.c: read-only connections: state, timers, topics and batches as of a snapshot. See
 * store.h.
 *
 * A snapshot is a transaction that the first read begins; wr_reader_end ends it. While one is open
 * the WAL cannot start over, so it is kept short.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/store_inner.h"

/* ---- Connection and snapshot ----------------------------------------------------------------- */

static weir_status open_all(struct wr_reader *reader, const char *path, struct wr_error *error)
{
    WR_TRY(wr_store_resolve(path, reader->path, error));
    WR_TRY(wr_store_check_file(reader->path, false, error));
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(reader->path, &reader->sql.db, flags, NULL);
    if (code != SQLITE_OK) {
        return wr_sql_fail(&reader->sql, code, error);
    }
    WR_TRY(wr_sql_configure(&reader->sql, error));
    enum wr_store_kind kind;
    WR_TRY(wr_store_identify(&reader->sql, &kind, error));
    if (kind == WR_STORE_EMPTY) {
        return wr_store_fail_empty(&reader->sql, error);
    }
    if (kind == WR_STORE_OLDER) {
        WR_TRY(wr_store_schema_stand_in(&reader->sql, error));
    }
    return wr_sql_exec(&reader->sql, "PRAGMA query_only=ON", error);
}

weir_status wr_reader_open(struct wr_env *env, const char *path, struct wr_reader **reader_out,
                           struct wr_error *error)
{
    (void)env; /* a reader asks for neither time nor chance */
    *reader_out = NULL;
    struct wr_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        return wr_fail_memory(error);
    }
    reader->sql.path = reader->path;
    wr_sql_doing(&reader->sql, "read");
    weir_status status = open_all(reader, path, error);
    if (status != WEIR_OK) {
        wr_reader_close(reader);
        return status;
    }
    *reader_out = reader;
    return WEIR_OK;
}

void wr_reader_close(struct wr_reader *reader)
{
    if (reader) {
        wr_sql_close(&reader->sql);
        free(reader);
    }
}

static weir_status statement_of(struct wr_reader *reader, enum wr_reader_statement which,
                                const char *text, sqlite3_stmt **statement_out,
                                struct wr_error *error)
{
    weir_status status = WEIR_OK;
    if (!reader->statement[which]) {
        status = wr_sql_prepare(&reader->sql, &reader->statement[which], text, error);
    }
    *statement_out = reader->statement[which];
    return status;
}

weir_status wr_reader_begin(struct wr_reader *reader, struct wr_error *error)
{
    if (reader->open) {
        return WEIR_OK;
    }
    sqlite3_stmt *begin;
    wr_sql_doing(&reader->sql, "read");
    WR_TRY(statement_of(reader, WR_READ_BEGIN, "BEGIN", &begin, error));
    WR_TRY(wr_sql_run(&reader->sql, begin, error));
    reader->open = true;
    return WEIR_OK;
}

void wr_reader_end(struct wr_reader *reader)
{
    if (!reader->open) {
        return;
    }
    for (sqlite3_stmt *at = NULL; (at = sqlite3_next_stmt(reader->sql.db, at));) {
        if (sqlite3_stmt_busy(at)) {
            sqlite3_reset(at);
        }
    }
    struct wr_error ignored = {.status = WEIR_OK};
    sqlite3_stmt *end;
    /* Ending a transaction that only read cannot fail but for lack of memory to prepare it. */
    if (statement_of(reader, WR_READ_END, "ROLLBACK", &end, &ignored) == WEIR_OK) {
        sqlite3_step(end);
        sqlite3_reset(end);
    }
    reader->open = !sqlite3_get_autocommit(reader->sql.db);
}

/* Begins the snapshot and prepares one statement in it. */
static weir_status start(struct wr_reader *reader, enum wr_reader_statement which, const char *text,
                         sqlite3_stmt **statement_out, struct wr_error *error)
{
    WR_TRY(wr_reader_begin(reader, error));
    return statement_of(reader, which, text, statement_out, error);
}

weir_status wr_reader_check_generation(struct wr_reader *reader, int64_t generation,
                                       struct wr_error *error)
{
    int64_t found;
    wr_sql_doing(&reader->sql, "read");
    WR_TRY(wr_sql_integer(&reader->sql, "SELECT value FROM meta WHERE key = 'generation'", &found,
                          error));
    return found == generation ? WEIR_OK
                               : wr_sql_fail_overtaken(&reader->sql, generation, found, error);
}

/* ---- State ----------------------------------------------------------------------------------- */

weir_status wr_reader_get(struct wr_reader *reader, uint32_t node, weir_bytes key, weir_bytes slot,
                          struct wr_arena *arena, weir_bytes *value_out, struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row;
    *value_out = (weir_bytes){NULL, 0};
    WR_TRY(start(reader, WR_READ_GET,
                 "SELECT value FROM state WHERE node = ?1 AND key = ?2 AND slot = ?3", &statement,
                 error));
    wr_sql_int(statement, 1, node);
    wr_sql_key(statement, 2, key);
    wr_sql_key(statement, 3, slot);
    WR_TRY(wr_sql_step(&reader->sql, statement, &row, error));
    if (!row) {
        return WEIR_OK;
    }
    bool copied = wr_sql_column_copy(statement, 0, arena, value_out);
    sqlite3_reset(statement);
    return copied ? WEIR_OK : wr_fail_memory(error);
}

static const char *const scan_texts[] = {
#define SCAN(after, to)                                                                            \
    "SELECT slot, value FROM state WHERE node = ?1 AND key = ?2 AND slot " after " ?3" to          \
    " ORDER BY slot LIMIT ?4"
    SCAN(">=", ""),
    SCAN(">", ""),
    SCAN(">=", " AND slot < ?5"),
    SCAN(">", " AND slot < ?5"),
#undef SCAN
};

weir_status wr_reader_scan(struct wr_reader *reader, const struct wr_range *range, size_t max,
                           struct wr_arena *arena, struct wr_slot *slots_out, size_t *count_out,
                           struct wr_error *error)
{
    *count_out = 0;
    bool after = range->from_set && range->after, bounded = range->to.data != NULL;
    int form = (after ? 1 : 0) + (bounded ? 2 : 0);
    sqlite3_stmt *statement;
    WR_TRY(start(reader, (enum wr_reader_statement)(WR_READ_SCAN + form), scan_texts[form],
                 &statement, error));
    wr_sql_int(statement, 1, range->node);
    wr_sql_key(statement, 2, range->key);
    wr_sql_key(statement, 3, range->from_set ? range->from : (weir_bytes){NULL, 0});
    wr_sql_int(statement, 4, (int64_t)max);
    if (bounded) {
        wr_sql_key(statement, 5, range->to);
    }
    bool row;
    for (size_t count = 0;; count++) {
        WR_TRY(wr_sql_step(&reader->sql, statement, &row, error));
        if (!row) {
            *count_out = count;
            return WEIR_OK;
        }
        wr_assert_that(count, <, max);
        struct wr_slot *slot = &slots_out[count];
        if (!wr_sql_column_copy(statement, 0, arena, &slot->slot) ||
            !wr_sql_column_copy(statement, 1, arena, &slot->value)) {
            sqlite3_reset(statement);
            return wr_fail_memory(error);
        }
    }
}

/* ---- Timers ---------------------------------------------------------------------------------- */

static weir_status read_timers(struct wr_reader *reader, sqlite3_stmt *statement, uint32_t node,
                               bool clock, size_t max, struct wr_arena *arena,
                               struct wr_timer *timers_out, size_t *count_out,
                               struct wr_error *error)
{
    bool row;
    for (size_t count = 0;; count++) {
        WR_TRY(wr_sql_step(&reader->sql, statement, &row, error));
        if (!row) {
            *count_out = count;
            return WEIR_OK;
        }
        wr_assert_that(count, <, max);
        struct wr_timer *timer = &timers_out[count];
        *timer = (struct wr_timer){
            .node = node, .clock = clock, .time_ms = sqlite3_column_int64(statement, 0)};
        if (!wr_sql_column_copy(statement, 1, arena, &timer->key) ||
            !wr_sql_column_copy(statement, 2, arena, &timer->name)) {
            sqlite3_reset(statement);
            return wr_fail_memory(error);
        }
        timer->hash = wr_hash(node, timer->key, timer->name);
    }
}

weir_status wr_reader_timers(struct wr_reader *reader, uint32_t node, bool clock,
                             const struct wr_timer *after, size_t max, struct wr_arena *arena,
                             struct wr_timer *timers_out, size_t *count_out, struct wr_error *error)
{
    *count_out = 0;
    sqlite3_stmt *statement;
    WR_TRY(start(reader, after ? WR_READ_TIMERS_AFTER : WR_READ_TIMERS,
                 after ? "SELECT time_ms, key, name FROM timer WHERE node = ?1 AND clock = ?2"
                         " AND (time_ms, key, name) > (?4, ?5, ?6)"
                         " ORDER BY time_ms, key, name LIMIT ?3"
                       : "SELECT time_ms, key, name FROM timer WHERE node = ?1 AND clock = ?2"
                         " ORDER BY time_ms, key, name LIMIT ?3",
                 &statement, error));
    wr_sql_int(statement, 1, node);
    wr_sql_int(statement, 2, clock);
    wr_sql_int(statement, 3, (int64_t)max);
    if (after) {
        wr_sql_int(statement, 4, after->time_ms);
        wr_sql_key(statement, 5, after->key);
        wr_sql_key(statement, 6, after->name);
    }
    return read_timers(reader, statement, node, clock, max, arena, timers_out, count_out, error);
}

/* ---- Topics and logs ------------------------------------------------------------------------- */

static bool read_topic(sqlite3_stmt *statement, struct wr_arena *arena, struct wr_topic *topic)
{
    topic->id = sqlite3_column_int64(statement, 0);
    topic->outbox = sqlite3_column_int(statement, 2) != 0;
    topic->partitions = sqlite3_column_int(statement, 3);
    topic->retain_ms = sqlite3_column_int64(statement, 4);
    topic->retain_bytes = sqlite3_column_int64(statement, 5);
    return wr_sql_column_string(statement, 1, arena, &topic->name);
}

static weir_status topics_statement(struct wr_reader *reader, const char *name, bool outbox,
                                    sqlite3_stmt **statement_out, struct wr_error *error)
{
    if (!name) {
        return start(reader, WR_READ_TOPICS,
                     "SELECT id, name, outbox, partitions, retain_ms, retain_bytes"
                     " FROM topic ORDER BY outbox, name",
                     statement_out, error);
    }
    WR_TRY(start(reader, WR_READ_TOPIC,
                 "SELECT id, name, outbox, partitions, retain_ms, retain_bytes"
                 " FROM topic WHERE name = ?1 AND outbox = ?2",
                 statement_out, error));
    wr_sql_text(*statement_out, 1, name);
    wr_sql_int(*statement_out, 2, outbox);
    return WEIR_OK;
}

weir_status wr_reader_topics(struct wr_reader *reader, const char *name, bool outbox,
                             struct wr_arena *arena, struct wr_topic **topics_out,
                             size_t *count_out, struct wr_error *error)
{
    sqlite3_stmt *statement;
    size_t count = 0, room = 0;
    struct wr_topic *topics = NULL;
    *count_out = 0;
    *topics_out = NULL;
    WR_TRY(topics_statement(reader, name, outbox, &statement, error));
    for (bool row = true;;) {
        WR_TRY(wr_sql_step(&reader->sql, statement, &row, error));
        if (!row) {
            break;
        }
        if (count == room) { /* doubled: what it leaves behind in the arena is no more than it is */
            room = room ? room * 2 : 8;
            struct wr_topic *larger = wr_arena_alloc(arena, room * sizeof *larger);
            if (larger && count) {
                memcpy(larger, topics, count * sizeof *larger);
            }
            topics = larger;
        }
        if (!topics || !read_topic(statement, arena, &topics[count])) {
            sqlite3_reset(statement);
            return wr_fail_memory(error);
        }
        if (!topics[count].name || topics[count].partitions < 1 ||
            topics[count].partitions > WR_PARTITIONS_MAX) {
            int partitions = topics[count].partitions;
            sqlite3_reset(statement);
            return wr_sql_broken(&reader->sql, error, "topic `%.100s` has %d partitions",
                                 topics[count].name ? topics[count].name : "", partitions);
        }
        count++;
    }
    *topics_out = topics;
    *count_out = count;
    return WEIR_OK;
}

weir_status wr_reader_extent(struct wr_reader *reader, int64_t topic, int32_t partition,
                             struct wr_extent *extent_out, struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row;
    WR_TRY(start(reader, WR_READ_EXTENT,
                 "SELECT first, next, bytes FROM partition WHERE topic = ?1 AND partition = ?2",
                 &statement, error));
    wr_sql_int(statement, 1, topic);
    wr_sql_int(statement, 2, partition);
    WR_TRY(wr_sql_step(&reader->sql, statement, &row, error));
    if (!row) {
        return wr_sql_broken(&reader->sql, error, "topic %lld has no row for its partition %d",
                             (long long)topic, (int)partition);
    }
    *extent_out = (struct wr_extent){.first = sqlite3_column_int64(statement, 0),
                                     .next = sqlite3_column_int64(statement, 1),
                                     .bytes = sqlite3_column_int64(statement, 2)};
    sqlite3_reset(statement);
    if (extent_out->first < 0 || extent_out->next < extent_out->first ||
        extent_out->next > WR_COUNTER_MAX || extent_out->bytes < 0) {
        return wr_sql_broken(&reader->sql, error,
                             "partition %d of topic %lld reaches from %lld to %lld", (int)partition,
                             (long long)topic, (long long)extent_out->first,
                             (long long)extent_out->next);
    }
    return WEIR_OK;
}

/* One row of (batch, first_offset, count) of the statement, if it holds or follows the offset. */
static weir_status read_batch(struct wr_reader *reader, sqlite3_stmt *statement, int64_t topic,
                              int32_t partition, int64_t offset, struct wr_arena *arena,
                              weir_bytes *bytes_out, struct wr_error *error)
{
    bool row;
    wr_sql_int(statement, 1, topic);
    wr_sql_int(statement, 2, partition);
    wr_sql_int(statement, 3, offset);
    WR_TRY(wr_sql_step(&reader->sql, statement, &row, error));
    if (!row) {
        return WEIR_OK;
    }
    /* first <= offset here may be a batch that ends before it */
    int64_t first = sqlite3_column_int64(statement, 1), count = sqlite3_column_int64(statement, 2);
    bool wanted = first > offset || (first >= 0 && offset - first < count);
    bool copied = !wanted || wr_sql_column_copy(statement, 0, arena, bytes_out);
    sqlite3_reset(statement);
    return copied ? WEIR_OK : wr_fail_memory(error);
}

weir_status wr_reader_batch(struct wr_reader *reader, int64_t topic, int32_t partition,
                            int64_t offset, struct wr_arena *arena, weir_bytes *bytes_out,
                            struct wr_error *error)
{
    sqlite3_stmt *statement;
    *bytes_out = (weir_bytes){NULL, 0};
    WR_TRY(start(reader, WR_READ_BATCH_AT,
                 "SELECT batch, log.first_offset, count FROM " WR_LOG_ROWS("?1", "?2")
                 " WHERE seek.first_offset <= ?3 AND log.first_offset <= ?3"
                 " ORDER BY seek.first_offset DESC, log.id DESC LIMIT 1",
                 &statement, error));
    WR_TRY(read_batch(reader, statement, topic, partition, offset, arena, bytes_out, error));
    if (bytes_out->data) {
        return WEIR_OK;
    }
    WR_TRY(start(reader, WR_READ_BATCH_AFTER,
                 "SELECT batch, log.first_offset, count FROM " WR_LOG_ROWS("?1", "?2")
                 " WHERE seek.first_offset >= coalesce((SELECT max(first_offset) FROM log_seek"
                 " WHERE topic = ?1 AND partition = ?2 AND first_offset <= ?3), 0)"
                 " AND log.first_offset > ?3 ORDER BY seek.first_offset, log.id LIMIT 1",
                 &statement, error));
    return read_batch(reader, statement, topic, partition, offset, arena, bytes_out, error);
}

/* test_kit_read.c: what a test reads of a job's store: decided records, rows, state, dead letters.
 * Each call looks through a connection of its own, so that it works on a crashed instance too.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/changelog.h"
#include "txn/store_rows.h"

/* A question about the store: the reader, and the rows of one query. */
struct look {
    struct wr_reader *reader;
    struct wr_rows *rows;
    struct wr_error error;
};

static _Noreturn void look_failed(const struct look *look)
{
    fprintf(stderr, "weir_test: %s\n", look->error.text);
    abort();
}

static void look_open(struct look *look, weir_test *test, const char *text)
{
    *look = (struct look){.reader = NULL};
    if (wr_reader_open(&test->env, test->store, &look->reader, &look->error) != WEIR_OK ||
        (text && wr_rows_open(look->reader, text, &look->rows, &look->error) != WEIR_OK)) {
        look_failed(look);
    }
}

static bool look_next(struct look *look)
{
    bool more = false;
    if (wr_rows_next(look->rows, &more, &look->error) != WEIR_OK) {
        look_failed(look);
    }
    return more;
}

static void look_close(struct look *look)
{
    wr_rows_close(look->rows);
    wr_reader_close(look->reader);
}

static weir_bytes keep(weir_test *test, weir_bytes bytes)
{
    weir_bytes copy;
    if (!wr_arena_copy(&test->arena, bytes, &copy)) {
        wr_kit_no_memory();
    }
    return copy;
}

/* NULL, and the mistake reported, when the job has no such sink. */
static const struct kit_sink *sink_of(weir_test *test, const char *name)
{
    for (size_t i = 0; i < test->sink_count; i++) {
        if (strcmp(test->sinks[i].name, name) == 0) {
            return &test->sinks[i];
        }
    }
    (void)wr_fail(&test->error, WEIR_MISUSE, WR_EXIT_USAGE, "the job has no sink `%.64s`", name);
    return NULL;
}

/* Walks the records of a topic; stops at `index`. How many there were before it stopped. */
static size_t walk_topic(weir_test *test, const struct kit_sink *sink, size_t index,
                         weir_record *record_out, bool *found_out)
{
    struct look look;
    struct wr_topic *topic = NULL;
    size_t topics = 0, seen = 0;
    *found_out = false;
    look_open(&look, test, NULL);
    if (wr_reader_topics(look.reader, sink->topic, sink->outbox, &test->arena, &topic, &topics,
                         &look.error) != WEIR_OK) {
        look_failed(&look);
    }
    for (int32_t i = 0; topics && i < topic->partitions && !*found_out; i++) {
        int64_t offset = 0;
        for (bool more = true; more && !*found_out;) {
            weir_bytes bytes;
            struct wr_batch_reader batch;
            if (wr_reader_batch(look.reader, topic->id, i, offset, &test->arena, &bytes,
                                &look.error) != WEIR_OK ||
                (bytes.data && wr_batch_open(bytes, &batch, &look.error) != WEIR_OK)) {
                look_failed(&look);
            }
            more = bytes.data != NULL;
            for (bool inside = more; inside && !*found_out;) {
                if (wr_batch_next(&batch, &test->arena, record_out, &offset, &inside,
                                  &look.error) != WEIR_OK) {
                    look_failed(&look);
                }
                *found_out = inside && seen == index;
                seen += inside;
                offset += inside;
            }
        }
    }
    look_close(&look);
    return seen;
}

size_t weir_test_count(weir_test *test, const char *sink)
{
    weir_record record;
    bool found;
    const struct kit_sink *at = sink_of(test, sink);
    return at ? walk_topic(test, at, SIZE_MAX, &record, &found) : 0;
}

const weir_record *weir_test_record(weir_test *test, const char *sink, size_t index)
{
    weir_record *record = wr_kit_alloc(test, sizeof *record);
    bool found;
    const struct kit_sink *at = sink_of(test, sink);
    if (!at) {
        return NULL;
    }
    walk_topic(test, at, index, record, &found);
    return found ? record : NULL;
}

weir_bytes weir_test_row(weir_test *test, const char *sink, weir_bytes key)
{
    const struct kit_sink *at = sink_of(test, sink);
    if (!at || !at->table) {
        return (weir_bytes){NULL, 0};
    }
    struct look look;
    char text[WR_NAME_BYTES_MAX + 100];
    snprintf(text, sizeof text,
             "SELECT CAST(value AS TEXT) FROM \"%s\" WHERE CAST(key AS BLOB) = ?1", at->table);
    look_open(&look, test, text);
    wr_rows_bind_bytes(look.rows, 1, key);
    weir_bytes value = {NULL, 0};
    if (look_next(&look)) {
        value = keep(test, wr_rows_bytes(look.rows, 0));
    }
    look_close(&look);
    return value;
}

weir_bytes weir_test_query(weir_test *test, const char *sql)
{
    struct look look;
    weir_bytes value = {NULL, 0};
    look_open(&look, test, sql);
    if (look_next(&look)) {
        const char *text = wr_rows_text(look.rows, 0);
        value = text ? keep(test, weir_text(text)) : value;
    }
    look_close(&look);
    return value;
}

/* The newest change of a slot that is not in table `state` yet; false: there is none. */
static bool find_change(weir_test *test, struct look *look, uint32_t node, weir_bytes key,
                        weir_bytes slot, weir_bytes *value_out)
{
    struct wr_cache cache;
    weir_bytes changes = {NULL, 0};
    wr_cache_init(&cache, 0);
    weir_status status = WEIR_OK;
    int64_t epoch = 0;
    do {
        status = wr_reader_changelog(look->reader, &epoch, &test->arena, &changes, &look->error);
        if (status == WEIR_OK && changes.data) {
            status = wr_changelog_replay(changes, &cache, &look->error);
        }
    } while (status == WEIR_OK && changes.data);
    if (status != WEIR_OK) {
        look_failed(look);
    }
    const struct wr_cached *found =
        wr_cache_find(&cache, node, key, slot, wr_hash(node, key, slot));
    if (found) {
        *value_out = keep(test, wr_cached_value(found));
    }
    wr_cache_fini(&cache);
    return found != NULL;
}

weir_bytes weir_test_state(weir_test *test, const char *node, weir_bytes key, weir_bytes slot)
{
    struct look look;
    look_open(&look, test, "SELECT id FROM node WHERE name = ?1");
    wr_rows_bind_text(look.rows, 1, node);
    weir_bytes value = {NULL, 0};
    if (look_next(&look)) {
        uint32_t id = (uint32_t)wr_rows_int(look.rows, 0);
        if (!find_change(test, &look, id, key, slot, &value) &&
            wr_reader_get(look.reader, id, key, slot, &test->arena, &value, &look.error) !=
                WEIR_OK) {
            look_failed(&look);
        }
    }
    look_close(&look);
    return value;
}

static int64_t count_of(weir_test *test, const char *text)
{
    struct look look;
    look_open(&look, test, text);
    int64_t count = look_next(&look) ? wr_rows_int(look.rows, 0) : 0;
    look_close(&look);
    return count;
}

size_t weir_test_rejects(weir_test *test)
{
    return (size_t)count_of(test, "SELECT count(*) FROM reject");
}

int64_t weir_test_timers(weir_test *test)
{
    return count_of(test, "SELECT count(*) FROM timer");
}

const char *weir_test_reason(weir_test *test, size_t index)
{
    struct look look;
    look_open(&look, test, "SELECT reason FROM reject ORDER BY id LIMIT 1 OFFSET ?1");
    wr_rows_bind_int(look.rows, 1, (int64_t)index);
    const char *reason = NULL;
    if (look_next(&look)) {
        const char *text = wr_rows_text(look.rows, 0);
        reason = text ? keep(test, wr_bytes(text, strlen(text) + 1)).data : NULL;
    }
    look_close(&look);
    return reason;
}

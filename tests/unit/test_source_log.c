/* test_source_log.c: another store's topic as a source: records as they were written, positions and
 * what they refuse, what is seen while the store is written, damage.
 *
 * Long because each way in which a log can differ from what was read has a case.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/sources/source.h"
#include "tests/lib/scratch_store.h"

struct fixture {
    struct scratch *s; /* the store that is read */
    struct wr_env env;
    struct wr_arena arena;
    struct wr_source *source;
    struct wr_polled polled;
    struct wr_error error;
    enum wr_source_more more;
};

static weir_status try_open(struct fixture *f, const char *topic, const char *more)
{
    struct wr_endpoint endpoint;
    char uri[300];
    snprintf(uri, sizeof uri, "log:%s?store=%s%s", topic, f->s->path, more);
    assert_int_equal(wr_endpoint_parse(uri, true, &f->arena, &endpoint, &f->error), WEIR_OK);
    return wr_source_open(&f->env, "in", &endpoint, &f->arena, &f->source, &f->error);
}

static void close_source(struct fixture *f)
{
    if (f->source) {
        f->source->ops->close(f->source);
        f->source = NULL;
    }
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){.s = scratch_new()};
    f->env = f->s->env;
    f->env.data = f->s;
    wr_arena_init(&f->arena, 0);
    wr_arena_init(&f->polled.arena, 1 << 20);
    scratch_open(f->s);
}

static void end(struct fixture *f)
{
    close_source(f);
    scratch_free(f->s);
    wr_arena_fini(&f->polled.arena);
    wr_arena_fini(&f->arena);
}

static void must(struct fixture *f, weir_status status)
{
    if (status != WEIR_OK) {
        fail_msg("%s", f->error.text);
    }
}

static void must_fail(struct fixture *f, weir_status status, enum wr_exit exit_code,
                      const char *contains)
{
    assert_int_not_equal(status, WEIR_OK);
    if (f->error.exit_code != exit_code || !strstr(f->error.text, contains)) {
        fail_msg("expected %d and `%s`, got %d: %s", exit_code, contains, f->error.exit_code,
                 f->error.text);
    }
    wr_error_clear(&f->error);
}

/* Opened, and at the beginning of each partition. */
static void open_source(struct fixture *f)
{
    must(f, try_open(f, "out", ""));
    for (size_t i = 0; i < f->source->partition_count; i++) {
        must(f, f->source->ops->seek(f->source, f->source->partitions[i], NULL, &f->error));
    }
}

static weir_status poll(struct fixture *f, size_t partition)
{
    wr_arena_reset(&f->polled.arena);
    return f->source->ops->poll(f->source, f->source->partitions[partition], &f->polled, &f->more,
                                &f->error);
}

/* An epoch of `count` records, numbered on from `first`, in one partition. */
static void write_records(struct fixture *f, int32_t partition, int first, int count)
{
    scratch_begin(f->s);
    scratch_append(f->s, SCRATCH_LOG, partition, first, count);
    scratch_decide(f->s);
}

/* Reads `count` records that must follow, whatever the polls. */
static void read_records(struct fixture *f, size_t partition, int first, int count)
{
    for (int n = first; n < first + count;) {
        must(f, poll(f, partition));
        assert_int_equal(f->more, WR_SOURCE_MORE);
        assert_true(f->polled.count > 0);
        for (size_t i = 0; i < f->polled.count; i++, n++) {
            char text[16];
            int size = snprintf(text, sizeof text, "%d", n);
            assert_int_equal(f->polled.offsets[i], n);
            assert_int_equal(f->polled.nexts[i], n + 1);
            assert_int_equal(f->polled.records[i].value.size, size);
            assert_memory_equal(f->polled.records[i].value.data, text, (size_t)size);
        }
    }
    must(f, poll(f, partition));
    assert_int_equal(f->polled.count, 0);
}

/* Closes, opens with `more` parameters, and seeks to the position that was left. */
static weir_status reopen(struct fixture *f, size_t partition, const char *more)
{
    char identity[200];
    struct wr_source_partition *at = f->source->partitions[partition];
    struct wr_position stored = {.next = at->next, .part = at->part};
    snprintf(identity, sizeof identity, "%s", at->identity);
    stored.identity = identity;
    close_source(f);
    must(f, try_open(f, "out", more));
    return f->source->ops->seek(f->source, f->source->partitions[partition], &stored, &f->error);
}

/* ---- Records --------------------------------------------------------------------------------- */

/* Absent and empty differ; headers and times are as they were written. */
static void records_come_out_as_they_went_in(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    const weir_header headers[] = {{"h", {"x", 1}}, {"h", {NULL, 0}}, {"", {"", 0}}};
    const weir_record records[] = {
        {.key = {NULL, 0}, .value = {"", 0}, .time_ms = -5},
        {.key = {"", 0}, .value = {NULL, 0}, .time_ms = 7, .headers = headers, .header_count = 3},
    };
    scratch_begin(f.s);
    for (size_t i = 0; i < 2; i++) {
        scratch_must(f.s, wr_epoch_append(&f.s->epoch, SCRATCH_LOG, 1, &records[i], &f.s->error));
    }
    scratch_decide(f.s);
    open_source(&f);
    assert_int_equal(f.source->partition_count, 3);
    assert_string_equal(f.source->partitions[1]->part, "out/1");

    must(&f, poll(&f, 1));

    assert_int_equal(f.polled.count, 2);
    const weir_record *first = &f.polled.records[0], *second = &f.polled.records[1];
    assert_null(first->key.data);
    assert_true(first->value.data && first->value.size == 0);
    assert_int_equal(first->time_ms, -5);
    assert_int_equal(first->header_count, 0);
    assert_true(second->key.data && second->key.size == 0);
    assert_null(second->value.data);
    assert_int_equal(second->time_ms, 7);
    assert_int_equal(second->header_count, 3);
    assert_memory_equal(second->headers[0].value.data, "x", 1);
    assert_null(second->headers[1].value.data);
    assert_true(second->headers[2].value.data && second->headers[2].value.size == 0);
    end(&f);
}

/* Large and small batches, several partitions in turn, more partitions' batches than are kept. */
static void all_is_read_in_order(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    for (int i = 0; i < 40; i++) {
        write_records(&f, 0, i, 1);
    }
    write_records(&f, 0, 40, 30000);
    write_records(&f, 2, 0, 20000);
    open_source(&f);
    must(&f, poll(&f, 2));
    size_t got = f.polled.count;
    read_records(&f, 0, 0, 30040);
    f.source->partitions[2]->next = 0; /* an undone epoch */
    read_records(&f, 2, 0, 20000);
    assert_true(got > 0 && got <= WR_POLL_RECORDS_MAX);
    f.source->partitions[0]->next = 29000;
    read_records(&f, 0, 29000, 1040);
    end(&f);
}

/* While the store is written: nothing, then what came, and the lag in records. */
static void what_is_decided_is_seen(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    open_source(&f);
    must(&f, poll(&f, 0));
    assert_int_equal(f.more, WR_SOURCE_WAIT);
    write_records(&f, 0, 0, 10);
    read_records(&f, 0, 0, 10);
    write_records(&f, 1, 0, 10);
    must(&f, poll(&f, 0));
    assert_int_equal(f.more, WR_SOURCE_WAIT);
    must(&f, poll(&f, 1));
    assert_int_equal(f.polled.count, 10);
    assert_int_equal(f.source->ops->lag(f.source, f.source->partitions[1]), 0);
    f.source->partitions[1]->next = 4;
    assert_int_equal(f.source->ops->lag(f.source, f.source->partitions[1]), 6);
    end(&f);
}

/* --until-end ends where the topic ended when it began. */
static void a_bounded_run_ends_where_the_topic_ended(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    write_records(&f, 0, 0, 10);
    open_source(&f);
    must(&f, f.source->ops->bound(f.source, f.source->partitions[0], &f.error));
    write_records(&f, 0, 10, 10);
    read_records(&f, 0, 0, 10);
    assert_int_equal(f.more, WR_SOURCE_ENDED);
    assert_int_equal(f.source->partitions[0]->next, 10);
    end(&f);
}

/* What changes when the topic does. */
static void its_files_are_watched(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    open_source(&f);
    assert_int_equal(f.source->watch_count, 2);
    assert_string_equal(f.source->watches[0].directory, f.s->folder);
    assert_string_equal(f.source->watches[0].name, "test.weir-wal");
    assert_string_equal(f.source->watches[1].name, "test.weir");
    end(&f);
}

/* ---- Positions ------------------------------------------------------------------------------- */

/* In the middle of a batch, at its end, before it, and before everything. */
static void a_position_is_continued(void **state)
{
    (void)state;
    static const int nexts[] = {0, 3, 5, 7, 20};
    for (size_t i = 0; i < sizeof nexts / sizeof *nexts; i++) {
        struct fixture f;
        begin(&f);
        write_records(&f, 0, 0, 5);
        write_records(&f, 0, 5, 15);
        open_source(&f);
        if (nexts[i] > 0) {
            must(&f, poll(&f, 0));
        }
        if (nexts[i] > 4) {
            must(&f, poll(&f, 0));
        }
        f.source->partitions[0]->next = nexts[i];
        must(&f, reopen(&f, 0, ""));
        assert_int_equal(f.source->partitions[0]->next, nexts[i]);
        read_records(&f, 0, nexts[i], 20 - nexts[i]);
        end(&f);
    }
}

/* The store as it was at `copy`, in which other records follow. */
static void put_back(struct fixture *f, const char *copy, int next, int count)
{
    char command[600];
    close_source(f);
    scratch_close(f->s);
    snprintf(command, sizeof command, "rm -f %s-wal %s-shm && cp %s %s", f->s->path, f->s->path,
             copy, f->s->path);
    assert_int_equal(system(command), 0);
    scratch_open(f->s);
    if (count > 0) {
        write_records(f, 0, next, count);
    }
}

/* A store put back to an older copy, which has grown again since or not: refused, but where nothing
 * of what is lost was read. */
static void an_older_copy_is_noticed(void **state)
{
    (void)state;
    static const struct {
        int read, grown;
        const char *text; /* NULL: continued */
    } cases[] = {
        {20, 0, "ends at 10 now"},
        {20, 4, "ends at 14 now"},
        {20, 10, "holds other records below"},
        {20, 30, "holds other records below"},
        {15, 30, "holds other records below"},
        {11, 1, "holds other records below"},
        {10, 0, NULL},
        {10, 5, NULL},
        {4, 5, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        char copy[128], text[200];
        begin(&f);
        write_records(&f, 0, 0, 10);
        snprintf(copy, sizeof copy, "%s.copy", f.s->path);
        scratch_sql(f.s, "PRAGMA wal_checkpoint(TRUNCATE)");
        snprintf(text, sizeof text, "VACUUM INTO '%s'", copy);
        scratch_sql(f.s, text);
        write_records(&f, 0, 10, 10);
        open_source(&f);
        must(&f, poll(&f, 0));
        if (cases[i].read >= 10) { /* also at 10: polled, and nothing of it dispatched */
            must(&f, poll(&f, 0));
        }
        char identity[200];
        struct wr_position stored = {.next = cases[i].read, .identity = identity};
        snprintf(identity, sizeof identity, "%s", f.source->partitions[0]->identity);
        put_back(&f, copy, 1000, cases[i].grown);
        must(&f, try_open(&f, "out", ""));
        weir_status status =
            f.source->ops->seek(f.source, f.source->partitions[0], &stored, &f.error);
        if (cases[i].text) {
            must_fail(&f, status, WR_EXIT_CONFIG, cases[i].text);
        } else {
            must(&f, status);
            assert_int_equal(f.source->partitions[0]->next, cases[i].read);
        }
        unlink(copy);
        end(&f);
    }
}

static void trim_first(struct fixture *f, int batches)
{
    char text[500];
    snprintf(text, sizeof text,
             SCRATCH_SETTLE "DELETE FROM log WHERE id IN (SELECT id FROM log ORDER BY id LIMIT %d);"
             "UPDATE progress SET first = (SELECT min(first_offset) FROM log) WHERE kind = 2 AND"
             " partition = 0",
             batches);
    scratch_sql(f->s, text);
}

/* Retention waits for no reader: before the start, and while it reads. */
static void an_overtaken_reader_stops(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    for (int i = 0; i < 4; i++) {
        write_records(&f, 0, 5 * i, 5);
    }
    open_source(&f);
    must(&f, poll(&f, 0));
    trim_first(&f, 2);
    must_fail(&f, poll(&f, 0), WR_EXIT_CONFIG, "has removed the records up to 9");
    must_fail(&f, reopen(&f, 0, ""), WR_EXIT_CONFIG, "missing=earliest' (offset 10");
    must(&f, reopen(&f, 0, "&missing=earliest"));
    read_records(&f, 0, 10, 10);
    f.source->partitions[0]->next = 2;
    must(&f, reopen(&f, 0, "&missing=latest"));
    assert_int_equal(f.source->partitions[0]->next, 20);
    end(&f);
}

/* Deleted and made again, under the reader and between two runs. */
static void another_topic_of_the_same_name_is_noticed(void **state)
{
    (void)state;
    struct fixture f;
    char identity[200];
    const struct wr_position stored = {.next = 5, .identity = identity};
    begin(&f);
    write_records(&f, 0, 0, 5);
    open_source(&f);
    read_records(&f, 0, 0, 5);
    scratch_must(f.s, wr_store_drop_topic(f.s->store, "out", &f.s->error));
    must_fail(&f, poll(&f, 0), WR_EXIT_AGAIN, "topic out was deleted");
    scratch_close(f.s);
    scratch_open(f.s);
    write_records(&f, 0, 0, 9);
    snprintf(identity, sizeof identity, "%s", f.source->partitions[0]->identity);
    must_fail(&f, reopen(&f, 0, ""), WR_EXIT_CONFIG, "deleted and made again");
    close_source(&f);
    must(&f, try_open(&f, "out", "&missing=earliest"));
    must(&f, f.source->ops->seek(f.source, f.source->partitions[0], &stored, &f.error));
    read_records(&f, 0, 0, 9);
    end(&f);
}

static int64_t standing_us(struct wr_env *env)
{
    return ((struct scratch *)env->data)->now_ms * 1000;
}

/* Whoever looks first: it was the lag, and the file is still the same. */
static void a_deleted_topic_stays_noticed(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    f.env.monotonic_us = standing_us;
    write_records(&f, 0, 0, 5);
    open_source(&f);
    read_records(&f, 0, 0, 5);
    scratch_must(f.s, wr_store_drop_topic(f.s->store, "out", &f.s->error));
    f.s->now_ms += 2000;
    (void)f.source->ops->lag(f.source, f.source->partitions[0]);
    must_fail(&f, poll(&f, 0), WR_EXIT_AGAIN, "topic out was deleted");
    end(&f);
}

/* What is there is named. */
static void what_is_missing_is_named(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    must_fail(&f, try_open(&f, "uot", ""), WR_EXIT_NO_INPUT, "those it has: out");
    scratch_close(f.s);
    unlink(f.s->path);
    must_fail(&f, try_open(&f, "out", ""), WR_EXIT_NO_INPUT, "start that one first");
    end(&f);
}

static void damaged_positions_are_refused(void **state)
{
    (void)state;
    static const struct wr_position wrong[] = {
        {.next = -1, .identity = "store:00;topic:1"},
        {.next = 1, .identity = NULL},
        {.next = 1, .identity = ""},
        {.next = 1, .identity = "store:00;topic:x"},
        {.next = 1, .identity = "store:00;topic:1;to:5"},
        {.next = 1, .identity = "store:00;topic:1;to:5:0;from:1:0"},
    };
    struct fixture f;
    begin(&f);
    write_records(&f, 0, 0, 5);
    open_source(&f);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        must_fail(&f, f.source->ops->seek(f.source, f.source->partitions[0], &wrong[i], &f.error),
                  WR_EXIT_DATA, "is damaged");
    }
    struct wr_position other = {.next = 1, .identity = "store:00;topic:1"};
    must_fail(&f, f.source->ops->seek(f.source, f.source->partitions[0], &other, &f.error),
              WR_EXIT_CONFIG, "is in another store");
    end(&f);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

/* What is before the damaged batch comes first, and comes again. */
static void a_damaged_batch_ends_it(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    write_records(&f, 0, 0, 5);
    write_records(&f, 0, 5, 5);
    scratch_sql(f.s, "UPDATE log SET batch = CAST(substr(batch, 1, 45) || x'ff' ||"
                     " substr(batch, 47) AS BLOB) WHERE first_offset = 5");
    open_source(&f);
    must(&f, poll(&f, 0));
    assert_int_equal(f.polled.count, 5);
    must_fail(&f, poll(&f, 0), WR_EXIT_DATA, "topic out, partition 0, offset 5");
    must_fail(&f, poll(&f, 0), WR_EXIT_DATA, "is damaged");
    scratch_sql(f.s, "DELETE FROM log WHERE first_offset = 5");
    must_fail(&f, poll(&f, 0), WR_EXIT_DATA, "there is no batch");
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_as_they_went_in),
        cmocka_unit_test(all_is_read_in_order),
        cmocka_unit_test(what_is_decided_is_seen),
        cmocka_unit_test(a_bounded_run_ends_where_the_topic_ended),
        cmocka_unit_test(its_files_are_watched),
        cmocka_unit_test(a_position_is_continued),
        cmocka_unit_test(an_older_copy_is_noticed),
        cmocka_unit_test(an_overtaken_reader_stops),
        cmocka_unit_test(another_topic_of_the_same_name_is_noticed),
        cmocka_unit_test(a_deleted_topic_stays_noticed),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(damaged_positions_are_refused),
        cmocka_unit_test(a_damaged_batch_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

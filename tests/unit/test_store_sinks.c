/* test_store_sinks.c: tables and logs: what an epoch puts into them, and what is trimmed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/scratch_store.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const weir_bytes absent = {NULL, 0};

static int set_up(void **state)
{
    struct scratch *s = scratch_new();
    scratch_open(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scratch_free(*state);
    return 0;
}

static void assert_bytes(weir_bytes got, weir_bytes expected)
{
    assert_int_equal(!got.data, !expected.data);
    assert_int_equal(got.size, expected.size);
    assert_true(wr_bytes_equal(got, expected));
}

/* What a new snapshot has. */
static weir_bytes get(struct scratch *s, uint32_t node, weir_bytes key, weir_bytes slot)
{
    weir_bytes value;
    wr_reader_end(scratch_reader(s));
    scratch_must(s, wr_reader_get(s->reader, node, key, slot, &s->arena, &value, &s->error));
    return value;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Rows are upserted and deleted by key; text is TEXT, what sqlite3 could not show is a BLOB. */
static void table_rows_are_upserted_and_deleted(void **state)
{
    struct scratch *s = *state;
    static const struct {
        const char *value, *type;
        size_t size;
    } cases[] = {
        {"plain", "text", 5},
        {"", "text", 0},
        {"gr\xc3\xbc\xc3\x9f", "text", 6},
        {"\xf0\x9f\x8c\x8a", "text", 4},
        {"a\0b", "blob", 3},
        {"\xff", "blob", 1},
        {"\xc3", "blob", 1},
        {"\xc0\x80", "blob", 2},
        {"\xed\xa0\x80", "blob", 3},
        {"\xf4\x90\x80\x80", "blob", 4},
        {"\xe0\x80\x80", "blob", 3},
    };
    scratch_begin(s);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char key[8];
        snprintf(key, sizeof key, "%02zu", i);
        scratch_must(s, wr_epoch_row(&s->epoch, SCRATCH_TABLE, weir_text(key),
                                     wr_bytes(cases[i].value, cases[i].size), &s->error));
    }
    scratch_decide(s);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[96];
        snprintf(text, sizeof text, "SELECT typeof(value) FROM counts WHERE key = '%02zu'", i);
        assert_string_equal(scratch_query(s, text), cases[i].type);
    }
    scratch_begin(s);
    scratch_row(s, SCRATCH_TABLE, "00", "changed");
    scratch_row(s, SCRATCH_TABLE, "01", NULL);
    scratch_row(s, SCRATCH_TABLE, "never", NULL);
    scratch_decide(s);
    assert_string_equal(scratch_query(s, "SELECT value FROM counts WHERE key = '00'"), "changed");
    assert_string_equal(scratch_query(s, "SELECT count(*) FROM counts"), "10");
}

/* Typed columns hold numbers, in their order, however many rows there are. */
static void typed_tables_hold_numbers(void **state)
{
    struct scratch *s = *state;
    for (int round = 0; round < 2; round++) {
        scratch_begin(s);
        for (int i = -100; i < 100; i++) {
            char key[16], value[16];
            snprintf(key, sizeof key, "%d", i * 7);
            snprintf(value, sizeof value, "%d.5", i * (round + 1));
            scratch_row(s, SCRATCH_NUMBERS, key, value);
        }
        scratch_decide(s);
    }
    assert_string_equal(scratch_query(s, "SELECT count(*) || ' ' || min(key) || ' ' || max(key)"
                                         " || ' ' || typeof(key) || ' ' || typeof(value)"
                                         " FROM numbers"),
                        "200 -700 693 integer real");
    assert_string_equal(scratch_query(s, "SELECT value FROM numbers WHERE key = 70"), "20.5");
}

/* A row that is not of its column's type should not have come so far: nothing is decided. */
static void a_row_of_the_wrong_type_stops(void **state)
{
    struct scratch *s = *state;
    scratch_begin(s);
    scratch_row(s, SCRATCH_TABLE, "a", "1");
    scratch_row(s, SCRATCH_NUMBERS, "x", "1");
    scratch_must_fail(s, scratch_try_decide(s, NULL, 0), WR_EXIT_BUG, "numbers");
    assert_string_equal(scratch_query(s, "SELECT count(*) FROM counts"), "0");
}

/* ---- Logs ------------------------------------------------------------------------------------ */

/* Reads a partition from an offset on, each record's value its offset plus `shift` as text. */
static int64_t read_from(struct scratch *s, int64_t topic, int32_t partition, int64_t offset,
                         int shift)
{
    wr_reader_end(scratch_reader(s));
    for (;;) {
        weir_bytes bytes;
        struct wr_batch_reader batch;
        scratch_must(s, wr_reader_batch(scratch_reader(s), topic, partition, offset, &s->arena,
                                        &bytes, &s->error));
        if (!bytes.data) {
            return offset;
        }
        scratch_must(s, wr_batch_open(bytes, &batch, &s->error));
        for (bool more = true; more;) {
            weir_record record;
            int64_t at;
            char text[16];
            scratch_must(s, wr_batch_next(&batch, &s->arena, &record, &at, &more, &s->error));
            if (more && at >= offset) {
                assert_int_equal(at, offset);
                snprintf(text, sizeof text, "%d", (int)at + shift);
                assert_bytes(record.value, weir_text(text));
                offset++;
            }
        }
    }
}

static struct wr_extent extent(struct scratch *s, int64_t topic, int32_t partition)
{
    struct wr_extent got;
    wr_reader_end(scratch_reader(s));
    scratch_must(s, wr_reader_extent(s->reader, topic, partition, &got, &s->error));
    return got;
}

/* Epochs append to partitions; a reader finds the batch of any offset; offsets go on after a
 * restart. */
static void logs_are_appended_and_read(void **state)
{
    struct scratch *s = *state;
    for (int epoch = 0; epoch < 4; epoch++) {
        scratch_begin(s);
        scratch_append(s, SCRATCH_LOG, 0, epoch * 10, 10);
        scratch_append(s, SCRATCH_LOG, 2, 1000 + epoch, 1);
        scratch_decide(s);
        if (epoch == 1) {
            scratch_close(s);
            scratch_open(s);
            assert_int_equal(s->sinks[SCRATCH_LOG].next[0], 20);
            assert_int_equal(s->sinks[SCRATCH_LOG].next[1], 0);
            assert_int_equal(s->sinks[SCRATCH_LOG].next[2], 2);
        }
    }
    int64_t topic = s->sinks[SCRATCH_LOG].topic;
    for (int64_t offset = 0; offset <= 40; offset++) {
        assert_int_equal(read_from(s, topic, 0, offset, 0), 40);
    }
    assert_int_equal(read_from(s, topic, 1, 0, 0), 0);
    assert_int_equal(read_from(s, topic, 2, 0, 1000), 4);
    struct wr_extent got = extent(s, topic, 0);
    assert_true(got.first == 0 && got.next == 40 && got.bytes > 40 * 6);
    scratch_must_fail(s, wr_reader_extent(s->reader, topic, 3, &got, &s->error), WR_EXIT_DATA,
                      "partition 3");
}

/* More than a batch holds becomes several, in order. */
static void a_large_epoch_has_several_batches(void **state)
{
    struct scratch *s = *state;
    scratch_begin(s);
    scratch_append(s, SCRATCH_LOG, 1, 0, 200000);
    scratch_decide(s);
    assert_true(atoi(scratch_query(s, "SELECT count(*) FROM log")) > 1);
    assert_int_equal(read_from(s, s->sinks[SCRATCH_LOG].topic, 1, 0, 0), 200000);
}

static weir_status move_marker(struct scratch *s, int64_t next)
{
    struct wr_marker marker = {.sink = "file",
                               .next = next,
                               .length = next * 2,
                               .incarnation = 5,
                               .crc = UINT64_MAX,
                               .identity = "1:2"};
    struct wr_apply apply = {.markers = &marker, .marker_count = 1};
    return wr_store_apply(s->store, &apply, &s->error);
}

/* A marker trims whole batches of its outbox below it, and nothing else. */
static void a_marker_trims_its_outbox(void **state)
{
    struct scratch *s = *state;
    static const struct {
        int64_t marker, first;
    } cases[] = {{0, 0}, {5, 0}, {10, 10}, {19, 10}, {29, 20}, {30, 30}, {40, 40}};
    for (int epoch = 0; epoch < 4; epoch++) {
        scratch_begin(s);
        scratch_append(s, SCRATCH_OUTBOX, 0, epoch * 10, 10);
        scratch_append(s, SCRATCH_LOG, 0, epoch * 10, 10);
        scratch_decide(s);
    }
    int64_t topic = s->sinks[SCRATCH_OUTBOX].topic;
    for (size_t i = 0; i < COUNT(cases); i++) {
        scratch_must(s, move_marker(s, cases[i].marker));
        struct wr_extent got = extent(s, topic, 0);
        assert_int_equal(got.first, cases[i].first);
        assert_int_equal(got.next, 40);
        assert_int_equal(got.bytes == 0, cases[i].first == 40);
        assert_int_equal(read_from(s, topic, 0, got.first, 0), 40);
    }
    assert_int_equal(extent(s, s->sinks[SCRATCH_LOG].topic, 0).first, 0);
    scratch_must_fail(s, move_marker(s, 41), WR_EXIT_DATA, "ends at 40");
    scratch_begin(s);
    scratch_append(s, SCRATCH_OUTBOX, 0, 40, 3);
    scratch_decide(s);
    assert_int_equal(read_from(s, topic, 0, 40, 0), 43);
}

/* Retention by bytes keeps at least that many, and by time what is young enough; the newest batch
 * always stays. */
static void retention_drops_whole_old_batches(void **state)
{
    struct scratch *s = *state;
    int64_t topic = s->sinks[SCRATCH_LOG].topic, size = 0;
    for (int epoch = 0; epoch < 10; epoch++) {
        s->now_ms += 1000;
        scratch_begin(s);
        scratch_append(s, SCRATCH_LOG, 0, 100 + epoch * 10, 10);
        scratch_decide(s);
        size = size ? size : extent(s, topic, 0).bytes;
    }
    assert_int_equal(extent(s, topic, 0).first, 0);
    s->sinks[SCRATCH_LOG].retain_bytes = size * 4;
    scratch_begin(s);
    scratch_append(s, SCRATCH_LOG, 0, 200, 10);
    scratch_decide(s);
    assert_int_equal(extent(s, topic, 0).first, 70);
    assert_int_equal(extent(s, topic, 0).bytes, size * 4);
    s->sinks[SCRATCH_LOG].retain_bytes = 0;
    s->sinks[SCRATCH_LOG].retain_ms = 1500;
    scratch_begin(s);
    scratch_append(s, SCRATCH_LOG, 0, 210, 10);
    scratch_decide(s);
    assert_int_equal(extent(s, topic, 0).first, 80);
    s->now_ms += 1000000;
    for (int epoch = 0; epoch < SCRATCH_PARTITIONS; epoch++) { /* also when nothing is appended */
        scratch_begin(s);
        scratch_decide(s);
    }
    assert_int_equal(extent(s, topic, 0).first, 110);
    assert_int_equal(extent(s, topic, 0).next, 120);
}

/* A batch that does not go on where the partition ends: the whole epoch is refused. */
static void a_gap_in_a_log_is_refused(void **state)
{
    struct scratch *s = *state;
    scratch_begin(s);
    scratch_put(s, s->nodes[0].id, weir_text("k"), absent, weir_text("v"));
    s->sinks[SCRATCH_LOG].next[1] = 5;
    scratch_append(s, SCRATCH_LOG, 1, 0, 1);
    scratch_must_fail(s, scratch_try_decide(s, NULL, 0), WR_EXIT_DATA, "ends at offset 0");
    assert_bytes(get(s, s->nodes[0].id, weir_text("k"), absent), absent);
    assert_string_equal(scratch_query(s, "SELECT count(*) FROM epoch"), "0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(table_rows_are_upserted_and_deleted), TEST(typed_tables_hold_numbers),
        TEST(a_row_of_the_wrong_type_stops),       TEST(logs_are_appended_and_read),
        TEST(a_large_epoch_has_several_batches),   TEST(a_marker_trims_its_outbox),
        TEST(retention_drops_whole_old_batches),   TEST(a_gap_in_a_log_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

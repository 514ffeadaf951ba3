/* test_store_epoch.c: an epoch is there altogether or not at all, says where it ended, and what a
 * start needs comes back.
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

/* ---- Rejects, positions, the epoch's row ----------------------------------------------------- */

/* A dead letter is kept as the node got it. */
static void rejects_are_kept(void **state)
{
    struct scratch *s = *state;
    const weir_header header = {"h", weir_text("x")};
    const struct wr_reject record = {
        .source = "in",
        .part = "0",
        .node = "count",
        .reason = "odd",
        .offset = 7,
        .input = 1,
        .seq = 2,
        .record = {.value = weir_text("v"), .time_ms = 5, .headers = &header, .header_count = 1}};
    const struct wr_reject timer = {.node = "join",
                                    .reason = "late",
                                    .offset = -1,
                                    .record = {.key = weir_text("k"), .time_ms = 6},
                                    .timer = weir_text("t")};
    scratch_begin(s);
    scratch_must(s, wr_epoch_reject(&s->epoch, &record, &s->error));
    scratch_must(s, wr_epoch_reject(&s->epoch, &timer, &s->error));
    scratch_decide(s);
    const char *text = "SELECT concat FROM (SELECT group_concat(id || epoch || ifnull(source, '-')"
                       " || ifnull(part, '-') || ifnull(offset, '-') || node || input || seq"
                       " || ifnull(key, '-') || ifnull(value, '-') || ifnull(hex(headers), '-')"
                       " || time_ms || ifnull(timer, '-') || reason, ' ') AS concat FROM reject)";
    assert_string_equal(scratch_query(s, text), "11in07count12-v010168"
                                                "0278"
                                                "5-odd 21---join00k-6tlate");
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

/* Positions, watermarks and markers come back after a restart as they were decided. */
static void the_catalog_comes_back(void **state)
{
    struct scratch *s = *state;
    struct wr_catalog catalog;
    scratch_begin(s);
    struct wr_position positions[] = {
        {.source = "in", .part = "/a/b.txt", .next = 100, .watermark_ms = INT64_MIN},
        {.source = "in",
         .part = "\xff\"'",
         .next = WR_COUNTER_MAX,
         .watermark_ms = -5,
         .idle = true,
         .identity = "12:34"}};
    struct wr_watermark watermarks[] = {
        {.node = s->nodes[0].id, .source = "in", .part = "/a/b.txt", .watermark_ms = 77}};
    struct wr_node_watermark nodes[] = {{.node = s->nodes[1].id, .watermark_ms = 66}};
    s->epoch.progress.positions = positions;
    s->epoch.progress.position_count = COUNT(positions);
    s->epoch.progress.watermarks = watermarks;
    s->epoch.progress.watermark_count = COUNT(watermarks);
    s->epoch.progress.nodes = nodes;
    s->epoch.progress.node_count = COUNT(nodes);
    scratch_put(s, s->nodes[0].id, absent, absent, weir_text("v"));
    scratch_decide(s);
    scratch_must(s, move_marker(s, 0));
    scratch_close(s);
    scratch_open(s);
    scratch_must(s, wr_store_catalog(s->store, &s->arena, &catalog, &s->error));
    assert_int_equal(catalog.position_count, 2);
    assert_string_equal(catalog.positions[0].part, "/a/b.txt");
    assert_true(catalog.positions[0].next == 100 && catalog.positions[0].watermark_ms == INT64_MIN);
    assert_true(!catalog.positions[0].idle && !catalog.positions[0].identity);
    assert_true(catalog.positions[1].next == WR_COUNTER_MAX && catalog.positions[1].idle);
    assert_string_equal(catalog.positions[1].identity, "12:34");
    assert_int_equal(catalog.watermark_count, 1);
    assert_int_equal(catalog.watermarks[0].watermark_ms, 77);
    assert_int_equal(catalog.node_count, 2);
    assert_string_equal(catalog.nodes[0].name, "count");
    assert_true(catalog.nodes[0].stateful && !catalog.nodes[1].stateful);
    assert_true(catalog.nodes[0].watermark_ms == INT64_MIN && catalog.nodes[1].watermark_ms == 66);
    assert_int_equal(catalog.nodes[1].version, 3);
    assert_int_equal(catalog.marker_count, 1);
    assert_string_equal(catalog.markers[0].sink, "file");
    assert_string_equal(catalog.markers[0].identity, "1:2");
    assert_true(catalog.markers[0].crc == UINT64_MAX && catalog.markers[0].incarnation == 5);
}

/* Each epoch's row says how far inputs were read and logs reach, after it. */
static void every_epoch_says_where_it_ended(void **state)
{
    struct scratch *s = *state;
    for (int epoch = 1; epoch <= 2; epoch++) {
        scratch_begin(s);
        scratch_position(s, epoch * 100);
        scratch_append(s, SCRATCH_LOG, 1, 0, 5);
        scratch_append(s, SCRATCH_OUTBOX, 0, 0, 1);
        s->epoch.records_in = 100;
        scratch_decide(s);
    }
    assert_string_equal(scratch_query(s, "SELECT positions || offsets || records || time_ms"
                                         " FROM epoch WHERE number = 1"),
                        "{\"in\":{\"0\":100}}{\"out\":{\"0\":0,\"1\":5,\"2\":0},"
                        "\"outbox:file\":{\"0\":1}}1001700000000000");
    assert_string_equal(scratch_query(s, "SELECT positions ->> '$.in.0' || ' ' ||"
                                         " (offsets ->> '$.out.1') FROM epoch WHERE number = 2"),
                        "200 10");
}

/* The history is bounded, and the newest epochs are in it. */
static void the_history_is_bounded(void **state)
{
    struct scratch *s = *state;
    for (int epoch = 0; epoch < WR_EPOCH_HISTORY + 1500; epoch++) {
        scratch_begin(s);
        scratch_decide(s);
    }
    assert_string_equal(
        scratch_query(s, "SELECT min(number) || ' ' || max(number) || ' ' || count(*) FROM epoch"),
        "1001 11500 10500");
}

/* ---- All or nothing -------------------------------------------------------------------------- */

static void fill_everything(struct scratch *s, int turn)
{
    char text[16];
    snprintf(text, sizeof text, "%d", turn);
    scratch_begin(s);
    scratch_put(s, s->nodes[0].id, weir_text("k"), absent, weir_text(text));
    scratch_timer(s, s->nodes[0].id, weir_text("k"), absent, false, turn);
    scratch_row(s, SCRATCH_TABLE, "k", text);
    scratch_append(s, SCRATCH_LOG, 0, turn, 1);
    scratch_append(s, SCRATCH_OUTBOX, 0, turn, 1);
    scratch_position(s, turn);
    const struct wr_reject reject = {.node = "count", .reason = text, .offset = -1};
    scratch_must(s, wr_epoch_reject(&s->epoch, &reject, &s->error));
}

/* One word for all that `fill_everything` leaves: equal parts mean an exact cut. */
static const char *everything(struct scratch *s)
{
    return scratch_query(s,
                         "SELECT cast((SELECT value FROM state) AS TEXT) || ' '"
                         " || (SELECT time_ms FROM timer) || ' ' || (SELECT value FROM counts)"
                         " || ' ' || (SELECT max(next) FROM partition) || ' '"
                         " || (SELECT next FROM position) || ' ' || (SELECT count(*) FROM reject)"
                         " || ' ' || (SELECT max(number) FROM epoch) || ' '"
                         " || (SELECT next FROM marker)");
}

/* At whatever point deciding ends, the epoch is there altogether or not at all. */
static void a_crash_leaves_all_or_nothing(void **state)
{
    struct scratch *s = *state;
    static const enum wr_fault_point points[] = {
        WR_FAULT_decide_before_begin, WR_FAULT_decide_after_begin,     WR_FAULT_decide_after_state,
        WR_FAULT_decide_after_timers, WR_FAULT_decide_after_tables,    WR_FAULT_decide_after_logs,
        WR_FAULT_trim_before,         WR_FAULT_decide_after_positions, WR_FAULT_trim_after,
        WR_FAULT_decide_before_end,   WR_FAULT_decide_after_end,
    };
    fill_everything(s, 1);
    scratch_decide(s);
    for (size_t i = 0; i < COUNT(points); i++) {
        struct wr_marker marker = {.sink = "file", .next = 1, .length = -1};
        s->env.fault = (struct wr_fault){.point = points[i], .countdown = 1, .returns = true};
        fill_everything(s, 2);
        assert_int_not_equal(scratch_try_decide(s, &marker, 1), WEIR_OK);
        assert_true(s->env.fault.passed);
        bool decided = points[i] == WR_FAULT_decide_after_end;
        assert_string_equal(everything(s), decided ? "2 2 2 2 2 2 2 1" : "1 1 1 1 1 1 1 0");
        wr_error_clear(&s->error);
        s->env.fault.point = WR_FAULT_none;
        scratch_close(s);
        scratch_open(s);
        assert_int_equal(wr_store_info(s->store)->epoch, decided ? 2 : 1);
    }
}

/* A snapshot stays what it was until it is ended. */
static void a_snapshot_is_a_cut(void **state)
{
    struct scratch *s = *state;
    weir_bytes value;
    struct wr_extent got;
    fill_everything(s, 1);
    scratch_decide(s);
    assert_bytes(get(s, s->nodes[0].id, weir_text("k"), absent), weir_text("1"));
    fill_everything(s, 2);
    scratch_decide(s);
    scratch_must(s, wr_reader_get(s->reader, s->nodes[0].id, weir_text("k"), absent, &s->arena,
                                  &value, &s->error));
    assert_bytes(value, weir_text("1"));
    scratch_must(s, wr_reader_extent(s->reader, s->sinks[SCRATCH_LOG].topic, 0, &got, &s->error));
    assert_int_equal(got.next, 1);
    wr_reader_end(s->reader);
    scratch_must(s, wr_reader_extent(s->reader, s->sinks[SCRATCH_LOG].topic, 0, &got, &s->error));
    assert_int_equal(got.next, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rejects_are_kept),
        TEST(the_catalog_comes_back),
        TEST(every_epoch_says_where_it_ended),
        TEST(the_history_is_bounded),
        TEST(a_crash_leaves_all_or_nothing),
        TEST(a_snapshot_is_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

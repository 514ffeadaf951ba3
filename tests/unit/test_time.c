/* test_time.c: watermarks: of partitions, sources and nodes, out of order, late, idle, ended, at
 * the end of time, over restarts and undone epochs. Long because each way has its test.
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

#include "engine/test_kit.h"
#include "engine/weir_test.h"

static int troubles; /* so many timers fail before they do not */

/* Records tell the watermark; a record `wake T` sets a timer, which tells when it fires. */
static void tell(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const char *name = arg;
    char text[100] = "none", value[40] = "";
    long long watermark_ms = weir_watermark(ctx), wake_ms;
    if (watermark_ms != INT64_MIN) {
        snprintf(text, sizeof text, "%lld", watermark_ms);
    }
    snprintf(value, sizeof value, "%.*s", in ? (int)in->value.size : 0,
             in ? (const char *)in->value.data : "");
    if (sscanf(value, "wake %lld", &wake_ms) == 1) {
        weir_wake(ctx, weir_text("t"), wake_ms);
    } else if (sscanf(value, "clock %lld", &wake_ms) == 1) {
        weir_wake_clock(ctx, weir_text("c"), wake_ms);
    }
    if (!in && troubles > 0) {
        troubles--;
        weir_fail(ctx, WEIR_RETRY, "trouble");
    }
    char all[200];
    snprintf(all, sizeof all, "%s %s %lld at %s", name, in ? "record" : "timer",
             (long long)weir_time(ctx), text);
    weir_record out = weir_reply(ctx, weir_text(all));
    weir_emit_to(ctx, 1, &out);
    if (!in || !strstr(value, "wake")) {
        weir_emit(ctx, &out);
    }
}

static weir_stream *node(weir_stream *in, const char *name)
{
    weir_stream *made = weir_through(in, name, tell, (void *)(uintptr_t)name);
    char sink[32];
    snprintf(sink, sizeof sink, "%s-out", name);
    weir_into(weir_side(made, 1), sink, NULL);
    return made;
}

static int64_t number_of(const weir_record *in, void *arg)
{
    (void)arg;
    return in->time_ms;
}

static void push(weir_test *test, const char *source, int partition, const char *value, int64_t ms)
{
    weir_record record = {.key = weir_text("k"), .value = weir_text(value), .time_ms = ms};
    weir_test_push(test, source, partition, &record);
    if (weir_test_run(test) != WEIR_OK) {
        fail_msg("%s", weir_test_error(test));
    }
}

/* The last records of a sink are these, NULL-ended; NULL alone: it has none. */
static void ends_with(weir_test *test, const char *sink, ...)
{
    const char *lines[16];
    size_t count = 0;
    va_list args;
    va_start(args, sink);
    while ((lines[count] = va_arg(args, const char *))) {
        count++;
    }
    va_end(args);
    size_t all = weir_test_count(test, sink);
    assert_true(count ? all >= count : all == 0);
    for (size_t i = 0; i < count; i++) {
        const weir_record *record = weir_test_record(test, sink, all - count + i);
        if (!wr_bytes_equal(record->value, weir_text(lines[i]))) {
            fail_msg("%s %zu: `%.*s`, expected `%s`", sink, all - count + i,
                     (int)record->value.size, (const char *)record->value.data, lines[i]);
        }
    }
}

/* ---- Sources --------------------------------------------------------------------------------- */

static void plain(weir_job *job)
{
    node(weir_from(job, "in", NULL), "n");
}

/* Without weir_times the watermark is the largest time so far; it moves after the record. */
static void a_source_has_its_records_time(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(plain, NULL);
    push(test, "in", 0, "", 10);
    push(test, "in", 0, "", 5);
    push(test, "in", 0, "", 20);
    push(test, "in", 0, "", INT64_MIN);
    ends_with(test, "n-out", "n record 10 at none", "n record 5 at 10", "n record 20 at 10",
              "n record -9223372036854775808 at 20", NULL);
    weir_test_free(test);
}

/* The end of time is not reached by a record. */
static void no_record_ends_time(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(plain, NULL);
    push(test, "in", 0, "", INT64_MAX);
    push(test, "in", 0, "wake 9223372036854775806", 1);
    ends_with(test, "n-out", "n record 1 at 9223372036854775806",
              "n timer 9223372036854775806 at 9223372036854775806", NULL);
    weir_test_free(test);
}

/* The lowest of a source's partitions counts; one without records has none yet. */
static void the_lowest_partition_counts(void **state)
{
    (void)state;
    weir_test_options options = {.partitions = 3};
    weir_test *test = weir_test_new(plain, &options);
    push(test, "in", 0, "", 10);
    push(test, "in", 1, "", 20);
    push(test, "in", 0, "", 30);
    ends_with(test, "n-out", "n record 30 at none", NULL);
    push(test, "in", 2, "", 5);
    push(test, "in", 2, "", 25);
    push(test, "in", 1, "", 26);
    push(test, "in", 1, "", 27);
    ends_with(test, "n-out", "n record 25 at 5", "n record 26 at 20", "n record 27 at 25", NULL);
    weir_test_free(test);
}

static void two_sources(weir_job *job)
{
    weir_stream *made = node(weir_from(job, "a", NULL), "n");
    weir_with(made, weir_from(job, "b", NULL));
}

/* A node with two inputs has the lower watermark of the two. */
static void the_lower_input_counts(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(two_sources, NULL);
    push(test, "a", 0, "wake 50", 100);
    push(test, "b", 0, "", 40);
    push(test, "b", 0, "", 60);
    push(test, "b", 0, "", 200);
    push(test, "b", 0, "", 200);
    ends_with(test, "n-out", "n record 40 at none", "n record 60 at 40", "n timer 50 at 40",
              "n record 200 at 60", "n record 200 at 100", NULL);
    weir_test_free(test);
}

/* ---- weir_times ------------------------------------------------------------------------------ */

static void timed(weir_job *job)
{
    node(weir_times(weir_from(job, "in", NULL), "times", number_of, NULL, 10, 100), "n");
}

/* Records may come out of order by so much. */
static void out_of_order_holds_back(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(timed, NULL);
    push(test, "in", 0, "", 100);
    push(test, "in", 0, "", 95);
    push(test, "in", 0, "", 120);
    push(test, "in", 0, "", 0);
    ends_with(test, "n-out", "n record 95 at 90", "n record 120 at 90", "n record 0 at 110", NULL);
    assert_int_equal(atomic_load(&test->instance.metrics.late), 1);
    weir_test_free(test);
}

/* A partition that is idle holds nothing back, and does again when it has a record. */
static void an_idle_partition_holds_nothing_back(void **state)
{
    (void)state;
    weir_test_options options = {.partitions = 2};
    weir_test *test = weir_test_new(timed, &options);
    push(test, "in", 0, "", 1000);
    push(test, "in", 1, "wake 800", 500);
    assert_int_equal(weir_test_clock(test, 60), WEIR_OK);
    push(test, "in", 0, "", 1100);
    ends_with(test, "n-out", "n record 1100 at 490", NULL);
    assert_int_equal(weir_test_clock(test, 60), WEIR_OK);
    ends_with(test, "n-out", "n timer 800 at 490", NULL);
    push(test, "in", 0, "", 1200);
    ends_with(test, "n-out", "n record 1200 at 1090", NULL);
    push(test, "in", 1, "", 600);
    push(test, "in", 0, "", 2000);
    push(test, "in", 0, "", 2000);
    ends_with(test, "n-out", "n record 600 at 1190", "n record 2000 at 1190",
              "n record 2000 at 1190", NULL); /* never falls */
    weir_test_free(test);
}

/* When all are idle the highest counts, also after a restart. */
static void when_all_are_idle_the_highest_counts(void **state)
{
    (void)state;
    weir_test_options options = {.partitions = 2};
    weir_test *test = weir_test_new(timed, &options);
    push(test, "in", 0, "wake 900", 1000);
    push(test, "in", 1, "", 500);
    assert_int_equal(weir_test_clock(test, 100), WEIR_OK);
    assert_int_equal(weir_test_clock(test, 100), WEIR_OK);
    ends_with(test, "n-out", "n timer 900 at 490", NULL);
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    push(test, "in", 0, "", 1001);
    ends_with(test, "n-out", "n record 1001 at 990", NULL);
    weir_test_free(test);
}

/* A partition that was read to its end holds nothing back, also when that is met while timers are
 * firing. */
static void an_ended_partition_holds_nothing_back(void **state)
{
    (void)state;
    weir_test_options options = {.partitions = 2};
    weir_test *test = weir_test_new(timed, &options);
    push(test, "in", 0, "wake 800", 1000);
    push(test, "in", 1, "", 500);
    ends_with(test, "n-out", "n record 1000 at none", "n record 500 at none", NULL);
    wr_time_part_ended(&test->instance, 1);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    ends_with(test, "n-out", "n timer 800 at 490", NULL);
    weir_test_free(test);
}

static struct wr_instance *ending;

static void end_while_firing(weir_ctx *ctx, const weir_record *in, void *arg)
{
    if (!in) {
        wr_time_part_ended(ending, 1); /* as a poll between two timers does */
    }
    tell(ctx, in, arg);
}

static void ends_while_firing(weir_job *job)
{
    weir_stream *in = weir_times(weir_from(job, "in", NULL), "times", number_of, NULL, 0, 0);
    weir_stream *made = weir_through(in, "n", end_while_firing, (void *)(uintptr_t) "n");
    weir_into(weir_side(made, 1), "n-out", NULL);
}

static void an_end_while_timers_fire_counts(void **state)
{
    (void)state;
    weir_test_options options = {.partitions = 2};
    weir_test *test = weir_test_new(ends_while_firing, &options);
    ending = &test->instance;
    push(test, "in", 0, "", 1000);
    push(test, "in", 1, "wake 100", 50);
    push(test, "in", 1, "", 100);
    ends_with(test, "n-out", "n record 100 at 50", "n timer 100 at 50", NULL);
    push(test, "in", 0, "", 1);
    ends_with(test, "n-out", "n record 1 at 1000", NULL);
    weir_test_free(test);
}

/* ---- Through the graph ----------------------------------------------------------------------- */

static void chain(weir_job *job)
{
    node(node(weir_from(job, "in", NULL), "first"), "second");
}

/* What a timer emits reaches the next node before that one's watermark moves. */
static void nodes_advance_in_graph_order(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(chain, NULL);
    push(test, "in", 0, "wake 50", 10);
    push(test, "in", 0, "", 100);
    ends_with(test, "first-out", "first record 10 at none", "first record 100 at 10",
              "first timer 50 at 10", NULL);
    ends_with(test, "second-out", "second record 100 at 10", "second record 50 at 10", NULL);
    push(test, "in", 0, "", 100);
    ends_with(test, "second-out", "second record 100 at 100", NULL);
    weir_test_free(test);
}

/* Results do not depend on where epochs end, are decided, undone or cut off by a crash. */
static void epochs_do_not_show(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        weir_test_options options = {.epoch_records = i & 1, .decide_late = i & 2};
        weir_test *test = weir_test_new(chain, &options);
        push(test, "in", 0, "wake 50", 10);
        push(test, "in", 0, "clock 7", 20);
        troubles = i & 4 ? 3 : 0;
        push(test, "in", 0, "", 100);
        if (i & 4) {
            weir_test_crash(test);
            assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
        }
        troubles = i & 4 ? 3 : 0;
        assert_int_equal(weir_test_clock(test, 10), WEIR_OK);
        push(test, "in", 0, "", 110);
        ends_with(test, "first-out", "first record 10 at none", "first record 20 at 10",
                  "first record 100 at 20", "first timer 50 at 20", "first timer 1000000007 at 100",
                  "first record 110 at 100", NULL);
        ends_with(test, "second-out", "second record 20 at 10", "second record 100 at 20",
                  "second record 50 at 20", "second record 1000000007 at 100",
                  "second record 110 at 100", NULL);
        weir_test_free(test);
    }
}

/* Partitions' and nodes' watermarks are decided with the positions. */
static void watermarks_survive_a_crash(void **state)
{
    (void)state;
    weir_test_options options = {.partitions = 2};
    weir_test *test = weir_test_new(timed, &options);
    push(test, "in", 0, "", 1000);
    push(test, "in", 1, "", 500);
    weir_test_crash(test);
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    push(test, "in", 1, "", 700);
    push(test, "in", 1, "", 700);
    ends_with(test, "n-out", "n record 700 at 490", "n record 700 at 690", NULL);
    weir_test_free(test);
}

/* ---- The end of time ------------------------------------------------------------------------- */

/* Everything fires, node after node, those on the clock too; what comes later is late. */
static void a_drain_fires_all(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(chain, NULL);
    push(test, "in", 0, "wake 5000", 10);
    push(test, "in", 0, "clock 99999", 20);
    assert_int_equal(weir_test_drain(test), WEIR_OK);
    ends_with(test, "second-out", "second record 5000 at 20", "second record 1000099999 at 20",
              NULL);
    assert_int_equal(weir_test_timers(test), 0);
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    push(test, "in", 0, "", 30);
    ends_with(test, "second-out", "second record 30 at 9223372036854775807", NULL);
    weir_test_free(test);
}

static void again(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    (void)in;
    weir_wake(ctx, weir_text("again"), weir_time(ctx) + 10);
    weir_wake_clock(ctx, weir_text("tick"), 10);
    weir_record out = weir_reply(ctx, weir_timer(ctx));
    weir_emit(ctx, &out);
}

static void periodic(weir_job *job)
{
    weir_into(weir_through(weir_from(job, "in", NULL), "n", again, NULL), "out", NULL);
}

/* Timers that set themselves for ever end with a drain, wherever it is cut short, and fire no more
 * than that. */
static void a_drain_cut_short_ends(void **state)
{
    (void)state;
    for (int count = 1; count < 12; count++) {
        weir_test_options options = {.epoch_records = 1};
        weir_test *test = weir_test_new(periodic, &options);
        for (int i = 0; i < 3; i++) {
            char key[2] = {(char)('a' + i)};
            weir_test_text(test, "in", key, "", i);
        }
        assert_int_equal(weir_test_run(test), WEIR_OK);
        weir_test_crash_at(test, "decide_before_end", count);
        if (weir_test_drain(test) != WEIR_OK) {
            assert_true(weir_test_crashed(test));
            assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
            assert_int_equal(weir_test_drain(test), WEIR_OK);
        }
        assert_int_equal(weir_test_timers(test), 0);
        assert_int_equal(weir_test_count(test, "out"), 3 + 6);
        weir_test_free(test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_has_its_records_time),
        cmocka_unit_test(no_record_ends_time),
        cmocka_unit_test(the_lowest_partition_counts),
        cmocka_unit_test(the_lower_input_counts),
        cmocka_unit_test(out_of_order_holds_back),
        cmocka_unit_test(an_idle_partition_holds_nothing_back),
        cmocka_unit_test(when_all_are_idle_the_highest_counts),
        cmocka_unit_test(an_ended_partition_holds_nothing_back),
        cmocka_unit_test(an_end_while_timers_fire_counts),
        cmocka_unit_test(nodes_advance_in_graph_order),
        cmocka_unit_test(epochs_do_not_show),
        cmocka_unit_test(watermarks_survive_a_crash),
        cmocka_unit_test(a_drain_fires_all),
        cmocka_unit_test(a_drain_cut_short_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_delivery.c: which half of a write set is in the store when, in each mode; seen by another
 * connection, with a clock that the test moves.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/scratch_store.h"
#include "txn/delivery.h"

enum { POSITIONS_MS = 5000 };

struct fixture {
    struct scratch *scratch;
    struct wr_forwarder *forwarder;
    struct wr_deliverer *deliverer;
    char lines[128]; /* the file that sink `file` writes to */
};

static int64_t now_us; /* of the one test that runs */

static int64_t moved_us(struct wr_env *env)
{
    (void)env;
    return now_us;
}

static void start(struct fixture *f, enum wr_delivery delivery)
{
    struct scratch *s = f->scratch;
    struct wr_outlet *outlet = NULL;
    struct wr_catalog catalog;
    const struct wr_marker *marker = NULL;
    scratch_open(s);
    s->env.monotonic_us = moved_us;
    scratch_must(s, wr_store_catalog(s->store, &s->arena, &catalog, &s->error));
    for (size_t i = 0; i < catalog.marker_count; i++) {
        marker = strcmp(catalog.markers[i].sink, s->sinks[SCRATCH_OUTBOX].name) == 0
                     ? &catalog.markers[i]
                     : marker;
    }
    scratch_must(s, wr_forwarder_new(&s->env, s->store, &s->arena, &f->forwarder, &s->error));
    scratch_must(s, wr_outlet_file_open(&s->env, s->sinks[SCRATCH_OUTBOX].name, f->lines, false,
                                        WR_SYNC_FULL, &outlet, &s->error));
    scratch_must(
        s, wr_forwarder_add(f->forwarder, &s->sinks[SCRATCH_OUTBOX], outlet, marker, &s->error));
    if (wr_delivery_is_direct(delivery)) {
        wr_forwarder_keep(f->forwarder);
    }
    scratch_must(s, wr_forwarder_check(f->forwarder, &s->error));
    scratch_must(s, wr_deliverer_new(s->store, f->forwarder, delivery, &s->env, POSITIONS_MS,
                                     &f->deliverer, &s->error));
    scratch_must(s, wr_deliverer_start(f->deliverer, &s->error));
}

/* As a crash does. */
static void stop(struct fixture *f)
{
    wr_deliverer_free(f->deliverer);
    wr_forwarder_free(f->forwarder);
    f->deliverer = NULL;
    f->forwarder = NULL;
    scratch_close(f->scratch);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.scratch = scratch_new()};
    snprintf(fixture.lines, sizeof fixture.lines, "%s/lines.txt", fixture.scratch->folder);
    now_us = 1000;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    stop(f);
    unlink(f->lines);
    scratch_free(f->scratch);
    return 0;
}

/* An epoch with a slot of state and `count` records for the file, at this position. */
static weir_status decide(struct fixture *f, const char *value, int first, int count, int64_t next)
{
    struct scratch *s = f->scratch;
    scratch_begin(s);
    scratch_put(s, s->nodes[0].id, weir_text("k"), (weir_bytes){NULL, 0}, weir_text(value));
    scratch_append(s, SCRATCH_OUTBOX, 0, first, count);
    scratch_position(s, next);
    scratch_fold(s);
    wr_epoch_seal(&s->epoch);
    weir_status status = wr_deliverer_decide(f->deliverer, &s->epoch, NULL, 0, &s->error);
    s->epoch.phase = WR_EPOCH_DECIDED;
    return status;
}

static void must_hold(struct fixture *f, const char *value, const char *next, const char *logged)
{
    struct scratch *s = f->scratch;
    assert_string_equal(scratch_query(s, "SELECT CAST(value AS TEXT) FROM state"), value);
    assert_string_equal(scratch_query(s, "SELECT next FROM position"), next);
    assert_string_equal(scratch_query(s, "SELECT sum(count) FROM log"), logged);
}

static void must_be_outside(struct fixture *f, const char *expected)
{
    char text[256] = "";
    FILE *file = fopen(f->lines, "re");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    fclose(file);
    assert_string_equal(text, expected);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void exactly_once_decides_both_together(void **state)
{
    struct fixture *f = *state;
    start(f, WR_EXACTLY_ONCE);
    scratch_must(f->scratch, decide(f, "one", 0, 2, 7));
    must_hold(f, "one", "7", "2");
    must_be_outside(f, "");
    assert_int_equal(wr_deliverer_due_ms(f->deliverer), INT64_MAX);
}

static void at_least_once_puts_positions_off(void **state)
{
    struct fixture *f = *state;
    start(f, WR_AT_LEAST_ONCE);
    assert_int_equal(wr_deliverer_due_ms(f->deliverer), INT64_MAX);
    scratch_must(f->scratch, decide(f, "one", 0, 2, 7));
    must_hold(f, "one", "-", "-");
    must_be_outside(f, "0\n1\n");
    now_us += (POSITIONS_MS - 1) * 1000;
    assert_in_range(wr_deliverer_due_ms(f->deliverer), 1, 2);
    scratch_must(f->scratch, wr_deliverer_rest(f->deliverer, false, &f->scratch->error));
    must_hold(f, "one", "-", "-");
    now_us += 1000;
    assert_int_equal(wr_deliverer_due_ms(f->deliverer), 0);
    scratch_must(f->scratch, decide(f, "two", 2, 1, 8)); /* the newest position counts */
    must_hold(f, "two", "8", "-");
    assert_string_equal(scratch_query(f->scratch, "SELECT length FROM marker"), "6");
    assert_int_equal(wr_deliverer_due_ms(f->deliverer), INT64_MAX);
}

static void a_clean_stop_stores_what_was_put_off(void **state)
{
    struct fixture *f = *state;
    start(f, WR_AT_LEAST_ONCE);
    scratch_must(f->scratch, decide(f, "one", 0, 1, 7));
    scratch_must(f->scratch, wr_deliverer_rest(f->deliverer, true, &f->scratch->error));
    must_hold(f, "one", "7", "-");
}

/* What is outside beyond the stored length stays, but for half a line. */
static void at_least_once_keeps_whole_lines(void **state)
{
    struct fixture *f = *state;
    start(f, WR_AT_LEAST_ONCE);
    scratch_must(f->scratch, decide(f, "one", 0, 2, 7));
    stop(f);
    FILE *file = fopen(f->lines, "ae");
    assert_non_null(file);
    fputs("half", file);
    fclose(file);
    start(f, WR_AT_LEAST_ONCE);
    must_hold(f, "one", "-", "-");
    scratch_must(f->scratch, decide(f, "two", 0, 1, 7));
    must_be_outside(f, "0\n1\n0\n");
    stop(f);
    start(f, WR_EXACTLY_ONCE); /* cuts back to where the positions are */
    must_be_outside(f, "");
}

static void at_most_once_stores_positions_first(void **state)
{
    struct fixture *f = *state;
    struct scratch *s = f->scratch;
    start(f, WR_AT_MOST_ONCE);
    scratch_must(s, decide(f, "one", 0, 2, 7));
    must_hold(f, "one", "7", "2");
    must_be_outside(f, "");
    s->env.fault = (struct wr_fault){
        .point = WR_FAULT_deliver_after_positions, .countdown = 1, .returns = true};
    scratch_must_fail(s, decide(f, "two", 2, 2, 9), WR_EXIT_BUG, "deliver_after_positions");
    s->env.fault.point = WR_FAULT_none;
    stop(f);
    start(f, WR_AT_MOST_ONCE);
    must_hold(f, "one", "9", "2"); /* the epoch is lost, its input is not read again */
}

/* A log that another mode left is forwarded before anything is written around it. */
static void a_log_of_another_mode_goes_first(void **state)
{
    struct fixture *f = *state;
    start(f, WR_EXACTLY_ONCE);
    scratch_must(f->scratch, decide(f, "one", 0, 3, 7));
    stop(f);
    start(f, WR_AT_LEAST_ONCE);
    must_be_outside(f, "0\n1\n2\n");
    assert_string_equal(scratch_query(f->scratch, "SELECT next FROM marker"), "3");
    scratch_must(f->scratch, decide(f, "two", 3, 1, 8));
    must_be_outside(f, "0\n1\n2\n3\n");
}

/* What that mode had written, but not noted, is cut back: it comes again from the log. */
static void what_the_log_still_holds_is_not_kept_outside(void **state)
{
    struct fixture *f = *state;
    bool moved = false;
    start(f, WR_EXACTLY_ONCE);
    const struct wr_marker *markers = NULL; /* of the new file */
    size_t count = wr_forwarder_markers(f->forwarder, &markers);
    scratch_must(f->scratch,
                 wr_deliverer_decide(f->deliverer, NULL, markers, count, &f->scratch->error));
    wr_forwarder_decided(f->forwarder);
    scratch_must(f->scratch, decide(f, "one", 0, 3, 7));
    scratch_must(f->scratch, wr_forwarder_step(f->forwarder, &moved, &f->scratch->error));
    assert_true(moved);
    must_be_outside(f, "0\n1\n2\n");
    stop(f); /* before its marker is decided */
    start(f, WR_AT_LEAST_ONCE);
    must_be_outside(f, "0\n1\n2\n");
}

static void each_mode_has_a_name_and_says_what_it_is_worth(void **state)
{
    (void)state;
    static const enum wr_delivery modes[] = {WR_EXACTLY_ONCE, WR_AT_LEAST_ONCE, WR_AT_MOST_ONCE};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        enum wr_delivery found;
        char text[512];
        const char *name = wr_delivery_name(modes[i]);
        assert_true(wr_delivery_parse(name, &found));
        assert_int_equal(found, modes[i]);
        wr_delivery_describe(modes[i], WR_SYNC_FULL, WR_SINK_TABLE, NULL, text, sizeof text);
        assert_int_equal(strncmp(text, name, strlen(name)), 0);
        assert_null(strstr(text, "power cut"));
        wr_delivery_describe(modes[i], WR_SYNC_NORMAL, WR_SINK_LOG, NULL, text, sizeof text);
        assert_non_null(strstr(text, "power cut"));
        wr_delivery_describe(modes[i], WR_SYNC_FULL, WR_SINK_NULL, NULL, text, sizeof text);
        assert_string_equal(text, "nothing is kept");
    }
    char text[512];
    wr_delivery_describe(WR_AT_MOST_ONCE, WR_SYNC_FULL, WR_SINK_OUTBOX, "at-least-once: a pipe",
                         text, sizeof text);
    assert_int_equal(strncmp(text, "neither", 7), 0);
    assert_false(wr_delivery_parse("at-least", &(enum wr_delivery){WR_EXACTLY_ONCE}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exactly_once_decides_both_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_least_once_puts_positions_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clean_stop_stores_what_was_put_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_least_once_keeps_whole_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_most_once_stores_positions_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_of_another_mode_goes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_log_still_holds_is_not_kept_outside, set_up,
                                        tear_down),
        cmocka_unit_test(each_mode_has_a_name_and_says_what_it_is_worth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

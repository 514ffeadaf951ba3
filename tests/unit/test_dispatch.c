/* test_dispatch.c: what an operator may do through its context, what it gets, how long that stays
 * valid, and what becomes of a call that fails. Long because each rule has an operator of its own.
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
#include "tests/lib/look.h"

/* The operator of the test at hand. */
static weir_fn operator_now;
static int calls;

static void one_node(weir_job *job)
{
    weir_stream *node = weir_through(weir_from(job, "in", NULL), "node", operator_now, NULL);
    weir_into(node, "out", NULL);
    weir_into(weir_side(node, 1), "side", NULL);
}

static weir_test *test_of(weir_fn fn)
{
    operator_now = fn;
    calls = 0;
    return weir_test_new(one_node, NULL);
}

static void must_run(weir_test *test)
{
    if (weir_test_run(test) != WEIR_OK) {
        fail_msg("%s", weir_test_error(test));
    }
}

static void must_fail(weir_test *test, weir_status status, const char *text)
{
    assert_int_equal(weir_test_run(test), status);
    if (!strstr(weir_test_error(test), text)) {
        fail_msg("expected `%s`, got: %s", text, weir_test_error(test));
    }
}

static void value_is(weir_test *test, const char *sink, size_t index, const char *value)
{
    const weir_record *record = weir_test_record(test, sink, index);
    assert_non_null(record);
    if (!wr_bytes_equal(record->value, weir_text(value))) {
        fail_msg("%s %zu: `%.*s`, expected `%s`", sink, index, (int)record->value.size,
                 (const char *)record->value.data, value ? value : "(absent)");
    }
}

/* ---- Misuse ---------------------------------------------------------------------------------- */

static void put_then_reject(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_put(ctx, in->key, in->value);
    weir_reject(ctx, "too late");
}

static void emit_then_reject(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_emit(ctx, in);
    weir_reject(ctx, "too late");
}

static void wake_then_reject(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_wake(ctx, in->key, 1);
    weir_reject(ctx, "too late");
}

static void reject_then_put(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_reject(ctx, "first");
    weir_put(ctx, in->key, in->value);
}

static void reject_then_emit(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_reject(ctx, "first");
    weir_emit(ctx, in);
}

static void reject_twice(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)in;
    (void)arg;
    weir_reject(ctx, "first");
    weir_reject(ctx, "again");
}

static void emit_nothing(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)in;
    (void)arg;
    weir_emit(ctx, NULL);
}

static void emit_to_side_16(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_emit_to(ctx, WR_SIDES_MAX, in);
}

static void fail_with_ok(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)in;
    (void)arg;
    weir_fail(ctx, WEIR_OK, "nothing");
}

/* Misuse stops the run, names node and rule, and decides nothing. */
static void misuse_stops_the_run(void **state)
{
    (void)state;
    static const struct {
        weir_fn fn;
        const char *text;
    } cases[] = {
        {put_then_reject, "node `node`: weir_reject after a put"},
        {emit_then_reject, "weir_reject after a put, emit"},
        {wake_then_reject, "weir_reject after a put, emit, wake"},
        {reject_then_put, "after weir_reject in the same call"},
        {reject_then_emit, "after weir_reject in the same call"},
        {reject_twice, "or reject of the same call"},
        {emit_nothing, "without a record"},
        {emit_to_side_16, "sides 0 to 15"},
        {fail_with_ok, "weir_fail with WEIR_OK"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir_test *test = test_of(cases[i].fn);
        weir_test_text(test, "in", "k", "v", 1);
        must_fail(test, WEIR_FATAL, cases[i].text);
        assert_int_equal(test->error.exit_code, WR_EXIT_BUG);
        assert_int_equal(weir_test_count(test, "out"), 0);
        assert_int_equal(weir_test_rejects(test), 0);
        weir_test_free(test);
    }
}

/* ---- Rejecting ------------------------------------------------------------------------------- */

static void reject_odd(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (!in) {
        weir_reject(ctx, "a timer");
    } else if (in->time_ms % 2) {
        weir_get(ctx, in->key); /* reading is no effect */
        weir_reject(ctx, "odd");
    } else {
        weir_wake(ctx, weir_text(NULL), in->time_ms + 100);
        weir_emit(ctx, in);
    }
}

/* A dead letter holds what the node got, timers too, and leaves no other trace. */
static void a_dead_letter_holds_what_the_node_got(void **state)
{
    (void)state;
    weir_test *test = test_of(reject_odd);
    weir_test_text(test, "in", "even", "v", 2);
    weir_test_text(test, "in", NULL, "", 3);
    weir_test_text(test, "in", "odd", NULL, 5);
    must_run(test);
    assert_int_equal(weir_test_advance(test, "in", 1000), WEIR_OK);
    assert_int_equal(weir_test_count(test, "out"), 1);
    assert_int_equal(weir_test_rejects(test), 3);
    assert_string_equal(weir_test_reason(test, 0), "odd");
    assert_string_equal(weir_test_reason(test, 2), "a timer");
    struct wr_error error = {.status = WEIR_OK};
    char *text = look_store(weir_test_store(test), &error);
    assert_non_null(strstr(text, "reject 0 in 1 node 0 0 3 - '' - odd\n"));
    assert_non_null(strstr(text, "reject 1 in 2 node 0 0 5 'odd' - - odd\n"));
    assert_non_null(strstr(text, "reject 2 - - node 0 0 102 'even' - '' a timer\n"));
    free(text);
    weir_test_free(test);
}

/* ---- Lifetimes ------------------------------------------------------------------------------- */

static bool keep_first(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)ctx;
    (void)slot;
    *(weir_bytes *)arg = value;
    return false;
}

/* The value before, as each way of reading gives it, after it was overwritten twice, removed, and
 * after other nodes ran in an emit. */
static void read_then_write(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_bytes key = weir_key(ctx), scanned = {NULL, 0}, number = weir_i64(ctx, 77);
    weir_bytes got = weir_get(ctx, weir_text("s"));
    weir_scan(ctx, weir_text("s"), weir_text(NULL), keep_first, &scanned);
    char first[32], second[32];
    snprintf(first, sizeof first, "first of %d", ++calls);
    snprintf(second, sizeof second, "second of %d", calls);
    weir_put(ctx, weir_text("s"), weir_text(first));
    weir_bytes again = weir_get(ctx, weir_text("s"));
    weir_put(ctx, weir_text("s"), weir_text(second));
    weir_put(ctx, weir_text("s"), weir_text(NULL));
    weir_put(ctx, weir_text("s"), in->value);
    weir_emit_to(ctx, 1, in);
    assert_true(wr_bytes_equal(again, weir_text(first)));
    assert_true(wr_bytes_equal(key, weir_key(ctx)));
    int64_t found;
    assert_true(weir_to_i64(number, &found) && found == 77);
    assert_true(wr_bytes_equal(got, scanned));
    weir_record out = weir_reply(ctx, got);
    weir_emit(ctx, &out);
}

/* What get, scan, i64 and key return stays valid until the function returns: from the filling
 * epoch, the sealed one, the cache and the store. */
static void what_was_read_stays_until_the_return(void **state)
{
    (void)state;
    static const int64_t epochs[] = {0, 1, 2};
    for (int i = 0; i < 12; i++) {
        operator_now = read_then_write;
        weir_test_options options = {.epoch_records = epochs[i % 3],
                                     .cache_bytes = i / 3 % 2 ? -1 : 0,
                                     .decide_late = i / 6};
        weir_test *test = weir_test_new(one_node, &options);
        calls = 0;
        for (int j = 0; j < 8; j++) {
            char value[64];
            snprintf(value, sizeof value, "a value that is put as number %d", j);
            weir_test_text(test, "in", "k", value, j);
        }
        must_run(test);
        value_is(test, "out", 0, NULL);
        for (int j = 1; j < 8; j++) {
            char value[64];
            snprintf(value, sizeof value, "a value that is put as number %d", j - 1);
            value_is(test, "out", (size_t)j, value);
        }
        weir_test_free(test);
    }
}

static void fill_scratch(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    unsigned char *memory[20];
    for (size_t i = 0; i < 20; i++) {
        memory[i] = weir_scratch(ctx, i * 1000);
        assert_non_null(memory[i]);
        assert_int_equal((uintptr_t)memory[i] % 8, 0);
        memset(memory[i], (int)i, i * 1000);
        weir_emit(ctx, in); /* the other node takes scratch memory too */
    }
    for (size_t i = 1; i < 20; i++) {
        assert_int_equal(memory[i][0], i);
        assert_int_equal(memory[i][i * 1000 - 1], i);
    }
}

static void two_nodes(weir_job *job)
{
    weir_stream *first = weir_through(weir_from(job, "in", NULL), "first", fill_scratch, NULL);
    weir_into(weir_through(first, "second", fill_scratch, NULL), "out", NULL);
}

/* Scratch memory is a call's own while the calls of other nodes come and go within it. */
static void scratch_memory_nests(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(two_nodes, NULL);
    weir_test_text(test, "in", "k", "v", 1);
    must_run(test);
    assert_int_equal(weir_test_count(test, "out"), 400);
    weir_test_free(test);
}

/* ---- What a call is about -------------------------------------------------------------------- */

static void tell(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    const char *source;
    int32_t partition;
    int64_t offset;
    char text[200];
    weir_origin(ctx, NULL, NULL, NULL);
    weir_origin(ctx, &source, &partition, &offset);
    weir_record out = weir_reply(ctx, weir_text(text));
    snprintf(text, sizeof text, "input %u, %s %d %lld, timer %.*s, time %lld, headers %zu",
             weir_input(ctx), source ? source : "(none)", (int)partition, (long long)offset,
             (int)weir_timer(ctx).size, (const char *)weir_timer(ctx).data,
             (long long)weir_time(ctx), out.header_count);
    if (in) {
        weir_wake(ctx, weir_text("t"), weir_time(ctx) + 1);
    }
    out.value = weir_text(text);
    weir_emit(ctx, &out);
}

static void three_inputs(weir_job *job)
{
    weir_stream *in = weir_from(job, "in", NULL), *other = weir_from(job, "other", NULL);
    weir_stream *node = weir_through(in, "node", tell, NULL);
    weir_with(node, other);
    weir_with(node, other);
    weir_into(node, "out", NULL);
}

/* A call knows its input, its origin, its timer; a reply has key, time and headers. */
static void a_call_knows_what_it_is_about(void **state)
{
    (void)state;
    weir_test_options options = {.partitions = 3};
    weir_test *test = weir_test_new(three_inputs, &options);
    weir_header header = {"h", {"", 0}};
    weir_record record = {
        .key = weir_text("k"), .time_ms = 7, .headers = &header, .header_count = 1};
    weir_test_push(test, "in", 2, &record);
    must_run(test);
    weir_test_push(test, "other", 0, &record);
    must_run(test);
    value_is(test, "out", 0, "input 0, in 2 0, timer , time 7, headers 1");
    value_is(test, "out", 1, "input 1, other 0 0, timer , time 7, headers 1");
    value_is(test, "out", 2, "input 2, other 0 0, timer , time 7, headers 1");
    assert_int_equal(weir_test_drain(test), WEIR_OK);
    value_is(test, "out", 3, "input 0, (none) -1 -1, timer t, time 8, headers 0");
    const weir_record *reply = weir_test_record(test, "out", 0);
    assert_true(wr_bytes_equal(reply->key, weir_text("k")));
    assert_int_equal(reply->time_ms, 7);
    assert_string_equal(reply->headers[0].name, "h");
    assert_true(wr_bytes_equal(reply->headers[0].value, weir_text("")));
    weir_test_free(test);
}

static void split(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_emit_to(ctx, (unsigned)in->time_ms, in);
}

/* Each side has its own successors; what nobody takes is gone. */
static void sides_go_their_own_ways(void **state)
{
    (void)state;
    weir_test *test = test_of(split);
    weir_test_text(test, "in", NULL, "main", 0);
    weir_test_text(test, "in", NULL, "side", 1);
    weir_test_text(test, "in", NULL, "nobody's", 15);
    must_run(test);
    assert_int_equal(weir_test_count(test, "out"), 1);
    assert_int_equal(weir_test_count(test, "side"), 1);
    value_is(test, "out", 0, "main");
    value_is(test, "side", 0, "side");
    weir_test_free(test);
}

static void pass(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_emit(ctx, in);
}

/* Absent and empty keys, values and header values, and any time, come out as they went in. */
static void records_survive_unchanged(void **state)
{
    (void)state;
    static const weir_bytes some[] = {{NULL, 0}, {"", 0}, {"\0\xff", 2}};
    static const int64_t times[] = {0, -1, INT64_MAX, INT64_MIN, 1700000000000};
    weir_test *test = test_of(pass);
    size_t count = 0;
    for (size_t i = 0; i < 27 * 5; i++, count++) {
        weir_header headers[2] = {{"", some[i % 3]}, {"again", some[i / 3 % 3]}};
        weir_record record = {.key = some[i / 9 % 3],
                              .value = some[i % 3],
                              .time_ms = times[i / 27],
                              .headers = headers,
                              .header_count = i % 3};
        weir_test_push(test, "in", 0, &record);
    }
    must_run(test);
    for (size_t i = 0; i < count; i++) {
        const weir_record *record = weir_test_record(test, "out", i);
        assert_true(wr_bytes_equal(record->key, some[i / 9 % 3]));
        assert_true(wr_bytes_equal(record->value, some[i % 3]));
        assert_true(record->time_ms == times[i / 27]);
        assert_int_equal(record->header_count, i % 3);
        assert_true(i % 3 < 1 || wr_bytes_equal(record->headers[0].value, some[i % 3]));
        assert_true(i % 3 < 2 || wr_bytes_equal(record->headers[1].value, some[i / 3 % 3]));
    }
    weir_test_free(test);
}

/* ---- Failing --------------------------------------------------------------------------------- */

static weir_status failing;
static int failing_calls;

static void fail_some(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_put(ctx, in->value, in->value);
    weir_emit(ctx, in);
    if (*(const char *)in->value.data == 'x' && calls++ < failing_calls) {
        weir_fail(ctx, failing, "for the %d. time", calls);
        assert_null(weir_get(ctx, in->value).data);
        weir_put(ctx, in->value, weir_text("ignored"));
        weir_emit(ctx, in);
        weir_reject(ctx, "ignored");
    }
}

static weir_test *fail_test(weir_status status, int times)
{
    weir_test *test = test_of(fail_some);
    failing = status;
    failing_calls = times;
    weir_test_text(test, "in", "k", "a", 1);
    weir_test_text(test, "in", "k", "x", 2);
    weir_test_text(test, "in", "k", "b", 3);
    return test;
}

static void all_came_once(weir_test *test)
{
    assert_int_equal(weir_test_count(test, "out"), 3);
    value_is(test, "out", 1, "x");
    assert_int_equal(weir_test_rejects(test), 0);
    assert_true(wr_bytes_equal(weir_test_state(test, "node", weir_text("k"), weir_text("x")),
                               weir_text("x")));
}

/* The fifth failure of one record stops the run, with its origin and the last cause. */
static void the_fifth_failure_stops(void **state)
{
    (void)state;
    weir_test *test = fail_test(WEIR_ABORT, 4);
    must_run(test);
    all_came_once(test);
    weir_test_free(test);
    test = fail_test(WEIR_ABORT, 5);
    must_fail(test, WEIR_FATAL,
              "source `in`, partition 0, offset 1 failed 5 times: node `node`: "
              "for the 5. time");
    assert_int_equal(test->error.exit_code, WR_EXIT_DATA);
    assert_int_equal(weir_test_count(test, "out"), 0);
    calls = 100; /* mended */
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    must_run(test);
    all_came_once(test);
    weir_test_free(test);
}

/* Retries are not counted. */
static void retries_go_on(void **state)
{
    (void)state;
    weir_test *test = fail_test(WEIR_RETRY, 50);
    must_run(test);
    all_came_once(test);
    weir_test_free(test);
}

/* FATAL stops at once. */
static void fatal_stops_at_once(void **state)
{
    (void)state;
    weir_test *test = fail_test(WEIR_FATAL, 1);
    must_fail(test, WEIR_FATAL, "offset 1: node `node`: for the 1. time");
    weir_test_free(test);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void put_much(weir_ctx *ctx, const weir_record *in, void *arg)
{
    static char large[WR_RECORD_BYTES_MAX / 2];
    (void)arg;
    for (int64_t i = 0; i < in->time_ms; i++) {
        weir_put(ctx, weir_i64(ctx, i), wr_bytes(large, sizeof large));
    }
    weir_emit(ctx, in);
}

/* One record's effects over the limit are its failure; just below they are not. */
static void a_unit_over_the_limit_fails(void **state)
{
    (void)state;
    weir_test *test = test_of(put_much);
    weir_test_text(test, "in", "k", "fits", 30);
    must_run(test);
    weir_test_text(test, "in", "k", "does not", 40);
    must_fail(test, WEIR_FATAL, "one record's effects are over the limit of 16777216 bytes");
    assert_int_equal(test->error.exit_code, WR_EXIT_DATA);
    assert_int_equal(weir_test_count(test, "out"), 1);
    weir_test_free(test);
}

static void long_slot(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_put(ctx, in->value, weir_text("v"));
}

static void long_timer(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_wake(ctx, in->value, 1);
}

/* Keys and slots, keys and timer names are limited together; so is a record of a sink. */
static void sizes_are_limited(void **state)
{
    (void)state;
    static char large[WR_RECORD_BYTES_MAX + 1];
    static const weir_fn fns[] = {long_slot, long_timer, pass};
    for (size_t i = 0; i < 3; i++) {
        for (size_t over = 0; over < 2; over++) {
            weir_test *test = test_of(fns[i]);
            weir_record record = {.key = weir_text("k"),
                                  .value = wr_bytes(large, sizeof large - 2 + over)};
            weir_test_push(test, "in", 0, &record);
            if (over) {
                must_fail(test, WEIR_FATAL, "1048576");
            } else {
                must_run(test);
            }
            weir_test_free(test);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_stops_the_run),
        cmocka_unit_test(a_dead_letter_holds_what_the_node_got),
        cmocka_unit_test(what_was_read_stays_until_the_return),
        cmocka_unit_test(scratch_memory_nests),
        cmocka_unit_test(a_call_knows_what_it_is_about),
        cmocka_unit_test(sides_go_their_own_ways),
        cmocka_unit_test(records_survive_unchanged),
        cmocka_unit_test(the_fifth_failure_stops),
        cmocka_unit_test(retries_go_on),
        cmocka_unit_test(fatal_stops_at_once),
        cmocka_unit_test(a_unit_over_the_limit_fails),
        cmocka_unit_test(sizes_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_stuck.c: engine/stuck.c: what hangs is said after ten seconds, again each minute, and that
 * it goes on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/stuck.h"

enum { SECOND = 1000000 };

static const char store[] = "s.weir";
static const struct wr_sink sink = {.name = "out", .uri = "stdout:"};

struct said {
    int count;
    enum wr_level level;
    char text[WR_ERROR_TEXT_MAX];
};

static void keep(struct wr_env *env, enum wr_level level, const char *text)
{
    struct said *said = env->data;
    said->count++;
    said->level = level;
    snprintf(said->text, sizeof said->text, "%s", text);
}

struct watched {
    struct wr_env env;
    struct wr_stuck stuck;
    struct said said;
    int lines; /* as of the last look */
};

static void start(struct watched *watched)
{
    memset(watched, 0, sizeof *watched);
    wr_env_init(&watched->env);
    watched->env.log = keep;
    watched->env.data = &watched->said;
}

/* How many lines the look adds, 0 or 1. */
static int look(struct watched *watched, int seconds, struct wr_stuck_sample sample)
{
    sample.now_us = (int64_t)seconds * SECOND;
    sample.store = store;
    wr_stuck_look(&watched->stuck, &watched->env, &sample);
    int more = watched->said.count - watched->lines;
    watched->lines = watched->said.count;
    return more;
}

/* Looks each second from one to another, and wants a line in just these. */
static void says_at(struct watched *watched, int from, int to, const int *seconds,
                    struct wr_stuck_sample sample)
{
    for (int at = from; at <= to; at++) {
        bool wanted = at == *seconds;
        assert_int_equal(look(watched, at, sample), wanted);
        if (wanted) {
            assert_int_equal(watched->said.level, WR_LOG_WARN);
            seconds++;
        }
    }
}

/* A transaction that does not end: after 10 s, then each minute; one notice when it is over. */
static void test_decide(void **state)
{
    (void)state;
    struct watched watched;
    start(&watched);
    const struct wr_stuck_sample busy = {.deciding_us = 77};
    says_at(&watched, 100, 240, (const int[]){110, 170, 230, 0}, busy);
    assert_non_null(strstr(watched.said.text, "waits for the store: the transaction on s.weir has "
                                              "not ended for 130 s"));
    assert_int_equal(look(&watched, 241, (struct wr_stuck_sample){.deciding_us = 0}), 1);
    assert_int_equal(watched.said.level, WR_LOG_NOTICE);
    assert_string_equal(watched.said.text, "waited for the store: it goes on, after 141 s");
    assert_int_equal(look(&watched, 242, (struct wr_stuck_sample){.deciding_us = 0}), 0);
}

/* A statement of a user's that runs on is named, by file and line. */
static void test_telling(void **state)
{
    (void)state;
    struct watched watched;
    start(&watched);
    const struct wr_telling telling = {.sink = "out", .file = "told.sql", .line = 12};
    const struct wr_stuck_sample busy = {.deciding_us = 77, .telling = &telling};
    says_at(&watched, 100, 120, (const int[]){110, 0}, busy);
    assert_non_null(strstr(watched.said.text, "the statement in line 12 of told.sql runs, for sink "
                                              "`out`"));
}

/* One epoch after the other is decided, each in its time. */
static void test_progress(void **state)
{
    (void)state;
    struct watched watched;
    start(&watched);
    for (int at = 0; at < 100; at++) {
        struct wr_stuck_sample sample = {.deciding_us = at / 9 + 1,
                                         .calling = "node",
                                         .units = at / 9,
                                         .sending = &sink,
                                         .sent = at / 9};
        assert_int_equal(look(&watched, at, sample), 0);
    }
}

/* Nothing to do for long: not stuck. */
static void test_idle(void **state)
{
    (void)state;
    struct watched watched;
    start(&watched);
    for (int at = 0; at < 1000; at++) {
        assert_int_equal(look(&watched, at, (struct wr_stuck_sample){.units = 5, .sent = 7}), 0);
    }
}

/* One call that does not return, with its node; work that comes after a long rest starts anew. */
static void test_operators(void **state)
{
    (void)state;
    struct watched watched;
    start(&watched);
    assert_int_equal(look(&watched, 0, (struct wr_stuck_sample){.units = 3}), 0);
    const struct wr_stuck_sample busy = {.calling = "slow", .units = 4};
    says_at(&watched, 500, 569, (const int[]){510, 0}, busy);
    assert_non_null(strstr(watched.said.text, "node `slow` has not returned for 10 s"));
    assert_int_equal(look(&watched, 570, (struct wr_stuck_sample){.calling = "slow", .units = 5}),
                     1);
    assert_int_equal(watched.said.level, WR_LOG_NOTICE);
}

/* The first thing ever done hangs, long after the machine was started. */
static void test_first(void **state)
{
    (void)state;
    struct watched watched;
    start(&watched);
    const struct wr_stuck_sample busy = {.sending = &sink, .sent = 0, .calling = "n", .units = 0};
    assert_int_equal(look(&watched, 100000, busy), 0);
    assert_int_equal(look(&watched, 100009, busy), 0);
    assert_int_equal(look(&watched, 100010, busy), 2);
    assert_non_null(strstr(watched.said.text, "for 10 s"));
}

/* A sink that takes nothing; each thing has its own clock. */
static void test_forward(void **state)
{
    (void)state;
    struct watched watched;
    start(&watched);
    const struct wr_stuck_sample busy = {.sending = &sink, .sent = 9};
    struct wr_stuck_sample both = busy;
    both.deciding_us = 4;
    says_at(&watched, 0, 14, (const int[]){10, 0}, busy);
    assert_non_null(strstr(watched.said.text, "sink out (stdout:)"));
    says_at(&watched, 15, 80, (const int[]){25, 70, 0}, both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide),    cmocka_unit_test(test_telling),
        cmocka_unit_test(test_progress),  cmocka_unit_test(test_idle),
        cmocka_unit_test(test_operators), cmocka_unit_test(test_first),
        cmocka_unit_test(test_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

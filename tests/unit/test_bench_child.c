/* test_bench_child.c: work in a process of its own: what comes back, and every way in which such a
 * process may end.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/bench/bench.h"

enum { BIG = 1 << 20 }; /* a pipe holds 64 KiB */

static int fill(void *data, void *result)
{
    memset(result, *(const char *)data, BIG);
    return 0;
}

/* A result larger than a pipe comes back whole, with what the process used. */
static void a_large_result_comes_back(void **state)
{
    (void)state;
    struct wr_error error = {.status = WEIR_OK};
    struct rusage usage;
    char letter = 'x';
    char *result = calloc(1, BIG);
    assert_non_null(result);
    assert_int_equal(wr_bench_child(fill, &letter, result, BIG, &usage, &error), WEIR_OK);
    for (size_t i = 0; i < BIG; i++) {
        assert_int_equal(result[i], 'x');
    }
    assert_true(usage.ru_maxrss > 0);
    free(result);
}

static int end_with(void *data, void *result)
{
    int code = *(const int *)data;
    (void)result;
    if (code < 0) {
        kill(getpid(), -code);
    }
    if (code == 0) {
        _exit(0);
    }
    return code;
}

/* A child that somebody kills can be started again; one that crashes or ends by itself cannot. */
static void an_unwell_child_is_an_error(void **state)
{
    (void)state;
    static const struct {
        int code;
        weir_status status;
        enum wr_exit exit_code;
        const char *text;
    } cases[] = {{-SIGKILL, WEIR_RETRY, WR_EXIT_AGAIN, "killed by signal 9"},
                 {-SIGTERM, WEIR_RETRY, WR_EXIT_AGAIN, "killed by signal 15"},
                 {-SIGABRT, WEIR_FATAL, WR_EXIT_BUG, "crashed by signal 6"},
                 {3, WEIR_FATAL, WR_EXIT_BUG, "by itself before it was over, with exit code 3"},
                 {0, WEIR_FATAL, WR_EXIT_BUG, "by itself before it was over; "}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wr_error error = {.status = WEIR_OK};
        int code = cases[i].code, result = 0;
        assert_int_equal(wr_bench_child(end_with, &code, &result, sizeof result, NULL, &error),
                         cases[i].status);
        assert_int_equal(error.exit_code, cases[i].exit_code);
        assert_non_null(strstr(error.text, cases[i].text));
    }
}

static int sleep_long(void *data, void *result)
{
    (void)data, (void)result;
    for (;;) {
        pause();
    }
    return 0;
}

/* A child that hangs is killed when its time is over. */
static void a_child_that_hangs_is_killed(void **state)
{
    (void)state;
    struct wr_error error = {.status = WEIR_OK};
    int result = 0;
    assert_int_equal(
        wr_bench_child_within(0.2, sleep_long, NULL, &result, sizeof result, NULL, &error),
        WEIR_RETRY);
    assert_non_null(strstr(error.text, "took longer"));
}

static int ask_parent_to_end(void *data, void *result)
{
    kill(getppid(), SIGTERM);
    return sleep_long(data, result);
}

/* A signal that asks this process to end is seen while a child runs; the child is killed, and no
 * other one starts. */
static void a_signal_ends_it(void **state)
{
    (void)state;
    struct wr_error error = {.status = WEIR_OK};
    sigset_t signals;
    int result = 0, number = 0;
    wr_bench_heed(false);
    assert_false(wr_bench_stopped());
    assert_int_equal(wr_bench_child(ask_parent_to_end, NULL, &result, sizeof result, NULL, &error),
                     WEIR_RETRY);
    assert_int_equal(error.native, EINTR);
    assert_true(wr_bench_stopped());
    wr_error_clear(&error);
    assert_int_equal(wr_bench_child(sleep_long, NULL, &result, sizeof result, NULL, &error),
                     WEIR_RETRY);
    assert_int_equal(error.native, EINTR);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    assert_int_equal(sigwait(&signals, &number), 0); /* taken, so that it ends nobody */
    assert_int_equal(number, SIGTERM);
    wr_bench_heed(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_result_comes_back),
        cmocka_unit_test(an_unwell_child_is_an_error),
        cmocka_unit_test(a_child_that_hangs_is_killed),
        cmocka_unit_test(a_signal_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

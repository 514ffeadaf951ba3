/* test_alloc_run.c: whichever allocation fails, of the library or of SQLite, the run ends with the
 * exit code that says "try again", and the next run goes on as if nothing had been.
 *
 * Each allocation is failed alone, and with all that come after it. The first two hundred one after
 * the other, then in growing steps; all of them with WEIR_LONG.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/weir_test.h"
#include "tests/lib/fail_alloc.h"
#include "tests/lib/trial.h"

enum { STEP_ONE_UNTIL = 200 };

static int64_t next_n(int64_t n)
{
    return n < STEP_ONE_UNTIL || getenv("WEIR_LONG") ? n + 1 : n + n / 12;
}

/* One trial with the n-th allocation failing. False: there is no n-th one. */
static bool fail_nth(enum fail_alloc_of of, int64_t n, bool lasting, const char *expected)
{
    struct trial *trial = trial_new(TRIAL_SMALL);
    trial_quiet(trial, fail_alloc_pause);
    fail_alloc_arm(of, n, lasting);
    int failures = 0;
    while (trial_go_on(trial) != WEIR_OK) {
        fail_alloc_off();
        const struct wr_error *error = trial_error(trial);
        if (error->exit_code != WR_EXIT_AGAIN || ++failures > 1) {
            fail_msg("allocation %lld, step %d: exit code %d, %s", (long long)n, trial_step(trial),
                     (int)error->exit_code, error->text);
        }
        assert_int_equal(trial_recover(trial), WEIR_OK);
    }
    fail_alloc_off();
    bool hit = fail_alloc_hit();
    trial_must_equal(trial, expected, "allocation", n);
    trial_free(trial);
    return hit;
}

static void fail_each(enum fail_alloc_of of, bool lasting)
{
    char *expected = trial_undisturbed(TRIAL_SMALL);
    for (int64_t n = 1; fail_nth(of, n, lasting, expected); n = next_n(n)) {
    }
    free(expected);
}

static void any_of_the_library_may_fail(void **state)
{
    (void)state;
    fail_each(FAIL_ALLOC_WEIR, false);
}

static void any_of_the_library_and_all_after_may_fail(void **state)
{
    (void)state;
    fail_each(FAIL_ALLOC_WEIR, true);
}

static void any_of_sqlite_may_fail(void **state)
{
    (void)state;
    fail_each(FAIL_ALLOC_SQLITE, false);
}

static void any_of_sqlite_and_all_after_may_fail(void **state)
{
    (void)state;
    fail_each(FAIL_ALLOC_SQLITE, true);
}

/* weir_alloc never returns NULL: the process ends, with the same code. */
static void define_with_memory(weir_job *job)
{
    memset(weir_alloc(job, 100000), 1, 100000);
}

static void a_job_without_memory_ends_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fail_alloc_arm(FAIL_ALLOC_WEIR, 2, true); /* the kit itself is the first */
        weir_test_new(define_with_memory, NULL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), WR_EXIT_AGAIN);
}

int main(void)
{
    fail_alloc_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_of_the_library_may_fail),
        cmocka_unit_test(any_of_the_library_and_all_after_may_fail),
        cmocka_unit_test(any_of_sqlite_may_fail),
        cmocka_unit_test(any_of_sqlite_and_all_after_may_fail),
        cmocka_unit_test(a_job_without_memory_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

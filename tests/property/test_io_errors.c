/* test_io_errors.c: whichever read, write, sync, truncation or opening of the store fails, the run
 * ends with the exit code of an I/O error, and the next run goes on as if nothing had been; nor is
 * anything decided lost when the power is cut.
 *
 * Each call is failed alone, and with all that come after it. The first few one after the
 * other, then in growing steps; all of them with WEIR_LONG.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fail_io.h"
#include "tests/lib/program.h"
#include "tests/lib/trial.h"

enum { STEP_ONE_UNTIL = 25, CUTS = 60, CUTS_LONG = 5000 };

static const char *const call_names[] = {"read",    "write", "sync", "truncation",
                                         "opening", "size",  "share"};

static int64_t next_n(int64_t n)
{
    return n < STEP_ONE_UNTIL || getenv("WEIR_LONG") ? n + 1 : n + n / 4;
}

static void is_io_error(struct trial *trial, const char *what, int64_t n)
{
    const struct wr_error *error = trial_error(trial);
    if (error->exit_code != WR_EXIT_IO && error->exit_code != WR_EXIT_AGAIN) {
        fail_msg("%s %lld, step %d: exit code %d, %s", what, (long long)n, trial_step(trial),
                 (int)error->exit_code, error->text);
    }
}

/* One trial with the n-th call failing. False: there is no n-th one. */
static bool fail_nth(enum trial_size size, enum fail_io_call call, enum fail_io_how how, int64_t n,
                     bool lasting, const char *expected)
{
    struct trial *trial = trial_new(size);
    fail_io_arm(call, how, n, lasting);
    while (trial_go_on(trial) != WEIR_OK) {
        assert_true(fail_io_hit());
        fail_io_off();
        is_io_error(trial, call_names[call], n);
        if (trial_recover(trial) != WEIR_OK) {
            fail_msg("%s %lld: cannot be opened again: %s", call_names[call], (long long)n,
                     trial_error(trial)->text);
        }
    }
    fail_io_off();
    bool hit = fail_io_hit();
    trial_must_equal(trial, expected, call_names[call], n);
    trial_free(trial);
    return hit;
}

static void fail_each(enum trial_size size, enum fail_io_call call, enum fail_io_how how)
{
    char *expected = trial_undisturbed(size);
    bool both = how == FAIL_IO_ERROR || getenv("WEIR_LONG");
    for (int lasting = 0; lasting <= both; lasting++) {
        for (int64_t n = 1; fail_nth(size, call, how, n, lasting, expected); n = next_n(n)) {
        }
    }
    free(expected);
}

static void any_read_may_fail(void **state)
{
    (void)state;
    fail_each(TRIAL_SMALL, FAIL_IO_READ, FAIL_IO_ERROR);
}

static void any_write_may_fail(void **state)
{
    (void)state;
    fail_each(TRIAL_LARGE, FAIL_IO_WRITE, FAIL_IO_ERROR);
}

static void the_disk_may_be_full_at_any_write(void **state)
{
    (void)state;
    fail_each(TRIAL_LARGE, FAIL_IO_WRITE, FAIL_IO_FULL);
}

static void any_write_may_stop_halfway(void **state)
{
    (void)state;
    fail_each(TRIAL_LARGE, FAIL_IO_WRITE, FAIL_IO_HALF);
}

static void any_sync_may_fail(void **state)
{
    (void)state;
    fail_each(TRIAL_LARGE, FAIL_IO_SYNC, FAIL_IO_ERROR);
}

static void any_other_call_may_fail(void **state)
{
    (void)state;
    fail_each(TRIAL_LARGE, FAIL_IO_TRUNCATE, FAIL_IO_ERROR);
    fail_each(TRIAL_SMALL, FAIL_IO_OPEN, FAIL_IO_ERROR);
    fail_each(TRIAL_SMALL, FAIL_IO_SIZE, FAIL_IO_ERROR);
    fail_each(TRIAL_SMALL, FAIL_IO_SHARE, FAIL_IO_ERROR);
}

/* Cuts the power at the n-th write or sync; what the store said was decided is there afterwards. */
static bool cut_at(enum fail_io_call call, int64_t n, uint64_t *random, const char *expected)
{
    struct trial *trial = trial_new(TRIAL_LARGE);
    fail_io_record(true);
    fail_io_arm(call, program_below(random, 2) ? FAIL_IO_HALF : FAIL_IO_ERROR, n, true);
    while (trial_go_on(trial) != WEIR_OK) {
        fail_io_off();
        is_io_error(trial, "power cut", n);
        trial_power_off(trial);
        fail_io_cut(random);
        if (trial_recover(trial) != WEIR_OK) {
            fail_msg("power cut at %s %lld: cannot be opened again: %s", call_names[call],
                     (long long)n, trial_error(trial)->text);
        }
    }
    fail_io_off();
    fail_io_record(false);
    bool hit = fail_io_hit();
    trial_must_equal(trial, expected, "power cut", n);
    trial_free(trial);
    return hit;
}

static void nothing_decided_is_lost_in_a_power_cut(void **state)
{
    (void)state;
    const char *seed = getenv("WEIR_SEED");
    uint64_t random = seed ? strtoull(seed, NULL, 10) : 1;
    char *expected = trial_undisturbed(TRIAL_LARGE);
    int64_t limits[FAIL_IO_CALLS] = {[FAIL_IO_WRITE] = 2000, [FAIL_IO_SYNC] = 100};
    int cuts = getenv("WEIR_LONG") ? CUTS_LONG : CUTS;
    for (int i = 0; i < cuts; i++) {
        enum fail_io_call call = i % 2 ? FAIL_IO_SYNC : FAIL_IO_WRITE;
        int64_t n = 1 + program_below(&random, (unsigned)limits[call]);
        if (!cut_at(call, n, &random, expected)) {
            limits[call] = n; /* there are fewer */
        }
    }
    free(expected);
}

int main(void)
{
    fail_io_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_read_may_fail),
        cmocka_unit_test(any_write_may_fail),
        cmocka_unit_test(the_disk_may_be_full_at_any_write),
        cmocka_unit_test(any_write_may_stop_halfway),
        cmocka_unit_test(any_sync_may_fail),
        cmocka_unit_test(any_other_call_may_fail),
        cmocka_unit_test(nothing_decided_is_lost_in_a_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* trial.h: a small job that uses everything (state, scans, timers of both kinds, watermarks, a log,
 * a table, a file, dead letters, an upgrade of its state) over a fixed input, in steps. Whatever
 * breaks it off at whatever place, it is taken up again at the step at hand, and must leave in the
 * end what it leaves undisturbed. An epoch that was decided must be there when it is opened again.
 *
 *     struct trial *trial = trial_new(TRIAL_SMALL);
 *     arm what fails;
 *     while (trial_go_on(trial) != WEIR_OK) {
 *         look at trial_error(trial);
 *         disarm;
 *         trial_recover(trial);
 *     }
 *     trial_must_equal(trial, expected);
 *     trial_free(trial);
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_TRIAL_H
#define TEST_TRIAL_H

#include "engine/weir_test.h"
#include "txn/base/error.h"

enum trial_size {
    TRIAL_SMALL,
    TRIAL_LARGE, /* enough for the store to copy its WAL back */
};

struct trial;

/* The store is made by the first step. Uses the file trial.txt in the working directory. */
struct trial *trial_new(enum trial_size size);
void trial_free(struct trial *trial);

/* Called around what is the test's own (new records). */
void trial_quiet(struct trial *trial, void (*quiet)(bool quiet));

/* Takes the steps that are left; WEIR_OK when the last one was taken. */
weir_status trial_go_on(struct trial *trial);
/* Where it stands, and why: valid after a failure. */
int trial_step(const struct trial *trial);
const struct wr_error *trial_error(const struct trial *trial);
/* Drops the instance as a kill would, and opens it again. */
weir_status trial_recover(struct trial *trial);
weir_test *trial_test(struct trial *trial);
/* The process is gone: also the WAL's index, which no disk has. */
void trial_power_off(struct trial *trial);

/* Everything it left, in the store and in the file; free it. */
char *trial_left(struct trial *trial);
/* Fails the test when it left something else, or weir verify finds the store unsound. `what` and n
 * say what disturbed it. */
void trial_must_equal(struct trial *trial, const char *expected, const char *what, int64_t n);
/* What an undisturbed one leaves; free it. */
char *trial_undisturbed(enum trial_size size);

#endif

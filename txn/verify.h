/* verify.h: checks that a store is what weir left there: SQLite's own integrity check, every batch
 * of every log, every change of state that is still in the changelog, and the invariants that tie
 * the tables together. Only reads, also while a job runs on the store, and does not stop at the
 * first thing that is wrong.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_VERIFY_H
#define WR_VERIFY_H

#include "txn/store.h"

/* Gets one problem as a sentence that names table, topic, partition, offset. */
typedef void (*wr_verify_fn)(void *data, const char *problem);

/* WEIR_OK when the store could be looked at, with the number of problems that were reported (0: it
 * is sound). Fails, as wr_reader_open does, when it is no store or cannot be read at all. */
weir_status wr_verify(struct wr_env *env, const char *path, wr_verify_fn report, void *data,
                      size_t *problem_count_out, struct wr_error *error);

#endif

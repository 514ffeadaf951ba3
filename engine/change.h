/* change.h: a start with a changed job: --rename, --drop-state, --rewind (change.c), and the
 * refusals that name them (change_check.c).
 *
 * The names of --rename OLD and --drop-state are the store's, as the last run left it; those of
 * --rename NEW and --rewind are the job's. What is dropped goes first, then names change, then
 * positions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_CHANGE_H
#define WR_CHANGE_H

#include "engine/job.h"
#include "txn/store.h"

struct wr_instance;
struct wr_run_options;

/* One sentence about what this start did, to be said once it lasts. */
struct wr_change_said {
    const char *text;
    struct wr_change_said *next;
};

struct wr_change {
    struct wr_change_said *first, *last;
    const char *renamed, *dropped, *rewound; /* members of JSON objects and lists; NULL: none */
};

/* Whether the options ask for a change: then the store must be there already. */
bool wr_change_asked(const struct wr_run_options *options);

/* Whether it may touch what a node keeps: the options ask for a change, or the job's nodes, their
 * kinds or versions are not those of the store. */
weir_status wr_change_may_touch(struct wr_instance *instance, const struct wr_catalog *catalog,
                                bool *may_out, struct wr_error *error);

/* Does what the options ask for, in the transaction that is open. 64: a name that is not there, or
 * an option that makes no sense; 78: what the store holds forbids it. Marks the sources that are
 * rewound to an offset. */
weir_status wr_change_apply(struct wr_instance *instance, struct wr_error *error);
/* Notes it in the store, as an epoch of its own; the last step of the transaction. */
weir_status wr_change_note(struct wr_instance *instance, struct wr_error *error);
/* Says what was done; after the transaction. */
void wr_change_say(const struct wr_instance *instance);

/* Refuses (78) a job that does not fit what the store holds, as it is after the change. */
weir_status wr_change_check(struct wr_instance *instance, const struct wr_catalog *catalog,
                            struct wr_error *error);

/* The node of this name, NULL: none. */
struct wr_node *wr_change_node(const weir_job *job, const char *name);

#endif

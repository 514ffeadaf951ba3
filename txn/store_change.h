/* store_change.h: a job that changed, brought together with its store: names renamed, what is kept
 * under a name forgotten, positions moved; and the one transaction in which a start does all that
 * it does to a store.
 *
 * What is kept under a name: state, timers and queued dead letters of a node; positions of a
 * source; outbox and marker of an outside sink. Table `node` has a row for every name that a job
 * ever had.
 *
 * Thread: the one that opens the store, before there are others.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_STORE_CHANGE_H
#define WR_STORE_CHANGE_H

#include "txn/store.h"

/* From here to the end, wr_store_define, wr_store_upgrade and all below take part in one
 * transaction: a crash or a refusal in between leaves the store as it was. */
weir_status wr_store_start_begin(struct wr_store *store, struct wr_error *error);
/* Makes it last when status is WEIR_OK, else undoes it. Returns the status, or its own failure. */
weir_status wr_store_start_end(struct wr_store *store, weir_status status, struct wr_error *error);

/* ---- What a store knows by name -------------------------------------------------------------- */

enum wr_stored_kind {
    WR_STORED_BARE, /* of some earlier job, nothing is kept of it */
    WR_STORED_SOURCE,
    WR_STORED_TIMES,
    WR_STORED_THROUGH,
    WR_STORED_SINK,
};

struct wr_stored_name {
    const char *name;
    int64_t node; /* its id in table node, 0: none */
    enum wr_stored_kind kind;
    bool keeps; /* something that a change of the job must not lose */
    int64_t unsent; /* records in its outbox, not yet forwarded */
    int64_t queued; /* dead letters of it that wait to be taken again */
};
/* All of them, in order of name, in the arena. */
weir_status wr_store_names(struct wr_store *store, struct wr_arena *arena,
                           struct wr_stored_name **names_out, size_t *count_out,
                           struct wr_error *error);

/* Whether `graph` (JSON, as wr_definition has it) is the one of the last run, URIs aside. */
weir_status wr_store_same_graph(struct wr_store *store, const char *graph, bool *same_out,
                                struct wr_error *error);

/* ---- Changes --------------------------------------------------------------------------------- */

struct wr_rename {
    const char *from, *to; /* `to` keeps nothing, or is itself renamed by the same call */
    enum wr_stored_kind kind;
};
/* All at once, so that names can be swapped. A row in table node that `to` has goes. */
weir_status wr_store_rename(struct wr_store *store, const struct wr_rename *renames, size_t count,
                            struct wr_error *error);

struct wr_forgotten {
    int64_t slots, timers, positions, unsent, queued;
};
/* Forgets what is kept under a name. version 0: the name goes as well; else its node stays, with
 * state of this version from now on. */
weir_status wr_store_forget(struct wr_store *store, const struct wr_stored_name *name,
                            unsigned version, struct wr_forgotten *forgotten_out,
                            struct wr_error *error);
/* Whether an earlier change forgot it. */
weir_status wr_store_has_forgotten(struct wr_store *store, const char *name, bool *has_out,
                                   struct wr_error *error);

/* Sets all positions of a source to `offset`; -1: removes them, so that it is read from the
 * beginning, whatever it is by now. Its watermarks, and those of the nodes named, are unknown
 * afterwards; so is the end of time, to which an earlier --drain may have moved others. */
weir_status wr_store_rewind(struct wr_store *store, const char *source, int64_t offset,
                            const char *const *nodes, size_t node_count, struct wr_error *error);

/* Notes that this start changed the job: an epoch of its own without records, so that the newest
 * epoch tells the positions, and `what` (a JSON object's members) in meta. Comes last. */
weir_status wr_store_note_change(struct wr_store *store, const char *what, struct wr_error *error);

#endif

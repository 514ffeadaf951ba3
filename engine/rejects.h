/* rejects.h: what becomes of what fails and of what is refused: failures counted by origin, dead
 * letters and the sink they go to, and dead letters that are taken again.
 *
 * Thread: operator, but for what the opener does before the threads start.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_REJECTS_H
#define WR_REJECTS_H

#include "engine/job.h"
#include "txn/epoch.h"

struct wr_instance;
struct wr_rows;

/* The sink of --rejects, as if the job had it. */
#define WR_REJECTS_SINK "rejects"

/* ---- Dead letters that are taken again (retry.c) --------------------------------------------- */

struct wr_letter {
    int64_t id;
    struct wr_node *node; /* that rejected it, and gets it again */
    const char *source, *part; /* NULL: it came from a timer */
    size_t part_index; /* of the part, SIZE_MAX: the job does not read it any more */
    int64_t offset;
    unsigned input;
    bool timer; /* a timer's firing, of the record's key and time */
    weir_bytes name; /* of the timer */
    weir_record record;
};

struct wr_retry {
    struct wr_rows *rows; /* the query, NULL: nothing is queued */
    struct wr_arena arena; /* of the page at hand */
    struct wr_letter *letters;
    size_t count, at; /* of the page */
    int64_t queued; /* at start */
    int64_t last, sealed_last; /* ids: taken last, and as of the last sealed epoch */
    int64_t *taken; /* by the filling epoch */
    size_t taken_count, taken_capacity;
    bool ended; /* there is none after `last` */
};

/* Sees what is queued, and that the job has the nodes for it (78). */
weir_status wr_retry_open(struct wr_instance *instance, struct wr_error *error);
void wr_retry_close(struct wr_instance *instance);
/* There may be more: nothing new is read before. */
static inline bool wr_retry_pending(const struct wr_retry *retry)
{
    return retry->rows != NULL && !retry->ended;
}
/* The next one, NULL: that was the last. Valid until wr_retry_passed or an undo. */
weir_status wr_retry_next(struct wr_instance *instance, const struct wr_letter **letter_out,
                          struct wr_error *error);
/* It is to go with the filling epoch; called before its unit. */
weir_status wr_retry_take(struct wr_instance *instance, const struct wr_letter *letter,
                          struct wr_error *error);
/* Its unit is done. */
weir_status wr_retry_passed(struct wr_instance *instance, struct wr_error *error);
void wr_retry_undo(struct wr_instance *instance);
/* Puts the ids into the epoch about to be sealed. */
weir_status wr_retry_seal(struct wr_instance *instance, struct wr_error *error);

/* ---- Failures by origin (failures.c) --------------------------------------------------------- */

struct wr_origin { /* of the unit at hand */
    size_t part; /* global number, SIZE_MAX on timers, and on letters whose part is gone */
    int64_t offset;
    const struct wr_letter *letter; /* NULL: not taken again */
    const struct wr_node *node; /* timers */
    weir_bytes key, name;
    int64_t time_ms;
};

struct wr_failure { /* of one origin */
    size_t part;
    int64_t offset, letter, time_ms; /* letter: its id, 0: none */
    const struct wr_node *node;
    weir_bytes key, name; /* in `bytes` */
    unsigned char *bytes;
    char *reason; /* not NULL: it is rejected, for this */
    int count;
    bool passed; /* its unit is done in the filling epoch */
};

struct wr_failures {
    struct wr_failure *items;
    size_t count, capacity;
    int64_t rejected; /* origins, in this run */
    bool passed; /* one passed in the filling epoch, which is sealed at once */
};

void wr_failures_fini(struct wr_failures *failures);
/* Counts a failure of the origin at hand; *count_out: with this one. Where it was the last that it
 * may have and failing origins are rejected, it is from now on. */
weir_status wr_failures_add(struct wr_instance *instance, const struct wr_error *failure,
                            int *count_out, struct wr_error *error);
/* Why the origin at hand is to be rejected; NULL: it is not. */
const char *wr_failures_reason(const struct wr_instance *instance);
/* The unit at hand is done. */
weir_status wr_failures_passed(struct wr_instance *instance, struct wr_error *error);
void wr_failures_undo(struct wr_failures *failures);
void wr_failures_seal(struct wr_failures *failures);
/* "source `in`, partition 0, offset 17". */
void wr_origin_describe(const struct wr_instance *instance, char *text, size_t size);

/* ---- Dead letters (rejects.c) ---------------------------------------------------------------- */

struct wr_rejecting {
    const struct wr_node *sink; /* of --rejects, NULL: not given */
    /* Dead letters in the store at start and in epochs sealed since, without those that were taken
     * again; statements make more when an epoch is decided: wr_store_sql_rejects. */
    int64_t held;
    bool unfit_said;
};

/* Counts what the store holds, and says what waits for a sink that this run does not have. */
weir_status wr_rejects_open(struct wr_instance *instance, struct wr_error *error);
/* Where what the unit at hand does comes from; false: the unit has failed. */
bool wr_rejects_from(struct wr_instance *instance, struct wr_from *from_out);
/* One dead letter of the unit at hand, as `node` got it. `timer`: the name, absent on records. Over
 * --rejects-max the unit fails, and the run stops. */
void wr_rejects_add(struct wr_instance *instance, const struct wr_node *node, unsigned input,
                    const weir_record *record, weir_bytes timer, const char *why);
/* The filling epoch is sealed. */
void wr_rejects_seal(struct wr_instance *instance);

#endif

/* store_rejects.h: choosing among the dead letters of a store, and what can be done with those that
 * were chosen.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_STORE_REJECTS_H
#define WR_STORE_REJECTS_H

#include "txn/store_rows.h"

/* Which ones. NULL: whichever. */
struct wr_reject_filter {
    const char *node, *source;
    const char *reason; /* a part of the reason, letter by letter */
    int64_t first, last; /* ids, both included */
    int64_t number; /* the first so many of them by id, -1: all */
};
void wr_reject_filter_init(struct wr_reject_filter *filter); /* all */

/* The condition of a query on table reject, and its parameters 1 to 5. */
#define WR_REJECT_WHERE                                                                            \
    "(?1 IS NULL OR node = ?1) AND (?2 IS NULL OR source = ?2)"                                    \
    " AND (?3 IS NULL OR instr(reason, ?3) > 0) AND reject.id BETWEEN ?4 AND ?5"
void wr_reject_filter_bind(const struct wr_reject_filter *filter, struct wr_rows *rows);

enum wr_reject_act {
    WR_REJECTS_RETRY, /* the next run takes them again */
    WR_REJECTS_KEEP, /* they leave that queue */
    WR_REJECTS_DELETE,
};
struct wr_reject_counts {
    int64_t matched;
    int64_t queued; /* of these, before */
    int64_t cut; /* of these: more than WR_RECORD_BYTES_MAX bytes, of which no more were kept */
    int64_t changed; /* queued, taken off the queue, deleted */
};
/* In one transaction. Nothing that is cut is queued. */
weir_status wr_store_rejects(struct wr_store *store, const struct wr_reject_filter *filter,
                             enum wr_reject_act act, struct wr_reject_counts *counts_out,
                             struct wr_error *error);

#endif

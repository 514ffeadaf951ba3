/* verify_inner.h: what the files of verify share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_VERIFY_INNER_H
#define WR_VERIFY_INNER_H

#include "txn/store_rows.h"
#include "txn/verify.h"

/* How a topic, joined as `topic`, is called in table epoch and in problems. */
#define LOG_NAME "iif(topic.outbox, 'outbox:', '') || topic.name"

enum {
    SNAPSHOT_US_MAX = 300 * 1000,
    PROBLEMS_MAX = 1000, /* reported in full; a store with more is not worth reading about */
};

struct wr_verify {
    struct wr_env *env;
    struct wr_reader *reader;
    struct wr_arena arena; /* of one batch, or of one epoch's changes */
    wr_verify_fn report;
    void *data;
    size_t problems;
    int64_t snapshot_us; /* when it began */
};

void wr_verify_problem(struct wr_verify *verify, const char *format, ...) WEIR_PRINTF(2, 3);
/* A failure that comes from what the file holds is a problem like others; the rest stops. */
weir_status wr_verify_settle(struct wr_verify *verify, weir_status status,
                             const struct wr_error *inner, const char *what,
                             struct wr_error *error);
/* A new snapshot with the next read, at once or when this one has lasted a while. */
void wr_verify_renew(struct wr_verify *verify, bool now);

/* Walks what epochs changed in state (verify_changelog.c). */
weir_status wr_verify_changelog(struct wr_verify *verify, struct wr_error *error);
/* Walks every partition of every topic (verify_log.c). */
weir_status wr_verify_logs(struct wr_verify *verify, struct wr_error *error);

#endif

/* forward_inner.h: what the forwarder's files share: forward.c has the markers and the steps,
 * forward_send.c brings what logs and epochs hold to the outlets.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_FORWARD_INNER_H
#define WR_FORWARD_INNER_H

#include <stdatomic.h>

#include "txn/forward.h"

struct wr_forward {
    const struct wr_sink *sink;
    struct wr_outlet *outlet;
    struct wr_marker marker; /* settled: everything below it is outside */
    int64_t next; /* sent up to here */
    bool midway; /* in a batch of which a part was sent, perhaps */
    bool moved; /* the marker is not yet handed over */
    int64_t end; /* of the log, as of the last look */
    _Atomic int64_t bytes; /* of log that is kept, as of then, and what was decided since */
};

struct wr_forwarder {
    struct wr_env *env;
    struct wr_arena *arena; /* the job's */
    struct wr_arena batch; /* of the batch at hand */
    struct wr_reader *reader;
    uint64_t incarnation;
    int64_t generation;
    struct wr_forward *forwards;
    struct wr_marker *moved; /* the markers that wait, as they shall be */
    size_t count, capacity, turn; /* turn: the sink that a step starts with */
    size_t budget; /* bytes that may still be sent before they are settled */
    bool checked, opened; /* opened: the markers of the check are decided */
    bool behind; /* something decided is not outside, or a marker not decided */
    atomic_size_t waiting;
    _Atomic int64_t backlog;
    _Atomic size_t sending; /* which sink is being sent to, from 1; 0: none */
    _Atomic int64_t sent; /* calls of outlets that came back */
    struct wr_kafka_forward *kafka; /* what outlets of Kafka share */
    _Atomic int64_t overdue_us; /* see outlet.h; 0: no call is being made */
};

/* Sends what one sink's log holds beyond what was sent, within the budget. WEIR_RETRY: its outside
 * does not take it now. */
weir_status wr_forward_send(struct wr_forwarder *forwarder, struct wr_forward *forward,
                            struct wr_error *error);
/* Takes what the outlet says is outside as the sink's marker. */
void wr_forward_take(struct wr_forwarder *forwarder, struct wr_forward *forward,
                     const struct wr_marker *marker);

#endif

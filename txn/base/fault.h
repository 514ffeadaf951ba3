/* fault.h: the list of moments at which a crash is worth a test. Numbers are stable: append, never
 * renumber.
 *
 * Unarmed, a point costs one compare, and none lies on the path of a record. Armed by
 * WEIR_FAULT=NAME[:COUNT] in the program's environment the process kills itself with SIGKILL at the
 * COUNT-th passing; armed by the test kit, wr_fault returns true and the caller fails with
 * WR_CRASHED, on which the instance is dropped.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_FAULT_H
#define WR_FAULT_H

#include "txn/base/error.h"

#define WR_FAULT_LIST(X)                                                                           \
    X(0, none)                                                                                     \
    X(1, open_before_generation) /* store opened, generation not yet raised */                     \
    X(2, open_after_generation)                                                                    \
    X(3, fill_first_unit) /* an epoch has one unit and is not sealed */                            \
    X(4, fill_before_seal)                                                                         \
    X(5, fill_after_seal) /* sealed, not handed over */                                            \
    X(6, undo_before_replay) /* the filling epoch was thrown away */                               \
    X(7, decide_before_begin)                                                                      \
    X(8, decide_after_begin)                                                                       \
    X(9, decide_after_state)                                                                       \
    X(10, decide_after_timers)                                                                     \
    X(11, decide_after_tables)                                                                     \
    X(12, decide_after_logs)                                                                       \
    X(13, decide_after_positions)                                                                  \
    X(14, decide_before_end) /* everything written, COMMIT not yet called */                       \
    X(15, decide_after_end) /* COMMIT returned */                                                  \
    X(16, checkpoint_before)                                                                       \
    X(17, checkpoint_after)                                                                        \
    X(18, drop_before) /* decided, the operator thread has not yet dropped it */                   \
    X(19, drop_after)                                                                              \
    X(20, forward_before_send)                                                                     \
    X(21, forward_after_send) /* written, not yet synced */                                        \
    X(22, forward_after_sync) /* synced, marker not yet decided */                                 \
    X(23, forward_after_marker)                                                                    \
    X(24, trim_before)                                                                             \
    X(25, trim_after) /* trimmed within a transaction that has not ended */                        \
    X(26, cut_before) /* a file sink is longer than its marker */                                  \
    X(27, cut_after)                                                                               \
    X(28, stop_before_end) /* a graceful stop decided everything, the store is still open */       \
    X(29, deliver_after_send) /* at-least-once: written outside, not yet decided */                \
    X(30, deliver_before_positions) /* where positions have a transaction of their own */          \
    X(31, deliver_after_positions)                                                                 \
    X(36, reject_before_undo) /* an origin failed for the last time; the replay rejects it */      \
    X(37, reject_after_unit) /* it is a dead letter of the epoch that fills */                     \
    X(38, retry_after_unit) /* a dead letter was taken again in the epoch that fills */            \
    X(39, retry_last_unit) /* all of them were, nothing new was read */                            \
    X(43, log_after_look) /* another store's topic has changed, its ends were read */              \
    X(44, log_after_poll) /* its records were read, none of them dispatched */                     \
    X(46, start_before_change) /* the transaction of a start has begun */                          \
    X(47, start_after_change) /* renamed, dropped and rewound what the options ask for */          \
    X(48, start_before_end) /* upgraded and defined too, COMMIT not yet called */                  \
    X(49, start_after_end) /* COMMIT returned */                                                   \
    X(60, kafka_after_settle) /* init_transactions answered, the markers are not yet read */       \
    X(61, kafka_after_read) /* read, not yet checked */                                            \
    X(62, kafka_after_claim) /* the first marker is outside, the store has no row of it */         \
    X(63, kafka_after_begin)                                                                       \
    X(64, kafka_after_produce) /* the broker has the records, but not the markers */               \
    X(65, kafka_after_markers) /* all of it is with the broker, in an open transaction */          \
    X(66, kafka_before_end)                                                                        \
    X(67, kafka_during_end) /* commit_transaction was called and has not answered */               \
    X(68, kafka_after_end) /* it answered */                                                       \
    X(69, kafka_after_abort)                                                                       \
    X(70, decide_after_sql) /* statements of sql: sinks were run */                                \
    X(71, sql_after_record) /* one record's, within its savepoint */                               \
    X(72, sql_after_undo) /* a record was refused: undone, its dead letter not yet written */

enum wr_fault_point {
#define WR_FAULT_ENUM(number, name) WR_FAULT_##name = (number),
    WR_FAULT_LIST(WR_FAULT_ENUM)
#undef WR_FAULT_ENUM
        WR_FAULT_COUNT
};

struct wr_fault {
    enum wr_fault_point point; /* WR_FAULT_none: unarmed */
    int countdown;
    bool returns; /* the test kit's: fail instead of SIGKILL */
    bool passed;
};

/* Thread: any, each point is passed by one thread. True: the caller must fail with wr_fail_crash.
 */
bool wr_fault_slow(struct wr_fault *fault, enum wr_fault_point point);
static inline bool wr_fault_at(struct wr_fault *fault, enum wr_fault_point point)
{
    return fault->point == point && wr_fault_slow(fault, point);
}
#define WR_FAULT(fault, name, error)                                                               \
    do {                                                                                           \
        if (wr_fault_at(fault, WR_FAULT_##name)) {                                                 \
            return wr_fail(error, WEIR_FATAL, WR_EXIT_BUG, "crashed at fault point " #name);       \
        }                                                                                          \
    } while (0)

/* Parses NAME[:COUNT]; false when the name is not on the list. */
bool wr_fault_arm(struct wr_fault *fault, const char *text);
const char *wr_fault_name(enum wr_fault_point point);

#endif

/* stuck.h: whether a run is stuck, and saying what it waits for: one warning after WR_STUCK_US
 * without any progress while there is something to do, another each WR_STUCK_AGAIN_US, and a notice
 * when it goes on. Waiting for input is not being stuck. What an operator asks for by WEIR_RETRY is
 * said where it is handled (instance.c), by the same rule.
 *
 * Thread: main; what it looks at are atomics.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_STUCK_H
#define WR_STUCK_H

#include "engine/metrics.h"
#include "txn/forward.h"

#define WR_STUCK_US 10000000LL
#define WR_STUCK_AGAIN_US 60000000LL

/* One thing that may hang. */
struct wr_stuck_watch {
    bool busy; /* it had something to do */
    int64_t token; /* as long as this stays, nothing moves */
    int64_t since_us, said_us; /* said 0: not yet */
};

struct wr_stuck {
    struct wr_stuck_watch decide, operators, forward;
};

/* What a look found. */
struct wr_stuck_sample {
    int64_t now_us;
    const char *store;
    int64_t deciding_us; /* since when; 0: not deciding */
    const struct wr_telling *telling; /* the statement of a user's that runs in it; NULL: none */
    const char *calling; /* the node whose function runs, NULL: none */
    int64_t units;
    const struct wr_sink *sending; /* NULL: none */
    int64_t sent;
};

/* `stuck` is zeroed before the first look. */
void wr_stuck_look(struct wr_stuck *stuck, struct wr_env *env,
                   const struct wr_stuck_sample *sample);

/* Whether a wait since since_us is to be said now; then *said_us (0: never yet) is set. */
bool wr_stuck_say(int64_t now_us, int64_t since_us, int64_t *said_us);

#endif

/* stopper.h: SIGINT and SIGTERM as a request to end well, for a subcommand that has something to
 * keep. A thread of its own waits for them, so that no handler needs a global.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_STOPPER_H
#define WR_STOPPER_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

struct wr_stopper {
    _Atomic bool stop; /* asked to end */
    /* Private. */
    _Atomic bool done;
    bool runs;
    sigset_t signals, before;
    pthread_t thread;
};

/* From here on both signals set `stop`; a second one, or two seconds without an end, end the
 * process at once: it is in a write that nobody reads. False: no thread can be made. */
bool wr_stopper_start(struct wr_stopper *stopper);
/* Also when it was not started. */
void wr_stopper_end(struct wr_stopper *stopper);

#endif

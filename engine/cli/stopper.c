/* stopper.c: see stopper.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/stopper.h"

#include <stddef.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_SECONDS = 2 };

static void *wait_for_signals(void *data)
{
    struct wr_stopper *stopper = data;
    int number = 0;
    if (sigwait(&stopper->signals, &number) != 0 || atomic_load(&stopper->done)) {
        return NULL;
    }
    atomic_store(&stopper->stop, true);
    const struct timespec grace = {GRACE_SECONDS, 0};
    (void)sigtimedwait(&stopper->signals, NULL, &grace);
    if (!atomic_load(&stopper->done)) { /* as the signal ends who does not wait for it */
        pthread_sigmask(SIG_UNBLOCK, &stopper->signals, NULL);
        kill(getpid(), number);
    }
    return NULL;
}

bool wr_stopper_start(struct wr_stopper *stopper)
{
    sigemptyset(&stopper->signals);
    sigaddset(&stopper->signals, SIGINT);
    sigaddset(&stopper->signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stopper->signals, &stopper->before);
    stopper->runs = pthread_create(&stopper->thread, NULL, wait_for_signals, stopper) == 0;
    if (!stopper->runs) {
        pthread_sigmask(SIG_SETMASK, &stopper->before, NULL);
    }
    return stopper->runs;
}

void wr_stopper_end(struct wr_stopper *stopper)
{
    if (!stopper->runs) {
        return;
    }
    atomic_store(&stopper->done, true);
    pthread_kill(stopper->thread, SIGTERM);
    pthread_join(stopper->thread, NULL);
    stopper->runs = false; /* the signals stay blocked: the process is about to end */
}

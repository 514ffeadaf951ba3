/* outlet.c: what outlets share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/outlets/outlet.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static int write_all(int fd, const unsigned char *at, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, at, size);
        if (wrote >= 0) {
            at += wrote;
            size -= (size_t)wrote;
        } else if (errno == EAGAIN) { /* someone else made the descriptor non-blocking */
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            if (poll(&wait, 1, -1) < 0 && errno != EINTR) {
                return errno;
            }
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

/* The signal is held back for this thread alone: the process's own handling is not weir's to
 * change. */
int wr_outlet_write(int fd, const void *data, size_t size)
{
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    int result = write_all(fd, data, size);
    if (result == EPIPE && !sigismember(&pending, SIGPIPE)) {
        struct timespec now = {0, 0};
        while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

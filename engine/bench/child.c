/* child.c: work in a process of its own: CPU time and memory are the kernel's account of that
 * process, and what it does wrong ends it alone. See bench.h.
 *
 * The result comes back by a pipe, read until its end, so that it may be of any size. The parent
 * looks ten times a second whether it was asked to end, or the child has had its time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/bench/bench.h"

enum { LOOK_MS = 100 };
#define SECONDS_MAX 86400.0

void wr_bench_child_begin(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    wr_bench_heed(true);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

bool wr_bench_is_request(int number)
{
    return number == SIGKILL || number == SIGTERM || number == SIGINT || number == SIGHUP;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

_Noreturn static void be_child(wr_bench_child_fn child, void *data, void *result, size_t size,
                               int fd)
{
    wr_bench_child_begin();
    int code = child(data, result);
    const unsigned char *at = result;
    while (code == 0 && size > 0) {
        ssize_t wrote = write(fd, at, size);
        if (wrote < 0 && errno != EINTR) {
            code = WR_EXIT_IO; /* nobody reads it any more */
        } else if (wrote > 0) {
            at += wrote;
            size -= (size_t)wrote;
        }
    }
    _exit(code); /* what the parent had in its buffers is the parent's */
}

enum receiving { RECEIVED, RECEIVE_STOPPED, RECEIVE_LATE, RECEIVE_FAILED };

/* Reads until the child's end of the pipe is closed, by its end at the latest. */
static enum receiving receive(int fd, double until_s, unsigned char *at, size_t size,
                              size_t *got_out)
{
    *got_out = 0;
    for (;;) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        int ready = poll(&poller, 1, LOOK_MS);
        if (ready < 0 && errno != EINTR) {
            return RECEIVE_FAILED;
        }
        if (ready > 0) {
            unsigned char beyond[64]; /* a result has its size; more is not taken, and shows */
            bool room = *got_out < size;
            ssize_t got =
                room ? read(fd, at + *got_out, size - *got_out) : read(fd, beyond, sizeof beyond);
            if (got == 0) {
                return RECEIVED;
            }
            if (got < 0 && errno != EINTR) {
                return RECEIVE_FAILED;
            }
            *got_out += got > 0 ? (size_t)got : 0;
        }
        if (wr_bench_stopped()) {
            return RECEIVE_STOPPED;
        }
        if (now_s() > until_s) {
            return RECEIVE_LATE;
        }
    }
}

static weir_status judge(enum receiving receiving, int status, double seconds_max, size_t got,
                         size_t size, struct wr_error *error)
{
    if (receiving == RECEIVE_STOPPED) {
        return wr_fail_native(error, WEIR_RETRY, WR_EXIT_AGAIN, EINTR, "stopped by a signal");
    }
    if (receiving == RECEIVE_LATE) {
        return wr_fail(error, WEIR_RETRY, WR_EXIT_AGAIN,
                       "a run took longer than %.0f seconds and was killed; start again, with "
                       "fewer records or seconds",
                       seconds_max);
    }
    if (receiving == RECEIVE_FAILED) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_IO, "cannot read what a run measured");
    }
    if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        const char *name = strsignal(number);
        if (!wr_bench_is_request(number)) {
            return wr_fail(error, WEIR_FATAL, WR_EXIT_BUG,
                           "the job, or weir, crashed by signal %d (%s) while it was measured; "
                           "run the job by `weir run` to see where",
                           number, name ? name : "unknown");
        }
        return wr_fail(error, WEIR_RETRY, WR_EXIT_AGAIN,
                       "a run was killed by signal %d (%s); start again", number,
                       name ? name : "unknown");
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_BUG,
                       "a run ended by itself before it was over, with exit code %d; does the job "
                       "call exit?",
                       WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    }
    if (got == 0 && size > 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_BUG,
                       "a run ended by itself before it was over; does the job call exit?");
    }
    if (got != size) {
        return wr_fail(error, WEIR_RETRY, WR_EXIT_AGAIN,
                       "a run gave %zu bytes of result instead of %zu; start again", got, size);
    }
    return WEIR_OK;
}

weir_status wr_bench_child_within(double seconds_max, wr_bench_child_fn child, void *data,
                                  void *result, size_t size, struct rusage *usage_out,
                                  struct wr_error *error)
{
    int ends[2], status = 0;
    size_t got = 0;
    struct rusage usage;
    if (wr_bench_stopped()) {
        return judge(RECEIVE_STOPPED, 0, 0, 0, 0, error);
    }
    if (pipe(ends) != 0) {
        return wr_fail_errno(error, "cannot make a pipe for a run");
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        weir_status failed = wr_fail_errno(error, "cannot start a process for a run");
        close(ends[0]);
        close(ends[1]);
        return failed;
    }
    if (pid == 0) {
        close(ends[0]);
        be_child(child, data, result, size, ends[1]);
    }
    close(ends[1]);
    enum receiving receiving = receive(ends[0], now_s() + seconds_max, result, size, &got);
    close(ends[0]);
    if (receiving != RECEIVED) {
        kill(pid, SIGKILL);
    }
    while (wait4(pid, &status, 0, &usage) < 0) {
        if (errno != EINTR) {
            return wr_fail_errno(error, "cannot wait for a run");
        }
    }
    if (usage_out) {
        *usage_out = usage;
    }
    return judge(receiving, status, seconds_max, got, size, error);
}

weir_status wr_bench_child(wr_bench_child_fn child, void *data, void *result, size_t size,
                           struct rusage *usage_out, struct wr_error *error)
{
    return wr_bench_child_within(SECONDS_MAX, child, data, result, size, usage_out, error);
}

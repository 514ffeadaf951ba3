/* loop_inner.h: what the loop's files share: one run with its threads, mutex and hand-overs. Here
 * and in loop_watch.c libuv is named, and nowhere else. loop.c has the drawing.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_LOOP_INNER_H
#define WR_LOOP_INNER_H

#include <uv.h>

#include "engine/loop.h"
#include "engine/loop_watch.h"

struct wr_loop {
    struct wr_instance *instance;
    uv_loop_t uv;
    uv_signal_t interrupt, terminate;
    uv_timer_t timer;
    uv_async_t changed;
    uv_thread_t operate, decide, forward;
    uv_mutex_t mutex;
    uv_cond_t for_operate, for_decide, for_forward;
    bool markers; /* wait to be decided */
    bool news; /* for the forward thread: something was decided */
    bool filled; /* no epoch comes any more: the operator thread has ended */
    bool forwarded; /* everything decided is outside: the forward thread has ended */
    bool settled; /* the decide thread has ended */
    bool quit;
    _Atomic bool stop; /* by a signal */
    int64_t stop_us;
    int64_t forwarded_us; /* when the forward thread last began */
    struct wr_error error;
    wr_loop_show show;
    void *show_data;
    struct wr_watch *watch;
    bool full; /* the operator thread waits for a sink */
    bool said_full; /* and that was said */
    int64_t said_full_us; /* when last; 0: never */
    bool sleeping; /* the operator thread waits for input, for long */
    bool arrived; /* it has read something */
};

static inline int64_t wr_loop_now_us(struct wr_loop *loop)
{
    return loop->instance->env->monotonic_us(loop->instance->env);
}

/* The first error of any thread ends the run. */
void wr_loop_fail(struct wr_loop *loop, const struct wr_error *error);

/* Thread: forward. */
void wr_loop_forward_thread(void *arg);
/* More waits for a sink than may, which is said, once a minute at most. Thread: operator. */
bool wr_loop_is_full(struct wr_loop *loop);
/* Ends the process (75) when a call into an outside has outlived its time by far: it never comes
 * back. What it was told to do is in doubt, and the next start settles that. Thread: main. */
void wr_loop_check_overdue(struct wr_loop *loop);

#endif

/* loop_forward.c: the forward thread: copies outboxes outside, and has the decide thread move the
 * markers. See loop.c.
 *
 * What is decided is sent at once; it is settled (a file synced, a transaction of Kafka ended) at
 * most each --forward-ms, or when as much was sent as may be between two such moments, and never
 * while the markers of the one before wait to be decided.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/loop_inner.h"

#include <stdio.h>
#include <unistd.h>

enum {
    TICK_US = 1000000, /* between two looks at an outside to which nothing is sent */
    AGAIN_US = 50000, /* at least, between two tries of one that does not answer */
    FULL_AGAIN_US = 60000000, /* between two lines about a sink that is waited for */
};

/* What a turn of the thread is for. */
struct turn {
    bool last; /* nothing will be decided after this */
    bool settle; /* else only sending */
    bool full; /* as much was sent as may be */
    bool vain; /* it was time to settle, and the outside did not answer */
};

/* Until it is time to settle. */
static int64_t left_us(struct wr_loop *loop, const struct turn *turn)
{
    int64_t interval_us = loop->instance->options->forward_ms * 1000;
    if (turn->vain && interval_us < AGAIN_US) {
        interval_us = AGAIN_US;
    } else if (!turn->vain && (turn->full || loop->filled)) {
        interval_us = 0;
    }
    return loop->forwarded_us + interval_us - wr_loop_now_us(loop);
}

/* Whether there is something to do, else how long it can wait (INT64_MAX: until it is woken). With
 * the mutex held. */
static bool is_due(struct wr_loop *loop, struct turn *turn, int64_t *wait_us_out)
{
    struct wr_forwarder *forwarder = loop->instance->forwarder;
    bool behind = wr_forwarder_is_behind(forwarder);
    int64_t left = left_us(loop, turn);
    turn->last = loop->filled;
    turn->settle = !loop->markers && left <= 0;
    if (loop->quit || (loop->news && !turn->full && !turn->vain) ||
        (turn->settle && (behind || loop->news)) || (turn->last && !behind)) {
        return true;
    }
    *wait_us_out = behind && !loop->markers ? left : INT64_MAX;
    if (!behind && wr_forwarder_ticks(forwarder)) {
        *wait_us_out = left + TICK_US;
        return *wait_us_out <= 0;
    }
    return false;
}

/* Waits for something to do. False: the run ends now. */
static bool forward_wait(struct wr_loop *loop, struct turn *turn)
{
    int64_t wait_us;
    uv_mutex_lock(&loop->mutex);
    while (!is_due(loop, turn, &wait_us)) {
        if (wait_us == INT64_MAX) {
            uv_cond_wait(&loop->for_forward, &loop->mutex);
        } else {
            uv_cond_timedwait(&loop->for_forward, &loop->mutex, (uint64_t)wait_us * 1000);
        }
    }
    loop->news = false;
    bool goes = !loop->quit;
    uv_mutex_unlock(&loop->mutex);
    return goes;
}

/* Has the decide thread move the markers. */
static void hand_markers(struct wr_loop *loop)
{
    uv_mutex_lock(&loop->mutex);
    loop->markers = true;
    uv_mutex_unlock(&loop->mutex);
    uv_cond_signal(&loop->for_decide);
}

static void tell_forwarded(const struct wr_instance *instance)
{
    const struct wr_observer *observer = instance->options->observer;
    if (observer && observer->forwarded) {
        observer->forwarded(observer->data, instance);
    }
}

static weir_status forward_all(struct wr_loop *loop, struct wr_error *error)
{
    struct wr_instance *instance = loop->instance;
    struct wr_forwarder *forwarder = instance->forwarder;
    struct turn turn = {.full = false};
    bool moved = false;
    while (forward_wait(loop, &turn)) {
        if (turn.settle) {
            loop->forwarded_us = wr_loop_now_us(loop);
            WR_TRY(wr_forwarder_step(forwarder, &moved, error));
            turn.full = false;
            turn.vain = !moved && wr_forwarder_is_behind(forwarder);
            if (moved) {
                tell_forwarded(instance);
                hand_markers(loop);
            }
        } else {
            WR_TRY(wr_forwarder_send(forwarder, &turn.full, error));
        }
        atomic_store_explicit(&instance->metrics.backlog_records, wr_forwarder_backlog(forwarder),
                              memory_order_relaxed);
        if (turn.last && !wr_forwarder_is_behind(forwarder)) {
            break;
        }
    }
    return WEIR_OK;
}

bool wr_loop_is_full(struct wr_loop *loop)
{
    struct wr_instance *instance = loop->instance;
    const struct wr_sink *sink = wr_forwarder_full(instance->forwarder);
    int64_t now_us = wr_loop_now_us(loop);
    if (sink && !loop->full &&
        (loop->said_full_us == 0 || now_us - loop->said_full_us >= FULL_AGAIN_US)) {
        loop->said_full = true;
        loop->said_full_us = now_us;
        wr_log(instance->env, WR_LOG_WARN,
               "waits for sink %s (%.600s): as much of its output waits in the store as may "
               "(backlog_bytes); input is read on when some of it has gone",
               sink->name, sink->uri);
    } else if (!sink && loop->said_full) {
        loop->said_full = false;
        wr_log(instance->env, WR_LOG_WARN, "some of it has gone: input is read on");
    }
    loop->full = sink != NULL;
    return loop->full;
}

void wr_loop_check_overdue(struct wr_loop *loop)
{
    int64_t overdue_us = wr_forwarder_overdue_us(loop->instance->forwarder);
    if (overdue_us == 0 || wr_loop_now_us(loop) <= overdue_us) {
        return;
    }
    wr_log(loop->instance->env, WR_LOG_ERROR,
           "a call of Kafka's client has hung for twice the time that it may take; start again, "
           "nothing is lost");
    fflush(NULL);
    _exit(WR_EXIT_AGAIN);
}

void wr_loop_forward_thread(void *arg)
{
    struct wr_loop *loop = arg;
    struct wr_error error = {.status = WEIR_OK};
    if (forward_all(loop, &error) != WEIR_OK) {
        wr_loop_fail(loop, &error);
    }
    uv_mutex_lock(&loop->mutex);
    loop->forwarded = true;
    uv_mutex_unlock(&loop->mutex);
    uv_async_send(&loop->changed);
}

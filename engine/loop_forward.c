/* loop_forward.c: the forward thread: copies outboxes outside, and has the decide thread move the
 * markers. See loop.c.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/loop_inner.h"

/* Forwarding begins at most each --forward-ms. */
static int64_t forward_left_us(struct wr_loop *loop)
{
    return loop->forwarded_us + loop->instance->options->forward_ms * 1000 - wr_loop_now_us(loop);
}

/* Waits for something decided. *last_out: nothing will be decided after this. False: the run ends
 * now. */
static bool forward_wait(struct wr_loop *loop, bool *last_out)
{
    uv_mutex_lock(&loop->mutex);
    while (!loop->news && !loop->filled && !loop->quit) {
        uv_cond_wait(&loop->for_forward, &loop->mutex);
    }
    int64_t left_us;
    while (!loop->filled && !loop->quit && (left_us = forward_left_us(loop)) > 0) {
        uv_cond_timedwait(&loop->for_forward, &loop->mutex, (uint64_t)left_us * 1000);
    }
    loop->forwarded_us = wr_loop_now_us(loop);
    loop->news = false;
    *last_out = loop->filled;
    bool goes = !loop->quit;
    uv_mutex_unlock(&loop->mutex);
    return goes;
}

/* Has the moved markers decided. False: the run ends now. */
static bool forward_markers(struct wr_loop *loop)
{
    uv_mutex_lock(&loop->mutex);
    loop->markers = true;
    uv_cond_signal(&loop->for_decide);
    while (loop->markers && !loop->quit) {
        uv_cond_wait(&loop->for_forward, &loop->mutex);
    }
    bool goes = !loop->quit;
    uv_mutex_unlock(&loop->mutex);
    return goes;
}

static weir_status forward_all(struct wr_loop *loop, struct wr_error *error)
{
    struct wr_instance *instance = loop->instance;
    bool last = false, moved = false;
    while (forward_wait(loop, &last)) {
        do {
            WR_TRY(wr_forwarder_step(instance->forwarder, &moved, error));
            if (moved && !forward_markers(loop)) {
                return WEIR_OK;
            }
            atomic_store_explicit(&instance->metrics.backlog_records,
                                  wr_forwarder_backlog(instance->forwarder), memory_order_relaxed);
        } while (moved);
        if (last) {
            break;
        }
    }
    return WEIR_OK;
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

/* loop.c: the main, operator and decide threads. See loop.h for all of them; loop_forward.c has the
 * fourth.
 *
 * Hand-overs, all under the mutex but for the instance's own numbers of epochs sealed and decided:
 *
 *   operator ──sealed──▶ decide ──decided──▶ operator (drops)         epochs
 *   decide ──────────────decided──▶ forward ──markers──▶ decide       what leaves the store
 *
 * With full epochs, one after the other, no thread wakes up between two transactions:
 *
 *   operator   … fill 3, seal 3 ┐  drop 1, fill 4, seal 4 ┐(waits)      drop 2, fill 5, seal 5 …
 *   decide     … decide 2 ────────┴▶ decide 3 ──────────────┴▶ decide 4 ──────────┴▶
 *
 * Ending: the operator thread decides what it has filled and sets `filled`; the forward thread
 * sends the rest and sets `forwarded`; the main thread then sets `quit`, on which the decide thread
 * brings table `state` up to date and sets `settled`; then it joins. An error sets `quit` at once.
 * A thread that has not ended END_WAIT_MS after a signal or an error is left behind: nothing needs
 * a clean stop.
 *
 * Long because the four threads and their hand-overs are one protocol, read as one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/loop_inner.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "txn/base/assert.h"

enum {
    SHOW_MS = 200,
    END_WAIT_MS = 10000, /* after a signal or an error */
    FULL_WAIT_MS = 100, /* between two looks at what waits for a sink */
};

void wr_loop_fail(struct wr_loop *loop, const struct wr_error *error)
{
    uv_mutex_lock(&loop->mutex);
    if (loop->error.status == WEIR_OK) {
        loop->error = *error;
        loop->stop_us = wr_loop_now_us(loop);
    }
    loop->quit = true;
    uv_cond_broadcast(&loop->for_operate);
    uv_cond_broadcast(&loop->for_decide);
    uv_cond_broadcast(&loop->for_forward);
    uv_mutex_unlock(&loop->mutex);
    uv_async_send(&loop->changed);
}

/* ---- Operator thread ------------------------------------------------------------------------- */

static void waiting_for(struct wr_loop *loop, enum wr_waiting what)
{
    atomic_store_explicit(&loop->instance->metrics.waiting_for, what, memory_order_relaxed);
}

static void spent(_Atomic int64_t *counter, struct wr_loop *loop, int64_t from_us)
{
    atomic_fetch_add_explicit(counter, wr_loop_now_us(loop) - from_us, memory_order_relaxed);
}

/* Waits until something changes, at most this long. False: the run ends now. */
static bool operator_wait(struct wr_loop *loop, int64_t milliseconds)
{
    wr_reader_end(loop->instance->reader); /* an idle snapshot would hold the WAL */
    uv_mutex_lock(&loop->mutex);
    if (!loop->quit && milliseconds > 0 && !atomic_load(&loop->stop)) {
        uv_cond_timedwait(&loop->for_operate, &loop->mutex, (uint64_t)milliseconds * 1000000);
    }
    bool goes_on = !loop->quit;
    uv_mutex_unlock(&loop->mutex);
    return goes_on;
}

/* Waits until no more than so many epochs are sealed and not decided. False: the run ends now. */
static bool wait_decided(struct wr_loop *loop, int undecided)
{
    struct wr_instance *instance = loop->instance;
    if (wr_instance_undecided(instance) <= undecided) {
        return true;
    }
    waiting_for(loop, WR_WAITING_DECIDE);
    wr_reader_end(instance->reader);
    uv_mutex_lock(&loop->mutex);
    while (wr_instance_undecided(instance) > undecided && !loop->quit) {
        uv_cond_wait(&loop->for_operate, &loop->mutex);
    }
    uv_mutex_unlock(&loop->mutex);
    waiting_for(loop, WR_WAITING_OPERATORS);
    return wr_instance_undecided(instance) <= undecided;
}

/* Waits until every sealed epoch is decided, and drops the last. */
static weir_status settle(struct wr_loop *loop, struct wr_error *error)
{
    return wait_decided(loop, 0) ? wr_instance_drop(loop->instance, error) : WEIR_OK;
}

/* Hands the filling epoch over, and makes another one fill: that waits for the memory of the epoch
 * before it. Where the run ends meanwhile, none fills. */
static weir_status seal(struct wr_loop *loop, struct wr_error *error)
{
    struct wr_instance *instance = loop->instance;
    if (!wr_instance_fills(instance)) {
        return WEIR_OK;
    }
    WR_TRY(wr_instance_seal(instance, error));
    uv_mutex_lock(&loop->mutex); /* who waits looks at the number with the mutex held */
    uv_mutex_unlock(&loop->mutex);
    uv_cond_signal(&loop->for_decide); /* and would wait for the mutex otherwise */
    return wait_decided(loop, 1) ? wr_instance_begin(instance, error) : WEIR_OK;
}

/* Units until the queue is empty, the epoch is full, or it is time to seal. */
static weir_status fill(struct wr_loop *loop, bool *idle_out, struct wr_error *error)
{
    struct wr_instance *instance = loop->instance;
    bool did = true;
    while (did && !wr_instance_full(instance)) {
        WR_TRY(wr_instance_unit(instance, &did, error));
        if (instance->retry_now) {
            instance->retry_now = false;
            operator_wait(loop, instance->retry_wait_ms);
            return WEIR_OK;
        }
        if (!did) {
            break;
        }
        if (wr_pace_look(instance) &&
            (atomic_load_explicit(&loop->stop, memory_order_relaxed) || wr_pace_is_due(instance))) {
            return WEIR_OK;
        }
    }
    *idle_out = !did;
    return WEIR_OK;
}

/* Waits for input, for as long as there is nothing to do. A change of the inputs ends a long wait;
 * a short one ends soon enough, however many changes there are. */
static void input_wait(struct wr_loop *loop)
{
    int64_t wait = wr_watch_idle_ms(loop->watch);
    wr_reader_end(loop->instance->reader);
    int64_t due_us = wr_inputs_due_us(loop->instance) - wr_loop_now_us(loop);
    int64_t wait_us = due_us < wait * 1000 ? due_us : wait * 1000;
    if (wait_us <= 0) {
        return;
    }
    uv_mutex_lock(&loop->mutex);
    loop->sleeping = wait > 1 && !wr_watch_has_news(loop->watch);
    if (!loop->quit && !atomic_load(&loop->stop) && (loop->sleeping || wait == 1)) {
        uv_cond_timedwait(&loop->for_operate, &loop->mutex, (uint64_t)wait_us * 1000);
    }
    loop->sleeping = false;
    uv_mutex_unlock(&loop->mutex);
}

/* What was read before a source failed is decided: the next start need not read it again, and gets
 * as far even if it fails at the same place. */
static weir_status keep_read(struct wr_loop *loop, weir_status status)
{
    struct wr_error ignored = {.status = WEIR_OK};
    weir_status decided = WEIR_OK;
    if (wr_instance_has_work(loop->instance)) {
        decided = seal(loop, &ignored);
    }
    if (decided == WEIR_OK) { /* also one that was sealed before */
        (void)settle(loop, &ignored);
    }
    return status;
}

/* The end of time gets an epoch of its own: were the last records undone with it, they would come
 * after it. */
static weir_status drain(struct wr_loop *loop, struct wr_error *error)
{
    if (wr_instance_has_work(loop->instance)) {
        WR_TRY(seal(loop, error));
    }
    wr_instance_drain(loop->instance);
    return WEIR_OK;
}

static void tell_arrived(struct wr_loop *loop)
{
    const struct wr_observer *observer = loop->instance->options->observer;
    if (!loop->arrived && wr_instance_queued(loop->instance)) {
        loop->arrived = true;
        if (observer && observer->arrived) {
            observer->arrived(observer->data, loop->instance);
        }
    }
}

/* One round: poll, fill, seal when it is time. *end_out: every input is read, every timer has fired
 * that will. */
static weir_status operate_round(struct wr_loop *loop, bool *end_out, struct wr_error *error)
{
    struct wr_instance *instance = loop->instance;
    enum wr_source_more more = WR_SOURCE_MORE;
    bool idle = false;
    WR_TRY(wr_instance_drop(instance, error));
    wr_instance_tick(instance);
    if (wr_loop_is_full(loop)) { /* what was read is decided, and nothing more is */
        WR_TRY(wr_instance_has_work(instance) ? seal(loop, error) : WEIR_OK);
        waiting_for(loop, WR_WAITING_BROKER);
        operator_wait(loop, FULL_WAIT_MS);
        return WEIR_OK;
    }
    WR_TRY(wr_inputs_discover(instance, error));
    wr_instance_measure(instance, false);
    if (!wr_instance_queued(instance)) {
        int64_t from_us = wr_loop_now_us(loop);
        weir_status status = wr_instance_poll(instance, &more, error);
        spent(&instance->metrics.read_us, loop, from_us);
        if (status != WEIR_OK) {
            return keep_read(loop, status);
        }
        tell_arrived(loop);
    }
    waiting_for(loop, WR_WAITING_OPERATORS);
    int64_t from_us = wr_loop_now_us(loop);
    WR_TRY(fill(loop, &idle, error));
    spent(&instance->metrics.operate_us, loop, from_us);
    wr_reader_end(instance->reader); /* a snapshot in the WAL keeps it from starting over */
    bool ended = more == WR_SOURCE_ENDED && idle && wr_pace_all_read(instance);
    if (ended && instance->options->drain && !instance->draining) {
        return drain(loop, error);
    }
    *end_out = ended;
    if (wr_pace_should_seal(instance, idle)) {
        wr_watch_busy(loop->watch);
        return seal(loop, error);
    }
    if (!ended && idle && more == WR_SOURCE_WAIT) {
        waiting_for(loop, wr_inputs_away(instance) ? WR_WAITING_BROKER : WR_WAITING_INPUT);
        input_wait(loop);
    } else {
        wr_watch_busy(loop->watch);
    }
    return WEIR_OK;
}

static bool goes_on(struct wr_loop *loop)
{
    if (atomic_load_explicit(&loop->stop, memory_order_relaxed)) {
        return false;
    }
    uv_mutex_lock(&loop->mutex);
    bool quit = loop->quit;
    uv_mutex_unlock(&loop->mutex);
    return !quit;
}

static weir_status operate_all(struct wr_loop *loop, struct wr_error *error)
{
    struct wr_instance *instance = loop->instance;
    bool end = false;
    while (!end && goes_on(loop)) {
        WR_TRY(operate_round(loop, &end, error));
    }
    if (wr_instance_has_work(instance) || instance->draining || instance->leapt_us > 0) {
        WR_TRY(seal(loop, error));
    }
    weir_status status = settle(loop, error);
    wr_instance_measure(instance, true);
    return status;
}

static void operate_thread(void *arg)
{
    struct wr_loop *loop = arg;
    struct wr_error error = {.status = WEIR_OK};
    if (operate_all(loop, &error) != WEIR_OK) {
        wr_loop_fail(loop, &error);
    }
    uv_mutex_lock(&loop->mutex);
    loop->filled = true;
    loop->news = true;
    uv_cond_signal(&loop->for_forward);
    uv_mutex_unlock(&loop->mutex);
    uv_async_send(&loop->changed);
}

/* ---- Decide thread --------------------------------------------------------------------------- */

/* Waits for work; neither of the two: for what is done in quiet times. False: there is none and
 * never will be. */
static bool decide_wait(struct wr_loop *loop, bool *sealed_out, bool *markers_out)
{
    uv_mutex_lock(&loop->mutex);
    int64_t due_ms = wr_deliverer_due_ms(loop->instance->deliverer);
    int64_t retain_ms = wr_store_retain_due_ms(loop->instance->store);
    due_ms = retain_ms < due_ms ? retain_ms : due_ms;
    while (wr_instance_undecided(loop->instance) == 0 && !loop->markers && !loop->quit &&
           due_ms > 0) {
        if (due_ms == INT64_MAX) {
            uv_cond_wait(&loop->for_decide, &loop->mutex);
        } else if (uv_cond_timedwait(&loop->for_decide, &loop->mutex, (uint64_t)due_ms * 1000000) !=
                   0) {
            break;
        }
    }
    *sealed_out = wr_instance_undecided(loop->instance) > 0;
    *markers_out = loop->markers;
    bool ends = loop->quit && (loop->error.status != WEIR_OK || (!*sealed_out && !*markers_out));
    uv_mutex_unlock(&loop->mutex);
    return !ends;
}

/* Since when it is at work, for wr_stuck. */
static void deciding(struct wr_loop *loop, int64_t since_us)
{
    atomic_store_explicit(&loop->instance->metrics.deciding_us, since_us, memory_order_relaxed);
}

static weir_status decide_once(struct wr_loop *loop, bool sealed, bool markers,
                               struct wr_error *error)
{
    struct wr_instance *instance = loop->instance;
    if (!sealed && !markers) {
        deciding(loop, wr_loop_now_us(loop));
        WR_TRY(wr_deliverer_rest(instance->deliverer, false, error));
        if (wr_store_retain_due_ms(instance->store) == 0) {
            WR_TRY(wr_store_retain(instance->store, error));
        }
        deciding(loop, 0);
        return WEIR_OK;
    }
    const struct wr_marker *marker = NULL;
    size_t count = markers ? wr_forwarder_markers(instance->forwarder, &marker) : 0;
    deciding(loop, wr_loop_now_us(loop));
    WR_TRY(wr_instance_decide(instance, sealed, marker, count, error));
    if (markers) {
        WR_FAULT(&instance->env->fault, forward_after_marker, error);
    }
    uv_mutex_lock(&loop->mutex);
    loop->news = loop->news || sealed;
    if (markers) {
        wr_forwarder_decided(instance->forwarder);
        loop->markers = false;
    }
    uv_mutex_unlock(&loop->mutex);
    if (sealed) {
        uv_cond_signal(&loop->for_operate);
    }
    uv_cond_signal(&loop->for_forward);
    deciding(loop, wr_loop_now_us(loop));
    WR_TRY(wr_store_checkpoint(instance->store, error));
    deciding(loop, 0);
    return WEIR_OK;
}

/* What is left when all is decided: here, so that a signal ends the run also meanwhile. */
static weir_status decide_rest(struct wr_loop *loop, struct wr_error *error)
{
    struct wr_instance *instance = loop->instance; /* the operator thread is through with it */
    const struct wr_observer *observer = instance->options->observer;
    bool dropped = instance->dropped == atomic_load(&instance->decided);
    deciding(loop, wr_loop_now_us(loop));
    WR_TRY(wr_deliverer_rest(instance->deliverer, true, error));
    if (observer && observer->forwarded && wr_delivery_is_direct(instance->options->delivery)) {
        observer->forwarded(observer->data, instance);
    }
    WR_FAULT(&instance->env->fault, stop_before_end, error);
    WR_TRY(wr_store_fold(instance->store, dropped ? &instance->state.cache : NULL, error));
    deciding(loop, 0);
    return WEIR_OK;
}

static void decide_thread(void *arg)
{
    struct wr_loop *loop = arg;
    struct wr_error error = {.status = WEIR_OK};
    bool sealed, markers;
    while (error.status == WEIR_OK && decide_wait(loop, &sealed, &markers)) {
        int64_t from_us = wr_loop_now_us(loop);
        if (decide_once(loop, sealed, markers, &error) != WEIR_OK) {
            wr_loop_fail(loop, &error);
        }
        spent(&loop->instance->metrics.decided_us, loop, from_us);
    }
    uv_mutex_lock(&loop->mutex);
    bool good = loop->error.status == WEIR_OK;
    uv_mutex_unlock(&loop->mutex);
    int64_t rest_us = wr_loop_now_us(loop);
    if (good && decide_rest(loop, &error) != WEIR_OK) {
        wr_loop_fail(loop, &error);
    }
    spent(&loop->instance->metrics.decided_us, loop, rest_us);
    uv_mutex_lock(&loop->mutex);
    loop->settled = true;
    uv_mutex_unlock(&loop->mutex);
    uv_async_send(&loop->changed);
}

/* ---- Main thread ----------------------------------------------------------------------------- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct wr_loop *loop = handle->data;
    (void)number;
    if (atomic_load(&loop->stop)) { /* the second one: nothing needs a clean stop */
        _exit(128 + number);
    }
    uv_mutex_lock(&loop->mutex);
    atomic_store(&loop->stop, true);
    loop->stop_us = wr_loop_now_us(loop);
    uv_cond_broadcast(&loop->for_operate);
    uv_mutex_unlock(&loop->mutex);
}

static void on_timer(uv_timer_t *handle)
{
    struct wr_loop *loop = handle->data;
    wr_loop_check_overdue(loop);
    loop->show(loop->show_data, false);
    uv_mutex_lock(&loop->mutex);
    bool failed = loop->error.status != WEIR_OK;
    bool filled = loop->filled, forwarded = loop->forwarded;
    bool ended = filled && forwarded && loop->settled;
    bool late = (failed || atomic_load(&loop->stop)) && !ended &&
                wr_loop_now_us(loop) - loop->stop_us > (int64_t)END_WAIT_MS * 1000;
    uv_mutex_unlock(&loop->mutex);
    if (late && failed) { /* a thread is in a write, or a call, that may never return */
        wr_log(loop->instance->env, WR_LOG_ERROR, "%s", loop->error.text);
        fflush(NULL);
        _exit((int)loop->error.exit_code);
    }
    if (late) {
        wr_log(loop->instance->env, WR_LOG_WARN, "%s",
               !filled ? "stopped while an operator, the store or a sink did not answer; the next "
                         "run reads again what was not decided"
               : forwarded ? "stopped while the store did not answer; all that is decided lasts"
                           : "not all that is decided was forwarded; the next run sends the rest");
        fflush(NULL);
        _exit(0);
    }
}

static void on_changed(uv_async_t *handle)
{
    struct wr_loop *loop = handle->data;
    uv_mutex_lock(&loop->mutex);
    if (loop->filled && loop->forwarded) {
        loop->quit = true;
        uv_cond_broadcast(&loop->for_decide);
    }
    /* Joined only then: until they have ended, signals must be heard. */
    bool ends = loop->filled && loop->forwarded && loop->settled;
    uv_mutex_unlock(&loop->mutex);
    if (ends) {
        uv_stop(&loop->uv);
    }
}

/* A file that a source watches has changed. */
static void on_files(void *data)
{
    struct wr_loop *loop = data;
    uv_mutex_lock(&loop->mutex);
    if (loop->sleeping) {
        uv_cond_signal(&loop->for_operate);
    }
    uv_mutex_unlock(&loop->mutex);
}

static void mask_signals(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    (void)pthread_sigmask(how, &set, NULL);
}

void wr_loop_expect(void)
{
    mask_signals(SIG_BLOCK);
}

static int start_handles(struct wr_loop *loop)
{
    int code = uv_loop_init(&loop->uv);
    if (code == 0) {
        code = uv_async_init(&loop->uv, &loop->changed, on_changed);
    }
    if (code == 0) {
        code = uv_signal_init(&loop->uv, &loop->interrupt);
    }
    if (code == 0) {
        code = uv_signal_init(&loop->uv, &loop->terminate);
    }
    if (code == 0) {
        code = uv_timer_init(&loop->uv, &loop->timer);
    }
    if (code != 0) {
        return code;
    }
    loop->changed.data = loop;
    loop->interrupt.data = loop;
    loop->terminate.data = loop;
    loop->timer.data = loop;
    code = uv_signal_start(&loop->interrupt, on_signal, SIGINT);
    if (code == 0) {
        code = uv_signal_start(&loop->terminate, on_signal, SIGTERM);
    }
    mask_signals(SIG_UNBLOCK);
    if (code == 0) {
        code = wr_watch_start(&loop->uv, loop->instance, on_files, loop, &loop->watch);
    }
    return code ? code : uv_timer_start(&loop->timer, on_timer, SHOW_MS, SHOW_MS);
}

/* Whether there is something for a forward thread. */
static bool forwards(const struct wr_loop *loop)
{
    return wr_forwarder_sinks(loop->instance->forwarder) > 0 &&
           !wr_delivery_is_direct(loop->instance->options->delivery);
}

static int start_threads(struct wr_loop *loop)
{
    uv_mutex_init(&loop->mutex);
    uv_cond_init(&loop->for_operate);
    uv_cond_init(&loop->for_decide);
    uv_cond_init(&loop->for_forward);
    loop->forwarded = !forwards(loop);
    loop->news = true; /* what an earlier run decided and did not send */
    int code = uv_thread_create(&loop->decide, decide_thread, loop);
    if (code == 0 && !loop->forwarded) {
        code = uv_thread_create(&loop->forward, wr_loop_forward_thread, loop);
    }
    uv_thread_options_t deep = {UV_THREAD_HAS_STACK_SIZE, WR_STACK_BYTES};
    return code ? code : uv_thread_create_ex(&loop->operate, &deep, operate_thread, loop);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

weir_status wr_loop_run(struct wr_instance *instance, wr_loop_show show, void *show_data,
                        struct wr_loop_result *result_out, struct wr_error *error)
{
    struct wr_loop *loop = calloc(1, sizeof *loop);
    if (!loop) {
        return wr_fail_memory(error);
    }
    loop->instance = instance;
    loop->show = show;
    loop->show_data = show_data;
    int code = start_handles(loop);
    if (code == 0) {
        code = start_threads(loop);
    }
    if (code != 0) { /* threads that did start use the instance: nothing may be closed under them */
        wr_log(instance->env, WR_LOG_ERROR, "cannot start threads: %s; start again",
               uv_strerror(code));
        fflush(NULL);
        _exit(WR_EXIT_AGAIN);
    }
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_thread_join(&loop->operate);
    if (forwards(loop)) {
        uv_thread_join(&loop->forward);
    }
    uv_thread_join(&loop->decide);
    show(show_data, true);
    uv_walk(&loop->uv, close_handle, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    wr_watch_free(loop->watch);
    uv_mutex_destroy(&loop->mutex);
    uv_cond_destroy(&loop->for_operate);
    uv_cond_destroy(&loop->for_decide);
    uv_cond_destroy(&loop->for_forward);
    result_out->stopped = atomic_load(&loop->stop);
    if (loop->error.status != WEIR_OK) {
        *error = loop->error;
    }
    free(loop);
    return error->status;
}

const char *wr_loop_version(void)
{
    return uv_version_string();
}

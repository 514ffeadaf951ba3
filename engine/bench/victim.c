/* victim.c: a run in a child process, killed with SIGKILL. What the child got to is on a page that
 * it shares with its parent, which outlives it. See kills.h.
 *
 * The moment is a share of what this run has still to read, so that kills fall into the work and
 * not behind it, whatever the machine does meanwhile. The child tells where it starts (its position
 * is known once the store is open) and what it has decided; when the share is reached, the parent
 * waits for a part of the time that an epoch takes, since a kill that always came right after a
 * decision would never find one under way. A share within the first epoch is a share of the time
 * that a first epoch takes. At a fault point the child kills itself; how often the point must be
 * passed before is set when it starts, from what an epoch held in the runs before.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/bench/kills.h"
#include "engine/instance.h"
#include "txn/base/assert.h"

enum {
    LOOK_US = 100,
    PERIOD_US = 2000, /* of epochs, as long as none was seen */
    PASSINGS_MAX = 1000000,
};

/* Written by the child. */
struct page {
    _Atomic int64_t position; /* where it started to read; -1: it did not start yet */
    _Atomic int64_t records, epochs; /* decided */
    _Atomic int64_t first_us, last_us; /* when; monotonic clock */
    char text[WR_ERROR_TEXT_MAX]; /* of the error that ended it */
};

struct child {
    struct wr_bench_victim *victim;
    const struct wr_bench_moment *moment;
    struct page *page;
    struct wr_env env;
    int64_t seen, seen_us; /* records that were decided, and when that was another number */
    bool stalled; /* it was given up */
};

/* A part of `whole`. */
static int64_t part_of(int64_t whole, uint32_t share)
{
    return whole > 0 ? (int64_t)(((unsigned __int128)whole * share) >> 32) : 0;
}

/* ---- In the child ---------------------------------------------------------------------------- */

/* How often a point is passed while so many records are read, as far as is known. */
static int64_t passings(const struct wr_bench_victim *victim, int64_t period_ms, int64_t records)
{
    const struct wr_bench_pace *pace = &victim->pace;
    if (pace->records == 0) {
        return 0;
    }
    double part = (double)records / (double)pace->records;
    double count = period_ms > 0 ? part * (double)pace->us / (1000.0 * (double)period_ms)
                                 : part * (double)pace->epochs;
    return count < PASSINGS_MAX ? (int64_t)count : PASSINGS_MAX;
}

static void on_started(void *data, const struct wr_instance *instance)
{
    struct child *child = data;
    const struct wr_bench_moment *moment = child->moment;
    int64_t position = 0;
    for (size_t i = 0; i < instance->part_count; i++) {
        position += instance->parts[i].next;
    }
    if (moment->point != WR_FAULT_none) {
        int64_t left = part_of(child->victim->records - position, moment->share);
        child->env.fault = (struct wr_fault){
            .point = moment->point,
            .countdown = 1 + (int)passings(child->victim, moment->period_ms, left),
        };
    }
    atomic_store(&child->page->position, position);
}

static void on_decided(void *data, const struct wr_instance *instance, int64_t records)
{
    struct page *page = ((struct child *)data)->page;
    int64_t now_us = instance->env->monotonic_us(instance->env);
    atomic_store(&page->last_us, now_us);
    if (atomic_load(&page->first_us) == 0) {
        atomic_store(&page->first_us, now_us);
    }
    atomic_fetch_add(&page->epochs, 1);
    atomic_fetch_add(&page->records, records);
}

static void on_ended(void *data, const struct wr_instance *instance)
{
    (void)data, (void)instance;
}

/* What ended the run goes to the parent, which knows what it was about. What else the run says is
 * about a store that is soon gone. */
static void child_log(struct wr_env *env, enum wr_level level, const char *text)
{
    struct child *child = env->data;
    if (level == WR_LOG_ERROR) {
        snprintf(child->page->text, sizeof child->page->text, "%s", text);
    }
}

_Noreturn static void be_child(struct child *child)
{
    struct wr_bench_victim *victim = child->victim;
    const struct wr_observer observer = {
        .started = on_started, .decided = on_decided, .ended = on_ended, .data = child};
    struct wr_run_options options = *victim->options;
    wr_bench_child_begin();
    child->env = *victim->bench->env;
    child->env.log = child_log;
    child->env.data = child;
    child->env.fault = (struct wr_fault){.point = WR_FAULT_none};
    options.observer = &observer;
    int code = wr_run(&child->env, "bench", victim->job->define, &options);
    _exit(code); /* what the parent had in its buffers is the parent's */
}

/* ---- In the parent --------------------------------------------------------------------------- */

static int64_t now_us(const struct child *child)
{
    struct wr_env *env = child->victim->bench->env;
    return env->monotonic_us(env);
}

/* From one epoch to the next. */
static int64_t period_us(const struct child *child)
{
    const struct wr_bench_pace *pace = &child->victim->pace;
    int64_t epochs = atomic_load(&child->page->epochs);
    if (epochs > 1) {
        return (atomic_load(&child->page->last_us) - atomic_load(&child->page->first_us)) /
               (epochs - 1);
    }
    return pace->epochs > 1 ? pace->us / pace->epochs : PERIOD_US;
}

/* When it is to be killed, once that is known; INT64_MAX: not yet, or not from here. Also when all
 * is decided: what is left then is to end. */
static int64_t due_us(const struct child *child, int64_t forked_us, int64_t *reached_us)
{
    const struct wr_bench_moment *moment = child->moment;
    const struct wr_bench_pace *pace = &child->victim->pace;
    const struct page *page = child->page;
    int64_t position = atomic_load(&page->position), decided = atomic_load(&page->records);
    int64_t left = child->victim->records - position;
    if (moment->never || moment->point != WR_FAULT_none || decided >= left) {
        return INT64_MAX;
    }
    int64_t target = part_of(left, moment->share);
    int64_t epoch = pace->epochs > 0 ? pace->records / pace->epochs : 0;
    if (epoch > 0 && target < epoch) {
        return forked_us + pace->first_us * target / epoch;
    }
    if (position < 0 || decided < target) {
        return INT64_MAX;
    }
    if (*reached_us == 0) {
        *reached_us = now_us(child);
    }
    return *reached_us + part_of(period_us(child), moment->phase);
}

/* True once: when what happens outside the child is due. */
static bool is_outside_due(const struct child *child, bool *done)
{
    const struct wr_bench_moment *moment = child->moment;
    int64_t position = atomic_load(&child->page->position);
    int64_t decided = atomic_load(&child->page->records);
    int64_t left = child->victim->records - position;
    if (!moment->outside || *done || position < 0 || decided >= left ||
        decided < part_of(left, moment->outside_share)) {
        return false;
    }
    *done = true;
    return true;
}

static weir_status outside_happens(const struct child *child, pid_t pid, struct wr_error *error)
{
    const struct wr_bench_victim *victim = child->victim;
    if (child->moment->between) {
        kill(pid, SIGSTOP); /* else a small job might be done before it happens */
    }
    WR_TRY(victim->outside(victim->data, error));
    if (child->moment->between) {
        kill(pid, SIGKILL);
    }
    return victim->restored(victim->data, error);
}

/* Whether it has decided nothing for so long that it never will, where that can happen. */
static bool is_stalled(struct child *child)
{
    int64_t records = atomic_load(&child->page->records);
    int64_t stall_us = child->victim->stall_us;
    if (records != child->seen || child->seen_us == 0) {
        child->seen = records;
        child->seen_us = now_us(child);
    }
    return stall_us > 0 && now_us(child) - child->seen_us > stall_us;
}

/* Until the child has ended, which it is helped to at its moment. */
static weir_status watch(struct child *child, pid_t pid, int64_t forked_us, int *status_out,
                         struct wr_error *error)
{
    const struct timespec pause = {0, LOOK_US * 1000};
    int64_t reached_us = 0;
    bool stopped = false, outside = false;
    for (;;) {
        pid_t ended = waitpid(pid, status_out, WNOHANG);
        if (ended < 0 && errno != EINTR) {
            return wr_fail_errno(error, "cannot wait for a run");
        }
        if (ended == pid) {
            break;
        }
        stopped = stopped || wr_bench_stopped();
        bool waits = child->moment->outside && !outside; /* that comes first */
        child->stalled = child->stalled || is_stalled(child);
        if (stopped || child->stalled ||
            (!waits && now_us(child) >= due_us(child, forked_us, &reached_us))) {
            kill(pid, SIGKILL);
        }
        if (!stopped && !child->stalled && is_outside_due(child, &outside)) {
            if (outside_happens(child, pid, error) != WEIR_OK) {
                kill(pid, SIGKILL);
                waitpid(pid, status_out, 0);
                return error->status;
            }
        }
        nanosleep(&pause, NULL);
    }
    return stopped ? wr_fail_native(error, WEIR_RETRY, WR_EXIT_AGAIN, EINTR, "stopped by a signal")
                   : WEIR_OK;
}

static weir_status judge(const struct child *child, int status, bool *killed_out,
                         struct wr_error *error)
{
    const char *text = child->page->text;
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    *killed_out = killed && !child->moment->never && !child->stalled;
    if (*killed_out || (killed && child->stalled) ||
        (WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        return WEIR_OK;
    }
    if (WIFSIGNALED(status) && !wr_bench_is_request(WTERMSIG(status))) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_BUG,
                       "the job, or weir, crashed by signal %d (%s) in a run that is killed and "
                       "started again; run the job by `weir run` to see where",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    if (WIFSIGNALED(status)) {
        return wr_fail(error, WEIR_RETRY, WR_EXIT_AGAIN,
                       "a run that nobody killed ended by signal %d (%s)%s; start again",
                       WTERMSIG(status), strsignal(WTERMSIG(status)),
                       killed ? ", perhaps for lack of memory" : "");
    }
    return wr_fail(error, WEIR_FATAL, (enum wr_exit)WEXITSTATUS(status),
                   "a run among those that are killed and started again: %s",
                   text[0] ? text : "it failed without a word");
}

static void learn(struct wr_bench_pace *pace, const struct page *page, int64_t forked_us)
{
    int64_t first_us = atomic_load(&page->first_us);
    if (atomic_load(&page->epochs) > 0) {
        pace->records += atomic_load(&page->records);
        pace->epochs += atomic_load(&page->epochs);
        pace->us += atomic_load(&page->last_us) - first_us;
        pace->first_us = first_us - forked_us;
    }
}

weir_status wr_bench_victim_run(struct wr_bench_victim *victim,
                                const struct wr_bench_moment *moment,
                                struct wr_bench_death *death_out, struct wr_error *error)
{
    struct child child = {.victim = victim, .moment = moment};
    int status = 0;
    *death_out = (struct wr_bench_death){.recovery_us = -1};
    child.page =
        mmap(NULL, sizeof *child.page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (child.page == MAP_FAILED) {
        return wr_fail_errno(error, "cannot share memory with a run");
    }
    atomic_store(&child.page->position, -1);
    fflush(NULL);
    int64_t forked_us = now_us(&child);
    pid_t pid = fork();
    if (pid == 0) {
        be_child(&child);
    }
    weir_status result = pid < 0 ? wr_fail_errno(error, "cannot start a process for a run")
                                 : watch(&child, pid, forked_us, &status, error);
    if (result == WEIR_OK) {
        result = judge(&child, status, &death_out->killed, error);
    }
    if (result == WEIR_OK) {
        int64_t first_us = atomic_load(&child.page->first_us);
        death_out->stalled = child.stalled;
        death_out->started_us = forked_us;
        death_out->recovery_us = first_us ? first_us - forked_us : -1;
        learn(&victim->pace, child.page, forked_us);
    }
    munmap(child.page, sizeof *child.page);
    return result;
}

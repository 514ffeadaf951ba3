/* source_kafka_control.c: the thread that asks brokers what may take long (source_kafka_look.c):
 * when it starts, when the operator thread wants to know, and every two seconds for new partitions.
 *
 * It also serves the client's callbacks, which tell of lost brokers. A broker that does not answer
 * is asked again for ever; a topic that is not there, a right that is missing, and another cluster
 * at the same address end the run.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "engine/sources/source_kafka.h"
#include "txn/base/assert.h"

enum {
    TURN_MS = 200, /* callbacks are served so often, and questions without an answer asked again */
    LOOK_US = 2000000, /* for new partitions */
    TELL_US = 5000000, /* the group */
    GONE_MAX = 3, /* a broker that has just started may not know a topic yet */
    TELL_LAST_MS = 1000,
};

/* ---- What others see of it ------------------------------------------------------------------- */

static void add_ms(struct timespec *time, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, time);
    int64_t nanoseconds = time->tv_nsec + (ms % 1000) * 1000000;
    time->tv_sec += (time_t)(ms / 1000 + nanoseconds / 1000000000);
    time->tv_nsec = (long)(nanoseconds % 1000000000);
}

uint64_t wr_kafka_ask(struct wr_kafka_source *source)
{
    struct wr_kafka_control *control = &source->control;
    pthread_mutex_lock(&control->mutex);
    uint64_t question = ++control->asked;
    pthread_cond_signal(&control->for_control);
    pthread_mutex_unlock(&control->mutex);
    return question;
}

void wr_kafka_drained(struct wr_kafka_source *source)
{
    struct wr_kafka_control *control = &source->control;
    pthread_mutex_lock(&control->mutex);
    control->drained = true;
    pthread_cond_signal(&control->for_control);
    pthread_mutex_unlock(&control->mutex);
}

void wr_kafka_wait(struct wr_kafka_source *source, uint64_t question, int64_t wait_ms)
{
    struct wr_kafka_control *control = &source->control;
    struct timespec until;
    int code = 0;
    add_ms(&until, wait_ms);
    pthread_mutex_lock(&control->mutex);
    while (control->answered < question && !control->failed && code != ETIMEDOUT) {
        code = pthread_cond_timedwait(&control->for_source, &control->mutex, &until);
    }
    pthread_mutex_unlock(&control->mutex);
}

weir_status wr_kafka_failed(struct wr_kafka_source *source, struct wr_error *error)
{
    struct wr_kafka_control *control = &source->control;
    if (!atomic_load_explicit(&control->failed, memory_order_acquire)) {
        return WEIR_OK;
    }
    return wr_fail_native(error, control->failure.status, control->failure.exit_code,
                          control->failure.native, "%s", control->failure.text);
}

bool wr_kafka_extent_of(struct wr_kafka_source *source, int32_t number, uint64_t question,
                        struct wr_kafka_extent *extent_out)
{
    struct wr_kafka_control *control = &source->control;
    pthread_mutex_lock(&control->mutex);
    bool known =
        number < control->room && control->extents[number].known && control->answered >= question;
    if (known) {
        *extent_out = control->extents[number];
        memcpy(source->cluster, control->cluster, sizeof source->cluster);
    }
    pthread_mutex_unlock(&control->mutex);
    return known;
}

/* ---- Failures -------------------------------------------------------------------------------- */

/* The run ends with this. */
static void fail(struct wr_kafka_source *source, const struct wr_error *error)
{
    struct wr_kafka_control *control = &source->control;
    pthread_mutex_lock(&control->mutex);
    if (!control->failed) {
        control->failure = *error;
        atomic_store_explicit(&control->failed, true, memory_order_release);
    }
    pthread_cond_broadcast(&control->for_source);
    pthread_mutex_unlock(&control->mutex);
    wr_kafka_ring(source);
}

static void fail_gone(struct wr_kafka_source *source, bool known)
{
    struct wr_error error = {.status = WEIR_OK};
    const char *name = source->base.name, *topic = source->topic;
    if (known || source->stored) {
        (void)wr_fail(&error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                      "source %s: topic %s of %.300s was deleted %s; what was read of it is "
                      "decided; give another input (-i %s=URI), or make the topic again and say "
                      "where to go on in it, with ?missing=earliest or --rewind %s=earliest",
                      name, topic, source->endpoint.brokers,
                      known ? "while it was read" : "since it was read", name, name);
    } else {
        (void)wr_fail(&error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                      "source %s: there is no topic %s at %.300s; create it (kafka-topics.sh "
                      "--bootstrap-server %.100s --create --topic %s), or correct its name: "
                      "-i %s=kafka://BROKERS/TOPIC",
                      name, topic, source->endpoint.brokers, source->endpoint.brokers, topic, name);
    }
    fail(source, &error);
}

/* What brokers said of the topic is an error: it lasts, or it is asked again. */
static void take_error(struct wr_kafka_source *source, const struct wr_error *error)
{
    struct wr_kafka_control *control = &source->control;
    if (error->exit_code == WR_EXIT_CONFIG && error->status == WEIR_MISUSE) {
        if (++control->gone >= GONE_MAX) {
            fail_gone(source, control->partitions > 0);
        }
    } else if (error->status == WEIR_FATAL && error->exit_code != WR_EXIT_UNAVAILABLE) {
        fail(source, error);
    } else {
        wr_log(source->base.env, WR_LOG_DEBUG, "%s; asked again", error->text);
    }
}

/* ---- The thread ------------------------------------------------------------------------------ */

/* Serves callbacks; what comes into the client's own queue is no record. */
static void serve(struct wr_kafka_source *source)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(source->client, 0);
    if (message) {
        wr_log(source->base.env, WR_LOG_DEBUG, "%s: %s: %.300s", source->what,
               rd_kafka_err2name(message->err), rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
    }
}

static void turn(struct wr_kafka_source *source, bool asked)
{
    struct wr_kafka_control *control = &source->control;
    int64_t now_us = source->base.env->monotonic_us(source->base.env);
    struct wr_error error = {.status = WEIR_OK};
    serve(source);
    if ((asked || control->gone > 0 || now_us - control->looked_us >= LOOK_US) &&
        !atomic_load(&control->failed)) {
        control->looked_us = now_us;
        if (wr_kafka_look(source, &error) != WEIR_OK) {
            take_error(source, &error);
        }
    }
    if (now_us - control->told_us >= TELL_US) {
        control->told_us = now_us;
        wr_kafka_group_tell(source, WR_KAFKA_CALL_MS);
    }
}

static void *control_thread(void *arg)
{
    struct wr_kafka_source *source = arg;
    struct wr_kafka_control *control = &source->control;
    struct timespec until;
    control->looked_us = control->told_us = source->base.env->monotonic_us(source->base.env);
    bool again = false;
    pthread_mutex_lock(&control->mutex);
    while (!control->quit) {
        bool asked = control->asked > control->answered;
        if ((!asked || again) && !control->drained) {
            add_ms(&until, TURN_MS);
            (void)pthread_cond_timedwait(&control->for_control, &control->mutex, &until);
        }
        if (control->quit) {
            break;
        }
        asked = control->asked > control->answered;
        bool drained = control->drained;
        control->drained = false;
        pthread_mutex_unlock(&control->mutex);
        if (drained) {
            wr_kafka_wake(source);
        }
        turn(source, asked);
        pthread_mutex_lock(&control->mutex);
        again = asked;
    }
    pthread_mutex_unlock(&control->mutex);
    if (!atomic_load(&source->link.down)) {
        wr_kafka_group_tell(source, TELL_LAST_MS);
    }
    return NULL;
}

weir_status wr_kafka_control_start(struct wr_kafka_source *source, struct wr_error *error)
{
    struct wr_kafka_control *control = &source->control;
    sigset_t all, before;
    control->asked = 1;
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&control->thread, NULL, control_thread, source);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        return wr_fail_native(error, WEIR_FATAL, WR_EXIT_AGAIN, code,
                              "source %s: cannot start a thread: %s; free some and start again",
                              source->base.name, strerror(code));
    }
    control->runs = true;
    return WEIR_OK;
}

void wr_kafka_control_stop(struct wr_kafka_source *source)
{
    struct wr_kafka_control *control = &source->control;
    if (!control->runs) {
        return;
    }
    pthread_mutex_lock(&control->mutex);
    control->quit = true;
    pthread_cond_signal(&control->for_control);
    pthread_mutex_unlock(&control->mutex);
    pthread_join(control->thread, NULL);
    control->runs = false;
}

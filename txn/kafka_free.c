/* kafka_free.c: a client of Kafka is freed. Librdkafka waits for its threads then, and in version
 * 2.0 those of a consumer never end once a topic that it reads was deleted: a count of its own is
 * lost ("a reference count issue was blocking the consumer from closing", mended in 2.1.0). So a
 * thread of ours waits for them, and when they take too long both are left behind.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "txn/kafka_client_inner.h"

enum { WAIT_SECONDS = 3 };

struct freeing {
    rd_kafka_t *client;
    struct wr_kafka_context *context;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t over;
    bool done;
    bool left; /* nobody waits for the thread any more: it frees all of this */
};

void wr_kafka_context_free(struct wr_kafka_context *context)
{
    pthread_mutex_destroy(&context->lock);
    free(context);
}

static void freeing_free(struct freeing *freeing)
{
    wr_kafka_context_free(freeing->context);
    pthread_cond_destroy(&freeing->over);
    pthread_mutex_destroy(&freeing->mutex);
    free(freeing);
}

static void destroy(rd_kafka_t *client)
{
    /* Nobody is in a group, so there is none to leave. */
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void *free_thread(void *arg)
{
    struct freeing *freeing = arg;
    destroy(freeing->client);
    pthread_mutex_lock(&freeing->mutex);
    freeing->done = true;
    bool left = freeing->left;
    pthread_cond_signal(&freeing->over);
    pthread_mutex_unlock(&freeing->mutex);
    if (left) {
        freeing_free(freeing);
    }
    return NULL;
}

static struct freeing *freeing_new(rd_kafka_t *client)
{
    struct freeing *freeing = calloc(1, sizeof *freeing);
    pthread_condattr_t attributes;
    sigset_t all, before;
    if (!freeing) {
        return NULL;
    }
    freeing->client = client;
    freeing->context = rd_kafka_opaque(client);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&freeing->over, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&freeing->mutex, NULL);
    sigfillset(&all); /* signals are for others */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&freeing->thread, NULL, free_thread, freeing);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        pthread_cond_destroy(&freeing->over);
        pthread_mutex_destroy(&freeing->mutex);
        free(freeing);
        return NULL;
    }
    return freeing;
}

/* Threads that are left must not see the process end: the libraries that they use clean up then. */
static void end_at_once(int code, void *arg)
{
    (void)arg;
    fflush(NULL);
    _exit(code);
}

/* The link goes with whoever made it. */
static void leave(struct wr_kafka_context *context)
{
    pthread_mutex_lock(&context->lock);
    context->link = NULL;
    pthread_mutex_unlock(&context->lock);
    on_exit(end_at_once, NULL);
}

void wr_kafka_client_free(rd_kafka_t *client)
{
    if (!client) {
        return;
    }
    struct freeing *freeing = freeing_new(client);
    if (!freeing) {
        struct wr_kafka_context *context = rd_kafka_opaque(client);
        destroy(client);
        wr_kafka_context_free(context);
        return;
    }
    struct timespec until;
    int code = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&freeing->mutex);
    while (!freeing->done && code != ETIMEDOUT) {
        code = pthread_cond_timedwait(&freeing->over, &freeing->mutex, &until);
    }
    bool left = !freeing->done;
    if (left) {
        freeing->left = true;
        leave(freeing->context);
        pthread_detach(freeing->thread);
    }
    pthread_mutex_unlock(&freeing->mutex);
    if (!left) {
        pthread_join(freeing->thread, NULL);
        freeing_free(freeing);
    }
}

/* kafka_client_inner.h: what the files of Kafka's clients share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_KAFKA_CLIENT_INNER_H
#define WR_KAFKA_CLIENT_INNER_H

#include <pthread.h>

#include "txn/kafka_client.h"

/* What a client has of ours: its opaque. Written by any of librdkafka's threads. */
struct wr_kafka_context {
    struct wr_kafka_link *_Atomic link;
    void (*delivered)(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque);
    void *opaque;
    bool sasl; /* a client that is not let in gets answers too, to its handshake */
    _Atomic int64_t answered_us, failed_us; /* last time that a broker did; 0: never */
    _Atomic int32_t broker; /* the number of one that answered; -1: none yet */
    _Atomic bool several; /* brokers, by the URI or because two numbers have answered */
    pthread_mutex_t lock; /* of what follows */
    char cause[sizeof((struct wr_kafka_link *)NULL)->cause]; /* of the last failure */
    int64_t window_us; /* when the first line of log in this window came */
    int lines; /* in this window */
    struct wr_kafka_link left; /* of a client that is left behind: see kafka_free.c */
    char *left_what, *left_brokers;
};

void wr_kafka_context_free(struct wr_kafka_context *context);

/* Librdkafka's callbacks; the opaque of each is the context. */
rd_kafka_resp_err_t wr_kafka_watch_responses(rd_kafka_t *client, const rd_kafka_conf_t *conf,
                                             void *opaque, char *text, size_t size);
void wr_kafka_take_error(rd_kafka_t *client, int code, const char *reason, void *opaque);
void wr_kafka_take_log(const rd_kafka_t *client, int level, const char *facility, const char *text);

#endif

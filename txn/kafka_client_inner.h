/* kafka_client_inner.h: what the files of Kafka's clients share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_KAFKA_CLIENT_INNER_H
#define WR_KAFKA_CLIENT_INNER_H

#include <pthread.h>

#include "txn/kafka_client.h"

/* What a client has of ours: its opaque. Any of librdkafka's threads comes with it. */
struct wr_kafka_context {
    void (*delivered)(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque);
    void *opaque;
    bool sasl; /* a client that is not let in gets answers too, to its handshake */
    pthread_mutex_t lock; /* of what follows */
    struct wr_kafka_link *link; /* NULL: the client was left behind, and link and world are gone */
    int64_t answered_us, failed_us; /* last time that a broker did; 0: never */
    int32_t broker; /* the number of one that answered; -1: none yet */
    bool several; /* brokers, by the URI or because two numbers have answered */
    char cause[sizeof((struct wr_kafka_link *)NULL)->cause]; /* of the last failure */
    int64_t window_us; /* when the first line of log in this window came */
    int lines; /* in this window */
};

void wr_kafka_context_free(struct wr_kafka_context *context);

/* Librdkafka's callbacks; the opaque of each is the context. */
rd_kafka_resp_err_t wr_kafka_watch_responses(rd_kafka_t *client, const rd_kafka_conf_t *conf,
                                             void *opaque, char *text, size_t size);
void wr_kafka_take_error(rd_kafka_t *client, int code, const char *reason, void *opaque);
void wr_kafka_take_log(const rd_kafka_t *client, int level, const char *facility, const char *text);

#endif

/* kafka_client.h: what sources and outlets of Kafka share: configurations with weir's settings and
 * the user's, librdkafka's logs in weir's, and its errors in weir's terms. Here and in the tests
 * librdkafka is named, and nowhere else: who needs it includes this.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_KAFKA_CLIENT_H
#define WR_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "txn/kafka.h"

enum wr_kafka_role {
    WR_KAFKA_CONSUMER, /* of a source: assigned by hand, read_committed, nothing stored by itself */
    WR_KAFKA_MARKERS, /* reads the markers of a store's sinks */
    WR_KAFKA_TRANSACTIONS, /* the forwarder's producer */
    WR_KAFKA_DIRECT, /* an idempotent producer without transactions, at-least-once's */
};

/* How a client stands to its brokers, told to the user: one line when none answers any more, one
 * when one does again. Lives as long as the client. */
struct wr_kafka_link {
    struct wr_env *env;
    const char *what; /* "source lines", "sink counts": begins each line */
    const char *brokers; /* as given */
    _Atomic bool down; /* no broker can be reached at this moment */
    char cause[200]; /* of down, as librdkafka has it; written by its thread before `down` */
};

struct wr_kafka_client_options {
    enum wr_kafka_role role;
    const char
        *endpoint; /* name of the source or sink: its own -X apply; NULL: only general ones */
    const char *brokers; /* HOST:PORT[,HOST:PORT...] */
    const char *id; /* group.id of consumers and marker readers, transactional.id; NULL: none */
    const struct wr_kafka_properties *properties; /* NULL: none */
    struct wr_kafka_link *link;
    /* Of producers: called by rd_kafka_poll and _flush with each message acknowledged or failed. */
    void (*delivered)(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque);
    void *opaque; /* of delivered */
};

/* Makes a client. 78: properties do not go together; 66, 77: a file that one names cannot be read;
 * 75: no memory, no thread. Reaches no broker: that goes on in librdkafka's threads. A consumer's
 * queue is redirected (rd_kafka_poll_set_consumer); it tells the end of a partition
 * (RD_KAFKA_RESP_ERR__PARTITION_EOF), and an offset that is out of range is an error
 * (RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET). The client's opaque is not the caller's. */
weir_status wr_kafka_client_new(const struct wr_kafka_client_options *options,
                                rd_kafka_t **client_out, struct wr_error *error);
/* Waits for the client's threads, 3 s at most: then they are left behind. NULL is ignored. */
void wr_kafka_client_free(rd_kafka_t *client);

/* To be called after a call that timed out: when no broker has answered since the last failure, the
 * link is down, and one line says so. (A client that is polled sees that by itself.) */
void wr_kafka_link_check(rd_kafka_t *client);

/* What an error of librdkafka asks for, by its three flags, and by the code where there are none:
 *   WEIR_RETRY  the same call again (a broker is away, a coordinator moves, it timed out)
 *   WEIR_ABORT  the transaction must be aborted; then the same records again
 *   WEIR_FATAL  this client is of no use any more. Exit code 69: another client may be. 77, 78:
 *               none would be but after a fence (wr_kafka_is_fenced); stop
 * The text says what was being done (`format`), to what, what happened and what to do. Exit codes:
 * 69 unreachable, 77 not authorized, 78 configuration (no such topic, message too large, fenced,
 * unsupported), 75 no memory. error->native is librdkafka's code. wr_kafka_fail_error destroys
 * `cause`. */
weir_status wr_kafka_fail(struct wr_error *error, rd_kafka_resp_err_t cause, const char *format,
                          ...) WEIR_PRINTF(3, 4);
weir_status wr_kafka_fail_error(struct wr_error *error, rd_kafka_error_t *cause, const char *format,
                                ...) WEIR_PRINTF(3, 4);
/* Another producer has this transactional.id, or the broker timed our transaction out. */
bool wr_kafka_is_fenced(rd_kafka_resp_err_t cause);

/* What a topic is, asked of the brokers; waits up to timeout_ms. 69: none answered; 78: no such
 * topic (WEIR_MISUSE), 77: not allowed to. `cluster_id` (of size `cluster_size`) may be NULL. */
weir_status wr_kafka_topic(rd_kafka_t *client, const struct wr_kafka_link *link, const char *topic,
                           int timeout_ms, int32_t *partitions_out, char *cluster_id,
                           size_t cluster_size, struct wr_error *error);

#endif

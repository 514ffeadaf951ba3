/* kafka_forward.h: how records get to Kafka exactly once: one transactional producer for each store
 * and cluster, which the outlets of its sinks share, and each sink's marker in its transactions.
 * docs/KAFKA.md has the protocol, tests/model/forwarder.py checks it.
 *
 *   DOWN ─▶ SETTLING ─▶ READING ─▶ IDLE ─▶ OPEN ─▶ ENDING ─▶ (IDLE)
 *    ▲         init      markers     begin    markers,  │
 *    │                   checked     produce  commit    ▼
 *    │                                 ▲             ABORTING ─▶ (IDLE)
 *    └── start over: in doubt, fenced ─┴─────────────────┘
 *
 *   phase     moves on by                              what may be in doubt then
 *   DOWN      a new client                             nothing of ours; maybe an older producer's
 *   SETTLING  init_transactions: fences older ones,    nothing
 *             and waits for what they have in doubt
 *   READING   every sink's marker is read and checked  nothing
 *   IDLE      begin_transaction                        nothing
 *   OPEN      records; then the markers of all sinks   it is aborted, or times out
 *   ENDING    commit_transaction, called until it      this transaction: any error starts over,
 *             answers                                  and the marker says which it was
 *   ABORTING  abort_transaction, the same              nothing when it answers
 *
 * The first transaction of an incarnation has markers alone: the claim. Until it is acknowledged a
 * fencing means nothing (another start may just have been a little later); after it, a marker with
 * another incarnation means that another copy of this store is at work, and this one stops.
 *
 * Thread: that which calls the outlets, one at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_KAFKA_FORWARD_H
#define WR_KAFKA_FORWARD_H

#include "txn/kafka_client.h"
#include "txn/outlets/outlet.h"

enum wr_kafka_phase {
    WR_KAFKA_DOWN,
    WR_KAFKA_SETTLING,
    WR_KAFKA_READING,
    WR_KAFKA_IDLE,
    WR_KAFKA_OPEN,
    WR_KAFKA_ENDING,
    WR_KAFKA_ABORTING,
};

enum {
    WR_KAFKA_CALL_MS = 2000, /* one call of librdkafka that can be called again */
    WR_KAFKA_SOCKET_MS = 60000, /* socket.timeout.ms: a request may take that long on top */
};

/* A place in a log, always between two batches. */
struct wr_kafka_point {
    int64_t next;
    uint32_t crc; /* running CRC of the log below it */
};

/* A marker as it was found outside. */
struct wr_kafka_marker {
    bool found;
    struct wr_kafka_point at;
    uint64_t incarnation;
    int64_t ends; /* see wr_kafka_outlet */
};

struct wr_kafka_outlet {
    struct wr_outlet base;
    struct wr_kafka_outlet *next; /* of the same producer */
    struct wr_kafka_forward *forward;
    char *name, *topic, *group;
    enum wr_kafka_place place;
    int32_t partition; /* FIXED */
    enum wr_sync sync;
    bool wants_direct, forget; /* of the options */
    rd_kafka_topic_t *handle; /* of the client that there is */
    rd_kafka_t *reader; /* of the marker; NULL but while it is read */
    char identity[WR_ERROR_TEXT_MAX]; /* cluster, topic and group; fixed once it is set */

    /* As the store had it when it was opened: */
    struct wr_marker row; /* without identity: none */
    char *row_identity;
    int64_t log_end;

    struct wr_kafka_point settled; /* acknowledged outside */
    int64_t settled_ends; /* where the partitions ended then, added up, as its marker says */
    struct wr_kafka_point marked; /* whole batches sent in the open transaction */
    int64_t sent; /* the offset of the record that comes next */
    struct wr_kafka_marker found;

    /* Where each partition of the topic ends, as far as is known: offsets only grow, unless the
     * topic is made anew. Their sum goes along with each marker. */
    int64_t *ends;
    int32_t partitions;
    int32_t fallen; /* a partition whose end fell, -1: none */
    int64_t fallen_to;
};

struct wr_kafka_forward {
    struct wr_kafka_forward *next, **list;
    struct wr_env *env;
    struct wr_kafka_outlet *outlets;
    char *brokers, *id, *what;
    const struct wr_kafka_properties *properties;
    struct wr_kafka_link link;
    _Atomic int64_t *overdue_us;
    rd_kafka_t *client;
    enum wr_kafka_phase phase;
    uint64_t incarnation;
    char cluster[100];
    bool from_store; /* a marker that is gone is taken from the store */
    bool direct; /* at-least-once: an idempotent producer without transactions */
    bool claimed;
    rd_kafka_resp_err_t failed; /* of a message, since the transaction began */
    int64_t failed_messages;
    int64_t unpolled; /* messages since delivery reports were last taken */

    int64_t again_us; /* nothing is tried before */
    int64_t since_us; /* of the first failure without any progress; 0: none */
    int64_t said_us;
    int starts, aborts, hurries; /* without any progress */
    int64_t ended_us, looked_us; /* when markers were last renewed, ends looked up */
    struct wr_error last; /* what failed last, for who waits in vain */
};

/* Joins the producer of this cluster and id, or makes a new one. */
weir_status wr_kafka_forward_join(struct wr_kafka_outlet *outlet,
                                  const struct wr_outlet_kafka_options *options,
                                  struct wr_error *error);
/* The last outlet that leaves ends the producer, and with it a transaction that is open. */
void wr_kafka_forward_leave(struct wr_kafka_outlet *outlet);

/* Makes the producer ready for records: IDLE or OPEN, and claimed. WEIR_RETRY: not yet. */
weir_status wr_kafka_forward_ready(struct wr_kafka_forward *forward, struct wr_error *error);
/* IDLE → OPEN. */
weir_status wr_kafka_forward_begin(struct wr_kafka_forward *forward, struct wr_error *error);
/* OPEN → IDLE with everything that was marked acknowledged, or given up (`settled` of each outlet
 * says so). WEIR_RETRY: it has not answered yet. */
weir_status wr_kafka_forward_end(struct wr_kafka_forward *forward, struct wr_error *error);
/* Whether it would be the same again: a right that is missing, a record that is too large. */
bool wr_kafka_is_final(rd_kafka_resp_err_t cause);
/* A message could not be produced: the transaction is given up. */
weir_status wr_kafka_forward_refused(struct wr_kafka_forward *forward, rd_kafka_resp_err_t cause,
                                     const char *topic, struct wr_error *error);
/* Takes delivery reports, waiting up to so many milliseconds. */
void wr_kafka_forward_poll(struct wr_kafka_forward *forward, int timeout_ms);
/* Calls `call` until it is not WEIR_RETRY, for a bounded time; then 69 with what failed last. */
weir_status wr_kafka_forward_wait(struct wr_kafka_outlet *outlet,
                                  weir_status (*call)(struct wr_kafka_forward *forward,
                                                      struct wr_error *error),
                                  struct wr_error *error);
/* At-least-once: a producer without transactions, and the topics looked up. WEIR_RETRY: not yet. */
weir_status wr_kafka_forward_direct(struct wr_kafka_forward *forward, struct wr_error *error);
weir_status wr_kafka_forward_flush(struct wr_kafka_forward *forward, struct wr_error *error);

/* ---- Between kafka_forward.c and kafka_join.c ------------------------------------------------ */

static inline int64_t wr_kafka_now_us(const struct wr_kafka_forward *forward)
{
    return forward->env->monotonic_us(forward->env);
}
/* Around a call that may hang. */
void wr_kafka_forward_call(struct wr_kafka_forward *forward, int timeout_ms);
void wr_kafka_forward_came_back(struct wr_kafka_forward *forward);
/* Not now: WEIR_RETRY. The error is kept for who waits in vain, and said when it lasts. */
weir_status wr_kafka_again(struct wr_kafka_forward *forward, struct wr_error *error);
/* The same where the status says so; else the status. */
weir_status wr_kafka_failed_text(struct wr_kafka_forward *forward, weir_status status,
                                 struct wr_error *error);
/* Something went as it should. */
void wr_kafka_progress(struct wr_kafka_forward *forward);
/* DOWN → SETTLING; and back from any phase. */
weir_status wr_kafka_make_client(struct wr_kafka_forward *forward, struct wr_error *error);
void wr_kafka_let_go(struct wr_kafka_forward *forward);
/* Looks up the topics. */
weir_status wr_kafka_look_up(struct wr_kafka_forward *forward, struct wr_error *error);
/* 78: two producers of one name in one cluster; a topic that was made anew. */
weir_status wr_kafka_check_cluster(struct wr_kafka_forward *forward, struct wr_error *error);
weir_status wr_kafka_check_fallen(struct wr_kafka_forward *forward, struct wr_error *error);

/* ---- kafka_marker.c, kafka_check.c, kafka_ends.c --------------------------------------------- */

/* Reads every sink's marker, waiting up to timeout_ms. After init_transactions alone. */
weir_status wr_kafka_markers_read(struct wr_kafka_forward *forward, int timeout_ms,
                                  struct wr_error *error);
void wr_kafka_readers_free(struct wr_kafka_forward *forward);
/* Checks every sink's marker against the store, and sets where each goes on from. `resumes`: it
 * must be this incarnation's. 78 with what to do. */
weir_status wr_kafka_markers_check(struct wr_kafka_forward *forward, bool resumes,
                                   struct wr_error *error);
/* Puts one sink's marker into the open transaction. */
rd_kafka_error_t *wr_kafka_marker_send(struct wr_kafka_outlet *outlet, int timeout_ms);
/* Looks up where the partitions of the sinks' topics end, and how many there are; a fall is 78. */
weir_status wr_kafka_ends_look(struct wr_kafka_forward *forward, struct wr_error *error);
/* Sets the identity, unless it is set. */
void wr_kafka_identify(struct wr_kafka_outlet *outlet);
/* The sum of what is known of them. */
int64_t wr_kafka_ends_sum(const struct wr_kafka_outlet *outlet);
/* 78: the topic was made anew while this run wrote to it. */
weir_status wr_kafka_ends_fallen(const struct wr_kafka_outlet *outlet, struct wr_error *error);

#endif

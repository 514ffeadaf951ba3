/* outlet.h: the seam to what lies outside the store: a file, standard output, Kafka. The forwarder
 * (txn/forward.c) drives it:
 *
 *   open → check → settle → (prepare → (send* → mark)* → settle)* → close
 *
 * The first settle sends nothing: it says what the outside is, so that a new sink's marker (its
 * file, and the length it starts from) is decided before the first record goes out. prepare and
 * mark are for an outside that has transactions of its own, in which the marker goes along: there,
 * what was sent may have to be sent again, and other sinks may be part of the same transaction,
 * which their first settle ends for all of them. Without them, what is sent stays sent.
 *
 * WEIR_RETRY of prepare, send and settle: not now; nothing has changed, and the forwarder asks
 * again a little later. After any other error an outlet takes nothing more: the run stops and the
 * next one checks. Thread: forward (or decide, at-least-once), but for open and check, which run
 * before the threads start.
 *
 * To files and standard output each record becomes its value and a newline; the key is not written,
 * and an absent value is an empty line, so that a line stands for each record.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_OUTLET_H
#define WR_OUTLET_H

#include "txn/store.h"

struct wr_outlet;

struct wr_outlet_ops {
    const char *scheme; /* "file", "stdout", "kafka" */
    /* NULL: always ready. Else makes the outlet ready, as far as it is not: *next_out is the log
     * offset of the record that it takes next, and *settled what is outside (as settle has it). */
    weir_status (*prepare)(struct wr_outlet *outlet, struct wr_marker *settled, int64_t *next_out,
                           struct wr_error *error);
    /* Sends one record (in log order); may buffer up to 1 MiB. */
    weir_status (*send)(struct wr_outlet *outlet, const weir_record *record, int64_t offset,
                        struct wr_error *error);
    /* NULL: not wanted. Every record of this batch of the log was sent, so `next` is a place where
     * a marker may stand. */
    void (*mark)(struct wr_outlet *outlet, weir_bytes batch, int64_t next);
    /* What is buffered goes out (at-least-once, after each epoch). */
    weir_status (*flush)(struct wr_outlet *outlet, struct wr_error *error);
    /* Everything sent is outside for good (fdatasync); sets the marker's length, crc and identity
     * (the outlet's memory). `next` is what was sent; an outlet that has prepare sets it to what is
     * outside. */
    weir_status (*settle)(struct wr_outlet *outlet, struct wr_marker *marker,
                          struct wr_error *error);
    /* What is outside is cut back to the marker, or the run stops because it was touched. A marker
     * without identity is a sink that has never sent. */
    weir_status (*check)(struct wr_outlet *outlet, const struct wr_marker *marker,
                         struct wr_error *error);
    void (*close)(struct wr_outlet *outlet);
    /* "exactly-once: ..." or "at-least-once: ..., because ..." for the first lines and inspect. */
    const char *(*guarantee)(const struct wr_outlet *outlet);
};

struct wr_outlet { /* the first member of each outlet's own struct */
    const struct wr_outlet_ops *ops;
    struct wr_env *env;
    const char *sink;
    bool keeps; /* set before check: what is longer than the marker stays, but for half a line */
    /* The forwarder's, set before check. */
    const struct wr_sink *log; /* the sink whose log it gets */
    struct wr_reader *reader; /* of the store, for the thread that calls */
    _Atomic int64_t *overdue_us; /* set around a call that may hang: when it must have come back */
    bool direct; /* what it is sent comes from epochs, not from the log: no marker goes along */
    bool waits; /* before the threads start: waits for the outside instead of WEIR_RETRY */
    int64_t backlog_max; /* bytes of log that may wait for it; 0: any */
};

/* Writes all of it, waiting where it must; 0 or errno. EPIPE comes without a SIGPIPE. */
int wr_outlet_write(int fd, const void *data, size_t size);

/* file:PATH. `append`: a non-empty file of a new store is the base instead of an error. A FIFO or
 * device is at-least-once. The file is opened (and made) by check. */
weir_status wr_outlet_file_open(struct wr_env *env, const char *sink, const char *path, bool append,
                                enum wr_sync sync, struct wr_outlet **outlet_out,
                                struct wr_error *error);
weir_status wr_outlet_stdout_open(struct wr_env *env, const char *sink,
                                  struct wr_outlet **outlet_out, struct wr_error *error);

/* kafka://BROKERS/TOPIC (outlet_kafka.c). */
enum wr_kafka_place { WR_KAFKA_BY_KEY, WR_KAFKA_BY_SOURCE, WR_KAFKA_FIXED };
struct wr_kafka_forward;
struct wr_kafka_properties;
struct wr_outlet_kafka_options {
    const char *sink, *brokers, *topic;
    enum wr_kafka_place place;
    int32_t partition; /* FIXED */
    const char *id_prefix; /* of transactional.id and group; "" for none */
    int64_t backlog_max;
    const struct wr_store_info *store;
    enum wr_sync sync;
    bool direct; /* at-least-once */
    bool marker_from_store; /* a marker that is gone is taken from the store */
    bool forget; /* --drop-state: whatever marker there is, it begins anew */
    const struct wr_kafka_properties *properties;
    /* The producers of this store, which outlets of the same cluster share: NULL at first. */
    struct wr_kafka_forward **forwards;
};
/* Texts of the options are copied. Connects to nothing before check. */
weir_status wr_outlet_kafka_open(struct wr_env *env, const struct wr_outlet_kafka_options *options,
                                 struct wr_outlet **outlet_out, struct wr_error *error);
/* What such an outlet guarantees, for who has none. */
const char *wr_outlet_kafka_guarantee(enum wr_sync sync);

#endif

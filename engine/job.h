/* job.h: the graph of a job, as weir_define builds it; the first mistake sticks. Fixed once
 * wr_job_finish succeeded. Thread: the one that opens the job; read by all afterwards.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_JOB_H
#define WR_JOB_H

#include "engine/endpoint.h"
#include "txn/base/arena.h"
#include "txn/base/error.h"
#include "txn/kafka.h"

/* NAME=VALUE of -i, -o, -D. */
struct wr_setting {
    const char *name, *value;
    bool used;
};
struct wr_settings {
    struct wr_setting *items;
    size_t count, capacity;
};
/* Splits at the first `=`; a later setting of a name replaces an earlier one. 64 without `=`. */
weir_status wr_settings_add(struct wr_settings *settings, const char *text, struct wr_error *error);
/* NULL when it is not there (or settings is NULL). */
struct wr_setting *wr_settings_find(struct wr_settings *settings, const char *name);
void wr_settings_fini(struct wr_settings *settings);

enum wr_node_kind { WR_NODE_SOURCE, WR_NODE_TIMES, WR_NODE_THROUGH, WR_NODE_SINK };

struct wr_edge {
    struct wr_node *to;
    unsigned input; /* the number by which `to` knows it */
    struct wr_edge *next;
};

struct wr_node {
    enum wr_node_kind kind;
    const char *name;
    weir_job *job;
    weir_fn fn;
    weir_time_fn time_fn;
    void *arg;
    int64_t out_of_order_ms, idle_ms; /* TIMES */
    struct wr_endpoint endpoint; /* SOURCE, SINK */
    const char *default_uri; /* as the job has it; NULL: none */
    unsigned version; /* of its state */
    weir_upgrade_fn upgrade;
    void *upgrade_arg;
    struct wr_stream_link *inputs; /* by input number */
    size_t input_count, input_capacity;
    struct wr_edge *out[WR_SIDES_MAX]; /* successors by side, in the order of definition */
    size_t order; /* in graph order: inputs before outputs, then by definition */
    size_t sequence; /* of definition */
    size_t index; /* among sources, or among sinks */
    uint32_t id; /* in the store; sinks and sources have one too */
    struct wr_node *next;
};

/* A node's side; side 0 is its main output. */
struct weir_stream {
    struct wr_node *node;
    unsigned side;
    weir_job *job;
};
struct wr_stream_link {
    struct wr_node *from;
    unsigned side;
};

struct weir_job {
    struct wr_arena arena;
    char name[WR_NAME_BYTES_MAX + 1];
    struct wr_error error; /* the first mistake */
    struct wr_node *first, **end; /* in order of definition */
    size_t node_count, source_count, sink_count;
    struct wr_node **nodes; /* in graph order, after wr_job_finish */
    struct wr_settings *inputs, *outputs, *defines;
    struct wr_asked *asked;
    bool kit;
    struct wr_node *rejects; /* the sink of --rejects, NULL: not given */
    weir_stream broken; /* what a failed call returns */
    struct wr_closing *closings; /* the last one first */
};

/* What weir_at_close was given. */
struct wr_closing {
    void (*fn)(void *arg);
    void *arg;
    struct wr_closing *next;
};

/* A -D option that the job asked for. */
struct wr_asked {
    const char *name, *value;
    struct wr_asked *next;
};

struct wr_job_options {
    const char *name; /* the file's base name, until weir_name */
    bool kit; /* the test kit's: sources have no URI, outside sinks become log:NAME */
    struct wr_settings *inputs, *outputs, *defines;
    const char *rejects; /* URI of one more sink, `rejects`, that has no inputs; NULL: none */
    const struct wr_kafka_properties *kafka; /* NULL: none */
    bool marker_from_store; /* asked for, so there must be a sink of Kafka */
};

/* Runs `define` and checks the graph: a source, names, cycles, URIs, settings that nobody asked
 * for. 64 with what is wrong. The job must be freed also when this fails. */
weir_status wr_job_open(const struct wr_job_options *options, void (*define)(weir_job *),
                        weir_job *job, struct wr_error *error);
void wr_job_close(weir_job *job);

/* The steps of wr_job_open: puts nodes into graph order (64: a cycle); refuses settings that nobody
 * asked for. The error is the job's. */
weir_status wr_job_sort(weir_job *job);
weir_status wr_job_check_settings(weir_job *job);
/* No two sinks write to the same table, topic or file (64); --rejects is not with statements (78).
 */
weir_status wr_job_check_sinks(weir_job *job);
/* What is said of Kafka's clients is said of sources and sinks that there are, and are Kafka's. */
weir_status wr_job_check_kafka(weir_job *job, const struct wr_job_options *options);

/* The graph as one JSON text, for meta and inspect:
 * {"nodes":[{"name","kind","inputs":[{"from","side"}], "uri"}]}. In the job's arena; NULL: no
 * memory. */
const char *wr_job_json(weir_job *job);

#endif

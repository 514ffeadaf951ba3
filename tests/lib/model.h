/* model.h: what a job means, in its most naive form. It knows no epochs, no cache and no store: it
 * takes one record after the other through the graph, keeps everything in plain arrays, and after
 * each record lets every node in graph order fire its due timers, the first one first, before its
 * watermark moves (docs/ARCHITECTURE.md, time). One partition per source.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_MODEL_H
#define TEST_MODEL_H

#include "tests/lib/program.h"

enum { GRAPH_NODES_MAX = 16, GRAPH_EDGES_MAX = 32 };
enum { MODEL_CLOCK_START_MS = 1000000000 }; /* the test kit's */

enum graph_kind { GRAPH_SOURCE, GRAPH_TIMES, GRAPH_THROUGH, GRAPH_LOG, GRAPH_TABLE };

struct graph_node {
    enum graph_kind kind;
    char name[16];
    int64_t out_of_order_ms; /* TIMES */
    struct program program; /* THROUGH */
};

/* In the order in which they are made: each node's first input, then the further ones. */
struct graph_edge {
    int from, to;
    unsigned side, input;
};

struct graph {
    struct graph_node nodes[GRAPH_NODES_MAX];
    int node_count;
    struct graph_edge edges[GRAPH_EDGES_MAX];
    int edge_count;
};

/* The event time that a TIMES node gives a record. */
int64_t model_time(const weir_record *record);
/* Whether records of one node come to another. */
bool graph_reaches(const struct graph *graph, int from, int to);

struct model;
struct model *model_new(struct graph *graph);
void model_free(struct model *model);

/* A record of a source, given by its number in the graph. The bytes must outlive the model. */
void model_push(struct model *model, int source, const weir_record *record);
void model_advance(struct model *model, int source, int64_t time_ms);
void model_clock(struct model *model, int64_t milliseconds);
void model_drain(struct model *model);

/* Everything that lasts, as text in the form of look_store (look.h); free it. */
char *model_dump(const struct model *model);

#endif

/* random_job.h: random graphs, inputs and schedules, each from its own seed, so that a smaller
 * round (fewer steps, no crashes) of the same seeds is the same job.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_RANDOM_JOB_H
#define TEST_RANDOM_JOB_H

#include "tests/lib/model.h"

/* One or two sources, up to six operators, watermarks of their own, side outputs, several inputs,
 * log and table sinks. */
void random_graph(uint64_t seed, bool trouble, struct graph *graph);
/* Defines the graph as a job; every operator's function is `fn`, its argument the graph_node. */
void random_define(const struct graph *graph, weir_job *job, weir_fn fn);

/* What happens to a job, one thing after the other. */
enum event_kind { EVENT_PUSH, EVENT_ADVANCE, EVENT_CLOCK, EVENT_DRAIN };
struct event {
    enum event_kind kind;
    int source;
    int64_t time_ms; /* ADVANCE: until; CLOCK: for */
    weir_record *records; /* PUSH */
    size_t record_count;
};
/* At most this many events; the last may be a drain. */
enum { EVENTS_MAX = 24, PUSH_RECORDS_MAX = 40 };
struct schedule {
    struct event events[EVENTS_MAX];
    int event_count;
};
void random_schedule(uint64_t seed, const struct graph *graph, struct schedule *schedule);
void random_schedule_free(struct schedule *schedule);

#endif

/* random_job.c: see random_job.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/random_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADERS_MAX = 3, VALUE_BYTES_MAX = 64 };

/* ---- Graph ----------------------------------------------------------------------------------- */

static void random_program(uint64_t *state, bool trouble, struct program *program)
{
    static const unsigned slots[] = {3, 3, 8, 40, 700};
    program->slots = slots[program_below(state, 5)];
    program->rejects = program_below(state, 3) ? 0 : 5 + program_below(state, 20);
    program->step_count = 1 + (int)program_below(state, PROGRAM_STEPS_MAX - 1);
    for (int i = 0; i < program->step_count; i++) {
        struct step *step = &program->steps[i];
        do {
            step->kind = (enum step_kind)program_below(state, STEP_KINDS);
        } while (step->kind == STEP_TROUBLE ||
                 (step->kind == STEP_PUT_MANY && program->slots < 40));
        step->often = 1 + program_below(state, 3);
    }
    if (program_below(state, 4)) { /* mostly something comes out */
        program->steps[program->step_count++] = (struct step){STEP_EMIT, 1};
    }
    if (trouble) { /* anywhere, in place of another step */
        program->steps[program_below(state, (unsigned)program->step_count)] =
            (struct step){STEP_TROUBLE, 1 + program_below(state, 30)};
    }
}

static int add_node(struct graph *graph, enum graph_kind kind, const char *prefix)
{
    struct graph_node *node = &graph->nodes[graph->node_count];
    *node = (struct graph_node){.kind = kind};
    snprintf(node->name, sizeof node->name, "%s%d", prefix, graph->node_count);
    return graph->node_count++;
}

static void add_edge(struct graph *graph, int from, unsigned side, int to)
{
    unsigned input = 0;
    for (int i = 0; i < graph->edge_count; i++) {
        input += graph->edges[i].to == to;
    }
    graph->edges[graph->edge_count++] = (struct graph_edge){from, to, side, input};
}

static unsigned random_side(uint64_t *state, const struct graph *graph, int node)
{
    return graph->nodes[node].kind == GRAPH_THROUGH && program_below(state, 4) == 0;
}

/* Further inputs of operators, also from nodes that are defined later, but no cycle. */
static void add_inputs(uint64_t *state, struct graph *graph, int inner)
{
    for (int i = 0; i < 3; i++) {
        int from = (int)program_below(state, (unsigned)inner);
        int to = (int)program_below(state, (unsigned)inner);
        if (graph->nodes[to].kind == GRAPH_THROUGH && !graph_reaches(graph, to, from)) {
            add_edge(graph, from, random_side(state, graph, from), to);
        }
    }
}

void random_graph(uint64_t seed, bool trouble, struct graph *graph)
{
    uint64_t state = seed;
    *graph = (struct graph){.node_count = 0};
    int sources = 1 + (int)program_below(&state, 2);
    for (int i = 0; i < sources; i++) {
        add_node(graph, GRAPH_SOURCE, "source");
    }
    int operators = 1 + (int)program_below(&state, 5);
    for (int i = 0; i < operators; i++) {
        int from = (int)program_below(&state, (unsigned)graph->node_count);
        if (program_below(&state, 5) == 0) {
            int node = add_node(graph, GRAPH_TIMES, "times");
            graph->nodes[node].out_of_order_ms = program_below(&state, 30);
            add_edge(graph, from, random_side(&state, graph, from), node);
        } else {
            int node = add_node(graph, GRAPH_THROUGH, "node");
            random_program(&state, trouble, &graph->nodes[node].program);
            add_edge(graph, from, random_side(&state, graph, from), node);
        }
    }
    int inner = graph->node_count;
    int sinks = 1 + (int)program_below(&state, 3);
    for (int i = 0; i < sinks; i++) {
        int from = i ? (int)program_below(&state, (unsigned)inner) : inner - 1;
        bool table = program_below(&state, 4) == 0;
        add_edge(graph, from, random_side(&state, graph, from),
                 add_node(graph, table ? GRAPH_TABLE : GRAPH_LOG, table ? "table" : "sink"));
    }
    add_inputs(&state, graph, inner);
}

static int64_t time_of(const weir_record *in, void *arg)
{
    (void)arg;
    return model_time(in);
}

static weir_stream *first_input(const struct graph *graph, int node, weir_stream **streams)
{
    for (int i = 0; i < graph->edge_count; i++) {
        const struct graph_edge *edge = &graph->edges[i];
        if (edge->to == node && edge->input == 0) {
            return edge->side ? weir_side(streams[edge->from], edge->side) : streams[edge->from];
        }
    }
    return NULL;
}

void random_define(const struct graph *graph, weir_job *job, weir_fn fn)
{
    weir_stream *streams[GRAPH_NODES_MAX];
    for (int i = 0; i < graph->node_count; i++) {
        const struct graph_node *node = &graph->nodes[i];
        weir_stream *in = first_input(graph, i, streams);
        char uri[32];
        snprintf(uri, sizeof uri, "%s:%s", node->kind == GRAPH_TABLE ? "table" : "log", node->name);
        switch (node->kind) {
        case GRAPH_SOURCE:
            streams[i] = weir_from(job, node->name, NULL);
            break;
        case GRAPH_TIMES:
            streams[i] = weir_times(in, node->name, time_of, NULL, node->out_of_order_ms, 0);
            break;
        case GRAPH_THROUGH:
            streams[i] = weir_through(in, node->name, fn, (void *)(uintptr_t)node);
            break;
        case GRAPH_LOG:
        case GRAPH_TABLE:
            weir_into(in, node->name, uri);
            break;
        }
    }
    for (int i = 0; i < graph->edge_count; i++) {
        const struct graph_edge *edge = &graph->edges[i];
        if (edge->input > 0) {
            weir_stream *from = streams[edge->from];
            weir_with(streams[edge->to], edge->side ? weir_side(from, edge->side) : from);
        }
    }
}

/* ---- Schedule -------------------------------------------------------------------------------- */

static weir_record random_record(uint64_t *state, int64_t time_ms)
{
    weir_record record = {.key = program_key(program_random(state)), .time_ms = time_ms};
    unsigned choice = program_below(state, 12);
    if (choice) {
        size_t size = choice == 1 ? 0 : 1 + program_below(state, VALUE_BYTES_MAX);
        char *value = calloc(1, size + 1);
        for (size_t i = 0; i < size; i++) {
            value[i] = (char)program_random(state);
        }
        record.value = (weir_bytes){value, size};
    }
    if (program_below(state, 4) == 0) {
        static const char *const names[] = {"a", "trace", ""};
        weir_header *headers = calloc(HEADERS_MAX, sizeof *headers);
        record.header_count = 1 + program_below(state, HEADERS_MAX);
        for (size_t i = 0; i < record.header_count; i++) {
            headers[i].name = names[program_below(state, 3)];
            headers[i].value = program_key(program_random(state));
        }
        record.headers = headers;
    }
    return record;
}

/* Mostly forward, at times late or far ahead. */
static int64_t next_time(uint64_t *state, int64_t *now_ms)
{
    unsigned choice = program_below(state, 20);
    *now_ms += choice == 0 ? 100 : program_below(state, 12);
    return choice == 1 ? *now_ms - 40 : choice == 2 ? -(int64_t)program_below(state, 50) : *now_ms;
}

void random_schedule(uint64_t seed, const struct graph *graph, struct schedule *schedule)
{
    uint64_t state = seed;
    int64_t now_ms = 0;
    int sources = 0;
    while (graph->nodes[sources].kind == GRAPH_SOURCE) {
        sources++;
    }
    schedule->event_count = 1 + (int)program_below(&state, EVENTS_MAX);
    for (int i = 0; i < schedule->event_count; i++) {
        struct event *event = &schedule->events[i];
        *event = (struct event){.source = (int)program_below(&state, (unsigned)sources)};
        unsigned choice = program_below(&state, 12);
        if (choice == 0) {
            event->kind = EVENT_ADVANCE;
            event->time_ms = now_ms + program_below(&state, 100);
        } else if (choice <= 2) {
            event->kind = EVENT_CLOCK;
            event->time_ms = program_below(&state, 50);
        } else {
            event->kind = EVENT_PUSH;
            event->record_count = 1 + program_below(&state, PUSH_RECORDS_MAX);
            event->records = calloc(event->record_count, sizeof *event->records);
            for (size_t j = 0; j < event->record_count; j++) {
                event->records[j] = random_record(&state, next_time(&state, &now_ms));
            }
        }
    }
    if (program_below(&state, 4) == 0) {
        struct event *last = &schedule->events[schedule->event_count - 1];
        if (last->kind != EVENT_PUSH) {
            last->kind = EVENT_DRAIN;
        }
    }
}

void random_schedule_free(struct schedule *schedule)
{
    for (int i = 0; i < schedule->event_count; i++) {
        for (size_t j = 0; j < schedule->events[i].record_count; j++) {
            free((void *)(uintptr_t)schedule->events[i].records[j].value.data);
            free((void *)(uintptr_t)schedule->events[i].records[j].headers);
        }
        free(schedule->events[i].records);
    }
}

/* job_check.c: the order of a job's nodes, names on the command line that nobody asked for, and the
 * graph as text. See job.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/job.h"

/* Inputs before outputs, otherwise by definition: Kahn's algorithm (CACM 1962). */
weir_status wr_job_sort(weir_job *job)
{
    job->nodes = wr_arena_alloc(&job->arena, (job->node_count + 1) * sizeof(struct wr_node *));
    size_t *waiting = wr_arena_zalloc(&job->arena, (job->node_count + 1) * sizeof *waiting);
    bool *placed = wr_arena_zalloc(&job->arena, job->node_count + 1);
    if (!job->nodes || !waiting || !placed) {
        return wr_fail_memory(&job->error);
    }
    for (struct wr_node *node = job->first; node; node = node->next) {
        waiting[node->sequence] = node->input_count;
    }
    for (size_t count = 0; count < job->node_count; count++) {
        struct wr_node *node = job->first;
        while (node && (placed[node->sequence] || waiting[node->sequence] > 0)) {
            node = node->next;
        }
        if (!node) {
            for (node = job->first; placed[node->sequence]; node = node->next) {
            }
            return wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                           "the graph has a cycle through node `%s`; a stream may not feed itself",
                           node->name);
        }
        placed[node->sequence] = true;
        node->order = count;
        job->nodes[count] = node;
        for (unsigned side = 0; side < WR_SIDES_MAX; side++) {
            for (struct wr_edge *edge = node->out[side]; edge; edge = edge->next) {
                waiting[edge->to->sequence]--;
            }
        }
    }
    return WEIR_OK;
}

static weir_status check_used(weir_job *job, const struct wr_settings *settings, const char *option,
                              const char *what, const char *const *known)
{
    for (size_t i = 0; settings && i < settings->count; i++) {
        if (settings->items[i].used) {
            continue;
        }
        const char *name = settings->items[i].name, *nearest = wr_nearest(name, known);
        if (nearest) {
            return wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                           "%s %s: job `%s` has no %s of this name; did you mean `%s`?", option,
                           name, job->name, what, nearest);
        }
        return wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s %s: job `%s` has no %s of this name (`--check` lists them)", option,
                       name, job->name, what);
    }
    return WEIR_OK;
}

weir_status wr_job_check_settings(weir_job *job)
{
    size_t asked = 0;
    for (const struct wr_asked *at = job->asked; at; at = at->next) {
        asked++;
    }
    const char **known = wr_arena_alloc(&job->arena, (job->node_count + asked + 1) * sizeof *known);
    if (!known) {
        return wr_fail_memory(&job->error);
    }
    for (int kind = WR_NODE_SOURCE; kind <= WR_NODE_SINK; kind += WR_NODE_SINK) {
        size_t count = 0;
        for (const struct wr_node *node = job->first; node; node = node->next) {
            if ((int)node->kind == kind) {
                known[count++] = node->name;
            }
        }
        known[count] = NULL;
        bool sources = kind == WR_NODE_SOURCE;
        WR_TRY(check_used(job, sources ? job->inputs : job->outputs, sources ? "-i" : "-o",
                          sources ? "source" : "sink", known));
    }
    size_t count = 0;
    for (const struct wr_asked *at = job->asked; at; at = at->next) {
        known[count++] = at->name;
    }
    known[count] = NULL;
    return check_used(job, job->defines, "-D", "option", known);
}

static bool write_the_same(const struct wr_endpoint *a, const struct wr_endpoint *b)
{
    if (a->scheme != b->scheme) {
        return false;
    }
    if (a->scheme == WR_SCHEME_TABLE) { /* as SQLite compares the names of tables */
        return strcasecmp(a->path, b->path) == 0;
    }
    if (a->scheme == WR_SCHEME_KAFKA) {
        return strcmp(a->path, b->path) == 0 && wr_brokers_overlap(a->brokers, b->brokers);
    }
    return (a->scheme == WR_SCHEME_LOG || a->scheme == WR_SCHEME_FILE) &&
           strcmp(a->path, b->path) == 0;
}

/* What a statement refuses is known when its epoch is decided. Then the logs of that epoch are
 * packed, with offsets that the next one goes on from, and what goes outside without a log has gone
 * already: it could not be put into that sink in the same transaction. */
static weir_status check_rejects(weir_job *job)
{
    for (const struct wr_node *node = job->rejects ? job->first : NULL; node; node = node->next) {
        if (node->kind != WR_NODE_SINK || node->endpoint.scheme != WR_SCHEME_SQL) {
            continue;
        }
        if (node == job->rejects) {
            return wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_CONFIG,
                           "--rejects %.400s: dead letters go to a table:, log:, file: or kafka: "
                           "sink, not to statements; they are in table `reject` of the store too "
                           "(weir rejects STORE)",
                           node->endpoint.uri);
        }
        return wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_CONFIG,
                       "--rejects cannot be with sink `%s` (%.400s): what its statements refuse is "
                       "known only when its epoch is decided, too late to put it into another "
                       "sink; leave --rejects out, the dead letters are in the store (weir "
                       "rejects STORE)",
                       node->name, node->endpoint.uri);
    }
    return WEIR_OK;
}

/* Two sinks write one after the other, epoch by epoch: which record came last would depend on where
 * an epoch ends, and that on crashes. */
weir_status wr_job_check_sinks(weir_job *job)
{
    for (const struct wr_node *a = job->first; a; a = a->next) {
        for (const struct wr_node *b = a->next; b && a->kind == WR_NODE_SINK; b = b->next) {
            if (b->kind == WR_NODE_SINK && write_the_same(&a->endpoint, &b->endpoint)) {
                return wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                               "sinks `%s` and `%s` both write to %.400s; give each its own, or "
                               "bring the streams together before one sink (weir_with)",
                               a->name, b->name, b->endpoint.uri);
            }
        }
    }
    return check_rejects(job);
}

/* ---- Kafka ----------------------------------------------------------------------------------- */

static bool is_endpoint(const struct wr_node *node)
{
    return node->kind == WR_NODE_SOURCE || node->kind == WR_NODE_SINK;
}

static bool is_of_kafka(const struct wr_node *node)
{
    return is_endpoint(node) && node->endpoint.uri && node->endpoint.scheme == WR_SCHEME_KAFKA;
}

static weir_status fail_property_name(weir_job *job, const struct wr_kafka_property *property)
{
    const char **known = wr_arena_alloc(&job->arena, (job->node_count + 1) * sizeof *known);
    size_t count = 0;
    if (!known) {
        return wr_fail_memory(&job->error);
    }
    for (const struct wr_node *node = job->first; node; node = node->next) {
        if (is_of_kafka(node)) {
            known[count++] = node->name;
        }
    }
    known[count] = NULL;
    const char *name = property->endpoint, *nearest = wr_nearest(name, known);
    return wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                   "-X %s:%s: job `%s` has no source or sink of Kafka of this name%s%s%s", name,
                   property->name, job->name, nearest ? "; did you mean `" : "",
                   nearest ? nearest : " (`--check` lists them)", nearest ? "`?" : "");
}

weir_status wr_job_check_kafka(weir_job *job, const struct wr_job_options *options)
{
    size_t count = options->kafka ? options->kafka->count : 0, endpoints = 0, sinks = 0;
    for (const struct wr_node *node = job->first; node; node = node->next) {
        endpoints += is_of_kafka(node);
        sinks += is_of_kafka(node) && node->kind == WR_NODE_SINK;
    }
    for (size_t i = 0; i < count; i++) {
        const struct wr_kafka_property *property = &options->kafka->items[i];
        const struct wr_node *node = job->first;
        while (property->endpoint && node &&
               !(is_of_kafka(node) && strcmp(node->name, property->endpoint) == 0)) {
            node = node->next;
        }
        if (!node) {
            return fail_property_name(job, property);
        }
    }
    if (count > 0 && endpoints == 0) {
        return wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "-X %s is for Kafka, and job `%s` neither reads nor writes a topic of it; "
                       "leave it out, or give -i or -o NAME=kafka://HOST:PORT/TOPIC",
                       options->kafka->items[0].name, job->name);
    }
    if (options->marker_from_store && sinks == 0) {
        return wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--marker-from is for sinks of Kafka, and job `%s` has none; leave it out",
                       job->name);
    }
    return WEIR_OK;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static bool put(struct wr_buffer *buffer, const char *text)
{
    size_t size = strlen(text);
    unsigned char *at = wr_buffer_extend(buffer, size);
    if (at) {
        memcpy(at, text, size);
    }
    return at != NULL;
}

static bool put_string(struct wr_buffer *buffer, const char *text)
{
    bool fine = put(buffer, "\"");
    for (; fine && *text; text++) {
        static const char hex[] = "0123456789abcdef";
        unsigned char byte = (unsigned char)*text;
        char escaped[8] = {(char)byte};
        if (byte == '"' || byte == '\\') {
            memcpy(escaped, (char[]){'\\', (char)byte, 0}, 3);
        } else if (byte < 0x20) {
            memcpy(escaped, (char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15], 0}, 7);
        }
        fine = put(buffer, escaped);
    }
    return fine && put(buffer, "\"");
}

static bool put_node(struct wr_buffer *buffer, const struct wr_node *node)
{
    static const char *const kinds[] = {"source", "times", "through", "sink"};
    bool fine = put(buffer, node->order ? ",{\"name\":" : "{\"name\":") &&
                put_string(buffer, node->name) && put(buffer, ",\"kind\":\"") &&
                put(buffer, kinds[node->kind]) && put(buffer, "\",\"inputs\":[");
    for (size_t i = 0; fine && i < node->input_count; i++) {
        char side[16] = {(char)('0' + node->inputs[i].side / 10),
                         (char)('0' + node->inputs[i].side % 10)};
        fine = put(buffer, i ? ",{\"from\":" : "{\"from\":") &&
               put_string(buffer, node->inputs[i].from->name) && put(buffer, ",\"side\":") &&
               put(buffer, side + (side[0] == '0')) && put(buffer, "}");
    }
    fine = fine && put(buffer, "]");
    if (fine && node->endpoint.uri) {
        fine = put(buffer, ",\"uri\":") && put_string(buffer, node->endpoint.uri);
    }
    return fine && put(buffer, "}");
}

const char *wr_job_json(weir_job *job)
{
    struct wr_buffer buffer = {NULL, 0, 0};
    bool fine = put(&buffer, "{\"nodes\":[");
    for (size_t i = 0; fine && i < job->node_count; i++) {
        fine = put_node(&buffer, job->nodes[i]);
    }
    fine = fine && put(&buffer, "]}") && wr_buffer_extend(&buffer, 1);
    char *copy = NULL;
    if (fine) {
        buffer.data[buffer.size - 1] = '\0';
        copy = wr_arena_string(&job->arena, (const char *)buffer.data);
    }
    wr_buffer_fini(&buffer);
    return copy;
}

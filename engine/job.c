/* job.c: builds and checks the graph. See job.h. Long because each function of weir.h that builds
 * is here, and each is small.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

/* ---- Building -------------------------------------------------------------------------------- */

static weir_stream *broken(weir_job *job)
{
    return &job->broken;
}

static weir_stream *fail_memory(weir_job *job)
{
    (void)wr_fail_memory(&job->error);
    return broken(job);
}

static struct wr_node *node_find(const weir_job *job, const char *name)
{
    for (struct wr_node *node = job->first; node; node = node->next) {
        if (strcmp(node->name, name) == 0) {
            return node;
        }
    }
    return NULL;
}

/* A node with a checked name at the end of the job; NULL when the name is wrong or memory ran out.
 */
static struct wr_node *node_add(weir_job *job, enum wr_node_kind kind, const char *name)
{
    static const char *const what[] = {"source", "times node", "node", "sink"};
    if (job->error.status != WEIR_OK) {
        return NULL;
    }
    if (!name || !wr_name_is_valid(name)) {
        (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "a %s has the name `%.80s`; give it one of 1 to %d of A-Z a-z 0-9 _ . -",
                      what[kind], name ? name : "", WR_NAME_BYTES_MAX);
        return NULL;
    }
    if (node_find(job, name)) {
        (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "the name `%s` is given twice; give each source, node and sink its own",
                      name);
        return NULL;
    }
    if (job->node_count == WR_NODES_MAX) {
        (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE, "more than %d nodes", WR_NODES_MAX);
        return NULL;
    }
    struct wr_node *node = wr_arena_zalloc(&job->arena, sizeof *node);
    char *copy = wr_arena_string(&job->arena, name);
    if (!node || !copy) {
        (void)wr_fail_memory(&job->error);
        return NULL;
    }
    *node = (struct wr_node){
        .kind = kind, .name = copy, .job = job, .version = 1, .sequence = job->node_count++};
    *job->end = node;
    job->end = &node->next;
    return node;
}

static weir_stream *stream_of(struct wr_node *node, unsigned side)
{
    weir_stream *stream = wr_arena_alloc(&node->job->arena, sizeof *stream);
    if (!stream) {
        return fail_memory(node->job);
    }
    *stream = (weir_stream){node, side, node->job};
    return stream;
}

/* A stream that is NULL belongs to no job that could be refused, and a part of the graph that is
 * silently not there would be worse: the last resort is the process's end. */
static _Noreturn void no_stream(void)
{
    fprintf(stderr, "weir: an operator or a sink is given NULL for its stream; give it what "
                    "weir_from or another operator returned\n");
    exit(WR_EXIT_USAGE);
}

/* False: the stream comes from a mistake, which is recorded. */
static bool usable(weir_stream *in)
{
    if (!in) {
        no_stream();
    }
    return in->job->error.status == WEIR_OK && in != &in->job->broken;
}

static bool connect(weir_stream *in, struct wr_node *to)
{
    weir_job *job = to->job;
    if (in->job != job) {
        (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "node `%s` reads a stream of another job", to->name);
        return false;
    }
    if (to->input_count == WR_INPUTS_MAX) {
        (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE, "node `%s` has more than %d inputs",
                      to->name, WR_INPUTS_MAX);
        return false;
    }
    if (to->input_count == to->input_capacity) {
        size_t capacity = to->input_capacity ? to->input_capacity * 2 : 2;
        struct wr_stream_link *links = wr_arena_alloc(&job->arena, capacity * sizeof *links);
        if (!links) {
            (void)wr_fail_memory(&job->error);
            return false;
        }
        if (to->input_count) {
            memcpy(links, to->inputs, to->input_count * sizeof *links);
        }
        to->inputs = links;
        to->input_capacity = capacity;
    }
    struct wr_edge *edge = wr_arena_alloc(&job->arena, sizeof *edge);
    if (!edge) {
        (void)wr_fail_memory(&job->error);
        return false;
    }
    *edge = (struct wr_edge){to, (unsigned)to->input_count, NULL};
    struct wr_edge **end = &in->node->out[in->side];
    while (*end) {
        end = &(*end)->next;
    }
    *end = edge;
    to->inputs[to->input_count++] = (struct wr_stream_link){in->node, in->side};
    return true;
}

void weir_name(weir_job *job, const char *name)
{
    if (!name || !wr_name_is_valid(name)) {
        (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "weir_name: `%.80s` is no name; use 1 to %d of A-Z a-z 0-9 _ . -",
                      name ? name : "", WR_NAME_BYTES_MAX);
        return;
    }
    strncpy(job->name, name, WR_NAME_BYTES_MAX);
}

/* A sink that the test kit leaves as it is. */
static bool stays(const char *uri)
{
    return uri && (strncmp(uri, "table:", 6) == 0 || strncmp(uri, "sql:", 4) == 0);
}

/* Takes the URI from -i or -o, else the job's default, and parses it. */
static void take_uri(struct wr_node *node, struct wr_settings *settings, const char *uri)
{
    weir_job *job = node->job;
    bool is_source = node->kind == WR_NODE_SOURCE;
    struct wr_setting *setting = wr_settings_find(settings, node->name);
    node->default_uri = uri;
    if (setting) {
        setting->used = true;
        uri = setting->value;
    } else if (job->kit && (is_source || !stays(uri))) {
        char text[WR_NAME_BYTES_MAX + 8] = "log:";
        strncat(text, node->name, WR_NAME_BYTES_MAX);
        char *copy = wr_arena_string(&job->arena, text);
        if (!copy) {
            (void)wr_fail_memory(&job->error);
        } else if (is_source) {
            node->endpoint = (struct wr_endpoint){.uri = copy, .path = copy};
        } else {
            (void)wr_endpoint_parse(copy, false, &job->arena, &node->endpoint, &job->error);
        }
        return;
    }
    if (!uri) {
        (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "%s `%s` has no URI; give one with %s %s=URI", is_source ? "source" : "sink",
                      node->name, is_source ? "-i" : "-o", node->name);
        return;
    }
    struct wr_error reason = {.status = WEIR_OK};
    if (wr_endpoint_parse(uri, is_source, &job->arena, &node->endpoint, &reason) != WEIR_OK) {
        (void)wr_fail(&job->error, reason.status, reason.exit_code, "%s `%s`: %.900s",
                      is_source ? "source" : "sink", node->name, reason.text);
    }
}

weir_stream *weir_from(weir_job *job, const char *name, const char *uri)
{
    struct wr_node *node = node_add(job, WR_NODE_SOURCE, name);
    if (!node) {
        return broken(job);
    }
    node->index = job->source_count++;
    take_uri(node, job->inputs, uri);
    return stream_of(node, 0);
}

static int64_t own_time(const weir_record *in, void *arg)
{
    (void)arg;
    return in->time_ms;
}

weir_stream *weir_times(weir_stream *in, const char *name, weir_time_fn fn, void *arg,
                        int64_t out_of_order_ms, int64_t idle_ms)
{
    if (!usable(in)) {
        return in;
    }
    struct wr_node *node = node_add(in->job, WR_NODE_TIMES, name);
    if (!node || !connect(in, node)) {
        return broken(in->job);
    }
    if (out_of_order_ms < 0 || idle_ms < 0) {
        (void)wr_fail(&in->job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "weir_times `%s` needs times that are not negative", name);
    }
    node->time_fn = fn ? fn : own_time;
    node->arg = arg;
    node->out_of_order_ms = out_of_order_ms;
    node->idle_ms = idle_ms;
    return stream_of(node, 0);
}

weir_stream *weir_through(weir_stream *in, const char *name, weir_fn fn, void *arg)
{
    if (!usable(in)) {
        return in;
    }
    struct wr_node *node = node_add(in->job, WR_NODE_THROUGH, name);
    if (!node || !connect(in, node)) {
        return broken(in->job);
    }
    if (!fn) {
        (void)wr_fail(&in->job->error, WEIR_MISUSE, WR_EXIT_USAGE, "node `%s` has no function",
                      name);
    }
    node->fn = fn;
    node->arg = arg;
    return stream_of(node, 0);
}

unsigned weir_with(weir_stream *node, weir_stream *in)
{
    if (!usable(node)) {
        return 0;
    }
    if (!in) {
        (void)wr_fail(&node->job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "node `%s` is given NULL for one more stream; give it what weir_from or "
                      "another operator returned",
                      node->node->name);
        return 0;
    }
    if (!usable(in)) {
        return 0;
    }
    if (node->node->kind != WR_NODE_THROUGH) {
        (void)wr_fail(&node->job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "weir_with: `%s` is no weir_through node; only these take more inputs",
                      node->node->name);
        return 0;
    }
    return connect(in, node->node) ? (unsigned)(node->node->input_count - 1) : 0;
}

weir_stream *weir_side(weir_stream *node, unsigned side)
{
    if (!usable(node)) {
        return node;
    }
    if (side >= WR_SIDES_MAX || node->node->kind != WR_NODE_THROUGH) {
        (void)wr_fail(&node->job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "weir_side: `%s` has no side %u; weir_through nodes have 0 to %d",
                      node->node->name, side, WR_SIDES_MAX - 1);
        return broken(node->job);
    }
    return stream_of(node->node, side);
}

void weir_into(weir_stream *in, const char *name, const char *uri)
{
    if (!usable(in)) {
        return;
    }
    struct wr_node *node = node_add(in->job, WR_NODE_SINK, name);
    if (!node || !connect(in, node)) {
        return;
    }
    node->index = in->job->sink_count++;
    take_uri(node, in->job->outputs, uri);
}

void weir_state(weir_stream *node, unsigned version, weir_upgrade_fn fn, void *arg)
{
    if (!usable(node)) {
        return;
    }
    if (node->node->kind != WR_NODE_THROUGH || version == 0) {
        (void)wr_fail(&node->job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "weir_state: `%s` needs to be a weir_through node, its version 1 or more",
                      node->node->name);
        return;
    }
    node->node->version = version;
    node->node->upgrade = fn;
    node->node->upgrade_arg = arg;
}

const char *weir_option(weir_job *job, const char *name, const char *fallback)
{
    if (!name) {
        (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE, "weir_option: the name is NULL");
        return fallback;
    }
    struct wr_setting *setting = wr_settings_find(job->defines, name);
    struct wr_asked *asked = wr_arena_zalloc(&job->arena, sizeof *asked);
    if (asked) {
        asked->name = wr_arena_string(&job->arena, name);
        asked->value = setting ? setting->value : fallback;
    }
    if (!asked || !asked->name) {
        (void)wr_fail_memory(&job->error);
        return fallback;
    }
    asked->next = job->asked;
    job->asked = asked;
    if (setting) {
        setting->used = true;
    }
    return asked->value;
}

/* A job that runs out of memory while it is defined is refused afterwards; until then it needs
 * somewhere to write. The last resort is the process's end, with the code that says: try again. */
void *weir_alloc(weir_job *job, size_t size)
{
    void *memory = wr_arena_zalloc(&job->arena, size);
    if (!memory) {
        wr_error_clear(&job->error);
        (void)wr_fail_memory(&job->error);
        exit(WR_EXIT_AGAIN);
    }
    return memory;
}

void weir_refuse(weir_job *job, const char *format, ...)
{
    char text[WR_ERROR_TEXT_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE, "job `%s`: %s", job->name, text);
}

weir_job *weir_job_of(weir_stream *stream)
{
    if (!stream) {
        no_stream();
    }
    return stream->job;
}

/* The sink that dead letters go to as well: every node may feed it, so it has no inputs. */
static void add_rejects(weir_job *job, const char *uri)
{
    if (job->error.status == WEIR_OK && node_find(job, "rejects")) {
        (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "--rejects: its sink is called `rejects`, and job `%s` has a node of that "
                      "name; rename that, or leave --rejects out",
                      job->name);
        return;
    }
    struct wr_node *node = node_add(job, WR_NODE_SINK, "rejects");
    if (node) {
        node->index = job->sink_count++;
        take_uri(node, job->outputs, uri);
        job->rejects = node;
    }
}

/* ---- Open and close -------------------------------------------------------------------------- */

weir_status wr_job_open(const struct wr_job_options *options, void (*define)(weir_job *),
                        weir_job *job, struct wr_error *error)
{
    *job = (weir_job){.inputs = options->inputs,
                      .outputs = options->outputs,
                      .defines = options->defines,
                      .kit = options->kit};
    wr_arena_init(&job->arena, 0);
    job->end = &job->first;
    job->broken = (weir_stream){NULL, 0, job};
    weir_name(job, options->name);
    define(job);
    if (options->rejects) {
        add_rejects(job, options->rejects);
    }
    if (job->error.status == WEIR_OK && job->source_count == 0) {
        (void)wr_fail(&job->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "job `%s` has no source; add one with weir_from", job->name);
    }
    if (job->error.status == WEIR_OK) {
        (void)wr_job_sort(job);
    }
    if (job->error.status == WEIR_OK) {
        (void)wr_job_check_settings(job);
    }
    if (job->error.status == WEIR_OK) {
        (void)wr_job_check_sinks(job);
    }
    if (job->error.status == WEIR_OK) {
        (void)wr_job_check_kafka(job, options);
    }
    if (job->error.status != WEIR_OK) {
        *error = job->error;
    }
    return job->error.status;
}

void weir_at_close(weir_job *job, void (*fn)(void *arg), void *arg)
{
    struct wr_closing *closing = weir_alloc(job, sizeof *closing);
    *closing = (struct wr_closing){fn, arg, job->closings};
    job->closings = closing;
}

void wr_job_close(weir_job *job)
{
    for (const struct wr_closing *at = job->closings; at; at = at->next) {
        at->fn(at->arg);
    }
    job->closings = NULL;
    wr_arena_fini(&job->arena);
}

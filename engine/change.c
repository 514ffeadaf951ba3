/* change.c: see change.h. Every step runs in the one transaction of a start, so it may change first
 * and leave it to a later check to refuse: then nothing was done.
 *
 * An option that was followed by an earlier start is not an error: a service manager gives the same
 * command again after a crash. A rename is seen to be done when the store has the new name and not
 * the old one; names that were swapped, when the job's graph is that of the last run. Dropping and
 * rewinding are done again each time, but for a name that is gone.
 *
 * Long because the three options share what is looked up, said and noted.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/instance.h"
#include "txn/store_change.h"

/* What the store knows by name, and what is to become of it. */
struct work {
    struct wr_instance *instance;
    const weir_job *job;
    const char *path; /* of the store */
    struct wr_stored_name *names;
    size_t name_count;
    struct wr_error *error;
};

bool wr_change_asked(const struct wr_run_options *options)
{
    return options->renames.count + options->drop_states.count + options->rewinds.count > 0;
}

struct wr_node *wr_change_node(const weir_job *job, const char *name)
{
    for (size_t i = 0; i < job->node_count; i++) {
        if (strcmp(job->nodes[i]->name, name) == 0) {
            return job->nodes[i];
        }
    }
    return NULL;
}

/* The --rename of this old name, NULL: none. */
static const struct wr_setting *rename_of(const struct work *work, const char *name)
{
    const struct wr_settings *renames = &work->instance->options->renames;
    for (size_t i = 0; i < renames->count; i++) {
        if (strcmp(renames->items[i].name, name) == 0) {
            return &renames->items[i];
        }
    }
    return NULL;
}

static const struct wr_stored_name *stored_as(const struct work *work, const char *name)
{
    for (size_t i = 0; i < work->name_count; i++) {
        if (strcmp(work->names[i].name, name) == 0) {
            return &work->names[i];
        }
    }
    return NULL;
}

static weir_status read_names(struct work *work)
{
    return wr_store_names(work->instance->store, &work->instance->arena, &work->names,
                          &work->name_count, work->error);
}

/* ---- Texts ----------------------------------------------------------------------------------- */

static WEIR_PRINTF(2, 3) weir_status say(struct work *work, const char *format, ...)
{
    char text[WR_ERROR_TEXT_MAX];
    struct wr_change *change = &work->instance->change;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct wr_change_said *said = wr_arena_zalloc(&work->instance->arena, sizeof *said);
    if (said) {
        said->text = wr_arena_string(&work->instance->arena, text);
    }
    if (!said || !said->text) {
        return wr_fail_memory(work->error);
    }
    *(change->last ? &change->last->next : &change->first) = said;
    change->last = said;
    return WEIR_OK;
}

void wr_change_say(const struct wr_instance *instance)
{
    for (const struct wr_change_said *at = instance->change.first; at; at = at->next) {
        wr_log(instance->env, WR_LOG_NOTICE, "%s", at->text);
    }
}

/* Appends to a list of the note; names need no escaping. */
static WEIR_PRINTF(3, 4) weir_status
    note(struct work *work, const char **list, const char *format, ...)
{
    char item[2 * WR_NAME_BYTES_MAX + 64];
    va_list args;
    va_start(args, format);
    vsnprintf(item, sizeof item, format, args);
    va_end(args);
    size_t before = *list ? strlen(*list) : 0, size = before + strlen(item) + 2;
    char *longer = wr_arena_alloc(&work->instance->arena, size);
    if (!longer) {
        return wr_fail_memory(work->error);
    }
    snprintf(longer, size, "%s%s%s", *list ? *list : "", *list ? "," : "", item);
    *list = longer;
    return WEIR_OK;
}

/* 64: `what` names something that is not there. Says which name is near it. */
static weir_status fail_unknown(struct work *work, const char *what, const char *missing,
                                const char *name, const char *const *candidates)
{
    const char *near = candidates ? wr_nearest(name, candidates) : NULL;
    if (near) {
        return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE, "%s: %s `%s`; did you mean `%s`?",
                       what, missing, name, near);
    }
    return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE,
                   "%s: %s `%s`; `weir inspect %s` lists what is in the store, --check what is in "
                   "the job",
                   what, missing, name, work->path);
}

static weir_status fail_unknown_stored(struct work *work, const char *what, const char *name)
{
    char missing[WR_URI_BYTES_MAX + 32];
    const char **candidates =
        wr_arena_alloc(&work->instance->arena, (work->name_count + 1) * sizeof *candidates);
    for (size_t i = 0; candidates && i < work->name_count; i++) {
        candidates[i] = work->names[i].name;
    }
    if (candidates) {
        candidates[work->name_count] = NULL;
    }
    snprintf(missing, sizeof missing, "%.600s knows no", work->path);
    return fail_unknown(work, what, missing, name, candidates);
}

static weir_status fail_unknown_node(struct work *work, const char *what, const char *name,
                                     bool only_sources)
{
    char missing[WR_NAME_BYTES_MAX + 32];
    const weir_job *job = work->job;
    const char **candidates =
        wr_arena_alloc(&work->instance->arena, (job->node_count + 1) * sizeof *candidates);
    size_t count = 0;
    for (size_t i = 0; candidates && i < job->node_count; i++) {
        if (!only_sources || job->nodes[i]->kind == WR_NODE_SOURCE) {
            candidates[count++] = job->nodes[i]->name;
        }
    }
    if (candidates) {
        candidates[count] = NULL;
    }
    snprintf(missing, sizeof missing, "job `%s` has no %s", job->name,
             only_sources ? "source" : "node");
    return fail_unknown(work, what, missing, name, candidates);
}

/* ---- --drop-state ---------------------------------------------------------------------------- */

static weir_status tell_dropped(struct work *work, const struct wr_stored_name *stored,
                                const struct wr_forgotten *gone)
{
    char text[256] = "";
    size_t used = 0;
    const struct {
        int64_t count;
        const char *one, *many;
    } parts[] = {{gone->slots, "slot of state", "slots of state"},
                 {gone->timers, "timer", "timers"},
                 {gone->queued, "queued dead letter", "queued dead letters"},
                 {gone->positions, "position", "positions"},
                 {gone->unsent, "record not yet forwarded", "records not yet forwarded"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].count > 0 && used < sizeof text) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64 " %s",
                                     used ? ", " : "", parts[i].count,
                                     parts[i].count == 1 ? parts[i].one : parts[i].many);
        }
    }
    return say(work, "--drop-state %s: dropped %s%s", stored->name,
               used ? text : "what was kept of it",
               wr_change_node(work->job, stored->name)
                   ? "; start without this option from now on, or it is dropped each time"
                   : "");
}

static weir_status drop_unknown(struct work *work, const char *option, const char *name)
{
    bool before = false;
    if (wr_change_node(work->job, name)) {
        return say(work, "%s: it is new and keeps nothing", option);
    }
    WR_TRY(wr_store_has_forgotten(work->instance->store, name, &before, work->error));
    return before ? say(work, "%s: done already, by an earlier start", option)
                  : fail_unknown_stored(work, option, name);
}

/* A name that the job still has. */
static weir_status check_droppable(struct work *work, const char *option,
                                   const struct wr_node *node)
{
    if (node->kind == WR_NODE_SOURCE) {
        return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s: it is a source that job `%s` reads; to read it again, give --rewind "
                       "%s=earliest",
                       option, work->job->name, node->name);
    }
    if (node->kind == WR_NODE_SINK && work->instance->sinks[node->index].kind != WR_SINK_OUTBOX) {
        return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s: it is a sink that keeps no state; what it wrote goes by `weir topics "
                       "%s --delete TOPIC` or, for a table, `sqlite3 %s 'DROP TABLE ...'`, while "
                       "no job runs",
                       option, work->path, work->path);
    }
    return WEIR_OK;
}

static weir_status drop_one(struct work *work, const char *name)
{
    char option[WR_NAME_BYTES_MAX + 32];
    snprintf(option, sizeof option, "--drop-state %s", name);
    const struct wr_stored_name *stored = stored_as(work, name);
    const struct wr_node *node = wr_change_node(work->job, name);
    if (!stored) {
        return drop_unknown(work, option, name);
    }
    if (rename_of(work, name)) {
        return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s and --rename %s=%s: what is dropped cannot be renamed; give one of them",
                       option, name, rename_of(work, name)->value);
    }
    if (node && !(stored->kind == WR_STORED_SOURCE && node->kind != WR_NODE_SOURCE)) {
        WR_TRY(check_droppable(work, option, node));
    }
    struct wr_forgotten gone;
    WR_TRY(wr_store_forget(work->instance->store, stored, node ? node->version : 0, &gone,
                           work->error));
    WR_TRY(note(work, &work->instance->change.dropped, "\"%s\"", name));
    return tell_dropped(work, stored, &gone);
}

static weir_status drop_all(struct work *work)
{
    const struct wr_settings *drops = &work->instance->options->drop_states;
    for (size_t i = 0; i < drops->count; i++) {
        WR_TRY(drop_one(work, drops->items[i].name));
    }
    return drops->count ? read_names(work) : WEIR_OK;
}

/* ---- --rename -------------------------------------------------------------------------------- */

static bool is_target(const struct wr_settings *renames, const char *name, size_t but)
{
    for (size_t i = 0; i < renames->count; i++) {
        if (i != but && strcmp(renames->items[i].value, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Which renames an earlier start did. */
static weir_status find_done(struct work *work, bool *done)
{
    const struct wr_settings *renames = &work->instance->options->renames;
    const char *graph = wr_job_json(work->instance->job);
    bool same = false, more = true;
    if (!graph) {
        return wr_fail_memory(work->error);
    }
    WR_TRY(wr_store_same_graph(work->instance->store, graph, &same, work->error));
    for (size_t i = 0; i < renames->count; i++) {
        const struct wr_setting *at = &renames->items[i];
        bool named = stored_as(work, at->value) && wr_change_node(work->job, at->value);
        done[i] =
            named && (!stored_as(work, at->name) || (same && is_target(renames, at->name, i)));
    }
    while (more) { /* A=B that is done took B=C with it */
        more = false;
        for (size_t i = 0; i < renames->count; i++) {
            for (size_t j = 0; j < renames->count && !done[i]; j++) {
                if (done[j] && strcmp(renames->items[j].value, renames->items[i].name) == 0) {
                    done[i] = more = true;
                }
            }
        }
    }
    return WEIR_OK;
}

static const char *kind_text(enum wr_stored_kind kind)
{
    static const char *const texts[] = {"nothing", "a source", "a node of weir_times",
                                        "a node of weir_through", "a sink"};
    return texts[kind];
}

static enum wr_stored_kind kind_of(const struct wr_node *node)
{
    static const enum wr_stored_kind kinds[] = {[WR_NODE_SOURCE] = WR_STORED_SOURCE,
                                                [WR_NODE_TIMES] = WR_STORED_TIMES,
                                                [WR_NODE_THROUGH] = WR_STORED_THROUGH,
                                                [WR_NODE_SINK] = WR_STORED_SINK};
    return kinds[node->kind];
}

/* What the command line alone tells, and the job. */
static weir_status check_names(struct work *work, const char *option, size_t i,
                               const struct wr_setting *at)
{
    const struct wr_settings *renames = &work->instance->options->renames;
    const struct wr_node *old = wr_change_node(work->job, at->name);
    if (!wr_name_is_valid(at->value) || strcmp(at->name, at->value) == 0) {
        return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s: it takes OLD=NEW, the old and the new name of a node, source or sink",
                       option);
    }
    if (is_target(renames, at->value, i)) {
        return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s: another --rename gives the name `%s` too; give one of them", option,
                       at->value);
    }
    if (!wr_change_node(work->job, at->value)) {
        return fail_unknown_node(work, option, at->value, false);
    }
    if (old && !is_target(renames, at->name, i)) {
        return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s: job `%s` still has a node `%s`; leave the option out, or give that one "
                       "another name",
                       option, work->job->name, at->name);
    }
    return WEIR_OK;
}

static weir_status plan_rename(struct work *work, size_t i, struct wr_rename *rename_out)
{
    const struct wr_setting *at = &work->instance->options->renames.items[i];
    char option[2 * WR_NAME_BYTES_MAX + 32];
    snprintf(option, sizeof option, "--rename %s=%.*s", at->name, WR_NAME_BYTES_MAX, at->value);
    WR_TRY(check_names(work, option, i, at));
    const struct wr_stored_name *old = stored_as(work, at->name);
    const struct wr_stored_name *taken = stored_as(work, at->value);
    enum wr_stored_kind kind = kind_of(wr_change_node(work->job, at->value));
    if (!old) {
        return fail_unknown_stored(work, option, at->name);
    }
    if (old->kind != WR_STORED_BARE && old->kind != kind) {
        return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s: in %.600s `%s` is %s, and in job `%s` `%s` is %s", option, work->path,
                       at->name, kind_text(old->kind), work->job->name, at->value, kind_text(kind));
    }
    if (taken && taken->keeps && !rename_of(work, at->value)) {
        return wr_fail(work->error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "%s: %.600s keeps something under both names, of `%s` as %s and of `%s` as "
                       "%s; drop one, with --drop-state %s (then `%s` is renamed) or --drop-state "
                       "%s (without --rename)",
                       option, work->path, at->name, kind_text(old->kind), at->value,
                       kind_text(taken->kind), at->value, at->name, at->name);
    }
    *rename_out = (struct wr_rename){.from = at->name, .to = at->value, .kind = kind};
    return WEIR_OK;
}

static weir_status rename_all(struct work *work)
{
    const struct wr_settings *renames = &work->instance->options->renames;
    struct wr_arena *arena = &work->instance->arena;
    struct wr_rename *list = wr_arena_alloc(arena, (renames->count + 1) * sizeof *list);
    bool *done = wr_arena_zalloc(arena, renames->count + 1);
    size_t count = 0;
    if (!list || !done) {
        return wr_fail_memory(work->error);
    }
    WR_TRY(renames->count ? find_done(work, done) : WEIR_OK);
    for (size_t i = 0; i < renames->count; i++) {
        const struct wr_setting *at = &renames->items[i];
        if (done[i]) {
            WR_TRY(say(work,
                       "--rename %s=%s: taken as done already, by an earlier start: the store "
                       "knows `%s`",
                       at->name, at->value, at->value));
            continue;
        }
        WR_TRY(plan_rename(work, i, &list[count++]));
        WR_TRY(note(work, &work->instance->change.renamed, "\"%s\":\"%s\"", at->name, at->value));
        WR_TRY(say(work, "--rename %s=%s: what the store keeps of `%s` is now `%s`'s", at->name,
                   at->value, at->name, at->value));
    }
    if (count == 0) {
        return WEIR_OK;
    }
    WR_TRY(wr_store_rename(work->instance->store, list, count, work->error));
    return read_names(work);
}

/* ---- --rewind -------------------------------------------------------------------------------- */

/* The names of all nodes that records of a source can come to. */
static weir_status reached_nodes(struct work *work, const struct wr_node *source,
                                 const char ***names_out, size_t *count_out)
{
    const weir_job *job = work->job;
    const char **names = wr_arena_alloc(&work->instance->arena, job->node_count * sizeof *names);
    bool *reached = wr_arena_zalloc(&work->instance->arena, job->node_count);
    if (!names || !reached) {
        return wr_fail_memory(work->error);
    }
    reached[source->order] = true;
    *count_out = 0;
    for (size_t i = source->order; i < job->node_count; i++) {
        const struct wr_node *at = job->nodes[i];
        for (size_t j = 0; j < at->input_count; j++) {
            reached[i] = reached[i] || reached[at->inputs[j].from->order];
        }
        if (reached[i]) {
            names[(*count_out)++] = at->name;
        }
    }
    *names_out = names;
    return WEIR_OK;
}

static weir_status rewind_one(struct work *work, const struct wr_setting *at)
{
    char option[WR_NAME_BYTES_MAX + 64];
    bool earliest = strcmp(at->value, "earliest") == 0;
    int64_t offset = -1;
    snprintf(option, sizeof option, "--rewind %.64s=%.32s", at->name, at->value);
    const struct wr_node *source = wr_change_node(work->job, at->name);
    if (!source || source->kind != WR_NODE_SOURCE) {
        return fail_unknown_node(work, option, at->name, true);
    }
    if (!earliest && !wr_parse_number(at->value, 0, INT64_MAX, &offset)) {
        return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s: it takes SOURCE=earliest, or an offset from 0 on", option);
    }
    const struct wr_stored_name *stored = stored_as(work, at->name);
    if (!stored || stored->kind != WR_STORED_SOURCE || !stored->keeps) {
        if (earliest) {
            return say(work, "%s: nothing of it was read yet", option);
        }
        return wr_fail(work->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s: nothing of it was read yet, so it has no positions to set; leave the "
                       "option out",
                       option);
    }
    const char **names = NULL;
    size_t count = 0;
    WR_TRY(reached_nodes(work, source, &names, &count));
    WR_TRY(wr_store_rewind(work->instance->store, at->name, offset, names, count, work->error));
    work->instance->sources[source->index]->rewound = !earliest;
    work->instance->sources[source->index]->restarted = earliest;
    WR_TRY(note(work, &work->instance->change.rewound, earliest ? "\"%s\":\"%s\"" : "\"%s\":%s",
                at->name, at->value));
    return say(work,
               "%s: it is read from there; state stays as it is; start without this option from "
               "now on, or it is read again each time",
               option);
}

/* ---- All of it ------------------------------------------------------------------------------- */

weir_status wr_change_apply(struct wr_instance *instance, struct wr_error *error)
{
    const struct wr_settings *rewinds = &instance->options->rewinds;
    struct work work = {.instance = instance,
                        .job = instance->job,
                        .path = wr_store_info(instance->store)->path,
                        .error = error};
    if (!wr_change_asked(instance->options)) {
        return WEIR_OK;
    }
    WR_TRY(read_names(&work));
    WR_TRY(drop_all(&work));
    WR_TRY(rename_all(&work));
    for (size_t i = 0; i < rewinds->count; i++) {
        WR_TRY(rewind_one(&work, &rewinds->items[i]));
    }
    return WEIR_OK;
}

weir_status wr_change_note(struct wr_instance *instance, struct wr_error *error)
{
    const struct wr_change *change = &instance->change;
    const struct {
        const char *name, *list;
        char open, close;
    } parts[] = {{"renamed", change->renamed, '{', '}'},
                 {"dropped", change->dropped, '[', ']'},
                 {"rewound", change->rewound, '{', '}'}};
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    bool any = false;
    for (size_t i = 0; file && i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].list) {
            fprintf(file, "%s\"%s\":%c%s%c", any ? "," : "", parts[i].name, parts[i].open,
                    parts[i].list, parts[i].close);
            any = true;
        }
    }
    if (!file || fclose(file) != 0) {
        free(text);
        return wr_fail_memory(error);
    }
    weir_status status = any ? wr_store_note_change(instance->store, text, error) : WEIR_OK;
    free(text);
    return status;
}

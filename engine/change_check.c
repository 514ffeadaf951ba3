/* change_check.c: what a store holds that the job, as it is now, would lose: refused, with the
 * option that says what to do. See change.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "engine/change.h"
#include "engine/instance.h"
#include "txn/store_change.h"

/* The new name that something probably has: that of a node of its kind that the store does not know
 * yet, the nearest, or the only one. "NEW" when there is no telling. */
static const char *likely_name(struct wr_instance *instance, const struct wr_catalog *catalog,
                               const char *old, enum wr_node_kind kind)
{
    const weir_job *job = instance->job;
    const char **names = wr_arena_alloc(&instance->arena, (job->node_count + 1) * sizeof *names);
    size_t count = 0;
    for (size_t i = 0; names && i < job->node_count; i++) {
        bool known = job->nodes[i]->kind != kind;
        for (size_t j = 0; j < catalog->node_count && !known; j++) {
            known = strcmp(catalog->nodes[j].name, job->nodes[i]->name) == 0;
        }
        if (!known) {
            names[count++] = job->nodes[i]->name;
        }
    }
    if (count == 0) {
        return "NEW";
    }
    names[count] = NULL;
    const char *near = wr_nearest(old, names);
    return near ? near : count == 1 ? names[0] : "NEW";
}

/* Whether something that was a weir_through node is now of another kind. */
static weir_status has_other_kinds(struct wr_instance *instance, bool *has_out,
                                   struct wr_error *error)
{
    struct wr_stored_name *names;
    size_t count;
    *has_out = false;
    WR_TRY(wr_store_names(instance->store, &instance->arena, &names, &count, error));
    for (size_t i = 0; i < count && !*has_out; i++) {
        const struct wr_node *node = wr_change_node(instance->job, names[i].name);
        *has_out = names[i].kind == WR_STORED_THROUGH && node && node->kind != WR_NODE_THROUGH;
    }
    return WEIR_OK;
}

weir_status wr_change_may_touch(struct wr_instance *instance, const struct wr_catalog *catalog,
                                bool *may_out, struct wr_error *error)
{
    bool may = wr_change_asked(instance->options);
    for (size_t i = 0; i < catalog->node_count && !may; i++) {
        const struct wr_stored_node *stored = &catalog->nodes[i];
        const struct wr_node *node = wr_change_node(instance->job, stored->name);
        may = !node || (node->kind == WR_NODE_THROUGH && node->version != stored->version);
    }
    *may_out = may;
    return may ? WEIR_OK : has_other_kinds(instance, may_out, error);
}

/* Every position must belong to a source that the job still has. */
static weir_status check_position(struct wr_instance *instance, const struct wr_catalog *catalog,
                                  const struct wr_position *stored, struct wr_error *error)
{
    const struct wr_node *node = wr_change_node(instance->job, stored->source);
    if (node && node->kind == WR_NODE_SOURCE) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "%.600s has read source `%s` up to %" PRId64 ", and job `%s` no longer has it; "
                   "if it has a new name, start once with --rename %s=%s, else with --drop-state "
                   "%s, which forgets how far it was read",
                   wr_store_info(instance->store)->path, stored->source, stored->next,
                   instance->job->name, stored->source,
                   likely_name(instance, catalog, stored->source, WR_NODE_SOURCE), stored->source);
}

static weir_status check_version(struct wr_instance *instance, const struct wr_stored_node *stored,
                                 const struct wr_node *node, struct wr_error *error)
{
    const char *path = wr_store_info(instance->store)->path;
    if (stored->version > node->version) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "%.600s keeps version %u of the state of node `%s`, and this job knows "
                       "version %u; run the newer job, or start once with --drop-state %s, which "
                       "forgets that state",
                       path, stored->version, stored->name, node->version, stored->name);
    }
    if (stored->version < node->version && !node->upgrade) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "%.600s keeps version %u of the state of node `%s`, and this job has "
                       "version %u without a way to upgrade; pass a function to weir_state, or "
                       "start once with --drop-state %s, which forgets that state",
                       path, stored->version, stored->name, node->version, stored->name);
    }
    return WEIR_OK;
}

static weir_status check_node(struct wr_instance *instance, const struct wr_catalog *catalog,
                              const struct wr_stored_node *stored, struct wr_error *error)
{
    const struct wr_node *node = wr_change_node(instance->job, stored->name);
    if (!stored->stateful) {
        return WEIR_OK;
    }
    if (node && node->kind == WR_NODE_THROUGH) {
        return check_version(instance, stored, node, error);
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "%.600s keeps state or timers of node `%s`, and job `%s` no longer has it; if "
                   "it has a new name, start once with --rename %s=%s, else with --drop-state %s, "
                   "which forgets them",
                   wr_store_info(instance->store)->path, stored->name, instance->job->name,
                   stored->name, likely_name(instance, catalog, stored->name, WR_NODE_THROUGH),
                   stored->name);
}

/* What was decided for an outside sink must not stay behind when the job loses it. */
static weir_status check_outbox(struct wr_instance *instance, const struct wr_catalog *catalog,
                                const struct wr_stored_name *stored, struct wr_error *error)
{
    const struct wr_node *node = wr_change_node(instance->job, stored->name);
    bool forwards =
        node && node->kind == WR_NODE_SINK && instance->sinks[node->index].kind == WR_SINK_OUTBOX;
    if (stored->unsent <= 0 || forwards || strcmp(stored->name, WR_REJECTS_SINK) == 0) {
        return WEIR_OK; /* of --rejects, rejects.c says it */
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "%.600s holds %" PRId64 " records of sink `%s` that are decided and not yet "
                   "forwarded, and in job `%s` %s; run the job as it was once more, which forwards "
                   "them; or start once with --rename %s=%s if it has a new name, or with "
                   "--drop-state %s, which throws them away",
                   wr_store_info(instance->store)->path, stored->unsent, stored->name,
                   instance->job->name, node ? "that goes nowhere outside now" : "it is gone",
                   stored->name, likely_name(instance, catalog, stored->name, WR_NODE_SINK),
                   stored->name);
}

static weir_status check_queued(struct wr_instance *instance, const struct wr_stored_name *stored,
                                struct wr_error *error)
{
    const char *path = wr_store_info(instance->store)->path;
    if (stored->queued == 0 || wr_change_node(instance->job, stored->name)) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "cannot take %" PRId64
                   " dead letter%s of node `%s` in %.400s again: job `%s` no "
                   "longer has that node; if it has a new name, start once with --rename %s=NEW, "
                   "else `weir rejects %.400s --delete --node %s`, or --keep in place of --delete",
                   stored->queued, stored->queued == 1 ? "" : "s", stored->name, path,
                   instance->job->name, stored->name, path, stored->name);
}

weir_status wr_change_check(struct wr_instance *instance, const struct wr_catalog *catalog,
                            struct wr_error *error)
{
    struct wr_stored_name *names;
    size_t count;
    for (size_t i = 0; i < catalog->position_count; i++) {
        WR_TRY(check_position(instance, catalog, &catalog->positions[i], error));
    }
    for (size_t i = 0; i < catalog->node_count; i++) {
        WR_TRY(check_node(instance, catalog, &catalog->nodes[i], error));
    }
    WR_TRY(wr_store_names(instance->store, &instance->arena, &names, &count, error));
    for (size_t i = 0; i < count; i++) {
        WR_TRY(check_outbox(instance, catalog, &names[i], error));
        WR_TRY(check_queued(instance, &names[i], error));
    }
    return WEIR_OK;
}

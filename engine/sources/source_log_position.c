/* source_log_position.c: where a log: source begins to read, and whether that is still in the log
 * that was read so far. With each position goes the identity
 *
 *     store:ID;topic:N[;from:OFFSET:CRC];to:OFFSET:CRC
 *
 * the ends of the batch that the position is in, or behind, and the running CRC of the log there. A
 * position above `from` has read records of that batch: the log must have it. One at `from` has
 * not: the log must have what is before. So a store that was put back to an older copy and has
 * grown again is noticed, to the batch, and nothing else is taken for it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/sources/source_log.h"
#include "txn/base/assert.h"

/* ---- Identity -------------------------------------------------------------------------------- */

void wr_log_show_identity(struct wr_log_partition *partition)
{
    const struct wr_log_identity *identity = &partition->identity;
    size_t size = sizeof partition->text;
    int used = snprintf(partition->text, size, "store:%s;topic:%" PRId64, identity->store,
                        identity->topic);
    if (identity->from >= 0) {
        used += snprintf(partition->text + used, size - (size_t)used,
                         ";from:%" PRId64 ":%08" PRIx32, identity->from, identity->from_crc);
    }
    if (identity->to >= 0) {
        used += snprintf(partition->text + used, size - (size_t)used, ";to:%" PRId64 ":%08" PRIx32,
                         identity->to, identity->to_crc);
    }
    wr_assert_that((size_t)used, <, size);
}

/* ";NAME:OFFSET:CRC" at *at, if it is there. */
static void parse_end(const char **at, const char *name, int64_t *offset_out, uint32_t *crc_out)
{
    int read = 0;
    char format[40];
    snprintf(format, sizeof format, ";%s:%%" SCNd64 ":%%8" SCNx32 "%%n", name);
    if (sscanf(*at, format, offset_out, crc_out, &read) == 2 && read > 0) {
        *at += read;
    } else {
        *offset_out = -1;
    }
}

static bool parse_identity(const char *text, struct wr_log_identity *out)
{
    int read = 0;
    *out = (struct wr_log_identity){.from = -1, .to = -1};
    if (sscanf(text, "store:%32[0-9a-f];topic:%" SCNd64 "%n", out->store, &out->topic, &read) !=
            2 ||
        read == 0) {
        return false;
    }
    const char *at = text + read;
    parse_end(&at, "from", &out->from, &out->from_crc);
    parse_end(&at, "to", &out->to, &out->to_crc);
    return !*at;
}

/* ---- When records are not there -------------------------------------------------------------- */

/* The source's URI without missing=fail, so that another one can be added to it. */
static void without_missing(const char *uri, char out[WR_URI_BYTES_MAX])
{
    static const char fail[] = "missing=fail";
    size_t size = sizeof fail - 1;
    const char *found = uri;
    while ((found = strstr(found, fail)) &&
           (found == uri || !strchr("?&", found[-1]) || !strchr("&", found[size]))) {
        found++;
    }
    if (!found) {
        snprintf(out, WR_URI_BYTES_MAX, "%s", uri);
    } else if (found[size] == '&') {
        snprintf(out, WR_URI_BYTES_MAX, "%.*s%s", (int)(found - uri), uri, found + size + 1);
    } else {
        snprintf(out, WR_URI_BYTES_MAX, "%.*s", (int)(found - uri - 1), uri);
    }
}

/* Where to go on although the position is not there (any more): by ?missing, or 78 with `what`
 * happened. */
static weir_status go_on(struct wr_log_source *log, struct wr_source_partition *partition,
                         const char *what, int64_t *next_out, struct wr_error *error)
{
    const struct wr_extent *extent = &log->follow.extents[partition->index];
    const char *name = log->base.name;
    if (log->missing == WR_LOG_MISSING_FAIL) {
        char uri[WR_URI_BYTES_MAX];
        without_missing(log->uri, uri);
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: topic %s, partition %d, of %.300s: %s; choose where to go on: "
                       "-i '%s=%.300s&missing=earliest' (offset %" PRId64 ", the first that is "
                       "kept) or missing=latest (offset %" PRId64 ", the end), or start once with "
                       "--rewind %s=earliest",
                       name, log->follow.topic.name, (int)partition->index, log->follow.path, what,
                       name, uri, extent->first, extent->next, name);
    }
    *next_out = log->missing == WR_LOG_MISSING_EARLIEST ? extent->first : extent->next;
    wr_log(log->base.env, WR_LOG_WARN,
           "source %s: topic %s, partition %d: %s; going on at offset %" PRId64, name,
           log->follow.topic.name, (int)partition->index, what, *next_out);
    return WEIR_OK;
}

weir_status wr_log_fail_gone(const struct wr_log_source *log, struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_AGAIN,
                   "source %s: topic %s was deleted, or %s was replaced, while it was read; start "
                   "again, which says what can be done",
                   log->base.name, log->follow.topic.name, log->follow.path);
}

/* The offset at which to go on when the position is outside of what is kept. */
weir_status wr_log_check_kept(struct wr_log_source *log, struct wr_source_partition *partition,
                              int64_t *next, struct wr_error *error)
{
    char what[300];
    const struct wr_extent *extent = &log->follow.extents[partition->index];
    if (*next >= extent->first && *next <= extent->next) {
        return WEIR_OK;
    }
    if (log->base.rewound) { /* whatever missing= says: nobody asked for anything else */
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: --rewind: topic %s, partition %d, of %.300s holds offsets from "
                       "%" PRId64 " to %" PRId64 ", so it cannot be read from %" PRId64
                       "; give one "
                       "of these, or earliest",
                       log->base.name, log->follow.topic.name, (int)partition->index,
                       log->follow.path, extent->first, extent->next, *next);
    }
    if (*next < extent->first) {
        snprintf(what, sizeof what,
                 "it was read up to offset %" PRId64 ", and the topic's retention has removed the "
                 "records up to %" PRId64,
                 *next, extent->first - 1);
    } else {
        snprintf(what, sizeof what,
                 "it was read up to offset %" PRId64 " and ends at %" PRId64 " now: the store was "
                 "put back to an older copy, or lost in a power cut what it had not synced",
                 *next, extent->next);
    }
    return go_on(log, partition, what, next, error);
}

/* ---- Positions ------------------------------------------------------------------------------- */

/* The engine says so where a stored partition is not there; with ?missing it does not matter. */
weir_status wr_log_arrange(struct wr_source *source, const struct wr_position *const *stored,
                           size_t count, struct wr_error *error)
{
    const struct wr_log_source *log = wr_log_of(source);
    for (size_t i = 0; i < count && log->missing == WR_LOG_MISSING_FAIL; i++) {
        size_t at = 0;
        while (at < source->partition_count &&
               strcmp(source->partitions[at]->part, stored[i]->part) != 0) {
            at++;
        }
        if (at == source->partition_count) {
            return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                           "source `%s` was read from `%.400s` up to %" PRId64 ", and is now "
                           "`%.400s`, which has no such partition; give the old input (-i %s=URI), "
                           "or missing=earliest or missing=latest with the new one, or start once "
                           "with --rewind %s=earliest",
                           source->name, stored[i]->part, stored[i]->next, log->uri, source->name,
                           source->name);
        }
    }
    return WEIR_OK;
}

/* Why the position is not one of this log; `what` empty: it is. */
static weir_status compare(struct wr_log_source *log, int32_t partition, int64_t next,
                           const struct wr_log_identity *then, char *what, size_t size,
                           struct wr_error *error)
{
    enum wr_same same = WR_SAME_TRIMMED;
    what[0] = '\0';
    if (strcmp(then->store, log->follow.store_id) != 0) {
        snprintf(what, size, "what was read so far, up to offset %" PRId64 ", is in another store",
                 next);
    } else if (then->topic != log->follow.topic.id) {
        snprintf(what, size,
                 "the topic was deleted and made again since it was read up to offset %" PRId64,
                 next);
    } else if (then->to >= 0 && (next > then->from || then->from < 0)) {
        WR_TRY(wr_follow_compare(&log->follow, partition, then->to, then->to_crc, &same, error));
    } else if (then->from >= 0) {
        WR_TRY(
            wr_follow_compare(&log->follow, partition, then->from, then->from_crc, &same, error));
    }
    if (same == WR_SAME_NO && next <= log->follow.extents[partition].next) {
        snprintf(what, size,
                 "it was read up to offset %" PRId64 ", and holds other records below that now: "
                 "the store was put back to an older copy and has grown again",
                 next);
    }
    return WEIR_OK;
}

static weir_status continue_at(struct wr_log_source *log, struct wr_log_partition *partition,
                               const struct wr_position *stored, struct wr_error *error)
{
    struct wr_source_partition *base = &partition->base;
    struct wr_log_identity then;
    char what[300];
    int64_t next = stored->next;
    if (next < 0 || !stored->identity || !parse_identity(stored->identity, &then)) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "source %s: the store's position in partition %s is damaged: %" PRId64
                       ", \"%.160s\"; `weir verify` shows what else is",
                       log->base.name, base->part, next, stored->identity ? stored->identity : "");
    }
    WR_TRY(compare(log, base->index, stored->next, &then, what, sizeof what, error));
    base->next = next;
    if (what[0] && next == 0 && log->missing != WR_LOG_MISSING_LATEST) {
        base->next = log->follow.extents[base->index].first; /* nothing was read of the other one */
        return WEIR_OK;
    }
    if (what[0]) {
        return go_on(log, base, what, &base->next, error);
    }
    WR_TRY(wr_log_check_kept(log, base, &base->next, error));
    if (base->next == next) { /* the same log still, as far as can be known */
        partition->identity = then;
        wr_log_show_identity(partition);
    }
    return WEIR_OK;
}

weir_status wr_log_seek(struct wr_source *source, struct wr_source_partition *partition,
                        const struct wr_position *stored, struct wr_error *error)
{
    struct wr_log_source *log = wr_log_of(source);
    if (stored) {
        return continue_at(log, wr_log_partition_of(partition), stored, error);
    }
    partition->next = log->follow.extents[partition->index].first;
    return WEIR_OK;
}

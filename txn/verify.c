/* verify.c: see verify.h.
 *
 * What holds in a sound store, beyond SQLite's own rules:
 *   - the batches of a partition follow each other without a hole from `first` to `next` of its row
 *     in table partition; their sizes add up to `bytes`; each one's running CRC continues that of
 *     the batch before it, and the last one's is the partition's;
 *   - a batch is whole (format, CRC, every record), and its row says the same as its header;
 *   - epochs are numbered without a gap in the history that is kept; the newest is meta's, and what
 *     it says of positions and offsets is what their tables say;
 *   - a marker lies within its outbox;
 *   - state, timers and watermarks belong to nodes that exist;
 *   - what epochs changed in state is whole (CRC, every change), of epochs that were decided and
 *     of nodes that exist.
 *
 * A snapshot is renewed every now and then, so that a running job's WAL can start over: batches and
 * changes stay what they are, so a walk goes on where it was, and each of the other checks is one
 * query.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/verify_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

void wr_verify_problem(struct wr_verify *verify, const char *format, ...)
{
    if (++verify->problems > PROBLEMS_MAX) {
        if (verify->problems == PROBLEMS_MAX + 1) {
            verify->report(verify->data, "there are more problems than are listed here");
        }
        return;
    }
    char text[WR_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    verify->report(verify->data, text);
}

weir_status wr_verify_settle(struct wr_verify *verify, weir_status status,
                             const struct wr_error *inner, const char *what, struct wr_error *error)
{
    if (status == WEIR_OK) {
        return WEIR_OK;
    }
    if (inner->exit_code == WR_EXIT_DATA || inner->exit_code == WR_EXIT_CONFIG) {
        const char *advice = strstr(inner->text, "; run `weir verify`"); /* which is this */
        int length = advice ? (int)(advice - inner->text) : (int)strlen(inner->text);
        wr_verify_problem(verify, "%s: %.*s", what, length, inner->text);
        return WEIR_OK;
    }
    *error = *inner;
    return status;
}

void wr_verify_renew(struct wr_verify *verify, bool now)
{
    int64_t time_us = verify->env->monotonic_us(verify->env);
    if (now || time_us - verify->snapshot_us > SNAPSHOT_US_MAX) {
        wr_reader_end(verify->reader);
        verify->snapshot_us = time_us;
    }
}

/* ---- Queries whose rows are problems --------------------------------------------------------- */

/* Each query gives sentences; none means that the rule holds. */
struct rule {
    const char *what, *text;
};

#define NEWEST "(SELECT * FROM epoch WHERE number = (SELECT max(number) FROM epoch))"
#define LEVELS(column)                                                                             \
    "(SELECT one.key AS name, two.key AS part, two.value AS next FROM " NEWEST " AS newest,"       \
    " json_each(newest." column ") AS one, json_each(one.value) AS two)"
/* Only exactly-once keeps positions where the newest epoch says: at-least-once stores them later,
 * at-most-once before. They are not behind it, but for a topic's (its identity begins with store:)
 * whose store was replaced and that is read again by ?missing=earliest. */
#define NOT_AT(position)                                                                           \
    position ".next < coalesce(e.next, 0) AND coalesce(" position                                  \
             ".identity, '') NOT LIKE 'store:%' OR e.next IS NOT " position ".next"                \
             " AND coalesce((SELECT value FROM meta WHERE key = 'delivery'), 'exactly-once')"      \
             " = 'exactly-once'"
#define NEWEST_POSITIONS LEVELS("positions")
#define NEWEST_OFFSETS LEVELS("offsets")

/* What table log holds of each partition, by one look at all of it. */
#define HELD                                                                                       \
    "(SELECT topic, partition, min(first_offset) AS low, max(first_offset) AS high,"               \
    " sum(length(batch)) AS size FROM log GROUP BY topic, partition)"

static const struct rule rules[] = {
    {"table meta",
     "SELECT 'table meta has no entry ' || column1 FROM (VALUES('id'), ('job'), ('generation'),"
     " ('incarnation')) WHERE column1 NOT IN (SELECT key FROM meta)"},
    {"table epoch",
     "SELECT 'table epoch has a gap: epoch ' || (number - 1) || ' is missing' FROM epoch"
     " WHERE number > (SELECT min(number) FROM epoch)"
     " AND number - 1 NOT IN (SELECT number FROM epoch)"},
    {"table epoch",
     "SELECT 'meta says that the last epoch is ' || value || ', the newest row of table epoch is '"
     " || coalesce((SELECT max(number) FROM epoch), 0) FROM meta WHERE key = 'epoch'"
     " AND value IS NOT coalesce((SELECT max(number) FROM epoch), 0)"},
    {"table epoch",
     "SELECT 'table epoch: what epoch ' || number || ' says of progress is damaged' FROM " NEWEST
     " WHERE progress IS NOT NULL AND NOT json_valid(progress)"},
    {"table epoch",
     "SELECT 'table epoch: epoch ' || number || ' says that table state has what epoch ' || folded"
     " || ' changed' FROM epoch WHERE folded NOT BETWEEN 0 AND number"},
    {"table position",
     "SELECT 'table position: ' || position.source || ' ' || position.part || ' is at '"
     " || position.next || ', and the newest epoch says ' || coalesce(e.next, 'nothing')"
     " FROM position LEFT JOIN " NEWEST_POSITIONS " AS e ON e.name = position.source"
     " AND e.part = position.part WHERE " NOT_AT("position")},
    {"table position",
     "SELECT 'table position has no row for ' || name || ' ' || part || ', and the newest epoch"
     " says that it is at ' || next FROM " NEWEST_POSITIONS
     " AS e WHERE NOT EXISTS (SELECT 1 FROM position WHERE source = name"
     " AND position.part = cast(e.part AS TEXT))"},
    {"table position",
     "SELECT 'table position: ' || source || ' ' || part || ' is at ' || next FROM position"
     " WHERE next < 0"},
    {"table topic",
     "SELECT 'topic ' || name || ' says ' || outbox || ' where 1 is an outbox and 0 is none'"
     " FROM topic WHERE outbox NOT IN (0, 1)"},
    {"table partition",
     "SELECT 'topic ' || " LOG_NAME " || ' partition ' || partition.partition || ' ends at '"
     " || partition.next || ', and the newest epoch says ' || coalesce(e.next, 0)"
     " FROM partition JOIN topic ON topic.id = partition.topic LEFT JOIN " NEWEST_OFFSETS
     " AS e ON e.name = " LOG_NAME " AND cast(e.part AS INTEGER) = partition.partition"
     " WHERE coalesce(e.next, 0) IS NOT partition.next"},
    {"table partition",
     "SELECT 'topic ' || " LOG_NAME " || ' has ' || topic.partitions || ' partitions, and table"
     " partition ' || (SELECT count(*) FROM partition WHERE topic = topic.id) || ' rows for it'"
     " FROM topic WHERE partitions <> (SELECT count(*) FROM partition WHERE topic = topic.id"
     " AND partition BETWEEN 0 AND topic.partitions - 1)"},
    {"table log",
     "SELECT 'topic ' || " LOG_NAME " || ' partition ' || partition.partition || ' reaches from '"
     " || first || ' to ' || next || ', and table log holds batches of it from ' || low || ' to '"
     " || high FROM partition JOIN topic ON topic.id = partition.topic JOIN " HELD
     " AS held ON held.topic = partition.topic AND held.partition = partition.partition"
     " WHERE low < first OR high >= next"},
    {"table partition",
     "SELECT 'topic ' || " LOG_NAME " || ' partition ' || partition.partition || ' has '"
     " || bytes || ' bytes by its row, and batches of ' || coalesce(size, 0) FROM partition"
     " JOIN topic ON topic.id = partition.topic LEFT JOIN " HELD " AS held"
     " ON held.topic = partition.topic AND held.partition = partition.partition"
     " WHERE coalesce(size, 0) <> bytes"},
    {"table log_seek",
     "SELECT 'topic ' || " LOG_NAME " || ' partition ' || log.partition || ': no row of table"
     " log_seek leads to its batch of offset ' || log.first_offset FROM log JOIN topic"
     " ON topic.id = log.topic WHERE NOT EXISTS (SELECT 1 FROM log_seek AS seek"
     " WHERE seek.topic = log.topic AND seek.partition = log.partition"
     " AND seek.first_offset = (SELECT max(first_offset) FROM log_seek WHERE topic = log.topic"
     " AND partition = log.partition AND first_offset <= log.first_offset)"
     " AND log.id BETWEEN seek.id AND seek.last) GROUP BY log.topic, log.partition"},
    {"table log", "SELECT 'table log has rows of topic ' || topic || ', which does not exist'"
                  " FROM log WHERE topic NOT IN (SELECT id FROM topic) GROUP BY topic"},
    {"table partition",
     "SELECT 'table partition has rows of topic ' || topic || ', which does not exist'"
     " FROM partition WHERE topic NOT IN (SELECT id FROM topic) GROUP BY topic"},
    {"table marker", "SELECT 'the marker of sink ' || sink || ' has no outbox' FROM marker"
                     " WHERE sink NOT IN (SELECT name FROM topic WHERE outbox)"},
    {"table marker",
     "SELECT 'the marker of sink ' || sink || ' is ' || marker.next || ', and its outbox reaches"
     " from ' || partition.first || ' to ' || partition.next FROM marker JOIN topic ON outbox"
     " AND name = sink JOIN partition ON partition.topic = topic.id"
     " WHERE marker.next NOT BETWEEN partition.first AND partition.next"},
    {"table watermark",
     "SELECT 'table watermark has rows of node ' || node || ', which does not exist' FROM watermark"
     " WHERE node NOT IN (SELECT id FROM node) GROUP BY node"},
    {"table changelog",
     "SELECT 'table changelog has changes of epoch ' || epoch || ', and the last epoch is ' || "
     "value"
     " FROM changelog, (SELECT coalesce(max(number), 0) AS value FROM epoch)"
     " WHERE changelog.epoch NOT BETWEEN 1 AND value"},
    {"table progress",
     "SELECT 'table progress has a watermark of node ' || node || ', which does not exist'"
     " FROM node_watermark WHERE node NOT IN (SELECT id FROM node)"},
    {"table progress",
     "SELECT 'table progress has a row of kind ' || kind || ' with a key that means nothing'"
     " FROM progress_now WHERE kind NOT IN (1, 2, 3) OR iif(kind = 1, id <> 0 OR partition <> 0,"
     " source <> '' OR part <> '' OR kind = 3 AND partition <> 0)"},
    {"table retry",
     "SELECT 'table retry has dead letter ' || reject || ', which does not exist' FROM retry"
     " WHERE reject NOT IN (SELECT id FROM reject)"},
};

/* The integrity check also lists that it could not read a page: for lack of memory or because the
 * disk failed, which says nothing about the store. The codes are SQLite's. */
static weir_status check_failed(const char *text, struct wr_error *error)
{
    enum { NO_MEMORY = 7, IO_ERROR = 10 };
    const char *at = text ? strstr(text, "error code=") : NULL;
    long code = at ? strtol(strchr(at, '=') + 1, NULL, 10) : 0;
    if ((code & 0xff) == NO_MEMORY) {
        return wr_fail_memory(error);
    }
    if ((code & 0xff) == IO_ERROR) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_IO,
                       "cannot verify the store: a page cannot be read (%s); check the disk", text);
    }
    return WEIR_OK;
}

static weir_status report_rows(struct wr_verify *verify, struct wr_rows *rows, const char *what,
                               const char *but, struct wr_error *error)
{
    for (bool more = true; more;) {
        WR_TRY(wr_rows_next(rows, &more, error));
        const char *text = more ? wr_rows_text(rows, 0) : NULL;
        bool is_null = more && wr_rows_null(rows, 0);
        if (more && !text && !is_null) {
            return wr_fail_memory(error);
        }
        WR_TRY(check_failed(text, error));
        if (is_null) {
            wr_verify_problem(verify, "%s holds NULL where it must not", what);
        }
        if (text && (!but || strcmp(text, but) != 0)) {
            wr_verify_problem(verify, "%s", text);
        }
    }
    return WEIR_OK;
}

static weir_status check_query(struct wr_verify *verify, const char *what, const char *text,
                               const char *but, struct wr_error *error)
{
    struct wr_error inner = {.status = WEIR_OK};
    struct wr_rows *rows = NULL;
    wr_verify_renew(verify, true);
    weir_status status = wr_rows_open(verify->reader, text, &rows, &inner);
    if (status == WEIR_OK) {
        status = report_rows(verify, rows, what, but, &inner);
    }
    wr_rows_close(rows);
    return wr_verify_settle(verify, status, &inner, what, error);
}

/* ---- Rows of nodes and topics that do not exist ---------------------------------------------- */

/* Whether a node or topic exists, by a query with its id as parameter. */
static weir_status check_each_owner(struct wr_verify *verify, struct wr_rows *next,
                                    struct wr_rows *owner, const char *table, const char *kind,
                                    struct wr_error *error)
{
    int64_t id = INT64_MIN;
    for (bool more = true;;) {
        wr_rows_again(next);
        wr_rows_bind_int(next, 1, id);
        WR_TRY(wr_rows_next(next, &more, error));
        if (!more || wr_rows_null(next, 0)) {
            return WEIR_OK;
        }
        if (wr_rows_int(next, 0) <= id && id != INT64_MIN) {
            wr_verify_problem(verify, "table %s is not in order", table);
            return WEIR_OK;
        }
        id = wr_rows_int(next, 0);
        wr_rows_again(owner);
        wr_rows_bind_int(owner, 1, id);
        WR_TRY(wr_rows_next(owner, &more, error));
        if (!more) {
            wr_verify_problem(verify, "table %s has rows of %s %lld, which does not exist", table,
                              kind, (long long)id);
        }
    }
}

/* Steps from one owner to the next by index, so that a large table costs nothing. */
static weir_status check_owners(struct wr_verify *verify, const char *table, const char *next_text,
                                const char *kind, const char *owner_text, struct wr_error *error)
{
    struct wr_error inner = {.status = WEIR_OK};
    struct wr_rows *next = NULL, *owner = NULL;
    wr_verify_renew(verify, true);
    weir_status status = wr_rows_open(verify->reader, next_text, &next, &inner);
    if (status == WEIR_OK) {
        status = wr_rows_open(verify->reader, owner_text, &owner, &inner);
    }
    if (status == WEIR_OK) {
        status = check_each_owner(verify, next, owner, table, kind, &inner);
    }
    wr_rows_close(next);
    wr_rows_close(owner);
    return wr_verify_settle(verify, status, &inner, table, error);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static weir_status check_all(struct wr_verify *verify, struct wr_error *error)
{
    WR_TRY(check_query(verify, "SQLite's integrity check", "PRAGMA integrity_check(100)", "ok",
                       error));
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        WR_TRY(check_query(verify, rules[i].what, rules[i].text, NULL, error));
    }
    const char *node = "SELECT 1 FROM node WHERE id = ?1";
    WR_TRY(check_owners(verify, "state", "SELECT min(node) FROM state WHERE node > ?1", "node",
                        node, error));
    WR_TRY(check_owners(verify, "timer", "SELECT min(node) FROM timer WHERE node > ?1", "node",
                        node, error));
    WR_TRY(wr_verify_changelog(verify, error));
    return wr_verify_logs(verify, error);
}

weir_status wr_verify(struct wr_env *env, const char *path, wr_verify_fn report, void *data,
                      size_t *problem_count_out, struct wr_error *error)
{
    struct wr_verify verify = {.env = env, .report = report, .data = data};
    *problem_count_out = 0;
    WR_TRY(wr_reader_open(env, path, &verify.reader, error));
    wr_arena_init(&verify.arena, 1024 * 1024);
    weir_status status = check_all(&verify, error);
    wr_arena_fini(&verify.arena);
    wr_reader_close(verify.reader);
    *problem_count_out = verify.problems;
    return status;
}

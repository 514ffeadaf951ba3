/* kafka_check.c: whether a sink's marker fits the store, and where sending goes on.
 *
 * What a marker means, beside the store's row and the log:
 *
 *   marker  row      means
 *   none    none     first run: from 0
 *   none    at end   everything was sent before it went: from the row
 *   none    below    nobody knows how much of the rest was sent: stop (78)
 *   there   any      not above the log's end, not below the row, the same CRC: from the marker
 *   there   any      else the store is a copy or an older backup: stop (78)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/outlets/kafka_forward.h"
#include "txn/store_rows.h"

#define refuse(outlet, error, format, ...)                                                         \
    wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG, "sink %s: " format, (outlet)->name, __VA_ARGS__)

/* ---- Checking -------------------------------------------------------------------------------- */

#define OUTBOX WR_LOG_ROWS("?1", "0")
/* The running CRC of the log below `offset`, where a batch ends there; *known_out false: none does,
 * or it is trimmed. */
static weir_status read_crc(struct wr_kafka_outlet *outlet, int64_t offset, bool *known_out,
                            uint32_t *crc_out, struct wr_error *error)
{
    struct wr_rows *rows = NULL;
    struct wr_reader *reader = outlet->base.reader;
    bool more = false;
    *crc_out = 0;
    *known_out = offset == 0;
    if (offset == 0) {
        return WEIR_OK;
    }
    WR_TRY(wr_rows_open(reader,
                        "SELECT crc FROM partition WHERE topic = ?1 AND partition = 0 AND next = ?2"
                        " UNION ALL SELECT crc FROM (SELECT log.first_offset, count, crc FROM"
                        " " OUTBOX " WHERE seek.first_offset < ?2 AND log.first_offset < ?2"
                        " ORDER BY seek.first_offset DESC, log.id DESC LIMIT 1)"
                        " WHERE first_offset + count = ?2",
                        &rows, error));
    wr_rows_bind_int(rows, 1, outlet->base.log->topic);
    wr_rows_bind_int(rows, 2, offset);
    weir_status status = wr_rows_next(rows, &more, error);
    if (status == WEIR_OK && more) {
        *known_out = true;
        *crc_out = (uint32_t)wr_rows_int(rows, 0);
    }
    wr_reader_end(reader);
    wr_rows_close(rows);
    return status;
}

#define OTHER_STORE                                                                                \
    "this store is an older backup, or another copy of it was run. Go on with the copy that sent " \
    "last; or start once with --drop-state %s, which forgets this sink and sends from then on"

/* The log's own end may have moved since the open, when the brokers were away meanwhile. */
static weir_status log_end(struct wr_kafka_outlet *outlet, int64_t *end_out, struct wr_error *error)
{
    struct wr_rows *rows = NULL;
    bool more = false;
    *end_out = outlet->log_end;
    WR_TRY(wr_rows_open(outlet->base.reader,
                        "SELECT next FROM partition WHERE topic = ?1 AND partition = 0", &rows,
                        error));
    wr_rows_bind_int(rows, 1, outlet->base.log->topic);
    weir_status status = wr_rows_next(rows, &more, error);
    if (status == WEIR_OK && more) { /* none: it is made by the start that is going on */
        *end_out = wr_rows_int(rows, 0);
    }
    wr_reader_end(outlet->base.reader);
    wr_rows_close(rows);
    return status;
}

static weir_status check_found(struct wr_kafka_outlet *outlet, struct wr_error *error)
{
    const struct wr_kafka_marker *found = &outlet->found;
    int64_t end = 0, row = outlet->row.identity ? outlet->row.next : 0;
    bool known = false;
    uint32_t crc = 0;
    WR_TRY(log_end(outlet, &end, error));
    if (found->at.next > end) {
        return refuse(outlet, error,
                      "its marker on topic %s says that %" PRId64
                      " records were sent, and its log in the store ends at %" PRId64
                      ": records %" PRId64 " to %" PRId64
                      " were sent from elsewhere, and what this store would send next comes after "
                      "them; " OTHER_STORE,
                      outlet->topic, found->at.next, end, end, found->at.next - 1, outlet->name);
    }
    if (found->at.next < row) {
        return refuse(outlet, error,
                      "its marker on topic %s is %" PRId64 ", and %" PRId64
                      " records were sent: the marker was taken back, or it is another cluster's. "
                      "Records %" PRId64 " to %" PRId64
                      " are no longer in the store; delete the offset of group %s and start with "
                      "--marker-from store to go on behind them",
                      outlet->topic, found->at.next, row, found->at.next, row - 1, outlet->group);
    }
    WR_TRY(read_crc(outlet, found->at.next, &known, &crc, error));
    if (!known && row == found->at.next) {
        known = true;
        crc = (uint32_t)outlet->row.crc;
    }
    if (!known || crc != found->at.crc) {
        return refuse(outlet, error,
                      "its marker on topic %s, %" PRId64
                      " records, does not fit the log in the store: other records than these were "
                      "sent up to there, so the %" PRId64 " from record %" PRId64
                      " on are not what would follow them; " OTHER_STORE,
                      outlet->topic, found->at.next, end - found->at.next, found->at.next,
                      outlet->name);
    }
    outlet->settled = found->at;
    return WEIR_OK;
}

/* There is no marker, and the store has a row. */
static weir_status check_lost(struct wr_kafka_outlet *outlet, struct wr_error *error)
{
    int64_t next = outlet->row.next;
    if (next != outlet->log_end && !outlet->forward->from_store) {
        return refuse(
            outlet, error,
            "its marker is gone (the committed offset of group %s on topic %s: it "
            "expired, or it or the topic was deleted), and records %" PRId64 " to %" PRId64
            " of its log may or may not have been sent. Compare with the last records of "
            "the topic, and start with --marker-from store to send from record %" PRId64 " on",
            outlet->group, outlet->topic, next, outlet->log_end - 1, next);
    }
    wr_log(outlet->base.env, WR_LOG_WARN,
           "sink %s: its marker, the committed offset of group %s on topic %s, is gone; %s, record "
           "%" PRId64,
           outlet->name, outlet->group, outlet->topic,
           next == outlet->log_end ? "all before was sent, and sending goes on from the store's"
                                   : "sending goes on from the store's",
           next);
    outlet->settled = (struct wr_kafka_point){next, (uint32_t)outlet->row.crc};
    return WEIR_OK;
}

/* After a doubt: one of the two places between which it was, by this very process. */
static weir_status check_own(struct wr_kafka_outlet *outlet, struct wr_error *error)
{
    const struct wr_kafka_marker *found = &outlet->found;
    const struct wr_kafka_point *settled = &outlet->settled, *marked = &outlet->marked;
    if (!found->found) {
        return refuse(outlet, error,
                      "its marker, the committed offset of group %s on topic %s, vanished during "
                      "the run; start again, which says what can be done",
                      outlet->group, outlet->topic);
    }
    if (found->incarnation != outlet->forward->incarnation) {
        return refuse(outlet, error,
                      "another copy of this store has taken over sending to topic %s (incarnation "
                      "%016" PRIx64 ", this one is %016" PRIx64
                      "). Run one of them only; the other can go on under a new name of the sink, "
                      "or with --drop-state %s",
                      outlet->topic, found->incarnation, outlet->forward->incarnation,
                      outlet->name);
    }
    bool before = found->at.next == settled->next && found->at.crc == settled->crc;
    bool after = found->at.next == marked->next && found->at.crc == marked->crc;
    if (!before && !after) {
        return refuse(outlet, error,
                      "its marker on topic %s is %" PRId64 ", which this run has not sent (%" PRId64
                      " or %" PRId64
                      "); another program changed it; start again, which says what can be done",
                      outlet->topic, found->at.next, settled->next, marked->next);
    }
    outlet->settled = found->at;
    return WEIR_OK;
}

/* Once: the decide thread may be writing it. */
void wr_kafka_identify(struct wr_kafka_outlet *outlet)
{
    if (!*outlet->identity) {
        snprintf(outlet->identity, sizeof outlet->identity, "cluster:%s;topic:%s;group:%s",
                 outlet->forward->cluster, outlet->topic, outlet->group);
    }
}

/* Whether the row is of this cluster and topic. */
static weir_status check_identity(struct wr_kafka_outlet *outlet, struct wr_error *error)
{
    const char *row = outlet->row.identity;
    wr_kafka_identify(outlet);
    if (!row || strcmp(row, outlet->identity) == 0 || outlet->forward->from_store) {
        return WEIR_OK;
    }
    if (strncmp(row, "cluster:", 8) != 0) {
        return refuse(outlet, error,
                      "its output went to %.200s until now, not to Kafka; give it that again, or "
                      "start once with --drop-state %s, which forgets that",
                      row, outlet->name);
    }
    return refuse(outlet, error,
                  "it sent to %.300s until now, and this is %.300s; give it that topic again, or "
                  "start once with --drop-state %s to begin with a new one, or with --marker-from "
                  "store when all that was sent is in this one too",
                  row, outlet->identity, outlet->name);
}

static weir_status check_ends(struct wr_kafka_outlet *outlet, struct wr_error *error)
{
    int64_t known = outlet->found.found ? outlet->found.ends : outlet->row.length;
    int64_t now = wr_kafka_ends_sum(outlet);
    if (!outlet->row.identity && !outlet->found.found) {
        return WEIR_OK;
    }
    if (now >= known || outlet->forward->from_store) {
        return WEIR_OK;
    }
    return refuse(outlet, error,
                  "topic %s is not the one that was sent to: its partitions end at %" PRId64
                  " in all, and ended at %" PRId64
                  "; it was deleted and made again, or its end was cut off. What was sent is gone "
                  "from it; start with --marker-from store to send what comes next all the same",
                  outlet->topic, now, known);
}

weir_status wr_kafka_markers_check(struct wr_kafka_forward *forward, bool resumes,
                                   struct wr_error *error)
{
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        if (resumes) {
            WR_TRY(check_own(at, error));
            continue;
        }
        WR_TRY(check_identity(at, error));
        at->found.found = at->found.found && !at->forget;
        if (at->found.found) {
            WR_TRY(check_found(at, error));
        } else if (at->row.identity) {
            WR_TRY(check_lost(at, error));
        } else {
            at->settled = (struct wr_kafka_point){0, 0};
        }
        WR_TRY(check_ends(at, error));
    }
    return WEIR_OK;
}

/* store_ledger.h: what table `progress` says, in memory: where positions, the ends of logs and the
 * watermarks of nodes are now.
 *
 * An epoch does not write to that table. What changed is the *tail*: JSON in the epoch's own row,
 * which its transaction writes anyway. The newest epoch's tail overrides the table's rows with the
 * same key, and holds all that changed since they were last written, so that only this one counts:
 *
 *   progress │ row, row, row, ...   ◀─ overridden by ─ newest row of epoch │ tail: [[row],[row]]
 *
 * The views position, partition and node_watermark show the two as one. A tail that has grown long
 * (many partitions) is written to the table, in the transaction at hand, and is empty again.
 *
 * The ledger is read when a transaction first needs it, and forgotten when one fails, or when
 * something else is about to change the table (wr_store_settle). Thread: the store's.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_STORE_LEDGER_H
#define WR_STORE_LEDGER_H

#include "txn/base/bytes.h"
#include "txn/epoch.h"

struct wr_store;

/* The kinds of rows. */
enum { WR_LEDGER_POSITION = 1, WR_LEDGER_PARTITION = 2, WR_LEDGER_NODE = 3 };

struct wr_ledger_row {
    int kind;
    bool in_tail, idle;
    int64_t id; /* of the topic, of the node */
    int32_t partition;
    const char *source, *part; /* empty where the kind has none */
    int64_t first, next, bytes, crc, watermark_ms;
    char *identity; /* NULL: none */
    size_t identity_room;
    const char *log; /* of a partition: the log's name in the epoch's offsets */
    int64_t seek; /* of a partition: the id of its last row in log_seek, 0: none */
};

struct wr_ledger {
    bool loaded;
    bool changed; /* by the transaction at hand */
    struct wr_ledger_row **rows; /* by kind, id, partition, source, part */
    size_t count, room;
    struct wr_map map;
    struct wr_arena arena; /* of the rows */
    size_t in_tail;
    int64_t log_id; /* the next row of table log gets it */
    int64_t folded; /* table state has what epochs up to this changed */
    struct wr_buffer positions, offsets, tail; /* JSON, made for the epoch's row */
};

void wr_ledger_init(struct wr_ledger *ledger);
void wr_ledger_fini(struct wr_ledger *ledger);
/* What it says is no longer known. */
void wr_ledger_forget(struct wr_ledger *ledger);

/* Reads it unless it is there. Within a transaction, as all of these. */
weir_status wr_ledger_load(struct wr_store *store, struct wr_error *error);
/* A partition that a topic has. Who changes the row says so. */
weir_status wr_ledger_partition(struct wr_store *store, int64_t topic, int32_t partition,
                                struct wr_ledger_row **row_out, struct wr_error *error);
void wr_ledger_changed(struct wr_ledger *ledger, struct wr_ledger_row *row);
weir_status wr_ledger_position(struct wr_store *store, const struct wr_position *position,
                               struct wr_error *error);
weir_status wr_ledger_node(struct wr_store *store, const struct wr_node_watermark *node,
                           struct wr_error *error);

/* For an epoch's row: makes the three texts of it. */
weir_status wr_ledger_write(struct wr_store *store, struct wr_error *error);
/* For a transaction without an epoch: what it changed goes into the newest epoch's row. */
weir_status wr_ledger_rewrite(struct wr_store *store, struct wr_error *error);

/* Writes the tail to table `progress`, by SQL alone, and forgets the ledger: before anything else
 * changes that table. */
weir_status wr_store_settle(struct wr_store *store, struct wr_error *error);

#endif

/* scratch_store.h: a store in a folder of its own, with one of each kind of sink and two nodes, for
 * tests that fill epochs by hand.
 *
 *     struct scratch *s = scratch_new();
 *     scratch_open(s);                          // opens and defines
 *     scratch_begin(s);                         // fill s->epoch through wr_epoch_ functions
 *     scratch_decide(s);
 *     scratch_free(s);                          // the folder goes too
 *
 * What fails ends the test with the error's text. The helpers that return a status do not.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_SCRATCH_STORE_H
#define TEST_SCRATCH_STORE_H

#include "txn/changelog.h"
#include "txn/store.h"

enum {
    SCRATCH_TABLE, /* table:counts, of bytes as they come */
    SCRATCH_NUMBERS, /* table:numbers, integer to real */
    SCRATCH_LOG, /* log:out of three partitions */
    SCRATCH_OUTBOX, /* of a sink `file` */
    SCRATCH_NULL,
    SCRATCH_SINKS
};
enum { SCRATCH_NODES = 2, SCRATCH_PARTITIONS = 3 };

struct scratch {
    char folder[64];
    char path[96]; /* of the store */
    struct wr_env env;
    struct wr_error error;
    struct wr_arena arena; /* of what readers return; reset as the test likes */
    struct wr_store *store;
    struct wr_reader *reader; /* opened when first asked for */
    struct wr_sink sinks[SCRATCH_SINKS];
    struct wr_node_definition nodes[SCRATCH_NODES];
    struct wr_epoch epoch;
    bool has_epoch;
    uint64_t unit;
    int64_t now_ms; /* the wall clock, which stands still */
};

struct scratch *scratch_new(void);
void scratch_free(struct scratch *s);

void scratch_must(struct scratch *s, weir_status status);
/* Fails the test unless the status is a failure with this exit code and a text that contains this;
 * clears the error. */
void scratch_must_fail(struct scratch *s, weir_status status, enum wr_exit exit_code,
                       const char *contains);

/* Opens the store of job `test` and defines it; the status of the first that fails. */
weir_status scratch_try_open(struct scratch *s);
void scratch_open(struct scratch *s);
void scratch_close(struct scratch *s); /* store, reader and epoch: what a crash does */
struct wr_reader *scratch_reader(struct scratch *s);

/* A new epoch, empty and filling. */
void scratch_begin(struct scratch *s);
/* What the filling epoch changed in state goes into table `state` with it; runs do that later, in
 * slices. scratch_decide does it. */
void scratch_fold(struct scratch *s);
weir_status scratch_try_decide(struct scratch *s, const struct wr_marker *markers, size_t count);
void scratch_decide(struct scratch *s);

void scratch_put(struct scratch *s, uint32_t node, weir_bytes key, weir_bytes slot,
                 weir_bytes value);
void scratch_timer(struct scratch *s, uint32_t node, weir_bytes key, weir_bytes name, bool clock,
                   int64_t time_ms);
void scratch_row(struct scratch *s, size_t sink, const char *key, const char *value);
/* Records `first` to `first + count - 1`, each its number as decimal text, to one partition. */
void scratch_append(struct scratch *s, size_t sink, int32_t partition, int first, int count);
/* The position of source `in`, part `0`. */
void scratch_position(struct scratch *s, int64_t next);

/* SQL: what the newest epoch says of table `progress` is in that table. */
#define SCRATCH_SETTLE                                                                             \
    "INSERT OR REPLACE INTO progress SELECT * FROM progress_tail; UPDATE epoch SET progress = "    \
    "NULL;"
/* Runs SQL on the file as the sqlite3 program would, past weir. */
void scratch_sql(struct scratch *s, const char *text);
/* The first column of the first row of a query, as text that stays until the arena is reset; "-"
 * for NULL or no row. */
const char *scratch_query(struct scratch *s, const char *text);

#endif

/* limits.h: every limit of weir, with its reason. Input over a limit is a reject or a clear error.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_LIMITS_H
#define WR_LIMITS_H

/* Key, value and headers of one record together: Kafka's default message.max.bytes. */
#define WR_RECORD_BYTES_MAX (1024 * 1024)
/* A batch of an embedded topic holds at most this much and one record: large enough that SQLite's
 * cost per row does not show, small enough to read into memory without a thought. */
#define WR_BATCH_BYTES_MAX (1024 * 1024)
/* What one epoch may hold in memory before it is sealed: half of 16 MiB, since there are two. */
#define WR_EPOCH_BYTES_MAX (8 * 1024 * 1024)
/* A unit that alone needs more than this cannot be decided in bounded memory: it fails. */
#define WR_UNIT_BYTES_MAX (16 * 1024 * 1024)
#define WR_EPOCH_RECORDS_DEFAULT 262144 /* larger epochs coalesce more; see the measurements */
#define WR_EPOCH_RECORDS_MAX 16777216
#define WR_EPOCH_MS_DEFAULT 100
#define WR_EPOCH_MS_MAX 3600000
#define WR_CACHE_BYTES_DEFAULT (64LL * 1024 * 1024)
#define WR_WAL_BYTES_MAX_DEFAULT (4LL * 1024 * 1024 * 1024) /* --wal-max */
#define WR_WAL_BYTES_WARN (256LL * 1024 * 1024) /* a foreign reader holds a snapshot: say so */
#define WR_WAL_BYTES_CHECKPOINT (4LL * 1024 * 1024) /* checkpoint from here on; decides p99 */
/* The same while transactions are small on average: then few of them wait for a checkpoint. */
#define WR_WAL_BYTES_CHECKPOINT_SMALL (16LL * 1024 * 1024)
#define WR_WAL_BYTES_SMALL (32 * 1024) /* of a transaction */

#define WR_NAME_BYTES_MAX 64 /* of nodes, sources, sinks, topics: fits a terminal column */
/* Offsets, epochs, generations, row numbers: no store gets there, so what is above is damage, and
 * what is below can be added to without a thought. */
#define WR_COUNTER_MAX (INT64_MAX / 2)
#define WR_URI_BYTES_MAX 4096 /* PATH_MAX of Linux */
#define WR_NODES_MAX 1024 /* the graph is walked depth first on the C stack */
#define WR_STACK_BYTES (WR_NODES_MAX * 64 * 1024) /* of that walk, whatever `ulimit -s` says */
#define WR_INPUTS_MAX 64 /* inputs of one node */
#define WR_SIDES_MAX 16 /* side outputs of one node, 0 included */
#define WR_PARTITIONS_MAX 4096 /* of one topic or source: Kafka's advice for one broker */
#define WR_HEADERS_MAX 1024 /* of one record */
#define WR_STATE_KEY_BYTES_MAX WR_RECORD_BYTES_MAX /* key + slot, key + timer name */
#define WR_DEPTH_MAX WR_NODES_MAX
#define WR_FAILURES_MAX 5 /* counted failures of one origin before the run stops */
#define WR_POLL_RECORDS_MAX 1024 /* records of one poll: bounds latency between seals */
#define WR_POLL_BYTES_MAX (256 * 1024) /* bytes of one poll, and one record */
#define WR_KAFKA_ENDS_MS_MAX 60000 /* a run to --until-end waits so long to learn where that is */
#define WR_TIMERS_LOADED_MAX 65536 /* due timers kept in memory for each node and clock */
#define WR_SCAN_ROWS 256 /* rows of one step of a scan */
#define WR_REJECTS_MAX_DEFAULT 1000000 /* dead letters kept; more are no accident: stop and look */
#define WR_EPOCH_HISTORY 10000 /* decided epochs kept in table epoch */
/* A sink that was never sent to is looked at before anything is decided: a start waits so long for
 * its outside; and so long for one that was, before it goes on without. */
#define WR_OUTSIDE_WAIT_MS 60000
#define WR_OUTSIDE_LOOK_MS 10000
#define WR_BACKLOG_BYTES_DEFAULT (1024LL * 1024 * 1024) /* of log that waits for a Kafka sink */
#define WR_SQL_FILE_BYTES_MAX (1024 * 1024) /* of an sql: sink: nobody writes more by hand */
#define WR_ERROR_TEXT_MAX 1024
#define WR_REASON_BYTES_MAX 1024 /* of one dead letter */

#endif

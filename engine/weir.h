/* weir.h: write a stream job in C, run it exactly once.
 *
 * A job is a graph of operators between sources and sinks. weir feeds it records, keeps its state,
 * and decides what it did, outputs and consumed offsets together, in one transaction: whatever
 * crashes in between, each record takes effect once. A whole job:
 *
 *     static void shout(weir_ctx *ctx, const weir_record *in, void *arg)
 *     {
 *         weir_record out = *in;                     // key, time and headers go along
 *         out.value = upper(ctx, in->value);
 *         weir_emit(ctx, &out);
 *     }
 *     WEIR_JOB(job)
 *     {
 *         weir_stream *lines = weir_from(job, "lines", "file:in.txt");
 *         weir_into(weir_through(lines, "shout", shout, NULL), "out", "log:out");
 *     }
 *
 * Build it as a shared object (`cc -shared -fPIC -o shout.so shout.c`) for `weir run ./shout.so`,
 * or link it with libweir and a main of one line, `return weir_main(weir_define, argc, argv);`.
 *
 * Lifetimes, and no others: *call* (until the operator function returns), *epoch*, *job*.
 * Everything passed to a function here is copied. Thread: weir_define and what builds a graph run
 * on the thread that opens the job; context functions (those that take a weir_ctx) only on the
 * operator thread, inside the call that got the context.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_H
#define WEIR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEIR_BEGIN_C extern "C" {
#define WEIR_END_C }
#else
#define WEIR_BEGIN_C
#define WEIR_END_C
#endif

WEIR_BEGIN_C

#define WEIR_VERSION "0.1.0"
#define WEIR_ABI                                                                                   \
    1 /* raised when a job must be compiled again; another mark is refused with exit code 78 */

#if defined(__GNUC__)
#define WEIR_EXPORT __attribute__((visibility("default")))
#define WEIR_PRINTF(format_index, first_index)                                                     \
    __attribute__((format(printf, format_index, first_index)))
#else
#define WEIR_EXPORT
#define WEIR_PRINTF(format_index, first_index)
#endif

/* ---- Values ---------------------------------------------------------------------------------- */

/* A run of bytes. data NULL: absent (Kafka's null); size 0 with data not NULL: empty. The two are
 * different everywhere, in keys, values, slots and headers. Not ended by NUL. */
typedef struct weir_bytes {
    const void *data;
    size_t size;
} weir_bytes;

typedef struct weir_header {
    const char *name; /* NUL-ended */
    weir_bytes value;
} weir_header;

/* A record. key + value + headers are at most 1 MiB (Kafka's default). */
typedef struct weir_record {
    weir_bytes key, value;
    int64_t time_ms; /* event time, milliseconds since 1970 UTC */
    const weir_header *headers;
    size_t header_count;
    weir_bytes old; /* in a stream of table changes: the value this one replaces; sinks ignore it */
} weir_record;

/* What to do about a failure; the cause is text. */
typedef enum weir_status {
    WEIR_OK,
    WEIR_RETRY, /* wait, then the same again */
    WEIR_ABORT, /* undo the epoch, then the same again, at most five times for one origin */
    WEIR_FATAL, /* stop */
    WEIR_MISUSE, /* a mistake in the job or in what was asked: stop */
} weir_status;

typedef struct weir_job weir_job;
typedef struct weir_stream weir_stream;
typedef struct weir_ctx weir_ctx;

/* The bytes of a C string without its NUL; NULL gives absent. */
static inline weir_bytes weir_text(const char *text)
{
    weir_bytes bytes = {text, 0};
    while (text && text[bytes.size]) {
        bytes.size++;
    }
    return bytes;
}

/* ---- Operators ------------------------------------------------------------------------------- */

/* An operator runs once for each record and once for each due timer (in == NULL). It may run again
 * after an undone epoch, but only one run counts: it may do anything through ctx, and nothing else
 * that lasts. `in`, weir_key and all that weir_get, weir_scan, weir_i64 return stay valid until the
 * function returns, also across an emit and a put.
 *
 * There is no status to check: a context call that fails marks the epoch, which is then undone
 * whatever the operator goes on to do (weir_get returns absent, weir_scan visits nothing). */
typedef void (*weir_fn)(weir_ctx *ctx, const weir_record *in, void *arg);

/* Called for each slot of a scan; false ends the scan. */
typedef bool (*weir_visit_fn)(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg);

/* The event time of a record, in milliseconds. It must depend on the record alone. */
typedef int64_t (*weir_time_fn)(const weir_record *in, void *arg);

/* Turns one stored value of an older state version into today's; see weir_state. Returns absent to
 * drop the slot. What it returns must stay valid until the next call. */
typedef weir_bytes (*weir_upgrade_fn)(weir_ctx *ctx, unsigned from_version, weir_bytes slot,
                                      weir_bytes value, void *arg);

/* The key at hand, on timers too. */
WEIR_EXPORT weir_bytes weir_key(const weir_ctx *ctx);
/* The record's event time, or the time for which the timer was set (of a clock timer: wall clock).
 */
WEIR_EXPORT int64_t weir_time(const weir_ctx *ctx);
/* This node's watermark: no earlier event time is expected. INT64_MIN: nothing is known yet. While
 * a timer fires, the watermark still stands where it was before. */
WEIR_EXPORT int64_t weir_watermark(const weir_ctx *ctx);
/* 0: weir_through's stream; 1, 2, ...: those of weir_with. */
WEIR_EXPORT unsigned weir_input(const weir_ctx *ctx);
/* The name of the timer that is due; absent on records. */
WEIR_EXPORT weir_bytes weir_timer(const weir_ctx *ctx);

/* Where the record came from: source name, partition index, offset (a byte offset for files). On a
 * timer: source NULL, partition -1, offset -1. Each pointer may be NULL. */
WEIR_EXPORT void weir_origin(const weir_ctx *ctx, const char **source, int32_t *partition,
                             int64_t *offset);

/* A record with this call's key, time and headers, and the given value. */
WEIR_EXPORT weir_record weir_reply(const weir_ctx *ctx, weir_bytes value);

/* Hands a record to this node's successors, which run before the call returns. */
WEIR_EXPORT void weir_emit(weir_ctx *ctx, const weir_record *out);
/* The same to the successors of weir_side(node, side); side 0 is weir_emit's. */
WEIR_EXPORT void weir_emit_to(weir_ctx *ctx, unsigned side, const weir_record *out);

/* State: for each node and key, a map of slots. An absent slot is a name like any other, the
 * natural one where a key has one value. weir_get returns absent when nothing is stored; weir_put
 * with an absent value removes. */
WEIR_EXPORT weir_bytes weir_get(weir_ctx *ctx, weir_bytes slot);
WEIR_EXPORT void weir_put(weir_ctx *ctx, weir_bytes slot, weir_bytes value);

/* Visits the slots in [from, to) of this key in byte order (the absent slot first), as they were
 * when the scan started: puts made while visiting are not seen. An absent bound is open. */
WEIR_EXPORT void weir_scan(weir_ctx *ctx, weir_bytes from, weir_bytes to, weir_visit_fn visit,
                           void *arg);

/* Sets a timer in event time: the operator runs with in == NULL once this node's watermark reaches
 * time_ms. There is one timer per node, key and name: setting it again moves it, INT64_MAX cancels
 * it. */
WEIR_EXPORT void weir_wake(weir_ctx *ctx, weir_bytes timer, int64_t time_ms);
/* Sets a timer on the wall clock, delay_ms from now (the same timer, were it set by weir_wake). Its
 * firing is decided with its epoch: a crash before that fires it again later, never twice. */
WEIR_EXPORT void weir_wake_clock(weir_ctx *ctx, weir_bytes timer, int64_t delay_ms);

/* Sends what this call got to the dead letters, with a reason; the call must have no other effect:
 * after a put, emit or wake of the same call, and before one, it is misuse. */
WEIR_EXPORT void weir_reject(weir_ctx *ctx, const char *why);

/* Whether this call has rejected what it got. */
WEIR_EXPORT bool weir_rejected(const weir_ctx *ctx);

/* Undoes the epoch. WEIR_RETRY: wait and run again, uncounted; WEIR_ABORT: run again, counted, and
 * the fifth failure of one record or timer stops the run, or, with --on-error reject, makes it a
 * dead letter; WEIR_FATAL: stop now. */
WEIR_EXPORT void weir_fail(weir_ctx *ctx, weir_status status, const char *format, ...)
    WEIR_PRINTF(3, 4);

/* 8 bytes that sort as numbers do. */
WEIR_EXPORT weir_bytes weir_i64(weir_ctx *ctx, int64_t value);
/* The number in 8 such bytes; false, and *out unchanged, when they are not 8 bytes. */
WEIR_EXPORT bool weir_to_i64(weir_bytes bytes, int64_t *out);
/* Memory for this call: aligned for any type up to 8 bytes, not zeroed. NULL when memory ran out:
 * the epoch is then undone and the run ends with 75; return at once. */
WEIR_EXPORT void *weir_scratch(weir_ctx *ctx, size_t size);

/* ---- Jobs ------------------------------------------------------------------------------------ */

/* Defines a job: WEIR_JOB(job) { ... }. It runs once for each instance; configuration behind `arg`
 * comes from weir_alloc, never from statics, and mutable memory behind `arg` must not affect
 * results. Building never fails midway: the first mistake sticks, and `weir run` reports it. Only a
 * stream that is NULL, which belongs to no job, ends the process with a message, and 64. */
#define WEIR_JOB(job)                                                                              \
    WEIR_BEGIN_C                                                                                   \
    WEIR_EXPORT extern const unsigned weir_abi_mark;                                               \
    WEIR_EXPORT void weir_define(weir_job *job);                                                   \
    WEIR_END_C                                                                                     \
    const unsigned weir_abi_mark = WEIR_ABI;                                                       \
    void weir_define(weir_job *job)

/* The job's name, which names the store; default: the file's base name. */
WEIR_EXPORT void weir_name(weir_job *job, const char *name);

/* A source. `uri` is the default, `-i name=URI` overrides it; NULL: -i must be given. Names of
 * nodes, sources and sinks are 1 to 64 of [A-Za-z0-9_.-] and unique in the job. */
WEIR_EXPORT weir_stream *weir_from(weir_job *job, const char *name, const char *uri);

/* A node that gives records their event time (fn NULL: the one they have) and makes watermarks: for
 * each source partition the largest time seen minus out_of_order_ms, moved after every record; the
 * lowest of all partitions counts. A partition without records for idle_ms of wall clock holds
 * nothing back (0: it always does). Without this node, the time is the source's own and in order.
 */
WEIR_EXPORT weir_stream *weir_times(weir_stream *in, const char *name, weir_time_fn fn, void *arg,
                                    int64_t out_of_order_ms, int64_t idle_ms);

/* A node that runs fn for each record of `in`, and for its due timers. */
WEIR_EXPORT weir_stream *weir_through(weir_stream *in, const char *name, weir_fn fn, void *arg);
/* Gives a weir_through node one more input and returns its number; a cycle is an error. */
WEIR_EXPORT unsigned weir_with(weir_stream *node, weir_stream *in);
/* What weir_emit_to(ctx, side, ...) emits; side 1 to 15. */
WEIR_EXPORT weir_stream *weir_side(weir_stream *node, unsigned side);
/* A sink. `uri` is the default, `-o name=URI` overrides it; NULL: -o must be given. */
WEIR_EXPORT void weir_into(weir_stream *in, const char *name, const char *uri);

/* The version of what this node keeps in state (default 1). A store that has an older version is
 * upgraded by fn, slot by slot, in one transaction at start; without fn, or with a newer version in
 * the store, the run is refused (78). */
WEIR_EXPORT void weir_state(weir_stream *node, unsigned version, weir_upgrade_fn fn, void *arg);

/* The value of -D name=value, else the fallback. Valid as long as the job. */
WEIR_EXPORT const char *weir_option(weir_job *job, const char *name, const char *fallback);
/* Refuses the job, as for an option that makes no sense: the run, and `--check`, end with 64 and
 * this text. The first mistake sticks; defining goes on. */
WEIR_EXPORT void weir_refuse(weir_job *job, const char *format, ...) WEIR_PRINTF(2, 3);
/* The job that a stream belongs to: for operators, which are given a stream and need memory. */
WEIR_EXPORT weir_job *weir_job_of(weir_stream *stream);
/* Memory for configuration: zeroed, freed with the job. Never NULL: a process that has none left
 * ends with exit code 75. */
WEIR_EXPORT void *weir_alloc(weir_job *job, size_t size);
/* Has fn called when the job is closed, before its memory is freed, the last one given first: for
 * what memory cannot hold, such as an open file. A killed process calls nothing. */
WEIR_EXPORT void weir_at_close(weir_job *job, void (*fn)(void *arg), void *arg);

/* The `weir` program with this one job built in: the options and exit codes of `weir run`, without
 * its JOB.so argument. */
WEIR_EXPORT int weir_main(void (*define)(weir_job *), int argc, char **argv);

WEIR_END_C

#endif

/* file_run.h: a run over a file: source without an engine: it polls, keeps what came as text, and
 * stores positions as a seal does, so that the next run goes on from there. Time stands still but
 * for run_wait.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FILE_RUN_H
#define FILE_RUN_H

#include "engine/sources/source.h"
#include "txn/base/env.h"

enum { RUN_PARTS_MAX = 64 };

struct file_run {
    struct wr_env env;
    struct wr_arena arena;
    struct wr_source *source;
    struct wr_polled polled;
    struct wr_error error;
    int64_t clock_us;
    bool rewound, until_end, ended; /* ended: every partition has said that it is read to its end */
    char text[4096]; /* records since run_start or run_clear, as VALUE| */
    char log[4096]; /* warnings */
    struct wr_position stored[RUN_PARTS_MAX]; /* outlive a run */
    size_t stored_count;
};

/* Zeroed memory, before all. */
weir_status run_start(struct file_run *run, const char *uri);
/* Polls every partition, seals, and again, until nothing more comes. */
weir_status run_read(struct file_run *run);
/* One poll of one partition, nothing sealed. */
weir_status run_poll(struct file_run *run, size_t part, enum wr_source_more *more_out);
void run_seal(struct file_run *run);
/* As an undone epoch does. */
void run_undo(struct file_run *run);
void run_wait(struct file_run *run, int64_t ms);
void run_clear(struct file_run *run);
/* Ends the run; what was not sealed is forgotten. */
void run_stop(struct file_run *run);
void run_forget(struct file_run *run); /* what is stored too */
/* Start, read to the end or until nothing comes, stop: all must succeed. The text stays. */
void run_all(struct file_run *run, const char *uri);

/* As those without `must`, but a failure ends the test with its text. */
void run_must_start(struct file_run *run, const char *uri);
void run_must_read(struct file_run *run);
/* The status is a failure with this exit code, and a text that contains this. */
void run_must_fail(struct file_run *run, weir_status status, enum wr_exit code, const char *text);

/* Files of the working directory. */
void file_put(const char *path, const char *text);
void file_add(const char *path, const char *text);

#endif

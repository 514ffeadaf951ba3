/* raw.c: what the disk can do: the bytes that a transaction of the cell beside it wrote, written in
 * one piece and synced, without SQLite. The best that a transaction could cost. See bench.h.
 *
 *   overwrite   through a file of the size at which weir writes its log anew, made and synced in
 *               full before: its blocks are there, so a sync writes data alone
 *   append      at the end of a file that grows: a sync writes the file's new size as well
 *
 * Synced as SQLite does in WAL mode: `full` after each transaction; `normal` when the log has been
 * written through and starts over (for `append`: after as many bytes); `off` never.
 *
 * What is written differs from one transaction to the next, lest a disk that knows equal blocks
 * spares itself the work.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/bench/bench.h"

enum { BLOCK = 4096 }; /* what a disk may take for one */
#define BYTES_MAX 1e9 /* of a transaction: far above any, and no size overflows */
/* A file that is appended to starts over at this size, so that no disk fills up. */
#define APPEND_BYTES_MAX (INT64_C(2) << 30)

struct result {
    struct wr_bench_run run;
    struct wr_error error; /* that ended the run */
};

struct raw {
    struct wr_env *env;
    const struct wr_bench_cell *cell;
    const char *path;
    int file;
    size_t size; /* of one transaction */
    int64_t file_size; /* of the file that is overwritten */
    unsigned char *data; /* of one transaction, made anew in part for each */
    int64_t at; /* where the next one goes */
    int64_t unsynced; /* bytes */
    struct result *result;
};

/* ---- In the child ---------------------------------------------------------------------------- */

static weir_status write_all(const struct raw *raw, const unsigned char *data, size_t size,
                             int64_t at, struct wr_error *error)
{
    while (size > 0) {
        ssize_t wrote = pwrite(raw->file, data, size, at);
        if (wrote < 0 && errno != EINTR) {
            return wr_fail_errno(error, "cannot write %s", raw->path);
        }
        wrote = wrote > 0 ? wrote : 0;
        data += wrote;
        size -= (size_t)wrote;
        at += wrote;
    }
    return WEIR_OK;
}

static weir_status sync_file(struct raw *raw, struct wr_error *error)
{
    struct wr_bench_run *run = &raw->result->run;
    int64_t from_us = raw->env->monotonic_us(raw->env);
    if (fdatasync(raw->file) != 0) {
        return wr_fail_errno(error, "cannot sync %s", raw->path);
    }
    run->fsync_s += (double)(raw->env->monotonic_us(raw->env) - from_us) / 1e6;
    run->fsyncs++;
    raw->unsynced = 0;
    return WEIR_OK;
}

static weir_status prepare(struct raw *raw, struct wr_error *error)
{
    raw->data = malloc(raw->size);
    if (!raw->data) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < raw->size; i++) {
        raw->data[i] = (unsigned char)(i * UINT64_C(2654435761) >> 13); /* not all alike */
    }
    raw->file = open(raw->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (raw->file < 0) {
        return wr_fail_errno(error, "cannot make %s", raw->path);
    }
    if (raw->cell->kind == WR_BENCH_RAW_OVERWRITE) {
        for (int64_t at = 0; at < raw->file_size; at += (int64_t)raw->size) {
            WR_TRY(write_all(raw, raw->data, raw->size, at, error));
        }
    }
    if (fsync(raw->file) != 0) {
        return wr_fail_errno(error, "cannot sync %s", raw->path);
    }
    return WEIR_OK;
}

static weir_status transaction(struct raw *raw, uint64_t number, struct wr_error *error)
{
    bool append = raw->cell->kind == WR_BENCH_RAW_APPEND;
    int64_t size = (int64_t)raw->size;
    bool over = raw->at + size > (append ? APPEND_BYTES_MAX : raw->file_size);
    bool through = append ? raw->unsynced + size > raw->file_size : over;
    if (through && raw->cell->sync == WR_SYNC_NORMAL) {
        WR_TRY(sync_file(raw, error));
    }
    if (over) {
        raw->at = 0;
        if (append && ftruncate(raw->file, 0) != 0) {
            return wr_fail_errno(error, "cannot cut %s", raw->path);
        }
    }
    for (size_t i = 0; i < raw->size; i += BLOCK) {
        size_t left = raw->size - i;
        memcpy(raw->data + i, &number, left < sizeof number ? left : sizeof number);
    }
    WR_TRY(write_all(raw, raw->data, raw->size, raw->at, error));
    raw->at += size;
    raw->unsynced += size;
    raw->result->run.bytes_written += size;
    return raw->cell->sync == WR_SYNC_FULL ? sync_file(raw, error) : WEIR_OK;
}

static weir_status run_all(struct raw *raw, struct wr_error *error)
{
    const struct wr_bench_cell *cell = raw->cell;
    struct wr_bench_run *run = &raw->result->run;
    int64_t started_us = raw->env->monotonic_us(raw->env), last_us = started_us;
    int64_t limit = (int64_t)ceil((double)cell->records / cell->transaction_records);
    int64_t deadline_us = started_us + (int64_t)(cell->seconds * 1e6);
    while (cell->records > 0 ? run->epochs < limit : last_us < deadline_us) {
        WR_TRY(transaction(raw, (uint64_t)run->epochs, error));
        int64_t now_us = raw->env->monotonic_us(raw->env);
        wr_histogram_add(&run->decide, now_us - last_us, 1);
        last_us = now_us;
        run->epochs++;
    }
    run->records = llround((double)run->epochs * cell->transaction_records);
    run->seconds = (double)(last_us - started_us) / 1e6;
    run->apply_s = run->seconds - run->fsync_s;
    return WEIR_OK;
}

static int run_child(void *data, void *result)
{
    struct raw *raw = data;
    struct wr_error *error = &raw->result->error;
    (void)result;
    if (prepare(raw, error) == WEIR_OK) {
        run_all(raw, error);
    }
    if (raw->file >= 0) {
        close(raw->file);
    }
    free(raw->data);
    return 0;
}

/* ---- In the parent --------------------------------------------------------------------------- */

weir_status wr_bench_raw_run(struct wr_bench *bench, const struct wr_bench_cell *cell,
                             struct wr_bench_run *run_out, struct wr_error *error)
{
    char path[WR_URI_BYTES_MAX + 16];
    struct result result = {.run = {.records = 0}};
    struct raw raw = {.env = bench->env, .cell = cell, .path = path, .file = -1, .result = &result};
    struct rusage usage;
    if (!(cell->transaction_bytes >= 1 && cell->transaction_bytes <= BYTES_MAX &&
          cell->transaction_records > 0)) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_BUG,
                       "cannot measure the disk with transactions of %.0f bytes and %g records",
                       cell->transaction_bytes, cell->transaction_records);
    }
    raw.size = (size_t)llround(cell->transaction_bytes);
    raw.file_size = (int64_t)raw.size;
    raw.file_size =
        raw.file_size > WR_WAL_BYTES_CHECKPOINT ? raw.file_size : WR_WAL_BYTES_CHECKPOINT;
    snprintf(path, sizeof path, "%s/raw", bench->folder);
    weir_status status = wr_bench_child(run_child, &raw, &result, sizeof result, &usage, error);
    if (status == WEIR_OK && result.error.status != WEIR_OK) {
        status = wr_fail_native(error, result.error.status, result.error.exit_code,
                                result.error.native, "%s", result.error.text);
    }
    if (unlink(path) != 0 && errno != ENOENT && status == WEIR_OK) {
        status = wr_fail_errno(error, "cannot remove %s", path);
    }
    if (status == WEIR_OK) {
        *run_out = result.run;
        run_out->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        run_out->rss_kib = usage.ru_maxrss;
    }
    return status;
}

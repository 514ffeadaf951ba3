/* kafka_latency.c: how long a record takes from its arrival in the input topic until a
 * read_committed reader of the output has what became of it. See kafka.h.
 *
 *   producer ──▶ input ──▶ weir ──▶ output ──▶ reader
 *
 * Each of the three is a process; the parent only waits. Arrival is when a record was meant to be
 * sent (an open loop: record i at (i + 1) / rate after the start, whether or not anybody was there
 * to take it), in its time, which jobs pass on. So a stall counts against each record that it
 * delayed, and what producing and reading take is part of the figure. Times are milliseconds: a
 * latency is up to one too long.
 *
 * The reader has one partition of the output, a quarter of the records, so as to take little of the
 * machine that is measured. Before the start, warm-up records are sent until the first arrives; the
 * first tenth after it is not counted either.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/bench/kafka.h"
#include "txn/base/random.h"

enum {
    LOOK_MS = 20,
    WARM_MS = 50, /* between two records of the warm-up */
    END_MS = 60000, /* for the reader, after the last record was sent */
    STOP_MS = 15000, /* for weir, to stop */
    DECADE = 10, /* one record in so many is not counted, the first ones */
    KEY_MAX = 24,
};

struct page {
    _Atomic bool warm; /* the reader has a record */
    _Atomic bool failed; /* one of the three */
    _Atomic int64_t start_ms; /* wall clock; 0: not yet */
    _Atomic int64_t sent; /* to the reader's partition, since then; -1: not all */
    _Atomic int64_t records; /* in all */
    struct wr_histogram latency;
    struct wr_error error; /* of the one that failed first */
};

struct lag {
    struct wr_bench *bench;
    const struct wr_bench_cell *cell;
    const char *input, *output, *store;
    struct page *page;
    struct wr_env env; /* weir's */
};

/* Of a child that fails: what it says is kept, and it ends. */
_Noreturn static void end_child(struct lag *lag, const struct wr_error *error)
{
    if (error->status != WEIR_OK && !atomic_exchange(&lag->page->failed, true)) {
        lag->page->error = *error;
    }
    _exit(error->status == WEIR_OK ? 0 : 1);
}

static void pause_ms(int64_t milliseconds)
{
    const struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static int64_t wall_ms(struct lag *lag)
{
    return lag->bench->env->wall_ms(lag->bench->env);
}

/* ---- Weir ------------------------------------------------------------------------------------ */

static void child_log(struct wr_env *env, enum wr_level level, const char *text)
{
    struct lag *lag = env->data;
    if (level == WR_LOG_ERROR) {
        snprintf(lag->page->error.text, sizeof lag->page->error.text, "%s", text);
    }
}

_Noreturn static void be_weir(struct lag *lag)
{
    struct wr_run_options options;
    struct wr_arena arena;
    struct wr_error error = {.status = WEIR_OK};
    char from[WR_URI_BYTES_MAX], to[WR_URI_BYTES_MAX];
    struct wr_bench_cell cell = *lag->cell;
    wr_bench_child_begin();
    wr_bench_topic_uri(lag->bench, lag->input, from, sizeof from);
    wr_bench_topic_uri(lag->bench, lag->output, to, sizeof to);
    cell.from = from;
    cell.to = to;
    lag->env = *lag->bench->env;
    lag->env.log = child_log;
    lag->env.data = lag;
    wr_arena_init(&arena, 0);
    if (wr_bench_cell_options(&cell, lag->store, 0, &arena, &options, &error) == WEIR_OK) {
        int code = wr_run(&lag->env, "bench", cell.job->define, &options);
        if (code != 0) {
            char text[WR_ERROR_TEXT_MAX];
            snprintf(text, sizeof text, "%s", lag->page->error.text);
            wr_fail(&error, WEIR_FATAL, (enum wr_exit)code, "%s", text);
        }
    }
    end_child(lag, &error);
}

/* ---- Producer -------------------------------------------------------------------------------- */

struct producing {
    struct lag *lag;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    uint64_t random;
    char value[WR_RECORD_BYTES_MAX];
};

/* Returns whether the reader will have it. */
static bool put(struct producing *producing, int64_t time_ms, struct wr_error *error)
{
    const struct wr_bench_cell *cell = producing->lag->cell;
    char key[KEY_MAX];
    uint64_t random = wr_random_next(&producing->random) >> 16;
    int size = snprintf(key, sizeof key, "%" PRIu64, random % (uint64_t)cell->keys);
    int32_t partition = wr_partition_of(wr_bytes(key, (size_t)size), WR_BENCH_PARTITIONS);
    rd_kafka_resp_err_t code;
    while ((code = rd_kafka_producev(
                producing->client, RD_KAFKA_V_RKT(producing->topic),
                RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key, (size_t)size),
                RD_KAFKA_V_VALUE(producing->value, (size_t)cell->value_bytes),
                RD_KAFKA_V_TIMESTAMP(time_ms), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        rd_kafka_poll(producing->client, 1);
    }
    if (code) {
        wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "cannot write to topic %s: %s",
                producing->lag->input, rd_kafka_err2str(code));
    }
    return partition == 0;
}

static void warm_up(struct producing *producing, struct wr_error *error)
{
    struct page *page = producing->lag->page;
    for (int64_t waited = 0; !atomic_load(&page->warm) && error->status == WEIR_OK;
         waited += WARM_MS) {
        put(producing, wall_ms(producing->lag) - 1, error);
        rd_kafka_poll(producing->client, 0);
        pause_ms(WARM_MS);
        if (waited > END_MS) {
            wr_fail(error, WEIR_RETRY, WR_EXIT_AGAIN,
                    "nothing arrived in topic %s within %d s of the start", producing->lag->output,
                    END_MS / 1000);
        }
    }
}

static void put_at_rate(struct producing *producing, struct wr_error *error)
{
    struct lag *lag = producing->lag;
    struct wr_env *env = lag->bench->env;
    double rate = (double)lag->cell->rate;
    int64_t records = (int64_t)(rate * lag->cell->seconds), sent = 0;
    int64_t start_ms = wall_ms(lag), start_us = env->monotonic_us(env);
    atomic_store(&lag->page->start_ms, start_ms);
    for (int64_t i = 0; i < records && error->status == WEIR_OK;) {
        int64_t due = (int64_t)((double)(env->monotonic_us(env) - start_us) / 1e6 * rate);
        for (due = due < records ? due : records; i < due && error->status == WEIR_OK; i++) {
            int64_t meant_ms = start_ms + (int64_t)((double)(i + 1) / rate * 1000);
            sent += put(producing, meant_ms, error);
        }
        rd_kafka_poll(producing->client, 0);
        pause_ms(1);
    }
    rd_kafka_flush(producing->client, WR_BENCH_WAIT_MS);
    atomic_store(&lag->page->records, records);
    atomic_store(&lag->page->sent, sent);
}

_Noreturn static void be_producer(struct lag *lag)
{
    static const char filling[] = "0123456789abcdef";
    struct wr_error error = {.status = WEIR_OK};
    struct producing *producing = calloc(1, sizeof *producing);
    wr_bench_child_begin();
    if (!producing) {
        wr_fail_memory(&error);
        end_child(lag, &error);
    }
    producing->lag = lag;
    producing->random = lag->bench->seed;
    for (int64_t i = 0; i < lag->cell->value_bytes; i++) {
        producing->value[i] = filling[i % 16];
    }
    if (wr_bench_producer(lag->bench, lag->input, "2", &producing->client, &producing->topic,
                          &error) == WEIR_OK) {
        warm_up(producing, &error);
        pause_ms(2); /* the warm-up's times are before the start */
        put_at_rate(producing, &error);
    }
    end_child(lag, &error);
}

/* ---- Reader ---------------------------------------------------------------------------------- */

/* Returns whether it is one of those that count to the end. */
static bool saw(struct lag *lag, const rd_kafka_message_t *message, int64_t now_ms)
{
    struct page *page = lag->page;
    int64_t time_ms = rd_kafka_message_timestamp(message, NULL);
    int64_t start_ms = atomic_load(&page->start_ms);
    atomic_store(&page->warm, true);
    if (start_ms == 0 || time_ms < start_ms) {
        return false;
    }
    if (time_ms >= start_ms + (int64_t)(lag->cell->seconds * 1000 / DECADE)) {
        wr_histogram_add(&page->latency, (now_ms - time_ms) * 1000, 1);
    }
    return true;
}

static void read_all(struct lag *lag, rd_kafka_queue_t *queue, struct wr_error *error)
{
    rd_kafka_message_t *messages[1024];
    int64_t seen = 0, ended_ms = 0;
    for (;;) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, LOOK_MS, messages, 1024);
        int64_t now_ms = wall_ms(lag), sent = atomic_load(&lag->page->sent);
        for (ssize_t i = 0; i < count; i++) {
            seen += !messages[i]->err && saw(lag, messages[i], now_ms);
            rd_kafka_message_destroy(messages[i]);
        }
        ended_ms = sent >= 0 && ended_ms == 0 ? now_ms : ended_ms;
        if (sent >= 0 && seen >= sent) {
            return;
        }
        if (ended_ms > 0 && now_ms - ended_ms > END_MS) {
            wr_fail(error, WEIR_RETRY, WR_EXIT_AGAIN,
                    "of %" PRId64 " records %" PRId64 " did not arrive within %d s; start again, "
                    "with a lower --rate",
                    sent, sent - seen, END_MS / 1000);
            return;
        }
    }
}

_Noreturn static void be_reader(struct lag *lag)
{
    struct wr_error error = {.status = WEIR_OK};
    const int64_t offsets[WR_BENCH_PARTITIONS] = {0};
    rd_kafka_t *client = NULL;
    wr_bench_child_begin();
    if (wr_bench_reader(lag->bench, lag->output, 0, 0, offsets, &client, &error) == WEIR_OK) {
        read_all(lag, rd_kafka_queue_get_consumer(client), &error);
    }
    end_child(lag, &error);
}

/* ---- The parent ------------------------------------------------------------------------------ */

static pid_t start(struct lag *lag, void (*be)(struct lag *))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        be(lag);
        _exit(WR_EXIT_BUG);
    }
    return pid;
}

/* Until the process has ended, a child has failed, we are asked to end, or the time is over. True:
 * it has ended. */
static bool await(const struct lag *lag, pid_t pid, int64_t milliseconds, bool whatever,
                  struct rusage *usage)
{
    for (int64_t waited = 0; waited <= milliseconds; waited += LOOK_MS) {
        if (wait4(pid, NULL, WNOHANG, usage) == pid) {
            return true;
        }
        if (!whatever && (atomic_load(&lag->page->failed) || wr_bench_stopped())) {
            return false;
        }
        pause_ms(LOOK_MS);
    }
    return false;
}

static void end(const struct lag *lag, pid_t pid, bool gently, struct rusage *usage)
{
    if (pid <= 0) {
        return;
    }
    kill(pid, gently ? SIGTERM : SIGKILL);
    if (!await(lag, pid, STOP_MS, true, usage)) {
        kill(pid, SIGKILL);
        while (wait4(pid, NULL, 0, usage) < 0 && errno == EINTR) {
        }
    }
}

static weir_status run_three(struct lag *lag, struct rusage *usage, struct wr_error *error)
{
    struct rusage others;
    int64_t most_ms = (int64_t)(lag->cell->seconds * 1000) + 4 * END_MS;
    pid_t reader = start(lag, be_reader), weir = start(lag, be_weir);
    pid_t producer = start(lag, be_producer);
    bool all = reader > 0 && weir > 0 && producer > 0;
    if (all && await(lag, producer, most_ms, false, &others)) {
        producer = -1;
        if (await(lag, reader, most_ms, false, &others)) {
            reader = -1;
        }
    }
    end(lag, producer, false, &others);
    end(lag, reader, false, &others);
    end(lag, weir, true, usage);
    if (!all) {
        return wr_fail_errno(error, "cannot start processes for a run");
    }
    if (wr_bench_stopped()) {
        return wr_fail_native(error, WEIR_RETRY, WR_EXIT_AGAIN, EINTR, "stopped by a signal");
    }
    if (atomic_load(&lag->page->failed)) {
        *error = lag->page->error;
        return error->status;
    }
    return reader < 0 ? WEIR_OK
                      : wr_fail(error, WEIR_RETRY, WR_EXIT_AGAIN,
                                "a run at a rate did not end within %d s; start again",
                                (int)(most_ms / 1000));
}

static weir_status run_with(struct lag *lag, struct wr_bench_run *run_out, struct wr_error *error)
{
    struct rusage usage = {.ru_maxrss = 0};
    lag->page =
        mmap(NULL, sizeof *lag->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lag->page == MAP_FAILED) {
        return wr_fail_errno(error, "cannot share memory with a run");
    }
    atomic_store(&lag->page->sent, -1);
    if (run_three(lag, &usage, error) == WEIR_OK) {
        run_out->records = atomic_load(&lag->page->records);
        run_out->seconds = lag->cell->seconds;
        wr_histogram_merge(&run_out->latency, &lag->page->latency);
        run_out->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        run_out->rss_kib = usage.ru_maxrss;
    }
    munmap(lag->page, sizeof *lag->page);
    return error->status;
}

weir_status wr_bench_kafka_lag(struct wr_bench *bench, const struct wr_bench_cell *cell,
                               struct wr_bench_run *run_out, struct wr_error *error)
{
    char folder[WR_URI_BYTES_MAX + 16], store[WR_URI_BYTES_MAX + 32];
    char input[WR_BENCH_TOPIC_MAX], output[WR_BENCH_TOPIC_MAX];
    struct wr_error removing = {.status = WEIR_OK};
    struct lag lag = {
        .bench = bench, .cell = cell, .input = input, .output = output, .store = store};
    *run_out = (struct wr_bench_run){.records = 0};
    snprintf(folder, sizeof folder, "%s/run", bench->folder);
    snprintf(store, sizeof store, "%s/bench.weir", folder);
    WR_TRY(wr_bench_topic_new(bench, input, error));
    if (wr_bench_topic_new(bench, output, error) == WEIR_OK) {
        if (mkdir(folder, 0700) != 0) {
            wr_fail_errno(error, "cannot make %s", folder);
        } else {
            (void)run_with(&lag, run_out, error);
        }
        wr_bench_topic_remove(bench, output);
    }
    wr_bench_topic_remove(bench, input);
    if (wr_bench_remove(folder, &removing) != WEIR_OK && error->status == WEIR_OK) {
        *error = removing;
    }
    return error->status;
}

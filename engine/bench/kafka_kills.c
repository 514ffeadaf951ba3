/* kafka_kills.c: weir killed over and over while it copies or counts from topic to topic, and the
 * broker too where the bench has one of its own; then the output as a reader finds it. See kafka.h,
 * and kills.c, whose way of choosing moments this is.
 *
 *   run 1      the broker is killed and started again while it works, if so wanted; then weir is
 *              killed at a random moment
 *   run 2      weir is killed at the mode's first fault point after a random number of passings;
 *              or both are killed together, if the broker is wanted killed twice
 *   ...
 *   last run   to the end of the input
 *
 * Kafka 4.3.1, killed while it is its own controller, can drop the end of a transaction: then its
 * marker cannot be read any more, and weir waits for ever, as it must. Such an attempt is given up,
 * said on stderr, and begun again with a new topic and store.
 *
 * A restart is over when a reader that waits at the end of the output has its first new record.
 * That reader is a process of its own, started before weir is. Into a store it is over with the
 * first decided epoch.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/bench/kafka.h"
#include "txn/base/assert.h"
#include "txn/base/random.h"

enum {
    ATTEMPTS = 5,
    LOOK_MS = 1,
    READY_MS = 10000, /* the reader is at the end by then */
    STALL_S = 180, /* longer than weir, or Kafka, waits for anything that comes back */
};

struct point {
    enum wr_fault_point point;
    enum { EACH_EPOCH, EACH_FORWARD, EACH_POSITIONS } passed;
};

enum { POINTS = 5 };

static const struct point outside_points[][POINTS] = {
    [WR_EXACTLY_ONCE] = {{WR_FAULT_forward_after_sync, EACH_FORWARD},
                         {WR_FAULT_forward_after_send, EACH_FORWARD},
                         {WR_FAULT_decide_after_end, EACH_EPOCH},
                         {WR_FAULT_forward_after_marker, EACH_FORWARD},
                         {WR_FAULT_decide_before_end, EACH_EPOCH}},
    [WR_AT_LEAST_ONCE] = {{WR_FAULT_deliver_after_send, EACH_EPOCH},
                          {WR_FAULT_deliver_before_positions, EACH_POSITIONS},
                          {WR_FAULT_decide_after_end, EACH_EPOCH},
                          {WR_FAULT_decide_before_end, EACH_EPOCH},
                          {WR_FAULT_fill_after_seal, EACH_EPOCH}},
    [WR_AT_MOST_ONCE] = {{WR_FAULT_deliver_after_positions, EACH_EPOCH},
                         {WR_FAULT_forward_after_sync, EACH_FORWARD},
                         {WR_FAULT_decide_before_end, EACH_EPOCH},
                         {WR_FAULT_forward_after_send, EACH_FORWARD},
                         {WR_FAULT_decide_after_end, EACH_EPOCH}},
};

struct kills {
    struct wr_bench *bench;
    const struct wr_bench_cell *cell;
    int64_t wanted, broker_wanted;
    char folder[WR_URI_BYTES_MAX + 16], store[WR_URI_BYTES_MAX + 32];
    char output[WR_BENCH_TOPIC_MAX]; /* topic; empty: none at this moment, or into the store */
    struct wr_arena arena;
    uint64_t random;
    bool stalled; /* this attempt */
    struct wr_bench_damage *damage;
    struct wr_error *error;
};

/* ---- Moments --------------------------------------------------------------------------------- */

static bool to_topic(const struct kills *kills)
{
    return kills->cell->route == WR_BENCH_KAFKA_TO_KAFKA;
}

static uint32_t random_next(struct kills *kills)
{
    return (uint32_t)(wr_random_next(&kills->random) >> 32);
}

/* Of run `run`: weir's kill, and the broker's before it. */
static struct wr_bench_moment choose(struct kills *kills, int64_t run, int attempt)
{
    struct wr_bench_moment moment = {.never = run >= kills->wanted};
    int64_t left = moment.never ? 0 : kills->wanted - run;
    moment.share = (uint32_t)((uint64_t)random_next(kills) * 2 / (uint64_t)(left + 1)) >> attempt;
    moment.phase = random_next(kills);
    moment.outside = run < kills->broker_wanted && attempt < ATTEMPTS - 1;
    moment.between = moment.outside && (attempt > 0 || run % 2 == 1);
    moment.outside_share = attempt == 0 ? moment.share / 2 : 0; /* else at once: it was too late */
    if (!moment.never && run % 2 == 1) {
        static const int64_t positions_ms = WR_BENCH_KILL_POSITIONS_MS;
        static const struct point epoch = {WR_FAULT_decide_before_end, EACH_EPOCH};
        const struct point *point =
            to_topic(kills) ? &outside_points[kills->cell->delivery][(run / 2) % POINTS] : &epoch;
        moment.point = point->point;
        moment.period_ms = point->passed == EACH_FORWARD     ? kills->cell->forward_ms
                           : point->passed == EACH_POSITIONS ? positions_ms
                                                             : 0;
    }
    return moment;
}

/* ---- The reader that waits ------------------------------------------------------------------- */

struct waiting {
    struct kills *kills;
    int64_t ends[WR_BENCH_PARTITIONS];
    pid_t pid;
    struct page {
        _Atomic int at_end; /* partitions; more: no use to wait for it */
        _Atomic int64_t seen_us; /* when the first new record was; 0: not yet */
    } * page;
};

_Noreturn static void be_waiting(const struct waiting *waiting)
{
    struct wr_bench *bench = waiting->kills->bench;
    struct wr_error error = {.status = WEIR_OK};
    rd_kafka_t *client = NULL;
    wr_bench_child_begin();
    if (wr_bench_reader(bench, waiting->kills->output, 0, WR_BENCH_PARTITIONS - 1, waiting->ends,
                        &client, &error) != WEIR_OK) {
        atomic_store(&waiting->page->at_end, WR_BENCH_PARTITIONS);
        _exit(0);
    }
    while (atomic_load(&waiting->page->seen_us) == 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, WR_BENCH_WAIT_MS);
        if (message && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            atomic_fetch_add(&waiting->page->at_end, 1);
        } else if (message && !message->err) {
            atomic_store(&waiting->page->seen_us, bench->env->monotonic_us(bench->env));
        }
        if (message) {
            rd_kafka_message_destroy(message);
        }
    }
    _exit(0);
}

static weir_status start_waiting(struct kills *kills, struct waiting *waiting)
{
    const struct timespec pause = {0, LOOK_MS * 1000000};
    *waiting = (struct waiting){.kills = kills, .pid = -1};
    waiting->page = mmap(NULL, sizeof *waiting->page, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (waiting->page == MAP_FAILED) {
        waiting->page = NULL;
        return wr_fail_errno(kills->error, "cannot share memory with a reader");
    }
    WR_TRY(wr_bench_ends(kills->bench, kills->output, true, waiting->ends, kills->error));
    fflush(NULL);
    waiting->pid = fork();
    if (waiting->pid == 0) {
        be_waiting(waiting);
    }
    if (waiting->pid < 0) {
        return wr_fail_errno(kills->error, "cannot start a process for a reader");
    }
    for (int ms = 0; ms < READY_MS && atomic_load(&waiting->page->at_end) < WR_BENCH_PARTITIONS &&
                     !wr_bench_stopped();
         ms += LOOK_MS) {
        nanosleep(&pause, NULL);
    }
    return WEIR_OK;
}

/* When it saw something new; 0: nothing, or there was no reader. */
static int64_t stop_waiting(struct waiting *waiting)
{
    int64_t seen_us = 0;
    if (waiting->pid > 0) {
        kill(waiting->pid, SIGKILL);
        while (waitpid(waiting->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (waiting->page) {
        seen_us = atomic_load(&waiting->page->seen_us);
        munmap(waiting->page, sizeof *waiting->page);
    }
    return seen_us;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static weir_status kill_broker(void *data, struct wr_error *error)
{
    struct kills *kills = data;
    WR_TRY(wr_bench_kafka_end(kills->bench, error));
    kills->damage->broker_kills++;
    return WEIR_OK;
}

static weir_status start_broker(void *data, struct wr_error *error)
{
    struct kills *kills = data;
    return wr_bench_kafka_again(kills->bench, error);
}

static weir_status run_once(struct kills *kills, struct wr_bench_victim *victim,
                            const struct wr_bench_moment *moment, bool again,
                            struct wr_bench_death *death_out)
{
    struct waiting waiting = {.pid = -1};
    bool waits = again && to_topic(kills);
    weir_status status = waits ? start_waiting(kills, &waiting) : WEIR_OK;
    if (status == WEIR_OK) {
        status = wr_bench_victim_run(victim, moment, death_out, kills->error);
    }
    int64_t seen_us = stop_waiting(&waiting);
    if (status == WEIR_OK && waits) {
        death_out->recovery_us = seen_us > 0 ? seen_us - death_out->started_us : -1;
    }
    return status;
}

static weir_status give_up(struct kills *kills, int attempt)
{
    struct wr_env *env = kills->bench->env;
    static const char *const what =
        "nothing was decided or forwarded for 180 s after a kill: Kafka has not ended a "
        "transaction (docs/KAFKA.md, \"Limits\")";
    if (attempt == ATTEMPTS - 1) {
        return wr_fail(kills->error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "%s", what);
    }
    char text[WR_ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s; these kills begin again with a new topic", what);
    env->log(env, WR_LOG_WARN, text);
    return WEIR_OK;
}

static weir_status run_killed(struct kills *kills, struct wr_bench_victim *victim, int attempt)
{
    struct wr_bench_damage *damage = kills->damage;
    struct wr_bench_death death = {.killed = true};
    *damage = (struct wr_bench_damage){.state_errors = -1};
    for (int64_t run = 0; death.killed; run++) {
        struct wr_bench_moment moment = choose(kills, run, attempt);
        WR_TRY(run_once(kills, victim, &moment, run > 0, &death));
        if (death.stalled) {
            kills->stalled = true;
            return give_up(kills, attempt);
        }
        damage->kills += death.killed;
        if (run > 0 && death.recovery_us >= 0 && !moment.outside) {
            wr_histogram_add(&damage->recovery, death.recovery_us, 1);
        }
    }
    return WEIR_OK;
}

static void remove_output(struct kills *kills)
{
    if (kills->output[0]) {
        wr_bench_topic_remove(kills->bench, kills->output);
        kills->output[0] = '\0';
    }
}

/* A new store, a new topic, and the job killed as often as it can be. */
static weir_status run_attempt(struct kills *kills, struct wr_bench_victim *victim, int attempt)
{
    struct wr_bench *bench = kills->bench;
    struct wr_run_options options;
    struct wr_bench_cell cell = *kills->cell;
    char from[WR_URI_BYTES_MAX], to[WR_URI_BYTES_MAX];
    WR_TRY(wr_bench_remove(kills->folder, kills->error));
    if (mkdir(kills->folder, 0700) != 0) {
        return wr_fail_errno(kills->error, "cannot make %s", kills->folder);
    }
    wr_bench_topic_uri(bench, bench->kafka->input, from, sizeof from);
    cell.from = from;
    cell.to = WR_BENCH_LOG;
    if (to_topic(kills)) {
        WR_TRY(wr_bench_topic_new(bench, kills->output, kills->error));
        wr_bench_topic_uri(bench, kills->output, to, sizeof to);
        cell.to = to;
    }
    weir_status status = wr_bench_cell_options(&cell, kills->store, cell.records, &kills->arena,
                                               &options, kills->error);
    if (status == WEIR_OK) {
        options.positions_ms = WR_BENCH_KILL_POSITIONS_MS;
        victim->options = &options;
        status = run_killed(kills, victim, attempt);
    }
    wr_run_options_fini(&options);
    return status;
}

static weir_status measure(struct kills *kills)
{
    struct wr_difference difference;
    struct wr_bench_victim victim = {.bench = kills->bench,
                                     .job = kills->cell->job,
                                     .records = kills->cell->records,
                                     .outside = kill_broker,
                                     .restored = start_broker,
                                     .stall_us = INT64_C(1000000) * STALL_S,
                                     .data = kills};
    WR_TRY(wr_bench_topic_fill(kills->bench, kills->cell, kills->error));
    for (int attempt = 0;
         attempt == 0 ||
         (attempt < ATTEMPTS && (kills->stalled || kills->damage->kills < kills->wanted ||
                                 kills->damage->broker_kills < kills->broker_wanted));
         attempt++) {
        kills->stalled = false;
        remove_output(kills);
        WR_TRY(run_attempt(kills, &victim, attempt));
    }
    WR_TRY(wr_bench_kafka_compare(kills->bench, kills->cell->job, kills->bench->kafka->input,
                                  to_topic(kills) ? kills->output : NULL, kills->store, &difference,
                                  kills->error));
    kills->damage->expected = difference.expected;
    kills->damage->lost = difference.lost;
    kills->damage->repeated = difference.repeated;
    kills->damage->reordered = difference.reordered;
    kills->damage->state_errors = difference.state_errors;
    return WEIR_OK;
}

weir_status wr_bench_kafka_kill(struct wr_bench *bench, const struct wr_bench_cell *cell,
                                int64_t kills, int64_t broker_kills,
                                struct wr_bench_damage *damage_out, struct wr_error *error)
{
    struct kills all = {.bench = bench,
                        .cell = cell,
                        .wanted = kills,
                        .broker_wanted = broker_kills,
                        .random = bench->seed ^ ((uint64_t)cell->delivery << 32),
                        .damage = damage_out,
                        .error = error};
    struct wr_error removing = {.status = WEIR_OK};
    wr_assert(cell->kind == WR_BENCH_WEIR && cell->records > 0);
    *damage_out = (struct wr_bench_damage){.state_errors = -1};
    snprintf(all.folder, sizeof all.folder, "%s/kills", bench->folder);
    snprintf(all.store, sizeof all.store, "%s/bench.weir", all.folder);
    wr_arena_init(&all.arena, 0);
    (void)measure(&all);
    remove_output(&all);
    if (wr_bench_remove(all.folder, &removing) != WEIR_OK && error->status == WEIR_OK) {
        *error = removing;
    }
    wr_arena_fini(&all.arena);
    return error->status;
}

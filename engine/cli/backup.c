/* backup.c: `weir backup`: a copy of a store, also while a job runs on it.
 *
 * A signal stops it between two steps, so that nothing is left behind; it then ends the process as
 * if it had come just now.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "engine/cli/cli.h"
#include "txn/store.h"

static const struct wr_option options[] = {
    {"help", 'h', NULL, 0},
    {NULL, '\0', NULL, 0},
};

/* clang-format off */
static const char help[] =
"Copies a store as it is at this moment into a new file: positions, state,\n"
"timers, topics, tables, all of the same epoch. Works while a job runs, which\n"
"goes on. The copy is a store like any other: weir inspect, verify and run take\n"
"it.\n"
"\n"
"FILE appears only once it is whole and synced; until then it is FILE.partial. A\n"
"file that exists is not overwritten.\n"
"\n"
"While it copies, the store's write-ahead log (STORE-wal) grows by what the job\n"
"writes; over the job's --wal-max the job would stop.\n"
"\n"
"To restore: stop the job, remove STORE, STORE-wal and STORE-shm, copy FILE to\n"
"STORE, start the job. It goes on from the epoch of the backup.\n"
"\n"
"Example\n"
"  weir backup wordcount.weir wordcount-monday.weir\n";
/* clang-format on */

enum { MIB = 1024 * 1024, DRAW_US = 200000 };

struct progress {
    struct wr_env *env;
    sigset_t stops;
    bool terminal, drawn;
    int64_t drawn_us;
    int signal; /* 0: none came */
};

static bool on_progress(void *data, int64_t done, int64_t total)
{
    struct progress *progress = data;
    int64_t now_us = progress->env->monotonic_us(progress->env);
    if (progress->terminal && now_us - progress->drawn_us >= DRAW_US) {
        fprintf(stderr, "\r%" PRId64 " of %" PRId64 " MiB, %" PRId64 " %%\033[K", done / MIB,
                total / MIB, total > 0 ? done * 100 / total : 100);
        progress->drawn = true;
        progress->drawn_us = now_us;
    }
    int number = sigtimedwait(&progress->stops, NULL, &(struct timespec){0, 0});
    progress->signal = number > 0 ? number : 0;
    return progress->signal == 0;
}

/* Not the ones that are ignored, as under nohup. */
static void stops_init(sigset_t *stops)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(stops);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
            sigaddset(stops, numbers[i]);
        }
    }
}

static void backup(struct wr_cli *cli, const char *store, const char *file)
{
    struct progress progress = {.env = &cli->env, .terminal = isatty(STDERR_FILENO)};
    struct wr_backup made;
    sigset_t before;
    stops_init(&progress.stops);
    pthread_sigmask(SIG_BLOCK, &progress.stops, &before);
    weir_status status =
        wr_store_backup(&cli->env, store, file, on_progress, &progress, &made, &cli->error);
    if (progress.drawn) {
        fprintf(stderr, "\r\033[K");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL); /* a signal that came since ends us here */
    if (progress.signal) {
        raise(progress.signal);
    }
    if (status == WEIR_OK) {
        printf("%s: %" PRId64 " bytes, as of epoch %" PRId64 "\n", file, made.bytes, made.epoch);
    }
}

static weir_status take(void *context, const struct wr_option *option, const char *value,
                        struct wr_error *error)
{
    return option ? WEIR_OK : wr_operands_add(context, value, error);
}

static int run(struct wr_cli *cli, int argc, char **argv)
{
    const char *const names[] = {"STORE", "FILE", NULL};
    struct wr_operands operands = {.command = "weir backup", .names = names};
    if (wr_options_parse("weir backup", options, argc, argv, take, &operands, &cli->error) ==
            WEIR_OK &&
        wr_operands_check(&operands, &cli->error) == WEIR_OK) {
        backup(cli, operands.values[0], operands.values[1]);
    }
    return wr_cli_end(cli);
}

const struct wr_command wr_command_backup = {
    "backup", "STORE FILE", "a consistent live copy", options, {help}, run,
};

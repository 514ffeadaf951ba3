/* place.c: the folder in which a bench runs, and its way out: see bench.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* nftw */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine/bench/bench.h"

enum { DEPTH_MAX = 16 }; /* open folders while one is removed */

static void ending_signals(sigset_t *signals_out)
{
    sigemptyset(signals_out);
    sigaddset(signals_out, SIGINT);
    sigaddset(signals_out, SIGTERM);
    sigaddset(signals_out, SIGHUP);
}

bool wr_bench_stopped(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
            sigismember(&pending, SIGHUP) == 1);
}

void wr_bench_heed(bool now)
{
    sigset_t signals;
    ending_signals(&signals);
    sigprocmask(now ? SIG_UNBLOCK : SIG_BLOCK, &signals, NULL);
}

bool wr_bench_is_memory(const char *dir)
{
    struct statfs about;
    return statfs(dir, &about) == 0 && (about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC);
}

weir_status wr_bench_open(struct wr_env *env, const char *dir, struct wr_bench *bench_out,
                          struct wr_error *error)
{
    struct wr_arena arena;
    *bench_out = (struct wr_bench){.env = env, .seed = env->random(env)};
    wr_arena_init(&arena, 0);
    const char *absolute = wr_path_absolute(dir, &arena);
    weir_status status = WEIR_OK;
    if (!absolute) {
        status = wr_fail_memory(error);
    } else if (strlen(absolute) + 128 > sizeof bench_out->folder) {
        status = wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "the path of --dir is too long");
    } else {
        wr_bench_heed(false);
        snprintf(bench_out->folder, sizeof bench_out->folder, "%s/weir-bench-XXXXXX", absolute);
        if (!mkdtemp(bench_out->folder)) {
            bench_out->folder[0] = '\0';
            status = wr_fail_errno(error, "cannot make a folder in %s", dir);
        }
    }
    wr_arena_fini(&arena);
    return status;
}

void wr_bench_close(struct wr_bench *bench)
{
    struct wr_error error = {.status = WEIR_OK};
    if (bench->folder[0] && wr_bench_remove(bench->folder, &error) != WEIR_OK) {
        wr_log(bench->env, WR_LOG_WARN, "%s; remove it by hand", error.text);
    }
    bench->folder[0] = '\0';
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about, (void)kind, (void)place;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

weir_status wr_bench_remove(const char *folder, struct wr_error *error)
{
    if (nftw(folder, remove_one, DEPTH_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 &&
        errno != ENOENT) {
        return wr_fail_errno(error, "cannot remove %s", folder);
    }
    return WEIR_OK;
}

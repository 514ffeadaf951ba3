/* env.c: see env.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/env.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "txn/base/assert.h"

static int64_t real_wall_ms(struct wr_env *env)
{
    (void)env;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t real_monotonic_us(struct wr_env *env)
{
    (void)env;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t real_random(struct wr_env *env)
{
    (void)env;
    uint64_t bits = 0;
    ssize_t got = getrandom(&bits, sizeof bits, 0);
    wr_assert_that(got, ==, (ssize_t)sizeof bits);
    return bits;
}

/* When it was, how grave it is, and the epoch. */
static void stamp(struct wr_env *env, enum wr_level level, char *out, size_t size)
{
    static const char *const names[] = {"error", "warning", "notice", "debug"};
    int64_t now_ms = env->wall_ms(env);
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char day[32];
    gmtime_r(&seconds, &utc);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, size, "%s.%03dZ %s epoch %" PRId64 ": ", day, (int)(now_ms % 1000), names[level],
             atomic_load(&env->epoch));
}

/* One write for a line, so that those of several threads do not mix. */
static void real_log(struct wr_env *env, enum wr_level level, const char *text)
{
    static const char *const plain[] = {"weir: ", "weir: warning: ", "", "weir: debug: "};
    char before[96], line[WR_ERROR_TEXT_MAX + 128];
    snprintf(before, sizeof before, "%s", plain[level]);
    bool stamped = atomic_load(&env->stamped);
    if (stamped) {
        stamp(env, level, before, sizeof before);
    }
    /* A line of progress may stand there. */
    const char *clear = stamped && isatty(STDERR_FILENO) ? "\r\033[K" : "";
    int size = snprintf(line, sizeof line, "%s%s%s\n", clear, before, text);
    wr_assert_that(size, <, (int)sizeof line);
    fwrite(line, 1, (size_t)size, stderr);
}

void wr_env_init(struct wr_env *env)
{
    *env = (struct wr_env){.wall_ms = real_wall_ms,
                           .monotonic_us = real_monotonic_us,
                           .random = real_random,
                           .log = real_log,
                           .level = WR_LOG_NOTICE};
}

void wr_log(struct wr_env *env, enum wr_level level, const char *format, ...)
{
    if (level > env->level) {
        return;
    }
    char text[WR_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    env->log(env, level, text);
}

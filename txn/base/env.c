/* env.c: see env.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/env.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

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

static void real_log(struct wr_env *env, enum wr_level level, const char *text)
{
    static const char *const prefix[] = {"weir: ", "weir: warning: ", "", "weir: debug: "};
    (void)env;
    fprintf(stderr, "%s%s\n", prefix[level], text);
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

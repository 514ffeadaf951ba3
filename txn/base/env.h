/* env.h: what an instance takes from the world around it: wall clock, monotonic clock, randomness,
 * fault points, and where log lines go. The test kit and the simulator replace it.
 *
 * A log line is `weir: text` before a run lives and in all else than a run. While `stamped` is set,
 * it says when it was, how grave it is, and the last decided epoch:
 *     2026-11-22T22:31:05.123Z warning epoch 812: text
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_ENV_H
#define WR_ENV_H

#include <stdatomic.h>

#include "txn/base/fault.h"

enum wr_level { WR_LOG_ERROR, WR_LOG_WARN, WR_LOG_NOTICE, WR_LOG_DEBUG };

struct wr_env {
    int64_t (*wall_ms)(struct wr_env *env); /* since 1970 UTC */
    int64_t (*monotonic_us)(struct wr_env *env); /* never goes back */
    uint64_t (*random)(struct wr_env *env);
    void (*log)(struct wr_env *env, enum wr_level level, const char *text); /* any thread */
    void *data; /* of a replacement */
    enum wr_level level; /* shown up to this */
    _Atomic bool stamped; /* log lines carry time, level and epoch */
    _Atomic int64_t epoch; /* the last decided one; set by the store */
    struct wr_fault fault;
};

/* The real world: clock_gettime, getrandom, lines on stderr. */
void wr_env_init(struct wr_env *env);
void wr_log(struct wr_env *env, enum wr_level level, const char *format, ...) WEIR_PRINTF(3, 4);

#endif

/* bench_place.h: a place for runs of the bench in a test's own folder, which has to be empty again
 * after each.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_BENCH_PLACE_H
#define TEST_BENCH_PLACE_H

#include <sys/stat.h>
#include <unistd.h>

#include "engine/bench/bench.h"

struct bench_place {
    struct wr_env env;
    struct wr_bench bench;
    struct wr_error error;
};

static inline void bench_place_open(struct bench_place *place)
{
    *place = (struct bench_place){.error = {.status = WEIR_OK}};
    wr_env_init(&place->env);
    assert_int_equal(wr_bench_open(&place->env, ".", &place->bench, &place->error), WEIR_OK);
}

/* Nothing is left of a run. */
static inline void bench_place_close(struct bench_place *place)
{
    assert_int_equal(rmdir(place->bench.folder), 0);
    assert_int_equal(mkdir(place->bench.folder, 0700), 0);
    wr_bench_close(&place->bench);
}

#endif

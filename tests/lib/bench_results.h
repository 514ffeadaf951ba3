/* bench_results.h: results of `weir bench`, made up: four epoch sizes, three modes, each baseline.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_BENCH_RESULTS_H
#define LIB_BENCH_RESULTS_H

#include "engine/bench/bench.h"

enum { REPEATS = 5, SIZES = 4, KINDS = 7, RESULTS = SIZES * KINDS };

struct made {
    struct wr_bench_job job;
    struct wr_bench_results results;
    struct wr_bench_result items[RESULTS];
    struct wr_bench_sample runs[RESULTS][REPEATS], slow[RESULTS][2][1];
};

/* `name`: what the job and the command are called. */
void made_results(struct made *made, const char *name);

#endif

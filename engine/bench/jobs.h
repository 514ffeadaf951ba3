/* jobs.h: the example jobs that are built into the program, for jobs.c alone: examples/NAME.c and
 * examples/nexmark/NAME.c, compiled once more with their weir_define under this name.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_JOBS_H
#define WR_BENCH_JOBS_H

#include "engine/weir.h"

/* The queries of Nexmark, by number. */
/* clang-format off */
#define WR_BENCH_QUERIES(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(7) X(8) X(9) X(11) \
    X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22)
/* clang-format on */

#define WR_BENCH_DECLARE(number) void wr_bench_job_nexmark_q##number(weir_job *job);

void wr_bench_job_copy(weir_job *job);
void wr_bench_job_count(weir_job *job);
void wr_bench_job_wordcount(weir_job *job);
WR_BENCH_QUERIES(WR_BENCH_DECLARE)

#endif

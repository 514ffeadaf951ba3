/* jobs.h: the example jobs that are built into the program, for jobs.c alone: examples/NAME.c,
 * compiled once more with its weir_define under this name.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_JOBS_H
#define WR_BENCH_JOBS_H

#include "engine/weir.h"

void wr_bench_job_copy(weir_job *job);
void wr_bench_job_count(weir_job *job);
void wr_bench_job_wordcount(weir_job *job);

#endif

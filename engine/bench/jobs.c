/* jobs.c: the jobs that `weir bench` has built in: the examples themselves. See bench.h, jobs.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/jobs.h"

#include <string.h>

#include "engine/bench/bench.h"

static const struct wr_bench_job jobs[] = {
    {"copy", wr_bench_job_copy, "in", "out", false, NULL},
    {"count", wr_bench_job_count, "in", "out", false, NULL},
    {"wordcount", wr_bench_job_wordcount, "lines", "counts", true, NULL},
};

const struct wr_bench_job *wr_bench_job_find(const char *name)
{
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        if (strcmp(jobs[i].name, name) == 0) {
            return &jobs[i];
        }
    }
    return NULL;
}

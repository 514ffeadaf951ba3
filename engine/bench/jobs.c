/* jobs.c: the jobs that `weir bench` has built in: the examples themselves. See bench.h, jobs.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/bench/bench.h"
#include "txn/base/nearest.h"

#define QUERY(number)                                                                              \
    {"nexmark_q" #number, wr_bench_job_nexmark_q##number, "events", "results", "nexmark", NULL},

static const struct wr_bench_job jobs[] = {
    {"copy", wr_bench_job_copy, "in", "out", "keyed", NULL},
    {"count", wr_bench_job_count, "in", "out", "keyed", NULL},
    {"wordcount", wr_bench_job_wordcount, "lines", "counts", "lines", NULL},
    WR_BENCH_QUERIES(QUERY)};
enum { JOBS = sizeof jobs / sizeof *jobs };

const struct wr_bench_job *wr_bench_job_find(const char *name)
{
    for (size_t i = 0; i < JOBS; i++) {
        if (strcmp(jobs[i].name, name) == 0) {
            return &jobs[i];
        }
    }
    return NULL;
}

const char *wr_bench_job_nearest(const char *name)
{
    const char *names[JOBS + 1];
    for (size_t i = 0; i < JOBS; i++) {
        names[i] = jobs[i].name;
    }
    names[JOBS] = NULL;
    return wr_nearest(name, names);
}

static const char *generator_of(const struct wr_bench_job *job)
{
    return job->generator ? job->generator : "keyed";
}

bool wr_bench_job_reads(const struct wr_bench_job *job, const char *generator)
{
    return strcmp(generator_of(job), generator) == 0;
}

void wr_bench_generator(const struct wr_bench_cell *cell, int64_t records, int64_t rate, char *uri,
                        size_t size)
{
    size_t at = (size_t)snprintf(uri, size, "gen:%s?seed=0", generator_of(cell->job));
    if (!wr_bench_job_reads(cell->job, "nexmark")) {
        at += (size_t)snprintf(uri + at, size - at, "&keys=%" PRId64 "&size=%" PRId64, cell->keys,
                               cell->value_bytes);
    }
    if (records > 0) {
        at += (size_t)snprintf(uri + at, size - at, "&records=%" PRId64, records);
    }
    if (rate > 0) {
        snprintf(uri + at, size - at, "&rate=%" PRId64, rate);
    }
}

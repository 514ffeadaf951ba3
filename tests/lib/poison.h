/* poison.h: a job whose records say what goes wrong with them, for the tests of failures, dead
 * letters and their retry. What a value says:
 *
 *   poison     the call fails, until it is mended
 *   flaky N    it fails N times, then passes
 *   fatal      it fails so that the run stops
 *   bad        it is rejected, until it is mended
 *   huge       it emits more than a unit may hold
 *   wake NAME  it sets timer NAME (as above: poison, bad) at its time + 10
 *   number X   X goes to side 1, a table of integers
 *
 * Everything else is counted by key and given out as "COUNT VALUE"; a timer that fires as "fired
 * NAME".
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_POISON_H
#define TEST_POISON_H

#include "engine/weir_test.h"

struct poison {
    bool mended;
    int calls;
    int failed; /* calls that failed */
    char last_origin[100]; /* of the last call: "SOURCE PARTITION OFFSET" */
};

/* What the job's calls go by and note, until the next poison_begin. */
struct poison *poison_begin(void);
/* Source `in`, node `node`, sinks `out` and, on side 1, `numbers`. */
void poison_define(weir_job *job);
/* The same with the node called `renamed`. */
void poison_define_renamed(weir_job *job);

#endif

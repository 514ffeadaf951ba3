/* chance.h: what tests with random input have in common.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CHANCE_H
#define TEST_CHANCE_H

#include "engine/weir_test.h"

/* A number of the environment, such as WEIR_SEED; the fallback where it is not set. */
int64_t chance_setting(const char *name, int64_t fallback);
/* The next run crashes at any fault point, at one of its first so many passings. */
void chance_crash(weir_test *test, uint64_t *random, int passings_max);

#endif

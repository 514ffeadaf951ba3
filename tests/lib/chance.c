/* chance.c: see chance.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/chance.h"

#include <stdlib.h>

#include "txn/base/random.h"

int64_t chance_setting(const char *name, int64_t fallback)
{
    const char *text = getenv(name);
    return text && *text ? strtoll(text, NULL, 10) : fallback;
}

void chance_crash(weir_test *test, uint64_t *random, int passings_max)
{
    int points = 0;
    while (weir_test_fault(points)) {
        points++;
    }
    int point = (int)(wr_random_next(random) % (uint64_t)points);
    int passing = 1 + (int)(wr_random_next(random) % (uint64_t)passings_max);
    weir_test_crash_at(test, weir_test_fault(point), passing);
}

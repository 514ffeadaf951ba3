/* assert.h: assertions that stay on in release builds. They state what the code promises itself;
 * input, network and disk are never asserted, they get a status.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_ASSERT_H
#define WR_ASSERT_H

#include <stdint.h>

_Noreturn void wr_assert_failed(const char *expression, const char *file, int line);
_Noreturn void wr_assert_failed_pair(const char *expression, int64_t left, int64_t right,
                                     const char *file, int line);

#define wr_assert(expression)                                                                      \
    ((expression) ? (void)0 : wr_assert_failed(#expression, __FILE__, __LINE__))

/* Prints both values when `left op right` does not hold: wr_assert_that(next, >=, first). */
#define wr_assert_that(left, op, right)                                                            \
    (((left)op(right)) ? (void)0                                                                   \
                       : wr_assert_failed_pair(#left " " #op " " #right, (int64_t)(left),          \
                                               (int64_t)(right), __FILE__, __LINE__))

#endif

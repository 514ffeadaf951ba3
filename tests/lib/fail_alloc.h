/* fail_alloc.h: makes the n-th allocation fail: of the library's code (the linker wraps malloc and
 * its like in tests named test_alloc*), or of SQLite. One thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_FAIL_ALLOC_H
#define TEST_FAIL_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

enum fail_alloc_of { FAIL_ALLOC_WEIR, FAIL_ALLOC_SQLITE };

/* Takes SQLite's allocations over; before anything uses SQLite. */
void fail_alloc_init(void);
/* The n-th allocation from now fails; when lasting, all later ones too. */
void fail_alloc_arm(enum fail_alloc_of of, int64_t n, bool lasting);
/* Counts on, fails none: around what belongs to the test. */
void fail_alloc_pause(bool paused);
void fail_alloc_off(void);
/* Whether the armed one failed. */
bool fail_alloc_hit(void);

#endif

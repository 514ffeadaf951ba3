/* nearest.h: the right word for a misspelt one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_NEAREST_H
#define WR_NEAREST_H

#include <stddef.h>

/* The candidate nearest to `word` by edit distance, NULL when none is near. candidates end with
 * NULL. */
const char *wr_nearest(const char *word, const char *const *candidates);

#endif

/* nearest.c: see nearest.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/nearest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "txn/base/limits.h"

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : (unsigned char)c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours (optimal string alignment), without regard to case, by
 * three rows of its table. Both are at most WR_NAME_BYTES_MAX long. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][WR_NAME_BYTES_MAX + 1];
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1])) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
    }
    return rows[a_size % 3][b_size];
}

const char *wr_nearest(const char *word, const char *const *candidates)
{
    size_t size = strlen(word);
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;
    for (size_t i = 0; size > 0 && size <= WR_NAME_BYTES_MAX && candidates[i]; i++) {
        size_t candidate_size = strlen(candidates[i]);
        if (candidate_size > WR_NAME_BYTES_MAX) {
            continue;
        }
        size_t apart = distance(word, size, candidates[i], candidate_size);
        /* The beginning of a word is as good as a slip of one letter. */
        if (apart > 1 && size > 1 && size < candidate_size) {
            apart = distance(word, size, candidates[i], size) == 0 ? 1 : apart;
        }
        size_t longer = size > candidate_size ? size : candidate_size;
        if (apart <= (longer + 2) / 3 && apart < longer && apart < nearest_distance) {
            nearest = candidates[i];
            nearest_distance = apart;
        }
    }
    return nearest;
}

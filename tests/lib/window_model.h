/* window_model.h: what windows are, by their definition, applied naively to all records at once.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_WINDOW_MODEL_H
#define TEST_WINDOW_MODEL_H

#include <weir_ops.h>

enum { ITEMS_MAX = 60, ROWS_MAX = 8 * ITEMS_MAX, KEYS = 2 };
enum { LETTERS, COUNTED, DISTINCT }; /* what values become: all, how many, how many different */

struct window_item {
    int key;
    int64_t time_ms, watermark_ms; /* as it stood before this one */
    char letter;
};

struct window_round {
    uint64_t seed;
    weir_windows windows;
    int64_t out_of_order_ms;
    int values;
    struct window_item items[ITEMS_MAX];
    int count;
};

struct window_row {
    int key;
    int64_t start_ms, end_ms;
    char value[2 * ITEMS_MAX];
};

struct window_table {
    struct window_row rows[ROWS_MAX];
    int count;
    char late[ITEMS_MAX * 40];
};

/* The windows that come out of a round, and what was late. */
void window_model(const struct window_round *round, struct window_table *table);

/* NULL: there is none. */
struct window_row *window_row(struct window_table *table, int key, int64_t start_ms);
struct window_row *window_row_new(struct window_table *table, int key, int64_t start_ms,
                                  int64_t end_ms);
void window_row_free(struct window_table *table, struct window_row *row);

#endif

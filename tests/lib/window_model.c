/* window_model.c: see window_model.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/window_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct window_row *window_row(struct window_table *table, int key, int64_t start_ms)
{
    for (int i = 0; i < table->count; i++) {
        if (table->rows[i].key == key && table->rows[i].start_ms == start_ms) {
            return &table->rows[i];
        }
    }
    return NULL;
}

struct window_row *window_row_new(struct window_table *table, int key, int64_t start_ms,
                                  int64_t end_ms)
{
    if (table->count == ROWS_MAX) {
        abort();
    }
    struct window_row *row = &table->rows[table->count++];
    *row = (struct window_row){.key = key, .start_ms = start_ms, .end_ms = end_ms};
    return row;
}

void window_row_free(struct window_table *table, struct window_row *row)
{
    *row = table->rows[--table->count];
}

/* ---- The definitions ------------------------------------------------------------------------- */

static bool is_open(const struct window_round *round, int64_t end_ms,
                    const struct window_item *item)
{
    return end_ms + round->windows.grace_ms > item->watermark_ms;
}

static void late(struct window_table *table, const struct window_item *item)
{
    size_t size = strlen(table->late);
    snprintf(table->late + size, sizeof table->late - size, "late k%d %" PRId64 " %c; ", item->key,
             item->time_ms, item->letter);
}

/* A record is a part of each window around it that is open. */
static void hopping(const struct window_round *round, struct window_table *table)
{
    int64_t size = round->windows.size;
    for (int i = 0; i < round->count; i++) {
        const struct window_item *item = &round->items[i];
        bool in_any = false;
        for (int64_t start = item->time_ms - size + 1; start <= item->time_ms; start++) {
            if (start % round->windows.advance == 0 && is_open(round, start + size, item)) {
                struct window_row *row = window_row(table, item->key, start);
                row = row ? row : window_row_new(table, item->key, start, start + size);
                strncat(row->value, &item->letter, 1);
                in_any = true;
            }
        }
        if (!in_any) {
            late(table, item);
        }
    }
}

/* A record and all open sessions that it is near to become one. */
static void session(const struct window_round *round, struct window_table *table)
{
    int64_t gap = round->windows.size;
    for (int i = 0; i < round->count; i++) {
        const struct window_item *item = &round->items[i];
        struct window_row now = {item->key, item->time_ms, item->time_ms + gap, ""};
        struct window_row *near;
        do { /* the earliest first */
            near = NULL;
            for (int j = 0; j < table->count; j++) {
                struct window_row *row = &table->rows[j];
                if (row->key == item->key && row->start_ms - gap <= item->time_ms &&
                    item->time_ms <= row->end_ms && is_open(round, row->end_ms, item) &&
                    (!near || row->start_ms < near->start_ms)) {
                    near = row;
                }
            }
            if (near) {
                strcat(now.value, near->value);
                now.start_ms = near->start_ms < now.start_ms ? near->start_ms : now.start_ms;
                now.end_ms = near->end_ms > now.end_ms ? near->end_ms : now.end_ms;
                window_row_free(table, near);
            }
        } while (near);
        if (is_open(round, now.end_ms, item)) {
            strncat(now.value, &item->letter, 1);
            *window_row_new(table, now.key, now.start_ms, now.end_ms) = now;
        } else {
            late(table, item);
        }
    }
}

/* Makes a sliding window of what came so far, if it is open and not there. */
static void slide(const struct window_round *round, struct window_table *table, int upto,
                  int64_t start_ms, const bool *taken)
{
    const struct window_item *item = &round->items[upto];
    int64_t end_ms = start_ms + round->windows.size + 1;
    if (!is_open(round, end_ms, item) || window_row(table, item->key, start_ms)) {
        return;
    }
    struct window_row *row = window_row_new(table, item->key, start_ms, end_ms);
    for (int i = 0; i <= upto; i++) {
        const struct window_item *at = &round->items[i];
        if (taken[i] && at->key == item->key && at->time_ms >= start_ms && at->time_ms < end_ms) {
            strncat(row->value, &at->letter, 1);
        }
    }
}

/* The left window of each record, and the right ones that have one. */
static void sliding(const struct window_round *round, struct window_table *table)
{
    int64_t difference = round->windows.size;
    bool taken[ITEMS_MAX] = {false};
    for (int i = 0; i < round->count; i++) {
        const struct window_item *item = &round->items[i];
        int64_t time = item->time_ms;
        taken[i] = is_open(round, time + difference + 1, item);
        if (!taken[i]) {
            late(table, item);
            continue;
        }
        for (int j = 0; j < table->count; j++) {
            struct window_row *row = &table->rows[j];
            if (row->key == item->key && row->start_ms <= time && time < row->end_ms &&
                is_open(round, row->end_ms, item)) {
                strncat(row->value, &item->letter, 1);
            }
        }
        slide(round, table, i, time >= 0 && time < difference ? 0 : time - difference, taken);
        for (int j = 0; j < i; j++) {
            int64_t other = round->items[j].time_ms;
            if (taken[j] && round->items[j].key == item->key) {
                if (other < time && time <= other + 1 + difference) {
                    slide(round, table, i, other + 1, taken);
                } else if (time < other && other <= time + 1 + difference) {
                    slide(round, table, i, time + 1, taken);
                }
            }
        }
    }
}

static void count(const struct window_round *round, struct window_table *table)
{
    for (int key = 0; key < KEYS; key++) {
        struct window_item items[ITEMS_MAX];
        int64_t came = 0;
        for (int i = 0; i < round->count; i++) {
            if (round->items[i].key != key) {
                continue;
            }
            items[came++] = round->items[i];
            if (came % round->windows.advance == 0) {
                int64_t first = came > round->windows.size ? came - round->windows.size : 0;
                struct window_row *row =
                    window_row_new(table, key, items[first].time_ms, items[came - 1].time_ms);
                for (int64_t j = first; j < came; j++) {
                    strncat(row->value, &items[j].letter, 1);
                }
            }
        }
    }
}

/* What the aggregation makes of a window's letters. */
static void value_of(int values, char *value)
{
    size_t result = strlen(value);
    if (values == DISTINCT) {
        result = 0;
        for (const char *at = value; *at; at++) {
            result += memchr(value, *at, (size_t)(at - value)) == NULL;
        }
    }
    if (values != LETTERS) {
        snprintf(value, ITEMS_MAX, "%zu", result);
    }
}

void window_model(const struct window_round *round, struct window_table *table)
{
    *table = (struct window_table){.count = 0};
    switch (round->windows.kind) {
    case WEIR_WINDOW_SLIDING:
        sliding(round, table);
        break;
    case WEIR_WINDOW_SESSION:
        session(round, table);
        break;
    case WEIR_WINDOW_COUNT:
        count(round, table);
        break;
    default:
        hopping(round, table);
    }
    for (int i = 0; i < table->count; i++) {
        value_of(round->values, table->rows[i].value);
    }
}

/* report_series.c: what a report's plots are about: sections, series, places on the x axis.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "engine/bench/report_inner.h"

/* ---- Sections -------------------------------------------------------------------------------- */

static bool same_section(const struct wr_bench_cell *a, const struct wr_bench_cell *b)
{
    return a->sync == b->sync && a->keys == b->keys && a->value_bytes == b->value_bytes &&
           a->route == b->route && a->forward_ms == b->forward_ms &&
           a->cache_bytes == b->cache_bytes && strcmp(a->job->name, b->job->name) == 0;
}

/* Whether no result before this one is of its section. */
static bool is_first(const struct wr_bench_results *results, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (same_section(&results->items[i].cell, &results->items[at].cell)) {
            return false;
        }
    }
    return true;
}

bool wr_report_section_next(struct wr_report_section *section)
{
    const struct wr_bench_results *results = section->results;
    size_t found = 0, wanted = section->like ? section->number + 1 : 0;
    const struct wr_bench_cell *next = NULL;
    for (size_t i = 0; i < results->count; i++) {
        if (is_first(results, i)) {
            if (found == wanted) {
                next = &results->items[i].cell;
            }
            found++;
        }
    }
    section->count = found;
    section->number = wanted;
    section->like = next;
    return next != NULL;
}

const struct wr_bench_result *wr_report_next(const struct wr_report_section *section, size_t *at)
{
    while (*at < section->results->count) {
        const struct wr_bench_result *result = &section->results->items[(*at)++];
        if (same_section(&result->cell, section->like)) {
            return result;
        }
    }
    return NULL;
}

/* ---- Series ---------------------------------------------------------------------------------- */

enum wr_report_series wr_report_series_of(const struct wr_bench_cell *cell)
{
    switch (cell->kind) {
    case WR_BENCH_NO_POSITIONS:
        return WR_SERIES_NO_POSITIONS;
    case WR_BENCH_LOOP:
        return WR_SERIES_LOOP;
    case WR_BENCH_LOOP_DIRECT:
        return WR_SERIES_LOOP_DIRECT;
    case WR_BENCH_RAW_OVERWRITE:
        return WR_SERIES_RAW_OVERWRITE;
    case WR_BENCH_RAW_APPEND:
        return WR_SERIES_RAW_APPEND;
    case WR_BENCH_WEIR:
    default:
        return cell->delivery == WR_EXACTLY_ONCE    ? WR_SERIES_EXACTLY_ONCE
               : cell->delivery == WR_AT_LEAST_ONCE ? WR_SERIES_AT_LEAST_ONCE
                                                    : WR_SERIES_AT_MOST_ONCE;
    }
}

const char *wr_report_series_name(enum wr_report_series series)
{
    static const char *const names[WR_SERIES] = {
        "exactly-once",           "at-least-once",       "at-most-once",
        "no positions stored",    "hand-written loop",   "hand-written loop, at least once",
        "raw bytes, overwritten", "raw bytes, appended",
    };
    return names[series];
}

/* ---- Figures --------------------------------------------------------------------------------- */

struct wr_bench_spread wr_report_ratio(const struct wr_report_section *section,
                                       const struct wr_bench_result *result,
                                       enum wr_bench_kind base)
{
    const struct wr_bench_result *other =
        wr_bench_peer(section->results, result->group, base, WR_AT_LEAST_ONCE);
    bool weir = result->cell.kind == WR_BENCH_WEIR || result->cell.kind == WR_BENCH_NO_POSITIONS;
    struct wr_bench_spread none = {.count = 0};
    struct wr_bench_spread ratio =
        weir && other && other != result ? wr_bench_ratio(result, other) : none;
    return isfinite(ratio.low) && isfinite(ratio.high) ? ratio : none; /* a run may have stood */
}

/* ---- Places on the x axis -------------------------------------------------------------------- */

bool wr_report_place_is_number(const struct wr_report_place *place)
{
    return place->epoch_records > 0 && place->epoch_ms == 0;
}

bool wr_report_place_is(const struct wr_report_place *place, const struct wr_bench_cell *cell)
{
    return place->epoch_records == cell->epoch_records && place->epoch_ms == cell->epoch_ms;
}

/* Numbers by size, then what is limited by time, then adaptive. */
static int compare_places(const void *a, const void *b)
{
    const struct wr_report_place *left = a, *right = b;
    bool timed = left->epoch_ms > 0, other_timed = right->epoch_ms > 0;
    if (wr_report_place_is_number(left) != wr_report_place_is_number(right)) {
        return wr_report_place_is_number(right) - wr_report_place_is_number(left);
    }
    if (timed != other_timed) {
        return other_timed - timed;
    }
    if (left->epoch_ms != right->epoch_ms) {
        return left->epoch_ms < right->epoch_ms ? -1 : 1;
    }
    return (left->epoch_records > right->epoch_records) -
           (left->epoch_records < right->epoch_records);
}

size_t wr_report_places(const struct wr_report_section *section,
                        struct wr_report_place places_out[WR_REPORT_PLACES_MAX])
{
    size_t count = 0, at = 0;
    const struct wr_bench_result *result;
    while ((result = wr_report_next(section, &at)) && count < WR_REPORT_PLACES_MAX) {
        struct wr_report_place place = {result->cell.epoch_records, result->cell.epoch_ms, 0};
        size_t i = 0;
        while (i < count && compare_places(&place, &places_out[i]) != 0) {
            i++;
        }
        if (i == count) {
            places_out[count++] = place;
        }
    }
    qsort(places_out, count, sizeof places_out[0], compare_places);
    return count;
}

void wr_report_epoch_name(int64_t epoch_records, int64_t epoch_ms, char *text, size_t size)
{
    char number[WR_BENCH_NUMBER_MAX];
    wr_bench_text_count(number, epoch_records);
    if (epoch_records == 0 && epoch_ms == 0) {
        snprintf(text, size, "adaptive");
    } else if (epoch_ms == 0) {
        snprintf(text, size, "%s", number);
    } else if (epoch_records == 0) {
        snprintf(text, size, "%" PRId64 " ms", epoch_ms);
    } else {
        snprintf(text, size, "%s, %" PRId64 " ms", number, epoch_ms);
    }
}

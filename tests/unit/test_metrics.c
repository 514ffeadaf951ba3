/* test_metrics.c: the JSON line that --stats prints.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "engine/metrics.h"

static json_t *written(const struct wr_metrics *metrics, int64_t previous_records,
                       int64_t previous_us, bool final)
{
    const struct wr_store_stats store = {
        .fsyncs = 11, .bytes_written = 12, .store_bytes = 13, .wal_bytes = 14};
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    wr_metrics_write(metrics, &store, (enum wr_waiting)metrics->waiting_for, 5500000,
                     previous_records, previous_us, final, file);
    fclose(file);
    assert_int_equal(text[size - 1], '\n');
    assert_null(memchr(text, '\n', size - 1));
    json_t *line = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    free(text);
    return line;
}

static void has_integer(json_t *line, const char *name, int64_t value)
{
    assert_true(json_is_integer(json_object_get(line, name)));
    assert_int_equal(json_integer_value(json_object_get(line, name)), value);
}

/* A line has every name that the design lists and no other; its rate is that of the last step. */
static void a_line_has_every_name(void **state)
{
    (void)state;
    struct wr_metrics metrics = {.started_us = 500000, .generation = 3};
    metrics.records_in = 3000;
    metrics.records_out = 2;
    metrics.lag_records = -1;
    metrics.watermark_ms = INT64_MIN;
    metrics.waiting_for = WR_WAITING_DECIDE;
    json_t *line = written(&metrics, 1000, 4500000, false);
    const char *const names[] = {
        "records_in",   "records_out",   "rejects",       "late",        "epochs",
        "seconds",      "records_per_s", "decide_ms_p50", "fsyncs",      "decide_ms_p99",
        "store_bytes",  "wal_bytes",     "bytes_written", "lag_records", "backlog_records",
        "watermark_ms", "timers",        "generation",    "waiting_for"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_non_null(json_object_get(line, names[i]));
    }
    assert_int_equal(json_object_size(line), sizeof names / sizeof names[0]);
    has_integer(line, "records_in", 3000);
    has_integer(line, "records_per_s", 2000);
    has_integer(line, "fsyncs", 11);
    has_integer(line, "bytes_written", 12);
    has_integer(line, "store_bytes", 13);
    has_integer(line, "wal_bytes", 14);
    has_integer(line, "generation", 3);
    assert_true(json_real_value(json_object_get(line, "seconds")) == 5.0);
    assert_true(json_is_null(json_object_get(line, "lag_records")));
    assert_true(json_is_null(json_object_get(line, "watermark_ms")));
    assert_string_equal(json_string_value(json_object_get(line, "waiting_for")), "decide");
    json_decref(line);
}

/* The last line's rate is that of the whole run. */
static void the_last_line_is_of_the_whole_run(void **state)
{
    (void)state;
    struct wr_metrics metrics = {.started_us = 500000};
    metrics.records_in = 3000;
    json_t *line = written(&metrics, 2999, 5499999, true);
    has_integer(line, "records_per_s", 600);
    json_decref(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_every_name),
        cmocka_unit_test(the_last_line_is_of_the_whole_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_source_gen.c: generated records: content by hand and by a naive model, positions, rate.
 *
 * Long because each parameter that decides content or position has a case.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/gen_run.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *text_of(weir_bytes bytes)
{
    static _Thread_local char text[4][256];
    static _Thread_local int turn;
    char *at = text[turn++ % 4];
    snprintf(at, sizeof text[0], "%.*s", (int)bytes.size,
             bytes.data ? (const char *)bytes.data : "");
    return at;
}

/* ---- Content --------------------------------------------------------------------------------- */

/* The first records of gen:keyed, written out by hand. */
static void keyed_records_are_what_the_formula_says(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
    } records[] = {
        {"0", "00000000000000000000xxxxx"},
        {"761", "00000000000000000001xxxxx"},
        {"522", "00000000000000000002xxxxx"},
        {"283", "00000000000000000003xxxxx"},
    };
    struct gen_run f;
    gen_open(&f, "gen:keyed?size=25");
    assert_false(f.source->bounded);

    assert_int_equal(gen_poll(&f, 0), WR_SOURCE_MORE);

    assert_int_equal(f.polled.count, WR_POLL_RECORDS_MAX);
    for (size_t i = 0; i < COUNT(records); i++) {
        const weir_record *record = &f.polled.records[i];
        assert_string_equal(text_of(record->key), records[i].key);
        assert_string_equal(text_of(record->value), records[i].value);
        assert_int_equal(record->time_ms, i);
        assert_int_equal(record->header_count, 0);
        assert_int_equal(f.polled.offsets[i], i);
        assert_int_equal(f.polled.nexts[i], i + 1);
        assert_null(f.polled.rejects[i]);
    }
    gen_close(&f);
}

/* Against snprintf, over numbers of every length, keys and partitions. */
static void keyed_records_equal_a_naive_model(void **state)
{
    (void)state;
    static const uint64_t keys[] = {1, 9, 10, 100, 12345, 1u << 31, INT64_MAX};
    static const int64_t partitions[] = {1, 3, 4096};
    for (size_t k = 0; k < COUNT(keys) * COUNT(partitions); k++) {
        struct gen_run f;
        char uri[100];
        uint64_t key_count = keys[k % COUNT(keys)];
        int64_t parts = partitions[k / COUNT(keys)];
        snprintf(uri, sizeof uri, "gen:keyed?keys=%" PRIu64 ",size=30,partitions=%" PRId64,
                 key_count, parts);
        gen_open(&f, uri);
        size_t p = (size_t)parts / 2;
        for (int64_t from = 0; from < INT64_MAX / 20 / parts; from = from * 9 + 7) {
            assert_int_equal(gen_seek(&f, p, from, f.source->partitions[p]->identity), WEIR_OK);
            assert_int_equal(gen_poll(&f, p), WR_SOURCE_MORE);
            for (size_t n = 0; n < f.polled.count; n += 97) {
                char key[32], value[64];
                uint64_t i = (uint64_t)(from + (int64_t)n) * (uint64_t)parts + p;
                snprintf(key, sizeof key, "%" PRIu64, i * UINT64_C(2654435761) % key_count);
                snprintf(value, sizeof value, "%020" PRIu64 "xxxxxxxxxx", i);
                assert_string_equal(text_of(f.polled.records[n].key), key);
                assert_string_equal(text_of(f.polled.records[n].value), value);
                assert_int_equal(f.polled.records[n].time_ms, i);
            }
        }
        gen_close(&f);
    }
}

/* Lines have no key and only words, are about as long as asked for and full to the last word that
 * fits; the frequent words are frequent. */
static void lines_are_words(void **state)
{
    (void)state;
    struct gen_run f;
    size_t most = 0, first = 0, words = 0;
    gen_open(&f, "gen:lines?records=20000");
    while (gen_poll(&f, 0) == WR_SOURCE_MORE) {
        for (size_t n = 0; n < f.polled.count; n++) {
            const weir_record *record = &f.polled.records[n];
            const char *text = text_of(record->value);
            assert_null(record->key.data);
            assert_true(record->value.size <= 80 && record->value.size > 70);
            assert_int_equal(strspn(text, "abcdefghijklmnopqrstuvwxyz "), record->value.size);
            assert_null(strstr(text, "  "));
            assert_true(text[0] != ' ' && text[record->value.size - 1] != ' ');
            most = record->value.size > most ? record->value.size : most;
            for (const char *at = text; *at; at += strcspn(at, " "), at += *at == ' ') {
                words++;
                first += strncmp(at, "te ", 3) == 0;
            }
        }
    }
    assert_int_equal(most, 80);
    /* Of rank r + 1 out of 10,000: log2((r + 2) / (r + 1)) / log2(10,001), so 7.5 % for rank 0. */
    assert_true(first > words / 20 && first < words / 10);
    gen_close(&f);
}

/* The content must be the same for ever, on every machine: positions refer to it. The sums were
 * computed by a model in another language. */
static void content_never_changes(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        uint32_t crc;
    } cases[] = {
        {"gen:keyed?records=5000", 0x55228645},
        {"gen:keyed?records=5000,keys=7,size=21,seed=5,partitions=2", 0xcc9164d7},
        {"gen:lines?records=5000", 0xb05a6986},
        {"gen:lines?records=5000,seed=1", 0x1c82fd3a},
        {"gen:lines?records=500,keys=4294967296,size=1000", 0x9acbb48f},
        {"gen:lines?records=5000,keys=1,size=1", 0x16636293},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        gen_must_have_crc(cases[i].uri, cases[i].crc);
    }
}

/* The largest records that are allowed come one a poll. */
static void large_records_come_one_by_one(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        size_t size_min;
    } cases[] = {{"gen:keyed?size=1048556,keys=9223372036854775807", 1048556},
                 {"gen:lines?size=1M", 1048576 - 16}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct gen_run f;
        gen_open(&f, cases[i].uri);
        for (int64_t n = 0; n < 3; n++) {
            assert_int_equal(gen_poll(&f, 0), WR_SOURCE_MORE);
            assert_int_equal(f.polled.count, 1);
            assert_int_equal(f.polled.offsets[0], n);
            const weir_record *record = &f.polled.records[0];
            assert_true(record->value.size >= cases[i].size_min);
            assert_true(record->key.size + record->value.size <= WR_RECORD_BYTES_MAX);
        }
        gen_close(&f);
    }
}

/* ---- Ends and positions ---------------------------------------------------------------------- */

/* All records are there once, over all partitions, and then each partition has ended. */
static void partitions_share_the_records(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        size_t partitions;
        int64_t records;
    } cases[] = {
        {"gen:keyed?records=0", 1, 0},
        {"gen:keyed?records=1,partitions=3", 3, 1},
        {"gen:keyed?records=3000", 1, 3000},
        {"gen:lines?records=10000,partitions=7", 7, 10000},
        {"gen:keyed?records=4095,partitions=4096", 4096, 4095},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct gen_run f;
        gen_open(&f, cases[i].uri);
        unsigned char *seen = calloc(1, (size_t)cases[i].records + 1);
        int64_t count = 0;
        assert_non_null(seen);
        assert_true(f.source->bounded);
        assert_int_equal(f.source->partition_count, cases[i].partitions);
        for (size_t p = 0; p < cases[i].partitions; p++) {
            struct wr_source_partition *partition = f.source->partitions[p];
            assert_int_equal(f.source->ops->bound(f.source, partition, &f.error), WEIR_OK);
            assert_int_equal(f.source->ops->lag(f.source, partition), partition->end);
            assert_int_equal(partition->index, p);
            assert_int_equal(atoi(partition->part), p);
            while (gen_poll(&f, p) == WR_SOURCE_MORE) {
                for (size_t n = 0; n < f.polled.count; n++, count++) {
                    int64_t record = f.polled.records[n].time_ms;
                    assert_true(record >= 0 && record < cases[i].records && !seen[record]);
                    seen[record] = 1;
                }
            }
            assert_int_equal(gen_poll(&f, p), WR_SOURCE_ENDED);
            assert_int_equal(f.source->ops->lag(f.source, partition), 0);
        }
        assert_int_equal(count, cases[i].records);
        free(seen);
        gen_close(&f);
    }
}

/* A stored position is taken up when the generator is still the same. */
static void positions_are_checked(void **state)
{
    (void)state;
    static const char *const identity = "gen:keyed;keys=1000;size=100;seed=0;partitions=1";
    static const struct {
        int64_t next;
        const char *identity;
        enum wr_exit exit_code;
        const char *text;
    } cases[] = {
        {0, identity, WR_EXIT_OK, ""},
        {100, identity, WR_EXIT_OK, ""},
        {7, NULL, WR_EXIT_OK, ""},
        {101, identity, WR_EXIT_CONFIG, "has only 100 records and would go on at 101"},
        {-1, identity, WR_EXIT_DATA, "damaged"},
        {5, "gen:keyed;keys=999;size=100;seed=0;partitions=1", WR_EXIT_CONFIG, "keys=999"},
        {5, "garbage", WR_EXIT_CONFIG, "was garbage and is now gen:keyed"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct gen_run f;
        gen_open(&f, "gen:keyed?records=100");

        weir_status status = gen_seek(&f, 0, cases[i].next, cases[i].identity);

        assert_int_equal(status, cases[i].exit_code ? WEIR_FATAL : WEIR_OK);
        assert_int_equal(f.error.exit_code, cases[i].exit_code);
        assert_non_null(strstr(f.error.text, cases[i].text));
        if (status == WEIR_OK) {
            assert_int_equal(f.source->partitions[0]->next, cases[i].next);
        }
        gen_close(&f);
    }
}

/* What decides the content is the identity, and nothing else is. */
static void the_identity_is_what_decides_the_content(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *identity;
    } cases[] = {
        {"gen:keyed?records=5,rate=9", "gen:keyed;keys=1000;size=100;seed=0;partitions=1"},
        {"gen:lines", "gen:lines;keys=10000;size=80;seed=0;partitions=1"},
        {"gen:lines?keys=3,size=1k,seed=8,partitions=2",
         "gen:lines;keys=3;size=1024;seed=8;partitions=2"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct gen_run f;
        gen_open(&f, cases[i].uri);
        assert_string_equal(f.source->partitions[0]->identity, cases[i].identity);
        gen_close(&f);
    }
}

/* A generator without records= has no end to run to. */
static void an_endless_generator_has_no_end(void **state)
{
    (void)state;
    struct gen_run f;
    gen_open(&f, "gen:keyed");
    struct wr_source_partition *partition = f.source->partitions[0];
    assert_int_equal(partition->end, INT64_MAX);
    assert_int_equal(f.source->ops->lag(f.source, partition), -1);
    assert_int_equal(f.source->ops->bound(f.source, partition, &f.error), WEIR_MISUSE);
    assert_int_equal(f.error.exit_code, WR_EXIT_USAGE);
    assert_non_null(strstr(f.error.text, "records=N"));
    gen_close(&f);
}

/* ---- Rate ------------------------------------------------------------------------------------ */

/* At R records a second record i is due after (i + 1) / R seconds, whichever partition has it, and
 * a run that starts later starts its count then. */
static void the_rate_is_kept(void **state)
{
    (void)state;
    struct gen_run f;
    gen_open(&f, "gen:keyed?rate=1000,partitions=3");
    for (size_t p = 0; p < 3; p++) {
        assert_int_equal(gen_seek(&f, p, 50, NULL), WEIR_OK);
        assert_int_equal(gen_poll(&f, p), WR_SOURCE_WAIT);
        assert_int_equal(f.source->ops->lag(f.source, f.source->partitions[p]), 0);
        /* record p of all is the first here */
        assert_int_equal(f.source->partitions[p]->due_us, f.now_us + 1000 * ((int64_t)p + 1));
    }

    f.now_us += 7999; /* 7 are due: 3, 2 and 2 */
    for (size_t p = 0; p < 3; p++) {
        int64_t due = p == 0 ? 3 : 2;
        assert_int_equal(f.source->ops->lag(f.source, f.source->partitions[p]), due);
        assert_int_equal(gen_poll(&f, p), WR_SOURCE_MORE);
        assert_int_equal(f.polled.count, due);
        assert_int_equal(f.polled.offsets[0], 50);
        assert_int_equal(gen_poll(&f, p), WR_SOURCE_WAIT);
        int64_t number = due * 3 + (int64_t)p + 1; /* of those that are due at a time each */
        assert_int_equal(f.source->partitions[p]->due_us, f.now_us - 7999 + 1000 * number);
    }

    f.now_us += INT64_C(1000000) * 86400 * 365; /* a year later nothing overflows */
    assert_int_equal(gen_poll(&f, 0), WR_SOURCE_MORE);
    assert_int_equal(f.source->ops->lag(f.source, f.source->partitions[1]),
                     INT64_C(86400000) * 365 / 3);
    gen_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keyed_records_are_what_the_formula_says),
        cmocka_unit_test(keyed_records_equal_a_naive_model),
        cmocka_unit_test(lines_are_words),
        cmocka_unit_test(content_never_changes),
        cmocka_unit_test(large_records_come_one_by_one),
        cmocka_unit_test(partitions_share_the_records),
        cmocka_unit_test(positions_are_checked),
        cmocka_unit_test(the_identity_is_what_decides_the_content),
        cmocka_unit_test(an_endless_generator_has_no_end),
        cmocka_unit_test(the_rate_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

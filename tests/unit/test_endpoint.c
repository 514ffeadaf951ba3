/* test_endpoint.c: URIs of sources and sinks, right and wrong.
 *
 * Long because it has a case for each parameter of each scheme.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/endpoint.h"
#include "txn/base/error.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static weir_status parse(struct wr_arena *arena, const char *uri, bool is_source,
                         struct wr_endpoint *endpoint, struct wr_error *error)
{
    *error = (struct wr_error){.status = WEIR_OK};
    return wr_endpoint_parse(uri, is_source, arena, endpoint, error);
}

/* ---- URIs ------------------------------------------------------------------------------------ */

/* Every form that is right gives its scheme, its decoded path and its parameters. */
static void right_uris_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        bool is_source;
        enum wr_scheme scheme;
        const char *path, *parameters;
    } cases[] = {
        {"file:in.txt", true, WR_SCHEME_FILE, "in.txt", ""},
        {"file:/x/a%20b%25%3Fc", true, WR_SCHEME_FILE, "/x/a b%?c", ""},
        {"file:a%2Ab%5b", true, WR_SCHEME_FILE, "a*b[", ""},
        {"file:a:b=c", true, WR_SCHEME_FILE, "a:b=c", ""},
        {"gen:keyed", true, WR_SCHEME_GEN, "keyed", ""},
        {"gen:keyed?records=5,keys=3&size=1k", true, WR_SCHEME_GEN, "keyed",
         "records=5 keys=3 size=1k "},
        {"gen:nexmark?records=9&seed=2", true, WR_SCHEME_GEN, "nexmark", "records=9 seed=2 "},
        {"gen:lines?seed=9&partitions=4&rate=1000", true, WR_SCHEME_GEN, "lines",
         "seed=9 partitions=4 rate=1000 "},
        {"log:t?store=a%2Cb/c%20d.weir&missing=latest", true, WR_SCHEME_LOG, "t",
         "store=a,b/c d.weir missing=latest "},
        {"table:counts", false, WR_SCHEME_TABLE, "counts", ""},
        {"table:_C0?key=integer&value=blob", false, WR_SCHEME_TABLE, "_C0",
         "key=integer value=blob "},
        {"log:a.b-c_1?partitions=4096,retain_bytes=2G", false, WR_SCHEME_LOG, "a.b-c_1",
         "partitions=4096 retain_bytes=2G "},
        {"file:out*.txt?append=true", false, WR_SCHEME_FILE, "out*.txt", "append=true "},
        {"stdout:", false, WR_SCHEME_STDOUT, "", ""},
        {"null:", false, WR_SCHEME_NULL, "", ""},
        {"kafka://h:9092/t", true, WR_SCHEME_KAFKA, "t", ""},
        {"kafka://a,[::1]:9093,b_c.d-e:1/A.b_c-9?start=latest,partitions=0-3+7,missing=earliest",
         true, WR_SCHEME_KAFKA, "A.b_c-9", "start=latest partitions=0-3+7 missing=earliest "},
        {"kafka://h/t?start=12&partitions=5", true, WR_SCHEME_KAFKA, "t", "start=12 partitions=5 "},
        {"kafka://127.0.0.1:9092/t?partition=source&id_prefix=team.a,backlog_bytes=1G", false,
         WR_SCHEME_KAFKA, "t", "partition=source id_prefix=team.a backlog_bytes=1G "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_arena arena;
        struct wr_endpoint endpoint;
        struct wr_error error;
        wr_arena_init(&arena, 0);

        weir_status status = parse(&arena, cases[i].uri, cases[i].is_source, &endpoint, &error);

        assert_string_equal(error.text, "");
        assert_int_equal(status, WEIR_OK);
        assert_int_equal(endpoint.scheme, cases[i].scheme);
        assert_string_equal(endpoint.uri, cases[i].uri);
        assert_string_equal(endpoint.path, cases[i].path);
        char parameters[128] = "";
        for (size_t j = 0; j < endpoint.parameter_count; j++) {
            size_t used = strlen(parameters);
            snprintf(parameters + used, sizeof parameters - used, "%s=%s ",
                     endpoint.parameters[j].name, endpoint.parameters[j].value);
        }
        assert_string_equal(parameters, cases[i].parameters);
        wr_arena_fini(&arena);
    }
}

/* `*` and `[` make a pattern of a source's path, unless they are written as %XX. */
static void globs_become_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        bool is_source;
        const char *pattern;
    } cases[] = {
        {"file:a.txt", true, NULL},
        {"file:a%2A.txt", true, NULL},
        {"file:a*.txt", false, NULL},
        {"file:a*.txt", true, "a*.txt"},
        {"file:/x/[ab]%20c?follow=true", true, "/x/[ab] c"},
        {"file:%2A*%5b%5D%3F%5C", true, "\\**\\[\\]\\?\\\\"},
        {"file:a\\*", true, "a\\\\*"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_arena arena;
        struct wr_endpoint endpoint;
        struct wr_error error;
        wr_arena_init(&arena, 0);
        assert_int_equal(parse(&arena, cases[i].uri, cases[i].is_source, &endpoint, &error),
                         WEIR_OK);
        assert_int_equal(endpoint.pattern != NULL, cases[i].pattern != NULL);
        if (cases[i].pattern) {
            assert_string_equal(endpoint.pattern, cases[i].pattern);
        }
        wr_arena_fini(&arena);
    }
}

static const struct {
    const char *uri;
    bool is_source;
    const char *text;
} wrong_uris[] = {
    {"", true, "write file:PATH"},
    {"", false, "table:NAME"},
    {"-", true, "into a file"},
    {"-", false, "stdout:"},
    {"in.txt", true, "did you mean file:in.txt?"},
    {"/x/a:b", true, "did you mean file:/x/a:b?"},
    {"./out", false, "did you mean file:./out?"},
    {"counts", false, "table:counts, log:counts or file:counts"},
    {":x", true, "no scheme"},
    {"fil:x", true, "did you mean file?"},
    {"File:x", true, "did you mean file?"},
    {"tabel:x", false, "did you mean table?"},
    {"stdot:", false, "did you mean stdout?"},
    {"nul:", false, "did you mean null?"},
    {"http://x", true, "known: file, gen"},
    {"table:x", true, "is a sink and cannot be a source"},
    {"gen:keyed", false, "is a source and cannot be a sink"},
    {"log:x", true, "write log:x?store=FILE"},
    {"log:x?missing=latest", true, "write log:x?store=FILE"},
    {"log:x?store=", true, "store names no file"},
    {"log:x?store=a%2", true, "two hexadecimal digits"},
    {"log:x?stor=a", true, "did you mean store?"},
    {"log:x?store=a,missing=earlist", true, "did you mean earliest?"},
    {"log:a b?store=a", true, "no name for a topic"},
    {"kafka:h/t", true, "write kafka://HOST:PORT/TOPIC"},
    {"kafka:/h/t", true, "write kafka://HOST:PORT/TOPIC"},
    {"kafka://h:9092", false, "names no topic"},
    {"kafka://h:9092/?start=latest", true, "names no topic"},
    {"kafka:///t", true, "write kafka://HOST:PORT/t"},
    {"kafka://h:/t", true, "\"h:\" is no broker"},
    {"kafka://h:0/t", true, "\"h:0\" is no broker"},
    {"kafka://h:65536/t", true, "is no broker"},
    {"kafka://h:9x/t", true, "is no broker"},
    {"kafka://h:9092,/t", true, "\"\" is no broker"},
    {"kafka://,h/t", true, "\"\" is no broker"},
    {"kafka://a b/t", true, "is no broker"},
    {"kafka://::1:9092/t", true, "write HOST:PORT, or [IPV6]:PORT"},
    {"kafka://[x]:9092/t", true, "is no broker"},
    {"kafka://[::1]9092/t", true, "is no broker"},
    {"kafka://u:p@h/t", true, "is no broker"},
    {"kafka://h/a/b", true, "no name for a topic of Kafka"},
    {"kafka://h/..", true, "no name for a topic of Kafka"},
    {"kafka://h/a%20b", true, "no name for a topic of Kafka"},
    {"kafka://h/t?start=erliest", true, "start cannot be \"erliest\"; it is earliest, latest"},
    {"kafka://h/t?start=-1", true, "start cannot be"},
    {"kafka://h/t?start=", true, "start cannot be"},
    {"kafka://h/t?start=@", true, "start cannot be"},
    {"kafka://h/t?start=2026-02-29", true, "start cannot be"},
    {"kafka://h/t?start=2026-11-22T00:00:00", true, "start cannot be"},
    {"kafka://h/t?start=2026-11-22T24:00Z", true, "start cannot be"},
    {"kafka://h/t?start=2026-11-22T00:00:00.1Z", true, "start cannot be"},
    {"kafka://h/t?start=2026-11-22T00:00:00ZZ", true, "start cannot be"},
    {"kafka://h/t?strat=latest", true, "did you mean start?"},
    {"kafka://h/t?partitions=3-1", true, "as in 0-3+7"},
    {"kafka://h/t?partitions=1+", true, "as in 0-3+7"},
    {"kafka://h/t?partitions=1;2", true, "as in 0-3+7"},
    {"kafka://h/t?partitions=1-2-3", true, "as in 0-3+7"},
    {"kafka://h/t?partitions=4096", true, "as in 0-3+7"},
    {"kafka://h/t?partitions=99999999999", true, "as in 0-3+7"},
    {"kafka://h/t?missing=ignore", true, "known: fail, earliest, latest"},
    {"kafka://h/t?partition=key", true, "did you mean partitions?"},
    {"kafka://h/t?start=latest", false, "known: partition, id_prefix, backlog_bytes"},
    {"kafka://h/t?partition=-1", false, "key, source, or the number of a partition"},
    {"kafka://h/t?partition=kye", false, "partition cannot be \"kye\""},
    {"kafka://h/t?id_prefix=a/b", false, "id_prefix cannot be"},
    {"kafka://h/t?id_prefix=", false, "id_prefix cannot be"},
    {"kafka://h/t?backlog_bytes=1k", false, "backlog_bytes must be a number from 1048576"},
    {"file:", true, "names no file"},
    {"file:?append=true", false, "names no file"},
    {"file:a%2", true, "two hexadecimal digits"},
    {"file:a%zz", true, "two hexadecimal digits"},
    {"file:a%", true, "two hexadecimal digits"},
    {"file:a%00b", true, "other than 00"},
    {"file:x?follow=yes", true, "known: true, false"},
    {"file:x?folow=true", true, "did you mean follow?"},
    {"file:x?compression=zip", true, "did you mean gzip?"},
    {"file:x?compression=zstd", true, "known: none, gzip"},
    {"file:x?missing=ignore", true, "known: fail, earliest, latest"},
    {"file:x?compression=gzip,follow=true", true, "cannot be followed"},
    {"file:*?follow=true&compression=gzip", true, "cannot be followed"},
    {"null:?follow=true", false, "no parameter \"follow\" and take none"},
    {"file:x?", true, "a `?` in a path is written %3F"},
    {"file:x?apend=true", false, "did you mean append?"},
    {"file:x?append=yes", false, "known: true, false"},
    {"file:x?append", false, "NAME=VALUE"},
    {"file:x?=true", false, "NAME=VALUE"},
    {"gen:", true, "known: keyed, lines, nexmark"},
    {"gen:key", true, "did you mean keyed?"},
    {"gen:line?records=1", true, "did you mean lines?"},
    {"gen:nexmrk", true, "did you mean nexmark?"},
    {"gen:nexmark?keys=1", true, "known: records, seed, partitions, rate"},
    {"gen:nexmark?partitions=0", true, "from 1 to 4096"},
    {"gen:keyed?recods=1", true, "did you mean records?"},
    {"gen:keyed?colour=1", true, "known: records, keys, size, seed, partitions, rate"},
    {"gen:keyed?records=", true, "records must be a number from 0"},
    {"gen:keyed?records=1x", true, "records must be a number"},
    {"gen:keyed?records=-1", true, "records must be a number"},
    {"gen:keyed?records=9223372036854775808", true, "records must be a number"},
    {"gen:keyed?keys=0", true, "keys must be a number from 1"},
    {"gen:keyed?size=19", true, "size must be a number from 20"},
    {"gen:keyed?size=1M", true, "to 1048556"},
    {"gen:lines?size=1025k", true, "to 1048576"},
    {"gen:lines?partitions=4097", true, "from 1 to 4096"},
    {"gen:lines?rate=0", true, "rate must be a number from 1"},
    {"gen:lines?seed=1,seed=1", true, "seed is given twice"},
    {"gen:lines?seed=1,,rate=1", true, "NAME=VALUE"},
    {"table:", false, "no name for a table"},
    {"table:1x", false, "no name for a table"},
    {"table:a-b", false, "no name for a table"},
    {"table:\xc3\xa9t\xc3\xa9", false, "no name for a table"},
    {"table:meta", false, "weir's own"},
    {"table:Position", false, "weir's own"},
    {"table:SQLite_master", false, "weir's own"},
    {"table:x?key=txt", false, "did you mean text?"},
    {"table:x?vaule=text", false, "did you mean value?"},
    {"log:", false, "no name for a topic"},
    {"log:a/b", false, "no name for a topic"},
    {"log:a?partitions=0", false, "from 1 to 4096"},
    {"log:a?retain_ms=1k", false, "retain_ms must be a number"},
    {"log:a?retain_bytes=9223372036854775807k", false, "retain_bytes must be a number"},
    {"stdout:x", false, "takes no path"},
    {"null:?a=1", false, "take none"},
};

/* Every form that is wrong is a mistake of usage, and the text holds what leads to the right one.
 */
static void wrong_uris_name_the_right_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong_uris); i++) {
        struct wr_arena arena;
        struct wr_endpoint endpoint;
        struct wr_error error;
        wr_arena_init(&arena, 0);

        weir_status status =
            parse(&arena, wrong_uris[i].uri, wrong_uris[i].is_source, &endpoint, &error);

        assert_int_equal(status, WEIR_MISUSE);
        assert_int_equal(error.exit_code, WR_EXIT_USAGE);
        if (!strstr(error.text, wrong_uris[i].text)) {
            fail_msg("\"%s\" gave \"%s\", without \"%s\"", wrong_uris[i].uri, error.text,
                     wrong_uris[i].text);
        }
        wr_arena_fini(&arena);
    }
}

/* A URI at the limit is taken, one byte more is not; neither overflows the text of the error. */
static void long_uris_are_refused(void **state)
{
    (void)state;
    char uri[WR_URI_BYTES_MAX + 64];
    struct wr_arena arena;
    struct wr_endpoint endpoint;
    struct wr_error error;
    wr_arena_init(&arena, 0);
    memset(uri, 'a', sizeof uri);
    memcpy(uri, "file:", 5);

    uri[WR_URI_BYTES_MAX - 1] = '\0';
    assert_int_equal(parse(&arena, uri, true, &endpoint, &error), WEIR_OK);
    uri[WR_URI_BYTES_MAX - 1] = 'a';
    uri[WR_URI_BYTES_MAX] = '\0';
    assert_int_equal(parse(&arena, uri, true, &endpoint, &error), WEIR_MISUSE);
    assert_non_null(strstr(error.text, "longer than 4095 bytes"));

    memcpy(uri, "table", 5); /* one long word, no scheme */
    uri[WR_URI_BYTES_MAX - 1] = '\0';
    assert_int_equal(parse(&arena, uri, false, &endpoint, &error), WEIR_MISUSE);
    wr_arena_fini(&arena);
}

/* Random bytes, and right URIs with random damage, are refused or taken, and nothing worse. */
static void garbage_does_no_harm(void **state)
{
    (void)state;
    static const char *const seeds[] = {"gen:keyed?records=5,keys=3&size=1k",
                                        "file:/x/a%20b?append=true",
                                        "table:counts?key=text&value=blob",
                                        "log:t?partitions=3&retain_ms=5",
                                        "stdout:",
                                        "kafka://h:1,[::1]/t?start=2026-11-22T00:00Z",
                                        "kafka://h/t?partitions=0-3+7"};
    uint64_t random = 1;
    for (int i = 0; i < 20000; i++) {
        char uri[64];
        snprintf(uri, sizeof uri, "%s", seeds[i % 7]);
        for (int hits = 1 + i % 3; hits > 0; hits--) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            uri[(random >> 33) % strlen(seeds[i % 7])] =
                "?&=,:%*[/.0a-\x01\x80\xff"[(random >> 50) % 16];
        }
        struct wr_arena arena;
        struct wr_endpoint endpoint;
        struct wr_error error;
        wr_arena_init(&arena, 0);
        weir_status status = parse(&arena, uri, i % 2, &endpoint, &error);
        assert_true(status == WEIR_OK || status == WEIR_MISUSE);
        assert_true((status == WEIR_OK) == (error.text[0] == '\0'));
        wr_arena_fini(&arena);
    }
}

/* ---- What an endpoint says ------------------------------------------------------------------- */

/* A parameter that is given is read as a number, with k, M, G where it is a size. */
static void numbers_of_endpoints_are_read(void **state)
{
    (void)state;
    struct wr_arena arena;
    struct wr_endpoint endpoint;
    struct wr_error error;
    int64_t value = 0;
    wr_arena_init(&arena, 0);
    assert_int_equal(parse(&arena, "gen:keyed?records=7,size=2k", true, &endpoint, &error),
                     WEIR_OK);

    assert_int_equal(wr_endpoint_number(&endpoint, "records", 0, 10, 3, &value, &error), WEIR_OK);
    assert_int_equal(value, 7);
    assert_int_equal(wr_endpoint_number(&endpoint, "size", 0, 10000, 3, &value, &error), WEIR_OK);
    assert_int_equal(value, 2048);
    assert_int_equal(wr_endpoint_number(&endpoint, "keys", 0, 10, 3, &value, &error), WEIR_OK);
    assert_int_equal(value, 3);
    assert_int_equal(wr_endpoint_number(&endpoint, "records", 8, 10, 3, &value, &error),
                     WEIR_MISUSE);
    assert_string_equal(wr_endpoint_parameter(&endpoint, "size"), "2k");
    assert_null(wr_endpoint_parameter(&endpoint, "seed"));
    wr_arena_fini(&arena);
}

/* A sink's URI says all that the transaction layer must know of it. */
static void sinks_are_filled_in(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        struct wr_sink sink;
    } cases[] = {
        {"table:t?key=integer",
         {.kind = WR_SINK_TABLE, .table = "t", .key_type = WR_COLUMN_INTEGER}},
        {"table:t?value=real,key=text",
         {.kind = WR_SINK_TABLE,
          .table = "t",
          .key_type = WR_COLUMN_TEXT,
          .value_type = WR_COLUMN_REAL}},
        {"table:t?value=blob", {.kind = WR_SINK_TABLE, .table = "t", .value_type = WR_COLUMN_BLOB}},
        /* As the topic is, or one partition, for ever. */
        {"log:x", {.kind = WR_SINK_LOG, .topic_name = "x", .retain_ms = -1, .retain_bytes = -1}},
        {"log:x?partitions=8&retain_ms=60000&retain_bytes=1M",
         {.kind = WR_SINK_LOG,
          .topic_name = "x",
          .partitions = 8,
          .retain_ms = 60000,
          .retain_bytes = 1 << 20}},
        {"file:o", {.kind = WR_SINK_OUTBOX, .topic_name = "out", .partitions = 1}},
        {"stdout:", {.kind = WR_SINK_OUTBOX, .topic_name = "out", .partitions = 1}},
        {"null:", {.kind = WR_SINK_NULL}},
        {"kafka://h/t", {.kind = WR_SINK_OUTBOX, .topic_name = "out", .partitions = 1}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_arena arena;
        struct wr_endpoint endpoint;
        struct wr_error error;
        struct wr_sink sink = {.name = "out"};
        const struct wr_sink *expected = &cases[i].sink;
        wr_arena_init(&arena, 0);
        assert_int_equal(parse(&arena, cases[i].uri, false, &endpoint, &error), WEIR_OK);

        assert_int_equal(wr_endpoint_sink(&endpoint, &arena, &sink, &error), WEIR_OK);

        assert_string_equal(sink.uri, cases[i].uri);
        assert_int_equal(sink.kind, expected->kind);
        assert_string_equal(sink.table ? sink.table : "", expected->table ? expected->table : "");
        assert_string_equal(sink.topic_name ? sink.topic_name : "",
                            expected->topic_name ? expected->topic_name : "");
        assert_int_equal(sink.key_type, expected->key_type);
        assert_int_equal(sink.value_type, expected->value_type);
        assert_int_equal(sink.partitions, expected->partitions);
        assert_int_equal(sink.retain_ms, expected->retain_ms);
        assert_int_equal(sink.retain_bytes, expected->retain_bytes);
        wr_arena_fini(&arena);
    }
}

/* Where a source of Kafka begins, and what of its topic it reads. */
static void sources_of_kafka_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        enum wr_begin_from from;
        int64_t value;
        int32_t next_0, next_3, next_8; /* partitions from 0, from 3, from 8 on */
    } cases[] = {
        {"kafka://h/t", WR_BEGIN_EARLIEST, 0, 0, 3, 8},
        {"kafka://h/t?start=earliest,partitions=2", WR_BEGIN_EARLIEST, 0, 2, -1, -1},
        {"kafka://h/t?start=latest,partitions=7+0-1", WR_BEGIN_LATEST, 0, 0, 7, -1},
        {"kafka://h/t?start=0,partitions=1-4+4095", WR_BEGIN_OFFSET, 0, 1, 3, 4095},
        {"kafka://h/t?start=@0", WR_BEGIN_TIME, 0, 0, 3, 8},
        {"kafka://h/t?start=@1700000000123", WR_BEGIN_TIME, 1700000000123, 0, 3, 8},
        {"kafka://h/t?start=2024-02-29", WR_BEGIN_TIME, 1709164800000, 0, 3, 8},
        {"kafka://h/t?start=2026-11-22T01:02Z", WR_BEGIN_TIME, 1795309320000, 0, 3, 8},
        {"kafka://h/t?start=2026-11-22T01:02:03Z", WR_BEGIN_TIME, 1795309323000, 0, 3, 8},
        {"kafka://h/t?start=2026-11-22T01:02:03.004Z", WR_BEGIN_TIME, 1795309323004, 0, 3, 8},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_arena arena;
        struct wr_endpoint endpoint;
        struct wr_error error;
        wr_arena_init(&arena, 0);
        assert_int_equal(parse(&arena, cases[i].uri, true, &endpoint, &error), WEIR_OK);
        assert_string_equal(endpoint.brokers, "h");

        struct wr_begin begin = wr_endpoint_begin(&endpoint);

        assert_int_equal(begin.from, cases[i].from);
        assert_int_equal(begin.value, cases[i].value);
        assert_int_equal(wr_endpoint_next_partition(&endpoint, 0), cases[i].next_0);
        assert_int_equal(wr_endpoint_next_partition(&endpoint, 3), cases[i].next_3);
        assert_int_equal(wr_endpoint_next_partition(&endpoint, 8), cases[i].next_8);
        wr_arena_fini(&arena);
    }
}

/* Where a sink of Kafka places records. */
static void places_of_records_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        struct wr_place place;
    } cases[] = {
        {"kafka://h/t", {WR_PLACE_KEY, 0}},
        {"kafka://h/t?partition=key", {WR_PLACE_KEY, 0}},
        {"kafka://h/t?partition=source", {WR_PLACE_SOURCE, 0}},
        {"kafka://h/t?partition=12", {WR_PLACE_NUMBER, 12}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_arena arena;
        struct wr_endpoint endpoint;
        struct wr_error error;
        wr_arena_init(&arena, 0);
        assert_int_equal(parse(&arena, cases[i].uri, false, &endpoint, &error), WEIR_OK);

        struct wr_place place = wr_endpoint_place(&endpoint);

        assert_int_equal(place.by, cases[i].place.by);
        assert_int_equal(place.partition, cases[i].place.partition);
        wr_arena_fini(&arena);
    }
}

/* Two lists of brokers name the same cluster when they share one. */
static void brokers_in_common_are_found(void **state)
{
    (void)state;
    assert_true(wr_brokers_overlap("a:1", "a:1"));
    assert_true(wr_brokers_overlap("a:1,b:1", "c:1,B:1"));
    assert_false(wr_brokers_overlap("a:1,b:1", "a:2,c:1"));
    assert_false(wr_brokers_overlap("a:1", "a:11"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_uris_are_taken_apart),
        cmocka_unit_test(globs_become_patterns),
        cmocka_unit_test(wrong_uris_name_the_right_one),
        cmocka_unit_test(long_uris_are_refused),
        cmocka_unit_test(garbage_does_no_harm),
        cmocka_unit_test(numbers_of_endpoints_are_read),
        cmocka_unit_test(sinks_are_filled_in),
        cmocka_unit_test(sources_of_kafka_are_read),
        cmocka_unit_test(places_of_records_are_read),
        cmocka_unit_test(brokers_in_common_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_op_json.c: weir_json_*: which texts are JSON, what is found in them, and quoting. Each case
 * is a record that a job reads. Long because what is JSON and what is not is read as one table.
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
#include <weir_ops.h>
#include <weir_test.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

/* ---- The job --------------------------------------------------------------------------------- */

/* "a/0/b": member a, its item 0, member b of that. */
static const weir_json *follow(const weir_json *value, weir_bytes path)
{
    const char *at = path.data, *end = at + path.size;
    while (at < end) {
        char name[64];
        const char *after = memchr(at, '/', (size_t)(end - at));
        after = after ? after : end;
        snprintf(name, sizeof name, "%.*s", (int)(after - at), at);
        value = *name >= '0' && *name <= '9' ? weir_json_item(value, strtoul(name, NULL, 10))
                                             : weir_json_field(value, name);
        at = after + 1;
    }
    return value;
}

/* What the functions say of one value, as text. */
static weir_bytes describe(weir_ctx *ctx, const weir_json *value, char *text, size_t size)
{
    weir_bytes string = weir_json_text(value);
    int64_t whole = 77;
    double number = 0.5;
    bool truth = false;
    if (string.data) {
        return weir_json_quote(ctx, string);
    }
    if (weir_json_i64(value, &whole)) {
        snprintf(text, size, "i64 %" PRId64, whole);
        return weir_text(text);
    }
    assert_int_equal(whole, 77);
    if (weir_json_double(value, &number)) {
        snprintf(text, size, "double %.17g", number);
    } else if (weir_json_bool(value, &truth)) {
        snprintf(text, size, "%s", truth ? "true" : "false");
    } else {
        assert_true(number == 0.5 && !truth);
        snprintf(text, size, value ? "size %zu" : "nothing", weir_json_size(value));
    }
    return weir_text(text);
}

static void look(weir_ctx *ctx, const weir_record *in, void *arg)
{
    char text[64];
    (void)arg;
    const weir_json *root = weir_json_parse(ctx, in->value);
    weir_record out = weir_reply(ctx, root ? describe(ctx, follow(root, in->key), text, sizeof text)
                                           : weir_text("refused"));
    weir_emit(ctx, &out);
}

static void quote(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_bytes quoted = weir_json_quote(ctx, in->value);
    weir_bytes text = weir_json_text(weir_json_parse(ctx, quoted));
    weir_record out = weir_reply(ctx, quoted);
    weir_emit(ctx, &out);
    out.value = text;
    weir_emit(ctx, &out);
}

static void define_look(weir_job *job)
{
    weir_into(weir_through(weir_from(job, "in", NULL), "look", look, NULL), "out", NULL);
}

static void define_quote(weir_job *job)
{
    weir_into(weir_through(weir_from(job, "in", NULL), "quote", quote, NULL), "out", NULL);
}

static void push(weir_test *test, const char *path, weir_bytes value)
{
    weir_record record = {.key = weir_text(path), .value = value};
    weir_test_push(test, "in", 0, &record);
}

static void check(weir_test *test, size_t index, weir_bytes expected, weir_bytes of)
{
    const weir_record *record = weir_test_record(test, "out", index);
    assert_non_null(record);
    if (record->value.size != expected.size || !record->value.data != !expected.data ||
        (expected.size && memcmp(record->value.data, expected.data, expected.size) != 0)) {
        fail_msg("record %zu, of %.*s: %.*s, not %.*s", index, (int)of.size,
                 of.data ? (const char *)of.data : "absent", (int)record->value.size,
                 (const char *)record->value.data, (int)expected.size, (const char *)expected.data);
    }
}

static void run(weir_test *test)
{
    if (weir_test_run(test) != WEIR_OK) {
        fail_msg("%s", weir_test_error(test));
    }
}

/* ---- What is JSON ---------------------------------------------------------------------------- */

static const weir_bytes good[] = {
    BYTES("null"),
    BYTES(" \t\r\n[ ] \n"),
    BYTES("{}"),
    BYTES("[[],{},[[]]]"),
    BYTES("0"),
    BYTES("-0"),
    BYTES("-0.0e-0"),
    BYTES("1E+2"),
    BYTES("[1e400,123456789012345678901234567890]"),
    BYTES("\"\""),
    BYTES("\"/\\/\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\uFFFF\""),
    BYTES("\"\x7f\""),
    BYTES("\"\\uD834\\udd1e\""),
    BYTES("\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf\""),
    BYTES("\"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\""),
    BYTES("{\"\":0,\"a\":1,\"a\":{\"a\":null}}"),
    BYTES("[true,false,null,\"x\",-1.5e+3]"),
};

static const weir_bytes bad[] = {
    {NULL, 0},
    BYTES(""),
    BYTES(" "),
    BYTES("nul"),
    BYTES("nulll"),
    BYTES("NULL"),
    BYTES("True"),
    BYTES("nan"),
    BYTES("NaN"),
    BYTES("Infinity"),
    BYTES("-Infinity"),
    BYTES("[1"),
    BYTES("1]"),
    BYTES("[1,]"),
    BYTES("[,1]"),
    BYTES("[1,,2]"),
    BYTES("[1 2]"),
    BYTES("[1:2]"),
    BYTES("[\"a\":1]"),
    BYTES("[\"a\""),
    BYTES("[}"),
    BYTES("{]"),
    BYTES("]"),
    BYTES("{"),
    BYTES("["),
    BYTES(","),
    BYTES("{\"a\"}"),
    BYTES("{\"a\":}"),
    BYTES("{\"a\":1,}"),
    BYTES("{,\"a\":1}"),
    BYTES("{\"a\" 1}"),
    BYTES("{\"a\"::1}"),
    BYTES("{\"a\":1 \"b\":2}"),
    BYTES("{a:1}"),
    BYTES("{'a':1}"),
    BYTES("{1:1}"),
    BYTES("{null:1}"),
    BYTES("{[]:1}"),
    BYTES("{\"a\":1}}"),
    BYTES("[][]"),
    BYTES("1 2"),
    BYTES("{} x"),
    BYTES("\"a\" \"b\""),
    BYTES("\"a\"\""),
    BYTES("[]\"a"),
    BYTES("{} t"),
    BYTES("[] -"),
    BYTES("'a'"),
    BYTES("\""),
    BYTES("\"abc"),
    BYTES("\"abc\\\""),
    BYTES("\"\\"),
    BYTES("\"\\x41\""),
    BYTES("\"\\a\""),
    BYTES("\"\\0\""),
    BYTES("\"\\'\""),
    BYTES("\"\\u\""),
    BYTES("\"\\u12\""),
    BYTES("\"\\u123\""),
    BYTES("\"\\u123g\""),
    BYTES("\"\\u 123\""),
    BYTES("\"\\U0041\""),
    BYTES("\"\\ud800\""),
    BYTES("\"\\ud800x\""),
    BYTES("\"\\ud800\\n\""),
    BYTES("\"\\ud800\\u\""),
    BYTES("\"\\ud800\\u0041\""),
    BYTES("\"\\ud800\\ud800\""),
    BYTES("\"\\udc00\""),
    BYTES("\"\\udc00\\ud800\""),
    BYTES("{\"\\udfff\":1}"),
    BYTES("\"a\tb\""),
    BYTES("\"a\nb\""),
    BYTES("\"a\0b\""),
    BYTES("\"a\x1f"
          "b\""),
    BYTES("[\0]"),
    BYTES("1\0"),
    BYTES("\0"),
    BYTES("\v1"),
    BYTES("[1\f]"),
    BYTES("\xc2\xa0[1]"),
    BYTES("\xef\xbb\xbf{}"), /* a byte order mark */
    BYTES("\"\x80\""),
    BYTES("\"\xc0\x80\""),
    BYTES("\"\xc1\xbf\""),
    BYTES("\"\xc2\""),
    BYTES("\"\xc2"),
    BYTES("\"\xe0\x9f\xbf\""),
    BYTES("\"\xe2\x82\""),
    BYTES("\"\xed\xa0\x80\""),
    BYTES("\"\xed\xbf\xbf\""),
    BYTES("\"\xf0\x8f\xbf\xbf\""),
    BYTES("\"\xf4\x90\x80\x80\""),
    BYTES("\"\xf5\x80\x80\x80\""),
    BYTES("\"\xff\""),
    BYTES("{\"\xff\":1}"),
    BYTES("\xff"),
    BYTES("+1"),
    BYTES("-"),
    BYTES("--1"),
    BYTES("- 1"),
    BYTES("01"),
    BYTES("-01"),
    BYTES("00"),
    BYTES("1."),
    BYTES("1.e5"),
    BYTES(".5"),
    BYTES("-.5"),
    BYTES("1e"),
    BYTES("1e+"),
    BYTES("1E-"),
    BYTES("1e1.5"),
    BYTES("1.2.3"),
    BYTES("1_000"),
    BYTES("0x10"),
    BYTES("0b1"),
    BYTES("1a"),
    BYTES("[1a]"),
    BYTES("[1+2]"),
    BYTES("[0e]"),
    BYTES("[-]"),
    BYTES("// c\n1"),
    BYTES("/* c */1"),
    BYTES("[1/**/]"),
    BYTES("#\n1"),
    BYTES("[\"a\",\n4\n,1"),
    BYTES("\\u0061"),
    BYTES("\xf0\x9f\x98\x80"),
};

/* RFC 8259 and nothing else, as UTF-8 and nothing else. */
static void only_json_is_parsed(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define_look, NULL);
    for (size_t i = 0; i < COUNT(good); i++) {
        push(test, "none", good[i]);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        push(test, "none", bad[i]);
    }
    run(test);
    for (size_t i = 0; i < COUNT(good); i++) {
        check(test, i, weir_text("nothing"), good[i]);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        check(test, COUNT(good) + i, weir_text("refused"), bad[i]);
    }
    weir_test_free(test);
}

/* `count` times `open`, then `middle`, then as often `close`; malloc'd. */
static weir_bytes nested(size_t count, const char *open, const char *middle, const char *close)
{
    size_t one = strlen(open), other = strlen(close), between = strlen(middle);
    char *text = malloc(count * (one + other) + between), *at = text;
    assert_non_null(text);
    for (size_t i = 0; i < count; i++, at += one) {
        memcpy(at, open, one);
    }
    memcpy(at, middle, between);
    at += between;
    for (size_t i = 0; i < count; i++, at += other) {
        memcpy(at, close, other);
    }
    return (weir_bytes){text, (size_t)(at - text)};
}

/* 64 levels are read, 65 are not, and a record full of brackets is no matter. */
static void nesting_has_a_limit(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        const char *open, *middle, *close, *expected;
    } cases[] = {
        {64, "[", "", "]", "size 1"},
        {65, "[", "", "]", "refused"},
        {63, "{\"a\":", "[1,2]", "}", "size 1"},
        {64, "{\"a\":", "[1,2]", "}", "refused"},
        {500000, "[", "", "]", "refused"},
        {1000000, "[", "", "", "refused"},
        {150000, "{\"a\":", "1", "}", "refused"},
        {1000000, "", "", "]", "refused"},
    };
    weir_test *test = weir_test_new(define_look, NULL);
    weir_bytes texts[COUNT(cases)];
    for (size_t i = 0; i < COUNT(cases); i++) {
        texts[i] = nested(cases[i].count, cases[i].open, cases[i].middle, cases[i].close);
        push(test, "", texts[i]);
    }
    run(test);
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(test, i, weir_text(cases[i].expected), texts[i]);
        free((void *)texts[i].data);
    }
    weir_test_free(test);
}

/* A record of the largest size, of many values or of one long one. */
static void large_texts_are_read(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        const char *piece, *open, *close, *path, *expected;
    } cases[] = {
        {500000, "7,", "[", "8]", "500000", "i64 8"},
        {500000, "7,", "[", "8]", "", "size 500001"},
        {100000, "\"k\":123,", "{", "\"k\":[4]}", "k/0", "i64 4"},
        {100000, "\"k\":123,", "{", "\"k\":[4]}", "", "size 100001"},
        {1000000, "1", "[0.", "e0]", "0", "double 0.1111111111111111"},
        {1000000, "9", "", "", "", "size 0"}, /* a number, but not one of 64 bits */
        {1000000, "0", "[1e-", "1000001]", "0", "double 0"},
        {100000, "\\u0000", "[\"", "\",5]", "1", "i64 5"},
        {100000, "\\ud83d\\u", "[\"", "\",5]", "1", "refused"},
    };
    weir_test *test = weir_test_new(define_look, NULL);
    weir_bytes texts[COUNT(cases)];
    for (size_t i = 0; i < COUNT(cases); i++) {
        weir_bytes middle = nested(cases[i].count, cases[i].piece, cases[i].close, "");
        size_t open = strlen(cases[i].open);
        char *text = malloc(open + middle.size);
        assert_non_null(text);
        memcpy(text, cases[i].open, open);
        memcpy(text + open, middle.data, middle.size);
        texts[i] = (weir_bytes){text, open + middle.size};
        push(test, cases[i].path, texts[i]);
        free((void *)middle.data);
    }
    run(test);
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(test, i, weir_text(cases[i].expected), weir_text(cases[i].open));
        free((void *)texts[i].data);
    }
    weir_test_free(test);
}

/* ---- What is found --------------------------------------------------------------------------- */

static const struct {
    const char *text, *path, *expected;
} found[] = {
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "a", "i64 1"},
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "b", "size 2"},
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "b/0", "i64 2"},
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "b/1/c", "\"x\""},
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "b/2", "nothing"},
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "d", "size 0"},
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "e", "nothing"},
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "c", "nothing"}, /* not of what is inside */
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "a/x", "nothing"},
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "b/c", "nothing"},
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "e/f/0/g", "nothing"},
    {"{\"a\":1,\"b\":[2,{\"c\":\"x\"}],\"d\":{}}", "", "size 3"},
    {"{\"a\":\"b\",\"b\":\"a\"}", "b", "\"a\""}, /* names, not values */
    {"[[1],[2,3],4]", "1/1", "i64 3"},
    {"[[1],[2,3],4]", "2", "i64 4"},
    {"[1]", "x", "nothing"},
    {"{\"a\":1,\"a\":2,\"b\":0}", "a", "i64 2"}, /* the last of that name */
    {"{\"a\":1,\"a\":2,\"b\":0}", "", "size 3"},
    {"{\"aa\":1,\"a\":2,\"\":3}", "a", "i64 2"},
    {"{\"\\u0061\\n\":1}", "a\n", "i64 1"},
    {"{\"\xc3\xa9\":1}", "\xc3\xa9", "i64 1"},
    {"{\"\\u00e9\":1}", "\xc3\xa9", "i64 1"},
    {"{\"a\\u0000b\":1}", "a", "nothing"},
    {"[null]", "0", "size 0"},
    {"[true,false]", "0", "true"},
    {"[true,false]", "1", "false"},
    {"true", "", "true"},
    {"\"x\"", "", "\"x\""},
    {"\"\"", "", "\"\""},
    {"12", "", "i64 12"},
    {" -12 ", "", "i64 -12"},
    {"[\"1\"]", "0", "\"1\""},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""},
    {"\"a\\u0041\\u00e9\\u20ac\\ud83d\\ude00z\"", "",
     "\"aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z\""},
    {"\"x\\u0000y\"", "", "\"x\\u0000y\""},
    {"[\"\\u0031\",\"\\u0032\",\"3\"]", "0", "\"1\""}, /* each in a place of its own */
    {"[\"\\u0031\",\"\\u0032\",\"3\"]", "1", "\"2\""},
    {"[\"\\u0031\",\"\\u0032\",\"3\"]", "2", "\"3\""},
    {"[\"\\ud800\\udc00\\udbff\\udfff\"]", "0", "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""},
};

static void values_are_found_by_name_and_index(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define_look, NULL);
    for (size_t i = 0; i < COUNT(found); i++) {
        push(test, found[i].path, weir_text(found[i].text));
    }
    run(test);
    for (size_t i = 0; i < COUNT(found); i++) {
        check(test, i, weir_text(found[i].expected), weir_text(found[i].text));
    }
    weir_test_free(test);
}

static const struct {
    const char *text, *expected;
} numbers[] = {
    {"0", "i64 0"},
    {"-0", "i64 0"},
    {"0.0", "i64 0"},
    {"0e999999999999999999999", "i64 0"},
    {"-0.000e-5", "i64 0"},
    {"1.0", "i64 1"},
    {"12.50e1", "i64 125"},
    {"1200e-2", "i64 12"},
    {"1200e-3", "double 1.2"},
    {"1e18", "i64 1000000000000000000"},
    {"1e19", "double 1e+19"},
    {"0.00000000000000000000000000001e29", "i64 1"},
    {"100000000000000000000000000000e-29", "i64 1"},
    {"9223372036854775807", "i64 9223372036854775807"},
    {"9223372036854775808", "double 9.2233720368547758e+18"},
    {"-9223372036854775808", "i64 -9223372036854775808"},
    {"-9223372036854775809", "double -9.2233720368547758e+18"},
    {"9007199254740993", "i64 9007199254740993"}, /* no double is this */
    {"922337203685477580.7e1", "i64 9223372036854775807"},
    {"18446744073709551616", "double 1.8446744073709552e+19"},
    {"18446744073709551615", "double 1.8446744073709552e+19"},
    {"1.5", "double 1.5"},
    {"-1.5e-3", "double -0.0015"},
    {"0.1", "double 0.10000000000000001"},
    {"5e-324", "double 4.9406564584124654e-324"},
    {"1e-400", "double 0"},
    {"1.7976931348623157e308", "double 1.7976931348623157e+308"},
    {"1e309", "size 0"}, /* a number, but no double */
    {"-1e99999999999999999999", "size 0"},
    {"1e-99999999999999999999", "double 0"},
};

/* Numbers of 64 bits are exact, others as near as a double is; alone, and with something after. */
static void numbers_are_exact(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define_look, NULL);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char text[128];
        push(test, "", weir_text(numbers[i].text));
        snprintf(text, sizeof text, "[%s,1]", numbers[i].text);
        push(test, "0", weir_text(text));
    }
    run(test);
    for (size_t i = 0; i < 2 * COUNT(numbers); i++) {
        check(test, i, weir_text(numbers[i / 2].expected), weir_text(numbers[i / 2].text));
    }
    weir_test_free(test);
}

/* NULL is a value that is not there. */
static void nothing_is_found_in_nothing(void **state)
{
    (void)state;
    int64_t whole = 3;
    double number = 3;
    bool truth = true;
    assert_null(weir_json_field(NULL, "a"));
    assert_null(weir_json_item(NULL, 0));
    assert_int_equal(weir_json_size(NULL), 0);
    assert_null(weir_json_text(NULL).data);
    assert_false(weir_json_i64(NULL, &whole));
    assert_false(weir_json_double(NULL, &number));
    assert_false(weir_json_bool(NULL, &truth));
    assert_true(whole == 3 && number == 3 && truth);
}

/* ---- Quoting --------------------------------------------------------------------------------- */

#define WRONG "\xef\xbf\xbd"

static const struct {
    weir_bytes text, quoted, back;
} quotes[] = {
    {{NULL, 0}, BYTES("null"), {NULL, 0}},
    {BYTES(""), BYTES("\"\""), BYTES("")},
    {BYTES("plain/text"), BYTES("\"plain/text\""), BYTES("plain/text")},
    {BYTES("\"\\\b\f\n\r\t\v\x1f\x7f"), BYTES("\"\\\"\\\\\\b\\f\\n\\r\\t\\u000b\\u001f\x7f\""),
     BYTES("\"\\\b\f\n\r\t\v\x1f\x7f")},
    {BYTES("a\0b"), BYTES("\"a\\u0000b\""), BYTES("a\0b")},
    {BYTES("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
     BYTES("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""),
     BYTES("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")},
    {BYTES("a\xff\xc3(\xe2\x82z\xed\xa0\x80\xc3"),
     BYTES("\"a" WRONG WRONG "(" WRONG WRONG "z" WRONG WRONG WRONG WRONG "\""),
     BYTES("a" WRONG WRONG "(" WRONG WRONG "z" WRONG WRONG WRONG WRONG)},
};

/* What is quoted can be parsed, and is the same text again. */
static void quoted_text_is_json(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define_quote, NULL);
    for (size_t i = 0; i < COUNT(quotes); i++) {
        push(test, "", quotes[i].text);
    }
    run(test);
    for (size_t i = 0; i < COUNT(quotes); i++) {
        check(test, 2 * i, quotes[i].quoted, quotes[i].text);
        check(test, 2 * i + 1, quotes[i].back, quotes[i].text);
    }
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_json_is_parsed),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(large_texts_are_read),
        cmocka_unit_test(values_are_found_by_name_and_index),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(nothing_is_found_in_nothing),
        cmocka_unit_test(quoted_text_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

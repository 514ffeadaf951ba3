/* fuzz_op_json.c: weir_json_parse next to jansson: both take the same texts, and find the same in
 * them; and weir_json_quote makes JSON of any bytes. Every run of scratch memory is a block of its
 * own, so that a byte too far is seen; then the same again with the n-th one refused.
 *
 * Input: a byte that says which allocation fails, then the text.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* of json.c */
#include "tests/fuzz/kit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/json.h"
#include "txn/base/bytes.h"

void *fuzz_scratch(weir_ctx *ctx, size_t size);
#define weir_scratch(ctx, size) fuzz_scratch(ctx, size)
#include "operators/json.c"
#include "operators/json_parse.c"
#undef weir_scratch

enum { BLOCKS_MAX = 4096 };

struct weir_ctx {
    void *blocks[BLOCKS_MAX];
    size_t count, fails_at;
    bool failed;
};

void *fuzz_scratch(weir_ctx *ctx, size_t size)
{
    if (ctx->count == ctx->fails_at || ctx->count == BLOCKS_MAX) {
        ctx->failed = true;
        return NULL;
    }
    void *block = malloc(size ? size : 1);
    fuzz_check(block);
    return ctx->blocks[ctx->count++] = block;
}

static void end_call(weir_ctx *ctx)
{
    for (size_t i = 0; i < ctx->count; i++) {
        free(ctx->blocks[i]);
    }
}

/* ---- The same in both ------------------------------------------------------------------------ */

static void compare(const weir_json *ours, const json_t *theirs);

static void compare_object(const weir_json *ours, json_t *theirs)
{
    const char *name;
    json_t *value;
    fuzz_check(weir_json_size(ours) >= json_object_size(theirs)); /* a name given twice counts */
    json_object_foreach(theirs, name, value)
    {
        compare(weir_json_field(ours, name), value);
    }
}

static void compare(const weir_json *ours, const json_t *theirs)
{
    int64_t whole = 0;
    double number = 0;
    bool truth = false;
    fuzz_check(ours);
    switch (json_typeof(theirs)) {
    case JSON_OBJECT:
        compare_object(ours, (json_t *)(uintptr_t)theirs);
        return;
    case JSON_ARRAY:
        fuzz_check(weir_json_size(ours) == json_array_size(theirs));
        for (size_t i = 0; i < json_array_size(theirs) && i < 100; i++) {
            compare(weir_json_item(ours, i), json_array_get(theirs, i));
        }
        return;
    case JSON_STRING:
        fuzz_check(wr_bytes_equal(weir_json_text(ours), (weir_bytes){json_string_value(theirs),
                                                                     json_string_length(theirs)}));
        return;
    case JSON_INTEGER:
        fuzz_check(weir_json_i64(ours, &whole) && whole == json_integer_value(theirs));
        return;
    case JSON_REAL:
        fuzz_check(weir_json_double(ours, &number) && number == json_real_value(theirs));
        fuzz_check(!weir_json_i64(ours, &whole) || (double)whole == number);
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        fuzz_check(weir_json_bool(ours, &truth) && truth == json_is_true(theirs));
        return;
    case JSON_NULL:
        fuzz_check(!weir_json_text(ours).data && !weir_json_i64(ours, &whole) &&
                   !weir_json_double(ours, &number) && !weir_json_bool(ours, &truth) &&
                   weir_json_size(ours) == 0);
        return;
    }
}

/* jansson refuses what RFC 8259 leaves open: numbers that it cannot hold, and a NUL in a name. Its
 * limit of nesting is higher, and it takes a NUL behind the value for the end. */
static void check_parse(weir_ctx *ctx, weir_bytes text)
{
    json_error_t error;
    json_t *theirs = json_loadb(text.data, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    const weir_json *ours = weir_json_parse(ctx, text);
    if (theirs && ours) {
        compare(ours, theirs);
    } else if (theirs) {
        size_t opens = 0;
        for (size_t i = 0; i < text.size; i++) {
            opens += ((const char *)text.data)[i] == '[' || ((const char *)text.data)[i] == '{';
        }
        fuzz_check(opens > DEPTH_MAX || memchr(text.data, '\0', text.size));
    } else if (ours) {
        enum json_error_code code = json_error_code(&error);
        fuzz_check(code == json_error_numeric_overflow || code == json_error_null_byte_in_key);
    }
    json_decref(theirs);
}

static void check_quote(weir_ctx *ctx, weir_bytes bytes)
{
    weir_bytes quoted = weir_json_quote(ctx, bytes);
    json_t *theirs = json_loadb(quoted.data, quoted.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    weir_bytes back = weir_json_text(weir_json_parse(ctx, quoted));
    fuzz_check(json_is_string(theirs));
    fuzz_check(
        wr_bytes_equal(back, (weir_bytes){json_string_value(theirs), json_string_length(theirs)}));
    fuzz_check(!wr_utf8_is_valid(bytes) || wr_bytes_equal(back, bytes));
    json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    weir_ctx ctx = {.fails_at = SIZE_MAX}, poor = {.fails_at = fuzz_u8(&input)};
    weir_bytes text = fuzz_rest(&input);
    check_parse(&ctx, text);
    check_quote(&ctx, text);
    fuzz_check(!ctx.failed);
    if (!weir_json_parse(&poor, text)) {
        fuzz_check(poor.failed || !weir_json_parse(&ctx, text));
    }
    fuzz_check(weir_json_quote(&poor, text).data || poor.failed);
    end_call(&poor);
    end_call(&ctx);
    fuzz_free(text);
    return 0;
}

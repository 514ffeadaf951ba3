/* json_parse.c: weir_json_parse, see weir_ops.h.
 *
 * yajl reads the text and tells of each value as it comes; they are kept as json.h says. Strings
 * and numbers stay in the text; only a string with escapes is copied.
 *
 * yajl takes more than RFC 8259 allows, so the text is looked through before: all of it must be
 * UTF-8 (no overlong forms, no surrogates), without control characters but tab, newline and return,
 * and an escaped surrogate must be one of a pair; and what follows the value is looked at after,
 * since yajl lets a token that does not end pass there. What yajl allocates is the call's memory
 * too; it does not check for NULL, so running out leaves it by longjmp.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/json.h"

#include <setjmp.h>
#include <string.h>

#include <yajl/yajl_parse.h>

enum {
    DEPTH_MAX = 64,
    VALUES_FIRST = 64, /* room for so many, then twice that, and so on */
};

/* ---- What yajl does not see ------------------------------------------------------------------ */

/* Four hexadecimal digits; -1: they are none. */
static long hex4(const unsigned char *at, const unsigned char *end)
{
    long value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        unsigned char low = at[i] | 0x20;
        if (at[i] >= '0' && at[i] <= '9') {
            value = value * 16 + (at[i] - '0');
        } else if (low >= 'a' && low <= 'f') {
            value = value * 16 + (low - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

static bool is_escape(const unsigned char *at, const unsigned char *end, char letter)
{
    return end - at >= 2 && at[0] == '\\' && at[1] == letter;
}

/* How far an escape goes; 0: half a pair of surrogates. Any other fault is left to yajl. */
static size_t escape(const unsigned char *at, const unsigned char *end)
{
    if (!is_escape(at, end, 'u')) {
        return end - at < 2 ? 1 : 2;
    }
    long first = hex4(at + 2, end);
    if (first < 0xd800 || first > 0xdfff) {
        return first < 0 ? 2 : 6;
    }
    long second = is_escape(at + 6, end, 'u') ? hex4(at + 8, end) : -1;
    return first < 0xdc00 && second >= 0xdc00 && second <= 0xdfff ? 12 : 0;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Whether some of 8 bytes need a closer look: control characters, backslashes, all but ASCII. */
static bool is_special(uint64_t bytes)
{
    uint64_t slash = bytes ^ EACH('\\');
    uint64_t low = bytes - EACH(0x20), zero = slash - EACH(1);
    return ((low | zero | bytes) & EACH(0x80)) != 0;
}

/* Whether a text is as RFC 8259 wants it where yajl does not look. */
static bool is_clean(const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        uint64_t bytes;
        if (end - at >= (ptrdiff_t)sizeof bytes) {
            memcpy(&bytes, at, sizeof bytes);
            if (!is_special(bytes)) {
                at += sizeof bytes;
                continue;
            }
        }
        if (*at < 0x20 && *at != '\t' && *at != '\n' && *at != '\r') {
            return false;
        }
        size_t size = *at == '\\' ? escape(at, end) : wr_json_character(at, end);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

/* ---- Parsing --------------------------------------------------------------------------------- */

struct parse {
    weir_ctx *ctx;
    const char *text, *end;
    struct weir_json *values;
    size_t count, room;
    uint32_t open[DEPTH_MAX]; /* the objects and arrays around what comes next */
    unsigned depth;
    jmp_buf no_memory;
};

/* NULL: no memory. */
static struct weir_json *add(struct parse *parse, enum wr_json_kind kind)
{
    if (parse->count == parse->room) {
        size_t room = parse->room ? 2 * parse->room : VALUES_FIRST;
        struct weir_json *more = weir_scratch(parse->ctx, room * sizeof *more);
        if (!more) {
            return NULL;
        }
        if (parse->count > 0) {
            memcpy(more, parse->values, parse->count * sizeof *more);
        }
        parse->values = more;
        parse->room = room;
    }
    struct weir_json *value = &parse->values[parse->count++];
    *value = (struct weir_json){.span = 1, .kind = kind};
    return value;
}

/* A value, as opposed to a member's name: one more item of an array that is around it. */
static struct weir_json *add_value(struct parse *parse, enum wr_json_kind kind)
{
    if (parse->depth > 0) {
        struct weir_json *around = &parse->values[parse->open[parse->depth - 1]];
        around->size += around->kind == IS_ARRAY;
    }
    return add(parse, kind);
}

/* What yajl decoded, or put together in a buffer of its own, is there for this moment only. */
static bool set_text(struct parse *parse, struct weir_json *value, const void *text, size_t size)
{
    const char *at = text;
    if (!value) {
        return false;
    }
    if (at < parse->text || at > parse->end) {
        char *copy = weir_scratch(parse->ctx, size + 1);
        if (!copy) {
            return false;
        }
        memcpy(copy, text, size);
        copy[size] = '\0';
        at = copy;
    }
    value->text = at;
    value->size = (uint32_t)size;
    return true;
}

static bool open_value(struct parse *parse, enum wr_json_kind kind)
{
    if (parse->depth == DEPTH_MAX) {
        return false;
    }
    bool good = add_value(parse, kind) != NULL;
    parse->open[parse->depth++] = (uint32_t)(parse->count - 1);
    return good;
}

static int on_close(void *data)
{
    struct parse *parse = data;
    uint32_t at = parse->open[--parse->depth];
    parse->values[at].span = (uint32_t)(parse->count - at);
    return 1;
}

static int on_null(void *data)
{
    return add_value(data, IS_NULL) != NULL;
}

static int on_boolean(void *data, int value)
{
    return add_value(data, value ? IS_TRUE : IS_FALSE) != NULL;
}

static int on_number(void *data, const char *text, size_t size)
{
    return set_text(data, add_value(data, IS_NUMBER), text, size);
}

static int on_string(void *data, const unsigned char *text, size_t size)
{
    return set_text(data, add_value(data, IS_STRING), text, size);
}

static int on_object(void *data)
{
    return open_value(data, IS_OBJECT);
}

static int on_array(void *data)
{
    return open_value(data, IS_ARRAY);
}

static int on_name(void *data, const unsigned char *text, size_t size)
{
    struct parse *parse = data;
    parse->values[parse->open[parse->depth - 1]].size++;
    return set_text(parse, add(parse, IS_STRING), text, size);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_object,
    .yajl_map_key = on_name,
    .yajl_end_map = on_close,
    .yajl_start_array = on_array,
    .yajl_end_array = on_close,
};

/* yajl's memory: its size stands before it, for a block that moves. */
static void *allocate(void *data, size_t size)
{
    struct parse *parse = data;
    size_t *block = weir_scratch(parse->ctx, sizeof *block + size);
    if (!block) {
        longjmp(parse->no_memory, 1);
    }
    *block = size;
    return block + 1;
}

static void *reallocate(void *data, void *old, size_t size)
{
    size_t had = old ? ((size_t *)old)[-1] : 0;
    void *block = allocate(data, size);
    if (old) {
        memcpy(block, old, had < size ? had : size);
    }
    return block;
}

static void release(void *data, void *block)
{
    (void)data;
    (void)block;
}

static bool is_blank(const unsigned char *at, const unsigned char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) {
        at++;
    }
    return at == end;
}

const weir_json *weir_json_parse(weir_ctx *ctx, weir_bytes text)
{
    struct parse parse = {.ctx = ctx, .text = text.data};
    yajl_alloc_funcs memory = {allocate, reallocate, release, &parse};
    const unsigned char *at = text.data;
    if (!at || text.size > UINT32_MAX / 2 || !is_clean(at, at + text.size)) {
        return NULL;
    }
    parse.end = parse.text + text.size;
    if (setjmp(parse.no_memory) != 0) {
        return NULL;
    }
    yajl_handle yajl = yajl_alloc(&callbacks, &memory, &parse);
    yajl_config(yajl, yajl_dont_validate_strings, 1); /* is_clean did, and better */
    yajl_config(yajl, yajl_allow_trailing_garbage, 1); /* is_blank will */
    bool good = yajl_parse(yajl, at, text.size) == yajl_status_ok &&
                is_blank(at + yajl_get_bytes_consumed(yajl), at + text.size) &&
                yajl_complete_parse(yajl) == yajl_status_ok;
    return good ? parse.values : NULL;
}

/* fuzz_json.c: bytes as JSON and for people. Whatever a record holds, its JSON can be parsed and
 * says the same bytes again: as text where they are UTF-8 (which jansson, too, checks), else as
 * base64. What is for people is one line of printable text.
 *
 * Input: a number of headers, then runs of bytes: key, value, name and value of each header.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/json.h"
#include "txn/base/bytes.h"

enum { HEADERS_MAX = 4, SHOWN_MAX = 40 };

static size_t digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;
    fuzz_check(found);
    return (size_t)(found - digits);
}

static void check_base64(const char *text, size_t size, weir_bytes bytes)
{
    const unsigned char *expected = bytes.data;
    fuzz_check(size == (bytes.size + 2) / 3 * 4);
    for (size_t bit = 0; bit < size * 6; bit++) {
        size_t digit = bit / 6;
        bool padding = digit > (bytes.size * 8 - 1) / 6;
        fuzz_check(padding == (text[digit] == '='));
        size_t value = padding ? 0 : digit_of(text[digit]);
        unsigned byte = bit / 8 < bytes.size ? expected[bit / 8] : 0;
        unsigned is = (unsigned)(value >> (5 - bit % 6)) & 1;
        unsigned wanted = (byte >> (7 - bit % 8)) & 1;
        fuzz_check(is == wanted);
    }
}

/* The member `name`, or `name`_base64, says these bytes. */
static void check_member(const json_t *object, const char *name, weir_bytes bytes)
{
    char base64[32];
    snprintf(base64, sizeof base64, "%s_base64", name);
    const json_t *plain = json_object_get(object, name), *coded = json_object_get(object, base64);
    fuzz_check(!plain != !coded);
    if (!bytes.data) {
        fuzz_check(json_is_null(plain));
    } else if (plain) {
        weir_bytes text = {json_string_value(plain), json_string_length(plain)};
        fuzz_check(wr_bytes_equal(text, bytes));
    } else {
        json_t *as_text = json_stringn(bytes.data, bytes.size);
        fuzz_check(!as_text); /* base64 is for what is no text */
        check_base64(json_string_value(coded), json_string_length(coded), bytes);
    }
}

static void check_json(const weir_record *record)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    fuzz_check(file);
    putc('{', file);
    wr_json_bytes(file, "key", record->key);
    putc(',', file);
    wr_json_bytes(file, "value", record->value);
    putc(',', file);
    wr_json_headers(file, record);
    putc('}', file);
    fuzz_check(fclose(file) == 0);
    fuzz_check(!memchr(text, '\n', size));

    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    fuzz_check(object && json_object_size(object) == 3);
    check_member(object, "key", record->key);
    check_member(object, "value", record->value);
    const json_t *headers = json_object_get(object, "headers");
    fuzz_check(json_array_size(headers) == record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const json_t *header = json_array_get(headers, i);
        fuzz_check(json_object_size(header) == 2);
        check_member(header, "name", weir_text(record->headers[i].name));
        check_member(header, "value", record->headers[i].value);
    }
    json_decref(object);
    free(text);
}

static void check_shown(weir_bytes bytes)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    fuzz_check(file);
    wr_show_bytes(file, bytes, SHOWN_MAX);
    fuzz_check(fclose(file) == 0);
    fuzz_check(size > 0 && size <= SHOWN_MAX * 4 + 8);
    fuzz_check(wr_utf8_is_valid((weir_bytes){text, size}));
    for (size_t i = 0; i < size; i++) {
        fuzz_check((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    weir_header headers[HEADERS_MAX];
    char *names[HEADERS_MAX];
    size_t count = fuzz_u8(&input) % (HEADERS_MAX + 1);
    weir_record record = {.key = fuzz_bytes(&input), .value = fuzz_bytes(&input)};
    for (size_t i = 0; i < count; i++) {
        weir_bytes name = fuzz_bytes(&input);
        names[i] = fuzz_string(name.data, name.size);
        headers[i] = (weir_header){names[i], fuzz_bytes(&input)};
        fuzz_free(name);
    }
    record.headers = headers;
    record.header_count = count;
    check_json(&record);
    check_shown(record.key);
    check_shown(record.value);
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
        fuzz_free(headers[i].value);
    }
    fuzz_free(record.key);
    fuzz_free(record.value);
    return 0;
}

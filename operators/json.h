/* json.h: a parsed JSON value, between json_parse.c, which makes it, and json.c, which looks into
 * it.
 *
 * All values of a text are one array, in the order of the text: an object or array is followed by
 * what is in it, and knows over how many values that goes (`span`); a member is its name and then
 * its value.
 *
 *   {"a":[1,2],"b":"x"}   object 2 | "a" | array 2 | 1 | 2 | "b" | "x"
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_JSON_VALUE_H
#define WR_JSON_VALUE_H

#include "weir_ops.h"

enum wr_json_kind { IS_NULL, IS_FALSE, IS_TRUE, IS_NUMBER, IS_STRING, IS_ARRAY, IS_OBJECT };

struct weir_json {
    const char *text; /* of strings (unescaped), and of numbers, behind which no digit follows */
    uint32_t size; /* of the text; members, items */
    uint32_t span; /* values from here to the next one that is not inside */
    enum wr_json_kind kind;
};

/* Bytes of the character at `at`, 0 when they are none (RFC 3629). */
static inline size_t wr_json_character(const unsigned char *at, const unsigned char *end)
{
    size_t left = (size_t)(end - at), size = *at < 0x80 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    if (*at < 0x80) {
        return 1;
    }
    if (*at < 0xc2 || *at > 0xf4 || left < size) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (*at == 0xe0 && at[1] < 0xa0) || (*at == 0xf0 && at[1] < 0x90);
    bool beyond = (*at == 0xed && at[1] > 0x9f) || (*at == 0xf4 && at[1] > 0x8f);
    return overlong || beyond ? 0 : size;
}

#endif

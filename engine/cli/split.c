/* split.c: see split.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
#include "engine/cli/split.h"

#include <string.h>

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *found = c ? strchr(digits, c) : NULL;
    int at = found ? (int)(found - digits) : -1;
    return at > 15 ? at - 6 : at;
}

/* One byte of the text at *at, which moves behind it; -1: an escape that is not known. */
static int unescape(const char **at)
{
    static const char letters[] = "tnr0\\", bytes[] = "\t\n\r\0\\";
    const char *text = *at;
    if (text[0] != '\\') {
        *at += 1;
        return (unsigned char)text[0];
    }
    if (text[1] == 'x' && hex_digit(text[2]) >= 0 && hex_digit(text[3]) >= 0) {
        *at += 4;
        return hex_digit(text[2]) * 16 + hex_digit(text[3]);
    }
    const char *found = text[1] ? strchr(letters, text[1]) : NULL;
    *at += found ? 2 : 0;
    return found ? (unsigned char)bytes[found - letters] : -1;
}

weir_status wr_split_delimiter(struct wr_split *split, const char *text, struct wr_error *error)
{
    const char *at = text;
    size_t size = 0;
    while (*at && size < WR_DELIMITER_MAX) {
        int byte = unescape(&at);
        if (byte < 0) {
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                           "the delimiter \"%s\" has an escape that is not known; there are \\t, "
                           "\\n, \\r, \\0, \\\\ and \\xHH",
                           text);
        }
        split->delimiter[size++] = (unsigned char)byte;
    }
    if (*at || size == 0) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "the delimiter \"%s\" is %s; it has 1 to %d bytes", text,
                       size ? "too long" : "empty", WR_DELIMITER_MAX);
    }
    split->delimiter_size = size;
    return WEIR_OK;
}

void wr_split_line(const struct wr_split *split, weir_bytes line, weir_record *record)
{
    const unsigned char *data = line.data, *found = NULL;
    if (split->delimiter_size && line.size) {
        found = memmem(data, line.size, split->delimiter, split->delimiter_size);
    }
    record->key = (weir_bytes){NULL, 0};
    record->value = line;
    if (found) {
        const unsigned char *value = found + split->delimiter_size;
        record->key = (weir_bytes){data, (size_t)(found - data)};
        record->value = (weir_bytes){value, (size_t)(data + line.size - value)};
    }
    if (split->empty_is_absent && record->value.size == 0) {
        record->value = (weir_bytes){NULL, 0};
    }
    if (split->empty_is_absent && record->key.size == 0) {
        record->key = (weir_bytes){NULL, 0};
    }
}

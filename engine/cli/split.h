/* split.h: a line of text into key and value, as kcat does it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SPLIT_H
#define WR_SPLIT_H

#include "txn/base/error.h"

enum { WR_DELIMITER_MAX = 64 };

struct wr_split {
    unsigned char delimiter[WR_DELIMITER_MAX];
    size_t delimiter_size; /* 0: lines have no key */
    bool empty_is_absent;
};

/* Sets the delimiter from text with \t, \n, \r, \0, \\ and \xHH; 64 when it is empty, too long or
 * has another escape. */
weir_status wr_split_delimiter(struct wr_split *split, const char *text, struct wr_error *error);
/* Sets key and value, which point into the line. */
void wr_split_line(const struct wr_split *split, weir_bytes line, weir_record *record);

#endif

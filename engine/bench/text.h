/* text.h: text of the bench's outputs: what comes from outside made harmless (printable UTF-8),
 * quoted for JSON and escaped for HTML; numbers as people read them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_TEXT_H
#define WR_BENCH_TEXT_H

#include <stdio.h>

#include "txn/base/bytes.h"

/* Copies with a NUL, whole characters only, as many as fit. What is no printable UTF-8 becomes `?`,
 * a run of white space one space, none at either end. */
void wr_bench_text_copy(char *text_out, size_t size, weir_bytes from);
/* A JSON string with its quotes. */
void wr_bench_text_json(FILE *file, const char *text);
/* For HTML, in text and in quoted attributes. Line feeds stay; other control characters and what is
 * no UTF-8 become U+FFFD. */
void wr_bench_text_html(FILE *file, const char *text);

/* A number that is read easily: at least three digits of it, thousands parted by commas: 1,234,567;
 * 12.3; 0.98; 0.0123. Returns text_out. */
enum { WR_BENCH_NUMBER_MAX = 40 };
char *wr_bench_text_number(char text_out[WR_BENCH_NUMBER_MAX], double number);
/* The same of a whole number, all its digits. */
char *wr_bench_text_count(char text_out[WR_BENCH_NUMBER_MAX], int64_t number);

#endif

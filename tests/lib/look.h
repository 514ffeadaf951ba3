/* look.h: what a store holds, as text, so that two stores, or a store and a model, compare by
 * strcmp and differ in a line that says what. Epochs and their numbers are left out: the same job
 * over the same input must leave the same text however its epochs fell. The lines are sorted.
 *
 *   position SOURCE PART NEXT
 *   state NODE KEY SLOT VALUE
 *   timer NODE KEY NAME event|clock TIME
 *   record TOPIC PARTITION OFFSET TIME KEY VALUE {HEADER=VALUE}
 *   row TABLE KEY VALUE
 *   reject NUMBER SOURCE OFFSET NODE INPUT SEQ TIME KEY VALUE TIMER REASON
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_LOOK_H
#define TEST_LOOK_H

#include <stdio.h>

#include "txn/base/error.h"

/* The decided contents of a store; NULL with an error when it cannot be read. Free it. */
char *look_store(const char *path, struct wr_error *error);
/* What SQLite's own check says: "ok", or what is wrong. Free it. */
char *look_check(const char *path, struct wr_error *error);

/* One line each, shared with whoever makes the same text. */
void look_bytes(FILE *out, weir_bytes bytes); /* a space, then - for absent, else 'text' */
void look_record(FILE *out, const char *topic, int32_t partition, int64_t offset,
                 const weir_record *record);

/* Sorts the lines of a text, in place. */
void look_sort(char *text);
/* The first line in which two texts differ: both sides of it. Valid until the next call. */
const char *look_difference(const char *expected, const char *found);

#endif

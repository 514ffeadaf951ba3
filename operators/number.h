/* number.h: whole numbers as decimal text, without printf: how operators keep and emit them.
 *
 * A number is an optional sign and digits, nothing around them, and fits 64 bits. What is written
 * has no sign but a minus and no zeros in front.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_NUMBER_H
#define WR_NUMBER_H

#include "weir_ops.h"

/* False, and *out unchanged: it is none. */
bool wr_number_parse(weir_bytes text, int64_t *out);
/* In this call's memory; absent when that ran out. */
weir_bytes wr_number_text(weir_ctx *ctx, int64_t number);

/* The record's number by `fn`, or, without one, its value as text. False: it has none and was
 * rejected. */
bool wr_number_of(weir_ctx *ctx, weir_number_fn fn, void *arg, const weir_record *in, int64_t *out);

#endif

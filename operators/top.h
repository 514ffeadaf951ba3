/* top.h: what the two kinds of weir_top share: rows, ranks, and what changed between two lists.
 *
 * A call finds the n best rows before and after, asks the author what each rank that has another
 * row now was and is (wr_top_compare), and only then keeps the rows and emits the ranks.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_TOP_H
#define WR_TOP_H

#include "operators/number.h"

struct wr_top {
    size_t n;
    weir_number_fn number;
    weir_ranked_fn ranked;
    void *arg;
};

struct wr_top_row {
    int64_t number, time_ms;
    int64_t sequence; /* among equals, from a table's changes */
    weir_bytes value;
};

/* The best first. */
struct wr_top_rows {
    struct wr_top_row *items;
    size_t count;
};

/* The records that say what became of each rank. */
struct wr_top_changes {
    weir_record *items;
    size_t count;
};

/* Both return false when the call rejected or memory ran out.
 *
 * `before` with a row at its place, behind all that are as good; at most n of all. */
bool wr_top_insert(weir_ctx *ctx, const struct wr_top *top, struct wr_top_rows before,
                   const struct wr_top_row *row, struct wr_top_rows *after_out);
bool wr_top_compare(weir_ctx *ctx, const struct wr_top *top, struct wr_top_rows before,
                    struct wr_top_rows after, struct wr_top_changes *changes_out);
void wr_top_emit(weir_ctx *ctx, const struct wr_top_changes *changes);

/* The operator for a table's changes; arg is a struct wr_top. */
void wr_top_of_changes(weir_ctx *ctx, const weir_record *in, void *arg);

#endif

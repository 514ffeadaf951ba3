/* consume.h: what consume.c (options, where to start and end, groups) and consume_print.c (batches
 * read and printed) share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_CONSUME_H
#define WR_CONSUME_H

#include "engine/cli/cli.h"
#include "engine/cli/group.h"
#include "engine/cli/stopper.h"
#include "txn/follow.h"

enum wr_start { WR_START_BEGINNING, WR_START_END, WR_START_OFFSET };

enum { WR_CONSUME_STEP_BYTES = 1 << 20 }; /* read at one time, about */

struct wr_consume {
    struct wr_operands operands;
    enum wr_start start;
    int64_t offset, partition, number; /* partition, number -1: all */
    bool follows, json, reset;
    const char *group_name; /* NULL: none */
    struct wr_env *env;
    struct wr_error *error;
    struct wr_reader *reader;
    struct wr_topic topic;
    struct wr_follow follow;
    struct wr_group group;
    struct wr_stopper stopper;
    struct wr_arena arena; /* of a step */
    int64_t *next, *end; /* per partition */
    int64_t printed;
    int64_t saved_us; /* when the group's positions were last kept */
};

/* Whether more is wanted: not stopped, and not as many as --number says. */
bool wr_consume_goes_on(const struct wr_consume *consume);
/* The first kept offset of a partition; says that retention has removed what is below it, from
 * `from` on. */
int64_t wr_consume_skip(const struct wr_consume *consume, int32_t partition, int64_t from);
/* Prints the next batches of a partition, up to where it ends; what is before a damaged one too. */
weir_status wr_consume_step(struct wr_consume *consume, int32_t partition);

#endif

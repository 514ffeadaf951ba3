/* gen_run.h: a gen: source without an engine, that is polled at a time which only the test moves.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GEN_RUN_H
#define GEN_RUN_H

#include "engine/sources/source.h"
#include "txn/base/env.h"

struct gen_run {
    struct wr_env env;
    int64_t now_us; /* of the clock that env shows */
    struct wr_arena arena;
    struct wr_source *source;
    struct wr_polled polled; /* by the last gen_poll */
    struct wr_error error;
};

/* Must succeed. The run must stay where it is until gen_close. */
void gen_open(struct gen_run *run, const char *uri);
void gen_close(struct gen_run *run);
/* identity: what is stored with the position; NULL: nothing. */
weir_status gen_seek(struct gen_run *run, size_t partition, int64_t next, const char *identity);
/* Must succeed, and give records exactly where it says that there are more. */
enum wr_source_more gen_poll(struct gen_run *run, size_t partition);

/* Keys and values of all records, of one partition after the other, have this CRC. */
void gen_must_have_crc(const char *uri, uint32_t crc);

#endif

/* gen_run.c: see gen_run.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/gen_run.h"
#include "txn/base/bytes.h"

static int64_t fixed_us(struct wr_env *env)
{
    return ((struct gen_run *)env->data)->now_us;
}

void gen_open(struct gen_run *run, const char *uri)
{
    struct wr_endpoint endpoint;
    *run = (struct gen_run){.now_us = 5000000};
    wr_env_init(&run->env);
    run->env.monotonic_us = fixed_us;
    run->env.data = run;
    wr_arena_init(&run->arena, 0);
    wr_arena_init(&run->polled.arena, 1 << 21);
    assert_int_equal(wr_endpoint_parse(uri, true, &run->arena, &endpoint, &run->error), WEIR_OK);
    assert_int_equal(
        wr_source_open(&run->env, "in", &endpoint, &run->arena, &run->source, &run->error),
        WEIR_OK);
}

void gen_close(struct gen_run *run)
{
    run->source->ops->close(run->source);
    wr_arena_fini(&run->polled.arena);
    wr_arena_fini(&run->arena);
}

weir_status gen_seek(struct gen_run *run, size_t partition, int64_t next, const char *identity)
{
    struct wr_position stored = {.next = next, .identity = identity};
    struct wr_source *source = run->source;
    return source->ops->seek(source, source->partitions[partition], &stored, &run->error);
}

enum wr_source_more gen_poll(struct gen_run *run, size_t partition)
{
    enum wr_source_more more;
    wr_arena_reset(&run->polled.arena);
    assert_int_equal(run->source->ops->poll(run->source, run->source->partitions[partition],
                                            &run->polled, &more, &run->error),
                     WEIR_OK);
    assert_true((run->polled.count > 0) == (more == WR_SOURCE_MORE));
    return more;
}

void gen_must_have_crc(const char *uri, uint32_t crc)
{
    struct gen_run run;
    uint32_t found = 0;
    gen_open(&run, uri);
    for (size_t p = 0; p < run.source->partition_count; p++) {
        while (gen_poll(&run, p) == WR_SOURCE_MORE) {
            for (size_t n = 0; n < run.polled.count; n++) {
                weir_bytes key = run.polled.records[n].key, value = run.polled.records[n].value;
                found = wr_crc32c(found, key.data, key.size);
                found = wr_crc32c(found, value.data, value.size);
            }
        }
    }
    if (found != crc) {
        fail_msg("%s: content has CRC 0x%08" PRIx32, uri, found);
    }
    gen_close(&run);
}

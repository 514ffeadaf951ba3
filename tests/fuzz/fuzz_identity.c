/* fuzz_identity.c: what a store says of the file in which a position is.
 *
 * Input: the text.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit.h"

#include <stdlib.h>

#include "engine/sources/source_file.h"
#include "txn/base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size);
    struct wr_arena arena;
    struct wr_file_identity identity;
    wr_arena_init(&arena, 0);
    if (wr_file_identity_parse(text, &arena, &identity)) {
        fuzz_check(identity.size >= -1 && identity.size <= WR_COUNTER_MAX);
        fuzz_check(identity.base >= -WR_COUNTER_MAX && identity.base <= WR_COUNTER_MAX);
        fuzz_check(identity.mark.crc_bytes <= WR_FILE_PREFIX_BYTES);
        fuzz_check(!identity.past == (identity.past_count == 0));
        fuzz_check(identity.past_count <= size / 5 + 1); /* each is "0:0:0" at least */
        for (size_t i = 0; i < identity.past_count; i++) {
            fuzz_check(identity.past[i].crc_bytes <= WR_FILE_PREFIX_BYTES);
        }
    }
    wr_arena_fini(&arena);
    free(text);
    return 0;
}

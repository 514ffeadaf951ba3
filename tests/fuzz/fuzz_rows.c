/* fuzz_rows.c: a store whose rows say what weir never wrote: of other types, out of range, absent,
 * of damaged bytes. Whatever looks at it, or goes on from it, ends in success or in a clean error.
 *
 * Input: lines of text as fuzz_store_edit and fuzz_job_resume read them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit_store.h"

#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_sandbox();
    fuzz_store_init(true);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    return fuzz_store_mutate(data, size, max, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size);
    fuzz_store_edit(text);
    fuzz_store_look();
    fuzz_job_follow();
    fuzz_store_act();
    fuzz_job_resume(text);
    free(text);
    return 0;
}

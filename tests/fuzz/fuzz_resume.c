/* fuzz_resume.c: a job goes on from a store whose rows were changed, within the types that their
 * columns have. The run ends in success or in a clean error; and what `weir verify` found sound
 * before a run that ended well is sound after it.
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
    fuzz_store_init(false);
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
    bool sound = fuzz_store_is_sound();
    int code = fuzz_job_resume(text);
    fuzz_check(code != 0 || !sound || fuzz_store_is_sound());
    free(text);
    return 0;
}

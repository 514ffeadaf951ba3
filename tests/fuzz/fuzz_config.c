/* fuzz_config.c: configuration files, with the options of `run` as they are, of a job that is only
 * checked: options, settings and URIs all the way to the graph.
 *
 * Input: the file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit_store.h"

#include <stdlib.h>

#define CONFIG "fuzz.conf"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_sandbox();
    setenv("PLACE", "here", 1);
    setenv("EMPTY", "", 1);
    setenv("NESTED", "${PLACE}", 1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *arguments[] = {"-c", CONFIG, "--check"};
    fuzz_write_file(CONFIG, "wb", (weir_bytes){data, size});
    fuzz_job_run(sizeof arguments / sizeof *arguments, arguments);
    return 0;
}

/* fuzz_group.c: the file in which a consumer group keeps how far it is. Whatever is in it, it is
 * taken or refused; and a group that has read a topic finds nothing new in it.
 *
 * Input: the file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/fuzz/kit_store.h"

#define GROUP_FILE FUZZ_STORE ".g.group"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_sandbox();
    fuzz_store_init(false);
    weir_bytes store = fuzz_store_image();
    fuzz_store_write(store.data, store.size);
    return 0;
}

static int consume(void)
{
    char *arguments[] = {FUZZ_STORE, "topic", "--group", "g", "--format", "json"};
    return fuzz_run(&wr_command_consume, sizeof arguments / sizeof *arguments, arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *topics[] = {FUZZ_STORE};
    fuzz_write_file(GROUP_FILE, "wb", (weir_bytes){data, size});
    fuzz_run(&wr_command_topics, 1, topics);
    fuzz_printed();
    int code = consume();
    fuzz_check_json_lines(fuzz_printed());
    if (code == 0) {
        fuzz_check(consume() == 0 && fuzz_printed().size == 0);
    }
    unlink(GROUP_FILE);
    return 0;
}

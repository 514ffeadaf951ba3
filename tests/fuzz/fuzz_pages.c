/* fuzz_pages.c: a store whose file is damaged, and files that are none. Whatever looks at it, or
 * opens it, ends in success or in a clean error.
 *
 * Input: a byte of flags, then for flag 1 the whole file; else patches of a valid store: page, two
 * bytes of where in it, and a run of bytes that is put there. Flag 2: a WAL of the rest as well.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit_store.h"

#include <string.h>

enum { FLAG_WHOLE = 1, FLAG_WAL = 2, PAGE_BYTES = 512, PATCHES_MAX = 16 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_sandbox();
    fuzz_store_init(false);
    return 0;
}

static void patch(weir_bytes store, struct fuzz_input *input)
{
    size_t page = fuzz_u8(input) % (store.size / PAGE_BYTES);
    size_t at = (size_t)fuzz_u8(input) * 256;
    at = (at + fuzz_u8(input)) % PAGE_BYTES + page * PAGE_BYTES;
    weir_bytes bytes = fuzz_bytes(input);
    size_t size = bytes.size < store.size - at ? bytes.size : store.size - at;
    if (size) {
        memcpy((unsigned char *)(uintptr_t)store.data + at, bytes.data, size);
    }
    fuzz_free(bytes);
}

static void write_wal(struct fuzz_input *input)
{
    weir_bytes bytes = fuzz_rest(input);
    fuzz_write_file(FUZZ_STORE "-wal", "wb", bytes);
    fuzz_free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    uint8_t flags = fuzz_u8(&input);
    if (flags & FLAG_WHOLE) {
        fuzz_store_write(input.at, (size_t)(input.end - input.at));
    } else {
        weir_bytes store = fuzz_store_image();
        for (int i = 0; i < PATCHES_MAX && input.at < input.end && !(flags & FLAG_WAL); i++) {
            patch(store, &input);
        }
        fuzz_store_write(store.data, store.size);
        if (flags & FLAG_WAL) {
            write_wal(&input);
        }
    }
    fuzz_store_look();
    fuzz_store_act();
    return 0;
}

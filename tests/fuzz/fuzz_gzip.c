/* fuzz_gzip.c: gzip files, read by uncompressed offsets. Data that was compressed is read back, in
 * pieces from anywhere; of other data the readable part is the same, however it is read.
 *
 * Input: a byte of flags, a byte for the size of the pieces, then the data. Flag 1: it is
 * compressed first; flag 2: in two members, with zeros behind them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memfd_create */
#include "tests/fuzz/kit.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "engine/sources/source_file.h"

enum { FLAG_COMPRESS = 1, FLAG_MEMBERS = 2, DATA_MAX = 1 << 20 };

static const struct wr_file_source source = {.base.name = "fuzz", .gzip = true};

static void write_member(int file, weir_bytes data)
{
    unsigned char out[8192];
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)data.data, .avail_in = (uInt)data.size};
    fuzz_check(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    for (int code = Z_OK; code != Z_STREAM_END;) {
        z.next_out = out;
        z.avail_out = sizeof out;
        code = deflate(&z, Z_FINISH);
        ssize_t size = (ssize_t)(sizeof out - z.avail_out);
        fuzz_check(code != Z_STREAM_ERROR && write(file, out, (size_t)size) == size);
    }
    deflateEnd(&z);
}

static int make_file(uint8_t flags, weir_bytes data)
{
    static const char zeros[7];
    const char *start = data.data;
    int file = memfd_create("gzip", 0);
    fuzz_check(file >= 0);
    if (!(flags & FLAG_COMPRESS)) {
        fuzz_check(write(file, start, data.size) == (ssize_t)data.size);
        return file;
    }
    size_t first = flags & FLAG_MEMBERS ? data.size / 3 : data.size;
    write_member(file, (weir_bytes){start, first});
    if (flags & FLAG_MEMBERS) {
        write_member(file, (weir_bytes){start + first, data.size - first});
        fuzz_check(write(file, zeros, sizeof zeros) == (ssize_t)sizeof zeros);
    }
    return file;
}

/* All that can be read, in pieces of this size; its size. */
static size_t read_all(struct wr_file *file, size_t piece, char *to, size_t max)
{
    size_t done = 0;
    bool end = false;
    while (!end && done < max) {
        struct wr_error error = {.status = WEIR_OK};
        size_t got = 0, size = piece < max - done ? piece : max - done;
        fuzz_check(wr_gzip_read(&source, file, (int64_t)done, to + done, size, &got, &end,
                                &error) == WEIR_OK);
        fuzz_check(got <= size && (got > 0 || end));
        done += got;
    }
    return done;
}

static void read_part(struct wr_file *file, const char *all, size_t size, size_t at, size_t piece)
{
    char part[256];
    struct wr_error error = {.status = WEIR_OK};
    size_t got = 0, left = at < size ? size - at : 0;
    bool end = false;
    fuzz_check(wr_gzip_read(&source, file, (int64_t)at, part, piece, &got, &end, &error) ==
               WEIR_OK);
    fuzz_check(got == (piece < left ? piece : left));
    fuzz_check(got == 0 || memcmp(part, all + at, got) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char all[DATA_MAX], again[DATA_MAX];
    struct fuzz_input input = {data, data + size};
    uint8_t flags = fuzz_u8(&input);
    size_t piece = (size_t)fuzz_u8(&input) + 1;
    weir_bytes bytes = fuzz_rest(&input);
    struct wr_file file = {.path = "fuzz.gz", .fd = make_file(flags, bytes)};
    file.gzip = wr_gzip_new(file.fd);
    fuzz_check(file.gzip);
    size_t found = read_all(&file, sizeof all, all, sizeof all);
    if (flags & FLAG_COMPRESS) {
        fuzz_check(!wr_gzip_damage(file.gzip));
        fuzz_check(found == bytes.size && memcmp(all, bytes.data, found) == 0);
    }
    size_t most = found < 65536 ? found : 65536; /* pieces of a byte take their time */
    fuzz_check(read_all(&file, piece, again, most) == most && memcmp(all, again, most) == 0);
    read_part(&file, all, found, found / 2, piece);
    read_part(&file, all, found, 0, piece);
    read_part(&file, all, found, found + piece, piece);
    wr_gzip_free(file.gzip);
    close(file.fd);
    fuzz_free(bytes);
    return 0;
}

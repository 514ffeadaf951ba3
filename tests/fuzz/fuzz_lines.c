/* fuzz_lines.c: a file as a source: what a job reads are the file's lines, byte for byte, also when
 * it is read in two runs and the file has grown in between.
 *
 * Input: a byte of flags, two bytes that say how much of the file is there for the first run, the
 * file. Flag 1: the file is read as gzip, whatever it is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit.h"

#include <string.h>
#include <unistd.h>

enum { FLAG_GZIP = 1 };

static void copy(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_emit(ctx, in);
}

static void define(weir_job *job)
{
    weir_name(job, "lines");
    weir_stream *in = weir_from(job, "in", NULL);
    weir_into(weir_through(in, "copy", copy, NULL), "all", "log:all");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_sandbox();
    return 0;
}

static int run(bool gzip)
{
    char *arguments[] = {"--until-end",
                         "--epoch-records",
                         "3",
                         "--sync",
                         "off",
                         "-i",
                         gzip ? "in=file:in.gz?compression=gzip" : "in=file:in.txt"};
    struct wr_cli cli;
    fuzz_cli(&cli);
    int code =
        wr_cli_run_define(&cli, "lines", define, sizeof arguments / sizeof *arguments, arguments);
    fuzz_check_code(code);
    return code;
}

/* The topic holds these lines: each is printed as an absent key, a tab, the line. */
static void check_lines(weir_bytes text)
{
    char *arguments[] = {"lines.weir", "all"};
    fuzz_printed();
    fuzz_check(fuzz_run(&wr_command_consume, 2, arguments) == 0);
    weir_bytes printed = fuzz_printed();
    const char *is = printed.data, *is_end = is + printed.size;
    const char *at = text.data, *end = at + text.size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((newline ? newline : end) - at);
        fuzz_check((size_t)(is_end - is) >= size + 2);
        fuzz_check(is[0] == '\t' && memcmp(is + 1, at, size) == 0 && is[1 + size] == '\n');
        is += size + 2;
        at += size + (newline ? 1 : 0);
    }
    fuzz_check(is == is_end);
}

static void read_plain(weir_bytes text, size_t cut)
{
    const char *start = text.data;
    cut = cut < text.size ? cut : text.size;
    fuzz_write_file("in.txt", "wb", (weir_bytes){start, cut});
    fuzz_check(run(false) == 0);
    check_lines((weir_bytes){start, cut});
    fuzz_write_file("in.txt", "ab", (weir_bytes){start + cut, text.size - cut});
    /* A last line without its newline counted as it was; it must not grow. */
    bool whole = cut == 0 || start[cut - 1] == '\n' || cut == text.size;
    int code = run(false);
    fuzz_check(!whole || code == 0);
    if (whole) {
        check_lines(text);
    }
}

static void clean(void)
{
    static const char *const names[] = {"lines.weir",      "lines.weir-wal", "lines.weir-shm",
                                        "lines.weir.lock", "in.txt",         "in.gz"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unlink(names[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    uint8_t flags = fuzz_u8(&input);
    size_t cut = fuzz_u8(&input) * (size_t)256;
    cut += fuzz_u8(&input);
    weir_bytes text = fuzz_rest(&input);
    clean();
    if (flags & FLAG_GZIP) {
        fuzz_write_file("in.gz", "wb", text);
        run(true);
    } else {
        read_plain(text, cut);
    }
    fuzz_free(text);
    return 0;
}

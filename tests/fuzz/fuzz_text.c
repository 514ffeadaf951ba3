/* fuzz_text.c: text that users give: lines of a pipe, delimiters, names, paths, misspelt words.
 *
 * Input: a byte that chooses how many bytes a pipe gives at a time, a run of bytes that is a word
 * (delimiter, name, path), and the text of the pipe.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem, pipe2 */
#include "tests/fuzz/kit.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/cli/lines.h"
#include "engine/cli/split.h"
#include "engine/endpoint.h"
#include "txn/base/bytes.h"

enum { LINE_MAX_BYTES = 64 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_sandbox();
    return 0;
}

/* Key and value of a line are what stands before and after the first delimiter. */
static void check_split(const struct wr_split *split, weir_bytes line)
{
    weir_record record = {0};
    wr_split_line(split, line, &record);
    const char *start = line.data;
    const char *found = split->delimiter_size
                            ? memmem(start, line.size, split->delimiter, split->delimiter_size)
                            : NULL;
    size_t key = found ? (size_t)(found - start) : 0;
    size_t value = found ? key + split->delimiter_size : 0;
    bool has_key = found && !(split->empty_is_absent && key == 0);
    bool has_value = !(split->empty_is_absent && value == line.size);
    fuzz_check(wr_bytes_equal(record.key, wr_bytes(has_key ? start : NULL, has_key ? key : 0)));
    weir_bytes rest = {has_value ? start + value : NULL, has_value ? line.size - value : 0};
    fuzz_check(wr_bytes_equal(record.value, rest));
}

static bool set_delimiter(const char *word, struct wr_split *split)
{
    struct wr_error error = {.status = WEIR_OK};
    if (wr_split_delimiter(split, word, &error) != WEIR_OK) {
        fuzz_check_error(&error);
        return false;
    }
    fuzz_check(split->delimiter_size > 0 && split->delimiter_size <= WR_DELIMITER_MAX);
    fuzz_check(strchr(word, '\\') || (split->delimiter_size == strlen(word) &&
                                      memcmp(split->delimiter, word, strlen(word)) == 0));
    return true;
}

/* The lines that are read, one after the other with newlines, are the text; a line that is too long
 * ends it. */
static void check_lines(weir_bytes text, size_t step, const struct wr_split *split)
{
    struct wr_lines lines;
    weir_bytes line;
    int ends[2];
    const char *at = text.data, *end = at + text.size, *written = at;
    fuzz_check(pipe2(ends, O_CLOEXEC) == 0);
    fuzz_check(wr_lines_init(&lines, ends[0], LINE_MAX_BYTES));
    while (!lines.ended && wr_lines_rest(&lines) <= LINE_MAX_BYTES) {
        size_t next = (size_t)(end - written) < step ? (size_t)(end - written) : step;
        if (next > 0) {
            fuzz_check(write(ends[1], written, next) == (ssize_t)next);
            written += next;
        } else if (ends[1] >= 0) {
            close(ends[1]);
            ends[1] = -1;
        }
        fuzz_check(wr_lines_read(&lines, -1) == 0);
        while (wr_lines_next(&lines, &line)) {
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            size_t size = (size_t)((newline ? newline : end) - at);
            fuzz_check(wr_bytes_equal(line, wr_bytes(at, size)));
            check_split(split, line);
            at += size + (newline ? 1 : 0);
        }
    }
    fuzz_check(!lines.ended || at == end);
    wr_lines_fini(&lines);
    close(ends[0]);
    if (ends[1] >= 0) {
        close(ends[1]);
    }
}

static void check_name(const char *word)
{
    bool good = *word && strlen(word) <= WR_NAME_BYTES_MAX;
    for (const char *at = word; *at; at++) {
        unsigned char c = (unsigned char)*at;
        good = good && c < 0x80 && (isalnum(c) || strchr("_.-", c));
    }
    fuzz_check(wr_name_is_valid(word) == good);
}

static void check_nearest(const char *word)
{
    const char *const names[] = {"until-end", "input", "a", "epoch-records", NULL};
    const char *near = wr_nearest(word, names);
    for (int i = 0; names[i]; i++) {
        fuzz_check(strcmp(names[i], word) != 0 || near == names[i] || !names[i][1]);
    }
}

/* An absolute path has no `.`, no `..` and no empty part, and stays as it is. */
static void check_path(const char *word)
{
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    char *path = wr_path_absolute(word, &arena);
    fuzz_check(path && path[0] == '/');
    for (const char *at = path; *at; at += strcspn(at, "/")) {
        at++;
        size_t part = strcspn(at, "/");
        fuzz_check(part > 0 || (at == path + 1 && !*at));
        fuzz_check(!(part == 1 && at[0] == '.'));
        fuzz_check(!(part == 2 && at[0] == '.' && at[1] == '.'));
    }
    char *again = wr_path_absolute(path, &arena);
    fuzz_check(again && strcmp(again, path) == 0);
    wr_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    uint8_t how = fuzz_u8(&input);
    weir_bytes bytes = fuzz_bytes(&input);
    char *word = fuzz_string(bytes.data, bytes.size);
    weir_bytes text = fuzz_rest(&input);
    struct wr_split split = {.empty_is_absent = how & 1};
    if (!set_delimiter(word, &split)) {
        split.delimiter_size = 0;
    }
    check_lines(text, (how >> 1) + 1, &split);
    check_name(word);
    check_nearest(word);
    check_path(word);
    free(word);
    fuzz_free(bytes);
    fuzz_free(text);
    return 0;
}

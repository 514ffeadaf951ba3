/* kit.c: see kit.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memfd_create, nftw */
#include "tests/fuzz/kit.h"

#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Noreturn void fuzz_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

void fuzz_check_code(int code)
{
    static const int codes[] = {0, 64, 65, 66, 69, 74, 75, 77, 78};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i] == code) {
            return;
        }
    }
    fprintf(stderr, "exit code %d\n", code);
    fuzz_failed("the exit code is one of the documented ones", __FILE__, __LINE__);
}

void fuzz_check_error(const struct wr_error *error)
{
    fuzz_check(error->status != WEIR_OK);
    fuzz_check(error->exit_code != WR_EXIT_OK);
    fuzz_check_code((int)error->exit_code);
    fuzz_check(error->text[0]);
    fuzz_check(memchr(error->text, '\0', sizeof error->text));
}

/* ---- An input taken apart -------------------------------------------------------------------- */

uint8_t fuzz_u8(struct fuzz_input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

uint32_t fuzz_u32(struct fuzz_input *input)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        value = value << 8 | fuzz_u8(input);
    }
    return value;
}

uint64_t fuzz_u64(struct fuzz_input *input)
{
    uint64_t high = fuzz_u32(input);
    return high << 32 | fuzz_u32(input);
}

static void *get_memory(size_t size)
{
    void *memory = malloc(size);
    if (!memory) {
        fuzz_failed("there is memory", __FILE__, __LINE__);
    }
    return memory;
}

weir_bytes fuzz_copy(const void *data, size_t size)
{
    void *copy = get_memory(size ? size : 1);
    if (size) {
        memcpy(copy, data, size);
    }
    return (weir_bytes){copy, size};
}

weir_bytes fuzz_bytes(struct fuzz_input *input)
{
    size_t size = fuzz_u8(input), left = (size_t)(input->end - input->at);
    if (size == 255) {
        return (weir_bytes){NULL, 0};
    }
    size = size < left ? size : left;
    weir_bytes bytes = fuzz_copy(input->at, size);
    input->at += size;
    return bytes;
}

weir_bytes fuzz_rest(struct fuzz_input *input)
{
    weir_bytes bytes = fuzz_copy(input->at, (size_t)(input->end - input->at));
    input->at = input->end;
    return bytes;
}

void fuzz_free(weir_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

char *fuzz_string(const void *data, size_t size)
{
    size_t length = size ? strnlen(data, size) : 0;
    char *text = get_memory(length + 1);
    if (length) {
        memcpy(text, data, length);
    }
    text[length] = '\0';
    return text;
}

/* ---- The program, inside this one ------------------------------------------------------------ */

static char folder[64];
static int output = -1;
static char output_buffer[1 << 16];
static char *printed;

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static void leave_sandbox(void)
{
    fflush(stdout);
    free(printed);
    printed = NULL;
    if (folder[0]) {
        nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

/* A file system in memory, where there is one: fsync costs nothing there. */
void fuzz_sandbox(void)
{
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/weir-fuzz.XXXXXX", parent ? parent : "/tmp");
    int input = open("/dev/null", O_RDONLY);
    output = memfd_create("printed", 0);
    if (!mkdtemp(folder) || chdir(folder) != 0 || input < 0 || output < 0 ||
        dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || atexit(leave_sandbox)) {
        perror("cannot make a folder to work in");
        exit(1);
    }
    close(input);
}

weir_bytes fuzz_printed(void)
{
    fflush(stdout);
    off_t size = lseek(output, 0, SEEK_END);
    fuzz_check(size >= 0);
    free(printed);
    printed = get_memory((size_t)size + 1);
    fuzz_check(pread(output, printed, (size_t)size, 0) == size);
    printed[size] = '\0';
    fuzz_check(ftruncate(output, 0) == 0 && lseek(output, 0, SEEK_SET) == 0);
    return (weir_bytes){printed, (size_t)size};
}

/* Nothing is shown but to people who look at one input. */
static void log_line(struct wr_env *env, enum wr_level level, const char *text)
{
    (void)env, (void)level;
    fuzz_check(strlen(text) > 0);
    if (getenv("WEIR_FUZZ_SHOW")) {
        fprintf(stderr, "    %s\n", text);
    }
}

static int64_t same_time(struct wr_env *env)
{
    (void)env;
    return INT64_C(1700000000000);
}

/* The same in each process; threads may draw from it in any order. */
static uint64_t same_chance(struct wr_env *env)
{
    (void)env;
    return UINT64_C(0x9e3779b97f4a7c15);
}

void fuzz_cli(struct wr_cli *cli)
{
    *cli = (struct wr_cli){.error = {.status = WEIR_OK}};
    wr_env_init(&cli->env);
    cli->env.log = log_line;
    cli->env.wall_ms = same_time;
    cli->env.random = same_chance;
}

int fuzz_run(const struct wr_command *command, int argc, char **argv)
{
    struct wr_cli cli;
    fuzz_cli(&cli);
    int code = command->run(&cli, argc, argv);
    setvbuf(stdout, output_buffer, _IOFBF, sizeof output_buffer); /* a command leaves it without */
    fuzz_check_code(code);
    if (cli.error.status != WEIR_OK) {
        fuzz_check_error(&cli.error);
    }
    return code;
}

static void use_input(int file)
{
    fuzz_check(file >= 0 && dup2(file, STDIN_FILENO) == STDIN_FILENO);
    close(file);
}

int fuzz_feed(const struct wr_command *command, int argc, char **argv, weir_bytes text)
{
    int input = memfd_create("input", 0);
    fuzz_check(write(input, text.data, text.size) == (ssize_t)text.size);
    fuzz_check(lseek(input, 0, SEEK_SET) == 0);
    use_input(input);
    int code = fuzz_run(command, argc, argv);
    use_input(open("/dev/null", O_RDONLY));
    return code;
}

void fuzz_write_file(const char *path, const char *mode, weir_bytes bytes)
{
    FILE *file = fopen(path, mode);
    fuzz_check(file && fwrite(bytes.data, 1, bytes.size, file) == bytes.size);
    fuzz_check(fclose(file) == 0);
}

bool fuzz_is_json(weir_bytes text)
{
    json_error_t error;
    json_t *value =
        json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!value) {
        fprintf(stderr, "%s: %.*s\n", error.text, (int)text.size, (const char *)text.data);
        return false;
    }
    json_decref(value);
    return true;
}

void fuzz_check_json_lines(weir_bytes text)
{
    const char *at = text.data, *end = at + text.size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        fuzz_check(newline); /* whole lines only */
        fuzz_check(fuzz_is_json((weir_bytes){at, (size_t)(newline - at)}));
        at = newline + 1;
    }
}

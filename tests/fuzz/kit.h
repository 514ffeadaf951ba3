/* kit.h: what the fuzzers have in common. A fuzzer is one file, fuzz_NAME.c, with
 * LLVMFuzzerTestOneInput: libFuzzer calls it with inputs it makes up (tests/run.sh --long), and
 * replay.c with those kept in corpus/NAME (each build, each run).
 *
 * What a fuzzer promises is stated by fuzz_check, never by cmocka, which libFuzzer does not know.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_FUZZ_KIT_H
#define TEST_FUZZ_KIT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/cli/cli.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Optional: called once, before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Ends the program, so that the input is kept, when something does not hold. */
#define fuzz_check(expression)                                                                     \
    ((expression) ? (void)0 : fuzz_failed(#expression, __FILE__, __LINE__))
_Noreturn void fuzz_failed(const char *what, const char *file, int line);

/* An error is clean: it has a code of the program's and a text. */
void fuzz_check_error(const struct wr_error *error);
/* The exit code of a command is one of those that users are told of. 70, a bug, is not. */
void fuzz_check_code(int code);

/* ---- An input taken apart; what is missing at its end is 0 ----------------------------------- */

struct fuzz_input {
    const uint8_t *at, *end;
};
uint8_t fuzz_u8(struct fuzz_input *input);
uint32_t fuzz_u32(struct fuzz_input *input);
uint64_t fuzz_u64(struct fuzz_input *input);
/* The next run of bytes: the first byte says how many. 255: absent. In memory of its own, so that a
 * byte too far is seen; fuzz_free gives it back. */
weir_bytes fuzz_bytes(struct fuzz_input *input);
weir_bytes fuzz_rest(struct fuzz_input *input); /* all that is left */
weir_bytes fuzz_copy(const void *data, size_t size);
void fuzz_free(weir_bytes bytes);
/* The bytes up to the first NUL as a string of its own; free() it. */
char *fuzz_string(const void *data, size_t size);

/* ---- The program, inside this one ------------------------------------------------------------ */

/* A folder that goes away with the process is made and becomes the working directory; standard
 * input is empty, standard output is captured. Once, from LLVMFuzzerInitialize. */
void fuzz_sandbox(void);
/* A `weir` process with a wall clock and a randomness that repeat. Its log lines are shown only
 * when WEIR_FUZZ_SHOW is set. */
void fuzz_cli(struct wr_cli *cli);
/* Runs a subcommand; its exit code, checked. What it printed stays until the next call. */
int fuzz_run(const struct wr_command *command, int argc, char **argv);
/* The same, with this on its standard input. */
int fuzz_feed(const struct wr_command *command, int argc, char **argv, weir_bytes text);
/* Makes a file, or appends to it. */
void fuzz_write_file(const char *path, const char *mode, weir_bytes bytes);
/* What was printed since the last call of this, or by the last fuzz_run; NUL-ended. */
weir_bytes fuzz_printed(void);
/* One JSON value, without a key twice. */
bool fuzz_is_json(weir_bytes text);
/* Each line is one. */
void fuzz_check_json_lines(weir_bytes text);

#endif

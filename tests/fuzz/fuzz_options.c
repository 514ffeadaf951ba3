/* fuzz_options.c: command lines of every subcommand, run on a valid store. Those of `run` only
 * check the job.
 *
 * Input: a byte that chooses the subcommand, then its arguments, ended by newlines. A `/` is read
 * as `_`, so that nothing outside the folder is touched; what would wait for ever is left out.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit_store.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 16, RUN = 0 };

static const struct wr_command *const commands[] = {
    &wr_command_run,     &wr_command_inspect, &wr_command_verify,  &wr_command_topics,
    &wr_command_produce, &wr_command_consume, &wr_command_rejects, &wr_command_backup,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_sandbox();
    fuzz_store_init(false);
    return 0;
}

/* Files that the last command made. */
static void sweep(void)
{
    DIR *here = opendir(".");
    fuzz_check(here);
    for (struct dirent *entry; (entry = readdir(here));) {
        unlink(entry->d_name);
    }
    closedir(here);
}

static bool waits(const char *argument)
{
    return strcmp(argument, "--follow") == 0;
}

static int split(char *text, char **arguments)
{
    int count = 0;
    for (char *at = text; *at && count < ARGUMENTS_MAX;) {
        size_t size = strcspn(at, "\n");
        bool last = at[size] == '\0';
        at[size] = '\0';
        for (char *slash; (slash = strchr(at, '/'));) {
            *slash = '_';
        }
        if (!waits(at)) {
            arguments[count++] = at;
        }
        at += size + !last;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    int which = fuzz_u8(&input) % COMMANDS;
    char *text = fuzz_string(input.at, (size_t)(input.end - input.at));
    char *arguments[ARGUMENTS_MAX + 1] = {"--check"};
    int count = split(text, arguments + 1);
    sweep();
    if (which == RUN) {
        fuzz_job_run(count + 1, arguments);
    } else {
        weir_bytes store = fuzz_store_image();
        fuzz_store_write(store.data, store.size);
        fuzz_run(commands[which], count, arguments + 1);
        fuzz_printed();
    }
    free(text);
    return 0;
}

/* replay.c: runs a fuzzer over inputs that are kept, in any build and without libFuzzer:
 *
 *     replay_NAME FILE-OR-FOLDER...
 *
 * Each input's name stands on stderr before it runs, so the last name is the one that failed. An
 * input that takes longer than SECONDS_MAX ends it all. The empty input always comes first.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/kit.h"

enum { SECONDS_MAX = 60 };

#pragma weak LLVMFuzzerInitialize

static int runs;

static void run(const char *name, weir_bytes input)
{
    fprintf(stderr, "%s (%zu bytes)\n", name, input.size);
    alarm(SECONDS_MAX);
    LLVMFuzzerTestOneInput(input.data, input.size);
    alarm(0);
    runs++;
}

/* Whatever fails here is a mistake of whoever calls. */
static void give_up(const char *doing, const char *path)
{
    fprintf(stderr, "replay: cannot %s ", doing);
    perror(path);
    exit(1);
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        give_up("open", path);
        return;
    }
    long size = ftell(file);
    rewind(file);
    char *bytes = malloc(size > 0 ? (size_t)size : 1); /* as long as it is: ASan sees one too far */
    if (!bytes || size < 0 || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        give_up("read", path);
    }
    fclose(file);
    run(path, (weir_bytes){bytes, (size_t)size});
    free(bytes);
}

static int by_name(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static void run_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, by_name);
    if (count < 0) {
        run_file(path);
        return;
    }
    for (int i = 0; i < count; i++) {
        char full[PATH_MAX];
        snprintf(full, sizeof full, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            run_file(full);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    char **paths = calloc((size_t)argc, sizeof *paths);
    for (int i = 1; paths && i < argc; i++) { /* the fuzzer may change the working directory */
        paths[i] = realpath(argv[i], NULL);
        if (!paths[i]) {
            give_up("find", argv[i]);
        }
    }
    if (LLVMFuzzerInitialize) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    run("the empty input", (weir_bytes){(const uint8_t *)"", 0});
    for (int i = 1; paths && i < argc; i++) {
        run_folder(paths[i]);
        free(paths[i]);
    }
    free(paths);
    fprintf(stderr, "%d inputs\n", runs);
    return runs > 1 ? 0 : 1; /* without a corpus this would prove nothing */
}

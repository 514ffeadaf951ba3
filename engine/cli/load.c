/* load.c: see load.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/load.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/endpoint.h"

void wr_job_name(const char *path, const char *suffix, char name_out[WR_NAME_BYTES_MAX + 1])
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t length = strlen(base), tail = strlen(suffix), size = 0;
    if (length > tail && strcmp(base + length - tail, suffix) == 0) {
        length -= tail;
    }
    for (; size < length && size < WR_NAME_BYTES_MAX; size++) {
        char one[2] = {base[size], '\0'};
        name_out[size] = '_';
        if (wr_name_is_valid(one)) {
            name_out[size] = one[0];
        }
    }
    name_out[size] = '\0';
    if (size == 0) {
        memcpy(name_out, "job", 4);
    }
}

static weir_status check_abi(void *handle, const char *path, struct wr_error *error)
{
    const unsigned *mark = dlsym(handle, "weir_abi_mark");
    if (!mark || !dlsym(handle, "weir_define")) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "%s is no job: it has no weir_define; define it with WEIR_JOB(job) { ... } "
                       "of weir.h",
                       path);
    }
    if (*mark != WEIR_ABI) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "%s was compiled for ABI %u, this weir has %d: compile it again with this "
                       "weir's weir.h",
                       path, *mark, WEIR_ABI);
    }
    return WEIR_OK;
}

/* It does not load. A job for another ABI may want functions that this weir does not have, and its
 * mark, read from a lazy load, says more than the linker does. */
static weir_status fail_load(const char *file, const char *path, struct wr_error *error)
{
    char why[WR_ERROR_TEXT_MAX / 2];
    const char *said = dlerror();
    snprintf(why, sizeof why, "%s", said ? said : "no reason given");
    void *handle = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
    weir_status status = handle ? check_abi(handle, path, error) : WEIR_OK;
    if (handle) {
        dlclose(handle);
    }
    if (status != WEIR_OK) {
        return status;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "cannot load the job %s: %s; a job is a shared object: cc -shared -fPIC -o "
                   "job.so job.c",
                   path, why);
}

/* Loading a shared object that was cut off (a copy that did not end) would end in SIGBUS: what its
 * header says is loaded must be there. What is no ELF file at all is left to the linker. */
static bool is_whole(const char *path)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
    FILE *file = fopen(path, "re");
    struct stat found;
    bool whole = true;
    if (!file || fstat(fileno(file), &found) != 0 ||
        fread(&header, sizeof header, 1, file) != 1 ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof segment) {
        header.e_phnum = 0;
    }
    for (unsigned i = 0; i < header.e_phnum && whole; i++) {
        whole = fseek(file, (long)(header.e_phoff + i * sizeof segment), SEEK_SET) == 0 &&
                fread(&segment, sizeof segment, 1, file) == 1 &&
                (segment.p_type != PT_LOAD ||
                 (segment.p_filesz <= (uint64_t)found.st_size &&
                  segment.p_offset <= (uint64_t)found.st_size - segment.p_filesz));
    }
    if (file) {
        fclose(file);
    }
    return whole;
}

weir_status wr_job_file_open(const char *path, struct wr_job_file *file_out, struct wr_error *error)
{
    *file_out = (struct wr_job_file){.handle = NULL};
    if (access(path, R_OK) != 0) {
        return wr_fail_errno(error, "cannot open the job %s", path);
    }
    char file[WR_URI_BYTES_MAX]; /* dlopen looks for a name without a slash elsewhere */
    int wrote = snprintf(file, sizeof file, "%s%s", strchr(path, '/') ? "" : "./", path);
    if (wrote < 0 || (size_t)wrote >= sizeof file) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "the job's path has %zu bytes; the limit is %d", strlen(path),
                       WR_URI_BYTES_MAX - 3);
    }
    if (!is_whole(file)) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "cannot load the job %s: the file is cut off; build or copy it again", path);
    }
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        return fail_load(file, path, error);
    }
    weir_status status = check_abi(handle, path, error);
    if (status != WEIR_OK) {
        dlclose(handle);
        return status;
    }
    void *define = dlsym(handle, "weir_define");
    memcpy(&file_out->define, &define, sizeof define); /* ISO C has no cast for this */
    file_out->handle = handle;
    wr_job_name(path, ".so", file_out->name);
    return WEIR_OK;
}

void wr_job_file_close(struct wr_job_file *file)
{
    if (file->handle) {
        dlclose(file->handle);
        file->handle = NULL;
    }
}

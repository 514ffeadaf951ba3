/* machine.c: on what was measured. See machine.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "engine/bench/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "engine/bench/text.h"
#include "txn/store_sql.h"

/* ---- What the system says -------------------------------------------------------------------- */

/* The text behind `name` and `separators` in the first line of a file that begins so; empty: none
 * does. */
static void read_line(const char *path, const char *name, const char *separators, char *text_out)
{
    text_out[0] = '\0';
    char line[512];
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        size_t size = strlen(name);
        if (strncmp(line, name, size) == 0) {
            const char *value = line + size + strspn(line + size, separators);
            size = strcspn(value, "\"\n");
            wr_bench_text_copy(text_out, WR_BENCH_TEXT_MAX, wr_bytes(value, size));
            break;
        }
    }
    if (file) {
        fclose(file);
    }
}

/* The type and device of the mount that holds `folder`: the line of /proc/self/mountinfo with the
 * folder's device number; with several, as after bind mounts, any says the same. */
static void find_file_system(const char *folder, char *text_out)
{
    text_out[0] = '\0';
    struct stat status;
    FILE *file = stat(folder, &status) == 0 ? fopen("/proc/self/mountinfo", "re") : NULL;
    char *line = NULL;
    size_t room = 0;
    while (file && getline(&line, &room, file) > 0) {
        unsigned major_number, minor_number;
        char type[64], device[256];
        const char *rest = strstr(line, " - ");
        if (rest && sscanf(line, "%*d %*d %u:%u", &major_number, &minor_number) == 2 &&
            makedev(major_number, minor_number) == status.st_dev &&
            sscanf(rest, " - %63s %255s", type, device) == 2) {
            char text[sizeof type + sizeof device + 4];
            int size = snprintf(text, sizeof text, "%s on %s", type, device);
            wr_bench_text_copy(text_out, WR_BENCH_TEXT_MAX, wr_bytes(text, (size_t)size));
            break;
        }
    }
    free(line);
    if (file) {
        fclose(file);
    }
}

static void say_versions(char *text_out)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const char *build = ", with sanitizers: no figure counts";
#elif !defined(__OPTIMIZE__)
    const char *build = ", not optimised: no figure counts";
#else
    const char *build = "";
#endif
#if defined(__clang__)
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    snprintf(text_out, WR_BENCH_TEXT_MAX, "weir %s, SQLite %s, %s%s", WEIR_VERSION,
             sqlite3_libversion(), compiler, build);
}

static void look(const char *folder, struct wr_bench_machine *machine)
{
    time_t now = time(NULL);
    struct tm utc;
    strftime(machine->time, sizeof machine->time, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    struct utsname name;
    if (uname(&name) == 0) {
        char text[sizeof name];
        int size =
            snprintf(text, sizeof text, "%s %s %s", name.sysname, name.release, name.machine);
        wr_bench_text_copy(machine->kernel, WR_BENCH_TEXT_MAX, wr_bytes(text, (size_t)size));
    }
    read_line("/proc/cpuinfo", "model name", " \t:", machine->cpu);
    read_line("/etc/os-release", "PRETTY_NAME", "=\"", machine->system);
    find_file_system(folder, machine->file_system);
    cpu_set_t cpus;
    machine->cores = sched_getaffinity(0, sizeof cpus, &cpus) == 0
                         ? CPU_COUNT(&cpus)
                         : (int)sysconf(_SC_NPROCESSORS_ONLN);
    machine->memory_kib = sysconf(_SC_PHYS_PAGES) * (sysconf(_SC_PAGESIZE) / 1024);
    if (getloadavg(&machine->load, 1) != 1) {
        machine->load = 0;
    }
    say_versions(machine->versions);
}

/* ---- What the disk takes --------------------------------------------------------------------- */

enum { PAGE = 4096, PAGES = 256, TRIES = 512, FIRST_TRIES = 16, MEASURE_US = 500000 };

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int compare_times(const void *a, const void *b)
{
    const double *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Overwrites pages of a file of full length, each made durable before the next. */
static weir_status measure(int fd, const char *path, struct wr_bench_machine *machine,
                           struct wr_error *error)
{
    unsigned char page[PAGE];
    memset(page, 0x55, sizeof page);
    for (int i = 0; i < PAGES; i++) {
        if (pwrite(fd, page, PAGE, (off_t)i * PAGE) != PAGE) {
            return wr_fail_errno(error, "cannot write %s, to measure the disk", path);
        }
    }
    if (fsync(fd) != 0) {
        return wr_fail_errno(error, "cannot sync %s, to measure the disk", path);
    }
    double times[TRIES];
    size_t count = 0;
    int64_t begin = now_us(), before = begin;
    while (count < TRIES && (count < FIRST_TRIES || before - begin < MEASURE_US)) {
        page[0]++;
        if (pwrite(fd, page, PAGE, (off_t)(count % PAGES) * PAGE) != PAGE || fdatasync(fd) != 0) {
            return wr_fail_errno(error, "cannot write and sync %s, to measure the disk", path);
        }
        int64_t after = now_us();
        times[count++] = (double)(after - before);
        before = after;
    }
    qsort(times, count, sizeof times[0], compare_times);
    machine->fsync_us_p50 = times[count / 2];
    machine->fsync_us_p99 = times[count * 99 / 100];
    machine->fsync_us_max = times[count - 1];
    return WEIR_OK;
}

weir_status wr_bench_machine_look(const char *folder, struct wr_bench_machine *machine_out,
                                  struct wr_error *error)
{
    *machine_out = (struct wr_bench_machine){.cores = 0};
    look(folder, machine_out);
    char path[WR_URI_BYTES_MAX + 32];
    snprintf(path, sizeof path, "%s/fsync.probe", folder);
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        return wr_fail_errno(error, "cannot make %s, to measure the disk", path);
    }
    weir_status status = measure(fd, path, machine_out, error);
    close(fd);
    unlink(path);
    return status;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_text(FILE *file, const char *name, const char *text)
{
    fprintf(file, ",\"%s\":", name);
    wr_bench_text_json(file, text);
}

void wr_bench_machine_line(FILE *file, const struct wr_bench_machine *machine, const char *command)
{
    fprintf(file, "{\"type\":\"machine\"");
    put_text(file, "time", machine->time);
    if (command) {
        put_text(file, "command", command);
    }
    put_text(file, "cpu", machine->cpu);
    fprintf(file, ",\"cores\":%d,\"memory_kib\":%" PRId64 ",\"load\":%.2f", machine->cores,
            machine->memory_kib, machine->load);
    put_text(file, "kernel", machine->kernel);
    put_text(file, "system", machine->system);
    put_text(file, "file_system", machine->file_system);
    put_text(file, "versions", machine->versions);
    fprintf(file, ",\"fsync_us_p50\":%.0f,\"fsync_us_p99\":%.0f,\"fsync_us_max\":%.0f}\n",
            machine->fsync_us_p50, machine->fsync_us_p99, machine->fsync_us_max);
}

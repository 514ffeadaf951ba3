/* show.c: see show.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/show.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECOND_US = 1000000, KIB = 1024 };

static const char stats_begin[] = "{\"records_in\":"; /* of each line, see metrics.c */

static int64_t load(_Atomic int64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* What the operator thread waits for; when that is input, whether the sinks are behind. */
static enum wr_waiting waiting_for(struct wr_instance *instance)
{
    int64_t sent;
    int waiting = atomic_load_explicit(&instance->metrics.waiting_for, memory_order_relaxed);
    return waiting == WR_WAITING_INPUT && wr_forwarder_sending(instance->forwarder, &sent)
               ? WR_WAITING_FORWARD
               : (enum wr_waiting)waiting;
}

static void draw_progress(struct wr_show *show, int64_t now_us)
{
    struct wr_metrics *metrics = &show->instance->metrics;
    struct wr_show_last *last = &show->drawn_last;
    int64_t records = load(&metrics->records_in), lag = load(&metrics->lag_records);
    double seconds = (double)(now_us - last->us) / SECOND_US;
    double rate = seconds > 0 ? (double)(records - last->records) / seconds : 0;
    char behind[40] = "";
    if (lag >= 0) {
        snprintf(behind, sizeof behind, ", %" PRId64 " to go", lag);
    }
    fprintf(stderr,
            "\r%" PRId64 " records%s, %.0f/s, %" PRId64 " epochs, decide p99 %.1f ms, waits for %s"
            "\033[K",
            records, behind, rate, load(&metrics->epochs),
            wr_histogram_us(&metrics->decide, 0.99) / 1000,
            wr_waiting_name(waiting_for(show->instance)));
    fflush(stderr);
    show->drawn = true;
    last->us = now_us;
    last->records = records;
}

static void write_stats(struct wr_show *show, int64_t now_us, bool final)
{
    struct wr_metrics *metrics = &show->instance->metrics;
    struct wr_show_last *last = &show->stats_last;
    struct wr_store_stats store;
    wr_store_stats(show->instance->store, &store);
    wr_metrics_write(metrics, &store, waiting_for(show->instance), now_us, last->records, last->us,
                     final, show->stats);
    fflush(show->stats);
    last->us = now_us;
    last->records = load(&metrics->records_in);
}

/* With -v: what was decided since the last such line. */
static void say_epochs(struct wr_show *show, int64_t now_us)
{
    struct wr_metrics *metrics = &show->instance->metrics;
    struct wr_show_last *last = &show->said_last;
    struct wr_store_stats store;
    int64_t epochs = load(&metrics->epochs), records = load(&metrics->records_in);
    if (epochs == last->epochs) {
        return;
    }
    wr_store_stats(show->instance->store, &store);
    wr_log(show->instance->env, WR_LOG_DEBUG,
           "%" PRId64 " epoch%s decided in %" PRId64 " ms: %" PRId64 " records, %" PRId64
           " KiB written, %" PRId64 " fsyncs; decide time of all so far p50 %.1f ms, p99 %.1f ms; "
           "store %" PRId64 " KiB, write-ahead log %" PRId64 " KiB; %" PRId64 " records to forward",
           epochs - last->epochs, epochs - last->epochs == 1 ? "" : "s", (now_us - last->us) / 1000,
           records - last->records, (store.bytes_written - last->bytes_written) / KIB,
           store.fsyncs - last->fsyncs, wr_histogram_us(&metrics->decide, 0.5) / 1000,
           wr_histogram_us(&metrics->decide, 0.99) / 1000, store.store_bytes / KIB,
           store.wal_bytes / KIB, load(&metrics->backlog_records));
    *last = (struct wr_show_last){now_us, records, epochs, store.fsyncs, store.bytes_written};
}

static void look_for_stuck(struct wr_show *show, int64_t now_us)
{
    struct wr_instance *instance = show->instance;
    struct wr_metrics *metrics = &instance->metrics;
    struct wr_stuck_sample sample = {
        .now_us = now_us,
        .store = wr_store_info(instance->store)->path,
        .deciding_us = load(&metrics->deciding_us),
        .telling = wr_store_telling(instance->store),
        .calling = atomic_load_explicit(&metrics->calling, memory_order_relaxed),
        .units = load(&metrics->units)};
    sample.sending = wr_forwarder_sending(instance->forwarder, &sample.sent);
    if (sample.sending && wr_delivery_is_direct(instance->options->delivery)) {
        sample.deciding_us = 0; /* the sink is what it waits for */
    }
    wr_stuck_look(&show->stuck, instance->env, &sample);
}

void wr_show_look(void *data, bool final)
{
    struct wr_show *show = data;
    int64_t now_us = show->instance->env->monotonic_us(show->instance->env);
    look_for_stuck(show, now_us);
    if (final || now_us - show->said_last.us >= SECOND_US) {
        say_epochs(show, now_us);
    }
    if (show->terminal && !final) {
        draw_progress(show, now_us);
    } else if (show->drawn && final) {
        fprintf(stderr, "\r\033[K");
    }
    if (show->stats && (final || now_us - show->stats_last.us >= SECOND_US)) {
        write_stats(show, now_us, final);
    }
}

/* ---- The file of --stats --------------------------------------------------------------------- */

static bool is_file(const char *path, const struct stat *info)
{
    struct stat other;
    return path && stat(path, &other) == 0 && other.st_dev == info->st_dev &&
           other.st_ino == info->st_ino;
}

/* An input or output of this run, as far as that is a file; the store is never empty. */
static bool is_in_use(const struct wr_instance *instance, const struct stat *info)
{
    for (size_t i = 0; i < instance->job->node_count; i++) {
        const struct wr_node *node = instance->job->nodes[i];
        if (node->endpoint.scheme == WR_SCHEME_FILE && is_file(node->endpoint.path, info)) {
            return true;
        }
    }
    for (size_t i = 0; i < instance->part_count; i++) {
        const char *part = instance->parts[i].at->part;
        if (part[0] == '/' && is_file(part, info)) {
            return true;
        }
    }
    return false;
}

/* The file is begun anew, so it is one that nobody misses: a new one, or one of statistics. */
static weir_status check_stats(const struct wr_instance *instance, const char *path,
                               struct wr_error *error)
{
    struct stat info;
    char begin[sizeof stats_begin] = "";
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
        return WEIR_OK; /* opening it says what is wrong */
    }
    if (info.st_size > 0) {
        FILE *file = fopen(path, "re");
        if (!file) {
            return wr_fail_errno(error, "cannot open %s for --stats", path);
        }
        size_t size = fread(begin, 1, sizeof begin - 1, file);
        fclose(file);
        begin[size] = '\0';
    }
    if (info.st_size > 0 ? strcmp(begin, stats_begin) == 0 : !is_in_use(instance, &info)) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                   "--stats: %.1000s is no file of statistics, and is not overwritten; name "
                   "another one, or remove it first",
                   path);
}

weir_status wr_show_open(struct wr_show *show, struct wr_instance *instance, struct wr_env *env,
                         const struct wr_run_options *options, struct wr_error *error)
{
    *show = (struct wr_show){.instance = instance,
                             .terminal = options->verbosity >= 0 && isatty(STDERR_FILENO)};
    show->stats_last.us = show->drawn_last.us = show->said_last.us = env->monotonic_us(env);
    if (!options->stats) {
        return WEIR_OK;
    }
    if (strcmp(options->stats, "-") == 0) {
        show->stats = stdout;
        return WEIR_OK;
    }
    WR_TRY(check_stats(instance, options->stats, error));
    show->stats = fopen(options->stats, "we");
    if (!show->stats) {
        return wr_fail_errno(error, "cannot open %s for --stats", options->stats);
    }
    return WEIR_OK;
}

weir_status wr_show_close(struct wr_show *show, const struct wr_run_options *options,
                          struct wr_error *error)
{
    if (!show->stats || show->stats == stdout) {
        return WEIR_OK;
    }
    bool failed = ferror(show->stats) != 0;
    if ((fclose(show->stats) != 0 || failed) && error->status == WEIR_OK) {
        return wr_fail_errno(error, "cannot write %s, for --stats", options->stats);
    }
    return WEIR_OK;
}

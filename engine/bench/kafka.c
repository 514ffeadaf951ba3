/* kafka.c: the broker that a bench runs with. See kafka.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* pipe2 */
#include "engine/bench/kafka.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_MAX = 4096 };

/* ---- The script ------------------------------------------------------------------------------ */

_Noreturn static void be_script(const struct wr_bench_kafka *kafka, const char *verb, int fd)
{
    char *const up[] = {(char *)kafka->script, (char *)verb, (char *)kafka->folder, "0", NULL};
    char *const other[] = {(char *)kafka->script, (char *)verb, (char *)kafka->folder, NULL};
    wr_bench_heed(true);
    dup2(fd, STDOUT_FILENO);
    execv(kafka->script, strcmp(verb, "up") == 0 ? up : other);
    fprintf(stderr, "weir: cannot run %s: %s\n", kafka->script, strerror(errno));
    _exit(127);
}

/* Runs it to its end; what it wrote to its standard output, cut. What went wrong it says itself, on
 * standard error. */
static weir_status run_script(const struct wr_bench_kafka *kafka, const char *verb, char *said,
                              size_t size, struct wr_error *error)
{
    int ends[2], status = 0;
    size_t got = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return wr_fail_errno(error, "cannot make a pipe for %s", kafka->script);
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        be_script(kafka, verb, ends[1]);
    }
    close(ends[1]);
    ssize_t more = pid < 0 ? 0 : 1;
    while (more > 0 && got < size - 1) {
        more = read(ends[0], said + got, size - 1 - got);
        got += more > 0 ? (size_t)more : 0;
    }
    said[got] = '\0';
    close(ends[0]);
    if (pid < 0) {
        return wr_fail_errno(error, "cannot start a process for %s", kafka->script);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                       "%s %s %s failed with exit code %d; see what it says above", kafka->script,
                       verb, kafka->folder, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    }
    return WEIR_OK;
}

static weir_status start_broker(struct wr_bench_kafka *kafka, struct wr_error *error)
{
    char said[SAID_MAX];
    if (access(kafka->script, X_OK) != 0) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_NO_INPUT,
                       "--kafka is %s, which is no program that can be run: %s; it takes "
                       "HOST:PORT of a broker, or a script that starts one (tests/kafka/broker)",
                       kafka->script, strerror(errno));
    }
    WR_TRY(run_script(kafka, "up", said, sizeof said, error));
    said[strcspn(said, " \r\n")] = '\0';
    if (!strchr(said, ':') || strlen(said) >= sizeof kafka->brokers) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                       "%s up said \"%.100s\" where HOST:PORT of the broker was expected",
                       kafka->script, said);
    }
    memcpy(kafka->brokers, said, strlen(said) + 1);
    return WEIR_OK;
}

weir_status wr_bench_kafka_end(struct wr_bench *bench, struct wr_error *error)
{
    char said[SAID_MAX];
    return run_script(bench->kafka, "kill", said, sizeof said, error);
}

weir_status wr_bench_kafka_again(struct wr_bench *bench, struct wr_error *error)
{
    char said[SAID_MAX];
    return run_script(bench->kafka, "start", said, sizeof said, error);
}

/* ---- Open, close ----------------------------------------------------------------------------- */

static weir_status look(void *data, void *result, struct wr_error *error)
{
    struct wr_bench *bench = data;
    const struct wr_bench_setting none[] = {{NULL, NULL}};
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_t *client = NULL;
    (void)result;
    WR_TRY(wr_bench_client(bench, RD_KAFKA_PRODUCER, none, &client, error));
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, NULL, &metadata, WR_BENCH_WAIT_MS);
    if (code) {
        wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                "no Kafka broker answers at %s within %d s: %s; start it, or give --kafka a script "
                "that does (tests/kafka/broker)",
                bench->kafka->brokers, WR_BENCH_WAIT_MS / 1000, rd_kafka_err2str(code));
    } else {
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_destroy(client);
    return error->status;
}

weir_status wr_bench_kafka_open(struct wr_bench *bench, const char *where,
                                struct wr_bench_kafka *kafka_out, struct wr_error *error)
{
    struct wr_bench_kafka *kafka = kafka_out;
    *kafka = (struct wr_bench_kafka){.name = (uint32_t)bench->env->random(bench->env)};
    bench->kafka = kafka;
    if (strchr(where, '/')) {
        if (strlen(where) >= sizeof kafka->script) {
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "the path of --kafka is too long");
        }
        snprintf(kafka->script, sizeof kafka->script, "%s", where);
        snprintf(kafka->folder, sizeof kafka->folder, "%s/broker", bench->folder);
        WR_TRY(start_broker(kafka, error));
    } else {
        snprintf(kafka->brokers, sizeof kafka->brokers, "%s", where);
    }
    return wr_bench_apart(look, bench, NULL, 0, error);
}

void wr_bench_kafka_close(struct wr_bench *bench)
{
    struct wr_bench_kafka *kafka = bench->kafka;
    if (!kafka) {
        return;
    }
    if (kafka->input[0] && !kafka->script[0]) {
        wr_bench_topic_remove(bench, kafka->input);
    }
    if (kafka->script[0] && kafka->brokers[0]) {
        struct wr_error error = {.status = WEIR_OK};
        char said[SAID_MAX];
        if (run_script(kafka, "down", said, sizeof said, &error) != WEIR_OK) {
            wr_log(bench->env, WR_LOG_WARN, "%s", error.text);
        }
    }
    bench->kafka = NULL;
}

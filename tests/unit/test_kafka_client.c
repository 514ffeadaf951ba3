/* test_kafka_client.c: clients of Kafka as sources and sinks get them: their settings, what users
 * set, and what is said when no broker is there.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "txn/base/error.h"
#include "txn/kafka_client.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { WAIT_MS = 60000 };

struct world {
    struct wr_env env;
    pthread_mutex_t lock;
    char lines[8192]; /* of log */
    char brokers[64]; /* at a port where nobody listens */
    struct wr_kafka_link link;
    struct wr_kafka_client_options options;
};

static void collect(struct wr_env *env, enum wr_level level, const char *text)
{
    struct world *world = env->data;
    (void)level;
    pthread_mutex_lock(&world->lock);
    size_t used = strlen(world->lines);
    snprintf(world->lines + used, sizeof world->lines - used, "%s\n", text);
    pthread_mutex_unlock(&world->lock);
}

static bool said(struct world *world, const char *text)
{
    pthread_mutex_lock(&world->lock);
    bool found = strstr(world->lines, text) != NULL;
    pthread_mutex_unlock(&world->lock);
    return found;
}

/* A port that is bound, so that nobody else takes it, and not listened to. */
static int dead_port(char *brokers, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(brokers, size, "127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

static void open_world(struct world *world, enum wr_kafka_role role, const char *id)
{
    memset(world, 0, sizeof *world);
    pthread_mutex_init(&world->lock, NULL);
    wr_env_init(&world->env);
    world->env.log = collect;
    world->env.data = world;
    snprintf(world->brokers, sizeof world->brokers, "127.0.0.1:1");
    world->link = (struct wr_kafka_link){
        .env = &world->env, .what = "source lines", .brokers = world->brokers};
    world->options = (struct wr_kafka_client_options){.role = role,
                                                      .endpoint = "lines",
                                                      .brokers = world->brokers,
                                                      .id = id,
                                                      .link = &world->link};
}

static void check_setting(rd_kafka_t *client, const char *name, const char *expected)
{
    char value[256] = "";
    size_t size = sizeof value;
    assert_int_equal(rd_kafka_conf_get(rd_kafka_conf(client), name, value, &size),
                     RD_KAFKA_CONF_OK);
    if (strcmp(value, expected) != 0) {
        fail_msg("%s is %s, not %s", name, value, expected);
    }
}

/* ---- Settings -------------------------------------------------------------------------------- */

/* Each role has what its part of the protocol must have. */
static void each_role_has_its_settings(void **state)
{
    (void)state;
    static const struct {
        enum wr_kafka_role role;
        const char *id, *name, *value;
    } cases[] = {
        {WR_KAFKA_CONSUMER, "weir.job", "group.id", "weir.job"},
        {WR_KAFKA_CONSUMER, NULL, "group.id", "weir"},
        {WR_KAFKA_CONSUMER, NULL, "client.id", "weir"},
        {WR_KAFKA_CONSUMER, NULL, "isolation.level", "read_committed"},
        {WR_KAFKA_CONSUMER, NULL, "enable.auto.commit", "false"},
        {WR_KAFKA_CONSUMER, NULL, "enable.auto.offset.store", "false"},
        {WR_KAFKA_CONSUMER, NULL, "enable.partition.eof", "true"},
        {WR_KAFKA_MARKERS, "weir.s.out", "group.id", "weir.s.out"},
        {WR_KAFKA_MARKERS, "weir.s.out", "isolation.level", "read_committed"},
        {WR_KAFKA_TRANSACTIONS, "weir.s", "transactional.id", "weir.s"},
        {WR_KAFKA_TRANSACTIONS, "weir.s", "transaction.timeout.ms", "60000"},
        {WR_KAFKA_TRANSACTIONS, "weir.s", "enable.idempotence", "true"},
        {WR_KAFKA_TRANSACTIONS, "weir.s", "max.in.flight", "5"},
        {WR_KAFKA_TRANSACTIONS, "weir.s", "retry.backoff.ms", "10"},
        {WR_KAFKA_DIRECT, NULL, "enable.idempotence", "true"},
        {WR_KAFKA_DIRECT, NULL, "socket.nagle.disable", "true"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world world;
        struct wr_error error = {.status = WEIR_OK};
        rd_kafka_t *client = NULL;
        open_world(&world, cases[i].role, cases[i].id);
        assert_int_equal(wr_kafka_client_new(&world.options, &client, &error), WEIR_OK);
        check_setting(client, cases[i].name, cases[i].value);
        wr_kafka_client_free(client);
    }
}

/* What users set comes over weir's choices, an endpoint's own over what is for all, and a later one
 * over an earlier one; another endpoint's does not count. */
static void users_properties_are_set(void **state)
{
    (void)state;
    struct wr_kafka_properties properties = {NULL, 0, 0};
    struct wr_error error = {.status = WEIR_OK};
    static const char *const texts[] = {"lines:client.id=own",         "client.id=all",
                                        "other:client.id=others",      "retry.backoff.ms=33",
                                        "retry.backoff.ms=44",         "other:linger.ms=55",
                                        "lines:compression.codec=zstd"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(wr_kafka_properties_add(&properties, texts[i], &error), WEIR_OK);
    }
    struct world world;
    rd_kafka_t *client = NULL;
    open_world(&world, WR_KAFKA_DIRECT, NULL);
    world.options.properties = &properties;

    assert_int_equal(wr_kafka_client_new(&world.options, &client, &error), WEIR_OK);
    check_setting(client, "client.id", "own");
    check_setting(client, "retry.backoff.ms", "44");
    check_setting(client, "linger.ms", "5");
    check_setting(client, "compression.codec", "zstd");
    wr_kafka_client_free(client);

    world.options.endpoint = NULL;
    assert_int_equal(wr_kafka_client_new(&world.options, &client, &error), WEIR_OK);
    check_setting(client, "client.id", "all");
    check_setting(client, "compression.codec", "none");
    wr_kafka_client_free(client);
    wr_kafka_client_free(NULL);
    wr_kafka_properties_fini(&properties);
}

/* Properties that are right alone and wrong together, or name a file that is not there, are
 * refused when the client is made, without their values. */
static void properties_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *texts[3];
        enum wr_exit exit_code;
    } cases[] = {
        {{"fetch.max.bytes=2000000", "receive.message.max.bytes=1000"}, WR_EXIT_CONFIG},
        {{"security.protocol=ssl", "ssl.ca.location=/no/such/hunter2"}, WR_EXIT_NO_INPUT},
        {{"security.protocol=ssl", "ssl.key.location=/etc/hostname"}, WR_EXIT_CONFIG},
        {{"security.protocol=ssl", "ssl.ca.pem=hunter2"}, WR_EXIT_CONFIG},
        {{"security.protocol=sasl_plaintext", "sasl.mechanism=ROT13"}, WR_EXIT_CONFIG},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world world;
        struct wr_kafka_properties properties = {NULL, 0, 0};
        struct wr_error error = {.status = WEIR_OK};
        rd_kafka_t *client = NULL;
        open_world(&world, WR_KAFKA_CONSUMER, NULL);
        world.options.properties = &properties;
        for (size_t j = 0; cases[i].texts[j]; j++) {
            assert_int_equal(wr_kafka_properties_add(&properties, cases[i].texts[j], &error),
                             WEIR_OK);
        }

        weir_status status = wr_kafka_client_new(&world.options, &client, &error);

        assert_int_not_equal(status, WEIR_OK);
        if (error.exit_code != cases[i].exit_code || !strstr(error.text, "source lines: ") ||
            strstr(error.text, "hunter2")) {
            fail_msg("%s: %d: %s", cases[i].texts[1], error.exit_code, error.text);
        }
        wr_kafka_properties_fini(&properties);
    }
}

/* ---- No broker ------------------------------------------------------------------------------- */

/* Where nobody listens one line says so, with the cause, however long it goes on; librdkafka's own
 * lines come with -v. */
static void a_broker_that_is_not_there_is_said_once(void **state)
{
    (void)state;
    static const enum wr_kafka_role roles[] = {WR_KAFKA_CONSUMER, WR_KAFKA_TRANSACTIONS};
    for (size_t i = 0; i < COUNT(roles); i++) {
        struct world world;
        struct wr_error error = {.status = WEIR_OK};
        rd_kafka_t *client = NULL;
        char expected[256];
        open_world(&world, roles[i], "weir.s");
        int fd = dead_port(world.brokers, sizeof world.brokers);
        world.env.level = i == 0 ? WR_LOG_NOTICE : WR_LOG_DEBUG;
        assert_int_equal(wr_kafka_client_new(&world.options, &client, &error), WEIR_OK);

        snprintf(expected, sizeof expected,
                 "source lines: no broker of %s can be reached (Connection refused); it is tried "
                 "again until one answers\n",
                 world.brokers);
        for (int ms = 0; ms < WAIT_MS && !said(&world, expected); ms += 20) {
            rd_kafka_message_t *message = i == 0 ? rd_kafka_consumer_poll(client, 20) : NULL;
            if (message) {
                rd_kafka_message_destroy(message);
            } else if (i > 0) {
                rd_kafka_poll(client, 20);
            }
        }
        assert_true(said(&world, expected));
        assert_true(atomic_load(&world.link.down));
        assert_string_equal(world.link.cause, "Connection refused");
        wr_kafka_link_check(client); /* says nothing more */
        if (i == 0) {
            assert_string_equal(world.lines, expected);
        } else {
            assert_true(said(&world, "source lines: librdkafka: FAIL: "));
            assert_null(strstr(strstr(world.lines, "can be reached") + 1, "can be reached"));
        }
        wr_kafka_client_free(client);
        close(fd);
    }
}

/* A topic cannot be looked up there; the text says where it was tried and why it failed. */
static void a_look_up_ends_in_time(void **state)
{
    (void)state;
    struct world world;
    struct wr_error error = {.status = WEIR_OK};
    rd_kafka_t *client = NULL;
    int32_t partitions = 7;
    open_world(&world, WR_KAFKA_MARKERS, "weir.s");
    int fd = dead_port(world.brokers, sizeof world.brokers);
    assert_int_equal(wr_kafka_client_new(&world.options, &client, &error), WEIR_OK);

    weir_status status =
        wr_kafka_topic(client, &world.link, "t", 500, &partitions, NULL, 0, &error);

    assert_int_equal(status, WEIR_RETRY);
    assert_int_equal(error.exit_code, WR_EXIT_UNAVAILABLE);
    assert_int_equal(partitions, 7);
    assert_non_null(strstr(error.text, "source lines: cannot look up topic t: no broker of "));
    assert_non_null(strstr(error.text, "within 500 ms: Connection refused ("));
    assert_true(said(&world, "it is tried again until one answers"));
    wr_kafka_client_free(client);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_has_its_settings),
        cmocka_unit_test(users_properties_are_set),
        cmocka_unit_test(properties_that_do_not_fit_are_refused),
        cmocka_unit_test(a_broker_that_is_not_there_is_said_once),
        cmocka_unit_test(a_look_up_ends_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

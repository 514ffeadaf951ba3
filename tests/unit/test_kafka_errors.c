/* test_kafka_errors.c: what librdkafka makes of each error that a broker may give in a transaction,
 * and what weir does then: the same call again, the transaction aborted and its records again, or
 * another client. The errors are those of librdkafka's own tests of transactions, given by its mock
 * cluster, which knows nothing of transactions beyond the answers: what is in the topic afterwards
 * is asked of a real broker. Long because the table of errors is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "txn/base/error.h"
#include "txn/kafka_client.h"

#include <librdkafka/rdkafka_mock.h> /* wants rdkafka.h before it */

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { CALL_MS = 60000, SHORT_MS = 500, CODES_MAX = 6, THREADS = 24, ROUNDS_MAX = 3 };

/* Kafka's numbers of requests. */
enum {
    PRODUCE = 0,
    FIND_COORDINATOR = 10,
    INIT_PRODUCER_ID = 22,
    ADD_PARTITIONS = 24,
    ADD_OFFSETS = 25,
    END_TXN = 26,
    TXN_OFFSETS = 28,
};

struct world {
    struct wr_env env;
    pthread_mutex_t lock;
    char lines[4096]; /* of log */
    rd_kafka_t *maker;
    rd_kafka_mock_cluster_t *cluster;
    struct wr_kafka_link link;
    rd_kafka_t *client;
    int delivered, failed, call_ms;
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

static void count(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct world *world = opaque;
    (void)client;
    world->delivered += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    world->failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void open_client(struct world *world, enum wr_kafka_role role,
                        const struct wr_kafka_properties *properties)
{
    struct wr_error error = {.status = WEIR_OK};
    struct wr_kafka_client_options options = {
        .role = role,
        .brokers = world->link.brokers,
        .id = "weir.test",
        .properties = properties,
        .link = &world->link,
        .delivered = count,
        .opaque = world,
    };
    if (wr_kafka_client_new(&options, &world->client, &error) != WEIR_OK) {
        fail_msg("%s", error.text);
    }
}

static void open_world(struct world *world, enum wr_kafka_role role,
                       const struct wr_kafka_properties *properties)
{
    char text[256];
    struct wr_error error = {.status = WEIR_OK};
    memset(world, 0, sizeof *world);
    world->call_ms = CALL_MS;
    pthread_mutex_init(&world->lock, NULL);
    wr_env_init(&world->env);
    world->env.log = collect;
    world->env.data = world;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    world->maker = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(world->maker);
    world->cluster = rd_kafka_mock_cluster_new(world->maker, 1);
    assert_non_null(world->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(world->cluster, "t", 2, 1), 0);
    world->link = (struct wr_kafka_link){
        .env = &world->env,
        .what = "sink out",
        .brokers = rd_kafka_mock_cluster_bootstraps(world->cluster),
    };
    open_client(world, role, properties);
    int32_t partitions = 0; /* a first record would wait for it */
    assert_int_equal(
        wr_kafka_topic(world->client, &world->link, "t", CALL_MS, &partitions, NULL, 0, &error),
        WEIR_OK);
}

static void close_world(struct world *world)
{
    wr_kafka_client_free(world->client);
    rd_kafka_mock_cluster_destroy(world->cluster);
    rd_kafka_destroy(world->maker);
    pthread_mutex_destroy(&world->lock);
}

/* ---- The calls of a transaction -------------------------------------------------------------- */

enum step { INIT, BEGIN, SEND, OFFSETS, END, ABORT, STEPS };
static const char *const step_names[] = {"init", "begin", "send", "offsets", "end", "abort"};
static rd_kafka_error_t *send_offsets(rd_kafka_t *client, int call_ms)
{
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new("weir.g");
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, "t", 0)->offset = 7;
    rd_kafka_error_t *cause = rd_kafka_send_offsets_to_transaction(client, offsets, group, call_ms);
    rd_kafka_topic_partition_list_destroy(offsets);
    rd_kafka_consumer_group_metadata_destroy(group);
    return cause;
}

static weir_status take(struct world *world, enum step step, struct wr_error *error)
{
    rd_kafka_error_t *cause = NULL;
    wr_error_clear(error);
    switch (step) {
    case INIT:
        cause = rd_kafka_init_transactions(world->client, world->call_ms);
        break;
    case BEGIN:
        cause = rd_kafka_begin_transaction(world->client);
        break;
    case SEND:
        for (int i = 0; i < 4; i++) {
            rd_kafka_resp_err_t refused =
                rd_kafka_producev(world->client, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_PARTITION(i % 2),
                                  RD_KAFKA_V_VALUE("value", 5),
                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
            if (refused && refused != RD_KAFKA_RESP_ERR__STATE) { /* the next call says why */
                return wr_kafka_fail(error, refused, "cannot send");
            }
        }
        rd_kafka_flush(world->client, world->call_ms);
        return WEIR_OK;
    case OFFSETS:
        cause = send_offsets(world->client, world->call_ms);
        break;
    case END:
        cause = rd_kafka_commit_transaction(world->client, world->call_ms);
        break;
    case ABORT:
    case STEPS:
        cause = rd_kafka_abort_transaction(world->client, world->call_ms);
        break;
    }
    return cause ? wr_kafka_fail_error(error, cause, "cannot %s", step_names[step]) : WEIR_OK;
}

/* Takes steps from `from` on up to `to`; the first that fails ends it. */
static weir_status walk(struct world *world, enum step from, enum step to, enum step *at_out,
                        struct wr_error *error)
{
    for (enum step at = from; at <= to; at++) {
        weir_status status = take(world, at, error);
        if (status != WEIR_OK) {
            *at_out = at;
            return status;
        }
    }
    *at_out = STEPS;
    return WEIR_OK;
}

/* ---- Errors in a transaction ----------------------------------------------------------------- */

struct outcome {
    enum step at;
    struct wr_error error;
    weir_status ended; /* after what was aborted, and its records sent again */
};

#define E(name) RD_KAFKA_RESP_ERR_##name

static const struct {
    int16_t api;
    rd_kafka_resp_err_t codes[CODES_MAX]; /* one answer each; ends with 0 */
    enum step at; /* which call gives the error; STEPS: none does */
    weir_status status;
    enum wr_exit exit_code;
} cases[] = {
    /* librdkafka makes the call again by itself */
    {INIT_PRODUCER_ID,
     {E(COORDINATOR_NOT_AVAILABLE), E(COORDINATOR_LOAD_IN_PROGRESS), E(NOT_COORDINATOR)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {INIT_PRODUCER_ID,
     {E(CONCURRENT_TRANSACTIONS), E(CONCURRENT_TRANSACTIONS)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {INIT_PRODUCER_ID, {E(_TRANSPORT), E(_TRANSPORT)}, STEPS, WEIR_OK, WR_EXIT_OK},
    {ADD_PARTITIONS,
     {E(COORDINATOR_NOT_AVAILABLE), E(COORDINATOR_LOAD_IN_PROGRESS), E(NOT_COORDINATOR)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {ADD_PARTITIONS,
     {E(CONCURRENT_TRANSACTIONS), E(CONCURRENT_TRANSACTIONS)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {ADD_PARTITIONS, {E(_TRANSPORT), E(_TRANSPORT)}, STEPS, WEIR_OK, WR_EXIT_OK},
    {ADD_OFFSETS,
     {E(COORDINATOR_NOT_AVAILABLE), E(COORDINATOR_LOAD_IN_PROGRESS), E(NOT_COORDINATOR)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {ADD_OFFSETS,
     {E(CONCURRENT_TRANSACTIONS), E(CONCURRENT_TRANSACTIONS)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {ADD_OFFSETS, {E(_TRANSPORT), E(_TRANSPORT)}, STEPS, WEIR_OK, WR_EXIT_OK},
    {TXN_OFFSETS,
     {E(COORDINATOR_NOT_AVAILABLE), E(COORDINATOR_LOAD_IN_PROGRESS), E(NOT_COORDINATOR)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {TXN_OFFSETS,
     {E(CONCURRENT_TRANSACTIONS), E(CONCURRENT_TRANSACTIONS)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {TXN_OFFSETS, {E(_TRANSPORT), E(_TRANSPORT)}, STEPS, WEIR_OK, WR_EXIT_OK},
    {END_TXN,
     {E(COORDINATOR_NOT_AVAILABLE), E(COORDINATOR_LOAD_IN_PROGRESS), E(NOT_COORDINATOR)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {END_TXN, {E(CONCURRENT_TRANSACTIONS), E(CONCURRENT_TRANSACTIONS)}, STEPS, WEIR_OK, WR_EXIT_OK},
    {END_TXN, {E(_TRANSPORT), E(_TRANSPORT)}, STEPS, WEIR_OK, WR_EXIT_OK},
    {FIND_COORDINATOR, {E(COORDINATOR_NOT_AVAILABLE), E(_TRANSPORT)}, STEPS, WEIR_OK, WR_EXIT_OK},
    {PRODUCE, {E(_TRANSPORT), E(_TRANSPORT)}, STEPS, WEIR_OK, WR_EXIT_OK},
    {PRODUCE,
     {E(NOT_LEADER_FOR_PARTITION), E(LEADER_NOT_AVAILABLE), E(REQUEST_TIMED_OUT)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {PRODUCE,
     {E(NOT_ENOUGH_REPLICAS), E(NOT_ENOUGH_REPLICAS_AFTER_APPEND)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    {PRODUCE, {E(UNKNOWN_TOPIC_OR_PART)}, STEPS, WEIR_OK, WR_EXIT_OK},
    {ADD_PARTITIONS,
     {E(UNKNOWN_TOPIC_OR_PART), E(UNKNOWN_TOPIC_OR_PART)},
     STEPS,
     WEIR_OK,
     WR_EXIT_OK},
    /* the transaction is lost, the producer is not */
    {PRODUCE, {E(UNKNOWN_PRODUCER_ID)}, OFFSETS, WEIR_ABORT, WR_EXIT_UNAVAILABLE},
    {ADD_PARTITIONS, {E(UNKNOWN_PRODUCER_ID)}, OFFSETS, WEIR_ABORT, WR_EXIT_UNAVAILABLE},
    {END_TXN, {E(UNKNOWN_PRODUCER_ID)}, END, WEIR_ABORT, WR_EXIT_UNAVAILABLE},
    {PRODUCE, {E(INVALID_PRODUCER_ID_MAPPING)}, OFFSETS, WEIR_ABORT, WR_EXIT_UNAVAILABLE},
    {ADD_PARTITIONS, {E(INVALID_PRODUCER_ID_MAPPING)}, OFFSETS, WEIR_ABORT, WR_EXIT_UNAVAILABLE},
    {END_TXN, {E(INVALID_PRODUCER_ID_MAPPING)}, END, WEIR_ABORT, WR_EXIT_UNAVAILABLE},
    {ADD_OFFSETS, {E(INVALID_PRODUCER_ID_MAPPING)}, OFFSETS, WEIR_ABORT, WR_EXIT_UNAVAILABLE},
    {TXN_OFFSETS, {E(UNKNOWN_MEMBER_ID)}, OFFSETS, WEIR_ABORT, WR_EXIT_UNAVAILABLE},
    {TXN_OFFSETS, {E(ILLEGAL_GENERATION)}, OFFSETS, WEIR_ABORT, WR_EXIT_UNAVAILABLE},
    {END_TXN, {E(INVALID_MSG_SIZE)}, END, WEIR_ABORT, WR_EXIT_UNAVAILABLE},
    /* the producer is lost: another one */
    {PRODUCE, {E(OUT_OF_ORDER_SEQUENCE_NUMBER)}, OFFSETS, WEIR_FATAL, WR_EXIT_UNAVAILABLE},
    {ADD_PARTITIONS, {E(INVALID_TXN_STATE)}, OFFSETS, WEIR_FATAL, WR_EXIT_UNAVAILABLE},
    {ADD_OFFSETS, {E(INVALID_TXN_STATE)}, OFFSETS, WEIR_FATAL, WR_EXIT_UNAVAILABLE},
    {END_TXN, {E(INVALID_TXN_STATE)}, END, WEIR_FATAL, WR_EXIT_UNAVAILABLE},
    {TXN_OFFSETS, {E(INVALID_PRODUCER_ID_MAPPING)}, OFFSETS, WEIR_FATAL, WR_EXIT_UNAVAILABLE},
    /* another producer took over, or the transaction ran out of time */
    {INIT_PRODUCER_ID, {E(PRODUCER_FENCED)}, INIT, WEIR_FATAL, WR_EXIT_CONFIG},
    {INIT_PRODUCER_ID, {E(INVALID_PRODUCER_EPOCH)}, INIT, WEIR_FATAL, WR_EXIT_CONFIG},
    {PRODUCE, {E(PRODUCER_FENCED)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    {PRODUCE, {E(INVALID_PRODUCER_EPOCH)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    {ADD_PARTITIONS, {E(PRODUCER_FENCED)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    {ADD_PARTITIONS, {E(INVALID_PRODUCER_EPOCH)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    {ADD_OFFSETS, {E(PRODUCER_FENCED)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    {ADD_OFFSETS, {E(INVALID_PRODUCER_EPOCH)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    {TXN_OFFSETS, {E(PRODUCER_FENCED)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    {TXN_OFFSETS, {E(INVALID_PRODUCER_EPOCH)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    {END_TXN, {E(PRODUCER_FENCED)}, END, WEIR_FATAL, WR_EXIT_CONFIG},
    {END_TXN, {E(INVALID_PRODUCER_EPOCH)}, END, WEIR_FATAL, WR_EXIT_CONFIG},
    {TXN_OFFSETS, {E(FENCED_INSTANCE_ID)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    /* only a person can help */
    {INIT_PRODUCER_ID, {E(CLUSTER_AUTHORIZATION_FAILED)}, INIT, WEIR_FATAL, WR_EXIT_PERMISSION},
    {ADD_PARTITIONS, {E(CLUSTER_AUTHORIZATION_FAILED)}, OFFSETS, WEIR_FATAL, WR_EXIT_PERMISSION},
    {INIT_PRODUCER_ID,
     {E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)},
     INIT,
     WEIR_FATAL,
     WR_EXIT_PERMISSION},
    {ADD_PARTITIONS,
     {E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)},
     OFFSETS,
     WEIR_FATAL,
     WR_EXIT_PERMISSION},
    {FIND_COORDINATOR,
     {E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)},
     INIT,
     WEIR_FATAL,
     WR_EXIT_PERMISSION},
    {ADD_OFFSETS,
     {E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)},
     OFFSETS,
     WEIR_FATAL,
     WR_EXIT_PERMISSION},
    {ADD_OFFSETS, {E(GROUP_AUTHORIZATION_FAILED)}, OFFSETS, WEIR_FATAL, WR_EXIT_PERMISSION},
    {TXN_OFFSETS,
     {E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)},
     OFFSETS,
     WEIR_FATAL,
     WR_EXIT_PERMISSION},
    {TXN_OFFSETS, {E(GROUP_AUTHORIZATION_FAILED)}, OFFSETS, WEIR_FATAL, WR_EXIT_PERMISSION},
    {END_TXN, {E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)}, END, WEIR_FATAL, WR_EXIT_PERMISSION},
    {PRODUCE, {E(TOPIC_AUTHORIZATION_FAILED)}, OFFSETS, WEIR_FATAL, WR_EXIT_PERMISSION},
    {ADD_PARTITIONS, {E(TOPIC_AUTHORIZATION_FAILED)}, OFFSETS, WEIR_FATAL, WR_EXIT_PERMISSION},
    {TXN_OFFSETS, {E(TOPIC_AUTHORIZATION_FAILED)}, OFFSETS, WEIR_FATAL, WR_EXIT_PERMISSION},
    {PRODUCE, {E(CLUSTER_AUTHORIZATION_FAILED)}, OFFSETS, WEIR_FATAL, WR_EXIT_PERMISSION},
    {PRODUCE, {E(MSG_SIZE_TOO_LARGE)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    {PRODUCE, {E(INVALID_RECORD)}, OFFSETS, WEIR_FATAL, WR_EXIT_CONFIG},
    {INIT_PRODUCER_ID, {E(INVALID_TRANSACTION_TIMEOUT)}, INIT, WEIR_FATAL, WR_EXIT_CONFIG},
};

static void fail_case(size_t i, const struct outcome *outcome)
{
    fail_msg("case %zu (request %d, %s) ended at %s with status %d, exit code %d: %s", i,
             cases[i].api, rd_kafka_err2name(cases[i].codes[0]),
             outcome->at == STEPS ? "no call" : step_names[outcome->at], outcome->error.status,
             outcome->error.exit_code, outcome->error.text);
}

/* One case in a world of its own. What asks for an abort is aborted, and passes then, or the time
 * after: where a partition's first batch was refused, the next ones have skipped numbers. */
static void try_case(size_t i, struct outcome *outcome)
{
    struct world world;
    size_t count_of = 0;
    open_world(&world, WR_KAFKA_TRANSACTIONS, NULL);
    while (count_of < CODES_MAX && cases[i].codes[count_of]) {
        count_of++;
    }
    rd_kafka_mock_push_request_errors_array(world.cluster, cases[i].api, count_of, cases[i].codes);
    outcome->ended = walk(&world, INIT, END, &outcome->at, &outcome->error);
    for (int round = 0; round < ROUNDS_MAX && outcome->ended == WEIR_ABORT; round++) {
        enum step at;
        struct wr_error error = {.status = WEIR_OK};
        outcome->ended = take(&world, ABORT, &error);
        if (outcome->ended == WEIR_OK) {
            outcome->ended = walk(&world, BEGIN, END, &at, &error);
        }
    }
    close_world(&world);
}

struct share { /* of the cases, each thread's own */
    size_t first;
    struct outcome *outcomes;
};

static void *try_share(void *argument)
{
    struct share *share = argument;
    for (size_t i = share->first; i < COUNT(cases); i += THREADS) {
        try_case(i, &share->outcomes[i]);
    }
    return NULL;
}

/* Each error asks for what the table says, and the text has the advice. The cases wait for most of
 * their time, so several run at once. */
static void each_error_asks_for_one_of_three(void **state)
{
    (void)state;
    struct outcome *outcomes = calloc(COUNT(cases), sizeof *outcomes);
    struct share shares[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        shares[i] = (struct share){i, outcomes};
        assert_int_equal(pthread_create(&threads[i], NULL, try_share, &shares[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct outcome *outcome = &outcomes[i];
        weir_status status = outcome->error.status;
        if (outcome->at != cases[i].at || status != cases[i].status ||
            (status != WEIR_OK && outcome->error.exit_code != cases[i].exit_code) ||
            (status == WEIR_ABORT && outcome->ended != WEIR_OK)) {
            fail_case(i, outcome);
        }
    }
    free(outcomes);
}

/* ---- Calls that time out --------------------------------------------------------------------- */

/* A call whose answer comes too late asks for the same call again, and that one ends it. */
static void late_answers_ask_for_the_same_call(void **state)
{
    (void)state;
    static const enum step late[] = {INIT, OFFSETS, END, ABORT};
    for (size_t i = 0; i < COUNT(late); i++) {
        struct world world;
        struct wr_error error = {.status = WEIR_OK};
        enum step at;
        open_world(&world, WR_KAFKA_TRANSACTIONS, NULL);
        if (late[i] > INIT) {
            enum step before = late[i] > OFFSETS ? OFFSETS : SEND;
            assert_int_equal(walk(&world, INIT, before, &at, &error), WEIR_OK);
        }
        rd_kafka_mock_broker_set_rtt(world.cluster, 1, 2 * SHORT_MS);

        world.call_ms = SHORT_MS;
        assert_int_equal(take(&world, late[i], &error), WEIR_RETRY);
        assert_non_null(strstr(error.text, "_TIMED_OUT"));
        world.call_ms = CALL_MS;
        rd_kafka_mock_broker_set_rtt(world.cluster, 1, 0);
        assert_int_equal(take(&world, late[i], &error), WEIR_OK);
        close_world(&world);
    }
}

/* A record that no broker took in time costs its transaction, not the producer. */
static void records_that_time_out_cost_the_transaction(void **state)
{
    (void)state;
    struct world world;
    struct wr_error error = {.status = WEIR_OK};
    enum step at;
    struct wr_kafka_property item = {NULL, (char[]){"message.timeout.ms"}, (char[]){"300"}};
    const struct wr_kafka_properties properties = {&item, 1, 1};
    open_world(&world, WR_KAFKA_TRANSACTIONS, &properties);
    assert_int_equal(walk(&world, INIT, BEGIN, &at, &error), WEIR_OK);
    rd_kafka_mock_broker_set_rtt(world.cluster, 1, 2 * SHORT_MS);

    assert_int_equal(walk(&world, SEND, END, &at, &error), WEIR_ABORT);
    assert_true(world.failed > 0);
    rd_kafka_mock_broker_set_rtt(world.cluster, 1, 0);
    do { /* on a busy machine 300 ms may be short once more */
        assert_int_equal(take(&world, ABORT, &error), WEIR_OK);
    } while (walk(&world, BEGIN, END, &at, &error) == WEIR_ABORT);
    assert_int_equal(error.status, WEIR_OK);
    close_world(&world);
}

/* Brokers from before transactions are refused at once. */
static void brokers_without_transactions_are_refused(void **state)
{
    (void)state;
    struct world world;
    struct wr_error error = {.status = WEIR_OK};
    open_world(&world, WR_KAFKA_TRANSACTIONS, NULL);
    rd_kafka_mock_set_apiversion(world.cluster, INIT_PRODUCER_ID, -1, -1);
    wr_kafka_client_free(world.client); /* it has asked what the broker can do */
    open_client(&world, WR_KAFKA_TRANSACTIONS, NULL);

    assert_int_equal(take(&world, INIT, &error), WEIR_FATAL);
    assert_int_equal(error.exit_code, WR_EXIT_CONFIG);
    close_world(&world);
}

/* ---- Codes without flags --------------------------------------------------------------------- */

/* Every code that librdkafka has becomes one of the three, with its name in the text. */
static void every_code_is_mapped(void **state)
{
    (void)state;
    const struct rd_kafka_err_desc *codes;
    size_t codes_count;
    rd_kafka_get_err_descs(&codes, &codes_count);
    assert_true(codes_count > 100);
    for (size_t i = 0; i < codes_count; i++) {
        struct wr_error error = {.status = WEIR_OK};
        if (!codes[i].desc || codes[i].code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            continue;
        }
        weir_status status = wr_kafka_fail(&error, codes[i].code, "cannot send to %s", "t");
        assert_true(status == WEIR_RETRY || status == WEIR_ABORT || status == WEIR_FATAL);
        assert_non_null(strstr(error.text, "cannot send to t: "));
        assert_non_null(strstr(error.text, rd_kafka_err2name(codes[i].code)));
        assert_true(!wr_kafka_is_fenced(codes[i].code) || status == WEIR_FATAL);
    }
}

/* ---- Topics and links ------------------------------------------------------------------------ */

/* A topic that is there has partitions and a cluster; another is a mistake of configuration. */
static void topics_are_looked_up(void **state)
{
    (void)state;
    struct world world;
    struct wr_error error = {.status = WEIR_OK};
    int32_t partitions = 0;
    char cluster[64] = "";
    open_world(&world, WR_KAFKA_MARKERS, NULL);
    assert_int_equal(wr_kafka_topic(world.client, &world.link, "t", CALL_MS, &partitions, cluster,
                                    sizeof cluster, &error),
                     WEIR_OK);
    assert_int_equal(partitions, 2);
    assert_true(strlen(cluster) > 0);

    rd_kafka_mock_topic_set_error(world.cluster, "gone", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    assert_int_equal(
        wr_kafka_topic(world.client, &world.link, "gone", CALL_MS, &partitions, NULL, 0, &error),
        WEIR_MISUSE);
    assert_non_null(strstr(error.text, "sink out: there is no topic gone at "));
    wr_error_clear(&error);
    rd_kafka_mock_topic_set_error(world.cluster, "mine",
                                  RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(
        wr_kafka_topic(world.client, &world.link, "mine", CALL_MS, &partitions, NULL, 0, &error),
        WEIR_FATAL);
    assert_int_equal(error.exit_code, WR_EXIT_PERMISSION);
    close_world(&world);
}

static bool wait_until(struct world *world, const char *text, bool down)
{
    for (int i = 0; i < CALL_MS / 20; i++) {
        rd_kafka_poll(world->client, 20);
        if (said(world, text) && atomic_load(&world->link.down) == down) {
            return true;
        }
    }
    return false;
}

/* One line when no broker answers any more, one when one does again. */
static void a_link_says_when_brokers_are_gone_and_back(void **state)
{
    (void)state;
    struct world world;
    struct wr_error error = {.status = WEIR_OK};
    int32_t partitions = 0;
    open_world(&world, WR_KAFKA_DIRECT, NULL);
    assert_false(atomic_load(&world.link.down));

    for (int round = 0; round < 2; round++) {
        world.lines[0] = '\0';
        rd_kafka_mock_broker_set_down(world.cluster, 1);
        assert_true(wait_until(&world, "it is tried again until one answers", true));
        assert_true(said(&world, "sink out: no broker of 127.0.0.1:"));
        assert_int_equal(wr_kafka_topic(world.client, &world.link, "t", SHORT_MS / 5, &partitions,
                                        NULL, 0, &error),
                         WEIR_RETRY);
        wr_error_clear(&error);
        rd_kafka_mock_broker_set_up(world.cluster, 1);
        assert_true(wait_until(&world, "answers again", false));
    }
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_asks_for_one_of_three),
        cmocka_unit_test(late_answers_ask_for_the_same_call),
        cmocka_unit_test(records_that_time_out_cost_the_transaction),
        cmocka_unit_test(brokers_without_transactions_are_refused),
        cmocka_unit_test(every_code_is_mapped),
        cmocka_unit_test(topics_are_looked_up),
        cmocka_unit_test(a_link_says_when_brokers_are_gone_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

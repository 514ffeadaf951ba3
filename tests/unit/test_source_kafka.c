/* test_source_kafka.c: a topic as a source, against librdkafka's simulated broker, which keeps what
 * is produced and gives it back: positions, undo, and what a position must say of the topic. What
 * such a broker has not (transactions, retention, deletion) is in tests/kafka/test_source.py.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/sources/source.h"
#include "txn/base/assert.h"
#include "txn/kafka_client.h"

enum { WAIT_MS = 30000, RECORDS = 3000 };

struct fixture {
    struct wr_env env;
    struct wr_arena arena;
    rd_kafka_t *producer; /* its broker goes with it */
    char brokers[64];
    struct wr_source *source;
    struct wr_source_partition *partition;
    struct wr_polled polled;
    struct wr_error error;
    char identity[300];
};

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char text[512];
    const struct rd_kafka_metadata *metadata;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof text), 0);
    f->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(f->producer);
    assert_int_equal(rd_kafka_metadata(f->producer, 0, NULL, &metadata, WAIT_MS), 0);
    snprintf(f->brokers, sizeof f->brokers, "%s:%d", metadata->brokers[0].host,
             metadata->brokers[0].port);
    rd_kafka_metadata_destroy(metadata);
    wr_env_init(&f->env);
    f->env.level = WR_LOG_ERROR;
    wr_arena_init(&f->arena, 0);
    wr_arena_init(&f->polled.arena, 1 << 20);
    *state = f;
    return 0;
}

static void close_source(struct fixture *f)
{
    if (f->source) {
        f->source->ops->close(f->source);
        f->source = NULL;
    }
}

static int end(void **state)
{
    struct fixture *f = *state;
    close_source(f);
    wr_arena_fini(&f->polled.arena);
    wr_arena_fini(&f->arena);
    rd_kafka_destroy(f->producer);
    free(f);
    return 0;
}

static void must(struct fixture *f, weir_status status)
{
    if (status != WEIR_OK) {
        fail_msg("%s", f->error.text);
    }
}

static void produce(struct fixture *f, const void *key, size_t key_size, const void *value,
                    size_t size)
{
    assert_int_equal(rd_kafka_producev(f->producer, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_PARTITION(0),
                                       RD_KAFKA_V_KEY(key, key_size),
                                       RD_KAFKA_V_VALUE((void *)(uintptr_t)value, size),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                     0);
}

static void produce_numbers(struct fixture *f, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char text[16];
        int size = snprintf(text, sizeof text, "%d", i);
        produce(f, NULL, 0, text, (size_t)size);
    }
    assert_int_equal(rd_kafka_flush(f->producer, WAIT_MS), 0);
}

/* Opens the source, and brings its partition 0 to a position (NULL: it has none). */
static weir_status open_at(struct fixture *f, const char *parameters,
                           const struct wr_position *stored)
{
    char uri[200];
    struct wr_endpoint endpoint;
    snprintf(uri, sizeof uri, "kafka://%s/t?partitions=0%s", f->brokers, parameters);
    wr_error_clear(&f->error);
    WR_TRY(wr_endpoint_parse(uri, true, &f->arena, &endpoint, &f->error));
    WR_TRY(wr_source_kafka_open(&f->env, "in", &endpoint, "job", NULL, &f->arena, &f->source,
                                &f->error));
    WR_TRY(f->source->ops->arrange(f->source, &stored, stored != NULL, &f->error));
    assert_int_equal(f->source->partition_count, 1);
    f->partition = f->source->partitions[0];
    assert_string_equal(f->partition->part, "t/0");
    WR_TRY(f->source->ops->seek(f->source, f->partition, stored, &f->error));
    f->partition->kept = f->partition->next;
    return WEIR_OK;
}

static weir_status poll(struct fixture *f, enum wr_source_more *more)
{
    wr_arena_reset(&f->polled.arena);
    return f->source->ops->poll(f->source, f->partition, &f->polled, more, &f->error);
}

/* Polls until there are records, or until a poll fails. */
static weir_status poll_some(struct fixture *f)
{
    for (int ms = 0; ms < WAIT_MS; ms++) {
        enum wr_source_more more;
        WR_TRY(poll(f, &more));
        if (f->polled.count > 0) {
            return WEIR_OK;
        }
        struct timespec time = {0, 1000000};
        nanosleep(&time, NULL);
    }
    fail_msg("no records came");
    return WEIR_OK;
}

static int number_at(const struct fixture *f, size_t at)
{
    char text[16] = "";
    weir_bytes value = f->polled.records[at].value;
    assert_true(value.size < sizeof text);
    memcpy(text, value.data, value.size);
    return atoi(text);
}

/* Reads numbers from `first` up to `last`, all of them, in order. */
static void read_numbers(struct fixture *f, int first, int last)
{
    for (int n = first; n < last;) {
        must(f, poll_some(f));
        for (size_t i = 0; i < f->polled.count; i++, n++) {
            assert_int_equal(number_at(f, i), n);
            assert_int_equal(f->polled.offsets[i], n);
            assert_int_equal(f->polled.nexts[i], n + 1);
        }
        assert_int_equal(f->partition->next, n);
    }
}

/* The position as the engine would store it, and the source closed. */
static struct wr_position leave(struct fixture *f)
{
    snprintf(f->identity, sizeof f->identity, "%s", f->partition->identity);
    struct wr_position stored = {
        .source = "in", .part = "t/0", .next = f->partition->next, .identity = f->identity};
    close_source(f);
    return stored;
}

static void must_refuse(struct fixture *f, weir_status status, enum wr_exit exit_code,
                        const char *contains)
{
    if (status == WEIR_OK || f->error.exit_code != exit_code || !strstr(f->error.text, contains)) {
        fail_msg("expected %d and `%s`, got %d: %s", exit_code, contains, f->error.exit_code,
                 f->error.text);
    }
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void absent_and_empty_differ(void **state)
{
    struct fixture *f = *state;
    produce(f, NULL, 0, NULL, 0);
    produce(f, "", 0, "", 0);
    produce(f, "k", 1, NULL, 0);
    produce_numbers(f, 3, 1);
    must(f, open_at(f, "", NULL));
    weir_record got[4];
    size_t count = 0;
    for (; count < 4; count += f->polled.count) {
        must(f, poll_some(f));
        assert_true(count + f->polled.count <= 4);
        for (size_t i = 0; i < f->polled.count; i++) {
            weir_record *to = &got[count + i];
            *to = f->polled.records[i];
        }
    }
    assert_null(got[0].key.data);
    assert_null(got[0].value.data);
    assert_non_null(got[1].key.data);
    assert_non_null(got[1].value.data);
    assert_int_equal(got[1].value.size, 0);
    assert_int_equal(got[2].key.size, 1);
    assert_null(got[2].value.data);
}

/* However far it had read, and wherever in a poll the epoch ended. */
static void an_undo_reads_the_same_again(void **state)
{
    struct fixture *f = *state;
    static const int ends[] = {0, 1, 700, RECORDS};
    produce_numbers(f, 0, RECORDS);
    must(f, open_at(f, "", NULL));
    for (size_t i = 0; i + 1 < sizeof ends / sizeof *ends; i++) {
        for (int again = 0; again < 2; again++) {
            int far = ends[i] + 1 + again * 500;
            read_numbers(f, ends[i], far < RECORDS ? far : RECORDS);
            f->partition->next = ends[i];
        }
        f->partition->kept = f->partition->next = ends[i + 1];
    }
    must(f, f->source->ops->bound(f->source, f->partition, &f->error));
    enum wr_source_more more;
    must(f, poll(f, &more));
    assert_int_equal(more, WR_SOURCE_ENDED);
    assert_int_equal(f->source->ops->lag(f->source, f->partition), 0);
}

static void a_run_goes_on_where_the_last_one_was(void **state)
{
    struct fixture *f = *state;
    produce_numbers(f, 0, RECORDS);
    must(f, open_at(f, "", NULL));
    read_numbers(f, 0, 1000);
    struct wr_position stored = leave(f);
    stored.next = 500; /* an epoch that ended in the midst of a poll */
    must(f, open_at(f, "", &stored));
    read_numbers(f, 500, 2000);
    stored = leave(f);
    must(f, open_at(f, "", &stored));
    read_numbers(f, (int)stored.next, RECORDS);
    stored = leave(f);
    must(f, open_at(f, "", &stored));
    produce_numbers(f, RECORDS, 10);
    read_numbers(f, RECORDS, RECORDS + 10);
}

/* The record that was read last is compared, and given to nobody twice. */
static void another_record_at_its_place_is_noticed(void **state)
{
    struct fixture *f = *state;
    produce_numbers(f, 0, 10);
    must(f, open_at(f, "", NULL));
    read_numbers(f, 0, 10);
    struct wr_position stored = leave(f);
    char *crc = strrchr(f->identity, ':') + 1;
    *crc = *crc == '0' ? '1' : '0';
    must(f, open_at(f, "", &stored));
    must_refuse(f, poll_some(f), WR_EXIT_CONFIG, "it was deleted and made again; choose where");
    close_source(f);
    must(f, open_at(f, "&missing=earliest", &stored));
    must(f, poll_some(f));
    assert_int_equal(number_at(f, 0), 0);
}

static void positions_that_do_not_fit_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const damaged[] = {
        "",
        "clust",
        "cluster:a;seen:",
        "cluster:a;seen:1:2",
        "cluster:a;seen:-1:2:00000000",
        "cluster:a;seen:1:2:0;seen:1:2:0;seen:1:2:0",
        "cluster:a;",
        "cluster:a;topic:b",
        "cluster:0123456789012345678901234567890123456789012345678901234567890123456789"};
    produce_numbers(f, 0, 10);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct wr_position stored = {.part = "t/0", .next = 3, .identity = damaged[i]};
        must_refuse(f, open_at(f, "", &stored), WR_EXIT_DATA, "is damaged");
        close_source(f);
    }
    struct wr_position stored = {.part = "t/0", .next = -3, .identity = "cluster:"};
    must_refuse(f, open_at(f, "", &stored), WR_EXIT_DATA, "is damaged");
    close_source(f);
    stored = (struct wr_position){.part = "t/0", .next = 3, .identity = "cluster:another"};
    must_refuse(f, open_at(f, "", &stored), WR_EXIT_CONFIG, "in the cluster another");
    close_source(f);
    stored = (struct wr_position){.part = "t/1", .next = 3, .identity = "cluster:"};
    must_refuse(f, open_at(f, "", &stored), WR_EXIT_CONFIG, "has no such partition");
    close_source(f);
    stored = (struct wr_position){.part = "t/0", .next = 11, .identity = "cluster:"};
    must_refuse(f, open_at(f, "", &stored), WR_EXIT_CONFIG,
                "read up to offset 11 and ends at 10 now");
    close_source(f);
    must(f, open_at(f, "&missing=latest", &stored));
    assert_int_equal(f->partition->next, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(absent_and_empty_differ, begin, end),
        cmocka_unit_test_setup_teardown(an_undo_reads_the_same_again, begin, end),
        cmocka_unit_test_setup_teardown(a_run_goes_on_where_the_last_one_was, begin, end),
        cmocka_unit_test_setup_teardown(another_record_at_its_place_is_noticed, begin, end),
        cmocka_unit_test_setup_teardown(positions_that_do_not_fit_are_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

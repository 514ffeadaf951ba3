/* test_kafka.c: properties of librdkafka as a user gives them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "txn/base/error.h"
#include "txn/kafka.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What is right is kept as it was given, in its order. */
static void right_properties_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *text, *endpoint, *name, *value;
    } cases[] = {
        {"linger.ms=7", NULL, "linger.ms", "7"},
        {"lines:sasl.password=a=b:c", "lines", "sasl.password", "a=b:c"},
        {"out.1-x:compression.level=3", "out.1-x", "compression.level", "3"}, /* a topic's */
        {"sasl.username=", NULL, "sasl.username", ""},
        {"queue.buffering.max.ms=7", NULL, "queue.buffering.max.ms", "7"}, /* an alias */
    };
    struct wr_kafka_properties properties = {NULL, 0, 0};
    struct wr_error error = {.status = WEIR_OK};
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(wr_kafka_properties_add(&properties, cases[i].text, &error), WEIR_OK);
        const struct wr_kafka_property *item = &properties.items[i];
        assert_string_equal(item->endpoint ? item->endpoint : "-",
                            cases[i].endpoint ? cases[i].endpoint : "-");
        assert_string_equal(item->name, cases[i].name);
        assert_string_equal(item->value, cases[i].value);
    }
    for (int i = 0; i < 100; i++) { /* more than there was room for */
        assert_int_equal(wr_kafka_properties_add(&properties, "linger.ms=7", &error), WEIR_OK);
    }
    assert_int_equal(properties.count, COUNT(cases) + 100);
    wr_kafka_properties_fini(&properties);
    assert_int_equal(properties.count, 0);
    wr_kafka_properties_fini(&properties); /* twice does no harm */
}

/* What is wrong is refused with what leads to the right one, the value kept out of the text, and
 * leaves nothing behind. */
static void wrong_properties_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum wr_exit exit_code;
        const char *said;
    } cases[] = {
        {"", WR_EXIT_USAGE, "there is no ="},
        {"hunter2", WR_EXIT_USAGE, "there is no ="},
        {"=hunter2", WR_EXIT_USAGE, "-X takes [NAME:]PROPERTY=VALUE"},
        {":linger.ms=1", WR_EXIT_USAGE, "no name of a source or sink"},
        {"a b:linger.ms=1", WR_EXIT_USAGE, "no name of a source or sink"},
        {"a:=1", WR_EXIT_USAGE, "no property's name"},
        {"a:b:linger.ms=1", WR_EXIT_USAGE, "no property's name"},
        {"linger.ms =1", WR_EXIT_USAGE, "no property's name"},
        {"lingerms=hunter2", WR_EXIT_USAGE, "did you mean linger.ms?"},
        {"sasl.pasword=hunter2", WR_EXIT_USAGE, "did you mean sasl.password?"},
        {"ssl.ca.locaton=hunter2", WR_EXIT_USAGE, "did you mean ssl.ca.location?"},
        {"hunter=hunter2", WR_EXIT_USAGE, "CONFIGURATION.md"},
        {"linger.ms=hunter2", WR_EXIT_USAGE, "it takes 0 .. 900000"},
        {"compression.codec=hunter2", WR_EXIT_USAGE, "it takes none, gzip, snappy, lz4, zstd"},
        {"linger.ms=@no/such", WR_EXIT_NO_INPUT, "cannot open no/such"},
        {"out:acks=1", WR_EXIT_CONFIG, "-X acks cannot be set: "},
        {"group.id=hunter2", WR_EXIT_CONFIG, "belongs to no group"},
        {"bootstrap.servers=hunter2", WR_EXIT_CONFIG, "it is in the URI"},
        {"plugin.library.paths=hunter2", WR_EXIT_CONFIG, "load code into weir"},
    };
    struct wr_kafka_properties properties = {NULL, 0, 0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_error error = {.status = WEIR_OK};

        weir_status status = wr_kafka_properties_add(&properties, cases[i].text, &error);

        assert_true(status == WEIR_MISUSE || cases[i].exit_code == WR_EXIT_NO_INPUT);
        assert_int_equal(error.exit_code, cases[i].exit_code);
        if (!strstr(error.text, cases[i].said)) {
            fail_msg("\"%s\" gave \"%s\"", cases[i].text, error.text);
        }
        assert_null(strstr(error.text, "hunter2"));
    }
    assert_int_equal(properties.count, 0);
    wr_kafka_properties_fini(&properties);
}

/* A name of any length is refused without harm. */
static void long_names_are_refused(void **state)
{
    (void)state;
    struct wr_kafka_properties properties = {NULL, 0, 0};
    for (size_t size = 1; size < 400; size++) {
        char text[512];
        struct wr_error error = {.status = WEIR_OK};
        memset(text, 'x', size);
        snprintf(text + size, sizeof text - size, "=1");
        assert_int_equal(wr_kafka_properties_add(&properties, text, &error), WEIR_MISUSE);
        assert_int_equal(error.exit_code, WR_EXIT_USAGE);
    }
    wr_kafka_properties_fini(&properties);
}

/* @FILE is the file's text without its last newline; what is no text is refused. */
static void values_come_from_files(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *value; /* NULL: refused */
    } cases[] = {
        {"hunter2", 7, "hunter2"},
        {"hunter2\n", 8, "hunter2"},
        {"hunter2\r\n", 9, "hunter2"},
        {"two\nlines\n\n", 11, "two\nlines\n"},
        {"", 0, ""},
        {"a\0b", 3, NULL},
    };
    char path[] = "kafka-XXXXXX", text[128];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    fclose(fdopen(fd, "w"));
    snprintf(text, sizeof text, "sasl.password=@%s", path);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_kafka_properties properties = {NULL, 0, 0};
        struct wr_error error = {.status = WEIR_OK};
        FILE *file = fopen(path, "w");
        fwrite(cases[i].bytes, 1, cases[i].size, file);
        fclose(file);

        weir_status status = wr_kafka_properties_add(&properties, text, &error);

        assert_int_equal(status, cases[i].value ? WEIR_OK : WEIR_MISUSE);
        if (cases[i].value) {
            assert_string_equal(properties.items[0].value, cases[i].value);
        }
        wr_kafka_properties_fini(&properties);
    }
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_properties_are_kept),
        cmocka_unit_test(wrong_properties_are_refused),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(values_come_from_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

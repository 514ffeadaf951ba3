/* test_kit.h: what the two files of the test kit share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_TEST_KIT_H
#define WR_TEST_KIT_H

#include "engine/instance.h"
#include "engine/weir_test.h"

struct pushed { /* one partition of one source */
    weir_record *records;
    size_t count, capacity;
};

struct kit_input {
    char name[WR_NAME_BYTES_MAX + 1];
    struct pushed *partitions;
    bool ended; /* nothing is pushed any more */
    struct kit_input *next;
};

struct kit_source {
    struct wr_source base;
    struct kit_input *input;
};

struct kit_sink {
    const char *name, *topic, *table;
    int32_t partitions;
    bool outbox;
};

struct weir_test {
    void (*define)(weir_job *);
    weir_test_options options;
    struct wr_env env;
    struct wr_error error;
    struct wr_run_options run;
    weir_job job;
    bool job_open, instance_open;
    struct wr_instance instance;
    struct wr_arena arena; /* until free: inputs, what was read */
    struct kit_input *inputs;
    struct kit_sink *sinks;
    size_t sink_count;
    int64_t clock_ms;
    char folder[64], store[96];
};

/* Never NULL; until weir_test_free. */
void *wr_kit_alloc(weir_test *test, size_t size);
_Noreturn void wr_kit_no_memory(void);
weir_bytes wr_kit_copy(weir_test *test, weir_bytes bytes);
/* What an instance of the kit opens its sources by. */
weir_status wr_kit_open_source(struct wr_instance *instance, struct wr_node *node,
                               struct wr_source **source_out, struct wr_error *error);

#endif

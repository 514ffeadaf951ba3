/* show.h: what a run shows while it lives: progress on a terminal, statistics, what happens with
 * -v, and that it is stuck. See run.h for what it says at its start and end.
 *
 * Thread: main.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SHOW_H
#define WR_SHOW_H

#include "engine/instance.h"
#include "engine/stuck.h"

struct wr_show_last { /* as of the last time that something was shown */
    int64_t us, records, epochs, fsyncs, bytes_written;
};

struct wr_show {
    struct wr_instance *instance;
    FILE *stats; /* NULL: none */
    bool terminal, drawn;
    struct wr_show_last stats_last, drawn_last, said_last;
    struct wr_stuck stuck;
};

/* Begins the file of --stats anew; refuses one with anything else in it. The instance is open. */
weir_status wr_show_open(struct wr_show *show, struct wr_instance *instance, struct wr_env *env,
                         const struct wr_run_options *options, struct wr_error *error);
/* A wr_loop_show, called every 200 ms; `final` once more at the end. */
void wr_show_look(void *show, bool final);
/* Fails when statistics could not be written. */
weir_status wr_show_close(struct wr_show *show, const struct wr_run_options *options,
                          struct wr_error *error);

#endif

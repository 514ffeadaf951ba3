/* loop.h: drives an instance with threads until its inputs end, a signal stops it, or it fails.
 *
 *   main      libuv: signals, progress, statistics
 *   operator  polls, runs units, seals
 *   decide    one transaction per epoch, checkpoints
 *   forward   outboxes to outside sinks (only when there are some)
 *
 * One mutex guards the hand-overs; nothing on the path of a record takes it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_LOOP_H
#define WR_LOOP_H

#include "engine/instance.h"

/* What a run ended with, beside its error. */
struct wr_loop_result {
    bool stopped; /* by a signal */
};

/* Called on the main thread every 200 ms (final: once more at the end). */
typedef void (*wr_loop_show)(void *data, bool final);

/* From here on a request to stop waits for wr_loop_run, which then stops in good order. Main
 * thread, and soon followed by that. */
void wr_loop_expect(void);
weir_status wr_loop_run(struct wr_instance *instance, wr_loop_show show, void *show_data,
                        struct wr_loop_result *result_out, struct wr_error *error);
/* libuv's version, for `weir --version`. */
const char *wr_loop_version(void);

#endif

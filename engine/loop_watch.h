/* loop_watch.h: the files that the sources of an instance name as those whose change may mean
 * records, watched by the main thread's event loop.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_LOOP_WATCH_H
#define WR_LOOP_WATCH_H

#include "engine/instance.h"

struct wr_watch;
struct uv_loop_s;

/* Watches each directory once; names are told apart here. `changed` is called on the loop's thread,
 * once for each change, with `woken` of the instance set. Where a directory cannot be watched that
 * is said (debug), and inputs are polled every few milliseconds. A code of libuv's when it cannot
 * be started at all. */
int wr_watch_start(struct uv_loop_s *loop, struct wr_instance *instance,
                   void (*changed)(void *data), void *data, struct wr_watch **watch_out);
/* Once the loop has closed its handles. NULL is ignored. */
void wr_watch_free(struct wr_watch *watch);

/* After a poll without records: how long there is nothing to do, in milliseconds. Thread:
 * operator. */
int64_t wr_watch_idle_ms(struct wr_watch *watch);
/* Something changed since then. */
bool wr_watch_has_news(const struct wr_watch *watch);
/* There was something to do. Thread: operator. */
void wr_watch_busy(struct wr_watch *watch);

#endif

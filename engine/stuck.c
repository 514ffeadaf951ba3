/* stuck.c: see stuck.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/stuck.h"

#include <inttypes.h>

#include "txn/base/assert.h"

bool wr_stuck_say(int64_t now_us, int64_t since_us, int64_t *said_us)
{
    if (now_us - since_us < WR_STUCK_US ||
        (*said_us != 0 && now_us - *said_us < WR_STUCK_AGAIN_US)) {
        return false;
    }
    *said_us = now_us;
    return true;
}

/* Whether to warn now; *waited_out is for how many seconds. `what` names the one that goes on, in a
 * notice, when it was warned of before. */
static bool watch(struct wr_stuck_watch *watch, struct wr_env *env, int64_t now_us, bool busy,
                  int64_t token, const char *what, int64_t *waited_out)
{
    wr_assert_that(now_us, >=, watch->since_us);
    *waited_out = (now_us - watch->since_us) / 1000000;
    if (busy && watch->busy && token == watch->token) {
        return wr_stuck_say(now_us, watch->since_us, &watch->said_us);
    }
    if (watch->said_us != 0) {
        wr_log(env, WR_LOG_NOTICE, "%s: it goes on, after %" PRId64 " s", what, *waited_out);
    }
    *watch = (struct wr_stuck_watch){.busy = busy, .token = token, .since_us = now_us};
    return false;
}

static void say_deciding(struct wr_env *env, const struct wr_stuck_sample *sample, int64_t waited)
{
    const struct wr_telling *telling = sample->telling;
    if (telling) {
        wr_log(env, WR_LOG_WARN,
               "waits for the store: the transaction on %s has not ended for %" PRId64 " s; the "
               "statement in line %d of %.300s runs, for sink `%s`: an index may help it, and one "
               "that never ends must be mended",
               sample->store, waited, telling->line, telling->file, telling->sink);
        return;
    }
    wr_log(env, WR_LOG_WARN,
           "waits for the store: the transaction on %s has not ended for %" PRId64 " s; the disk "
           "does not answer, or another program keeps the store locked",
           sample->store, waited);
}

void wr_stuck_look(struct wr_stuck *stuck, struct wr_env *env, const struct wr_stuck_sample *sample)
{
    int64_t now_us = sample->now_us, waited;
    if (watch(&stuck->decide, env, now_us, sample->deciding_us != 0, sample->deciding_us,
              "waited for the store", &waited)) {
        say_deciding(env, sample, waited);
    }
    if (watch(&stuck->operators, env, now_us, sample->calling != NULL, sample->units,
              "waited for an operator", &waited)) {
        wr_log(env, WR_LOG_WARN,
               "waits for an operator: the function of node `%s` has not returned for %" PRId64
               " s; nothing is decided until it does",
               sample->calling, waited);
    }
    if (watch(&stuck->forward, env, now_us, sample->sending != NULL, sample->sent,
              "waited for a sink", &waited)) {
        wr_log(env, WR_LOG_WARN,
               "waits for sink %s (%.600s): it has taken nothing for %" PRId64 " s; see to what "
               "reads it; what is decided stays in the store until then",
               sample->sending->name, sample->sending->uri, waited);
    }
}

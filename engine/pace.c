/* pace.c: when the filling epoch is sealed.
 *
 * Adaptively (group commit), unless the user fixed a size or an age: as soon as the decide thread
 * is free and there is something. While records wait, an epoch is not sealed before it is LINGER_US
 * old, since each seal has its price; a full one is sealed at once, also while the one before it is
 * being decided, so that the decide thread finds it ready.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/instance.h"

enum {
    LINGER_US = 1000,
    LEAP_US = 1000000, /* positions that moved without records wait for some that long */
    LOOK_UNITS = 16, /* the clock is read once in so many units, but for the first of an epoch */
};

bool wr_pace_is_free(const struct wr_instance *instance)
{
    return wr_instance_undecided(instance) == 0;
}

static bool is_fixed(const struct wr_instance *instance)
{
    return instance->options->epoch_records > 0 || instance->options->epoch_ms > 0;
}

static int64_t epoch_us(const struct wr_instance *instance)
{
    int64_t ms = instance->options->epoch_ms;
    return (ms > 0 ? ms : WR_EPOCH_MS_DEFAULT) * 1000;
}

static int64_t age_us(const struct wr_instance *instance)
{
    return instance->env->monotonic_us(instance->env) - instance->began_us;
}

bool wr_pace_look(const struct wr_instance *instance)
{
    return instance->units % LOOK_UNITS == 0 || instance->units < LOOK_UNITS;
}

bool wr_pace_is_due(const struct wr_instance *instance)
{
    return wr_pace_is_free(instance) &&
           age_us(instance) >= (is_fixed(instance) ? epoch_us(instance) : LINGER_US);
}

static int64_t leap_left_us(const struct wr_instance *instance)
{
    return instance->leapt_us == 0
               ? INT64_MAX
               : instance->leapt_us + LEAP_US - instance->env->monotonic_us(instance->env);
}

bool wr_pace_should_seal(const struct wr_instance *instance, bool idle)
{
    if (!wr_instance_has_work(instance)) {
        return idle && wr_pace_is_free(instance) && leap_left_us(instance) <= 0;
    }
    return wr_instance_full(instance) || wr_pace_is_due(instance) ||
           (idle && !is_fixed(instance) && wr_pace_is_free(instance));
}

int64_t wr_pace_left_ms(const struct wr_instance *instance)
{
    return wr_instance_has_work(instance) ? (epoch_us(instance) - age_us(instance)) / 1000
           : instance->leapt_us > 0       ? leap_left_us(instance) / 1000
                                          : INT64_MAX;
}

bool wr_pace_all_read(const struct wr_instance *instance)
{
    bool all = !wr_instance_queued(instance) && !wr_retry_pending(&instance->retry);
    for (size_t i = 0; i < instance->part_count; i++) {
        all = all && instance->parts[i].ended;
    }
    return all;
}

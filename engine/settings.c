/* settings.c: NAME=VALUE of -i, -o and -D. See job.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "engine/job.h"

struct wr_setting *wr_settings_find(struct wr_settings *settings, const char *name)
{
    for (size_t i = 0; settings && i < settings->count; i++) {
        if (strcmp(settings->items[i].name, name) == 0) {
            return &settings->items[i];
        }
    }
    return NULL;
}

weir_status wr_settings_add(struct wr_settings *settings, const char *text, struct wr_error *error)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "`%s`: expected NAME=VALUE", text);
    }
    if (settings->count == settings->capacity) {
        size_t capacity = settings->capacity ? settings->capacity * 2 : 8;
        struct wr_setting *items = realloc(settings->items, capacity * sizeof *items);
        if (!items) {
            return wr_fail_memory(error);
        }
        settings->items = items;
        settings->capacity = capacity;
    }
    char *copy = strdup(text);
    if (!copy) {
        return wr_fail_memory(error);
    }
    copy[equals - text] = '\0';
    struct wr_setting *old = wr_settings_find(settings, copy);
    if (old) {
        free((char *)(uintptr_t)old->name);
    } else {
        old = &settings->items[settings->count++];
    }
    *old = (struct wr_setting){copy, copy + (equals - text) + 1, false};
    return WEIR_OK;
}

void wr_settings_fini(struct wr_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free((char *)(uintptr_t)settings->items[i].name);
    }
    free(settings->items);
    *settings = (struct wr_settings){0};
}

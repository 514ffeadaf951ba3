/* fault.c: see fault.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
#define NAME(number, name) [number] = #name,
    WR_FAULT_LIST(NAME)
#undef NAME
};

bool wr_fault_slow(struct wr_fault *fault, enum wr_fault_point point)
{
    if (fault->point != point || --fault->countdown != 0) {
        return false;
    }
    fault->passed = true;
    if (fault->returns) {
        return true;
    }
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

bool wr_fault_arm(struct wr_fault *fault, const char *text)
{
    size_t length = strcspn(text, ":");
    for (int i = 1; i < WR_FAULT_COUNT; i++) {
        if (names[i] && strlen(names[i]) == length && strncmp(names[i], text, length) == 0) {
            int count = text[length] == ':' ? atoi(text + length + 1) : 1;
            fault->point = (enum wr_fault_point)i;
            fault->countdown = count > 0 ? count : 1;
            fault->passed = false;
            return true;
        }
    }
    return false;
}

const char *wr_fault_name(enum wr_fault_point point)
{
    return names[point];
}

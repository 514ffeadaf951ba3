/* group.h: a consumer group: how far `weir consume --group` has printed a store's topics, in a file
 * of its own beside the store, STORE.GROUP.group. docs/FORMAT.md has it.
 *
 * One process at a time: the file is locked, and names the process. It is replaced as a whole, so
 * that a crash leaves the old one or the new one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_GROUP_H
#define WR_GROUP_H

#include "txn/follow.h"

struct wr_group {
    char path[WR_URI_BYTES_MAX + WR_NAME_BYTES_MAX + 16];
    int file; /* locked; -1: none */
    void *root; /* all of the file, jansson's */
    void *next; /* in it: the topic's positions by partition */
};

/* Opens and locks the group of the store that is followed; makes the file when there is none. 75
 * with the pid when another process has it, 65 when it is damaged, 78 when it is another store's.
 * *renewed_out: the topic was deleted and made again, its positions are forgotten. The caller
 * closes it, also after a failure. */
weir_status wr_group_open(const struct wr_follow *follow, const char *name, struct wr_group *group,
                          bool *renewed_out, struct wr_error *error);
void wr_group_close(struct wr_group *group);

/* False: the group has not read this partition yet. */
bool wr_group_get(const struct wr_group *group, int32_t partition, int64_t *next_out);
/* Kept by the next wr_group_save. False: no memory. */
bool wr_group_set(struct wr_group *group, int32_t partition, int64_t next);
/* Writes and syncs the file. */
weir_status wr_group_save(struct wr_group *group, struct wr_error *error);

/* Each group beside a store that has read this topic, for lists; `each` gets its position in one
 * partition. Reads the files as they are, without their locks; what is no group is left out. */
typedef void (*wr_group_each)(void *data, const char *group, int32_t partition, int64_t next);
weir_status wr_groups_list(const struct wr_follow *follow, wr_group_each each, void *data,
                           struct wr_error *error);

#endif

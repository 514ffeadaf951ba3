/* fold.h: bringing table `state` up to date, a slice at a time.
 *
 * An epoch does not touch a page of `state` for each key it changed. Its changes are one row of
 * table `changelog`, and are kept in memory as dirty entries of the cache. They reach `state` by
 * *sweeps*: all entries that are dirty when a sweep begins, in key order, a slice with each epoch's
 * transaction, so that the pages of a slice lie together, and a key that changed often is written
 * once. When a sweep is through, rows of the changelog up to the epoch at which it began have
 * nothing new to say, and go.
 *
 *   changelog   │ rows up to `upto`, going │ rows that a start would replay, in order ...│
 *                                          ▲ the sweep began
 *
 * It is the memtable and log of an LSM tree (P. O'Neil et al., "The Log-Structured Merge-Tree",
 * 1996) over a B-tree as its one run. Why a crash at any moment is right: rows go oldest first, so
 * as long as a row that names a slot is there, so are all later ones; replaying them ends with the
 * newest value, whatever `state` had by then.
 *
 * Thread: operator.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_FOLD_H
#define WR_FOLD_H

#include "txn/changelog.h"
#include "txn/sort.h"

struct wr_fold {
    size_t dirty_max, logged_max; /* bytes; what a sweep is paced by */
    struct wr_sorter sorter; /* the sweep's entries */
    size_t count; /* of them; 0: no sweep */
    size_t looked, ordered, at; /* of them: have a prefix, are in order, were taken */
    size_t skip; /* bytes that most keys have in common */
    struct wr_lazy_sort lazy;
    int64_t upto; /* the sweep: rows up to this epoch can go when it is through */
    size_t logged; /* bytes of changes since it began */
};

void wr_fold_init(struct wr_fold *fold, size_t cache_bytes);
void wr_fold_fini(struct wr_fold *fold);

/* The filling epoch is about to be sealed: puts into it the slice that its transaction folds.
 * `dropped`: the last epoch whose changes are in the cache. */
weir_status wr_fold_slice(struct wr_fold *fold, struct wr_cache *cache, struct wr_epoch *epoch,
                          int64_t dropped, struct wr_error *error);
/* That epoch was decided: what it folded, and did not change since, is clean. */
void wr_fold_done(struct wr_cache *cache, const struct wr_epoch *epoch);

/* All dirty entries of a cache in key order, in the sorter. */
weir_status wr_fold_sort(struct wr_cache *cache, struct wr_sorter *sorter, struct wr_error *error);
struct wr_folded wr_fold_of(const struct wr_cached *entry);
/* One more slot that an epoch folds. False: no memory. */
bool wr_fold_add(struct wr_epoch *epoch, const struct wr_folded *folded);
struct wr_folded wr_fold_copied(const struct wr_fold_copy *copy);

#endif

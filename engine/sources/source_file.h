/* source_file.h: what the files behind file: sources share.
 *
 *   source_file.c  the source: its partitions, its poll
 *   file_lines.c   lines of one open file
 *   file_open.c    one open file: its bytes, and what it is known by
 *   file_gzip.c    the same bytes out of a gzip file
 *   file_poll.c    one poll of one partition
 *   file_seek.c    from a stored position to where a run goes on
 *   file_locate.c  the file that a position is in, whatever it is called now
 *   file_follow.c  from one file of a path to the next: rotation
 *   file_folder.c  what else lies beside a file
 *   file_glob.c    patterns: which files are partitions
 *   file_owner.c   whose a file is, among them
 *
 * A partition is the stream of a path. Without rotation that is one file, and positions are its
 * byte offsets. With it, the stream is one file after the other, and a position counts the bytes of
 * all of them: `base` is what came before the file at hand, so position = base + offset in it. A
 * position and the identity that says which file it is in are stored together.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SOURCE_FILE_H
#define WR_SOURCE_FILE_H

#include <sys/stat.h>

#include "engine/sources/source.h"

enum { WR_FILE_PREFIX_BYTES = 1024 }; /* of a file, that make it known */

enum wr_missing { WR_MISSING_FAIL, WR_MISSING_EARLIEST, WR_MISSING_LATEST };

/* What a file is known by: its inode, and the CRC of its first bytes. */
struct wr_file_mark {
    uint64_t inode;
    uint32_t crc;
    unsigned crc_bytes;
};

/* What the store keeps with a position. */
struct wr_file_identity {
    struct wr_file_mark mark;
    bool gzip;
    int64_t size; /* where the file's data ended when last seen; -1: not known */
    int64_t base;
    struct wr_file_mark *past; /* earlier files of this stream, as long as they are there */
    size_t past_count;
};

struct wr_gzip;

struct wr_file {
    const char *path; /* where it was opened */
    int fd; /* -1: none */
    struct wr_gzip *gzip; /* NULL: plain */
    uint64_t inode;
    int64_t size; /* in bytes on disk, when last looked at */
};

struct wr_file_lines { /* reading lines, from poll to poll */
    int64_t records, bytes; /* by this run */
    size_t line_bytes; /* of the last poll, on average */
    int64_t long_start,
        long_at; /* a line over the limit: where it starts (-1: none), is scanned to */
    unsigned char *long_head; /* its first WR_RECORD_BYTES_MAX bytes */
    int64_t none_from, none_to; /* there is no newline between them; -1: not known */
};

enum wr_file_place {
    WR_FILE_AT_PATH, /* the file at hand was opened at its stream's path */
    WR_FILE_RENAMED, /* under another name */
    WR_FILE_COPY, /* it is a copy of a file that was truncated */
};

struct wr_file_part { /* one partition: the stream of one path */
    struct wr_source_partition at; /* at.part is the path */
    uint64_t hash; /* of the path */
    const char *folder, *name; /* of the path */
    const char *hint; /* where its file is now, found by the pattern; NULL: not known */
    struct wr_file file; /* the one at hand */
    enum wr_file_place place;
    struct wr_file_mark mark; /* of the file that the position is in; for a copy, the original's */
    int64_t base;
    int64_t limit; /* of the file at hand, where a bounded run ends in it; INT64_MAX: not known */
    struct wr_file_lines lines;
    char *text; /* at.identity, where it is of this run */
    size_t text_capacity;
    struct wr_file_mark told; /* what it says */
    int64_t told_size;
    struct wr_file_mark *past;
    size_t past_count;
    int64_t unended; /* offset behind a last line without newline, where more must begin with one;
                        -1: none */
    bool final; /* nothing more is appended to the file at hand: its last line needs no newline */
    bool until_end; /* this run ends where the input ended at its start */
    uint64_t bound_inode; /* the file at the path at that time; 0: none */
    int64_t bound_size;
    int64_t seen_size; /* of the file at hand */
    int64_t quiet_us; /* since when it has that size */
    int64_t rotated_us; /* since when there is data in the file that follows it; 0: there is none */
    int64_t settled_us; /* since when all that was read is sealed; 0: it is not */
    int64_t listed_us; /* when the folder was last looked through */
    int64_t refused; /* the errno that opening the path gives and that was said; 0: none */
};

struct wr_file_left {
    const char *path;
    struct wr_file_identity identity;
    int64_t next;
};

struct wr_file_source {
    struct wr_source base;
    struct wr_arena *arena;
    const char *path; /* absolute; with a pattern: as glob(3) takes it */
    bool is_pattern, follow, gzip;
    bool as_is; /* compression=none: also what looks compressed */
    enum wr_missing missing;
    size_t part_capacity;
    int64_t scanned_us, scanned_mtime_ns; /* a pattern's folder, when it was last looked through */
    struct wr_file_left *left; /* stored positions that are no partitions any more */
    size_t left_count;
    uint64_t *refused; /* inodes of new files that were warned of */
    size_t refused_count, refused_capacity;
};

static inline struct wr_file_source *wr_file_source_of(struct wr_source *source)
{
    return (struct wr_file_source *)source;
}
static inline struct wr_file_part *wr_file_part_of(const struct wr_source_partition *partition)
{
    return (struct wr_file_part *)partition;
}

/* ---- file_open.c ----------------------------------------------------------------------------- */

/* Opens a regular file for reading. *why_out is 0, or the errno that says why not: ENOENT when it
 * is not there, EISDIR for a folder, ESPIPE for what is neither. Raises the limit of open files. */
weir_status wr_file_open(const struct wr_file_source *source, const char *path,
                         struct wr_file *file_out, int *why_out, struct wr_error *error);
/* The error for such a `why`. */
weir_status wr_file_refuse(const struct wr_file_source *source, const char *path, int why,
                           struct wr_error *error);
void wr_file_close(struct wr_file *file);
/* Its size now. */
weir_status wr_file_look(const struct wr_file_source *source, struct wr_file *file,
                         struct wr_error *error);
/* Bytes on disk; *got_out is less than `size` only at the end. */
weir_status wr_file_read_disk(const struct wr_file_source *source, const struct wr_file *file,
                              int64_t offset, void *data, size_t size, size_t *got_out,
                              struct wr_error *error);
/* Bytes of its data: inflated. *end_out: there is nothing behind them (plain: not known). */
weir_status wr_file_read(const struct wr_file_source *source, struct wr_file *file, int64_t offset,
                         void *data, size_t size, size_t *got_out, bool *end_out,
                         struct wr_error *error);
/* The mark of a file: over its first bytes, at most WR_FILE_PREFIX_BYTES. */
weir_status wr_file_mark_of(const struct wr_file_source *source, const struct wr_file *file,
                            struct wr_file_mark *mark_out, struct wr_error *error);
/* Whether it begins with the bytes of that mark. */
weir_status wr_file_begins_as(const struct wr_file_source *source, const struct wr_file *file,
                              const struct wr_file_mark *mark, bool *same_out,
                              struct wr_error *error);
/* "gzip", "zstd", "xz", "bzip2", or NULL: by its first bytes. */
const char *wr_file_compression(const struct wr_file_source *source, const struct wr_file *file);
/* Both with a path. False: it cannot be opened, or is not so. */
bool wr_file_path_begins_as(const struct wr_file_source *source, const char *path,
                            const struct wr_file_mark *mark);
bool wr_file_path_is_compressed(const struct wr_file_source *source, const char *path);

/* Parses what the store has; false: damaged, or no memory. */
bool wr_file_identity_parse(const char *text, struct wr_arena *arena,
                            struct wr_file_identity *identity_out);
/* Makes the partition's identity what it now is; `size`: as in wr_file_identity. */
weir_status wr_file_tell(struct wr_file_source *source, struct wr_file_part *part, int64_t size,
                         struct wr_error *error);

/* ---- file_gzip.c ----------------------------------------------------------------------------- */

/* Takes the file's descriptor over from wr_file_open's; freed by wr_gzip_free. NULL: no memory. */
struct wr_gzip *wr_gzip_new(int fd);
void wr_gzip_free(struct wr_gzip *gzip);
/* As wr_file_read. Where the data is truncated or damaged, it ends early and is marked so. */
weir_status wr_gzip_read(const struct wr_file_source *source, struct wr_file *file, int64_t offset,
                         void *data, size_t size, size_t *got_out, bool *end_out,
                         struct wr_error *error);
/* What is wrong behind the last byte that could be read; NULL: nothing. */
const char *wr_gzip_damage(const struct wr_gzip *gzip);
/* How far it was inflated. */
int64_t wr_gzip_at(const struct wr_gzip *gzip);

/* ---- file_poll.c ----------------------------------------------------------------------------- */

weir_status wr_file_poll(struct wr_source *source, struct wr_source_partition *partition,
                         struct wr_polled *polled, enum wr_source_more *more_out,
                         struct wr_error *error);

/* ---- file_lines.c ---------------------------------------------------------------------------- */

struct wr_file_range {
    int64_t base;
    int64_t from, limit; /* offsets in the file; limit is set when the end is found earlier */
    bool last; /* nothing comes behind the limit: the last line counts without a newline too */
};

enum wr_file_lines_found {
    WR_LINES_SOME, /* records, or a piece of a very long line */
    WR_LINES_NONE, /* no whole line before the limit */
    WR_LINES_SHORT, /* the file ends before the limit: it shrank */
};

void wr_file_lines_init(struct wr_file_lines *lines);
void wr_file_lines_fini(struct wr_file_lines *lines);
/* Lines of a block, from range->from on, which is below range->limit. *next_out: the offset behind
 * them. */
weir_status wr_file_lines_poll(struct wr_file_lines *lines, const struct wr_file_source *source,
                               struct wr_file *file, struct wr_file_range *range,
                               struct wr_polled *polled, int64_t *next_out,
                               enum wr_file_lines_found *found_out, struct wr_error *error);
/* How many lines these bytes are, by those seen; -1: not known. */
int64_t wr_file_lines_in(const struct wr_file_lines *lines, int64_t bytes);

/* When a file, or the names in a folder, changed last. */
static inline int64_t wr_changed_ns(const struct stat *info)
{
    return (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
}

/* ---- file_folder.c --------------------------------------------------------------------------- */

struct wr_folder_entry {
    const char *path, *name;
    uint64_t inode;
    int64_t size, mtime_ns;
    bool starts; /* its name starts with the one asked for */
    bool rotated; /* and goes on as rotated files do */
};
struct wr_folder {
    struct wr_folder_entry *entries; /* regular files only */
    size_t count, capacity;
    struct wr_arena arena;
};

/* The files beside `name` in `folder`; where path is a symbolic link, also those beside its target.
 * A folder that is not there is empty. The caller frees it, also after an error. */
weir_status wr_folder_read(const struct wr_file_source *source, const char *folder,
                           const char *name, struct wr_folder *folder_out, struct wr_error *error);
void wr_folder_free(struct wr_folder *folder);
const struct wr_folder_entry *wr_folder_find(const struct wr_folder *folder, uint64_t inode);
/* Whether a rotated file of `base` may be called `name`: base.1, base-20240131, base.old. */
bool wr_folder_is_rotated(const char *name, const char *base);
/* The order in which files were rotated away: below 0 when a was before b. */
int wr_folder_order(const struct wr_folder_entry *a, const struct wr_folder_entry *b);
/* The newest file beside the path, not its own, that begins as `mark` and has `size` bytes or more:
 * the copy of a file that was truncated. NULL: none. */
const struct wr_folder_entry *wr_folder_copy(const struct wr_file_source *source,
                                             const struct wr_folder *folder,
                                             const struct wr_file_mark *mark, int64_t size,
                                             uint64_t not_inode);

/* ---- file_seek.c, file_locate.c -------------------------------------------------------------- */

weir_status wr_file_seek(struct wr_source *source, struct wr_source_partition *partition,
                         const struct wr_position *stored, struct wr_error *error);
/* Why a file that should be the one is not; NULL: it is. */
weir_status wr_file_examine(const struct wr_file_source *source, struct wr_file *file,
                            const struct wr_file_identity *identity, int64_t local,
                            const char **why_out, struct wr_error *error);
/* Looks for the file that a position is in: at the path, and where files may be rotated, at
 * part->hint and beside the path. What is at the path is opened as the file at hand. *why_out: NULL
 * when the file was found: *file_out, which may be another one; else why not. */
weir_status wr_file_locate(const struct wr_file_source *source, struct wr_file_part *part,
                           const struct wr_file_identity *identity, int64_t local,
                           struct wr_file *file_out, enum wr_file_place *place_out,
                           const char **why_out, struct wr_error *error);
/* Makes `file` the one at hand, from local offset `local` on; the position stays. */
weir_status wr_file_enter(struct wr_file_source *source, struct wr_file_part *part,
                          const struct wr_file *file, enum wr_file_place place, int64_t local,
                          struct wr_error *error);
/* No file is at hand; the next one is read from its beginning. */
void wr_file_leave(struct wr_file_part *part);
/* Where missing=earliest, or latest, goes on in a file. */
weir_status wr_file_resume_at(const struct wr_file_source *source, struct wr_file *file,
                              int64_t *local_out, struct wr_error *error);
/* Behind a last line that had no newline there must be one now, when there is anything. *after_out:
 * the offset behind it; `local`, when there is nothing yet. */
weir_status wr_file_end_line(const struct wr_file_source *source, struct wr_file_part *part,
                             int64_t local, int64_t *after_out, struct wr_error *error);
/* What looks compressed is no text, and what is to be inflated must look so. */
weir_status wr_file_check_compression(const struct wr_file_source *source,
                                      const struct wr_file *file, struct wr_error *error);

/* ---- file_follow.c --------------------------------------------------------------------------- */

/* The same, and long enough ago for a run that is about to end by an error to have it decided. */
bool wr_file_settled(struct wr_file_source *source, struct wr_file_part *part);
/* The file at hand has no more lines: goes on to the next one, or waits, or ends. */
weir_status wr_file_advance(struct wr_file_source *source, struct wr_file_part *part,
                            enum wr_source_more *more_out, struct wr_error *error);
/* The file at hand was truncated, or written anew. */
weir_status wr_file_truncated(struct wr_file_source *source, struct wr_file_part *part,
                              enum wr_source_more *more_out, struct wr_error *error);
/* There is no file at hand yet: opens the path's when it has one. */
weir_status wr_file_first(struct wr_file_source *source, struct wr_file_part *part,
                          enum wr_source_more *more_out, struct wr_error *error);

/* ---- file_glob.c ----------------------------------------------------------------------------- */

weir_status wr_glob_arrange(struct wr_source *source, const struct wr_position *const *stored,
                            size_t count, struct wr_error *error);
weir_status wr_glob_discover(struct wr_source *source, struct wr_error *error);

/* ---- file_owner.c ---------------------------------------------------------------------------- */

/* Whether it is one of these files. A mark of no bytes is that of an empty file: what came later in
 * it was not read. */
bool wr_file_is_past(const struct wr_file_source *source, const struct wr_file *file,
                     const struct wr_file_mark *past, size_t count);
/* Whether a new file is a copy, made to truncate the original, of the file at `path` that `mark`
 * describes: that path's partition reads what it has to. */
bool wr_file_is_copy_of(const struct wr_file_source *source, const struct wr_file *file,
                        const char *path, const struct wr_file_mark *mark);
/* Of the file of any partition. */
bool wr_file_is_copy(const struct wr_file_source *source, const struct wr_file *file);
/* Whether its path is called like a rotated file of another partition's path. */
bool wr_file_is_rotated(const struct wr_file_source *source, const struct wr_file_part *part);
/* Whether another partition reads this file, or has read it. */
bool wr_glob_is_claimed(const struct wr_file_source *source, const struct wr_file *file,
                        const struct wr_file_part *except);
/* Whether the file beside a pattern's partition is not of its stream: it matches, and so has a
 * partition of its own, or was read. Without a pattern: no. */
bool wr_glob_is_taken(const struct wr_file_source *source, const struct wr_file_part *part,
                      const char *path);
/* The file at hand is about to be left: a pattern's partition remembers it as long as it is there,
 * so that it is not taken for a new one. */
weir_status wr_glob_remember(struct wr_file_source *source, struct wr_file_part *part,
                             struct wr_error *error);

/* ---- source_file.c --------------------------------------------------------------------------- */

/* A new partition at the end of source->partitions. Its file is not open. */
weir_status wr_file_add_part(struct wr_file_source *source, const char *path,
                             struct wr_file_part **part_out, struct wr_error *error);

#endif

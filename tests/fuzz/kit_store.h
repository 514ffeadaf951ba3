/* kit_store.h: a small valid store for fuzzers to damage, made by running a job in this process;
 * ways to damage it, and all the ways in which weir looks at one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_FUZZ_KIT_STORE_H
#define TEST_FUZZ_KIT_STORE_H

#include "tests/fuzz/kit.h"

/* The store that the others work on, in the working directory. */
#define FUZZ_STORE "fuzz.weir"

/* Runs the job, with the arguments that `weir run` takes, in a process of its own making: two
 * partitions of a generator, a file and another store's topic, event time, state, timers of both
 * clocks, dead letters with headers; a table, topics, an outbox to a file and one that is printed.
 */
int fuzz_job_run(int argc, char **argv);
/* The same on the store, which has read half of what there is then. Lines of the text that are some
 * options of a run (--delivery=, --on-error=, --rewind= and the like) are its options. */
int fuzz_job_resume(const char *text);
void fuzz_job_define(weir_job *job);

/* Runs a job that reads the store's topics; its own store goes away with it. */
int fuzz_job_follow(void);

/* Call once, in the sandbox. `loose`: without what SQLite itself would refuse in a row (STRICT, NOT
 * NULL), as a damaged or a foreign file may be. */
void fuzz_store_init(bool loose);
/* The store's image, in pages of 512 bytes, to be changed at will in `bytes`. */
weir_bytes fuzz_store_image(void);
/* Puts a file where the store is, and away what SQLite and weir left beside it. */
void fuzz_store_write(const void *data, size_t size);

/* Changes rows as text says, a line each:
 *
 *     TABLE COLUMN ROW KIND VALUE
 *
 * ROW counts from 0. KIND: i integer, r real, t text, a text behind what is there, b bytes, n
 * NULL, d the row is deleted, B a batch with a right header over VALUE (COUNT FIRST-OFFSET BYTES).
 * VALUE is the rest of the line; \xHH is a byte. A table or column that is unknown, and a row
 * beyond the last, stand for one that is there, so that any text does something. Lines that begin
 * with -- are fuzz_job_resume's. */
void fuzz_store_edit(const char *text);

/* A mutation of such text that libFuzzer would take long to find: a line with names and values that
 * mean something. For LLVMFuzzerCustomMutator. */
size_t fuzz_store_mutate(uint8_t *data, size_t size, size_t max, unsigned seed);

/* Every command that only looks, and opening to write: each ends in success or in a clean error,
 * and prints JSON where JSON is asked for. */
void fuzz_store_look(void);
/* Commands that change it, or copy it: a copy of a sound store is sound. */
void fuzz_store_act(void);
/* Whether `weir verify` finds it sound. */
bool fuzz_store_is_sound(void);

#endif

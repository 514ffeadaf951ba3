/* test_weir_main.c: a program with its job built in (weir_main) has the options and exit codes of
 * `weir run`. With arguments this program is such a program; without, it is the test, which runs
 * itself.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <weir.h>

WEIR_JOB(job)
{
    weir_into(weir_from(job, "in", "file:in.txt"), "out", "log:out");
}

/* Runs this program; gives its exit code and what it said on both streams. */
static int run_self(const char *arguments, char *said, size_t size)
{
    char self[512], command[1024];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(length > 0);
    self[length] = '\0';
    snprintf(command, sizeof command, "'%s' %s 2>&1", self, arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(said, 1, size - 1, pipe);
    said[got] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_says(const char *arguments, int code, const char *text)
{
    char said[8192];
    int got = run_self(arguments, said, sizeof said);
    if (got != code || !strstr(said, text)) {
        fail_msg("`%s`: exit code %d instead of %d, or not \"%s\" in:\n%s", arguments, got, code,
                 text, said);
    }
}

static void write_input(const char *text)
{
    FILE *file = fopen("in.txt", "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The job runs, into the store that bears the program's name; the second run goes on. */
static void it_runs_its_job(void **state)
{
    (void)state;
    write_input("a\nb\n");
    assert_says("--epoch-ms 5", 0, "new store ");
    assert_says("--epoch-ms 5", 0, "generation 2");
    assert_int_equal(access("cli_weir_main.weir", F_OK), 0);
}

/* Its options are those of `weir run`. */
static void it_has_the_options_of_run(void **state)
{
    (void)state;
    write_input("a\n");
    assert_says("--help", 0, "--until-end");
    assert_says("--version", 0, "weir 0.1.0 (");
    assert_says("--check", 0, "in");
    assert_says("-s mine.weir -o out=null:", 0, "new store ");
    assert_int_equal(access("mine.weir", F_OK), 0);
}

/* Its mistakes too. */
static void it_ends_as_run_does(void **state)
{
    (void)state;
    assert_says("--until", 64, "did you mean --until-end?");
    assert_says("job.so", 64, "the job is built in");
    assert_says("-i in=file:nowhere.txt", 66, "nowhere.txt");
    assert_says("-i imput=file:in.txt", 64, "imput");
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return weir_main(weir_define, argc, argv);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_its_job),
        cmocka_unit_test(it_has_the_options_of_run),
        cmocka_unit_test(it_ends_as_run_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

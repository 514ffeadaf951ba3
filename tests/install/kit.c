/* kit.c: a test of the job of letters.c with the test kit, as a user writes it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <weir_test.h>

void weir_define(weir_job *job);

int main(void)
{
    static const char *const options[] = {"-o", "counts=log:counts", NULL};
    const weir_test_options with = {.set = options};
    weir_test *test = weir_test_new(weir_define, &with);
    weir_test_text(test, "lines", NULL, "apple", 0);
    weir_test_text(test, "lines", NULL, "", 0);
    weir_test_run(test);
    weir_test_crash(test);
    weir_test_restart(test, NULL);
    weir_test_text(test, "lines", NULL, "almond", 0);
    weir_test_run(test);
    const weir_record *last = weir_test_record(test, "counts", 1);
    bool right = weir_test_count(test, "counts") == 2 && last && last->value.size == 1 &&
                 memcmp(last->value.data, "2", 1) == 0;
    printf("%s\n", right ? "right" : weir_test_error(test));
    weir_test_free(test);
    return right ? 0 : 1;
}

/* copy: each record as it is, from `in` to `out`. The smallest job, and the one that measures what
 * weir itself costs.
 *
 *     weir run build/examples/copy.so -i in=file:access.log -o out=log:lines
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <weir.h>

WEIR_JOB(job)
{
    weir_name(job, "copy");
    weir_into(weir_from(job, "in", "file:in.txt"), "out", "log:out");
}

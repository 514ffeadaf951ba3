/* enrich: each order with the name of its customer, from a table that may change while orders come.
 *
 *     printf 'c1\tAnn\nc2\tBob\n' >customers.tsv
 *     printf 'c1\t2 teas\nc3\t1 latte\nc2\tmilk\n' >orders.tsv
 *     weir run build/examples/enrich.so -D wait=yes
 *     weir consume enrich.weir named
 *
 * Lines of `customers` are KEY TAB NAME: the customer's name from now on; KEY alone removes the
 * customer. Lines of `orders` are KEY TAB ORDER. Topic `named` has a record for each order: key
 * KEY, value ORDER TAB NAME, or ORDER TAB ? when there is no such customer.
 *
 * An order is given the name that is in the table when the order comes. Two inputs are read side by
 * side, in no order between them: right where both are live, but of two files an order may well be
 * read before its customer. With -D wait=yes orders wait until the table has been read to its end
 * (it must have one: a file); what later runs find added to it is taken as it comes, unless they
 * have --rewind customers=earliest. What is kept is the table, for ever: a row for each customer.
 *
 * Operators: weir_map, weir_join_table, weir_lookup. join.c joins two tables, by hand; and
 * weir_join_as_of gives an order the name as of the order's time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <weir.h>
#include <weir_ops.h>

/* KEY TAB VALUE; without a tab the value is absent. */
static weir_record split(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx, (void)arg;
    const char *line = in->value.data;
    const char *tab = in->value.size > 0 ? memchr(line, '\t', in->value.size) : NULL;
    weir_record out = *in;
    out.key = in->value;
    out.value = (weir_bytes){NULL, 0};
    if (tab) {
        out.key.size = (size_t)(tab - line);
        out.value = (weir_bytes){tab + 1, in->value.size - out.key.size - 1};
    }
    return out;
}

/* ORDER TAB NAME. */
static weir_bytes name_it(weir_ctx *ctx, const weir_record *order, const weir_record *customer,
                          void *arg)
{
    (void)arg;
    weir_bytes name = customer ? customer->value : weir_text("?");
    char *text = weir_scratch(ctx, order->value.size + 1 + name.size);
    if (!text) {
        return (weir_bytes){NULL, 0};
    }
    memcpy(text, order->value.data, order->value.size);
    text[order->value.size] = '\t';
    memcpy(text + order->value.size + 1, name.data, name.size);
    return (weir_bytes){text, order->value.size + 1 + name.size};
}

WEIR_JOB(job)
{
    weir_name(job, "enrich");
    const char *wait = weir_option(job, "wait", "no");
    if (strcmp(wait, "yes") != 0 && strcmp(wait, "no") != 0) {
        weir_refuse(job, "-D wait=%s is neither yes nor no", wait);
    }
    weir_stream *orders = weir_from(job, "orders", "file:orders.tsv");
    weir_stream *customers = weir_from(job, "customers", "file:customers.tsv");
    orders = weir_map(orders, "split-orders", split, NULL);
    customers = weir_map(customers, "split-customers", split, NULL);
    weir_stream *named =
        strcmp(wait, "yes") == 0
            ? weir_lookup(orders, "lookup", customers, WEIR_LEFT, name_it, NULL)
            : weir_join_table(orders, "enrich", customers, WEIR_LEFT, name_it, NULL);
    weir_into(named, "named", "log:named");
}

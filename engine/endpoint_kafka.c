/* endpoint_kafka.c: what is special about URIs of Kafka: brokers and topic, where to begin, which
 * partitions. See endpoint.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/endpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "txn/base/error.h"

enum { TOPIC_BYTES_MAX = 249, SHOWN = 200, PORT_MAX = 65535, YEAR_MIN = 1970, YEAR_MAX = 9999 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

#define usage(error, ...) wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, __VA_ARGS__)

/* ---- Address --------------------------------------------------------------------------------- */

/* HOST, HOST:PORT or [IPV6], [IPV6]:PORT; `size` bytes. */
static bool is_broker(const char *text, size_t size)
{
    size_t host;
    if (size > 0 && *text == '[') {
        const char *end = memchr(text, ']', size);
        host = end ? (size_t)(end - text) + 1 : 0;
        if (host < 4 || strspn(text + 1, "0123456789abcdefABCDEF:.") != host - 2) {
            return false;
        }
    } else {
        host = strspn(text, letters);
        host = host < size ? host : size;
    }
    if (host == 0 || host == size) {
        return host > 0;
    }
    char port[8];
    size_t port_size = size - host - 1;
    int64_t number = 0;
    if (text[host] != ':' || port_size == 0 || port_size >= sizeof port) {
        return false;
    }
    memcpy(port, text + host + 1, port_size);
    port[port_size] = '\0';
    return wr_parse_number(port, 1, PORT_MAX, &number);
}

static weir_status check_brokers(const struct wr_endpoint *endpoint, struct wr_error *error)
{
    const char *at = endpoint->brokers;
    for (;; at++) {
        size_t size = strcspn(at, ",");
        if (!is_broker(at, size)) {
            return usage(error,
                         "\"%.*s\": \"%.*s\" is no broker; write HOST:PORT, or [IPV6]:PORT, with , "
                         "between several",
                         SHOWN, endpoint->uri, size < 64 ? (int)size : 64, at);
        }
        at += size;
        if (!*at) {
            return WEIR_OK;
        }
    }
}

static bool is_topic(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= TOPIC_BYTES_MAX && strspn(name, letters) == size &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

weir_status wr_endpoint_split_address(char *address, struct wr_endpoint *endpoint,
                                      struct wr_error *error)
{
    const char *uri = endpoint->uri;
    if (strncmp(address, "//", 2) != 0) {
        return usage(error, "\"%.*s\" has no // behind kafka:; write kafka://HOST:PORT/TOPIC",
                     SHOWN, uri);
    }
    char *topic = strchr(address + 2, '/');
    if (!topic || !topic[1]) {
        return usage(error, "\"%.*s\" names no topic; write kafka://HOST:PORT/TOPIC", SHOWN, uri);
    }
    *topic++ = '\0';
    if (!address[2]) {
        return usage(error, "\"%.*s\" names no broker; write kafka://HOST:PORT/%.249s", SHOWN, uri,
                     topic);
    }
    endpoint->brokers = address + 2;
    endpoint->path = topic;
    WR_TRY(check_brokers(endpoint, error));
    if (!is_topic(topic)) {
        return usage(error,
                     "\"%.*s\": \"%.64s\" is no name for a topic of Kafka; they are 1 to %d of "
                     "A-Z a-z 0-9 _ . -",
                     SHOWN, uri, topic, TOPIC_BYTES_MAX);
    }
    return WEIR_OK;
}

static bool has_broker(const char *brokers, const char *broker, size_t size)
{
    for (;; brokers++) {
        size_t other = strcspn(brokers, ",");
        if (other == size && strncasecmp(brokers, broker, size) == 0) {
            return true;
        }
        brokers += other;
        if (!*brokers) {
            return false;
        }
    }
}

bool wr_brokers_overlap(const char *a, const char *b)
{
    for (;; a++) {
        size_t size = strcspn(a, ",");
        if (has_broker(b, a, size)) {
            return true;
        }
        a += size;
        if (!*a) {
            return false;
        }
    }
}

/* ---- Where to begin -------------------------------------------------------------------------- */

/* Exactly `count` digits at *at, which moves behind them. */
static bool take_digits(const char **at, int count, int *value_out)
{
    *value_out = 0;
    for (; count > 0; count--, (*at)++) {
        if (!isdigit((unsigned char)**at)) {
            return false;
        }
        *value_out = 10 * *value_out + (**at - '0');
    }
    return true;
}

static bool take(const char **at, char c)
{
    bool there = **at == c;
    *at += there;
    return there;
}

/* THH:MM[:SS[.mmm]]Z */
static bool take_clock(const char **at, struct tm *tm, int *ms_out)
{
    if (!take_digits(at, 2, &tm->tm_hour) || !take(at, ':') || !take_digits(at, 2, &tm->tm_min)) {
        return false;
    }
    if (**at == ':') {
        ++*at;
        if (!take_digits(at, 2, &tm->tm_sec)) {
            return false;
        }
    }
    if (**at == '.') {
        ++*at;
        if (!take_digits(at, 3, ms_out)) {
            return false;
        }
    }
    return take(at, 'Z');
}

static bool parse_time(const char *text, int64_t *ms_out)
{
    struct tm tm = {.tm_sec = 0};
    int ms = 0;
    const char *at = text;
    if (!take_digits(&at, 4, &tm.tm_year) || !take(&at, '-') || !take_digits(&at, 2, &tm.tm_mon) ||
        !take(&at, '-') || !take_digits(&at, 2, &tm.tm_mday)) {
        return false;
    }
    if (*at == 'T') {
        at++;
        if (!take_clock(&at, &tm, &ms)) {
            return false;
        }
    }
    if (*at || tm.tm_year < YEAR_MIN || tm.tm_year > YEAR_MAX) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon--;
    struct tm given = tm;
    time_t seconds = timegm(&tm); /* brings the 31st of June to July: no such day was meant */
    *ms_out = (int64_t)seconds * 1000 + ms;
    return tm.tm_mon == given.tm_mon && tm.tm_mday == given.tm_mday &&
           tm.tm_hour == given.tm_hour && tm.tm_min == given.tm_min && tm.tm_sec == given.tm_sec;
}

bool wr_parse_begin(const char *text, struct wr_begin *begin_out)
{
    struct wr_begin begin = {WR_BEGIN_EARLIEST, 0};
    if (strcmp(text, "earliest") == 0) {
        begin.from = WR_BEGIN_EARLIEST;
    } else if (strcmp(text, "latest") == 0) {
        begin.from = WR_BEGIN_LATEST;
    } else if (wr_parse_number(text, 0, WR_COUNTER_MAX, &begin.value)) {
        begin.from = WR_BEGIN_OFFSET;
    } else if (*text == '@' ? wr_parse_number(text + 1, 0, WR_COUNTER_MAX, &begin.value)
                            : parse_time(text, &begin.value)) {
        begin.from = WR_BEGIN_TIME;
    } else {
        return false;
    }
    if (begin_out) {
        *begin_out = begin;
    }
    return true;
}

struct wr_begin wr_endpoint_begin(const struct wr_endpoint *endpoint)
{
    struct wr_begin begin = {WR_BEGIN_EARLIEST, 0};
    const char *text = wr_endpoint_parameter(endpoint, "start");
    if (text) {
        wr_parse_begin(text, &begin); /* was checked */
    }
    return begin;
}

/* ---- Which partitions ------------------------------------------------------------------------ */

/* A range "A" or "A-B" at *at, which moves to what follows it. */
static bool take_range(const char **at, int64_t *low_out, int64_t *high_out)
{
    char text[2][8];
    size_t size[2] = {strspn(*at, "0123456789"), 0};
    const char *second = *at + size[0];
    bool pair = *second == '-';
    size[1] = pair ? strspn(second + 1, "0123456789") : 0;
    for (int i = 0; i <= pair; i++) {
        if (size[i] == 0 || size[i] >= sizeof *text) {
            return false;
        }
        memcpy(text[i], i ? second + 1 : *at, size[i]);
        text[i][size[i]] = '\0';
        if (!wr_parse_number(text[i], 0, WR_PARTITIONS_MAX - 1, i ? high_out : low_out)) {
            return false;
        }
    }
    if (!pair) {
        *high_out = *low_out;
    }
    *at = pair ? second + 1 + size[1] : second;
    return *low_out <= *high_out;
}

bool wr_parse_partitions(const char *text)
{
    int64_t low, high;
    for (;; text++) {
        if (!take_range(&text, &low, &high)) {
            return false;
        }
        if (*text != '+') {
            return *text == '\0';
        }
    }
}

int32_t wr_endpoint_next_partition(const struct wr_endpoint *endpoint, int32_t from)
{
    const char *text = wr_endpoint_parameter(endpoint, "partitions");
    int64_t low, high, next = INT64_MAX;
    if (!text) {
        return from;
    }
    for (; take_range(&text, &low, &high); text++) {
        int64_t first = low > from ? low : from;
        if (first <= high && first < next) {
            next = first;
        }
        if (*text != '+') {
            break;
        }
    }
    return next == INT64_MAX ? -1 : (int32_t)next;
}

bool wr_parse_place(const char *text, struct wr_place *place_out)
{
    struct wr_place place = {WR_PLACE_KEY, 0};
    int64_t number = 0;
    if (strcmp(text, "key") == 0) {
        place.by = WR_PLACE_KEY;
    } else if (strcmp(text, "source") == 0) {
        place.by = WR_PLACE_SOURCE;
    } else if (wr_parse_number(text, 0, WR_PARTITIONS_MAX - 1, &number)) {
        place.by = WR_PLACE_NUMBER;
        place.partition = (int32_t)number;
    } else {
        return false;
    }
    if (place_out) {
        *place_out = place;
    }
    return true;
}

struct wr_place wr_endpoint_place(const struct wr_endpoint *endpoint)
{
    struct wr_place place = {WR_PLACE_KEY, 0};
    const char *text = wr_endpoint_parameter(endpoint, "partition");
    if (text) {
        wr_parse_place(text, &place); /* was checked */
    }
    return place;
}

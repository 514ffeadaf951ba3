/* access_log: requests, bytes and status classes of each path of a web site, from its log in the
 * Apache combined format ("%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"").
 *
 *     weir run build/examples/access_log.so -i lines=file:/var/log/apache2/access.log
 *     sqlite3 -readonly access_log.weir "SELECT value->>'requests' AS requests, key
 *         FROM paths ORDER BY requests DESC LIMIT 10"
 *     weir rejects access_log.weir
 *
 * Table `paths` has an object for each path: {"requests":7,"bytes":4096,"1xx":0,"2xx":6,"3xx":0,
 * "4xx":1,"5xx":0}. Topic `requests` has each request for other jobs to read, as errors.c does:
 * key PATH, value "STATUS BYTES", time as logged.
 *
 * The path is what was asked for, up to a "?", as Apache wrote it, with its escapes (\" and \xHH).
 * A line that is not exactly of the format is a dead letter, with the first thing that is wrong.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <weir.h>

struct request {
    weir_bytes path; /* points into the line */
    int64_t time_ms, status, bytes;
};

/* ---- One line -------------------------------------------------------------------------------- */

/* Takes what stands before the first `end` off the front of `rest`, and that `end`. */
static bool take(weir_bytes *rest, char end, weir_bytes *field_out)
{
    const char *text = rest->data;
    const char *found = rest->size ? memchr(text, end, rest->size) : NULL;
    if (!found) {
        return false;
    }
    *field_out = (weir_bytes){text, (size_t)(found - text)};
    *rest = (weir_bytes){found + 1, rest->size - field_out->size - 1};
    return true;
}

/* Takes exactly this text off the front. */
static bool skip(weir_bytes *rest, const char *text)
{
    size_t size = strlen(text);
    if (rest->size < size || memcmp(rest->data, text, size) != 0) {
        return false;
    }
    *rest = (weir_bytes){(const char *)rest->data + size, rest->size - size};
    return true;
}

/* Takes the rest of a quoted field, up to a quote that no backslash escapes. */
static bool take_quoted(weir_bytes *rest, weir_bytes *field_out)
{
    const char *text = rest->data;
    size_t at = 0;
    while (at < rest->size && text[at] != '"') {
        at += text[at] == '\\' ? 2 : 1;
    }
    if (at >= rest->size) {
        return false;
    }
    *field_out = (weir_bytes){text, at};
    *rest = (weir_bytes){text + at + 1, rest->size - at - 1};
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Nothing but digits, 15 at most. */
static bool number(weir_bytes text, int64_t *number_out)
{
    const char *digits = text.data;
    *number_out = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (i == 15 || !is_digit(digits[i])) {
            return false;
        }
        *number_out = *number_out * 10 + (digits[i] - '0');
    }
    return text.size > 0;
}

/* 17/May/2015:10:05:03 +0000 */
static bool parse_time(weir_bytes field, int64_t *time_ms_out)
{
    static const char form[] = "00/Mon/0000:00:00:00 +0000";
    static const char months[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    char text[sizeof form] = "", month[4] = "", sign = '+';
    int day = 0, year = 0, hour = 0, minute = 0, second = 0, zone = 0;
    bool fits = field.size == sizeof form - 1;
    for (size_t i = 0; fits && i < field.size; i++) {
        text[i] = ((const char *)field.data)[i];
        if (form[i] == '0') {
            fits = is_digit(text[i]);
        } else if (strchr("/: ", form[i])) {
            fits = text[i] == form[i];
        }
    }
    if (!fits || sscanf(text, "%2d/%3c/%4d:%2d:%2d:%2d %c%4d", &day, month, &year, &hour, &minute,
                        &second, &sign, &zone) != 8) {
        return false;
    }
    const char *found = strstr(months, month);
    if (!found || (found - months) % 4 != 0 || strlen(month) != 3 || hour > 23 || minute > 59 ||
        second > 59 || (sign != '+' && sign != '-') || zone > 2359 || zone % 100 > 59) {
        return false;
    }
    struct tm date = {.tm_mday = day, .tm_mon = (int)(found - months) / 4, .tm_year = year - 1900};
    int64_t seconds = timegm(&date) + hour * 3600 + minute * 60 + second;
    int64_t ahead = (zone / 100 * 60 + zone % 100) * 60;
    *time_ms_out = (sign == '-' ? seconds + ahead : seconds - ahead) * 1000;
    return date.tm_mday == day; /* timegm makes the 31st of February one of March */
}

/* GET /path?query HTTP/1.1 */
static bool parse_path(weir_bytes request, weir_bytes *path_out)
{
    weir_bytes method, target, rest;
    if (!take(&request, ' ', &method) || !take(&request, ' ', &target) || method.size == 0 ||
        request.size < 6 || memcmp(request.data, "HTTP/", 5) != 0 || take(&request, ' ', &rest)) {
        return false;
    }
    if (!take(&target, '?', path_out)) {
        *path_out = target;
    }
    return path_out->size > 0;
}

/* Whether a line is of the format; if not, why. */
static bool parse_line(weir_bytes line, struct request *out, const char **why_out)
{
    weir_bytes host, ident, user, time, request, status, bytes, referer, agent;
    *out = (struct request){.bytes = 0};
    if (!take(&line, ' ', &host) || !take(&line, ' ', &ident) || !take(&line, '[', &user) ||
        !take(&line, ']', &time) || host.size == 0 || ident.size == 0 || user.size < 2) {
        *why_out = "it does not begin with HOST IDENT USER [TIME]";
    } else if (!parse_time(time, &out->time_ms)) {
        *why_out = "the time is not DD/Mon/YYYY:HH:MM:SS +HHMM";
    } else if (!skip(&line, " \"") || !take_quoted(&line, &request) || !skip(&line, " ")) {
        *why_out = "no request in quotes";
    } else if (!parse_path(request, &out->path)) {
        *why_out = "the request is not METHOD PATH HTTP/VERSION";
    } else if (!take(&line, ' ', &status) || status.size != 3 || !number(status, &out->status) ||
               out->status < 100 || out->status > 599) {
        *why_out = "the status is not from 100 to 599";
    } else if (!skip(&line, "- ") && (!take(&line, ' ', &bytes) || !number(bytes, &out->bytes))) {
        *why_out = "the size is neither a number nor \"-\", or the line ends there";
    } else if (!skip(&line, "\"") || !take_quoted(&line, &referer) || !skip(&line, " \"") ||
               !take_quoted(&line, &agent)) {
        *why_out = "no referer and user agent in quotes";
    } else if (line.size != 0) {
        *why_out = "something follows the user agent";
    } else {
        return true;
    }
    return false;
}

/* ---- The job --------------------------------------------------------------------------------- */

static void parse(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct request request;
    const char *why = NULL;
    if (!parse_line(in->value, &request, &why)) {
        weir_reject(ctx, why);
        return;
    }
    char text[48];
    snprintf(text, sizeof text, "%" PRId64 " %" PRId64, request.status, request.bytes);
    weir_record out = *in;
    out.key = request.path;
    out.value = weir_text(text);
    out.time_ms = request.time_ms;
    weir_emit(ctx, &out);
}

/* Adds to one of the numbers that are kept of this path, and gives the sum. */
static int64_t add(weir_ctx *ctx, const char *slot, int64_t amount)
{
    int64_t sum = 0;
    weir_to_i64(weir_get(ctx, weir_text(slot)), &sum); /* nothing stored yet: stays 0 */
    if (amount != 0) {
        sum = amount < INT64_MAX - sum ? sum + amount : INT64_MAX; /* a log may say anything */
        weir_put(ctx, weir_text(slot), weir_i64(ctx, sum));
    }
    return sum;
}

static void total(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_bytes bytes = in->value, status = {NULL, 0};
    int64_t code = 0, size = 0;
    take(&bytes, ' ', &status);
    number(status, &code);
    number(bytes, &size);

    char text[256];
    int64_t requests = add(ctx, "requests", 1);
    int used = snprintf(text, sizeof text, "{\"requests\":%" PRId64 ",\"bytes\":%" PRId64, requests,
                        add(ctx, "bytes", size));
    for (int64_t digit = 1; digit <= 5; digit++) {
        char name[] = {(char)('0' + digit), 'x', 'x', '\0'};
        used += snprintf(text + used, sizeof text - (size_t)used, ",\"%s\":%" PRId64, name,
                         add(ctx, name, code / 100 == digit));
    }
    snprintf(text + used, sizeof text - (size_t)used, "}");
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_name(job, "access_log");
    weir_stream *lines = weir_from(job, "lines", "file:access.log");
    weir_stream *requests = weir_through(lines, "parse", parse, NULL);
    weir_into(requests, "requests", "log:requests");
    weir_into(weir_through(requests, "total", total, NULL), "paths", "table:paths");
}

"""The example job access_log against what Python finds in the same lines by a regular expression:
nasty ones, and thousands that are damaged at random, with kill -9 in the middle.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import datetime
import json
import random
import re
import unittest

from example_kit import ExampleTest

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
QUOTED = rb'"((?:[^"\\]|\\[\x00-\xff])*)"'
LINE = re.compile(
    rb'[^ ]+ [^ ]+ [^\[]{2,}\[(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\] ' +
    QUOTED + rb' ([1-5]\d\d) (-|\d{1,15}) ' + QUOTED + b" " + QUOTED)
GOOD = b'10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 12 "-" "x"'


def time_ms(fields):
    """Milliseconds since 1970 of a time's fields; None: there is no such time."""
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = fields
    ahead = datetime.timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    if month.decode() not in MONTHS or int(zone_hours) > 23 or int(zone_minutes) > 59:
        return None
    try:
        local = datetime.datetime(int(year), MONTHS.index(month.decode()) + 1, int(day), int(hour),
                                  int(minute), int(second))
    except ValueError:
        return None
    utc = local - datetime.datetime(1970, 1, 1) - (ahead if sign == b"+" else -ahead)
    return utc // datetime.timedelta(milliseconds=1)


def path_of(request):
    """The path of METHOD PATH?QUERY HTTP/VERSION; empty: it is not of this form."""
    words = request.split(b" ")
    if len(words) != 3 or not words[0] or not words[2].startswith(b"HTTP/") or len(words[2]) == 5:
        return b""
    return words[1].split(b"?")[0]


def count(lines):
    """What the job should find: (path, value, time) of each good line, the numbers of each path,
    and the lines that are none."""
    requests, paths, bad = [], collections.defaultdict(collections.Counter), []
    for line in lines:
        match = LINE.fullmatch(line)
        moment = time_ms(match.groups()[:9]) if match else None
        path = path_of(match.group(10)) if match else b""
        if moment is None or not path:
            bad.append(line)
            continue
        status, size = match.group(11), match.group(12)
        size = 0 if size == b"-" else int(size)
        requests.append((path, b"%s %d" % (status, size), moment))
        paths[path].update({"requests": 1, "bytes": size, f"{status[:1].decode()}xx": 1})
    return requests, paths, bad


class LogTest(ExampleTest):
    """Compares what a job found with what Python finds."""

    def check(self, job, lines):
        requests, paths, bad = count(lines)
        found = [(record["key"], record["value"], record["time_ms"])
                 for record in job.topic("requests")]
        self.assertEqual(found, requests)
        names = ["requests", "bytes", "1xx", "2xx", "3xx", "4xx", "5xx"]
        expected = {path: {name: sums[name] for name in names} for path, sums in paths.items()}
        found = {key.encode() if isinstance(key, str) else key: json.loads(value)
                 for key, value in job.query("SELECT key, value FROM paths")}
        self.assertEqual(found, expected)
        self.assertEqual([value for value, in job.query("SELECT value FROM reject ORDER BY id")],
                         bad)
        job.verify()


class AccessLog(LogTest):
    def run_lines(self, lines):
        self.write("access.log", lines)
        job = self.job("access_log", "a.weir")
        job.run()
        self.check(job, lines)
        return job

    # One thing is wrong with each line, and the dead letter names it.
    def test_reasons(self):
        wrong = [
            (b"", "HOST IDENT USER"), (b"x", "HOST IDENT USER"), (b" " + GOOD, "HOST IDENT USER"),
            (GOOD.replace(b" - - ", b" - "), "HOST IDENT USER"),
            (GOOD.replace(b"]", b""), "HOST IDENT USER"),
            (GOOD.replace(b"May", b"may"), "the time"), (GOOD.replace(b"May", b"n F"), "the time"),
            (GOOD.replace(b"May", b"M\0y"), "the time"), (GOOD.replace(b"17/", b"32/"), "the time"),
            (GOOD.replace(b"17/May", b"31/Apr"), "the time"),
            (GOOD.replace(b"17/May", b"29/Feb"), "the time"),
            (GOOD.replace(b"10:05:03", b"24:05:03"), "the time"),
            (GOOD.replace(b"10:05:03", b"10:60:03"), "the time"),
            (GOOD.replace(b"10:05:03", b"10:05:60"), "the time"),
            (GOOD.replace(b"10:05:03", b"10:05: 3"), "the time"),
            (GOOD.replace(b"+0000", b"*0000"), "the time"),
            (GOOD.replace(b"+0000", b"+2400"), "the time"),
            (GOOD.replace(b"+0000", b"+0060"), "the time"),
            (GOOD.replace(b"+0000", b"UTC"), "the time"),
            (GOOD.replace(b'"GET', b"GET"), "no request"),
            (GOOD.replace(b'1.1" 200', b"1.1 200").replace(b'"-" "x"', b""), "no request"),
            (GOOD.replace(b"GET /a HTTP/1.1", b"-"), "METHOD PATH"),
            (GOOD.replace(b"GET /a HTTP/1.1", b""), "METHOD PATH"),
            (GOOD.replace(b"GET /a HTTP/1.1", rb"\x16\x03\x01"), "METHOD PATH"),
            (GOOD.replace(b"GET /a HTTP/1.1", b"GET /a"), "METHOD PATH"),
            (GOOD.replace(b"GET /a HTTP/1.1", b"GET  HTTP/1.1"), "METHOD PATH"),
            (GOOD.replace(b"GET /a HTTP/1.1", b"GET ?a HTTP/1.1"), "METHOD PATH"),
            (GOOD.replace(b"GET /a HTTP/1.1", b"GET /a b HTTP/1.1"), "METHOD PATH"),
            (GOOD.replace(b" 200 ", b" 99 "), "the status"),
            (GOOD.replace(b" 200 ", b" 600 "), "the status"),
            (GOOD.replace(b" 200 ", b" 2000 "), "the status"),
            (GOOD.replace(b" 200 ", b" +20 "), "the status"),
            (GOOD.replace(b" 12 ", b" -1 "), "the size"),
            (GOOD.replace(b" 12 ", b"  "), "the size"),
            (GOOD.replace(b" 12 ", b" 1234567890123456 "), "the size"),
            (GOOD.replace(b' "-" "x"', b""), "the size"),  # the common format
            (GOOD.replace(b'"-" "x"', b""), "no referer"),
            (GOOD[:-1], "no referer"), (GOOD[:-1] + b'\\"', "no referer"),
            (GOOD + b" ", "something follows"), (GOOD + b"\r", "something follows"),
        ]
        lines = [line for line, _ in wrong]
        reasons = self.run_lines([GOOD, *lines, GOOD]).rejects()
        self.assertEqual(len(reasons), len(wrong))
        for (line, text), reason in zip(wrong, reasons):
            self.assertIn(text, reason, line)

    # Nothing is wrong with these, though they look it.
    def test_odd_but_good(self):
        odd = [
            GOOD, GOOD.replace(b" 12 ", b" - "), GOOD.replace(b" 12 ", b" 999999999999999 "),
            GOOD.replace(b"/a", rb"/say\"hello\"?to=\"you\""), GOOD.replace(b"/a", rb"/ends\\"),
            GOOD.replace(b"/a", b"/a?"), GOOD.replace(b"/a", b"/a?b?c"), GOOD.replace(b"/a", b"*"),
            GOOD.replace(b"/a", rb"/\xe2\x82"), GOOD.replace(b"/a", "/ü".encode()),
            GOOD.replace(b"/a", b"/\xff\xfe"), GOOD.replace(b"/a", b"/\0"),
            GOOD.replace(b" - - [", b" - John Q. Public ["), GOOD.replace(b" - - [", b' - "" ['),
            GOOD.replace(b'"-"', b'""'), GOOD.replace(b'"x"', rb'"\\"'),
            GOOD.replace(b'"x"', rb'"a \"quoted\" [agent] 200 -"'),
            GOOD.replace(b"10.0.0.1", b"2001:db8::1"), GOOD.replace(b"17/May/2015", b"29/Feb/2016"),
            GOOD.replace(b"+0000", b"-0730"), GOOD.replace(b"+0000", b"+1345"),
            GOOD.replace(b"17/May/2015:10", b"31/Dec/1969:23"),
            GOOD.replace(b"2015", b"9999"), GOOD.replace(b" 200 ", b" 101 "),
            GOOD.replace(b" 200 ", b" 599 "), GOOD.replace(b"GET", b"PROPFIND"),
        ]
        self.run_lines(odd)
        self.assertEqual(count(odd)[2], [])

    # Good lines with a few bytes changed, cut out or put in, killed in the middle.
    def test_random_damage(self):
        rng = random.Random(1)
        pieces = [b'"', b"\\", b" ", b"[", b"]", b"-", b"?", b"0", b"\0", b"\xff", b'" "', b"/"]
        lines = []
        for i in range(6000):
            line = GOOD.replace(b"/a", b"/page%d?x=%d" % (rng.randrange(50), i))
            for _ in range(rng.choice([0, 0, 1, 1, 2])):
                at = rng.randrange(len(line))
                line = line[:at] + rng.choice(pieces) + line[at + rng.randrange(3):]
            lines.append(line)
        path = self.write("access.log", lines)
        job = self.job("access_log", "a.weir", "--epoch-records", 20)
        job.run_with_kills(path.stat().st_size)
        self.check(job, lines)


if __name__ == "__main__":
    unittest.main()

"""The example jobs that are made of operators (traffic, visitors, fraud, enrich, dedup, top10):
each against input that was checked by hand, and against what Python makes of random input, killed
in the middle.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import datetime
import json
import random
import unittest

from example_kit import ExampleTest

SMALL_EPOCHS = ("--epoch-records", 40)
MAY_17 = 1431820800  # 2015-05-17 00:00 UTC


def log_line(second, host=b"h", path=b"/a", status=200, said="17/May/2015:%H:%M:%S +0000"):
    """A line as a web server writes it, of so many seconds after midnight."""
    moment = datetime.datetime.fromtimestamp(MAY_17 + second, datetime.timezone.utc)
    said = moment.strftime(said).encode()
    return b'%s - - [%s] "GET %s?q HTTP/1.1" %d 12 "-" "x"' % (host, said, path, status)


def arrivals(rng, count, late_s):
    """(second, who) as they are logged: in order but for delays of up to late_s."""
    events, now = [], 36000
    for _ in range(count):
        now += rng.choice([0, 0, 1, 1, 2, 5])
        if rng.random() < 0.002:
            now += rng.randrange(600)
        events.append((now + rng.randint(0, late_s), now, b"/%d" % rng.randrange(9)))
    return [event[1:] for event in sorted(events, key=lambda event: event[0])]


def watermarks(events, out_of_order_s):
    """(second, who, the watermark that it finds) of each."""
    largest = float("-inf")
    for second, who in events:
        yield second, who, largest - out_of_order_s
        largest = max(largest, second)


class Traffic(ExampleTest):
    def rows(self, job):
        return {key.decode(errors="replace"): json.loads(value)
                for key, value in job.query("SELECT key, value FROM traffic")}

    # Three minutes, two paths. The minute 10:00 closes when 10:01 is passed by grace and disorder:
    # the line before that is counted, the one after it is late.
    def test_by_hand(self):
        ten = 36000
        self.write("access.log", [
            log_line(ten), log_line(ten + 59, status=404), log_line(ten + 60, status=399),
            log_line(ten + 61, path=b'/b', status=500), b"no line",
            log_line(ten + 60 + 10 + 599), log_line(ten + 59, status=400),
            log_line(ten + 60 + 10 + 600), log_line(ten + 58),
            log_line(ten + 60, status=503)])
        job = self.job("traffic", "t.weir")
        job.run()
        rows = {key: (row["requests"], row["errors"], row["error_rate"])
                for key, row in self.rows(job).items()}
        self.assertEqual(rows, {
            "2015-05-17 10:00 /a": (3, 2, 0.667), "2015-05-17 10:01 /a": (2, 1, 0.5),
            "2015-05-17 10:01 /b": (1, 1, 1.0), "2015-05-17 10:11 /a": (2, 0, 0.0)})
        late, = job.topic("late")
        self.assertEqual((late["key"], late["value"], late["time_ms"]),
                         (b"/a", b"200", (MAY_17 + ten + 58) * 1000))
        self.assertEqual(len(job.rejects()), 1)
        job.verify()

    # Zones count, and a path is quoted as JSON wants it.
    def test_odd_lines(self):
        self.write("access.log", [
            log_line(36000, path=b"/\xff\\x", said="17/May/2015:%H:%M:%S -0130"), b"", b"\0" * 9,
            log_line(36000).replace(b"May", b"ayJ"), log_line(36000).replace(b"1.1\"", b"1.1"),
            b"x" * 5000])
        job = self.job("traffic", "t.weir")
        job.run()
        row, = self.rows(job).values()
        self.assertEqual((row["minute"], row["path"]), ("2015-05-17 11:30", "/\ufffd\\x"))
        self.assertEqual(len(job.rejects()), 5)

    def test_killed(self):
        rng = random.Random(1)
        events = arrivals(rng, 15000, 200)
        statuses = [rng.choice([200, 200, 304, 404, 500]) for _ in events]
        path = self.write("access.log", [log_line(second, path=who, status=status)
                                         for (second, who), status in zip(events, statuses)])
        minutes, late = collections.defaultdict(lambda: [0, 0]), 0
        for (second, who, watermark), status in zip(watermarks(events, 5), statuses):
            start = second // 60 * 60
            if start + 60 + 90 <= watermark:
                late += 1
                continue
            moment = datetime.datetime.fromtimestamp(MAY_17 + start, datetime.timezone.utc)
            totals = minutes[f"{moment:%Y-%m-%d %H:%M} {who.decode()}"]
            totals[0] += 1
            totals[1] += status >= 400
        self.assertGreater(late, 100)
        job = self.job("traffic", "t.weir", "-D", "out_of_order_ms=5000", "-D", "grace_ms=90000",
                       *SMALL_EPOCHS)
        job.run_with_kills(path.stat().st_size)
        found = {key: [row["requests"], row["errors"]] for key, row in self.rows(job).items()}
        self.assertEqual(found, dict(minutes))
        self.assertEqual(len(job.topic("late")), late)
        job.verify()


class Visitors(ExampleTest):
    def sessions(self, job):
        return [(r["key"], *map(int, r["value"].split(b","))) for r in job.topic("sessions")]

    # Half an hour between two requests is one session, a second more makes two. Ann's sessions are
    # joined by a line that comes late.
    def test_by_hand(self):
        self.write("access.log", [
            log_line(0, b"ann"), log_line(0, b"bob"), log_line(1800, b"bob"),
            log_line(3601, b"bob"), log_line(3600, b"ann"), log_line(1800, b"ann"), b"[no line"])
        job = self.job("visitors", "v.weir", "--drain", "-D", "out_of_order_ms=1802000")
        job.run()
        found = [(who, start - MAY_17 * 1000, end - MAY_17 * 1000, requests)
                 for who, start, end, requests in self.sessions(job)]
        self.assertEqual(found, [(b"bob", 0, 1800000, 2), (b"ann", 0, 3600000, 3),
                                 (b"bob", 3601000, 3601000, 1)])
        self.assertEqual(len(job.rejects()), 1)

    def test_killed(self):
        events = arrivals(random.Random(2), 15000, 100)
        path = self.write("access.log", [log_line(second, who) for second, who in events])
        gap, told, late = 20, [], 0
        opened = collections.defaultdict(list)  # who: [first, last, requests] of the open ones
        for second, who, watermark in watermarks(events, 60):
            told += [(who, *s) for s in opened[who] if s[1] + gap <= watermark]
            alive = [s for s in opened[who] if s[1] + gap > watermark]
            met = [s for s in alive if s[0] - gap <= second <= s[1] + gap]
            if not met and second + gap <= watermark:
                late += 1
            else:
                alive = [s for s in alive if s not in met]
                alive.append([min([second] + [s[0] for s in met]),
                              max([second] + [s[1] for s in met]), 1 + sum(s[2] for s in met)])
            opened[who] = alive
        told += [(who, *s) for who in opened for s in opened[who]]
        job = self.job("visitors", "v.weir", "--drain", "-D", f"gap_ms={gap * 1000}",
                       "-D", "out_of_order_ms=60000", *SMALL_EPOCHS)
        job.run_with_kills(path.stat().st_size)
        self.assertGreater(late, 10)
        self.assertEqual(sorted(self.sessions(job)), sorted(
            (who, (MAY_17 + first) * 1000, (MAY_17 + last) * 1000, requests)
            for who, first, last, requests in told))
        self.assertEqual(len(job.rejects()), late)
        self.assertEqual(job.query("SELECT count(*) FROM state"), [(0,)])
        job.verify()


class Fraud(ExampleTest):
    def alerts(self, job):
        return [(r["key"], r["value"], r["time_ms"]) for r in job.topic("alerts")]

    # Exactly a minute counts; a millisecond more, a card of another one, a payment in between, and
    # 500.00 and 1.00 themselves do not.
    def test_by_hand(self):
        self.write("payments.csv", [
            b"0,exact,99", b"0,more,99", b"0,between,99", b"0,one,100", b"0,five,99", b"9,else,99",
            b"10,between,100", b"11,between,50001", b"12,one,50001", b"13,five,50000",
            b"60000,exact,50001", b"60001,more,50001", b"70000,again,1", b"70001,again,1",
            b"130001,again,50001", b"130002,again,50001"])
        job = self.job("fraud", "f.weir", "--drain")
        job.run()
        self.assertEqual(self.alerts(job), [(b"exact", b"50001", 60000),
                                            (b"again", b"50001", 130001)])
        self.assertEqual(job.query("SELECT count(*) FROM state"), [(0,)])

    def test_bad_lines(self):
        self.write("payments.csv", [b"5,a,1", b"4,a,1", b"", b"5,a", b"5,,1", b"5,a,", b"x,a,1",
                                    b"5,a,1x", b"5,a,1,", b",,", b"9" * 16 + b",a,1"])
        job = self.job("fraud", "f.weir")
        job.run()
        reasons = collections.Counter(job.rejects())
        self.assertEqual(reasons, {"earlier than a payment before it": 1,
                                   "the line is not TIME_MS,CARD,CENTS": 9})

    def test_killed(self):
        rng, now, last, expected, lines = random.Random(3), 0, {}, [], []
        for _ in range(20000):
            now += rng.choice([0, 100, 2000])
            card, cents = b"c%d" % rng.randrange(40), rng.choice([50, 99, 100, 700, 50000, 60000])
            lines.append(b"%d,%s,%d" % (now, card, cents))
            when, before = last.get(card, (0, 100))
            if before < 100 and now <= when + 60000 and cents > 50000:
                expected.append((card, b"%d" % cents, now))
            last[card] = now, cents
        path = self.write("payments.csv", lines)
        job = self.job("fraud", "f.weir", *SMALL_EPOCHS)
        job.run_with_kills(path.stat().st_size)
        self.assertEqual(self.alerts(job), expected)
        job.verify()


class Options(ExampleTest):
    # Misspelt numbers stop the run before it begins.
    def test_no_numbers(self):
        for name, option in (("traffic", "grace_ms=10m"), ("visitors", "gap_ms=0"),
                             ("fraud", "large=-1"), ("dedup", "ttl_ms="), ("top10", "n=ten")):
            job = self.job(name, "x.weir", "-D", option)
            self.assertIn(f"-D {option} is no whole number from", job.run(code=64))


class Enrich(ExampleTest):
    def named(self, job):
        return [(r["key"], r["value"]) for r in job.topic("named")]

    # A name counts from when it comes, until it is another one or gone.
    def test_by_hand(self):
        orders = self.write("orders.tsv", [b"c1\ttea"])
        customers = self.write("customers.tsv", [])
        job = self.job("enrich", "e.weir")
        steps = [(b"c1\tAnn", b"c1\tmilk"), (b"c1\tAnna", b"c1\tbread"), (b"c1", b"c1\teggs"),
                 (b"c1\t", b"c1\t\tjam")]
        job.run()
        for customer, order in steps:
            for path, line in (customers, customer), (orders, order):
                path.write_bytes(path.read_bytes() + line + b"\n")
                job.run()
        self.assertEqual(self.named(job), [
            (b"c1", b"tea\t?"), (b"c1", b"milk\tAnn"), (b"c1", b"bread\tAnna"),
            (b"c1", b"eggs\t?"), (b"c1", b"\tjam\t")])

    # An order without an order in it.
    def test_no_tab(self):
        self.write("orders.tsv", [b"c1", b""])
        self.write("customers.tsv", [b"c1\tAnn"])
        job = self.job("enrich", "e.weir")
        job.run()
        self.assertEqual(len(job.rejects()), 2)

    def test_an_option_that_makes_no_sense(self):
        job = self.job("enrich", "e.weir", "-D", "wait=maybe")
        self.assertIn("wait=maybe is neither yes nor no", job.run(code=64))

    # With wait=yes each order finds the whole table, also when it was killed while it waited.
    def test_killed(self):
        rng = random.Random(4)
        names = {b"c%d" % i: b"name %d" % i for i in range(2000) if rng.random() < 0.8}
        orders = [(b"c%d" % rng.randrange(2000), b"order %d" % i) for i in range(10000)]
        sizes = [self.write(name, [b"%s\t%s" % row for row in rows]).stat().st_size
                 for name, rows in (("customers.tsv", names.items()), ("orders.tsv", orders))]
        job = self.job("enrich", "e.weir", "-D", "wait=yes", *SMALL_EPOCHS)
        job.run_with_kills(sum(sizes))
        self.assertEqual(self.named(job), [(key, b"%s\t%s" % (order, names.get(key, b"?")))
                                           for key, order in orders])
        job.verify()


class Dedup(ExampleTest):
    def events(self, job):
        return [(r["key"], r["value"], r["time_ms"]) for r in job.topic("events")]

    def test_by_hand(self):
        first = b'{"time":1000,"id":"x","heat":20}'
        self.write("a.json", [first, b'{"id":"y","time":5}', first])
        self.write("b.json", [first, b'{"id":"","time":7}', b'{"id":7,"time":7}', b'{"id":"z"}',
                              b"", b"[1", b'{"id":"z","time":"7"}'])
        job = self.job("dedup", "d.weir")
        job.run()
        self.assertEqual(sorted(self.events(job)), [
            (b"", b'{"id":"","time":7}', 7), (b"x", first, 1000),
            (b"y", b'{"id":"y","time":5}', 5)])
        self.assertEqual(len(job.rejects()), 5)

    # When its time is over an id is new again, and is not kept any more.
    def test_forgets(self):
        path = self.write("a.json", [b'{"id":"x","time":%d}' % time for time in (0, 99, 100)])
        self.write("b.json", [])
        job = self.job("dedup", "d.weir", "-D", "ttl_ms=100", "-D", "out_of_order_ms=0")
        job.run()
        self.assertEqual(job.query("SELECT count(*) FROM state"), [(0,)])
        with open(path, "ab") as more:
            more.write(b'{"id":"x","time":101}\n' * 2)
        job.run()
        self.assertEqual([time for _, _, time in self.events(job)], [0, 101])

    # Both collectors have everything, in another order, and repeat some of it.
    def test_killed(self):
        rng = random.Random(5)
        lines = [b'{"id":"%d","time":%d}' % (i, 10 * i) for i in range(10000)]
        total = 0
        for name in "a.json", "b.json":
            sent = [(i + rng.randint(0, 500), line) for i, line in enumerate(lines)]
            sent += [(i + rng.randint(0, 900), line) for i, line in enumerate(lines)
                     if rng.random() < 0.2]
            total += self.write(name, [line for _, line in sorted(sent)]).stat().st_size
        job = self.job("dedup", "d.weir", *SMALL_EPOCHS)
        job.run_with_kills(total)
        found = [value for _, value, _ in self.events(job)]
        self.assertEqual(len(found), len(lines))
        self.assertEqual(set(found), set(lines))
        job.verify()


class Top10(ExampleTest):
    def top(self, job):
        return [(rank, value.decode()) for rank, value
                in job.query("SELECT key, value FROM top10 ORDER BY key")]

    # It reads what access_log writes. The page that has its number longer comes first.
    def test_by_hand(self):
        pages = [b"/a", b"/b", b"/c", b"/b", b"/c", b"/c", b"/a"]
        self.write("access.log", [log_line(i, path=page) for i, page in enumerate(pages)])
        self.job("access_log", "access_log.weir").run()
        job = self.job("top10", "t.weir", "--until-end", "-D", "n=2")
        job.run()
        self.assertEqual(self.top(job), [(1, "3 /c"), (2, "2 /b")])

    def test_killed(self):
        count, keys = 30000, 50
        job = self.job("top10", "t.weir", "-i", f"requests=gen:keyed?records={count}&keys={keys}",
                       "--epoch-records", 60)
        job.run_with_kills(count)
        seen = collections.Counter()
        for i in range(count):  # the first to reach a number is the first in the list of it
            seen[i * 2654435761 % keys] += 1
        since = {key: i for i in range(count) for key in [i * 2654435761 % keys]}
        best = sorted(seen, key=lambda key: (-seen[key], since[key]))[:10]
        self.assertEqual(self.top(job), [(i + 1, f"{seen[key]} {key}")
                                         for i, key in enumerate(best)])
        job.verify()


if __name__ == "__main__":
    unittest.main()

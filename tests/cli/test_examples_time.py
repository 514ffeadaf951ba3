"""The example jobs session and hot_items against a batch computation over the same events: in
order, out of order within the bound, beyond it, and with kill -9 in the middle.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import random
import unittest

from example_kit import ExampleTest

GAP_MS = 1000
SMALL_EPOCHS = ("--epoch-records", 40)


def random_events(rng, count, names, step_ms):
    """(time, name) pairs in order, with pauses now and then, and several at one time."""
    events, now = [], 1_700_000_000_000
    for _ in range(count):
        now += rng.choice([0, 1, step_ms, 2 * step_ms])
        if rng.random() < 0.002:
            now += 40 * step_ms * rng.randrange(1, 20)
        events.append((now, b"%s" % rng.choice(names)))
    return events


def shuffled(rng, events, out_of_order_ms):
    """The order in which they arrive when each is delayed by up to out_of_order_ms."""
    delayed = [(time + rng.randint(0, out_of_order_ms), event) for event in events
               for time in event[:1]]
    return [event for _, event in sorted(delayed, key=lambda pair: pair[0])]


def as_lines(events):
    return [b"%d,%s" % event for event in events]


def sessions_of(events):
    """(closing time, user, start, end, count) of every session, in the order they are told in."""
    by_user = collections.defaultdict(list)
    for time, user in sorted(events):
        sessions = by_user[user]
        if sessions and time - sessions[-1][1] <= GAP_MS:
            sessions[-1][1:] = time, sessions[-1][2] + 1
        else:
            sessions.append([time, time, 1])
    return sorted((end + GAP_MS + 1, user, start, end, count)
                  for user, sessions in by_user.items() for start, end, count in sessions)


def sessions_and_late_ones_of(arrivals, out_of_order_ms):
    """The same, arrival by arrival, for events that come later than promised. An event is late when
    its session, with those that it meets and the watermark leaves open, would be closed."""
    told, late, largest = [], [], None
    sessions = collections.defaultdict(list)  # user: [start, end, count] of the open ones
    for time, user in arrivals:
        watermark = float("-inf") if largest is None else largest - out_of_order_ms
        largest = max(time, largest or time)
        closed = [s for s in sessions[user] if s[1] + GAP_MS + 1 <= watermark]
        told += [(s[1] + GAP_MS + 1, user, *s) for s in closed]
        alive = [s for s in sessions[user] if s not in closed]
        met = [s for s in alive if s[0] - GAP_MS <= time <= s[1] + GAP_MS]
        start, end = min([time] + [s[0] for s in met]), max([time] + [s[1] for s in met])
        if end + GAP_MS + 1 > watermark:
            alive = [s for s in alive if s not in met]
            alive.append([start, end, 1 + sum(s[2] for s in met)])
        else:
            late.append((time, user))
        sessions[user] = alive
    told += [(s[1] + GAP_MS + 1, user, *s) for user in sessions for s in sessions[user]]
    return sorted(told), late


class Session(ExampleTest):
    USERS = [b"user%d" % i for i in range(60)]

    def arrange(self, seed, count, out_of_order_ms):
        """Events that arrive at most out_of_order_ms late; returns them and their size as lines."""
        rng = random.Random(seed)
        events = random_events(rng, count, self.USERS, 20)
        path = self.write("events.csv", as_lines(shuffled(rng, events, out_of_order_ms)))
        return events, path.stat().st_size

    def job_with(self, out_of_order_ms, *options):
        return self.job("session", "s.weir", "--drain", "-D", f"gap_ms={GAP_MS}",
                        "-D", f"out_of_order_ms={out_of_order_ms}", *options)

    def check(self, job, expected, late=()):
        found = []
        for record in job.topic("sessions"):
            start, end, count = map(int, record["value"].split(b","))
            found.append((record["time_ms"], record["key"], start, end, count))
        self.assertEqual(found, expected)
        self.assertEqual([r["value"] for r in job.topic("late")], as_lines(late))
        self.assertEqual(job.query("SELECT count(*) FROM timer"), [(0,)])
        self.assertEqual(job.query("SELECT count(*) FROM state"), [(0,)])
        job.verify()

    def test_in_order(self):
        events, _ = self.arrange(1, 5000, 0)
        job = self.job_with(0)
        job.run()
        self.check(job, sessions_of(events))

    def test_out_of_order(self):
        events, _ = self.arrange(2, 5000, 5 * GAP_MS)
        job = self.job_with(5 * GAP_MS)
        job.run()
        self.check(job, sessions_of(events))

    # Events that come later than promised: those that still meet an open session count, the rest
    # goes to the sink `late`.
    def test_late(self):
        rng = random.Random(3)
        events = random_events(rng, 5000, self.USERS, 20)
        arrivals = shuffled(rng, events, 8 * GAP_MS)
        self.write("events.csv", as_lines(arrivals))
        expected, late = sessions_and_late_ones_of(arrivals, GAP_MS)
        self.assertGreater(len(late), 100)
        job = self.job_with(GAP_MS)
        job.run()
        self.check(job, expected, late)

    # The two oracles say the same when nothing is late.
    def test_the_oracles_agree(self):
        rng = random.Random(7)
        events = random_events(rng, 3000, self.USERS, 20)
        arrivals = shuffled(rng, events, GAP_MS)
        found = sessions_and_late_ones_of(arrivals, GAP_MS)
        self.assertEqual(found, (sessions_of(events), []))

    # Two events exactly gap_ms apart are one session; one millisecond more makes two.
    def test_the_gap_is_inclusive(self):
        events = [(0, b"a"), (GAP_MS, b"a"), (2 * GAP_MS + 1, b"a")]
        self.write("events.csv", as_lines(events))
        job = self.job_with(0)
        job.run()
        self.check(job, [(2 * GAP_MS + 1, b"a", 0, GAP_MS, 2),
                         (3 * GAP_MS + 2, b"a", 2 * GAP_MS + 1, 2 * GAP_MS + 1, 1)])

    # Without --drain a session stays open at the end, and a later run with more input goes on
    # with it. An input file may grow at its end.
    def test_open_sessions_survive_the_end(self):
        path = self.write("events.csv", as_lines([(0, b"a"), (10, b"a")]))
        options = ("-D", f"gap_ms={GAP_MS}")
        job = self.job("session", "s.weir", *options)
        job.run()
        self.assertEqual(job.topic("sessions"), [])
        with open(path, "ab") as more:
            more.write(b"20,a\n5000,b\n")
        job.run()
        self.assertEqual([r["value"] for r in job.topic("sessions")], [b"0,20,3"])

    def test_bad_lines_are_dead_letters(self):
        self.write("events.csv", [b"1,a", b"", b"x,a", b"2,", b"12", b",", b"1" * 40 + b",a"])
        job = self.job_with(0)
        job.run()
        self.assertEqual(job.rejects(), ["the line is not TIME_MS,USER"] * 6)
        self.assertEqual([r["value"] for r in job.topic("sessions")], [b"1,1,1"])

    def test_a_gap_that_is_no_number(self):
        self.write("events.csv", [b"1,a"])
        job = self.job("session", "s.weir", "-D", "gap_ms=1s")
        self.assertIn("gap_ms=1s is no number of milliseconds", job.run(code=64))

    def test_an_order_that_is_no_number(self):
        self.write("events.csv", [b"1,a"])
        job = self.job("session", "s.weir", "-D", "out_of_order_ms=soon")
        job.run(code=64)

    def test_killed(self):
        events, total = self.arrange(4, 20000, 5 * GAP_MS)
        job = self.job_with(5 * GAP_MS, *SMALL_EPOCHS)
        job.run_with_kills(total)
        self.check(job, sessions_of(events))

    # Killed while the end is drained, at the moment when all input is decided.
    def test_killed_while_draining(self):
        events = [(i % 3, b"user%d" % i) for i in range(10000)]
        path = self.write("events.csv", as_lines(events))
        job = self.job_with(10, "--epoch-records", 500)
        job.kill_at(path.stat().st_size)
        job.run()
        self.check(job, sessions_of(events))


def hot_items_of(arrivals, out_of_order_ms):
    """(window end, auction, bids) of each window's hottest auctions; how many bids were late."""
    windows = collections.defaultdict(collections.Counter)
    late, largest = 0, None
    for time, auction in arrivals:
        watermark = float("-inf") if largest is None else largest - out_of_order_ms
        starts = [s for s in range(time // 2000 * 2000 - 10000, time + 1, 2000)
                  if s <= time < s + 10000]
        open_ones = [s for s in starts if s + 10000 > watermark]
        for start in open_ones:
            windows[start][auction] += 1
        late += not open_ones
        largest = max(time, largest or time)
    hottest = [(start + 10000, auction, bids)
               for start, counts in windows.items() for auction, bids in counts.items()
               if bids == max(counts.values())]
    return sorted(hottest), late


class HotItems(ExampleTest):
    AUCTIONS = [b"%d" % (1000 + i) for i in range(12)]

    def arrange(self, seed, count, shuffle_ms):
        rng = random.Random(seed)
        bids = random_events(rng, count, self.AUCTIONS, 100)
        arrivals = shuffled(rng, bids, shuffle_ms)
        path = self.write("bids.csv", as_lines(arrivals))
        return arrivals, path.stat().st_size

    def job_with(self, out_of_order_ms, *options):
        return self.job("hot_items", "h.weir", "--drain",
                        "-D", f"out_of_order_ms={out_of_order_ms}", *options)

    def check(self, job, arrivals, out_of_order_ms):
        found = []
        for record in job.topic("hot_items"):
            start, auction, bids = record["value"].split(b",")
            self.assertEqual(record["key"], start)
            self.assertEqual(record["time_ms"], int(start) + 10000)
            found.append((record["time_ms"], auction, int(bids)))
        expected, late = hot_items_of(arrivals, out_of_order_ms)
        self.assertEqual(found, expected)
        self.assertEqual(len(job.rejects()), late)
        self.assertEqual(job.query("SELECT count(*) FROM timer"), [(0,)])
        self.assertEqual(job.query("SELECT count(*) FROM state"), [(0,)])
        job.verify()
        return late

    def test_in_order(self):
        arrivals, _ = self.arrange(1, 4000, 0)
        job = self.job_with(0)
        job.run()
        self.assertEqual(self.check(job, arrivals, 0), 0)

    def test_out_of_order(self):
        arrivals, _ = self.arrange(2, 4000, 7000)
        job = self.job_with(7000)
        job.run()
        self.assertEqual(self.check(job, arrivals, 7000), 0)

    # Bids later than promised count in the windows that are still open, or are dead letters.
    def test_late(self):
        arrivals, _ = self.arrange(3, 4000, 30000)
        job = self.job_with(1000)
        job.run()
        self.assertGreater(self.check(job, arrivals, 1000), 100)

    # One bid: five windows, the first of which began 8 s before.
    def test_one_bid(self):
        self.write("bids.csv", [b"0,7"])
        job = self.job_with(0)
        job.run()
        self.assertEqual([r["value"] for r in job.topic("hot_items")],
                         [b"-8000,7,1", b"-6000,7,1", b"-4000,7,1", b"-2000,7,1", b"0,7,1"])

    # Many windows end at one step of the watermark: all counts of each reach it before it closes.
    def test_a_jump_closes_many_windows(self):
        arrivals = [(i * 10, b"%d" % (i % 7)) for i in range(3000)] + [(10**9, b"1")]
        self.write("bids.csv", as_lines(shuffled(random.Random(5), arrivals[:-1], 30000)
                                        + arrivals[-1:]))
        job = self.job_with(30000)
        job.run()
        self.check(job, arrivals, 10**12)

    def test_killed(self):
        arrivals, total = self.arrange(6, 20000, 7000)
        job = self.job_with(7000, *SMALL_EPOCHS)
        job.run_with_kills(total)
        self.check(job, arrivals, 7000)


if __name__ == "__main__":
    unittest.main()

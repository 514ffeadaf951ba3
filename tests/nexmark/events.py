"""Random events of an auction house, for tests of Nexmark's queries: few ids, prices and times, so
that bids tie, sessions touch, and what is at the edge of a window is often there.

Everything follows from the seed. What is made is lists of (kind, fields), in the order in which
they arrive.

SPDX-License-Identifier: Apache-2.0
"""

import json
import random

BEGIN_MS = 1_767_225_540_000  # a minute before midnight, UTC, so that there are several days
HOUR_MS = 3_600_000
TIMES = (0, 0, 0, 0, 5, 10, 50, 100, 500)
PRICES = (1, 99, 100, 9999, 10000, 10001, 500_000, 999_999, 1_000_000, 1_101_321, 1_101_322,
          1_101_323, 55_066_079, 55_066_080, 100_000_000, 7_654_321)
CHANNELS = ("apple", "Google", "FACEBOOK", "baidu", "apples", "channel-7", "channel-8", "",
            "Bücher \"neu\"", "a\\b\tc\n", "\x01control\x7f", "日本", "😀/x")
HOST = "https://www.nexmark.com"
URLS = (f"{HOST}/abo/baa/cab/item.htm?query=1&channel_id=123",
        f"{HOST}/a/b/c/item.htm?query=1&channel_id=&x=1", f"{HOST}/a/b/item.htm?query=1",
        f"{HOST}/a//c", f"{HOST}/", HOST, "", "////", "channel_id=9&channel_id=8",
        f"{HOST}/a/b/c?x&channel_id=\"q\"\\&", f"{HOST}/ä/ö/ü/?chchannel_id=é&", "channel_i",
        "a/b", f"{HOST}/x/y/z")
STATES = ("or", "id", "ca", "wa", "az", "OR", "oregon", "")
NAMES = ("Ada Baker", "Ben \"B\" Carter", "Clära\u2028", "", "Emma\\Evans\n")
EXTRAS = ("", "c", "cccC", "abc \"c\" \\c", "\u00e7c\u0107", "x" * 700, "\x01c\x1f", "c/d c")


class Maker:
    """Persons, auctions, bids, about 1 : 3 : 12, in the order of their times."""

    def __init__(self, seed, unique_times=False):
        self.random = random.Random(seed)
        self.now = BEGIN_MS - 6 * HOUR_MS * (seed % 2)
        self.unique_times = unique_times
        self.persons = self.auctions = 0

    def tick(self):
        self.now += self.random.choice(TIMES) + self.unique_times
        if self.random.random() < 0.002:
            self.now += self.random.choice((9_999, 10_000, 10_001, 20_000))
        if self.random.random() < 0.003:
            self.now += HOUR_MS

    def person(self):
        self.persons += 1
        return "Person", {
            "id": self.persons, "name": self.random.choice(NAMES),
            "email_address": "a@b.example", "credit_card": "1234 5678",
            "city": self.random.choice(("Bend", "Salem", "São Paulo")),
            "state": self.random.choice(STATES), "date_time": self.now, "extra": "p"}

    def auction(self):
        self.auctions += 1
        return "Auction", {
            "id": self.auctions, "item_name": "item", "description": "what it \"is\"",
            "initial_bid": 1, "reserve": 2, "date_time": self.now,
            "expires": self.now + self.random.choice((0, 100, 500, 2_000, 10_000, 60_000)),
            "seller": self.near(self.persons, 4), "category": self.random.randint(9, 12),
            "extra": "a"}

    def near(self, last, span):
        """An id that is there, or comes soon."""
        return max(1, last - self.random.randint(-2, span))

    def bid(self):
        if self.random.random() < 0.3:
            auction = self.near(self.auctions // 20 * 20, 0)  # the hot one
        else:
            auction = self.near(self.auctions, 10)
        return "Bid", {
            "auction": auction, "bidder": self.random.randint(1, 25),
            "price": self.random.choice(PRICES) if self.random.random() < 0.7
            else self.random.randint(1, 3_000_000),
            "channel": self.random.choice(CHANNELS), "url": self.random.choice(URLS),
            "date_time": self.now, "extra": self.random.choice(EXTRAS)}

    def next(self):
        self.tick()
        draw = self.random.randrange(16)
        return self.person() if draw == 0 else self.auction() if draw < 4 else self.bid()


def in_order(seed, count, unique_times=False):
    maker = Maker(seed, unique_times)
    return [maker.next() for _ in range(count)]


def delayed(seed, events, delay_ms_max):
    """The order in which they arrive when one in two is delayed by up to so much; so none comes
    after one that is more than delay_ms_max later."""
    rng = random.Random(seed)
    keyed = [(event[1]["date_time"] + rng.choice((0, rng.randint(0, delay_ms_max))), i, event)
             for i, event in enumerate(events)]
    return [event for _, _, event in sorted(keyed, key=lambda item: item[:2])]


def line(event, seed=0):
    """An event as a line of JSON: as any writer might, so with or without spaces and escapes, and
    with fields in any order."""
    kind, fields = event
    rng = random.Random(f"{seed} {fields['date_time']} {kind}")
    names = list(fields)
    if rng.random() < 0.5:
        rng.shuffle(names)
    separators = rng.choice(((",", ":"), (", ", ": "), (" ,", "\t:")))
    text = json.dumps({kind: {name: fields[name] for name in names}},
                      ensure_ascii=rng.random() < 0.5, separators=separators)
    return text.encode()


def write(path, events):
    path.write_bytes(b"".join(line(event) + b"\n" for event in events))
    return path

"""Nexmark's queries as SQL over all events at once, in sqlite3, which shares no code with the jobs.

What depends on the order of arrival is said in SQL too: `line` is that order, and `watermark` what
the largest date_time before an event leaves: an event is late for a window that ends by then.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import json
import sqlite3

GAP_MS = 10_000
SIDE = [(auction, f"side \"{auction}\"") for auction in range(0, 10_000, 3)]  # of q13

TABLES = """
CREATE TABLE event AS
    SELECT line, kind, fields,
           max(date_time) OVER (ORDER BY line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
               - :disorder AS watermark
    FROM (SELECT line, kind, fields, json_extract(fields, '$.date_time') AS date_time FROM input);
CREATE TABLE person AS
    SELECT line, watermark, fields ->> 'id' AS id, fields ->> 'name' AS name,
           fields ->> 'city' AS city, fields ->> 'state' AS state,
           fields ->> 'date_time' AS date_time
    FROM event WHERE kind = 'Person';
CREATE TABLE auction AS
    SELECT line, watermark, fields ->> 'id' AS id, fields ->> 'seller' AS seller,
           fields ->> 'category' AS category, fields ->> 'date_time' AS date_time,
           fields ->> 'expires' AS expires
    FROM event WHERE kind = 'Auction';
CREATE INDEX auction_id ON auction(id);
CREATE TABLE bid AS
    SELECT line, watermark, fields ->> 'auction' AS auction, fields ->> 'bidder' AS bidder,
           fields ->> 'price' AS price, fields ->> 'channel' AS channel, fields ->> 'url' AS url,
           fields ->> 'date_time' AS date_time, fields ->> 'extra' AS extra,
           date(fields ->> 'date_time' / 1000, 'unixepoch') AS day,
           CASE WHEN fields ->> 'price' < 10000 THEN 1
                WHEN fields ->> 'price' < 1000000 THEN 2 ELSE 3 END AS rank
    FROM event WHERE kind = 'Bid';
CREATE TABLE until AS  -- windows that end by then are closed in the end
    SELECT CASE WHEN :drained THEN 9e18 ELSE max(fields ->> 'date_time') - :disorder END AS end_ms
    FROM event;
CREATE VIEW winner AS
    SELECT * FROM (
        SELECT a.id AS auction, a.category, b.bidder, b.price, b.date_time AS bid_date_time,
               row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.line)
                   AS place
        FROM auction a JOIN bid b
        ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires)
    WHERE place = 1;
"""

COUNTS = """
    count(*) AS total_bids,
    count(*) FILTER (WHERE rank = 1) AS rank1_bids,
    count(*) FILTER (WHERE rank = 2) AS rank2_bids,
    count(*) FILTER (WHERE rank = 3) AS rank3_bids"""

DISTINCT = "".join(f""",
    count(DISTINCT {what}) AS total_{what}s,
    count(DISTINCT {what}) FILTER (WHERE rank = 1) AS rank1_{what}s,
    count(DISTINCT {what}) FILTER (WHERE rank = 2) AS rank2_{what}s,
    count(DISTINCT {what}) FILTER (WHERE rank = 3) AS rank3_{what}s"""
                   for what in ("bidder", "auction"))

# What is behind the n-th slash of the url, up to the next one: n steps, each of which cuts.
PARTS = """
    WITH RECURSIVE step(line, n, part, rest) AS (
        SELECT line, -1, '', url || '/' FROM bid
        UNION ALL
        SELECT line, n + 1, substr(rest, 1, instr(rest, '/') - 1),
               substr(rest, instr(rest, '/') + 1)
        FROM step WHERE n < 5 AND rest <> '')
    SELECT auction, bidder, price, channel,
           coalesce((SELECT part FROM step s WHERE s.line = b.line AND n = 3), '') AS dir1,
           coalesce((SELECT part FROM step s WHERE s.line = b.line AND n = 4), '') AS dir2,
           coalesce((SELECT part FROM step s WHERE s.line = b.line AND n = 5), '') AS dir3
    FROM bid b"""

# A bidder's bids one after the other; `sessions` is a JSON array of [first, last, bids]. A bid
# joins the open ones that it touches, or else makes one, if that would not be closed already.
SESSIONS = """
    WITH RECURSIVE numbered AS MATERIALIZED (
        SELECT bidder, date_time AS t, coalesce(watermark, -9e18) AS w,
               row_number() OVER (PARTITION BY bidder ORDER BY line) AS n FROM bid),
    step(bidder, n, sessions) AS (
        SELECT DISTINCT bidder, 0, '[]' FROM bid
        UNION ALL
        SELECT s.bidder, b.n,
            (WITH old AS (SELECT value ->> 0 AS first, value ->> 1 AS last, value ->> 2 AS bids
                          FROM json_each(s.sessions)),
                  met AS (SELECT * FROM old WHERE last + :gap > b.w
                          AND first - :gap <= b.t AND b.t <= last + :gap),
                  new AS (SELECT * FROM old EXCEPT SELECT * FROM met
                          UNION ALL
                          SELECT min(b.t, coalesce(min(first), b.t)),
                                 max(b.t, coalesce(max(last), b.t)), 1 + coalesce(sum(bids), 0)
                          FROM met HAVING b.t + :gap > b.w OR count(*) > 0)
             SELECT json_group_array(json_array(first, last, bids)) FROM new)
        FROM step s JOIN numbered b ON b.bidder = s.bidder AND b.n = s.n + 1)
    SELECT s.bidder, value ->> 2 AS bid_count, value ->> 0 AS window_start,
           (value ->> 1) + :gap AS window_end
    FROM (SELECT bidder, sessions, max(n) FROM step GROUP BY bidder) s, json_each(s.sessions),
         until
    WHERE window_end <= end_ms"""

# name: (the table's key, or None where each result stays; columns that are REAL; the query)
QUERIES = {
    "q0": (None, (), "SELECT auction, bidder, price, date_time, extra FROM bid"),
    "q1": (None, ("price",), """
        SELECT auction, bidder, price * 908 / 1000.0 AS price, date_time, extra FROM bid"""),
    "q2": (None, (), "SELECT auction, price FROM bid WHERE auction % 123 = 0"),
    "q3": (None, (), """
        SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id
        WHERE a.category = 10 AND p.state IN ('or', 'id', 'ca')"""),
    "q4": (("category",), ("avg_price",), """
        SELECT category, avg(final) AS avg_price FROM (
            SELECT a.id, a.category, max(b.price) AS final FROM auction a JOIN bid b
            ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
            GROUP BY a.id, a.category) GROUP BY category"""),
    "q5": (None, (), """
        WITH RECURSIVE hop(k) AS (VALUES (0) UNION ALL SELECT k + 1 FROM hop WHERE k < 4),
        counted AS (
            SELECT date_time - date_time % 2000 - 2000 * k AS window_start, auction,
                   count(*) AS num
            FROM bid, hop, until
            WHERE window_start + 10000 > coalesce(watermark, -9e18)
            AND window_start + 10000 <= end_ms
            GROUP BY window_start, auction)
        SELECT window_start, auction, num FROM counted c
        WHERE num = (SELECT max(num) FROM counted m WHERE m.window_start = c.window_start)"""),
    "q7": (None, (), """
        WITH windowed AS (
            SELECT date_time - date_time % 10000 AS window_start, auction, bidder, price,
                   date_time
            FROM bid, until
            WHERE window_start + 10000 > coalesce(watermark, -9e18)
            AND window_start + 10000 <= end_ms)
        SELECT * FROM windowed w WHERE price =
            (SELECT max(price) FROM windowed m WHERE m.window_start = w.window_start)"""),
    "q8": (None, (), """
        WITH registered AS (
            SELECT DISTINCT id, name, date_time - date_time % 10000 AS window_start
            FROM person WHERE window_start + 10000 > coalesce(watermark, -9e18)),
        opened AS (
            SELECT DISTINCT seller, date_time - date_time % 10000 AS window_start
            FROM auction WHERE window_start + 10000 > coalesce(watermark, -9e18))
        SELECT p.id, p.name, p.window_start FROM registered p JOIN opened a
        ON p.id = a.seller AND p.window_start = a.window_start, until
        WHERE p.window_start + 10000 <= end_ms"""),
    "q9": (("auction",), (), "SELECT auction, bidder, price, bid_date_time FROM winner"),
    "q10": (None, (), """
        SELECT auction, bidder, price, date_time, extra, day AS dt,
               strftime('%H:%M', date_time / 1000, 'unixepoch') AS hm FROM bid"""),
    "q11": (None, (), SESSIONS),
    "q13": (None, (), """
        SELECT auction, bidder, price, date_time, value FROM bid JOIN side
        ON auction % 10000 = key"""),
    "q14": (None, ("price",), """
        SELECT auction, bidder, price * 908 / 1000.0 AS price,
               CASE WHEN hour BETWEEN 8 AND 18 THEN 'dayTime'
                    WHEN hour <= 6 OR hour >= 20 THEN 'nightTime' ELSE 'otherTime' END
                   AS bid_time_type,
               date_time, length(extra) - length(replace(extra, 'c', '')) AS c_counts
        FROM (SELECT *, CAST(strftime('%H', date_time / 1000, 'unixepoch') AS INTEGER) AS hour
              FROM bid)
        WHERE price * 908 > 1000000000 AND price * 908 < 50000000000"""),
    "q15": (("day",), (), f"SELECT day, {COUNTS} {DISTINCT} FROM bid GROUP BY day"),
    "q16": (("channel", "day"), (), f"""
        SELECT channel, day, max(strftime('%H:%M', date_time / 1000, 'unixepoch')) AS minute,
               {COUNTS} {DISTINCT} FROM bid GROUP BY channel, day"""),
    "q17": (("auction", "day"), ("avg_price",), f"""
        SELECT auction, day, {COUNTS}, min(price) AS min_price, max(price) AS max_price,
               avg(price) AS avg_price, sum(price) AS sum_price FROM bid GROUP BY auction, day"""),
    "q18": (("auction", "bidder"), (), """
        SELECT auction, bidder, price, date_time FROM (
            SELECT *, row_number() OVER (PARTITION BY bidder, auction
                                         ORDER BY date_time DESC, line DESC) AS place FROM bid)
        WHERE place = 1"""),
    "q19": (("auction", "rank_number"), (), """
        SELECT * FROM (
            SELECT auction, bidder, price, date_time,
                   row_number() OVER (PARTITION BY auction ORDER BY price DESC, date_time, line)
                       AS rank_number FROM bid) WHERE rank_number <= 10"""),
    "q20": (None, (), """
        SELECT b.auction, b.bidder, b.price, b.date_time, a.seller, a.category
        FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10"""),
    "q21": (None, (), """
        SELECT auction, bidder, price, channel, channel_id FROM (
            SELECT *, CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1'
                           WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
                           ELSE substr(rest, 1, instr(rest || '&', '&') - 1) END AS channel_id
            FROM (SELECT *, CASE WHEN instr(url, 'channel_id=') > 0 THEN
                                substr(url, instr(url, 'channel_id=') + 11) END AS rest
                  FROM bid)) WHERE channel_id IS NOT NULL"""),
    "q22": (None, (), PARTS),
}


class Oracle:
    """What each query should give for these events, which arrived in this order."""

    def __init__(self, events, out_of_order_ms, drained=True):
        self.database = sqlite3.connect(":memory:")
        self.database.execute("CREATE TABLE input(line INTEGER PRIMARY KEY, kind, fields)")
        self.database.executemany(
            "INSERT INTO input(kind, fields) VALUES (?, ?)",
            ((kind, json.dumps(fields)) for kind, fields in events))
        self.database.execute("CREATE TABLE side(key, value)")
        self.database.executemany("INSERT INTO side VALUES (?, ?)", SIDE)
        for statement in TABLES.split(";\n"):
            self.database.execute(statement,
                                  {"disorder": out_of_order_ms, "drained": drained})

    def rows(self, query):
        """A list of dicts."""
        cursor = self.database.execute(QUERIES[query][2], {"gap": GAP_MS})
        names = [column[0] for column in cursor.description if column[0] != "place"]
        return [dict(zip(names, row)) for row in cursor]


def canonical(query, row):
    """A row as what can be compared: names, types and values. Only a column that is REAL may be
    written without decimals."""
    reals = QUERIES[query][1]
    return tuple((name, "number" if name in reals else type(value).__name__,
                  float(value) if name in reals else value)
                 for name, value in sorted(row.items()))


def differences(query, found, expected, examples=5):
    """What is wrong with the rows that were found, as text; empty when nothing is."""
    here = collections.Counter(canonical(query, row) for row in found)
    there = collections.Counter(canonical(query, row) for row in expected)
    text = []
    for what, rows in (("should not be there", here - there), ("is not there", there - here)):
        for row, count in list(rows.items())[:examples]:
            text.append(f"{query}: {what} ({count} times): "
                        f"{ {name: value for name, _, value in row} }")
    if here != there:
        text.append(f"{query}: {len(found)} rows found, {len(expected)} expected")
    return "\n".join(text)

"""The checker of the crash tests: all that a job gave out and keeps, and how two runs differ.

What is read: embedded topics by `weir consume --format json`; tables, dead letters, state, timers
and positions by plain SQLite; files as they are. Not compared is what a crash may change: how many
epochs there were, how records are packed, when something was written, which file a source is, and
how far past the last record's the nodes' watermarks were noted.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import json
import os
import re
import sqlite3
import subprocess

from crash_runs import ROOT, SECONDS_MAX, WEIR, Failure

SHOWN_MAX = 5  # differences of one kind that are named

KEPT = {  # what the store itself holds, one query a part
    "dead letters":
        "SELECT source, part, offset, node, input, seq, key, value, headers, time_ms, timer, reason"
        " FROM reject ORDER BY id",
    "state":
        "SELECT node.name, key, slot, value FROM state JOIN node ON node.id = state.node"
        " ORDER BY 1, 2, 3",
    "timers":
        "SELECT node.name, key, timer.name, clock, time_ms FROM timer JOIN node ON"
        " node.id = timer.node ORDER BY 1, 2, 3",
    "positions":
        "SELECT source, part, next, watermark_ms, idle FROM position ORDER BY 1, 2",
}


class Results:
    """`parts`: name of a part (a topic's partition, a table, a file, ...) → its items in order."""

    def __init__(self):
        self.parts = {}

    def read(self, job):
        store = sqlite3.connect(f"{job.store.as_uri()}?mode=ro", uri=True)
        try:
            store.text_factory = bytes
            for name, query in KEPT.items():
                self.parts[name] = [tuple(map(base_name, row)) for row in store.execute(query)]
            sinks = store.execute("SELECT uri, table_name FROM sink").fetchall()
            for table in [row[1].decode() for row in sinks if row[1]]:
                self.parts[f"table {table}"] = store.execute(
                    f'SELECT typeof(key), key, typeof(value), value FROM "{table}" ORDER BY key'
                ).fetchall()
            if any(row[0].startswith(b"sql:") for row in sinks):
                for table in users_tables(store):
                    self.parts[f"table {table}"] = store.execute(
                        f'SELECT rowid, * FROM "{table}" ORDER BY 1').fetchall()
            topics = [name.decode() for name, in
                      store.execute("SELECT name FROM topic WHERE outbox = 0 ORDER BY id")]
        finally:
            store.close()
        for topic in topics:
            self.read_topic(job, topic)
        for name in [uri[5:].decode() for uri, table in sinks if uri.startswith(b"file:")]:
            self.parts[f"file {name}"] = (job.folder / name).read_bytes().split(b"\n")
        return self

    def read_topic(self, job, topic):
        done = subprocess.run([WEIR, "consume", job.store, topic, "--format", "json"],
                              capture_output=True, timeout=SECONDS_MAX)
        if done.returncode != 0:
            raise Failure(f"weir consume of topic {topic} of {job} ended with {done.returncode}:\n"
                          f"{done.stderr.decode()}")
        for line in done.stdout.splitlines():
            record = json.loads(line)
            assert record.pop("topic") == topic
            part = self.parts.setdefault(f"topic {topic}/{record.pop('partition')}", [])
            key = record.get("key"), record.get("key_base64")
            part.append((record["offset"], key, json.dumps(record, sort_keys=True)))


def users_tables(store):
    """Tables that are neither weir's own nor SQLite's."""
    text = (ROOT / "txn" / "store_schema.c").read_text()
    own = set(re.findall(r'\{\d, "(\w+)"', text))
    assert len(own) > 10, "the list in store_schema.c is not as it was"
    names = [name.decode() for name, in store.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
    return [name for name in names if name not in own]


def base_name(value):
    """A source's part without its folder: each run has its own."""
    if isinstance(value, bytes) and value.startswith(b"/"):
        return os.path.basename(value)
    return value


def differences(expected, found, by_key=False):
    """Sentences, none when the runs agree: record for record, or with `by_key` (several input
    partitions, so their order is open) each key's records as multisets."""
    texts = []
    for name in sorted({*expected.parts, *found.parts}):
        want, have = expected.parts.get(name, []), found.parts.get(name, [])
        if by_key:
            texts += check_offsets(name, have)
            want, have = sorted_part(name, want), sorted_part(name, have)
        texts += compare_part(name, want, have)
    return texts


def check_offsets(name, items):
    """Offsets have no hole also where they may belong to other records than in another run."""
    if name.startswith("topic "):
        for i, item in enumerate(items):
            if item[0] != i:
                return [f"{name}: offset {item[0]} stands where {i} should"]
    return []


def sorted_part(name, items):
    """The items with what the order of the partitions decides left out."""
    if name.startswith("topic "):
        items = [(key, without_offset(text)) for offset, key, text in items]
    return sorted(items, key=repr)


def without_offset(text):
    record = json.loads(text)
    del record["offset"]
    return json.dumps(record, sort_keys=True)


def compare_part(name, want, have):
    if want == have:
        return []
    lost = list((collections.Counter(want) - collections.Counter(have)).elements())
    more = list((collections.Counter(have) - collections.Counter(want)).elements())
    texts = [f"{name}: lost: {item!r}" for item in lost[:SHOWN_MAX]]
    texts += [f"{name}: too much: {item!r}" for item in more[:SHOWN_MAX]]
    if not texts:
        at = next(i for i, pair in enumerate(zip(want, have)) if pair[0] != pair[1])
        texts.append(f"{name}: not in order from item {at} on: {have[at]!r}, not {want[at]!r}")
    if len(lost) + len(more) > len(texts):
        texts.append(f"{name}: {len(lost)} lost and {len(more)} too much in all, of {len(want)}")
    return texts


def check(expected, found, about, by_key=False):
    texts = differences(expected, found, by_key)
    if texts:
        raise Failure(f"{about} differs from the uncrashed run:\n  " + "\n  ".join(texts))

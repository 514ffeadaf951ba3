#!/usr/bin/env python3
"""verify.py: is what a read_committed reader saw what it should have seen?

    verify.py copy EXPECTED SEEN [--order partition|source|key|none]
                            every record of EXPECTED once, and in order: within each partition,
                            which is then the same in both (partition, the default); within each
                            pair of partitions, where records changed theirs (source); within each
                            key (key)
    verify.py count INPUT SEEN
                            of each key as many records as INPUT has, their values 1, 2, 3 ... in
                            the order of the partition that the key is in
    verify.py sum INPUT SEEN
                            of each key the running sum of INPUT's values, in order; a key has one
                            partition in INPUT and one in SEEN
    verify.py ends ENDS     no open transaction: stable is high, in lines of `kafka_tool ends`

Files are what `kafka_tool read --format raw` prints: PARTITION, OFFSET, KEY, VALUE between tabs.
Says what was lost, repeated, never expected, out of order, the first few of each, and exits with 0
when nothing was, else with 1. Knows nothing of weir.
SPDX-License-Identifier: Apache-2.0
"""

import argparse
import collections
import json
import sys

SHOWN = 3


class Report:
    """What was found wrong, by kind."""

    def __init__(self):
        self.found = collections.defaultdict(list)

    def add(self, kind, where):
        self.found[kind].append(where)

    def print(self, good):
        if not self.found:
            print(good)
            return 0
        for kind, places in self.found.items():
            shown = "; ".join(places[:SHOWN]) + ("; ..." if len(places) > SHOWN else "")
            print(f"{len(places)} {kind}: {shown}")
        return 1


def records(path):
    """(partition, offset, key, value) of each line, in bytes but for the offset."""
    with open(path, "rb") as lines:
        for line in lines:
            partition, offset, rest = line.rstrip(b"\n").split(b"\t", 2)
            key, tab, value = rest.partition(b"\t")
            if not tab:
                raise ValueError(f"{path}: no record: {line[:80]!r}")
            yield partition, int(offset), key, value


def in_offset_order(path):
    """The same, having checked that each partition's offsets rise: else the reader is at fault."""
    last = {}
    for record in records(path):
        partition, offset = record[:2]
        if offset <= last.get(partition, -1):
            raise ValueError(f"{path}: partition {partition.decode()}: offset {offset} after "
                             f"{last[partition]}")
        last[partition] = offset
        yield record


def text(key, value):
    whole = key.decode(errors="replace") + " = " + value.decode(errors="replace")
    return whole if len(whole) < 60 else whole[:57] + "..."


def compare(report, group, expected, seen):
    """Two lists of what can be told apart at most by its number among equal ones: the first of
    those in one list is the first of those in the other. What is left over is lost, or repeated."""
    places = collections.defaultdict(collections.deque)
    for place, item in enumerate(expected):
        places[item].append(place)
    known = set(places)
    last = -1
    for item in seen:
        if places.get(item):
            place = places[item].popleft()
            if place < last:
                report.add("out of order", f"{group}{text(*item)}")
            last = max(last, place)
        else:
            report.add("repeated" if item in known else "never expected", f"{group}{text(*item)}")
    for item, left in places.items():
        for _ in left:
            report.add("lost", f"{group}{text(*item)}")


def by(path, group):
    groups = collections.defaultdict(list)
    for partition, _offset, key, value in in_offset_order(path):
        groups[group(partition, key)].append((key, value))
    return groups


def compare_by(report, group, name, expected_path, seen_path):
    expected, seen = by(expected_path, group), by(seen_path, group)
    for one in sorted(set(expected) | set(seen)):
        where = f"{name} {one.decode(errors='replace')}: " if one else ""
        compare(report, where, expected.get(one, []), seen.get(one, []))
    return sum(map(len, seen.values()))


def check_copy(report, expected_path, seen_path, order):
    if order == "partition":
        return compare_by(report, lambda partition, _key: partition, "partition", expected_path,
                          seen_path)
    if order == "key":
        return compare_by(report, lambda _partition, key: key, "key", expected_path, seen_path)
    if order == "none":
        expected, seen = by(expected_path, lambda *_: b""), by(seen_path, lambda *_: b"")
        compare(report, "", sorted(expected[b""]), sorted(seen[b""]))
        return len(seen[b""])
    return check_sources(report, expected_path, seen_path)


def check_sources(report, expected_path, seen_path):
    """Records went to other partitions: those of one source that are in one partition are in the
    source's order. Records must be different from each other."""
    origin = {}
    for partition, offset, key, value in in_offset_order(expected_path):
        if (key, value) in origin:
            raise ValueError(f"{expected_path}: {text(key, value)} is there twice; "
                             "--order source needs different records")
        origin[(key, value)] = partition, offset
    found, last, count = set(), {}, 0
    for partition, _offset, key, value in in_offset_order(seen_path):
        item, count = (key, value), count + 1
        if item not in origin or item in found:
            report.add("repeated" if item in found else "never expected", text(*item))
            continue
        found.add(item)
        source, offset = origin[item]
        if offset < last.get((source, partition), -1):
            report.add("out of order", f"partition {partition.decode()}: {text(*item)}")
        last[(source, partition)] = max(offset, last.get((source, partition), -1))
    for item in origin.keys() - found:
        report.add("lost", text(*item))
    return count


def check_running(report, input_path, seen_path, step):
    """Each output is computed again from the input: step(sum so far, value) is the next."""
    so_far, expected, partition_of = {}, collections.defaultdict(list), {}
    for partition, _offset, key, value in in_offset_order(input_path):
        if step is not count_one and partition_of.setdefault(key, partition) != partition:
            raise ValueError(f"{input_path}: key {key.decode()} is in two partitions")
        so_far[key] = step(so_far.get(key, 0), value)
        expected[key].append((key, b"%d" % so_far[key]))
    seen, places = by(seen_path, lambda _partition, key: key), {}
    for partition, _offset, key, _value in records(seen_path):
        if places.setdefault(key, partition) != partition:
            report.add("out of order", f"key {key.decode(errors='replace')} is in two partitions")
    for key in sorted(set(expected) | set(seen)):
        compare(report, "", expected.get(key, []), seen.get(key, []))
    return sum(map(len, seen.values()))


def count_one(so_far, _value):
    return so_far + 1


def add_value(so_far, value):
    return so_far + int(value)


def check_ends(report, path):
    count = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            end = json.loads(line)
            count += 1
            if end["stable"] != end["high"]:
                report.add("open transactions", f"partition {end['partition']}: stable at "
                           f"{end['stable']} of {end['high']}")
    return count


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.partition("SPDX")[0],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=["copy", "count", "sum", "ends"])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--order", choices=["partition", "source", "key", "none"],
                        default="partition")
    given = parser.parse_args(words)
    if len(given.files) != (1 if given.check == "ends" else 2):
        parser.error(f"{given.check}: not so many files")
    report = Report()
    try:
        if given.check == "copy":
            count = check_copy(report, *given.files, given.order)
        elif given.check == "ends":
            count = check_ends(report, *given.files)
        else:
            count = check_running(report, *given.files,
                                  count_one if given.check == "count" else add_value)
    except (OSError, ValueError) as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return 65
    return report.print(f"{count} partitions, no open transaction" if given.check == "ends" else
                        f"{count} records: none lost, none repeated, all in order")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

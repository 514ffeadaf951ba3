#!/usr/bin/env python3
"""make_seeds.py: writes the seeds of the fuzzers, corpus/NAME/seed-*.in.

They are real things: the README's URIs, a configuration file, batches byte by byte as
docs/FORMAT.md has them, lines of a log. What fuzzers found, and what a merge kept for its coverage,
lies beside them under other names and is not touched. Run it after a change here.

SPDX-License-Identifier: Apache-2.0
"""

import glob
import gzip
import os
import re
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def zigzag(value):
    return (value << 1 ^ value >> 63) & 0xffffffffffffffff


def optional(data):
    return varint(0) if data is None else varint(len(data) + 1) + data


def headers(pairs):
    out = varint(len(pairs))
    for name, value in pairs:
        out += varint(len(name)) + name + optional(value)
    return out


def record(key, value, delta=0, pairs=()):
    return optional(key) + optional(value) + varint(zigzag(delta)) + headers(pairs)


def batch(records, first=0, time_ms=1000):
    body = b"".join(records)
    rest = struct.pack("<QIIqq", first, len(records), len(body), time_ms, time_ms) + body
    return struct.pack("<BBHI", 1, 0, 0, crc32c(rest)) + rest


RECORDS = [
    record(b"user-7", b"17", 0),
    record(None, b"no key", -5, [(b"source", b"lines"), (b"absent", None), (b"empty", b"")]),
    record(b"", None, 1 << 40),
    record(b"k" * 200, bytes(range(256)), 3),
]


def run(data):
    """A run of bytes as fuzz_bytes reads it."""
    return b"\xff" if data is None else bytes([len(data)]) + data


def uris():
    found = set()
    for path in ["README.md"] + glob.glob("docs/*.md", root_dir=ROOT):
        with open(os.path.join(ROOT, path), encoding="utf-8") as stream:
            found |= set(re.findall(r"\b(?:file|gen|log|table|stdout|null|kafka):[^\s`'\")|<]*",
                                    stream.read()))
    found |= {
        "-", "out.txt", "", "file:", "file:%2E%2e/a%20b%3F?append=true", "fil:x", "table:select",
        "table:counts?key=integer&value=real", "table:epoch", "table:" + "t" * 65, "file:%00",
        "log:orders?partitions=3,retain_ms=60000&retain_bytes=1G", "log:a b", "log:x?partition=2",
        "gen:keyed?records=10&keys=3&size=1k&seed=7&partitions=2&rate=5", "gen:line",
        "gen:keyed?size=1",
        "gen:lines?size=9223372036854775807k", "file:x?append=yes",
        "file:x?append=true&append=true",
        "log:t?store=other.weir&missing=earliest", "file:log*?follow=true",
        "file:a[0-9].gz?compression=gzip",
        "kafka://localhost:9092/topic?start=latest", "stdout:x", "null:?a=b", "file:x?",
        "file:x?=&,",
    }
    return {uri.rstrip(".,;") for uri in found}


CONFIG = """\
# what it reads and writes
input    in=gen:keyed?records=10&keys=3
output   counts=table:${PLACE}

  store = ${NESTED}.weir\r
epoch-ms 20
until-end
drain = true
stats=-
output out=file:$${PLACE}${EMPTY}
"""

CONFIGS = [
    CONFIG, "input", "input =", "until-end = maybe", "--store x", "config = other",
    "epoch-records = 0",
    "cache = 64M\ncache=1\nwal-max 4G\nforward-ms 100\npositions-ms 5000\n", "store = ${NOWHERE}",
    "store ${", "define a=b\ndefine a=c\ndefine =",
    "sync normal\ndelivery exactly-once\non-error stop",
    "drain false\nquiet\nverbose\n", "inptu in=file:x",
    "output topic=log:x?partitions=7\nlog = x\0y",
    "\n\n#\n \t\n", "input in=file:x*\ninput nobody=file:y\noutput counts=null:\n",
    "store=" + "s" * 300,
]

COMMANDS = ["run", "inspect", "verify", "topics", "produce", "consume", "rejects", "backup"]
OPTIONS = {
    "run": ["-i\nin=gen:keyed?records=3\n--until-end", "--epoch-ms=20\n-qv", "--until",
        "-o\ncounts=table:x",
            "--\n-x", "--wal-max\n4G\n--cache=1k\n-D\na=b", "-c\nmissing.conf", "-s", "--sync=ful",
            "-h"],
    "inspect": ["fuzz.weir\n--json", "fuzz.weir", "missing.weir", "--jsn"],
    "verify": ["fuzz.weir", "", "fuzz.weir\nanother"],
    "topics": ["fuzz.weir", "--help", "fuzz.weir\n--create\nx\n--partitions=3\n--retain-bytes\n1M",
               "fuzz.weir\n--delete=topic\n--force", "fuzz.weir\n--delete\nout"],
    "backup": ["fuzz.weir\ncopy.weir", "fuzz.weir\nfuzz.weir", "missing.weir\nx", "fuzz.weir"],
    "produce": ["fuzz.weir\ntopic\n-K\n\\t\n-Z", "new.weir\nt\n--partitions=3",
        "fuzz.weir\ntopic\n-H\na=b\n-T\n-5",
                "fuzz.weir\nnew topic", "fuzz.weir\ntopic\n-p9", "fuzz.weir\ntopic\n-K\\x2g"],
    "consume": ["fuzz.weir\ntopic\n-o\n3\n-n5\n--format\njson", "fuzz.weir\ntopci",
        "fuzz.weir\ntopic\n-oend",
                "fuzz.weir\ntopic\n-p2\n--format=text", "-n\n-1", "fuzz.weir\nall\n-o99999"],
    "rejects": ["fuzz.weir\n--retry\n--node\nrefuse", "fuzz.weir\n--delete\n--id\n2-3\n--count",
                "fuzz.weir\n--keep\n--reason=ninety", "fuzz.weir\n--id\n9-1",
                "fuzz.weir\n--format\njson\n-n2", "fuzz.weir", "fuzz.weir\n--format=jsn", "-n"],
}

ROWS = [
    "",
    "topic partitions 1 i 2147483647",
    "topic partitions 0 i -1\ntopic name 1 t a\"b\\x0a",
    "topic id 0 i -9223372036854775808",
    "progress next 2 i 9223372036854775807\nprogress first 0 i -5",
    "progress next 0 i 9223372036854775000\nmarker next 0 i 9223372036854775000",
    "progress next 0 i -1\nprogress identity 1 n",
    "progress next 1 i 9223372036854775807\nprogress watermark_ms 0 t soon",
    "progress part 0 t 9\nprogress source 1 b in\\x00",
    "meta value 0 i -1\nmeta value 1 i 9223372036854775807",
    "meta value 2 t x\nmeta value 3 n\nmeta value 4 b \\xff\\xfe\n"
    "meta value 5 i 9223372036854775807",
    "meta key 6 t generation",
    "node id 0 i 99\nnode version 1 i 4294967296\nnode name 2 b \\x00",
    "progress watermark_ms 1 i 9223372036854775807\n"
    "watermark watermark_ms 0 i -9223372036854775808",
    "state value 0 b \nstate value 1 b 12345678\nstate slot 2 b later\nstate key 3 i 7",
    "state value 0 b \\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff",
    "timer time_ms 0 i 9223372036854775807\ntimer clock 1 i 7\n"
    "timer time_ms 2 i -9223372036854775808",
    "timer name 0 i 0\ntimer key 1 t x\ntimer node 2 i 77",
    "reject reason 0 n\nreject node 1 t \\xff\nreject headers 0 b \\x02\\x01a\\x00",
    "reject headers 1 b \\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x01",
    "reject key 0 b \"\\x0a\\x00\\xc3\nreject offset 1 n\nreject source 1 n\nreject timer 1 b t",
    "reject time_ms 0 t never\nreject id 0 i -9223372036854775808\n"
    "reject id 1 i 9223372036854775807",
    "log batch 0 b \nlog count 1 i 0\nlog first_offset 2 i -3",
    "log batch 0 n\nlog crc 1 i -1\nlog epoch 1 i 99999",
    "log batch 0 B 1 0 \\x02k\\x03vv\\x00\\x00",
    "log batch 0 B 2 0 \\x00\\x00\\x00\\x00\\x02\\xff"
    "\\x03\\x80\"\\x02\\x01\\x02hh\\x03\\x00\\x01\\x01n\\x00",
    "log batch 1 B 4294967295 9223372036854775807 xxxxxxxxxxxx",
    "log topic 0 d\nprogress next 0 d",
    "epoch number 3 d\nepoch positions 0 t {\"in\nepoch offsets 1 n\nepoch time_ms 2 i -1",
    "epoch number 0 i 9223372036854775807\nmeta value 1 i 9223372036854775807",
    "marker sink 0 t nobody\nmarker length 0 i 9223372036854775807\nmarker identity 0 t 1:2",
    "marker next 0 i -1\nmarker crc 0 i -1",
    "sink uri 0 n\nsink kind 1 t strange\nsink topic 2 i 77\nsink table_name 3 t \"",
    "--delivery=at-least-once\n--rewind=in=earliest", "--delivery=at-most-once\nmarker next 0 i 1",
    "--on-error=reject\n--rejects=log:dead\n--rejects-max=1",
    "--rename=tally=other\n--drop-state=refuse",
    "--drop-state=tally\n--drain", "--rewind=lines=3\n--rewind=far=earliest", "retry reject 0 i 99",
    "progress identity 3 a ;base:5\nprogress identity 0 a ;to:9:0", "timer time_ms 0 i 5\n--drain",
    "counts key 0 i 7\ncounts value 0 b \\x00",
    "topic retain_ms 0 i -9223372036854775808\ntopic retain_bytes 1 i 1",
]

SQLITE = b"SQLite format 3\0"
PAGES = [
    b"", b"\1", b"\1" + SQLITE, b"\1" + SQLITE + bytes(496),
    b"\1" + b"no store, but long enough " * 30,
    b"\0\0\0\0\x10" + b"\xff" * 16, b"\0\0\0\x10\x02\xff\xff", b"\0\0\0\x10\x02\x10\x00",
    b"\0\0\0\x3c\x04weir",
    b"\0\0\0\x44\x04\xff\xff\xff\xff", b"\0\0\0\x64\x08\x0d\0\0\0\xff\0\0\0",
    b"\0\x05\0\0\x04\x0a\0\0\7",
    b"\0\x07\0\x08\x06\0\1\0\2\0\3", b"\0\x01\0\x80\x20" + b"CREATE TABLE x(y)" * 2,
    b"\0\xff\1\xff\x01\x00",
    b"\2" + struct.pack(">IIIIIIII", 0x377f0682, 3007000, 512, 0, 1, 2, 3, 4), b"\2" + bytes(40),
    b"\0" + b"".join(bytes([page, 0, 0, 1, page]) for page in range(2, 18)),
]

LINES = [
    '83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a/b.png?q=1 HTTP/1.1" 200 203023'
    ' "http://example.org/" "Mozilla/5.0 (X11; \\"Linux\\") \\x41"',
    '::1 - frank [29/Feb/2024:23:59:59 -0730] "POST / HTTP/1.0" 404 - "-" "-"',
    '1.2.3.4 - - [31/Feb/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "-"',
    '1.2.3.4 - - [17/XYZ/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "-"',
    '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "-" 408 - "-" "-"',
    '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "\\x16\\x03" 400 226 "-" "-"',
    '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 999 99999999999999999999'
    ' "-" "-" more',
    '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /\\', "", "-", " " * 40, "[]\"\"",
]


def seeds():
    yield "uri", [uri.encode() for uri in sorted(uris())]
    yield "config", [text.encode() for text in CONFIGS]
    yield "options", [bytes([COMMANDS.index(command)]) + line.encode()
                      for command, lines in OPTIONS.items() for line in lines]
    whole = batch(RECORDS, 17)
    yield "batch", [
        b"\0" + whole, b"\1" + whole, b"\1" + batch([RECORDS[0]] * 5),
                                                     b"\0" + batch(RECORDS[:1])[:-1],
        b"\1" + batch(RECORDS[:2], (1 << 63) - 1),
                              b"\1" + whole[:16] + b"\xff\xff\xff\xff" + whole[20:],
        b"\1" + whole + b"\0", b"\0" + b"\2" + whole[1:], b"\0" + b"\1\1" + whole[2:],
                                                     b"\1" + whole[:40],
        b"\2" + headers([]), b"\2" + headers([(b"a", b"b"), (b"", None), (b"c" * 90, b"")]),
        b"\2" + varint(1025), b"\2" + varint(2) + b"\1a", b"\2" + headers([(b"a\0b",
                                                                           b"c")]) + b"\0",
    ]
    yield "hash", [b"\3\0\7" + key for key in (
        b"", b"a", b"ab", b"abc", b"21", b"foobar", b"a-little-bit-long-string", b"\xff" * 7,
        bytes(64),
        "sch\u00f6n".encode(), bytes(range(256)))]
    numbers = struct.pack(">QQ", 300, (1 << 64) - 1)
    yield "numbers", [numbers + tail for tail in (
        b"", b"0", b"-1", b"12k", b"9223372036854775807", b"9223372036854775808",
        b"-9223372036854775808",
        b"8388608G", b"1kk", b"+1", b" 1", b"0x10", b"\xac\x02", b"\xff" * 9 + b"\1",
        b"\xff" * 9 + b"\2",
        b"\x80" * 12)]
    yield "json", [
        b"\0" + run(b"key") + run(b"value"), b"\0" + run(None) + run(b""),
        b"\2" + run(b'"\\/\b\f\n\r\t\1\x7f') + run("\u00e9\u20ac\U0001f600".encode())
        + run(b"name") + run(b"\xff\xfe\xfd") + run(b"\xc3") + run(None),
        b"\1" + run(b"\xed\xa0\x80") + run(b"\xc0\x80\xf4\x90\x80\x80") + run(b"a\0b") + run(b"\0"),
        b"\0" + run(b"\xff") + run(b"\xff\xff"),
        b"\0" + run(b"ASCII and more" * 9) + run(b"\xe2\x80\xa8")]
    yield "text", [
        bytes([how]) + run(word) + text for how, word, text in (
            (0, b"\t", b"a\tb\nc\td"), (255, b"\\t",
            b"no delimiter\n\n\tempty key\nempty value\t\n"),
            (7, b"\\x3a\\x3a", b"a::b::c\n:\n::"), (1, b"until-edn", b"x" * 200), (40,
            b"../a/./b//../c", b"\n\n\n"),
            (2, b"\\q", b"a\0b\n\xff\n"), (3, b"topic-1.x_Y", b""), (3, b"/", b"a/b"), (9,
            b"n" * 70, b"n"))]
    yield "rows", [text.encode() for text in ROWS]
    yield "resume", [text.encode() for text in ROWS]
    yield "pages", PAGES
    text = b"first\nsecond\r\n\n\xff\0\n" + b"x" * 300 + b"\nlast"
    yield "lines", [
        b"\0\0\6" + text, b"\0\0\1" + text, b"\0\1\x44" + text, b"\0\xff\xff" + text, b"\0\0\0",
        b"\0\0\0\n\n\n", b"\0\0\1a", b"\0\0\1ab", b"\1\0\0" + gzip.compress(text, mtime=0),
        b"\1\0\0" + gzip.compress(text, mtime=0) * 2, b"\1\0\0" + gzip.compress(text, mtime=0)[:-9],
        b"\1\0\0" + gzip.compress(b"", mtime=0), b"\1\0\0\x1f\x8b\x08\x1c", b"\1\0\0plain"]
    whole = gzip.compress(text * 9, mtime=0)
    yield "gzip", [
        b"\1\7" + text, b"\3\xff" + text, b"\1\0", b"\0\x30" + whole, b"\0\x30" + whole[:-9],
        b"\0\0" + whole[:30], b"\0\1" + whole + whole, b"\0\2" + whole + bytes(9),
        b"\0\3" + whole + b"more", b"\0\4" + whole[:20] + b"\xff" + whole[21:],
        b"\0\5\x1f\x8b\x08\x1c", b"\0\6plain", b"\0\x7f" + gzip.compress(bytes(1 << 19), mtime=0)]
    yield "identity", [text.encode() for text in (
        "inode:12;crc:00c0ffee:1024", "inode:1;crc:0:0;size:7;base:-3;compression:gzip",
        "inode:1;crc:0:0;past:1:0:0,2:ff:10", "inode:18446744073709551615;crc:ffffffff:1024",
        "inode:1;crc:0:0;base:-9223372036854775807", "inode:1;crc:0:0;size:9223372036854775807",
        "inode:1;crc:0:0;past:1:0:0,2:0:0,3:0:0;past:4:0:0;past:5:0:0", "inode:1;crc:0:1025",
        "inode:;crc:", "none", "inode:1;crc:0:0;past:", "inode:1;crc:0:0;past:1:0:0,",
        "inode:-1;crc:0:0")]
    store = "9e3779b97f4a7c15" * 2
    group = '{"format": 1, "group": "g", "store": "' + store + '", "pid": 1, "topics": {"topic": '
    yield "group", [text.encode() for text in (
        group + '{"id": 1, "next": {"0": 0, "2": 5}}}}', group + '{"id": 1, "next": {"0": 99}}}}',
        group + '{"id": 2, "next": {}}}}', group + '{"id": 1, "next": {"9": 1, "x": -1}}}}',
        group + "[]}}", "", "{}", "[]", "{", group.replace("1", "2", 1) + "{}}}", '{"format": 1}')]
    yield "op_json", [bytes([fails]) + text.encode("latin-1") for fails, text in (
        (255, '{"Bid":{"auction":1,"price":100,"channel":"Google","extra":"abc"}}'),
        (2, '{"a":[1,-2.5e3,"x\\n\\u00e9\\ud83d\\ude00",null,true,false,{}],"a":"twice"}'),
        (3, '[[[[[]]]],{"":{"b":"\xc3\xa9"}},""]'), (255, ' \t\r\n12 '), (1, '"alone"'),
        (255, '[1e400,123456789012345678901,-0,0.1,1.0,9223372036854775807]'),
        (255, '"\\ud800"'), (255, '"\xed\xa0\x80"'), (255, '"\xc0\x80"'), (255, '{"a\\u0000":1}'),
        (0, '[1,]'), (0, '{"a":1,}'), (255, "[" * 70 + "]" * 70), (4, '"\\"\\\\\\/\\b"'),
        (255, '\x0b1'), (255, '[1//c\n]'), (255, '"abc'), (255, "nul"))]
    yield "access_log", [line.encode() for line in LINES]


def main():
    for name, inputs in seeds():
        folder = os.path.join(HERE, "corpus", name)
        os.makedirs(folder, exist_ok=True)
        for old in glob.glob(os.path.join(folder, "seed-*.in")):
            os.remove(old)
        for data in inputs:  # named by what they hold, so that a new one changes no other
            with open(os.path.join(folder, f"seed-{crc32c(data):08x}.in"), "wb") as stream:
                stream.write(data)


if __name__ == "__main__":
    main()

"""docs/FORMAT.md fits the store: its queries run on one, every table and column of a store is in
it, and the batch that it shows is what its tables say (unit/log: and what weir writes).

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile

import doc_kit

DOCUMENT = doc_kit.ROOT / "docs" / "FORMAT.md"
STORE = "format.weir"


def make_store(folder):
    """A store that count ran on, with a topic of hand-made records."""
    weir = doc_kit.BUILD / "weir"
    subprocess.run(
        [weir, "run", "-s", STORE, "-i", "in=gen:keyed?records=2000,keys=50", "-o",
         "out=log:out?partitions=2", "-q", doc_kit.BUILD / "examples" / "count.so"],
        cwd=folder, check=True)
    return folder / STORE


def check_queries(document, store):
    found = 0
    for line, info, body, _before in doc_kit.blocks(document):
        if info == ["sql"]:
            found += 1
            result = subprocess.run(["sqlite3", "-bail", "-readonly", store], input="\n".join(body),
                                    capture_output=True, text=True, check=False)
            if result.returncode or result.stderr:
                raise SystemExit(f"FORMAT.md:{line}: {result.stderr}")
    if found < 5:
        raise SystemExit(f"only {found} queries found in FORMAT.md")


def check_names(document, store):
    database = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    names = database.execute(
        "SELECT t.name, c.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c"
        " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'").fetchall()
    indexes = database.execute(
        "SELECT name, '' FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    database.close()
    if len(names) < 50:
        raise SystemExit(f"only {len(names)} columns found in the store")
    for table, column in names + indexes:
        for name in (table, column):
            if not re.search(rf"\b{name}\b", document):
                raise SystemExit(f"FORMAT.md does not name {table}.{column}")


def shown_batch(document):
    """The bytes of the hex dump, with its CRC filled in."""
    block = next(body for _line, info, body, _before in doc_kit.blocks(document)
                 if not info and body[0].startswith("01 00 00 00"))
    text = " ".join(re.split(r"\s{3,}", line)[0] for line in block)
    return bytes.fromhex(text.replace("cc cc cc cc", "00 00 00 00"))


def check_batch(document):
    """The same two records, packed by hand from the tables of the text."""
    body = bytes([2]) + b"k" + bytes([4]) + b"one" + bytes([0, 0])
    body += bytes([0, 1, 9, 1, 1]) + b"h" + bytes([2]) + b"x"
    header = bytes([1, 0, 0, 0, 0, 0, 0, 0]) + (258).to_bytes(8, "little")
    header += (2).to_bytes(4, "little") + len(body).to_bytes(4, "little")
    header += (1000).to_bytes(8, "little") * 2
    if shown_batch(document) != header + body:
        raise SystemExit("FORMAT.md's batch is not what its tables say")


def main():
    document = DOCUMENT.read_text(encoding="utf-8")
    check_batch(document)
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(pathlib.Path(folder))
        check_queries(document, store)
        check_names(document, store)
    return 0


if __name__ == "__main__":
    sys.exit(main())

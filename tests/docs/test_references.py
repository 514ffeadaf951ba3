"""What the documents refer to is there: relative links and their anchors in every .md file; in the
pages about the code also the files and functions of weir's own that stand in backticks; and
README.md names what is to be installed; docs/DELIVERY.md each fault point, and no other.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = ("engine", "txn", "operators", "examples", "tests", "docs")
# Pages that describe the code as it is. (Others also speak of what a change may bring.)
ABOUT_CODE = ["README.md", "docs/ARCHITECTURE.md", "docs/DELIVERY.md"]


def documents():
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith((".", "build"))]
        for name in files:
            if name.endswith(".md"):
                yield pathlib.Path(folder, name)


def prose(text):
    """The text without fenced blocks; line numbers stay."""
    lines, fenced = [], False
    for line in text.splitlines():
        fence = line.startswith("```")
        lines.append("" if fence or fenced else line)
        fenced ^= fence
    return "\n".join(lines)


def anchors(text):
    """The anchors of a document's headings, as GitHub makes them."""
    found = set()
    for title in re.findall(r"^#+ +(.*)$", prose(text), re.M):
        found.add(re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-"))
    return found


def links(text):
    """(line number, target) of each link that is no URL."""
    for match in re.finditer(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(text))):
        if not re.match(r"[a-z]+:", match.group(1)):
            yield match.group(1)


def wrong_links(path, text):
    for target in links(text):
        name, _, anchor = target.partition("#")
        other = path.parent / name if name else path
        if not other.exists():
            yield f"{path.name}: link to {target}: there is no such file"
        elif anchor and anchor not in anchors(other.read_text()):
            yield f"{path.name}: link to {target}: no heading makes this anchor"


def wrong_names(path, text, code):
    """Files and functions in backticks that are not there."""
    for name in re.findall(r"`([^`\n]+)`", prose(text)):
        is_file = re.fullmatch(r"(?:%s)/[\w./-]*" % "|".join(CODE), name)
        if is_file and not (ROOT / name).exists():
            yield f"{path.name}: there is no {name}"
        if re.fullmatch(r"wr_\w+|weir_\w+|WR_\w+|WEIR_[A-Z_]+", name) and name not in code:
            yield f"{path.name}: {name} is nowhere in the code"


def identifiers():
    found = set()
    for folder in ("engine", "txn", "operators"):
        for path in (ROOT / folder).rglob("*.[ch]"):
            found.update(re.findall(r"\w+", path.read_text()))
    return found


def fault_points():
    text = (ROOT / "txn/base/fault.h").read_text()
    return set(re.findall(r"X\(\d+, (\w+)\)", text)) - {"none"}


def packages_of_the_script():
    """What examples/run.sh installs, from its pairs COMMAND:PACKAGE and LIBRARY:PACKAGE."""
    text = (ROOT / "examples/run.sh").read_text().replace("\\\n", " ")
    lists = re.findall(r"for pair in ((?:\S+:\S+\s*)+);", text)
    return {pair.split(":")[1] for words in lists for pair in words.split()}


class References(unittest.TestCase):
    # The checks turn red: a link, an anchor, a file and a function that are not there.
    def test_checks(self):
        path = ROOT / "README.md"
        bad = "[a](no/such.md) [b](docs/STYLE.md#no-such) [c](https://x.org/y) `[d](no)`\n"
        self.assertEqual(len(list(wrong_links(path, bad))), 2)
        self.assertEqual(list(wrong_links(path, "[a](docs/STYLE.md#names)\n```\n[b](no)\n```")), [])
        bad = "`txn/no.c` `txn/epoch.h` `wr_no_such` `wr_epoch_seal`"
        self.assertEqual(len(list(wrong_names(path, bad, identifiers()))), 2)

    def test_links(self):
        wrong = [text for path in documents() for text in wrong_links(path, path.read_text())]
        self.assertEqual(wrong, [])

    def test_names_of_the_code(self):
        code = identifiers()
        paths = [ROOT / name for name in ABOUT_CODE] + sorted(ROOT.glob("docs/decisions/*.md"))
        wrong = [text for path in paths for text in wrong_names(path, path.read_text(), code)]
        self.assertEqual(wrong, [])

    # Who installs by hand needs what examples/run.sh would have installed.
    def test_readme_names_the_packages(self):
        words = set(re.findall(r"[\w-]+", (ROOT / "README.md").read_text()))
        self.assertGreater(len(packages_of_the_script()), 8)
        self.assertEqual(packages_of_the_script() - words, set())

    def test_delivery_names_every_fault_point(self):
        names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", (ROOT / "docs/DELIVERY.md").read_text()))
        families = {point.split("_")[0] for point in fault_points()}
        named = {name for name in names if name.split("_")[0] in families}
        self.assertEqual(named, fault_points())


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))

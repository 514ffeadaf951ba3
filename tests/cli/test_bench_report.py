"""`weir bench --report`: the page of a real measurement is whole, needs nothing beside it, and is
made again from its lines; without gnuplot it is refused before anything is measured.

SPDX-License-Identifier: Apache-2.0
"""

import html.parser
import json
import re
import shutil
import unittest

from cli_kit import CONFIG, DATA, NO_INPUT, USAGE, CliTest

UNAVAILABLE = 69
NUMBER = r"(?<![\w#.])(-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)\b"
VOID = {"meta", "br", "link", "img", "input", "hr"}
LITTLE = ["--sync", "off", "--records", "300", "--repeat", "1", "--kills", "1", "--keys", "20",
          "--rate", "20000"]


class Page(html.parser.HTMLParser):
    """What is in a page: tags that were not closed as they were opened, the names of its parts,
    what it would load, its text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong, self.names, self.loads, self.tags, self.text = [], [], [], [], [], ""
        self.labels = []
        self.feed(text)
        self.close()
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.names.append(value)
            if name == "aria-labelledby":
                self.labels += value.split()
            if name in ("src", "href", "xlink:href", "data", "action") and value[:1] != "#":
                self.loads.append((tag, name, value))
            if "url(" in (value or "") and "url(#" not in value:
                self.loads.append((tag, name, value))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.wrong.append("/" + tag)

    def handle_data(self, data):
        self.text += data


class Report(CliTest):
    def page(self, folder):
        text = (self.folder / folder / "index.html").read_text(encoding="utf-8")
        self.assertNotRegex(text, r"https?://|@import|<script")
        page = Page(text)
        self.assertEqual(page.wrong, [])
        self.assertEqual(page.loads, [])
        self.assertEqual(sorted(page.names), sorted(set(page.names)))
        self.assertEqual([name for name in page.labels if name not in page.names], [])
        return page

    # The checks of a page turn red: a tag left open, one closed twice, a picture from elsewhere.
    def test_checks(self):
        self.assertEqual(Page("<p><b>x</p>").wrong, ["/p", "p", "b"])
        self.assertEqual(Page("<p>x</p></p>").wrong, ["/p"])
        self.assertEqual(Page("<img src='a.png'>").loads, [("img", "src", "a.png")])
        self.assertEqual(Page("<p id=a>x</p><br>").names, ["a"])

    # All plots, the exact command, the lines themselves; and the same page again from the lines.
    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_a_measurement_as_a_page(self):
        self.weir("bench", *LITTLE, "--job", "copy,count", "--epoch-records", "10,adaptive",
                  "--report", "a & b")
        page = self.page("a & b")
        self.assertEqual(page.tags.count("svg"), 10)
        self.assertEqual(page.tags.count("table"), 10)
        self.assertIn("--job copy,count --epoch-records 10,adaptive --report 'a & b'", page.text)
        lines = (self.folder / "a & b" / "results.jsonl").read_text()
        self.assertIn(lines, page.text)
        kinds = [json.loads(line)["type"] for line in lines.splitlines()]
        self.assertEqual(kinds[0], "machine")
        self.assertEqual(kinds.count("cell"), 2 * 2 * 7)
        out, _ = self.weir("bench", "--from", "a & b/results.jsonl", "--report", "again")
        self.assertEqual(out, b"")
        self.assertEqual(self.page("again").tags, page.tags)
        self.assertEqual((self.folder / "again" / "results.jsonl").read_text(), lines)
        drawn, again = [re.split(NUMBER, (self.folder / name / "plots.gp").read_text())
                        for name in ("a & b", "again")]
        self.assertEqual(again[::2], drawn[::2])
        for one, other in zip(again[1::2], drawn[1::2]):
            self.assertAlmostEqual(float(one), float(other), delta=abs(float(other)) / 1e5)

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_what_is_refused(self):
        (self.folder / "mine").mkdir()
        (self.folder / "mine" / "thesis.txt").write_text("years")
        self.refuses(CONFIG, "something else", "bench", *LITTLE, "--report", "mine")
        self.refuses(USAGE, "--from measures nothing", "bench", "--from", "x", "--json",
                     "--report", "r")
        self.refuses(USAGE, "--from measures nothing", "bench", "--from", "x")
        self.refuses(NO_INPUT, "cannot read x", "bench", "--from", "x", "--report", "r")
        self.refuses(DATA, "thesis.txt:1: no object", "bench", "--from", "mine/thesis.txt",
                     "--report", "r")
        self.assertEqual([path.name for path in self.folder.iterdir()], ["mine"])

    # It says which package has it, and what is already there is left alone.
    def test_without_gnuplot(self):
        said = self.refuses(UNAVAILABLE, "gnuplot-nox", "bench", *LITTLE, "--report", "r",
                            env={"PATH": "/nowhere:."})
        self.assertTrue(re.match(r"weir: cannot draw", said), said)
        self.assertEqual(list(self.folder.iterdir()), [])

    # A gnuplot that fails is named, with what it said.
    def test_a_gnuplot_that_fails(self):
        tool = self.folder / "tools" / "gnuplot"
        tool.parent.mkdir()
        tool.write_text("#!/bin/sh\necho 'unknown terminal type' >&2\nexit 3\n")
        tool.chmod(0o755)
        said = self.refuses(UNAVAILABLE, "unknown terminal type", "bench", *LITTLE, "--report", "r",
                            env={"PATH": str(tool.parent)})
        self.assertIn("exit code 3", said)


if __name__ == "__main__":
    unittest.main(verbosity=1)

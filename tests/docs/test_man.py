"""The manual pages say what the program does: a page for each subcommand with its synopsis and each
of its options, and no other; weir.h(3) has each function of the header as it is declared there; the
URIs' parameters and the exit codes are those of the code; groff takes every page without a warning.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEIR = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve() / "weir"
PAGES = ROOT / "docs" / "man"
EVERYWHERE = {"help", "version"}  # weir(1) has them for all


def weir(*words):
    return subprocess.run([WEIR, *words], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)


def subcommands():
    listed = re.findall(r"^  weir ([a-z]+) ", weir("--help").stdout.split("\n\n")[2], re.M)
    return [name for name in listed if name != "help"]


def page(name):
    return (PAGES / name).read_text()


def options_of_help(text):
    """{long name: (letter or "", what it takes or "")} of what --help prints."""
    found = {}
    for letter, name, takes in re.findall(
            r"^ {2}(?:-(\S), |    )--([\w-]+)(?: (\S+))?(?:  .*)?$", text, re.M):
        found[name] = (letter, takes)
    return found


def options_of_page(text):
    """The same of the items of a page."""
    found = {}
    for letter, name, takes in re.findall(
            r"^\.It Fl (?:(\w) , Fl )?-([\w-]+)(?: Ar (.*))?$", text, re.M):
        found[name] = (letter, takes)
    return found


def options_named(text):
    """Long options that a page names anywhere."""
    named = re.findall(r"(?:\bFl -|(?<![\w-])--)([a-z][a-z-]+)", text.replace("\\-", "-"))
    return set(named) - {"cflags", "libs"}  # pkg-config's


def plain(name):
    """What the reader sees; None: there is no groff here."""
    if not shutil.which("groff"):
        return None
    done = subprocess.run(["groff", "-mandoc", "-ww", "-Tascii", "-P-cbou", PAGES / name],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, f"{name}: {done.stderr}"
    return re.sub(r"\x1b\[[\d;]*m", "", done.stdout)


def words(text):
    return re.sub(r"\s+", " ", text).strip()


def prototypes_of_header():
    text = (ROOT / "engine" / "weir.h").read_text()
    text = re.sub(r"#define (?:.*\\\n)*.*", "", text)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    found = {}
    for result, name, arguments in re.findall(
            r"(?:WEIR_EXPORT|static inline)\s+([\w\s]+?[\s*]+)(weir_\w+)\((.*?)\)\s*"
            r"(?:WEIR_PRINTF\(.*?\))?\s*[;{]", text, re.S):
        found[name] = words(f"{result}{name}({arguments})").replace("* ", "*")
    return found


def prototypes_of_page():
    found = {}
    for line in re.findall(r"^\.It Fn (.*)$", page("weir.h.3").replace("\\\n", ""), re.M):
        parts = re.findall(r'"(.*?)"', line)
        name = re.search(r"(\w+)$", parts[0]).group(1)
        found[name] = f"{parts[0]}({', '.join(parts[1:])})"
    return found


class Man(unittest.TestCase):
    # The checks turn red: readers of options see what is there, letters and values included.
    def test_readers(self):
        text = "  -o, --out FILE   to\n      --all          it\n      --text|json\n"
        self.assertEqual(options_of_help(text), {"out": ("o", "FILE"), "all": ("", "")})
        text = ".It Fl o , Fl -out Ar FILE\n.It Fl -all\n.It Ar x\n"
        self.assertEqual(options_of_page(text), {"out": ("o", "FILE"), "all": ("", "")})
        self.assertEqual(options_named("the\n.Fl -all\noption, or \\-\\-some x"), {"all", "some"})

    def test_each_subcommand_has_its_page(self):
        self.assertGreater(len(subcommands()), 6)
        expected = {"weir.1", "weir.h.3", *(f"weir-{name}.1" for name in subcommands())}
        self.assertEqual({path.name for path in PAGES.iterdir()}, expected)
        listed = re.findall(r"^\.It Xr weir-(\w+) 1", page("weir.1"), re.M)
        self.assertEqual(sorted(listed), sorted(subcommands()))

    # Every option of `weir SUBCOMMAND --help` with its letter and value, and no other.
    def test_options(self):
        everywhere = set(EVERYWHERE)
        for name in subcommands():
            shown = options_of_help(weir(name, "--help").stdout)
            everywhere |= set(shown)
            self.assertEqual(options_of_page(page(f"weir-{name}.1")), shown, f"weir-{name}.1")
        self.assertGreater(len(everywhere), 20)
        for path in PAGES.iterdir():
            self.assertEqual(options_named(path.read_text()) - everywhere, set(), path.name)

    # The program knows each option that a page has. A name that is none of anything keeps it from
    # doing what the option says.
    def test_the_program_knows_them(self):
        self.assertIn("unknown option", weir("run", "--no-such-thing").stderr)
        for name in subcommands():
            for option in options_of_page(page(f"weir-{name}.1")):
                said = weir(name, f"--{option}", "no/such/thing").stderr
                self.assertNotIn("unknown option", said, name)

    # Written for this version.
    def test_version(self):
        version = re.search(r'WEIR_VERSION "(.*?)"', (ROOT / "engine/weir.h").read_text()).group(1)
        for path in PAGES.iterdir():
            self.assertIn(f"\n.Os weir {version}\n", path.read_text(), path.name)

    def test_functions(self):
        declared, described = prototypes_of_header(), prototypes_of_page()
        self.assertGreater(len(declared), 30)
        described.pop("WEIR_JOB")
        declared.pop("weir_define", None)
        self.assertEqual(described, declared)

    # weir-run(1) has each parameter that a URI takes, and no other.
    def test_parameters(self):
        code = (ROOT / "engine" / "endpoint.c").read_text()
        known = set(re.findall(r'"(\w+)",\s+FORM_\w+', code))
        named = set(re.findall(r"^\.Li (\w+)=", page("weir-run.1"), re.M))
        self.assertGreater(len(known), 9)
        self.assertEqual(named, known)

    def test_exit_codes(self):
        code = (ROOT / "txn" / "base" / "error.h").read_text()
        codes = set(re.findall(r"WR_EXIT_\w+ = (\d+)", code))
        self.assertGreater(len(codes), 5)
        self.assertEqual(set(re.findall(r"^\.It (\d+)$", page("weir.1"), re.M)) - codes, set())
        self.assertEqual(codes - set(re.findall(r"^\.It (\d+)$", page("weir.1"), re.M)), set())

    def test_groff(self):
        if not shutil.which("groff"):
            print("no groff here: whether the pages can be set is not looked at")
            return
        for path in PAGES.iterdir():
            text = plain(path.name)
            self.assertIn("SEE ALSO", text)
        for name in subcommands():
            usage = weir(name, "--help").stdout.splitlines()[0].removeprefix("usage: ")
            self.assertIn(words(usage), words(plain(f"weir-{name}.1")))


if __name__ == "__main__":
    unittest.main()

"""An installed copy works from outside: it is moved after installing; then jobs in C and C++,
programs on the shared and on the static library, and one on the test kit are built against it, by
compiler and pkg-config alone and by a CMake project. Each runs, and its result is looked up.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "install"
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve()
SANITIZE = os.environ.get("WEIR_SANITIZE", "none")
SECONDS_MAX = 300
HEADERS = ["weir.h", "weir_ops.h", "weir_test.h"]
STANDARD = ["stdarg.h", "stdbool.h", "stddef.h", "stdint.h"]
LINES = b"apple\nbread\n\nalmond\nbean\nbutter\n"
COUNTS = [("a", 2), ("b", 3)]

FLAGS = "-O1 -Wall -Wextra -Wconversion -Wshadow -Werror".split()
if SANITIZE != "none":
    # A library with sanitizers is used by programs with the same ones.
    FLAGS += [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=all"]


def of_cache(name):
    text = (BUILD / "CMakeCache.txt").read_text()
    return re.search(rf"^{name}:\w+=(.*)$", text, re.M).group(1)


CC = of_cache("CMAKE_C_COMPILER")
CXX = "clang++" if "clang" in CC else "g++"


def run(*command, cwd=None, env=None):
    """What it prints; it must end with 0."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS_MAX,
                          env={**os.environ, **(env or {})})
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}")
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-install."))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        run("cmake", "--install", BUILD, "--prefix", cls.folder / "before")
        cls.prefix = cls.folder / "after it was moved"  # with blanks, as a home folder may have
        (cls.folder / "before").rename(cls.prefix)
        cls.library = next(cls.prefix.rglob("libweir.so")).parent
        cls.weir = cls.prefix / "bin" / "weir"
        cls.work = cls.folder / "work"
        cls.work.mkdir()

    def pkg_config(self, *words):
        """Its answer, as the words that a shell would make of it."""
        text = run("pkg-config", *words, env={"PKG_CONFIG_PATH": self.library / "pkgconfig"})
        return run("sh", "-c", f"printf '%s\\n' {text.strip()}").splitlines()

    def built(self, name, compiler, *words):
        run(compiler, *FLAGS, "-o", self.work / name, *words, cwd=HERE)
        return self.work / name

    def gives_the_counts(self, *command):
        """Runs a job on a new store, and looks at its table."""
        place = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        (place / "in.txt").write_bytes(LINES)
        run(*command, "-s", "s.weir", cwd=place)
        store = sqlite3.connect(f"{(place / 's.weir').as_uri()}?mode=ro", uri=True)
        found = store.execute("SELECT key, value FROM counts ORDER BY key").fetchall()
        store.close()
        self.assertEqual(found, COUNTS)

    # ---- What is installed

    def test_headers_need_only_the_c_library(self):
        self.assertEqual(sorted(path.name for path in (self.prefix / "include").iterdir()), HEADERS)
        for name in HEADERS:
            text = (self.prefix / "include" / name).read_text()
            included = set(re.findall(r'#\s*include\s*[<"](.+)[>"]', text))
            self.assertEqual(included - {*HEADERS, *STANDARD}, set(), name)

    # The shared library shows what the headers declare, all of it, and nothing else.
    def test_symbols(self):
        shown = run("nm", "-D", "--defined-only", self.library / "libweir.so")
        shown = {line.split()[-1].split("@")[0] for line in shown.splitlines()}
        declared = set()
        for name in HEADERS:
            text = (self.prefix / "include" / name).read_text()
            text = re.sub(r"#define (?:.*\\\n)*.*", "", text)
            text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
            declared.update(re.findall(r"WEIR_EXPORT\s[^;(]*?(weir_\w+)\(", text))
        self.assertGreater(len(declared), 40)
        self.assertEqual(shown, declared)

    def test_soname_has_the_abi(self):
        abi = re.search(r"define WEIR_ABI[\s\\]*(\d+)", (ROOT / "engine/weir.h").read_text())
        dynamic = run("readelf", "-d", self.library / "libweir.so")
        self.assertIn(f"[libweir.so.{abi.group(1)}]", dynamic)
        self.assertTrue((self.library / f"libweir.so.{abi.group(1)}").exists())
        version = run(self.weir, "--version").split()[1]
        self.assertTrue((self.library / f"libweir.so.{version}").is_file())
        self.assertEqual(self.pkg_config("--modversion", "weir"), [version])

    # No file remembers where it was installed, or built.
    def test_nothing_names_the_prefix(self):
        for path in [*self.library.rglob("*.pc"), *self.library.rglob("*.cmake")]:
            text = path.read_text()
            for name in (str(self.folder), str(ROOT), str(BUILD)):
                self.assertNotIn(name, text, path)

    def test_destdir(self):
        run("cmake", "--install", BUILD, env={"DESTDIR": self.folder / "stage"})
        prefix = of_cache("CMAKE_INSTALL_PREFIX").strip("/")
        self.assertTrue((self.folder / "stage" / prefix / "bin" / "weir").is_file())
        self.assertTrue((self.folder / "stage" / prefix / "include" / "weir.h").is_file())

    # ---- Built with the compiler and pkg-config

    def test_job_in_c(self):
        flags = self.pkg_config("--cflags", "weir")
        job = self.built("c.so", CC, "-shared", "-fPIC", *flags, "letters.c")
        self.gives_the_counts(self.weir, "run", job)

    def test_job_in_cpp(self):
        flags = self.pkg_config("--cflags", "weir")
        job = self.built("cc.so", CXX, "-shared", "-fPIC", *flags, "letters.cc")
        self.gives_the_counts(self.weir, "run", job)

    # A job need not be linked with the library; one that is works all the same.
    def test_job_that_links_the_library(self):
        flags = self.pkg_config("--cflags", "--libs", "weir")
        job = self.built("linked.so", CC, "-shared", "-fPIC", "letters.c", *flags,
                         f"-Wl,-rpath,{self.library}")
        self.gives_the_counts(self.weir, "run", job)

    def test_program_on_the_shared_library(self):
        flags = self.pkg_config("--cflags", "--libs", "weir")
        program = self.built("shared", CC, "main.c", "letters.c", *flags,
                             f"-Wl,-rpath,{self.library}")
        self.assertIn("[libweir.so.", run("readelf", "-d", program))
        self.gives_the_counts(program)

    def test_program_on_the_static_library(self):
        flags = self.pkg_config("--cflags", "--libs", "weir-static")
        program = self.built("static", CC, "main.c", "letters.c", *flags)
        self.assertNotIn("libweir", run("readelf", "-d", program))
        self.gives_the_counts(program)

    # What weir.pc says for --static is enough where there is only libweir.a.
    def test_pkg_config_static(self):
        alone = self.folder / "archive"
        alone.mkdir()
        shutil.copy(self.library / "libweir.a", alone)
        flags = self.pkg_config("--cflags", "--static", "--libs", "weir")
        flags = [word for word in flags if not word.startswith("-L")]
        program = self.built("pc-static", CC, "main.c", "letters.c", f"-L{alone}", *flags)
        self.gives_the_counts(program)

    def test_kit(self):
        flags = self.pkg_config("--cflags", "--libs", "weir")
        program = self.built("kit", CC, "kit.c", "letters.c", *flags, f"-Wl,-rpath,{self.library}")
        self.assertEqual(run(program), "right\n")

    # ---- Built by a CMake project

    def test_cmake_project(self):
        project, build = self.folder / "project", self.folder / "project" / "build"
        project.mkdir()
        for name in ("CMakeLists.txt", "letters.c", "letters.cc", "main.c", "kit.c"):
            shutil.copy(HERE / name, project)
        run("cmake", "-S", project, "-B", build, "-GNinja", f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_CXX_COMPILER={CXX}",
            f"-DCMAKE_C_FLAGS={' '.join(FLAGS)}", f"-DCMAKE_CXX_FLAGS={' '.join(FLAGS)}")
        run("cmake", "--build", build)
        self.gives_the_counts(self.weir, "run", build / "letters.so")
        self.gives_the_counts(self.weir, "run", build / "letters-cc.so")
        self.gives_the_counts(build / "letters-shared")
        self.gives_the_counts(build / "letters-static")
        self.assertEqual(run(build / "letters-kit"), "right\n")


if __name__ == "__main__":
    unittest.main()

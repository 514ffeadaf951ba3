"""weir verify: a good store is ok, and each thing that can be wrong with one is found and named.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import shutil
import sqlite3
import subprocess
import unittest

from cli_kit import CONFIG, COPY, COUNT, CliTest, DATA, NO_INPUT, WEIR


class Verify(CliTest):
    def setUp(self):
        super().setUp()
        self.weir("run", COUNT, "-q", "-s", "good.weir", "-i", "in=gen:keyed?records=5000&keys=50",
                  "-o", "out=log:out", "--epoch-records", 500)

    def broken(self, name, sql, *values):
        """A copy of the good store with one thing changed."""
        for suffix in ("", "-wal"):
            source = self.folder / f"good.weir{suffix}"
            if source.exists():
                shutil.copy(source, self.folder / f"{name}.weir{suffix}")
        self.change(f"{name}.weir", sql, *values)
        return f"{name}.weir"

    def says(self, store, *texts):
        out, _ = self.weir("verify", store, code=DATA)
        for text in texts:
            self.assertIn(text, out.decode())
        return out.decode()

    def test_a_good_store(self):
        out, err = self.weir("verify", "good.weir")
        self.assertRegex(out.decode(), r"^ok: .*\n$")
        self.assertEqual(err, b"")

    def test_after_a_kill(self):
        env = {**os.environ, "WEIR_FAULT": "decide_before_end:3"}
        done = subprocess.run([WEIR, "run", COUNT, "-s", "k.weir", "-i",
                               "in=gen:keyed?records=5000", "-o", "out=log:out", "--epoch-records",
                               "500"], cwd=self.folder, env=env, capture_output=True)
        self.assertEqual(done.returncode, -9)
        self.weir("verify", "k.weir")

    def test_a_flipped_bit_in_a_batch(self):
        store = self.broken("bit", """UPDATE log SET batch = CAST(substr(batch, 1, 99)
            || char(0) || substr(batch, 101) AS BLOB) WHERE id = (SELECT min(id) FROM log)""")
        self.says(store, "out", "offset 0")
        error = self.weir("consume", store, "out", code=DATA)[1].decode()
        self.assertIn("topic out, partition 0, the batch at offset 0", error)

    def test_a_batch_that_is_cut(self):
        self.says(self.broken("cut", """UPDATE log SET batch = substr(batch, 1, length(batch) - 1)
            WHERE id = (SELECT max(id) FROM log)"""), "out")

    def test_a_batch_that_is_gone(self):
        """A hole in the offsets."""
        self.says(self.broken("hole", """DELETE FROM log WHERE first_offset =
            (SELECT min(first_offset) FROM log WHERE first_offset > 0)"""), "out")

    def test_a_tail_that_is_gone(self):
        self.says(self.broken("tail", "DELETE FROM log WHERE id = (SELECT max(id) FROM log)"),
                  "out")

    def test_a_position_that_moved(self):
        """Positions agree with the last decided epoch."""
        self.says(self.broken("position", "UPDATE position SET next = next + 1"), "in")

    def test_an_epoch_that_is_gone(self):
        self.says(self.broken("epoch", "DELETE FROM epoch WHERE number = 2"), "2")

    def test_state_of_nobody(self):
        self.says(self.broken("state", "UPDATE state SET node = 99"), "99")

    def test_several_things_at_once(self):
        """A line for each."""
        store = self.broken("several", "UPDATE position SET next = next + 1")
        self.change(store, "DELETE FROM log WHERE id = (SELECT max(id) FROM log)")
        self.assertGreaterEqual(len(self.says(store).splitlines()), 2)

    def test_pages_that_are_damaged(self):
        """What SQLite itself finds."""
        self.broken("pages", "UPDATE position SET next = next")  # checkpoints on close
        path = self.folder / "pages.weir"
        data = bytearray(path.read_bytes())
        for page in range(5, len(data) // 8192):
            data[page * 8192:page * 8192 + 200] = os.urandom(200)
        path.write_bytes(data)
        pathlib.Path(f"{path}-wal").unlink(missing_ok=True)
        done = subprocess.run([WEIR, "verify", "pages.weir"], cwd=self.folder, capture_output=True)
        self.assertEqual(done.returncode, DATA, done.stderr)

    def test_a_truncated_store(self):
        self.broken("half", "UPDATE position SET next = next")
        path = self.folder / "half.weir"
        path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
        pathlib.Path(f"{path}-wal").unlink(missing_ok=True)
        done = subprocess.run([WEIR, "verify", "half.weir"], cwd=self.folder, capture_output=True)
        self.assertEqual(done.returncode, DATA, done.stderr)

    def test_what_is_no_store(self):
        self.refuses(NO_INPUT, "nowhere.weir", "verify", "nowhere.weir")
        (self.folder / "text.weir").write_text("no database " * 100)
        self.refuses(DATA, "text.weir", "verify", "text.weir")
        sqlite3.connect(self.folder / "other.weir").execute("CREATE TABLE t(x)").connection.close()
        self.refuses(DATA, "not a store", "verify", "other.weir")
        self.refuses(CONFIG, "format", "verify", self.broken_format())

    def broken_format(self):
        shutil.copy(self.folder / "good.weir", self.folder / "newer.weir")
        if (self.folder / "good.weir-wal").exists():
            shutil.copy(self.folder / "good.weir-wal", self.folder / "newer.weir-wal")
        connection = sqlite3.connect(self.folder / "newer.weir")
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        return "newer.weir"


if __name__ == "__main__":
    unittest.main()

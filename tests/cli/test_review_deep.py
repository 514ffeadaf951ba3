"""The deepest graph runs, whatever the stack limit of the shell is. labels: threads

SPDX-License-Identifier: Apache-2.0
"""

import subprocess
import unittest

from cli_kit import JOBS, WEIR, CliTest


class DeepTest(CliTest):
    def test_a_graph_of_all_nodes_in_a_row_runs_with_a_small_stack_limit(self):
        (self.folder / "in.txt").write_text("a\nb\n")
        done = subprocess.run(["bash", "-c", 'ulimit -s 1024; exec "$@"', "bash", WEIR, "run", "-q",
                               JOBS / "review_deep.so"], cwd=self.folder, capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual((self.folder / "out.txt").read_text(), "x\nx\n")


if __name__ == "__main__":
    unittest.main()

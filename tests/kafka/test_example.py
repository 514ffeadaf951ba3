"""kafka, own broker: examples/kafka.sh, word count from kcat to kcat, says that nothing was lost.

SPDX-License-Identifier: Apache-2.0
"""

import os
import shutil
import subprocess

from kafka_kit import BUILD, ROOT, WAIT_SECONDS, KafkaTest, main


class Example(KafkaTest):
    def uses_shared_broker(self):
        return False

    def test_word_count(self):
        """On a broker that it starts itself; killed twice."""
        if not shutil.which("kcat") or not shutil.which("sqlite3"):
            self.skipTest("kcat or sqlite3 not found")
        env = {**os.environ, "WEIR_BUILD": str(BUILD), "TMPDIR": str(self.folder)}
        if os.environ.get("WEIR_KAFKA"):
            self.skipTest("it needs a broker that makes topics, and WEIR_KAFKA names another")
        done = subprocess.run([ROOT / "examples" / "kafka.sh", ROOT / "LICENSE"], env=env,
                              cwd=self.folder, capture_output=True, text=True, check=False,
                              timeout=WAIT_SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("killed with kill -9"), 2)
        self.assertIn("nothing lost, nothing twice", done.stdout)
        self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    main()

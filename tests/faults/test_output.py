"""A command that says more than anybody can read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from harness import start_cli

TALKER = """\
import os, sys
line = (b"y" * 127 + b"\\n") * 8192
endless = b"x" * len(line)  # a line of a megabyte, and of a gigabyte with the others
for n in range(512):
    os.write(1, line)
    os.write(2, endless)
open(sys.argv[1], "w").write("done")
"""

WORKFLOW = """\
gpwf: 1
name: talk
steps:
  - name: a
    tag: command
    config: {{argv: ["{python}", talker.py, "${{outputs.out}}"], outputs: {{out: a.txt}},
      inputs: {{script: talker.py}}}}
"""

# Runs a command and says what it held. A process begins with the memory of the one that starts it,
# as far as the kernel counts, so it must be a small one: pytest has grown by then.
MEASURED = """\
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_a_gigabyte_passes_through_driver_and_worker(tmp_path: Path) -> None:
    """Neither holds it, and neither log nor disk is filled; the run is well."""
    (tmp_path / "talker.py").write_text(TALKER)
    text = WORKFLOW.format(python=sys.executable).replace("talker.py,", '"${inputs.script}",')
    (tmp_path / "w.gpwf.yaml").write_text(text)
    driver = start_cli(
        *("run", "w.gpwf.yaml", "--run-dir", "run"),
        cwd=tmp_path,
        under=[sys.executable, "-c", MEASURED],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    said, _ = driver.communicate()
    assert driver.returncode == 0
    # of the driver and of everything below it, in kB
    assert int(said.split()[-1]) < 250_000
    written = sum(path.lstat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert written < 20e6
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in log]
    assert any("more than max_log" in str(item.get("message")) for item in records)

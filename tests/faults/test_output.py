"""A command that says more than anybody can read."""

from __future__ import annotations

import json
import os
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


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_a_gigabyte_passes_through_driver_and_worker(tmp_path: Path) -> None:
    """Neither holds it, and neither log nor disk is filled; the run is well."""
    (tmp_path / "talker.py").write_text(TALKER)
    text = WORKFLOW.format(python=sys.executable).replace("talker.py,", '"${inputs.script}",')
    (tmp_path / "w.gpwf.yaml").write_text(text)
    driver = start_cli(
        "run", "w.gpwf.yaml", "--run-dir", "run", cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(driver.pid, 0)
    driver.returncode = os.waitstatus_to_exitcode(status)
    assert driver.returncode == 0
    # of the driver and of everything below it, in kB
    assert usage.ru_maxrss < 250_000
    written = sum(path.lstat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert written < 20e6
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in log]
    assert any("more than max_log" in str(item.get("message")) for item in records)

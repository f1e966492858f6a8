"""Bad files are refused at a place, by a diagnostic, within bounded memory; never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from bad_documents import CASES, Case

MEGABYTES = 300
SECONDS = 20  # how long each should take is measured by benchmarks/bad_input.py

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs limits on memory and /proc")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Validate every case; one that takes more memory or time than it may is an error there."""
    program = Path(__file__).with_name("validate_within.py")
    folder = tmp_path_factory.mktemp("bad")
    done = subprocess.run(
        [sys.executable, str(program), str(folder), str(MEGABYTES), str(SECONDS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {item["name"]: item for item in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused(case: Case, answers: Mapping[str, Any]) -> None:
    answer = answers[case.name]
    assert "error" not in answer, answer["error"]
    found = answer["diagnostics"]
    errors = {item["code"] for item in found if item["severity"] == "error"}
    assert errors
    assert errors <= case.codes
    assert all(item["file"] == "w.yaml" for item in found)
    if case.line is not None:
        assert min(item["line"] for item in found if item["severity"] == "error") == case.line
    assert max(answer["shown"]) < 300_000
    assert 0 < answer["peak_kb"] < MEGABYTES * 1000

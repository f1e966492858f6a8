"""What failed attempts leave behind is in the record: generated, and no longer valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import cli

from gpwf.core.digests import digest_bytes
from gpwf.run.desk import leftovers

WORKFLOW = """
gpwf: 1
name: left
params: {pin: {type: string, default: "${env.CANARY_PIN ?? none}"}}
steps:
  - name: given
    tag: command
    config: {argv: [sh, -c, "echo given > g.txt"], outputs: {g: g.txt}}
  - name: bad
    tag: command
    required_products: {g: given.g}
    config:
      argv: [sh, -c, "echo some > o.txt; echo x > $1.txt; exit 3", sh, "${params.pin}"]
      outputs: {o: o.txt}
  - name: slow
    tag: command
    timeout: 1 s
    config: {argv: [sh, -c, "echo part > o.txt; sleep 60"], outputs: {o: o.txt}}
"""


def _left(record: dict[str, Any], step: str) -> dict[str, str]:
    """Return the names of the files that attempts of a step left, with their digests."""
    entities, activities = record["entity"], record["activity"]
    made = {
        (item["prov:entity"], item["prov:activity"], item["prov:time"])
        for item in record["wasGeneratedBy"].values()
        if item["prov:role"] == "left"
    }
    gone = {
        (item["prov:entity"], item["prov:activity"], item["prov:time"])
        for item in record["wasInvalidatedBy"].values()
    }
    assert made == gone
    found = [(entities[file], activities[attempt]) for file, attempt, _ in gone]
    assert all(attempt["prov:endTime"] in {time for *_, time in gone} for _, attempt in found)
    return {
        file["gpwf:name"]: file["gpwf:sha256"]
        for file, attempt in found
        if attempt["gpwf:step"] == step
    }


def test_files_of_failed_attempts_are_recorded_as_invalid(tmp_path: Path) -> None:
    (tmp_path / "left.gpwf.yaml").write_text(WORKFLOW)
    secret = {"CANARY_PIN": "canary-in-a-name"}
    ran = cli(
        *("run", "left.gpwf.yaml", "--store", "store", "--run-dir", "run", "-j", "2"),
        cwd=tmp_path,
        environment=secret,
    )
    assert ran.returncode == 1, ran.stderr
    text = (tmp_path / "run/prov/prov.json").read_text()
    record = json.loads(text)
    some, part = digest_bytes(b"some\n"), digest_bytes(b"part\n")
    x = digest_bytes(b"x\n")
    folder = "scratch/work"
    names = {f"{folder}/o.txt": some, f"{folder}/[redacted].txt": x}
    assert _left(record, "bad") == names
    assert _left(record, "slow") == {f"{folder}/o.txt": part}
    assert _left(record, "given") == {}
    slow = next(i for i in record["activity"].values() if i.get("gpwf:step") == "slow")
    assert int(slow["gpwf:peakMemory_B"]["$"]) > 2**20
    for name in ("prov/prov.json", "journal.jsonl", "log.jsonl", "plan.json"):
        assert "canary-in-a-name" not in (tmp_path / "run" / name).read_text()
    checked = cli("prov", "validate", "run", "--files", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout


def test_links_and_inputs_are_not_what_an_attempt_left(tmp_path: Path) -> None:
    (tmp_path / "in/port").mkdir(parents=True)
    (tmp_path / "scratch/inputs").mkdir(parents=True)
    for name in ("in/port/a", "scratch/inputs/b", "output.log", "scratch/c", "d"):
        (tmp_path / name).write_text(name)
    (tmp_path / "scratch/link").symlink_to("/etc/passwd")
    (tmp_path / "scratch/folder").symlink_to("/etc")
    found = leftovers(str(tmp_path))
    assert [item.name for item in found] == ["d", "scratch/c"]
    assert found[1].digest == digest_bytes(b"scratch/c")
    assert leftovers(str(tmp_path / "nowhere")) == ()


def test_much_that_was_left_is_told_of_in_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpwf.run.desk._MOST_BYTES", 10)
    for n in range(150):
        (tmp_path / f"{n:03}").write_bytes(b"1234")
    found = leftovers(str(tmp_path))
    assert len(found) == 100
    assert [bool(item.digest) for item in found[:4]] == [True, True, False, False]
    assert all(item.size == 4 for item in found)


def test_a_name_that_is_no_text_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "ok").write_bytes(b"")
    try:
        (tmp_path / "x\udcff").write_bytes(b"")
    except OSError:
        pytest.skip("this file system has no such names")
    assert [item.name.encode() for item in leftovers(str(tmp_path))] == [b"ok", "x\ufffd".encode()]

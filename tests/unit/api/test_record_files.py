"""What was changed in a run directory after the run is found: file, line and digests are named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpwf import api
from gpwf.api.journal_chain import read_chain
from gpwf.api.record_files import FILE_RULES
from gpwf.api.runs import Run
from gpwf.api.validation import validate_record
from gpwf.core.diagnostics import Severity
from gpwf.errors import UsageError
from gpwf.prov.validation.findings import Finding, Report

_WORKFLOW = """\
gpwf: 1
name: two
steps:
  - name: select
    tag: command
    config:
      argv: [cp, "${inputs.numbers}", "${outputs.selected}"]
      inputs: {numbers: numbers.txt}
      outputs: {selected: selected.txt}
  - name: order
    tag: command
    required_products: {numbers: select.selected}
    config:
      argv: [sort, "-o", "${outputs.ordered}", "${inputs.numbers}"]
      outputs: {ordered: ordered.txt}
"""


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A workflow and its run, made once."""
    folder = tmp_path_factory.mktemp("files") / "work"
    folder.mkdir()
    (folder / "numbers.txt").write_text("3\n1\n2\n")
    (folder / "two.gpwf.yaml").write_text(_WORKFLOW)
    api.read(folder / "two.gpwf.yaml").run(jobs=1, run_dir=folder / "run", store=folder / "store")
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept, symlinks=True)
    return folder, kept


@pytest.fixture
def folder(ready: tuple[Path, Path]) -> Path:
    folder, kept = ready
    shutil.rmtree(folder)
    shutil.copytree(kept, folder, symlinks=True)
    return folder


def check(folder: Path) -> Report:
    return Run(folder / "run").validate_provenance(files=True)


def the(report: Report, rule: str) -> Finding:
    (found,) = [item for item in report.findings if item.rule == rule]
    return found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def change(path: Path, old: bytes, new: bytes, line: int | None = None) -> None:
    """Change a file that may be write-protected, as somebody would who wants to."""
    lines = path.read_bytes().splitlines(keepends=True)
    places = range(len(lines)) if line is None else [line - 1]
    for n in places:
        if old in lines[n]:
            lines[n] = lines[n].replace(old, new, 1)
            break
    else:
        raise AssertionError(old)
    path.chmod(0o600)
    path.write_bytes(b"".join(lines))


def test_an_untouched_run_is_as_its_record_says(folder: Path) -> None:
    report = check(folder)
    assert report.findings == []
    assert report.is_run_record
    assert report.files["product files"] == 2
    assert report.files["inputs"] >= 2
    assert report.files["journal lines"] == 6
    assert Run(folder / "run").validate_provenance().files == {}


def test_nothing_is_written(folder: Path) -> None:
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    change(folder / "run/journal.jsonl", b'"attempt": 1', b'"attempt": 2')
    check(folder)
    after = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    assert {path for path in before if before[path] != after[path]} == {
        folder / "run/journal.jsonl"
    }
    assert before.keys() == after.keys()


def test_an_edited_line_of_the_journal_is_named(folder: Path) -> None:
    path = folder / "run/journal.jsonl"
    recorded = sha256(path)
    change(path, b'"attempt": 1', b'"attempt": 2', line=3)
    report = check(folder)
    found = the(report, "FI-01")
    assert (found.line, found.file, found.severity) == (3, str(path), Severity.ERROR)
    assert "line 3 was changed" in found.message
    assert found.expected != found.found
    assert len(found.expected) == len(found.found) == 64
    other = the(report, "FI-02")
    assert (other.expected, other.found) == (recorded, sha256(path))
    assert not report.is_valid


def test_a_line_that_was_edited_with_its_sum_breaks_the_next(folder: Path) -> None:
    path = folder / "run/journal.jsonl"
    resum(path, {3: (b'"attempt": 1', b'"attempt": 2')})
    found = the(check(folder), "FI-01")
    assert found.line == 4
    assert "does not follow line 3" in found.message


def resum(path: Path, edits: dict[int, tuple[bytes, bytes]], *, chain: bool = False) -> None:
    """Edit lines of a journal and make their sums anew; with ``chain``, those behind them too."""
    lines, prev = path.read_bytes().splitlines(), None
    for n, line in enumerate(lines, start=1):
        rest = line[line.index(b", ") :]
        if n in edits:
            rest = rest.replace(*edits[n], 1)
        if chain and prev is not None:
            rest = rest[: rest.index(b'"prev": "') + 9] + prev + rest[rest.index(b'", "event"') :]
        if n in edits or chain:
            lines[n - 1] = b'{"sum": "' + hashlib.sha256(rest).hexdigest().encode() + b'"' + rest
        prev = lines[n - 1][9:73]
    path.write_bytes(b"\n".join(lines) + b"\n")


def test_a_journal_that_was_made_anew_as_a_whole_is_not_that_of_the_record(folder: Path) -> None:
    path = folder / "run/journal.jsonl"
    resum(path, {3: (b'"attempt": 1', b'"attempt": 2')}, chain=True)
    assert read_chain(path).breaks == ()
    report = check(folder)
    assert [item.rule for item in report.findings] == ["FI-02"]
    assert "made anew" in the(report, "FI-02").hint


@pytest.mark.parametrize(
    ("edit", "line", "message"),
    [
        (lambda lines: [*lines[:2], *lines[3:]], 3, "1 lines before it were taken out"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 3, "taken out"),
        (lambda lines: [*lines[:3], lines[1], *lines[3:]], 4, "out of order"),
        (lambda lines: lines[1:], 1, "taken out"),
        (lambda lines: [*lines[:2], b"hello\n", *lines[2:]], 3, "no line of a journal"),
    ],
    ids=["lost", "exchanged", "doubled", "beheaded", "foreign"],
)
def test_lines_that_were_moved_are_named(
    edit: Callable[[list[bytes]], list[bytes]], line: int, message: str, folder: Path
) -> None:
    path = folder / "run/journal.jsonl"
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))
    first = next(item for item in check(folder).findings if item.rule == "FI-01")
    assert first.line == line
    assert message in first.message


def test_every_byte_of_a_journal_is_in_the_chain(folder: Path) -> None:
    path = folder / "run/journal.jsonl"
    data = path.read_bytes()
    for at in range(0, len(data), 61):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        breaks = read_chain(path).breaks
        assert breaks
        assert breaks[0].line - 1 in (data[:at].count(b"\n"), data[:at].count(b"\n") - 1)


def test_a_torn_end_is_a_warning_and_the_rest_is_checked(folder: Path) -> None:
    path = folder / "run/journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"sum": "00')
    report = check(folder)
    torn, more = the(report, "FI-01"), the(report, "FI-02")
    assert report.is_valid
    assert torn.line == whole.count(b"\n") + 1
    assert "torn" in torn.message
    assert "lines more" in more.message
    path.write_bytes(whole[:-40])
    report = check(folder)
    assert the(report, "FI-01").severity is Severity.WARNING
    assert the(report, "FI-02").severity is Severity.ERROR  # the record knew its end
    assert report.files["product files"] == 2


@pytest.mark.parametrize(
    ("name", "rule"), [("plan.json", "FI-03"), ("workflow.yaml", "FI-04"), ("log.jsonl", "FI-05")]
)
def test_a_changed_file_of_the_run_is_named(name: str, rule: str, folder: Path) -> None:
    path = folder / "run" / name
    recorded = sha256(path)
    path.write_bytes(path.read_bytes() + b"\n")
    found = the(check(folder), rule)
    assert (found.file, found.expected, found.found) == (str(path), recorded, sha256(path))


def test_an_included_workflow_is_not_taken_for_the_workflow(tmp_path: Path) -> None:
    inner = "gpwf: 1\nname: inner\nsteps:\n" + _WORKFLOW.partition("steps:\n")[2]
    (tmp_path / "inner.gpwf.yaml").write_text(inner)
    (tmp_path / "numbers.txt").write_text("3\n1\n2\n")
    (tmp_path / "outer.gpwf.yaml").write_text(
        "gpwf: 1\nname: outer\nsteps:\n"
        "  - {name: in, tag: workflow, foreach: {n: [1, 2]}, config: {file: inner.gpwf.yaml}}\n"
    )
    outer = api.read(tmp_path / "outer.gpwf.yaml")
    outer.run(jobs=1, run_dir=tmp_path / "run", store=tmp_path / "store")
    assert check(tmp_path).findings == []
    path = tmp_path / "run/workflow.yaml"
    recorded = sha256(path)
    path.write_text(inner)
    assert the(check(tmp_path), "FI-04").expected == recorded


@pytest.mark.parametrize("name", ["plan.json", "workflow.yaml", "log.jsonl"])
def test_a_missing_file_of_the_run_is_named(name: str, folder: Path) -> None:
    (folder / "run" / name).unlink()
    report = check(folder)
    assert next(item.file for item in report.findings if item.rule == "FI-11").endswith(name)
    assert report.files["product files"] > 0  # without a plan they are found by the record


def _record(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "run/prov/prov.json").read_text())
    return data


def _of(section: dict[str, Any], name: str, value: str) -> str:
    return next(key for key, item in section.items() if item.get(name) == value)


@pytest.mark.parametrize(
    ("section", "where", "name", "new"),
    [
        ("activity", ("gpwf:task", "order"), "gpwf:taskKey", "1" * 64),
        ("activity", ("gpwf:task", "order"), "gpwf:host", "elsewhere"),
        ("entity", ("voprov:name", "argv.1"), "prov:value", "--evil"),
        ("entity", ("prov:label", "order.ordered"), "gpwf:digest", "0" * 64),
        ("used", ("prov:role", "in.numbers"), "prov:role", "in.nonsense"),
        ("agent", ("gpwf:name", "gpwf"), "prov:label", "another"),
    ],
)
def test_an_edited_statement_is_named(
    section: str, where: tuple[str, str], name: str, new: str, folder: Path
) -> None:
    """None of these breaks a rule of PROV, or a digest of a file."""
    data = _record(folder)
    key = _of(data[section], *where)
    old, data[section][key][name] = data[section][key][name], new
    (folder / "run/prov/prov.json").write_text(json.dumps(data, indent=2))
    found = the(check(folder), "FI-13")
    assert (found.subject, found.severity) == (key, Severity.ERROR)
    assert f"has {name} {new}, plan and journal say {old}" in found.message


def test_a_statement_that_was_taken_out_or_put_in_is_named(folder: Path) -> None:
    path = folder / "run/prov/prov.json"
    data = _record(folder)
    key, value = data["wasAssociatedWith"].popitem()
    path.write_text(json.dumps(data))
    assert the(check(folder), "FI-13").message.startswith("is missing")
    data["wasAssociatedWith"][key] = value
    path.write_text(json.dumps(data))
    assert check(folder).findings == [], "laid out otherwise, it is the same"
    data["agent"]["gpwf:user-nobody"] = {"prov:label": "nobody"}
    path.write_text(json.dumps(data))
    found = the(check(folder), "FI-13")
    assert found.subject == "gpwf:user-nobody"
    assert "know nothing" in found.message


def test_what_another_gpwf_wrote_may_differ(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(folder / "run/prov/prov.json", b"order, attempt 1", b"order, attempt one")
    monkeypatch.setattr("gpwf.api.record_anew.this_gpwf", lambda: {"version": "99"})
    assert the(check(folder), "FI-13").severity is Severity.WARNING


def test_an_edited_journal_is_no_measure_of_the_record(folder: Path) -> None:
    change(folder / "run/journal.jsonl", b'"attempt": 1', b'"attempt": 2', line=3)
    assert not [item for item in check(folder).findings if item.rule == "FI-13"]


def test_an_anonymous_run_is_as_its_record_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "homes" / "ada"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    (home / "numbers.txt").write_text("3\n1\n")
    text = _WORKFLOW.replace("{numbers: numbers.txt}", f"{{numbers: {home}/numbers.txt}}", 1)
    (home / "two.gpwf.yaml").write_text(text)
    api.read(home / "two.gpwf.yaml").run(
        jobs=1, run_dir=home / "run", store=home / "store", anonymous=True
    )
    assert str(home) not in (home / "run/prov/prov.json").read_text()
    assert check(home).findings == []
    path = home / "run/workflow.yaml"
    path.write_text(path.read_text() + "# more\n")
    the(check(home), "FI-04")


def test_a_flipped_bit_in_a_product_is_named(folder: Path) -> None:
    shown = folder / "run/products/order/ordered/ordered.txt"
    recorded = sha256(shown)
    change(shown.resolve(), b"2", b"3")
    found = the(check(folder), "FI-06")
    assert (found.subject, found.file) == ("order.ordered", str(shown))
    assert (found.expected, found.found) == (recorded, sha256(shown))


def test_a_missing_object_is_named(folder: Path) -> None:
    shown = folder / "run/products/order/ordered/ordered.txt"
    shown.resolve().unlink()
    found = the(check(folder), "FI-07")
    assert found.subject == "order.ordered"
    assert "gpwf run" in found.hint


def test_products_that_were_removed_as_a_whole_are_a_warning(folder: Path) -> None:
    shutil.rmtree(folder / "run/products")
    report = check(folder)
    assert "were removed: 2 files" in the(report, "FI-07").message
    assert report.is_valid


def test_a_file_that_was_put_with_the_products_is_named(folder: Path) -> None:
    change(folder / "run/journal.jsonl", b'"attempt": 1', b'"attempt": 2', line=2)
    shown = folder / "run/products/order/ordered/ordered.txt"
    shown.unlink()
    shown.write_text("forged")
    found = the(check(folder), "FI-06")
    assert (found.file, found.found) == (str(shown), sha256(shown))


def test_a_changed_input_is_a_warning_of_its_own(folder: Path) -> None:
    path = folder / "numbers.txt"
    recorded = sha256(path)
    path.write_text("3\n1\n3\n")
    report = check(folder)
    found = the(report, "FI-08")
    assert (found.file, found.expected, found.found) == (str(path), recorded, sha256(path))
    assert "cannot be made again" in found.message
    assert report.is_valid  # the record is right, and so are the products


def test_an_input_that_is_gone_is_a_warning(folder: Path) -> None:
    (folder / "numbers.txt").unlink()
    report = check(folder)
    assert the(report, "FI-09").file == str(folder / "numbers.txt")
    assert report.is_valid


def test_a_product_that_only_the_journal_names_is_an_error(folder: Path) -> None:
    record = folder / "run/prov/prov.json"
    data = json.loads(record.read_text())
    digest = sha256(folder / "run/products/order/ordered/ordered.txt")
    other = "1" * 64
    record.write_text(json.dumps(data).replace(digest, other))
    assert the(check(folder), "FI-10").found == digest


def test_a_run_without_a_record_is_checked_by_one_made_for_it(folder: Path) -> None:
    (folder / "run/prov/prov.json").unlink()
    report = check(folder)
    assert [item.rule for item in report.findings] == ["FI-12"]
    assert report.is_valid
    assert not (folder / "run/prov/prov.json").exists()
    (folder / "run/plan.json").write_text("{")
    report = check(folder)
    assert not report.is_valid
    assert "none can be made" in the(report, "FI-12").message
    assert report.files["journal lines"] == 6


def test_a_torn_record_still_shows_what_can_be_read(folder: Path) -> None:
    record = folder / "run/prov/prov.json"
    record.write_bytes(record.read_bytes()[:-3000])
    report = check(folder)
    assert {"RD-01"} < {item.rule for item in report.findings} | {"x"}
    assert report.counts["entity"] > 10
    assert report.files["product files"] == 2


def test_files_belong_to_a_run_directory(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "prov.json"
    copy.write_bytes((folder / "run/prov/prov.json").read_bytes())
    assert validate_record(copy).findings == []
    with pytest.raises(UsageError, match="lies in no run directory"):
        validate_record(copy, files=True)
    assert validate_record(folder / "run/prov/prov.json", files=True).findings == []
    earlier = folder / "run/prov/earlier-1.json"
    shutil.copy(copy, earlier)
    assert validate_record(earlier).findings == []
    with pytest.raises(UsageError, match="not the record of the last run there"):
        validate_record(earlier, files=True)


def test_a_run_that_was_moved_with_its_store_is_whole(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "moved", symlinks=True)
    shutil.rmtree(folder)
    os.mkdir(folder)  # noqa: PTH102
    report = check(tmp_path / "moved")
    assert {item.rule for item in report.findings} == {"FI-09"}


def test_the_log_of_an_attempt_is_not_that_of_the_run(folder: Path) -> None:
    record = folder / "run/prov/prov.json"
    data = json.loads(record.read_text())
    log = next(item for item in data["entity"].values() if item.get("gpwf:name") == "log.jsonl")
    data["entity"]["gpwf:log-of-attempt"] = log | {"gpwf:task": "order", "gpwf:sha256": "0" * 64}
    record.write_text(json.dumps(data))
    assert "FI-05" not in {item.rule for item in check(folder).findings}


def test_the_rules_are_named_once() -> None:
    assert len(set(FILE_RULES.values())) == len(FILE_RULES)

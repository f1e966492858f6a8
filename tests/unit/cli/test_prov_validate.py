"""`gpwf prov validate` and `gpwf prov export` as commands: their texts, files and exit codes."""

from __future__ import annotations

import json
import os

import pytest
import report_fakes as fakes

from gpwf.prov.formats import FORMATS, TABLE, format_of


@pytest.fixture
def made(gpwf, make_run):
    """A run directory with its record."""
    path = make_run()
    gpwf("prov", "export")
    assert (path / "prov" / "prov.json").is_file()
    return path


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_good_record_is_valid(gpwf, made):
    result = gpwf("prov", "validate")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "record of a run" in result.stderr
    assert result.stderr.rstrip().endswith(": valid")


def test_json_is_alone_on_standard_output(gpwf, made):
    data = json.loads(gpwf("prov", "validate", made, "--format", "json").stdout)
    assert data["valid"] is True
    assert data["run_record"] is True
    assert data["findings"] == []
    assert data["records"]["activity"] > 1


def test_an_error_is_told_with_its_rule_and_line(gpwf, made):
    record = made / "prov" / "prov.json"
    edit(record, '"prov:role":"in.plan"', '"prov:label":"in.plan"')
    result = gpwf("prov", "validate", made)
    assert result.exit_code == 1
    assert "GR-04 A usage and a generation have a role" in result.stdout
    line = next(n for n, t in enumerate(record.read_text().splitlines(), 1) if '"in.plan"' in t)
    assert f"prov.json:{line}: error: gpwf:use-" in result.stdout
    data = json.loads(gpwf("prov", "validate", made, "--format", "json").stdout)
    (found,) = data["findings"]
    assert (found["rule"], found["severity"], found["line"]) == ("GR-04", "error", line)
    assert data["totals"] == {"GR-04": 1}


def test_a_warning_is_no_failure_unless_it_is_to_be_one(gpwf, made):
    edit(made / "prov" / "prov.json", '"gpwf:jobs":', '"gpwf:workers_wished":')
    assert gpwf("prov", "validate").exit_code == 0
    result = gpwf("prov", "validate", "--strict")
    assert result.exit_code == 1
    assert "valid, with 1 warning" in result.stdout


def test_files_are_compared_when_asked(gpwf, made):
    edit(made / "journal.jsonl", '"attempt": 1', '"attempt": 2')
    assert gpwf("prov", "validate", made).exit_code == 0
    result = gpwf("prov", "validate", made, "--files")
    assert result.exit_code == 1
    assert "FI-01 The journal is an unbroken chain" in result.stdout
    assert "was changed: its sum is not that of its bytes" in result.stdout
    assert "    expected " in result.stdout
    assert "    found " in result.stdout


def test_an_edited_journal_does_not_change_its_record(gpwf, made):
    record = made / "prov" / "prov.json"
    before = record.read_bytes()
    edit(made / "journal.jsonl", '"attempt": 1', '"attempt": 2')
    later = record.stat().st_mtime_ns + 10**9
    os.utime(made / "journal.jsonl", ns=(later, later))
    result = gpwf("prov", "export", "-o", "x.json")
    assert "is not the journal that the record was made from" in result.stderr
    assert record.read_bytes() == before


def test_a_run_without_a_plan_still_gives_its_record(gpwf, made):
    (made / "plan.json").write_text("{")
    assert json.loads(gpwf("prov", "export").stdout)["activity"]
    assert gpwf("prov", "validate", made).exit_code == 0
    assert gpwf("prov", "validate", made, "--files").exit_code == 1


def test_a_killed_run_without_a_record_is_checked(gpwf, make_run):
    path = make_run(fakes.good_run()[:4])
    result = gpwf("prov", "validate", path)
    assert result.exit_code == 0
    assert "FI-12" in result.stdout
    assert not (path / "prov" / "prov.json").exists()


def test_foreign_provenance_is_checked_by_the_constraints(gpwf, tmp_path):
    path = tmp_path / "theirs.provn"
    path.write_text(
        "document\nprefix ex <http://example.org/>\nentity(ex:e)\nactivity(ex:e)\nendDocument\n"
    )
    result = gpwf("prov", "validate", path)
    assert result.exit_code == 1
    assert "PC-55 Nothing is an entity and an activity" in result.stdout
    assert "PROV document" in result.stdout


@pytest.mark.parametrize("text", ["SIMPLE  = T", '{"a": 1}', "<html/>"])
def test_what_is_no_record_is_a_usage_error(text, gpwf, tmp_path):
    (tmp_path / "x").write_text(text)
    result = gpwf("prov", "validate", tmp_path / "x")
    assert result.exit_code == 2
    assert "error:" in result.stderr


def test_files_need_a_run_directory(gpwf, made, tmp_path):
    (tmp_path / "x.json").write_bytes((made / "prov" / "prov.json").read_bytes())
    result = gpwf("prov", "validate", tmp_path / "x.json", "--files")
    assert result.exit_code == 2
    assert "lies in no run directory" in result.stderr


def test_a_name_that_is_no_run_is_a_usage_error(gpwf, made):
    assert gpwf("prov", "validate", "nothing-like-it").exit_code == 2


# ---- export -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", [item for item in TABLE if not item.is_folder], ids=lambda f: f.name
)
def test_the_suffix_of_the_file_chooses_the_format(form, gpwf, made, tmp_path):
    path = tmp_path / f"record{form.suffixes[0]}"
    result = gpwf("prov", "export", "-o", path)
    assert result.exit_code == 0
    assert f"wrote {path.name}" in result.stderr
    stated = gpwf("prov", "export", "--format", form.name).stdout_bytes
    assert len(stated) == path.stat().st_size
    assert len(stated) > 1000


def test_a_name_without_a_known_suffix_needs_a_format(gpwf, made, tmp_path):
    result = gpwf("prov", "export", "-o", tmp_path / "record.txt")
    assert result.exit_code == 2
    assert "--format" in result.stderr
    assert not (tmp_path / "record.txt").exists()
    assert gpwf("prov", "export", "--format", "provn", "-o", tmp_path / "record.txt").exit_code == 0


def test_json_is_the_file_itself(gpwf, made, tmp_path):
    gpwf("prov", "export", "-o", tmp_path / "x.json")
    record = (made / "prov" / "prov.json").read_bytes()
    assert (tmp_path / "x.json").read_bytes() == record
    assert gpwf("prov", "export", "-o", "-").stdout_bytes == record


def test_a_record_in_a_file_is_converted(gpwf, made, tmp_path):
    gpwf("prov", "export", "-o", tmp_path / "x.xml")
    gpwf("prov", "export", tmp_path / "x.xml", "-o", tmp_path / "x.trig")
    assert gpwf("prov", "validate", tmp_path / "x.trig").exit_code == 0


def test_what_takes_long_is_told_beforehand(gpwf, made, monkeypatch, tmp_path):
    monkeypatch.setattr("gpwf.prov.export._NOTICEABLE_S", 0.0)
    result = gpwf("prov", "export", "-o", tmp_path / "x.provn")
    assert "PROV-N of a record of" in result.stderr
    assert "--format json is a copy" in result.stderr


def test_what_cannot_be_written_is_said(gpwf, made, tmp_path):
    (tmp_path / "folder").mkdir()
    result = gpwf("prov", "export", "--format", "json", "-o", tmp_path / "folder")
    assert result.exit_code == 2
    assert "cannot write" in result.stderr


def test_every_format_is_offered(gpwf):
    text = gpwf("prov", "export", "--help").stdout
    assert "|".join(FORMATS) in "".join(text.split())
    assert format_of("json").cost == (0.0, 0.0)

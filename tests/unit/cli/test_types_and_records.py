"""Step types, the schema, provenance, and what the shell completes."""

import json
import os
import subprocess
import sys

import pytest
import report_fakes as fakes

WORKFLOW = """\
gpwf: 1
params: {e_min: 1 TeV, e_max: 2 TeV, seed: 3}
profiles: {quick: {}}
steps:
  - tag: observations
  - {name: last-fit, tag: fit}
  - oops
"""


def test_steps_are_listed_and_one_is_shown(gpwf):
    assert "observations" in gpwf("steps").stdout
    data = json.loads(gpwf("steps", "--format", "json").stdout)
    assert {"tag", "title", "group", "inputs", "outputs", "settings"} <= set(data[0])
    assert "fit_range" in gpwf("steps", "fit").stdout
    assert json.loads(gpwf("steps", "fit", "--format", "json").stdout)["tag"] == "fit"
    assert "  - tag: fit\n" in gpwf("steps", "fit", "--yaml").stdout


def test_a_tag_that_is_not_there_has_a_near_miss(gpwf):
    result = gpwf("steps", "fitt")
    assert result.exit_code == 2
    assert "did you mean 'fit'?" in result.stderr
    assert gpwf("steps", "--yaml").exit_code == 2


def test_the_schema_goes_to_standard_output_or_a_file(gpwf, tmp_path):
    shown = gpwf("schema")
    assert json.loads(shown.stdout)["$schema"] == "http://json-schema.org/draft-07/schema#"
    result = gpwf("schema", "-o", tmp_path / "s.json")
    assert result.stdout == ""
    assert (tmp_path / "s.json").read_text() == shown.stdout
    refused = gpwf("schema", "-o", tmp_path / "no" / "s.json")
    assert refused.exit_code == 2
    assert "cannot be written" in refused.stderr


def test_provenance_is_exported(gpwf, make_run, tmp_path):
    make_run()
    record = json.loads(gpwf("prov", "export").stdout)
    assert record["activity"]
    text = gpwf("prov", "export", "crab", "--format", "provn", "-o", "-").stdout
    assert text.startswith("document\n")
    assert text.rstrip().endswith("endDocument")
    result = gpwf("prov", "export", "-o", tmp_path / "x.json")
    assert result.stdout == ""
    assert json.loads((tmp_path / "x.json").read_text()) == record


def test_provenance_is_drawn_into_the_run(gpwf, make_run, monkeypatch, tmp_path):
    path = make_run()
    monkeypatch.setenv("PATH", str(tmp_path))
    result = gpwf("prov", "show")
    assert result.exit_code == 0
    assert "install Graphviz" in result.stderr
    assert (path / "prov" / "prov.html").is_file()
    assert "runs/crab" in result.stderr
    refused = gpwf("prov", "show", "-o", tmp_path / "x.png")
    assert refused.exit_code == 2
    assert "`dot`" in refused.stderr


def test_provenance_of_a_file_and_of_a_product(gpwf, make_run, tmp_path):
    path = make_run()
    gpwf("prov", "export", "-o", tmp_path / "x.json")
    gpwf("prov", "show", tmp_path / "x.json", "-o", tmp_path / "x.dot")
    whole = (tmp_path / "x.dot").read_text()
    gpwf("prov", "show", path, "--of", "observations", "--up", "-o", tmp_path / "y.dot")
    assert len((tmp_path / "y.dot").read_text()) < len(whole)
    assert gpwf("prov", "show", path, "--up").exit_code == 2
    (tmp_path / "z.txt").write_text("?")
    refused = gpwf("prov", "show", tmp_path / "z.txt")
    assert refused.exit_code == 2
    assert "neither a PROV-JSON file nor a product" in refused.stderr


def test_a_record_older_than_the_journal_is_made_anew(gpwf, make_run):
    path = make_run(fakes.good_run()[:4])
    gpwf("prov", "export")
    record = path / "prov" / "prov.json"
    record.write_text("{}")
    os.utime(record, ns=(0, 0))
    assert json.loads(gpwf("prov", "export").stdout)["activity"]


def completions(words: str, folder) -> list[str]:
    """Return what bash would offer for the last word."""
    code = "from gpwf.cli import main; import sys; sys.argv[0] = 'gpwf'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "_GPWF_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("gpwf sta", ["status"]),
        ("gpwf steps flux", ["flux-points", "flux-profile"]),
        ("gpwf run w.yaml -p e_", ["e_min=", "e_max="]),
        ("gpwf run w.yaml --profile q", ["quick"]),
        ("gpwf run w.yaml --target ", ["observations", "last-fit"]),
        ("gpwf run none.yaml --target ", []),
        ("gpwf status cr", ["crab"]),
        ("gpwf status 2026", ["20260102T030400Z-abc123"]),
        ("gpwf logs crab ", ["observations", "datasets", "fit"]),
        ("gpwf prov e", ["export"]),
    ],
)
def test_the_shell_completes(words, offered, tmp_path, make_run):
    (tmp_path / "w.yaml").write_text(WORKFLOW)
    make_run()
    assert completions(words, tmp_path) == offered

"""The quickstart made again from its record is the same, byte for byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import gpwf
from gpwf.api.reproduction import reproduce
from gpwf.prov.ingest import merged_record
from gpwf.prov.validation.check import check_data

pytestmark = [pytest.mark.gammapy, pytest.mark.science]

WORKFLOW = Path(__file__).parents[2] / "workflows" / "quickstart.gpwf.yaml"


def test_the_quickstart_is_reproduced_from_its_record_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that has neither its store nor its inputs at their places."""
    folder = tmp_path / "workflow"
    shutil.copytree(WORKFLOW.parent / "models", folder / "models")
    shutil.copy(WORKFLOW, folder)
    run = gpwf.read(folder / WORKFLOW.name).run(
        store=folder / ".gpwf", run_dir=tmp_path / "run", targets=("light-curve-plot", "counts")
    )
    assert str(run.state) == "ok"
    sent = tmp_path / "sent"
    sent.mkdir()
    shutil.copy(run.provenance, sent)
    shutil.copy(run.path / "plan.json", sent)
    (folder / "models").rename(tmp_path / "elsewhere")
    shutil.rmtree(folder)
    shutil.rmtree(run.path)
    monkeypatch.chdir(tmp_path)
    found = reproduce(sent / "prov.json", output="again", inputs=["elsewhere"])
    assert {str(item.verdict) for item in found.products} == {"identical"}
    assert len(found.products) == 9
    assert {str(item.state) for item in found.inputs} == {"elsewhere"}
    report = json.loads((tmp_path / "again/reproduction.json").read_text())
    assert report["reproduced"] is True
    merged = merged_record(found.run.provenance)
    assert not [item for item in check_data(merged).findings if item.severity == "error"]

"""``gpwf run workflows/crab-1d.gpwf.yaml`` on H.E.S.S. DL3 DR1, as an analyst types it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "workflows" / "crab-1d.gpwf.yaml"


def run(folder: Path, name: str, *options: str) -> tuple[Any, str]:
    """Run the workflow in a process of its own; return the run and what was printed."""
    place = folder / name
    command = [sys.executable, "-m", "gpwf", "run", str(WORKFLOW), "--run-dir", str(place)]
    done = subprocess.run(
        [*command, "--store", str(folder / "store"), "-j", "2", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONHASHSEED": str(len(str(folder)))},
    )
    assert done.returncode == 0, done.stderr
    return gpwf.open_run(place), done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crab")


@pytest.fixture(scope="module")
def crab(folder: Path) -> Any:
    return run(folder, "first")[0]


def digests(done: Any) -> dict[str, str]:
    return {f"{item.step}.{item.port}": item.product.digest for item in done.products()}


def test_numbers_are_the_published_ones(crab: Any) -> None:
    """Counts exact, the fit within rtol 1e-3 of gammapy 2.1 by hand."""
    datasets = crab["datasets"].datasets.read()
    n_on = [int(item.counts.data.sum()) for item in datasets]
    assert n_on == [190, 199, 167, 143]
    fitted = crab["fit"].fit_result.read()
    assert fitted.success
    assert fitted.parameter("crab", "index").value == pytest.approx(2.726, rel=1e-3)
    assert fitted.parameter("crab", "amplitude").value == pytest.approx(4.92e-11, rel=1e-3)
    assert fitted.parameter("crab", "amplitude").unit == "TeV-1 s-1 cm-2"
    assert fitted.total_stat == pytest.approx(49.44, rel=1e-3)


def test_another_store_gets_the_same_digests(crab: Any, tmp_path: Path) -> None:
    """Every product, figures and tables too: other folder, other processes, other hash seed."""
    again, _ = run(tmp_path, "again")
    assert digests(again) == digests(crab)
    assert len(digests(again)) == 10


def test_a_second_run_finds_everything_done(crab: Any, folder: Path) -> None:
    again, printed = run(folder, "second")
    assert {str(item.state) for item in again.view.tasks.values()} == {"cached"}
    assert digests(again) == digests(crab)
    assert "9 cached" in printed


def test_only_what_depends_on_a_setting_runs_again(crab: Any, folder: Path) -> None:
    again, _ = run(folder, "fewer-bins", "--profile", "quick")
    states = {name: str(item.state) for name, item in again.view.tasks.items()}
    assert {name for name, state in states.items() if state == "ok"} == {
        "flux-points",
        "plot-spectrum",
    }
    assert {state for name, state in states.items()} == {"ok", "cached"}


def test_the_record_is_valid_and_complete(crab: Any) -> None:
    """Under PROV-CONSTRAINTS, with every parameter, input and product in it."""
    place = ROOT / "tests" / "unit" / "prov" / "prov_constraints.py"
    spec = importlib.util.spec_from_file_location("prov_constraints", place)
    assert spec is not None
    assert spec.loader is not None
    constraints = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(constraints)
    text = crab.provenance.read_text()
    assert constraints.schema_problems(text) == []
    assert constraints.problems(text) == []
    entities = json.loads(text)["entity"]
    labels = [str(item.get("prov:label")) for item in entities.values()]
    assert any("aeff_percent" in label for label in labels)
    recorded = {str(item.get("gpwf:sha256")) for item in entities.values()}
    for task in crab.plan.tasks:
        assert {item.digest for item in task.files} <= recorded
    for item in crab.products():
        assert {file.digest for file in item.product.files} <= recorded


def test_every_log_line_says_where_it_belongs(crab: Any) -> None:
    lines = [json.loads(line) for line in crab.log.read_text().splitlines()]
    assert all({"run_id", "step", "task_id", "attempt", "time", "level"} <= set(x) for x in lines)
    captured = [x for x in lines if x["event"] == "log.record"]
    assert any("moved to the bins" in str(x.get("message")) for x in captured)
    assert all(x["step"] and x["attempt"] >= 1 for x in captured)


@pytest.mark.parametrize(
    ("options", "place", "message"),
    [
        (["-p", "obs_ids=[23523, 1]"], "crab-1d.gpwf.yaml:15:57", "no observation 1 in"),
        (["-p", "datastore=/nowhere"], "crab-1d.gpwf.yaml:15:25", "no such datastore folder"),
    ],
)
def test_data_that_are_not_there_are_told_before_anything_runs(
    tmp_path: Path, options: list[str], place: str, message: str
) -> None:
    command = [sys.executable, "-m", "gpwf", "run", str(WORKFLOW), "--store", str(tmp_path / "s")]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert place in done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_source_that_no_model_has_is_refused_before_the_run(crab: Any, folder: Path) -> None:
    command = [sys.executable, "-m", "gpwf", "run", str(WORKFLOW), "--store", str(folder / "store")]
    place = folder / "wrong"
    done = subprocess.run(
        [*command, "--run-dir", str(place), "--set", "steps.flux-points.config.source=vela"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 2
    assert "GP512" in done.stderr
    assert "no model 'vela'" in done.stderr
    assert "hint: models: crab" in done.stderr
    assert not place.exists()
    again, _ = run(folder, "mended")
    assert {str(item.state) for item in again.view.tasks.values()} == {"cached"}

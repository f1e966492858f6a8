"""Bad input, end to end: ``gpwf run`` on H.E.S.S. DL3 DR1 says what is wrong and what to change.

What can be known before the run is told before it, with the place in the document. What only the
data tell is a failed step, or one without data; what does not depend on it goes on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

OBSERVATIONS = """\
gpwf: 1
name: bad
steps:
  - tag: observations
    config: {datastore: $GAMMAPY_DATA/hess-dl3-dr1, SELECTION}
"""
CHAINS = """\
gpwf: 1
name: chains
defaults:
  datasets:
    type: 1d
    geom:
      axes:
        energy: {min: 0.5 TeV, max: 40 TeV, nbins: 10}
        energy_true: {min: 0.3 TeV, max: 100 TeV, nbins: 20}
    on_region: {frame: icrs, lon: 83.633 deg, lat: 22.014 deg, radius: 0.11 deg}
    background: {method: reflected}
steps:
  - tag: observations
    config: {datastore: $GAMMAPY_DATA/hess-dl3-dr1, obs_ids: [23523], required_irf: [aeff, edisp]}
  - {name: models, tag: models, config: {file: crab.yaml}}
  - {name: good, tag: datasets}
  - {name: fit, tag: fit, required_products: {datasets: good.datasets, models: models.models}}

  - {name: far, tag: datasets, config: {on_region: {lon: 10 deg}}}
  - {name: far-fit, tag: fit, required_products: {datasets: far.datasets, models: models.models}}

  - {name: excluded, tag: datasets, config: {background: {exclusion: all.reg}}}

  - name: trusted
    tag: datasets
    config: {safe_mask: {methods: [aeff-max], parameters: {aeff_percent: 70}}}
  - name: low-fit
    tag: fit
    required_products: {datasets: trusted.datasets, models: models.models}
    config: {fit_range: {min: 0.5 TeV, max: 1 TeV}}
  - name: low-points
    tag: flux-points
    required_products: {datasets: trusted.datasets, models: fit.models}
    config: {energy: {min: 0.5 TeV, max: 1 TeV, nbins: 1}}
  - name: low-curve
    tag: light-curve
    required_products: {datasets: trusted.datasets, models: fit.models}
    config: {energy_edges: {min: 0.5 TeV, max: 1 TeV, nbins: 1}}

  - name: empty
    tag: datasets
    config:
      on_region: {lon: 83.633 deg, lat: 23.6 deg, radius: 0.05 deg}
      geom: {axes: {energy: {min: 20 TeV, max: 40 TeV, nbins: 2}}}
  - name: empty-fit
    tag: fit
    required_products: {datasets: empty.datasets, models: models.models}
  - name: empty-points
    tag: flux-points
    required_products: {datasets: empty.datasets, models: fit.models}
    config: {energy: {min: 20 TeV, max: 40 TeV, nbins: 2}}
  - name: empty-curve
    tag: light-curve
    required_products: {datasets: empty.datasets, models: fit.models}

  - {name: others, tag: models, config: {file: others.yaml}}
  - name: others-fit
    tag: fit
    required_products: {datasets: good.datasets, models: others.models}
"""
# state, what the message says, what the hint says
EXPECTED = {
    "fit": ("ok", "", ""),
    "far": ("skipped", "outside the field of view of every observation", "on_region"),
    "far-fit": ("skipped", "far had no data", ""),
    "excluded": ("failed", "no observation has an OFF region", "'background.exclusion'"),
    "low-fit": ("failed", "no bin is both in the safe range and in the fit range", "'fit_range'"),
    "low-points": (
        "skipped",
        "'energy' (0.5 to 1.201 TeV) lies outside the safe range",
        "'energy'",
    ),
    "low-curve": ("skipped", "'energy_edges' (0.5 to 1.201 TeV) lies outside", "'energy_edges'"),
    "empty": ("ok", "", ""),
    "empty-fit": ("skipped", "no counts in the bins to fit", "upper-limit"),
    "empty-points": ("skipped", "no counts in any bin (20 to 40 TeV)", "energy range"),
    "empty-curve": ("skipped", "no counts in any bin (20 to 40 TeV)", "energy range"),
    "others-fit": (
        "failed",
        "'crab' is for datasets that are not there: veritas-1",
        "hess-stacked",
    ),
}


def command(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gpwf", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("selection", "place", "message", "hint"),
    [
        ("obs_ids: [1]", "bad.yaml:5:", "no observation 1 in", ""),
        (
            "obs_ids: [23523], required_irf: [aeff, rad_max]",
            "bad.yaml:5:",
            "observation 23523 of",
            "require less, or leave the observation out",
        ),
        ("obs_ids: []", "bad.yaml:5:", "obs_ids", ""),
    ],
)
def test_what_the_index_tells_is_told_before_the_run(
    tmp_path: Path, selection: str, place: str, message: str, hint: str
) -> None:
    (tmp_path / "bad.yaml").write_text(OBSERVATIONS.replace("SELECTION", selection))
    done = command(tmp_path, "validate", "bad.yaml")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for text in (place, message, hint):
        assert text in done.stdout + done.stderr


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Return a run in which most chains of steps fail, and its process."""
    folder = tmp_path_factory.mktemp("bad")
    crab = (Path(__file__).parents[2] / "workflows" / "models" / "crab-pl.yaml").read_text()
    (folder / "crab.yaml").write_text(crab)
    others = crab.replace("- name: crab\n", "- name: crab\n  datasets_names: [veritas-1]\n")
    assert others != crab
    (folder / "others.yaml").write_text(others)
    (folder / "all.reg").write_text("icrs\ncircle(83.633, 22.014, 5)\n")
    (folder / "chains.gpwf.yaml").write_text(CHAINS)
    done = command(folder, "run", "chains.gpwf.yaml", "--store", "store", "--run-dir", "run")
    return gpwf.open_run(folder / "run"), done


@pytest.mark.parametrize("step", EXPECTED)
def test_a_step_says_what_to_change(chains: tuple[Any, Any], step: str) -> None:
    run, done = chains
    state, message, hint = EXPECTED[step]
    task = run.view.tasks[step]
    assert str(task.state) == state
    failure = task.last.failure if task.last is not None else None
    told = task.reason if failure is None else failure.message
    assert message in told
    assert hint in (str(failure.hint) + told if failure is not None else hint)
    assert not message or f"{step}: " in done.stderr


def test_failures_make_the_exit_code_and_no_traceback(chains: tuple[Any, Any]) -> None:
    _, done = chains
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "failed: " in done.stderr
    assert "hint: " in done.stderr


def test_nothing_is_there_of_what_failed(chains: tuple[Any, Any]) -> None:
    run, _ = chains
    made = {item.step for item in run.products()}
    ended_well = {name for name, (state, *_) in EXPECTED.items() if state == "ok"}
    assert made == ended_well | {"observations", "models", "good", "trusted", "others"}


def test_no_data_alone_is_no_failure(tmp_path: Path) -> None:
    """Nobody pointed there: the run ends well, and says that nothing was there."""
    cone = "obs_cone: {center: {lon: 0 deg, lat: 80 deg}, radius: 1 deg}"
    (tmp_path / "bad.yaml").write_text(OBSERVATIONS.replace("SELECTION", cone))
    done = command(tmp_path, "run", "bad.yaml", "--store", "store", "--run-dir", "run")
    assert done.returncode == 0
    assert "observations: skipped" in done.stderr
    assert "fits the selection" in done.stderr
    assert "1 skipped" in done.stderr

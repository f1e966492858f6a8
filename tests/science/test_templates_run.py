"""The workflows that `gpwf init` writes run without a warning, and find what is known."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gpwf
from gpwf.api.scaffold import init
from gpwf.api.targets import TARGETS, Target

pytestmark = pytest.mark.gammapy

New = Callable[..., Any]


@pytest.fixture
def new(tmp_path: Path) -> New:
    """Return a function that writes a workflow, runs it, and sees that nobody warned."""

    def make(template: str, *targets: str, **options: Any) -> Any:
        workflow = init(template, tmp_path / "new")[0].path
        run = gpwf.read(workflow, **options).run(
            run_dir=tmp_path / "run", store=tmp_path / "store", jobs=2, targets=targets
        )
        lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
        log = [json.loads(line) for line in lines]
        assert [line for line in log if line["level"] not in ("info", "debug")] == []
        assert str(run.state) == "ok"
        return run

    return make


def test_simulate_finds_what_it_simulated(new: New) -> None:
    fitted = new("simulate")["fit"].fit_result.read()
    for name, injected in (("index", 2.6), ("amplitude", 3.8e-11)):
        found = fitted.parameter("source", name)
        assert abs(found.value - injected) < 3 * found.error
        assert 0 < found.error < 0.1 * injected


def test_the_script_of_command_writes_the_fit(new: New) -> None:
    run = new("command")
    index = run["fit"].fit_result.read().parameter("source", "index")
    text = run["paper-table"].table.path.read_text()
    decimals = 1 - math.floor(math.log10(index.error))  # two digits of the error
    row = f"source & index &  & ${index.value:.{decimals}f} \\pm {index.error:.{decimals}f}$"
    assert row in text
    assert len([line for line in text.splitlines() if line.startswith("source")]) == 2


@pytest.mark.science
def test_crab_1d_finds_the_crab(new: New) -> None:
    """As by hand in gammapy above 1 TeV; H.E.S.S. published 2.63 above 0.4 TeV."""
    run = new("crab-1d")
    fitted = run["fit"].fit_result.read()
    assert fitted.parameter("crab", "index").value == pytest.approx(2.69, abs=0.02)
    assert fitted.parameter("crab", "amplitude").value == pytest.approx(4.58e-11, rel=0.02)
    points = run["flux-points"].flux_points.read().to_table(sed_type="dnde")
    assert (points["sqrt_ts"] > 2).sum() == 7


@pytest.mark.science
def test_joint_finds_the_published_spectrum(new: New) -> None:
    """Nigro et al. (2019), A&A 625, A10, table 2: joint fit of the same data.

    Their curvature is that of the decadic logarithm.
    """
    run = new("joint")
    fitted = run["joint"].fit_result.read()
    published = {"amplitude": (3.85e-11, 0.11e-11), "alpha": (2.51, 0.03)}
    for name, (value, error) in published.items():
        assert abs(fitted.parameter("crab", name).value - value) < error
    assert fitted.parameter("crab", "beta").value * math.log(10) == pytest.approx(0.24, abs=0.02)
    comparison = run["comparison"].table.read()
    assert list(comparison["instrument"]) == ["fermi", "magic", "veritas", "fact", "hess"]


@pytest.mark.science
def test_multi_target_compares_the_targets(new: New) -> None:
    """MSH 15-52: index 2.27 of H.E.S.S. (2005), A&A 435, L17; the others as gammapy finds them."""
    run = new("multi-target", "parameters")
    rows = {row["target"]: row for row in run["parameters"].table.read()}
    assert list(rows) == ["crab", "pks2155-304", "msh15-52"]
    for name, index in (("crab", 2.7), ("pks2155-304", 3.6), ("msh15-52", 2.27)):
        assert rows[name]["source.index"] == pytest.approx(index, abs=0.25)


@pytest.mark.science
def test_3d_finds_the_crab(new: New) -> None:
    run = new("3d", "residual-map", "flux-points", profile="quick")
    fitted = run["fit"].fit_result.read()
    assert fitted.parameter("crab", "lon_0").value == pytest.approx(83.63, abs=0.02)
    assert fitted.parameter("crab", "lat_0").value == pytest.approx(22.02, abs=0.02)
    assert fitted.parameter("crab", "index").value == pytest.approx(2.68, abs=0.1)


@pytest.mark.science
@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_targets_are_those_of_the_index(target: Target) -> None:
    """All observations that were aimed at a target, and no others."""
    import numpy as np
    from astropy.io import fits

    path = Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1" / "obs-index.fits.gz"
    rows = fits.getdata(path, 1)
    east = (rows["RA_OBJ"] - target.lon) * np.cos(np.radians(target.lat))
    near = np.hypot(east, rows["DEC_OBJ"] - target.lat) < 0.15
    assert sorted(rows["OBS_ID"][near]) == sorted(target.obs_ids)

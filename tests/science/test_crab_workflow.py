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
from test_crab_by_hand import by_hand, observations  # noqa: F401 (fixtures)

import gpwf

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "workflows" / "crab-1d.gpwf.yaml"
FEWER = ["contours.config.n_points=8", "contours.config.n_sigma=[1.0]", "scan.config.n_values=5"]
RTOL = 1e-3


def run(folder: Path, name: str, *options: str) -> tuple[Any, str]:
    """Run the workflow in a process of its own; return the run and what was printed."""
    place = folder / name
    command = [sys.executable, "-m", "gpwf", "run", str(WORKFLOW), "--run-dir", str(place)]
    sets = [item for text in FEWER for item in ("--set", f"steps.{text}")]
    done = subprocess.run(
        [*command, "--store", str(folder / "store"), "-j", "2", *sets, *options],
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


# ---- everything after the fit, by gammapy's API and nothing else ---------------------------------


@pytest.fixture(scope="module")
def fitted(by_hand: tuple[Any, Any]) -> tuple[Any, Any]:  # noqa: F811
    """Return datasets with the models at their best fit, and the fit's statistic."""
    datasets, result = by_hand
    datasets.models = result.models
    return datasets, result.total_stat


@pytest.fixture(scope="module")
def measured(fitted: tuple[Any, Any]) -> Any:
    """Return the same without the range of the fit, which fluxes are not bound to."""
    from gammapy.datasets import Datasets

    datasets = Datasets([item.copy(name=item.name) for item in fitted[0]])
    for item in datasets:
        item.mask_fit = None
    datasets.models = fitted[0].models
    return datasets


def test_flux_points_by_hand(crab: Any, measured: Any) -> None:
    from astropy import units as u
    from gammapy.estimators import FluxPointsEstimator

    ours = crab["flux-points"].flux_points.read()
    edges = np.geomspace(1, 30, 9) * u.TeV
    theirs = FluxPointsEstimator(energy_edges=edges, source="crab", selection_optional=["ul"]).run(
        measured
    )
    np.testing.assert_allclose(ours.energy_min, theirs.energy_min, rtol=1e-9)
    np.testing.assert_array_equal(ours.is_ul.data, theirs.is_ul.data)
    for name in ("norm", "norm_err", "norm_ul", "ts"):
        one, two = getattr(ours, name).data, getattr(theirs, name).data
        np.testing.assert_allclose(one, two, rtol=RTOL, atol=1e-3, err_msg=name)
    assert ours.counts.data.sum() == theirs.counts.data.sum()


@pytest.mark.parametrize(("step", "groups"), [("light-curve", 4), ("nightly", 3)])
def test_light_curves_by_hand(crab: Any, measured: Any, step: str, groups: int) -> None:
    """Per run, and per night: the first two runs are those of one night."""
    from astropy import units as u
    from astropy.time import Time
    from gammapy.estimators import LightCurveEstimator

    spans = [(item.gti.time_start[0], item.gti.time_stop[-1]) for item in measured]
    assert (spans[1][0] - spans[0][1]).to_value("h") < 1
    if groups == 3:
        spans = [(spans[0][0], spans[1][1]), *spans[2:]]
    theirs = LightCurveEstimator(
        energy_edges=[1, 30] * u.TeV,
        source="crab",
        time_intervals=[Time(span) for span in spans],
        selection_optional=["ul"],
    ).run(measured)
    ours = crab[step].light_curve.read()
    assert ours.geom.axes["time"].nbin == groups
    for name in ("norm", "norm_err", "norm_ul", "ts"):
        one, two = getattr(ours, name).data, getattr(theirs, name).data
        np.testing.assert_allclose(one, two, rtol=RTOL, err_msg=name)
    np.testing.assert_allclose(
        ours.geom.axes["time"].time_min.tt.mjd, [span[0].tt.mjd for span in spans], atol=1e-8
    )


def test_profile_and_contour_by_hand(crab: Any, fitted: tuple[Any, Any]) -> None:
    from gammapy.modeling import Fit

    datasets, total_stat = fitted
    spectrum = datasets.models["crab"].spectral_model
    profile = crab["scan"].profile.read()
    spectrum.index.scan_values = np.array(profile["value"])
    fit = Fit()
    theirs = fit.stat_profile(datasets, spectrum.index, reoptimize=True)
    np.testing.assert_allclose(profile["stat"], theirs["stat_scan"], rtol=RTOL)
    assert profile.meta["stat_min"] == pytest.approx(total_stat, rel=1e-5)
    contour = crab["contours"].contours.read()
    assert contour.meta["levels"][0]["delta_stat"] == pytest.approx(2.2957489)
    around = fit.stat_contour(
        datasets, spectrum.index, spectrum.amplitude, numpoints=8, sigma=np.sqrt(2.2957489)
    )
    for name in ("index", "amplitude"):
        points = around[f"crab.spectral.{name}"]
        close = {"abs": 0.02 * np.ptp(points)}
        assert contour[f"crab.{name}"].max() == pytest.approx(points.max(), **close)
        assert contour[f"crab.{name}"].min() == pytest.approx(points.min(), **close)


# ---- runs ----------------------------------------------------------------------------------------


def test_another_store_gets_the_same_digests(crab: Any, tmp_path: Path) -> None:
    """Every product, figures and tables too: other folder, other processes, other hash seed."""
    again, _ = run(tmp_path, "again")
    assert digests(again) == digests(crab)
    assert len(digests(again)) == 16


def test_a_second_run_finds_everything_done(crab: Any, folder: Path) -> None:
    again, printed = run(folder, "second")
    assert {str(item.state) for item in again.view.tasks.values()} == {"cached"}
    assert digests(again) == digests(crab)
    assert "15 cached" in printed


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

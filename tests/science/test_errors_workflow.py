"""``workflows/crab-errors.gpwf.yaml``: the same errors and limits by hand, in plain gammapy.

References
----------
The fit is that of H.E.S.S. in Nigro et al. 2019, A&A 625, A10: alpha = 2.393 +- 0.183.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

WORKFLOW = Path(__file__).parents[2] / "workflows" / "crab-errors.gpwf.yaml"
OBS_IDS = (23523, 23526, 23559, 23592)
RTOL = 1e-3


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("errors")
    sets = [  # fewer of everything
        ("steps.scan.config.n_values", 5),
        ("steps.contours.config.n_points", 8),
        ("steps.contours.config.n_sigma", [1.0]),
        ("steps.goodness.config.n_simulations", 2),
    ]
    found = gpwf.read(WORKFLOW, sets=sets).run(
        store=folder / "store", run_dir=folder / "run", jobs=2
    )
    assert str(found.state) == "ok"
    return found


@pytest.fixture(scope="module")
def by_hand() -> Any:
    """Return datasets at the best fit of a log parabola, and the fit."""
    from astropy import units as u
    from gammapy.datasets import Datasets, SpectrumDatasetOnOff
    from gammapy.modeling import Fit
    from gammapy.modeling.models import LogParabolaSpectralModel, SkyModel

    folder = Path(os.environ["GAMMAPY_DATA"]) / "joint-crab" / "spectra" / "hess"
    datasets = Datasets()
    for obs_id in OBS_IDS:
        dataset = SpectrumDatasetOnOff.read(folder / f"pha_obs{obs_id}.fits")
        dataset.mask_fit = dataset.counts.geom.energy_mask(0.7 * u.TeV, 30 * u.TeV)
        datasets.append(dataset)
    spectrum = LogParabolaSpectralModel(
        amplitude="3e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.4, beta=0.1
    )
    datasets.models = SkyModel(spectrum, name="crab")
    fit = Fit()
    return datasets, fit, fit.run(datasets)


def test_the_fit_is_the_published_one(done: Any, by_hand: Any) -> None:
    datasets, _, result = by_hand
    summary = done["fit"].fit_result.read()
    alpha = summary.parameter("crab", "alpha")
    assert alpha.value == pytest.approx(2.3929, rel=RTOL)
    assert alpha.error == pytest.approx(0.18277, rel=5 * RTOL)
    assert alpha.value == pytest.approx(result.parameters["alpha"].value, rel=RTOL)
    row = done["goodness"].summary.read()[0]
    counts = sum(dataset.counts.data[dataset.mask.data].sum() for dataset in datasets)
    assert row["counts"] == counts
    assert row["deviance"] == pytest.approx(result.total_stat, rel=RTOL)
    assert row["n_bins"] == sum(int(dataset.mask.data.sum()) for dataset in datasets)
    assert 0 < row["p_simulated"] <= 1


def test_the_profiles_are_those_of_gammapy(done: Any, by_hand: Any) -> None:
    datasets, fit, result = by_hand
    for name in ("alpha", "beta"):
        ours = done["scan"].at(parameter=name).profile.read()
        parameter = datasets.models["crab"].spectral_model.parameters[name]
        parameter.scan_values = np.array(ours["value"])
        theirs = fit.stat_profile(datasets, parameter, reoptimize=True)
        np.testing.assert_allclose(ours["stat"], theirs["stat_scan"], rtol=RTOL)
        assert ours.meta["stat_min"] == pytest.approx(result.total_stat, rel=1e-5)


def test_the_contour_is_that_of_gammapy(done: Any, by_hand: Any) -> None:
    datasets, fit, _ = by_hand
    ours = done["contours"].contours.read()
    spectrum = datasets.models["crab"].spectral_model
    theirs = fit.stat_contour(
        datasets, spectrum.alpha, spectrum.beta, numpoints=8, sigma=np.sqrt(2.2957489)
    )
    for name in ("alpha", "beta"):
        points = theirs[f"crab.spectral.{name}"]
        # minuit walks from where it starts: the extent is the same, the points nearly
        assert ours[f"crab.{name}"].max() == pytest.approx(points.max(), abs=0.02 * np.ptp(points))
        assert ours[f"crab.{name}"].min() == pytest.approx(points.min(), abs=0.02 * np.ptp(points))
    assert ours.meta["levels"][0]["delta_stat"] == pytest.approx(2.2957489)


def test_curvature_and_its_limit_are_those_of_gammapy(done: Any, by_hand: Any) -> None:
    datasets, fit, result = by_hand
    spectrum = datasets.models["crab"].spectral_model
    row = done["limit"].limit.read()[0]
    minos = fit.confidence(datasets, spectrum.beta, sigma=1.6448536)
    assert row["best"] == pytest.approx(spectrum.beta.value, rel=3 * RTOL)
    assert row["limit"] == pytest.approx(spectrum.beta.value + minos["errp"], rel=3 * RTOL)

    row = done["curvature"].comparison.read()[0]
    copy = datasets.models.copy()
    spectrum.beta.value, spectrum.beta.frozen = 0, True
    null = fit.run(datasets)
    datasets.models = copy
    assert row["ts"] == pytest.approx(null.total_stat - result.total_stat, abs=5e-3)
    assert row["null_stat"] == pytest.approx(null.total_stat, rel=1e-5)
    assert row["n_dof"] == 1
    assert row["sigma"] == pytest.approx(np.sqrt(row["ts"]), rel=1e-9)


def test_the_figures_are_there(done: Any) -> None:
    for step in ("profiles", "contour-plot"):
        folder = Path(done[step].figure.folder)
        assert (folder / "figure.png").stat().st_size > 10_000

"""``workflows/fermi-hess.gpwf.yaml``: maps and spectra in one fit, against gammapy by hand.

References
----------
The data are those of gammapy's tutorial on joint modelling with several instruments; the H.E.S.S.
spectra of Nigro et al. 2019, A&A 625, A10.
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

WORKFLOW = Path(__file__).parents[2] / "workflows" / "fermi-hess.gpwf.yaml"
OBS_IDS = (23523, 23526, 23559, 23592)
RTOL = 1e-3


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("fermi-hess")
    found = gpwf.read(WORKFLOW).run(store=folder / "store", run_dir=folder / "run", jobs=2)
    assert str(found.state) == "ok"
    return found


@pytest.fixture(scope="module")
def by_hand() -> tuple[Any, Any, Any]:
    """Return datasets, models and result of the joint fit, with gammapy's API and nothing else."""
    from astropy import units as u
    from gammapy.datasets import Datasets, SpectrumDatasetOnOff
    from gammapy.modeling import Fit
    from gammapy.modeling.models import (
        LogParabolaSpectralModel,
        Models,
        PointSpatialModel,
        SkyModel,
    )

    data = Path(os.environ["GAMMAPY_DATA"])
    fermi = data / "fermi-3fhl-crab"
    datasets = Datasets.read(fermi / "Fermi-LAT-3FHL_datasets.yaml", lazy=False, checksum=False)
    counts = datasets[0].counts.geom
    datasets[0].mask_safe &= counts.energy_mask(0.028 * u.TeV, 2.001 * u.TeV)
    for obs_id in OBS_IDS:
        path = data / "joint-crab" / "spectra" / "hess" / f"pha_obs{obs_id}.fits"
        dataset = SpectrumDatasetOnOff.read(path, name=f"hess-{obs_id}")
        dataset.mask_safe &= dataset.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
        datasets.append(dataset)
    spectrum = LogParabolaSpectralModel(
        amplitude="3e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.4, beta=0.1
    )
    position = PointSpatialModel(lon_0="83.6331 deg", lat_0="22.0199 deg", frame="icrs")
    position.parameters.freeze_all()
    crab = SkyModel(spectrum, position, name="crab")
    background = Models.read(fermi / "Fermi-LAT-3FHL_models.yaml", checksum=False)[1]
    datasets.models = Models([crab, background])
    return datasets, crab, Fit().run(datasets)


def test_the_joint_fit_is_that_of_gammapy(done: Any, by_hand: Any) -> None:
    datasets, crab, result = by_hand
    assert result.success
    row = done["results"].table.read()[-1]
    assert row["item"] == "joint"
    for name in ("amplitude", "alpha", "beta"):
        parameter = getattr(crab.spectral_model, name)
        assert row[f"crab.{name}"] == pytest.approx(parameter.value, rel=RTOL), name
        assert row[f"crab.{name}_err"] == pytest.approx(parameter.error, rel=0.01), name
    assert row["total_stat"] == pytest.approx(datasets.stat_sum(), abs=0.01)
    summary = done["together"].fit_result.read()
    norm = datasets.models["Fermi-LAT-bkg"].spectral_model.norm
    assert summary.parameter("Fermi-LAT-bkg", "norm").value == pytest.approx(norm.value, rel=RTOL)
    found = {item.name: item for item in summary.datasets}
    assert list(found) == ["Fermi-LAT", *(f"hess-{obs_id}" for obs_id in OBS_IDS)]
    for dataset in datasets:
        item = found[dataset.name]
        assert item.counts == dataset.counts.data[dataset.mask.data].sum()
        assert item.n_bins == dataset.mask.data.sum()
        assert item.npred == pytest.approx(dataset.npred().data[dataset.mask.data].sum(), rel=RTOL)


def test_the_global_model_is_for_every_dataset_and_its_background_for_one(done: Any) -> None:
    models = done["global"].models.read()
    assert models.names == ["crab", "Fermi-LAT-bkg"]
    assert models["crab"].datasets_names is None
    assert models["Fermi-LAT-bkg"].datasets_names == ["Fermi-LAT"]


def test_together_they_say_more_than_each_alone(done: Any) -> None:
    fermi, hess, joint = done["results"].table.read()
    for name in ("amplitude", "alpha", "beta"):
        errors = [row[f"crab.{name}_err"] for row in (fermi, hess)]
        assert joint[f"crab.{name}_err"] < min(errors)
        for row in (fermi, hess):
            pull = (joint[f"crab.{name}"] - row[f"crab.{name}"]) / row[f"crab.{name}_err"]
            assert abs(pull) < 3
    # as in the paper, whose joint fit of five instruments has 3.85e-11, 2.51 and 0.24
    assert joint["crab.amplitude"] == pytest.approx(3.85e-11, abs=6.5e-12)
    assert joint["crab.alpha"] == pytest.approx(2.51, abs=0.12)
    assert joint["crab.beta_log10"] == pytest.approx(0.24, abs=0.12)


def test_the_points_follow_the_joint_spectrum(done: Any) -> None:
    spectrum = done["together"].models.read()["crab"].spectral_model
    pulls = []
    for step, n_points in (("lat-points", 4), ("hess-points", 6)):
        flux = done[step].flux_points.read()
        assert len(flux.energy_ref) == n_points
        dnde, error = (
            getattr(flux, name).quantity.to_value("TeV-1 cm-2 s-1").ravel()
            for name in ("dnde", "dnde_err")
        )
        model = spectrum(flux.energy_ref).to_value("TeV-1 cm-2 s-1")
        pulls += list(((dnde - model) / error)[~flux.is_ul.data.ravel()])
    assert len(pulls) >= 8
    assert np.mean(np.square(pulls)) < 3
    assert (Path(done["spectrum"].figure.folder) / "figure.png").stat().st_size > 10_000

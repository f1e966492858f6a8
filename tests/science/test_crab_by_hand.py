"""The Crab spectrum of H.E.S.S. DL3 DR1: our steps against gammapy by hand, and both against known
numbers.

The settings are those of ``workflows/crab-1d.gpwf.yaml``.

References
----------
H.E.S.S. collaboration, "H.E.S.S. first public test data release", arXiv:1810.04516.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest

from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

OBS_IDS = [23523, 23526, 23559, 23592]
N_ON = [190, 199, 167, 143]
INDEX = 2.726
AMPLITUDE = 4.92e-11  # TeV-1 s-1 cm-2 at 1 TeV
TOTAL_STAT = 49.44
RTOL = 1e-3

EXCLUSION = "$GAMMAPY_DATA/joint-crab/exclusion/exclusion_mask_crab.fits.gz"
DATASETS: dict[str, Any] = {
    "type": "1d",
    "stack": False,
    "geom": {
        "axes": {
            "energy": {"min": "0.1 TeV", "max": "40 TeV", "nbins": 24},
            "energy_true": {"min": "0.05 TeV", "max": "100 TeV", "nbins": 60},
        }
    },
    "on_region": {
        "center": {"frame": "icrs", "lon": "83.633 deg", "lat": "22.014 deg"},
        "radius": "0.11 deg",
    },
    "background": {"method": "reflected", "exclusion": EXCLUSION},
    "safe_mask": {"methods": ["aeff-max"], "parameters": {"aeff_percent": 10}},
    "containment_correction": True,
}


def run(tag: str, config: dict[str, Any], inputs: dict[str, Any], work_dir: Path) -> Any:
    """Run one step without an engine."""
    step = load_catalog().step(tag)
    base = Path(__file__).parents[2] / "workflows"
    settled = settle(step, config, base=base)
    assert not settled.problems, settled.problems
    context = StepContext(step=tag, task_id=tag, work_dir=work_dir)
    return step.run(restore(step, settled.settings), inputs, context)


@pytest.fixture(scope="module")
def observations() -> Any:
    from gammapy.data import DataStore

    folder = Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1"
    store = DataStore.from_dir(folder)
    return store.get_observations(OBS_IDS, required_irf=["aeff", "edisp"])


@pytest.fixture(scope="module")
def by_hand(observations: Any) -> tuple[Any, Any]:
    """Return datasets and fit result, with gammapy's API and nothing else."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.datasets import Datasets, SpectrumDataset
    from gammapy.makers import (
        ReflectedRegionsBackgroundMaker,
        SafeMaskMaker,
        SpectrumDatasetMaker,
    )
    from gammapy.maps import MapAxis, RegionGeom, WcsNDMap
    from gammapy.modeling import Fit
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel
    from regions import CircleSkyRegion

    energy = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", 24)
    energy_true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", 60, name="energy_true")
    center = SkyCoord("83.633 deg", "22.014 deg", frame="icrs")
    geom = RegionGeom.create(CircleSkyRegion(center, 0.11 * u.deg), axes=[energy])
    exclusion = WcsNDMap.read(os.path.expandvars(EXCLUSION))
    exclusion.data = exclusion.data.astype(bool)

    counts = SpectrumDatasetMaker(
        selection=["counts", "exposure", "edisp"], containment_correction=True
    )
    background = ReflectedRegionsBackgroundMaker(exclusion_mask=exclusion)
    safe = SafeMaskMaker(methods=["aeff-max"], aeff_percent=10)
    empty = SpectrumDataset.create(geom, energy_axis_true=energy_true)
    datasets = Datasets()
    for observation in observations:
        dataset = counts.run(empty.copy(name=str(observation.obs_id)), observation)
        dataset = background.run(dataset, observation)
        datasets.append(safe.run(dataset, observation))

    for dataset in datasets:
        dataset.mask_fit = dataset.counts.geom.energy_mask(1 * u.TeV, 30 * u.TeV)
    datasets.models = SkyModel(
        PowerLawSpectralModel(index=2.3, amplitude="3e-11 cm-2 s-1 TeV-1"), name="crab"
    )
    return datasets, Fit().run(datasets)


@pytest.fixture(scope="module")
def chain(observations: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the products of our steps by port."""
    folder = tmp_path_factory.mktemp("work")
    products: dict[str, Any] = {"observations": observations}
    fit_range = {"min": "1 TeV", "max": "30 TeV"}
    band = {"min": "1 TeV", "max": "30 TeV", "nbins": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # energies that moved; tested elsewhere
        products |= run("datasets", DATASETS, products, folder)
        products |= run("models", {"file": "models/crab-pl.yaml"}, products, folder)
        products |= run("fit", {"fit_range": fit_range}, products, folder)
        points = {"source": "crab", "energy": fit_range | {"nbins": 8}}
        points |= {"selection_optional": ["ul"]}
        products |= run("flux-points", points, products, folder)
        curve = {"source": "crab", "energy_edges": band}
        products |= run("light-curve", curve, products, folder)
    return products


def test_gammapy_by_hand_gives_the_known_numbers(by_hand: tuple[Any, Any]) -> None:
    datasets, result = by_hand
    assert [int(dataset.counts.data.sum()) for dataset in datasets] == N_ON
    assert result.success
    spectrum = result.models["crab"].spectral_model
    assert spectrum.index.value == pytest.approx(INDEX, rel=RTOL)
    amplitude = spectrum.amplitude.quantity.to_value("TeV-1 s-1 cm-2")
    assert amplitude == pytest.approx(AMPLITUDE, rel=RTOL)
    assert result.total_stat == pytest.approx(TOTAL_STAT, rel=RTOL)


def test_our_steps_give_the_known_numbers(chain: dict[str, Any]) -> None:
    assert chain["datasets"].names == [f"hess-{number}" for number in OBS_IDS]
    assert [int(dataset.counts.data.sum()) for dataset in chain["datasets"]] == N_ON
    summary = chain["fit_result"]
    assert summary.parameter("crab", "index").value == pytest.approx(INDEX, rel=RTOL)
    assert summary.parameter("crab", "amplitude").value == pytest.approx(AMPLITUDE, rel=RTOL)
    assert summary.total_stat == pytest.approx(TOTAL_STAT, rel=RTOL)


def test_our_steps_give_what_gammapy_gives_by_hand(
    chain: dict[str, Any], by_hand: tuple[Any, Any]
) -> None:
    """Not only close: the same makers in the same order give the same bits."""
    datasets, result = by_hand
    for ours, theirs in zip(chain["datasets"], datasets, strict=True):
        for name in ("counts", "counts_off", "acceptance", "acceptance_off", "exposure"):
            one, two = getattr(ours, name).data, getattr(theirs, name).data
            np.testing.assert_array_equal(one, two, err_msg=name)
        np.testing.assert_array_equal(ours.mask_safe.data, theirs.mask_safe.data)
        np.testing.assert_array_equal(ours.edisp.edisp_map.data, theirs.edisp.edisp_map.data)
    summary = chain["fit_result"]
    assert summary.total_stat == pytest.approx(result.total_stat, rel=1e-10)
    for ours, theirs in zip(summary.parameters, result.models.parameters, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-8)
        assert ours.error == pytest.approx(theirs.error, rel=1e-6)


def test_flux_points_and_light_curve_agree_with_the_fit(chain: dict[str, Any]) -> None:
    points = chain["flux_points"]
    assert points.geom.axes["energy"].nbin == 8
    spectrum = chain["models"]["crab"].spectral_model
    model = spectrum(points.energy_ref).to_value("TeV-1 cm-2 s-1")
    measured = points.dnde.quantity.to_value("TeV-1 cm-2 s-1").ravel()
    error = points.dnde_err.quantity.to_value("TeV-1 cm-2 s-1").ravel()
    pulls = ((measured - model) / error)[1:]  # the first bin reaches below the fit range
    assert np.abs(pulls).max() < 3
    curve = chain["light_curve"]
    assert curve.geom.axes["time"].nbin == 4
    norm, error = curve.norm.data.ravel(), curve.norm_err.data.ravel()
    assert abs(np.average(norm, weights=error**-2) - 1) < 0.2


# ---- what can go wrong in the reduction ----------------------------------------------------------


def changed(**sections: Any) -> dict[str, Any]:
    """Return the settings with some sections replaced."""
    return DATASETS | sections


def test_stacking_adds_up_and_names_after_the_telescope(
    observations: Any, chain: dict[str, Any], tmp_path: Path
) -> None:
    stacked = run("datasets", changed(stack=True), {"observations": observations}, tmp_path)
    dataset = stacked["datasets"][0]
    assert stacked["datasets"].names == ["hess-stacked"]
    safe = sum(int(d.counts.data[d.mask_safe.data].sum()) for d in chain["datasets"])
    assert int(dataset.counts.data.sum()) == safe
    config = changed(prefix="crab", background={"method": "reflected"})
    one = run("datasets", config, {"observations": [observations[2]]}, tmp_path)["datasets"]
    assert one.names == ["crab-23559"]


def test_a_region_far_away_has_no_data(observations: Any, tmp_path: Path) -> None:
    region = {"frame": "icrs", "lon": "10 deg", "lat": "22 deg", "radius": "0.1 deg"}
    with (
        pytest.warns(UserWarning, match=r"observation \d+ is left out.*deg from its pointing"),
        pytest.raises(NoDataError, match="outside the field of view of every observation"),
    ):
        run("datasets", changed(on_region=region), {"observations": observations}, tmp_path)


@pytest.mark.filterwarnings("ignore:'THETA' axis is stored as a scalar")
def test_a_response_of_one_radius_says_what_to_do(tmp_path: Path) -> None:
    from gammapy.data import DataStore

    folder = Path(os.environ["GAMMAPY_DATA"]) / "magic" / "rad_max" / "data"
    magic = DataStore.from_dir(folder).get_observations(required_irf="point-like")
    config = changed(containment_correction=False, safe_mask={"methods": []})
    with pytest.raises(StepError, match="point-like") as caught:
        run("datasets", config, {"observations": magic}, tmp_path)
    assert "changes with energy" in (caught.value.hint or "")


def test_an_exclusion_of_everything_is_an_error(observations: Any, tmp_path: Path) -> None:
    (tmp_path / "all.reg").write_text("icrs\ncircle(83.633, 22.014, 5)\n")
    background = {"method": "reflected", "exclusion": str(tmp_path / "all.reg")}
    with (
        pytest.warns(UserWarning, match=r"\d+ is left out: it has no OFF region"),
        pytest.raises(StepError, match="no observation has an OFF region") as caught,
    ):
        run("datasets", changed(background=background), {"observations": observations}, tmp_path)
    assert "background.exclusion" in (caught.value.hint or "")


def test_regions_to_exclude_reduce_the_off_counts(
    observations: Any, chain: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "half.reg").write_text("fk5\ncircle(83.1, 21.5, 0.4)\n")
    background = {"method": "reflected", "exclusion": str(tmp_path / "half.reg")}
    inputs = {"observations": observations}
    found = run("datasets", changed(background=background), inputs, tmp_path)["datasets"]
    full = run("datasets", changed(background={}), inputs, tmp_path)["datasets"]
    assert 0 < found[0].counts_off.data.sum() < full[0].counts_off.data.sum()
    np.testing.assert_array_equal(found[0].counts.data, chain["datasets"][0].counts.data)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.fits", b"no fits"),
        ("a.reg", b"fk5; circle(a, b, c)"),
        ("b.reg", b"image; circle(1, 2, 3)"),
    ],
)
def test_a_file_that_is_no_mask_is_named(
    name: str, content: bytes, observations: Any, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    background = {"method": "reflected", "exclusion": str(tmp_path / name)}
    with pytest.raises(StepError, match=name.replace(".", r"\.")):
        run("datasets", changed(background=background), {"observations": observations}, tmp_path)


def test_energies_without_events_have_no_data(observations: Any, tmp_path: Path) -> None:
    axes = {"energy": {"min": "85 TeV", "max": "99 TeV", "nbins": 2}}
    config = changed(geom={"axes": axes}, safe_mask={"methods": []})
    with pytest.raises(NoDataError, match=r"no event in .* 85\.0 TeV and 99\.0 TeV"):
        run("datasets", config, {"observations": observations}, tmp_path)


def test_a_mask_that_would_be_run_as_python_is_refused(tmp_path: Path) -> None:
    from astropy.io import fits

    from gpwf.steps.exclusion import check_fits_header

    table = fits.BinTableHDU.from_columns([fits.Column("PIX", "K", array=[1])])
    table.header["WCSSHAPE"] = "__import__('os').abort()"
    table.writeto(tmp_path / "evil.fits")
    with pytest.raises(StepError, match="is refused: its card WCSSHAPE"):
        check_fits_header(tmp_path / "evil.fits", "datasets")
    table.header["WCSSHAPE"] = "(250, 250)"
    table.writeto(tmp_path / "good.fits")
    check_fits_header(tmp_path / "good.fits", "datasets")

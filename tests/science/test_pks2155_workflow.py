"""``workflows/pks2155.gpwf.yaml``: the same light curve and spectra by hand, in plain gammapy.

Three runs of the flare and all of the quiet source.

References
----------
Aharonian et al. (2007), ApJ 664, L71: the flare. Its spectrum falls as E^-3.5 above 0.43 TeV, and
within the night the flux changes by more than a factor of 5, in minutes.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

WORKFLOW = Path(__file__).parents[2] / "workflows" / "pks2155.gpwf.yaml"
FLARE_IDS = [33788, 33790, 33794]
QUIET_IDS = [47802, 47803, 47804, 47827, 47828, 47829]
WIDTH_S = 600
RTOL = 1e-3


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("pks2155")
    sets = [("params.flare_ids", FLARE_IDS), ("steps.quiet-points.config.energy.nbins", 2)]
    found = gpwf.read(WORKFLOW, sets=sets).run(
        store=folder / "store", run_dir=folder / "run", jobs=2
    )
    assert str(found.state) == "ok"
    return found


def observed(obs_ids: list[int]) -> Any:
    from gammapy.data import DataStore

    store = DataStore.from_dir(Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1")
    return store.get_observations(obs_ids, required_irf=["aeff", "edisp"])


def reduced(observations: Any) -> Any:
    """Return ON/OFF spectra, made with gammapy's makers and nothing else."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.datasets import Datasets, SpectrumDataset
    from gammapy.makers import ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker
    from gammapy.maps import MapAxis, RegionGeom
    from regions import CircleSkyRegion

    region = CircleSkyRegion(SkyCoord(329.717, -30.226, unit="deg"), 0.11 * u.deg)
    energy = MapAxis.from_energy_bounds("0.2 TeV", "20 TeV", 24)
    true = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", 52, name="energy_true")
    empty = SpectrumDataset.create(RegionGeom.create(region, axes=[energy]), energy_axis_true=true)
    maker = SpectrumDatasetMaker(
        selection=["counts", "exposure", "edisp"], containment_correction=True
    )
    off = ReflectedRegionsBackgroundMaker()
    safe = SafeMaskMaker(methods=["aeff-max"], aeff_percent=10)
    datasets = Datasets()
    for number, observation in enumerate(observations):
        dataset = maker.run(empty.copy(name=f"d{number}"), observation)
        datasets.append(safe.run(off.run(dataset, observation), observation))
    return datasets


def fitted(datasets: Any, spectrum: Any) -> tuple[Any, Any]:
    """Return the stacked dataset at the best fit of a spectrum, and the result."""
    from gammapy.datasets import Datasets
    from gammapy.modeling import Fit
    from gammapy.modeling.models import SkyModel

    stacked = datasets.stack_reduce(name="stacked")
    edges = stacked.counts.geom.axes["energy"].edges
    stacked.mask_fit = stacked.counts.geom.energy_mask(edges[4], edges[20])
    stacked.models = SkyModel(spectrum, name="pks2155")
    return stacked, Fit().run(Datasets([stacked]))


@pytest.fixture(scope="module")
def pieces() -> tuple[Any, Any]:
    """Return the intervals of ten minutes and the observations in them.

    The last one of a run is open behind: headers round the end of a run, and events after that
    belong to it. The good time ends where that of the run ends.
    """
    from astropy import units as u
    from astropy.time import Time

    intervals, found = [], []
    for observation in observed(FLARE_IDS):
        start, stop = observation.tstart, observation.tstop
        edges = [start + n * WIDTH_S * u.s for n in range(3)]
        for low, high in zip(edges, [*edges[1:], None], strict=True):
            cut = Time([low, stop + 10 * u.s if high is None else high])
            found.append(observation.select_time(cut))
            intervals.append(Time([low, stop if high is None else high]))
    return intervals, found


@pytest.fixture(scope="module")
def flare(pieces: Any) -> tuple[Any, Any, Any]:
    """Return the datasets of the pieces, the fit, and the light curve."""
    from gammapy.estimators import LightCurveEstimator
    from gammapy.modeling.models import PowerLawSpectralModel

    intervals, observations = pieces
    datasets = reduced(observations)
    start = PowerLawSpectralModel(index=3.2, amplitude="1e-10 cm-2 s-1 TeV-1", reference="1 TeV")
    stacked, result = fitted(datasets, start)
    edges = stacked.counts.geom.axes["energy"].edges
    datasets.models = stacked.models
    estimator = LightCurveEstimator(
        source="pks2155",
        time_intervals=intervals,
        energy_edges=edges[[4, 20]],
        selection_optional=["ul"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return datasets, result, estimator.run(datasets)


def parameters(done: Any, step: str) -> dict[str, Any]:
    found = done[step].fit_result.read().parameters
    return {item.name: item for item in found if not item.frozen}


def test_the_pieces_have_the_counts_of_gammapy(done: Any, flare: Any) -> None:
    ours, theirs = done["flare-data"].datasets.read(), flare[0]
    assert ours.names[:3] == ["hess-33788-01", "hess-33788-02", "hess-33788-03"]
    assert len(ours) == len(theirs) == 9
    for one, two in zip(ours, theirs, strict=True):
        for name in ("counts", "counts_off", "mask_safe"):
            np.testing.assert_array_equal(getattr(one, name).data, getattr(two, name).data)
        np.testing.assert_allclose(one.exposure.data, two.exposure.data, rtol=1e-6)
        assert one.gti.time_sum.to_value("s") == pytest.approx(two.gti.time_sum.to_value("s"))


def test_no_event_is_lost(done: Any) -> None:
    """The pieces together are the runs, also the events behind the end in the header."""
    whole = reduced(observed(FLARE_IDS))
    ours = done["flare-data"].datasets.read()
    for name in ("counts", "counts_off"):
        parts, all_of_it = (
            sum(getattr(item, name).data for item in datasets) for datasets in (ours, whole)
        )
        np.testing.assert_array_equal(parts, all_of_it)


def test_the_fit_of_the_flare(done: Any, flare: Any) -> None:
    ours, theirs = parameters(done, "flare-fit"), flare[1]
    assert set(ours) == {"index", "amplitude"}
    for name, found in ours.items():
        assert found.value == pytest.approx(theirs.parameters[name].value, rel=RTOL)
        assert found.error == pytest.approx(theirs.parameters[name].error, rel=RTOL)
    summary = done["flare-fit"].fit_result.read()
    assert summary.total_stat == pytest.approx(theirs.total_stat, rel=RTOL)
    assert ours["index"].value == pytest.approx(3.5, abs=0.25)  # of the whole night


def test_the_light_curve(done: Any, flare: Any) -> None:
    ours, theirs = done["flare"].light_curve.read(), flare[2]
    for name in ("flux", "flux_err", "flux_ul", "sqrt_ts"):
        np.testing.assert_allclose(getattr(ours, name).data, getattr(theirs, name).data, rtol=RTOL)
    one, two = ours.geom.axes["time"], theirs.geom.axes["time"]
    for name in ("time_min", "time_max"):
        apart = (getattr(one, name) - getattr(two, name)).to_value("s")
        np.testing.assert_allclose(apart, 0, atol=1e-6)
    flux = ours.flux.data.ravel()
    assert flux.max() / flux.min() > 3


def test_the_variability(done: Any, flare: Any) -> None:
    from gammapy.estimators.utils import (
        compute_lightcurve_doublingtime,
        compute_lightcurve_fpp,
        compute_lightcurve_fvar,
    )

    curve = flare[2]
    row = done["variability"].variability.read()[0]
    theirs = compute_lightcurve_fvar(curve)
    for name in ("fvar", "fvar_err"):
        assert row[name] == pytest.approx(float(theirs[name].squeeze()), rel=RTOL)
    # gammapy leaves out the 1/2 of the mean squared difference (Edelson et al. 2002, equation 3)
    noise = float(np.mean(curve.flux_err.data**2) / np.mean(curve.flux.data) ** 2)
    squared = float(compute_lightcurve_fpp(curve)["fpp"].squeeze()) ** 2 + noise
    assert row["fpp"] == pytest.approx((squared / 2 - noise) ** 0.5, rel=RTOL)
    theirs = compute_lightcurve_doublingtime(curve)
    for name in ("doubling", "halving"):
        time = theirs[f"{name}time"].quantity.squeeze().to_value("d")
        assert row[f"{name}_time"] == pytest.approx(float(time), rel=10 * RTOL)
    assert row["n_points"] == 9
    assert row["significance"] > 20
    blocks = done["variability"].blocks.read()
    assert len(blocks) > 2
    assert sum(blocks["n_points"]) == 9


def test_the_quiet_spectrum_with_absorption(done: Any) -> None:
    from gammapy.estimators import FluxPointsEstimator
    from gammapy.modeling.models import EBLAbsorptionNormSpectralModel, PowerLawSpectralModel

    intrinsic = PowerLawSpectralModel(
        index=2.8, amplitude="5e-12 cm-2 s-1 TeV-1", reference="1 TeV"
    )
    absorption = EBLAbsorptionNormSpectralModel.read_builtin("dominguez", redshift=0.116)
    datasets = reduced(observed(QUIET_IDS))
    stacked, result = fitted(datasets, intrinsic * absorption)
    ours = parameters(done, "quiet-fit")
    assert set(ours) == {"index", "amplitude"}
    for name, found in ours.items():
        assert found.value == pytest.approx(result.parameters[name].value, rel=RTOL)
        assert found.error == pytest.approx(result.parameters[name].error, rel=RTOL)
    total = done["quiet-stack"].datasets.read()[0]
    np.testing.assert_array_equal(total.counts.data, stacked.counts.data)
    np.testing.assert_array_equal(total.counts_off.data, stacked.counts_off.data)
    points = done["quiet-points"].flux_points.read()
    estimator = FluxPointsEstimator(
        energy_edges=points.geom.axes["energy"].edges,
        source="pks2155",
        selection_optional=["ul"],
    )
    stacked.mask_fit = None
    theirs = estimator.run([stacked])
    for name in ("dnde", "dnde_err", "dnde_ul"):
        np.testing.assert_allclose(
            getattr(points, name).data, getattr(theirs, name).data, rtol=RTOL
        )


def test_the_runs_are_good(done: Any) -> None:
    table = done["flare-check"].table.read()
    assert list(table["obs_id"]) == FLARE_IDS
    assert table["ok"].all()
    for row, observation in zip(table, observed(FLARE_IDS), strict=True):
        assert row["n_events"] == len(observation.events.table)
        live = observation.observation_live_time_duration.to_value("s")
        assert row["livetime"] == pytest.approx(live)


def test_the_figures_are_there(done: Any) -> None:
    for step in ("plot-flare", "plot-quiet"):
        folder = Path(done[step].figure.folder)
        assert (folder / "figure.png").stat().st_size > 10_000

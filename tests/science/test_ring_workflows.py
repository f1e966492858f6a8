"""``workflows/rx-j1713.gpwf.yaml`` and ``workflows/crab-ring.gpwf.yaml`` against plain gammapy.

References
----------
gammapy's tutorials "Ring background map" and "Make theta squared plot". The shell of RX
J1713.7-3946: H.E.S.S. Collaboration 2018, A&A 612, A6, radius about 0.5 deg.
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

np = pytest.importorskip("numpy")

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

WORKFLOWS = Path(__file__).parents[2] / "workflows"
DATASTORE = Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1"
RX_J1713 = [20326, 20327, 20349, 20350, 20396, 20397, 20421, 20422, 20517, 20518, 20519, 20521]
CRAB = [23523, 23526, 23559, 23592]
RTOL = 1e-6


def run(name: str, folder: Path) -> Any:
    found = gpwf.read(WORKFLOWS / f"{name}.gpwf.yaml").run(
        store=folder / "store", run_dir=folder / "run", jobs=2
    )
    assert str(found.state) == "ok"
    return found


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run("rx-j1713", tmp_path_factory.mktemp("shell"))


@pytest.fixture(scope="module")
def crab(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run("crab-ring", tmp_path_factory.mktemp("crab"))


# ---- by hand: gammapy's API and nothing else -----------------------------------------------------


def observations(obs_ids: list[int]) -> Any:
    from gammapy.data import DataStore

    return DataStore.from_dir(DATASTORE).get_observations(obs_ids)


def rings_by_hand(
    obs_ids: list[int], axes: tuple[Any, Any], mask: Any, ring: tuple[str, str], **geometry: Any
) -> Any:
    """Return the sum of ring maps, as in gammapy's tutorial."""
    from gammapy.datasets import MapDataset, MapDatasetOnOff
    from gammapy.makers import MapDatasetMaker, RingBackgroundMaker, SafeMaskMaker
    from gammapy.maps import WcsGeom

    energy, energy_true = axes
    geom = WcsGeom.create(**geometry, axes=[energy])
    empty = MapDataset.create(geom, energy_axis_true=energy_true, name="empty")
    total = MapDatasetOnOff.create(geom, energy_axis_true=energy_true, name="total")
    total.psf = None
    makers = [
        MapDatasetMaker(selection=["counts", "exposure", "background", "edisp"]),
        SafeMaskMaker(methods=["offset-max"], offset_max="2 deg"),
        RingBackgroundMaker(r_in=ring[0], width=ring[1], exclusion_mask=mask),
    ]
    for observation in observations(obs_ids):
        center = observation.get_pointing_icrs(observation.tmid).galactic
        dataset = empty.cutout(center, width="4 deg", name=f"obs-{observation.obs_id}")
        with np.errstate(invalid="ignore", divide="ignore"):
            for maker in makers:
                dataset = maker.run(dataset, observation)
            # counts, but for the rounding errors of a Fourier transform
            dataset.counts_off.data = np.rint(dataset.counts_off.data)
            total.stack(dataset)
    return total


def axes(low: str, true_low: str) -> tuple[Any, Any]:
    from gammapy.maps import MapAxis

    return (
        MapAxis.from_energy_bounds(low, "50 TeV", 1),
        MapAxis.from_energy_bounds(true_low, "100 TeV", 12, name="energy_true"),
    )


def excess_by_hand(dataset: Any) -> Any:
    from gammapy.estimators import ExcessMapEstimator

    with np.errstate(invalid="ignore", divide="ignore"):
        return ExcessMapEstimator("0.1 deg", correlate_off=False).run(dataset)


def known_by_hand(geom: Any, circle: Any) -> Any:
    """Return the mask of a circle and of the sources of the Galactic plane survey."""
    from astropy import units as u
    from gammapy.catalog import SourceCatalogHGPS

    mask = ~geom.region_mask([circle])
    for source in SourceCatalogHGPS():
        if source.position.separation(circle.center) < 3 * u.deg:
            model = source.sky_model()
            radius = 0.4 * model.spatial_model.evaluation_radius + 0.2 * u.deg
            mask.data &= geom.separation(model.position) >= radius
    return mask


@pytest.fixture(scope="module")
def shell_by_hand() -> dict[str, Any]:
    """Return what the workflow makes, in the order in which it makes it."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.maps import Map, WcsGeom
    from regions import CircleSkyRegion
    from scipy.ndimage import label

    center = SkyCoord(347.33, -0.48, unit="deg", frame="galactic")
    place = {"skydir": center, "frame": "galactic"}
    circle = CircleSkyRegion(center, 0.7 * u.deg)
    reduction = {
        "obs_ids": RX_J1713,
        "axes": axes("1 TeV", "0.5 TeV"),
        "ring": ("0.8 deg", "0.3 deg"),
        **place,
        "binsz": 0.05,
        "width": 5,
    }
    known = known_by_hand(WcsGeom.create(**place, binsz=0.02, width=6), circle)
    first = excess_by_hand(rings_by_hand(mask=known, **reduction))
    significance = first.sqrt_ts.data[0]
    low, _ = label(np.nan_to_num(significance) > 3, structure=np.ones((3, 3)))
    high = np.unique(low[np.nan_to_num(significance) > 5])
    geom = first.geom.to_image()
    seed = Map.from_geom(geom, data=np.isin(low, high[high > 0]))
    source = seed.binary_dilate(0.15 * u.deg, use_fft=False)
    sources = known_by_hand(geom, circle) & ~source
    dataset = rings_by_hand(mask=sources, **reduction)
    return {
        "known": known,
        "sources": sources,
        "ring": dataset,
        "ring-map": excess_by_hand(dataset),
    }


# ---- RX J1713.7-3946 -----------------------------------------------------------------------------


def assert_same_rings(ours: Any, theirs: Any) -> None:
    """Compare ON/OFF maps where they may be used."""
    assert ours.counts.geom == theirs.counts.geom
    np.testing.assert_array_equal(ours.mask_safe.data, theirs.mask_safe.data)
    safe = theirs.mask_safe.data
    np.testing.assert_array_equal(ours.counts.data, theirs.counts.data)
    for name in ("counts_off", "acceptance", "acceptance_off"):
        one, two = getattr(ours, name).data[safe], getattr(theirs, name).data[safe]
        np.testing.assert_allclose(one, two, rtol=RTOL, atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(ours.counts_off.data[safe], theirs.counts_off.data[safe])


def assert_same_maps(ours: Any, theirs: Any) -> None:
    for name in ("npred", "npred_excess", "sqrt_ts", "norm", "norm_err"):
        one, two = getattr(ours, name).data, getattr(theirs, name).data
        np.testing.assert_allclose(one, two, rtol=RTOL, atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(ours.counts.data, theirs.counts.data)


def test_the_masks_are_those_of_gammapy(shell: Any, shell_by_hand: dict[str, Any]) -> None:
    for step in ("known", "sources"):
        ours, theirs = shell[step].exclusion_mask.read(), shell_by_hand[step]
        assert ours.data.dtype == bool
        assert ours.geom == theirs.geom
        np.testing.assert_array_equal(ours.data, theirs.data)
    # on other pixels the border moves by one of them
    first, second = (shell[step].exclusion_mask.read() for step in ("known", "sources"))
    assert first.geom != second.geom
    moved = first.interp_to_geom(second.geom, fill_value=1).data != second.data
    assert 0 < moved.sum() < 60


def test_the_rings_are_those_of_gammapy(shell: Any, shell_by_hand: dict[str, Any]) -> None:
    ours = shell["ring"].datasets.read()[0]
    assert ours.counts.data.sum() > 9000
    assert_same_rings(ours, shell_by_hand["ring"])
    assert_same_maps(shell["ring-map"].flux_maps.read(), shell_by_hand["ring-map"])


def test_off_source_the_significance_is_normal(shell: Any, shell_by_hand: dict[str, Any]) -> None:
    from scipy.stats import kstest, norm

    row = shell["ring-map"].summary.read()[0]
    significance = shell_by_hand["ring-map"].sqrt_ts.data[0]
    off = significance[np.isfinite(significance) & shell_by_hand["sources"].data]
    assert row["n_pixels"] == off.size
    mean, std = norm.fit(off.astype(float))
    assert row["mean"] == pytest.approx(mean, abs=1e-5)
    assert row["std"] == pytest.approx(std, rel=1e-5)
    # 575 circles beside each other: the mean is known to 0.04, the deviation to 0.03
    assert row["n_independent"] == pytest.approx(575, abs=10)
    assert abs(row["mean"]) < 2.5 * row["mean_err"] < 0.11
    assert abs(row["std"] - 1) < 2.5 * row["std_err"] < 0.08
    assert kstest(off, "norm").statistic < 0.03
    assert shell["ring-map"].summary.read().meta["caveats"] == []
    table = shell["ring-map"].distribution.read()
    assert table["n_usable"].sum() == off.size
    assert table["n_excluded"].sum() == np.isfinite(significance).sum() - off.size


def test_the_shell_is_there(shell: Any) -> None:
    """Brighter at 0.45 deg from the centre than at the centre itself and at 0.9 deg."""
    from astropy.coordinates import SkyCoord

    found = shell["ring-map"].flux_maps.read()
    center = SkyCoord(347.33, -0.48, unit="deg", frame="galactic")
    separation = found.geom.to_image().separation(center).deg
    excess = found.npred_excess.data[0]

    def mean(low: float, high: float) -> float:
        return float(excess[(separation >= low) & (separation < high)].mean())

    assert mean(0.35, 0.55) > 1.1 * mean(0, 0.2)
    assert mean(0, 0.2) > 4 * abs(mean(0.8, 1.0))
    assert np.nanmax(found.sqrt_ts.data) > 7


# ---- Crab ----------------------------------------------------------------------------------------


def test_the_crab_with_a_ring_is_that_of_gammapy(crab: Any) -> None:
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from regions import CircleSkyRegion

    center = SkyCoord(83.633, 22.014, unit="deg")
    mask = crab["exclusion-mask"].exclusion_mask.read()
    assert mask.geom.width.to_value("deg").min() > 7  # left open: around the observations
    by_hand = ~mask.geom.region_mask([CircleSkyRegion(center, 0.4 * u.deg)])
    assert (mask.data != by_hand.data).sum() < 10  # a circle in pixels is not one on the sky
    theirs = rings_by_hand(
        CRAB,
        axes("0.7 TeV", "0.35 TeV"),
        mask,
        ("0.5 deg", "0.3 deg"),
        skydir=center,
        binsz=0.04,
        width=4,
    )
    assert_same_rings(crab["datasets"].datasets.read()[0], theirs)
    found = excess_by_hand(theirs)
    flux_maps = crab["excess-map"].flux_maps.read()
    assert_same_maps(flux_maps, found)
    row, column = np.unravel_index(
        np.nanargmax(flux_maps.sqrt_ts.data[0]), flux_maps.geom.data_shape[1:]
    )
    assert flux_maps.sqrt_ts.data[0, row, column] > 30
    assert flux_maps.geom.to_image().separation(center)[row, column].deg < 0.06
    summary = crab["excess-map"].summary.read()[0]
    assert abs(summary["mean"]) < 0.15
    assert summary["std"] == pytest.approx(1, abs=0.15)


def test_theta_squared_is_that_of_gammapy(crab: Any) -> None:
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.makers.utils import ThetaSquaredTable
    from gammapy.maps import MapAxis
    from gammapy.stats import WStatCountsStatistic

    axis = MapAxis.from_bounds(0, 0.16, nbin=16, interp="lin", unit="deg2", name="theta_squared")
    theirs = ThetaSquaredTable(
        observations(CRAB),
        axis,
        SkyCoord(83.633, 22.014, unit="deg"),
        energy_edges=[0.7, 50] * u.TeV,
    ).run()
    ours = crab["theta2"].distribution.read()
    for name in ("counts", "counts_off"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    for name in ("alpha", "excess", "sqrt_ts", "excess_errn", "excess_errp"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, err_msg=name)
    row = crab["theta2"].summary.read()[0]
    first = WStatCountsStatistic(theirs["counts"][:1], theirs["counts_off"][:1], [1.0])
    assert (row["counts"], row["counts_off"]) == (theirs["counts"][0], theirs["counts_off"][0])
    assert row["sqrt_ts"] == pytest.approx(first.sqrt_ts[0], rel=1e-9)
    assert row["sqrt_ts"] > 20


def test_another_process_gives_the_same_bytes(crab: Any, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "gpwf",
        "run",
        str(WORKFLOWS / "crab-ring.gpwf.yaml"),
        "-j",
        "1",
    ]
    done = subprocess.run(
        [*command, "--run-dir", str(tmp_path / "run"), "--store", str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    assert done.returncode == 0, done.stderr
    one, two = (
        {f"{item.step}.{item.port}": item.product.digest for item in found.products()}
        for found in (crab, gpwf.open_run(tmp_path / "run"))
    )
    assert one == two
    assert len(one) == 11


def test_the_figures_are_there(shell: Any, crab: Any) -> None:
    steps = [(shell, "plot-significance"), (shell, "plot-distribution")]
    steps += [(crab, name) for name in ("plot-theta2", "plot-significance", "plot-distribution")]
    for done, step in steps:
        assert (Path(done[step].figure.folder) / "figure.png").stat().st_size > 10_000

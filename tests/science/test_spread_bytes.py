"""A step on several cores gives the bytes that it gives on one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from reductions import hess

from gpwf.run.spread import Spread
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle
from gpwf.store import formats

pytestmark = [
    pytest.mark.science,
    pytest.mark.gammapy,
    # Python 3.12, where a library has threads
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
    # of the data and the settings, not of the spreading
    pytest.mark.filterwarnings("ignore:.*moved to the bins of the datasets"),
]

BASE = Path(__file__).parents[2] / "workflows"
DATASTORE = "$GAMMAPY_DATA/hess-dl3-dr1"
EXCLUSION = "$GAMMAPY_DATA/joint-crab/exclusion/exclusion_mask_crab.fits.gz"
CENTER = {"frame": "icrs", "lon": "83.633 deg", "lat": "22.014 deg"}
ENERGY = {"min": "1 TeV", "max": "10 TeV", "nbins": 4}
SPECTRA = {
    "type": "1d",
    "stack": False,
    "geom": {
        "axes": {
            "energy": {"min": "0.1 TeV", "max": "40 TeV", "nbins": 24},
            "energy_true": {"min": "0.05 TeV", "max": "100 TeV", "nbins": 40},
        }
    },
    "on_region": {"center": CENTER, "radius": "0.11 deg"},
    "background": {"method": "reflected", "exclusion": EXCLUSION},
    "safe_mask": {"methods": ["aeff-max"]},
    "containment_correction": True,
}


class Lender:
    """Lends cores; knows how many were used."""

    def __init__(self, free: int) -> None:
        self._free = free
        self.lent = self.most = 0

    def acquire(self, n: int) -> int:
        granted = min(n, self._free - self.lent)
        self.lent += granted
        self.most = max(self.most, self.lent)
        return granted

    def release(self, n: int) -> None:
        self.lent -= n


def run(
    tag: str, config: Mapping[str, Any], inputs: Mapping[str, Any], folder: Path, free: int = 0
) -> Any:
    """Return what a step gives, on one core or on more."""
    step = load_catalog().step(tag)
    settled = settle(step, config, base=BASE)
    assert not settled.problems, settled.problems
    folder.mkdir(parents=True, exist_ok=True)
    lender = Lender(free)
    spread = Spread(lender.acquire, lender.release, lambda _: None)
    own = {"spread": spread} if free else {}
    ctx = StepContext(step=tag, task_id=tag, work_dir=folder, **own)
    values = step.run(restore(step, settled.settings), inputs, ctx)
    spread.close()
    assert lender.most == free
    assert lender.lent == 0
    return values


def written(kind: str, value: Any, folder: Path) -> dict[str, bytes]:
    """Return the files of a product."""
    folder.mkdir(parents=True)
    formats.write(kind, value, folder, {})
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_same(
    tag: str, config: Mapping[str, Any], inputs: Mapping[str, Any], folder: Path, kind: str
) -> dict[str, bytes]:
    """Run a step on one core, on two and on three; compare the files of its product."""
    port = kind.replace("-", "_")
    files = []
    for free in (0, 1, 2):
        values = run(tag, config, inputs, folder / f"run-{free}", free)
        files.append(written(kind, values[port], folder / f"files-{free}"))
    assert files[1].keys() == files[0].keys() == files[2].keys()
    for name in files[0]:
        assert files[1][name] == files[0][name], name
        assert files[2][name] == files[0][name], name
    return files[0]


@pytest.fixture(scope="module", autouse=True)
def _prepared() -> Iterator[None]:
    """Keep astropy from the network."""
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        yield


@pytest.fixture(scope="module")
def crab() -> Any:
    """Return fresh observations; what a loop has loaded stays in them."""

    def make(obs_ids: list[int], irfs: list[str]) -> Any:
        from gammapy.data import DataStore

        store = DataStore.from_dir(os.path.expandvars(DATASTORE))
        return store.get_observations(obs_ids, required_irf=irfs)

    return make


@pytest.mark.parametrize("stack", [False, True])
def test_spectra(stack: bool, crab: Any, tmp_path: Path) -> None:
    observations = crab([23523, 23526, 23559, 23592], ["aeff", "edisp"])
    config = {**SPECTRA, "stack": stack}
    files = assert_same("datasets", config, {"observations": observations}, tmp_path, "datasets")
    assert len(files) == (2 if stack else 5)


@pytest.mark.filterwarnings("ignore:'THETA' axis is stored as a scalar")
def test_spectra_in_wobble_regions(tmp_path: Path) -> None:
    """Whose radius changes with energy."""
    from gammapy.data import DataStore

    store = DataStore.from_dir(os.path.expandvars("$GAMMAPY_DATA/magic/rad_max/data"))
    first, second = store.get_observations(required_irf="point-like")
    inputs = {"observations": [first, second, first]}  # one per core
    config = {
        **SPECTRA,
        "on_region": {"center": CENTER, "radius": "rad_max"},
        "background": {"parameters": {"n_off_regions": 3}},
        "containment_correction": False,
    }
    assert_same("datasets", config, inputs, tmp_path, "datasets")


def test_spectra_in_phases(tmp_path: Path) -> None:
    inputs = {"observations": hess(23523, 23526, 23592, phase=True)}
    parameters = {"on_phase": [[0.9, 1.1]], "off_phase": [[0.3, 0.7]]}
    config = {**SPECTRA, "background": {"method": "phase", "parameters": parameters}}
    assert_same("datasets", config, inputs, tmp_path, "datasets")


RINGS: dict[str, dict[str, Any]] = {
    "ring": {"r_in": "0.5 deg", "width": "0.3 deg"},
    "adaptive_ring": {
        "r_in": "0.5 deg",
        "width": "0.3 deg",
        "r_out_max": "1.2 deg",
        "stepsize": "0.1 deg",
        "threshold_alpha": 0.01,
    },
}


def maps(method: str, stack: bool) -> dict[str, Any]:
    """Return settings of a reduction to maps."""
    ring = method in RINGS
    parameters = RINGS.get(method, {})
    return {
        "type": "3d",
        "stack": stack,
        "geom": {
            "wcs": {
                # so that pixels are no round numbers of a FITS header
                "skydir": {"frame": "galactic", "lon": "184.5571 deg", "lat": "-5.7843 deg"},
                "binsize": "0.07 deg",
                "width": {"width": "3 deg", "height": "3 deg"},
            },
            "axes": {
                "energy": {**ENERGY, "nbins": 1 if ring else 4},
                "energy_true": {"min": "0.5 TeV", "max": "20 TeV", "nbins": 6},
            },
        },
        "background": {"method": method, "exclusion": EXCLUSION, "parameters": parameters},
        "safe_mask": {"methods": ["aeff-max", "offset-max"]},
    }


@pytest.mark.parametrize(
    ("method", "stack"),
    [
        ("fov_background", True),
        ("fov_background", False),
        ("ring", True),
        ("adaptive_ring", True),
    ],
)
def test_maps(method: str, stack: bool, crab: Any, tmp_path: Path) -> None:
    config = maps(method, stack)
    observations = crab([23523, 23526, 23559], ["aeff", "edisp", "psf", "bkg"])
    assert_same("datasets", config, {"observations": observations}, tmp_path, "datasets")


def test_ts_map(crab: Any, tmp_path: Path) -> None:
    """Pixels go to the cores in batches."""
    observations = crab([23523], ["aeff", "edisp", "psf", "bkg"])
    inputs = {"observations": observations}
    datasets = run("datasets", maps("fov_background", True), inputs, tmp_path / "datasets")
    found = {"datasets": [datasets["datasets"]]}
    assert_same("ts-map", {"kernel_width": "0.4 deg"}, found, tmp_path, "flux-maps")


@pytest.fixture(scope="module")
def fitted(crab: Any, tmp_path_factory: Any) -> dict[str, Any]:
    """Return datasets and models at their best fit."""
    folder = tmp_path_factory.mktemp("fitted")
    observations = crab([23523, 23526, 23592], ["aeff", "edisp"])
    datasets = run("datasets", SPECTRA, {"observations": observations}, folder / "1")["datasets"]
    models = run("models", {"file": "models/crab-pl.yaml"}, {}, folder / "2")["models"]
    inputs = {"datasets": [datasets], "models": models}
    config = {"fit_range": {"min": "1 TeV", "max": "30 TeV"}}
    return {**inputs, "models": run("fit", config, inputs, folder / "3")["models"]}


@pytest.mark.parametrize(
    "config",
    [{}, {"selection_optional": ["errn-errp", "ul", "scan"]}],
    ids=["plain", "all"],
)
def test_flux_points(config: Any, fitted: Any, tmp_path: Path) -> None:
    assert_same("flux-points", {"energy": ENERGY, **config}, fitted, tmp_path, "flux-points")


@pytest.mark.parametrize(
    "config",
    [{}, {"energy_edges": {**ENERGY, "nbins": 2}, "selection_optional": ["errn-errp", "ul"]}],
    ids=["plain", "bands"],
)
def test_light_curve(config: Any, fitted: Any, tmp_path: Path) -> None:
    assert_same("light-curve", config, fitted, tmp_path, "light-curve")


def test_gammapy_alone_gives_the_same_light_curve(fitted: Any, tmp_path: Path) -> None:
    """Its own loop, without our hands in it."""
    import numpy as np
    from gammapy.estimators import LightCurveEstimator

    from gpwf.steps.attach import attach_models

    ours = run("light-curve", {}, fitted, tmp_path, free=1)["light_curve"]
    datasets, _ = attach_models(fitted["datasets"][0], fitted["models"], "by-hand")
    axis = ours.geom.axes["energy"]
    theirs = LightCurveEstimator(
        source="crab", energy_edges=axis.edges, selection_optional=["ul"], n_jobs=1
    ).run(datasets)
    for name in ("norm", "norm_err", "norm_ul", "ts", "stat", "npred"):
        same = np.array_equal(getattr(ours, name).data, getattr(theirs, name).data, equal_nan=True)
        assert same, name


def test_flux_points_of_maps(crab: Any, tmp_path: Path) -> None:
    """Where the background is fitted again in every bin."""
    inputs = {"observations": crab([23523], ["aeff", "edisp", "psf", "bkg"])}
    config = maps("fov_background", True)
    config["geom"]["wcs"]["width"] = {"width": "1 deg", "height": "1 deg"}
    found = run("datasets", config, inputs, tmp_path / "1")
    models = run("models", {"file": "models/crab-point.yaml"}, {}, tmp_path / "2")["models"]
    inputs = {"datasets": [found["datasets"]], "models": models}
    wanted = {"reoptimize": True, "energy": {"min": "1 TeV", "max": "10 TeV", "nbins": 2}}
    files = []
    for free in (0, 1):
        values = run("flux-points", wanted, inputs, tmp_path / f"run-{free}", free)
        files.append(written("flux-points", values["flux_points"], tmp_path / f"files-{free}"))
    assert files[0] == files[1]


def test_simulated_observations(tmp_path: Path) -> None:
    config = {
        "models": "models/quickstart-truth.yaml",
        "target": CENTER,
        "n_obs": 3,
        "livetime": "2 min",
        "seed": 1,
    }
    assert_same("simulate-observations", config, {}, tmp_path, "datastore")

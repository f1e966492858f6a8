"""Measure what it takes to write a product, to read it, and to hand it on in memory.

    python benchmarks/formats.py [--repeat 9]

Prints the median time per kind in milliseconds: `first` is the first product of its kind in a
process, which also pays for imports and for what is remembered afterwards (headers, axes, regions);
`keep` is what it takes to keep a value that was read, `handed` to make an equal one from it.
Observations are real ones and need gammapy's data (`GAMMAPY_DATA`).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest, digest_file
from gpwf.core.products import FitSummary
from gpwf.store import formats

CARD = {"GPWFKEY": "0" * 64, "GPWFPORT": "product", "GPWFTAG": "benchmark"}
COLUMNS = ("write first", "write", "read first", "read", "keep", "handed", "kB kept")
RUNS = [23523, 23526, 23559, 23592]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=9, help="times for each figure (9)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'':<34}" + "".join(f"{name:>13}" for name in COLUMNS))
    for name, kind, make in products():
        with tempfile.TemporaryDirectory() as scratch:
            show(name, *measure(kind, make(), Path(scratch), options.repeat))


def products() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield title, kind and maker of what is measured."""
    yield "fit result, 10 parameters", "fit-result", fit_result
    yield "table, 1000 rows", "table", table
    yield "models, 2 sources", "models", models
    yield "datasets, 1 spectrum ON/OFF", "datasets", lambda: spectra(1)
    yield "datasets, 10 spectra ON/OFF", "datasets", lambda: spectra(10)
    yield "datasets, maps of 19 MB", "datasets", maps
    yield "flux points, 8 bins", "flux-points", flux_points
    yield "flux maps, 3 x 100 x 100", "flux-maps", flux_maps
    yield "figure", "figure", figure
    if os.environ.get("GAMMAPY_DATA"):
        yield "observations, 4 runs of H.E.S.S.", "observations", observations


def measure(
    kind: str, value: Any, folder: Path, repeat: int
) -> tuple[list[float], list[float], list[float], list[float], int]:
    """Return the seconds of writing, reading, keeping and handing on, and the bytes kept."""
    numbers = iter(range(10**6))

    def write() -> Path:
        target = folder / str(next(numbers))
        target.mkdir()
        formats.write(kind, value, target, CARD)
        return target

    def read() -> Any:
        return formats.read(kind, folder / "0", locate)

    written = [seconds(write) for _ in range(repeat + 1)]
    have = [seconds(read) for _ in range(repeat + 1)]
    found = read()
    kept = formats.keep(kind, found)
    if kept is None:
        return written, have, [], [], 0
    keeping = [seconds(lambda: formats.keep(kind, found)) for _ in range(repeat)]
    handing = [seconds(lambda: formats.handed(kind, kept)) for _ in range(repeat)]
    return written, have, keeping, handing, kept.size


def seconds(work: Callable[[], Any]) -> float:
    """Return the wall time of a call in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(
    name: str,
    written: list[float],
    have: list[float],
    keeping: list[float],
    handing: list[float],
    size: int,
) -> None:
    """Print one line of the table, in milliseconds."""
    figures = [written[0], statistics.median(written[1:]), have[0], statistics.median(have[1:])]
    figures += [statistics.median(item) for item in (keeping, handing) if item]
    line = "".join(f"{1e3 * figure:13.2f}" for figure in figures)
    line += f"{size / 1e3:13.1f}" if size else f"{'-':>13}" * 3
    print(f"{name:<34}{line}", flush=True)


def fit_result() -> FitSummary:
    """Return a fit of ten parameters."""
    names = [f"parameter-{number}" for number in range(10)]
    data = {
        "format": "gpwf-fit-result/1",
        "total_stat": 1 / 3,
        "success": True,
        "message": "Optimization terminated successfully.",
        "nfev": 100,
        "backend": "minuit",
        "method": "migrad",
        "n_free": 10,
        "parameters": [{"name": n, "model": "source", "value": 1.0, "error": 0.1} for n in names],
        "covariance": [[0.01 / (1 + i + j) for i in range(10)] for j in range(10)],
        "datasets": [],
    }
    return FitSummary.from_plain(data)


def table() -> Any:
    """Return a table of numbers with units, and of words."""
    import numpy as np
    from astropy.table import Table

    result = Table({"number": np.arange(1000), "word": ["a word"] * 1000})
    for name in ("flux", "error", "limit"):
        result[name] = np.random.default_rng(0).normal(size=1000)
        result[name].unit = "cm-2 s-1"
    return result


def models() -> Any:
    """Return two sources, one with an extension."""
    from gammapy.modeling.models import (
        GaussianSpatialModel,
        LogParabolaSpectralModel,
        Models,
        PointSpatialModel,
        PowerLawSpectralModel,
        SkyModel,
    )

    point = PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", frame="icrs")
    blob = GaussianSpatialModel(lon_0="84 deg", lat_0="22 deg", sigma="0.1 deg", frame="icrs")
    return Models(
        [
            SkyModel(LogParabolaSpectralModel(), point, name="point"),
            SkyModel(PowerLawSpectralModel(), blob, name="blob"),
        ]
    )


def spectra(number: int) -> Any:
    """Return spectra of 27 bins with energy dispersion and twelve OFF regions."""
    import numpy as np
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from astropy.table import Table
    from gammapy.data import GTI
    from gammapy.datasets import Datasets, SpectrumDatasetOnOff
    from gammapy.irf import EDispKernelMap
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap
    from regions import CircleSkyRegion

    energy = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", 27)
    true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", 67, name="energy_true")
    pointing = SkyCoord(83.63, 21.51, unit="deg")
    source = CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.11 * u.deg)
    angles = np.linspace(30, 330, 12) * u.deg
    off = [
        CircleSkyRegion(pointing.directional_offset_by(angle, 0.5 * u.deg), 0.11 * u.deg)
        for angle in angles
    ]
    geom = RegionGeom.create(source, axes=[energy])
    geom_off = RegionGeom.from_regions(off, axes=[energy], wcs=geom.wcs)
    geom_true = RegionGeom.create(source, axes=[true])
    exposure = RegionNDMap.from_geom(geom_true, data=np.geomspace(1e7, 1e10, 67), unit="m2 s")
    exposure.meta = {"livetime": 1581.7367647 * u.s, "is_pointlike": False}
    return Datasets(
        [
            SpectrumDatasetOnOff(
                name=f"run-{index}",
                counts=RegionNDMap.from_geom(geom, data=np.arange(27.0), dtype="float32"),
                counts_off=RegionNDMap.from_geom(geom_off, data=np.arange(27.0) * 5),
                acceptance=RegionNDMap.from_geom(geom, data=1.0),
                acceptance_off=RegionNDMap.from_geom(geom_off, data=12.0),
                exposure=exposure,
                edisp=EDispKernelMap.from_diagonal_response(energy, true, geom=geom.to_image()),
                mask_safe=geom.energy_mask(0.3 * u.TeV),
                gti=GTI.create([index * 1800] * u.s, [index * 1800 + 1680] * u.s),
                meta_table=Table({"TELESCOP": ["HESS"], "OBS_ID": [index]}),
            )
            for index in range(number)
        ]
    )


def maps() -> Any:
    """Return maps of 10 x 200 x 200 bins with their background model."""
    import numpy as np
    from astropy import units as u
    from gammapy.data import GTI
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.maps import MapAxis, WcsGeom
    from gammapy.modeling.models import FoVBackgroundModel, Models

    energy = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 10)
    true = MapAxis.from_energy_bounds("0.3 TeV", "40 TeV", 20, name="energy_true")
    geom = WcsGeom.create(skydir=(83.63, 22.01), binsz=0.02, width=(4, 4), axes=[energy])
    dataset = MapDataset.create(geom, energy_axis_true=true, name="crab")
    random = np.random.default_rng(0)
    dataset.counts.data = random.poisson(1, geom.data_shape).astype("float32")
    dataset.background.data = random.random(geom.data_shape)
    dataset.exposure.data = random.random(dataset.exposure.data.shape)
    dataset.mask_safe.data[...] = True
    dataset.gti = GTI.create([0] * u.s, [1680] * u.s)
    datasets = Datasets([dataset])
    datasets.models = Models([FoVBackgroundModel(dataset_name="crab")])
    return datasets


def flux_points() -> Any:
    """Return flux points with likelihood profiles."""
    import numpy as np
    from astropy import units as u
    from gammapy.estimators import FluxPointsEstimator
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    datasets = spectra(2)
    datasets.models = [SkyModel(PowerLawSpectralModel(amplitude="1e-12 cm-2 s-1 TeV-1"), name="s")]
    edges = np.geomspace(0.5, 20, 9) * u.TeV
    return FluxPointsEstimator(source="s", energy_edges=edges, selection_optional=["ul"]).run(
        datasets
    )


def flux_maps() -> Any:
    """Return flux maps of three energies."""
    import numpy as np
    from gammapy.estimators import FluxMaps
    from gammapy.maps import Map, MapAxis
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)
    result = {}
    for name in ("norm", "norm_err", "norm_ul", "ts", "sqrt_ts", "npred", "npred_excess"):
        result[name] = Map.create(binsz=0.02, width=(2, 2), axes=[axis])
        result[name].data = np.random.default_rng(0).random(result[name].data.shape)
    meta = {"n_sigma": 1, "n_sigma_ul": 2, "sed_type_init": "likelihood"}
    return FluxMaps(result, SkyModel(PowerLawSpectralModel(), name="reference"), meta=meta)


def figure() -> Any:
    """Return a figure with two lines."""
    from matplotlib.figure import Figure

    result = Figure(figsize=(7, 5))
    axes = result.add_subplot()
    axes.loglog([1, 2, 3], [1, 4, 9], label="$E^2$")
    axes.legend()
    return result


def observations() -> Any:
    """Return four runs on the Crab Nebula."""
    from gammapy.data import DataStore

    store = DataStore.from_dir(_hess())
    return store.get_observations(RUNS)


def locate(digest: Digest) -> Path:
    """Return the file of H.E.S.S. with this content."""
    if not _FILES:
        for path in (_hess() / "data").iterdir():
            if any(str(run) in path.name for run in RUNS):
                _FILES[digest_file(path)] = path
    return _FILES[digest]


_FILES: dict[Digest, Path] = {}


def _hess() -> Path:
    return Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1"


if __name__ == "__main__":
    main()

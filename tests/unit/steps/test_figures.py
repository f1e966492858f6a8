"""Figures with one and with fifty points: labels, units, legends, arrows, room for all texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from figures_checked import check, legend_of, n_arrows

from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

pytestmark = [
    pytest.mark.gammapy,
    pytest.mark.filterwarnings("ignore:divide by zero"),
    pytest.mark.filterwarnings("ignore:invalid value"),
]

np = pytest.importorskip("numpy")

STEP = load_catalog().step("plot")
MANY = 50
NUMBERS = [1, MANY]


def plot(kind: str, inputs: dict[str, Any], folder: Path, **config: Any) -> Any:
    settled = settle(STEP, {"kind": kind, "title": "Crab Nebula", **config}, base=folder)
    assert not settled.problems, settled.problems
    labels = {name: tuple({} for _ in item) for name, item in inputs.items() if type(item) is list}
    context = StepContext(step="plot", task_id="plot", work_dir=folder, labels=labels)
    return STEP.run(restore(STEP, settled.settings), inputs, context)["figure"]


def make_source() -> Any:
    from gammapy.modeling.models import Models, PowerLawSpectralModel, SkyModel

    source = SkyModel(
        PowerLawSpectralModel(index=2.4, amplitude="4e-11 cm-2 s-1 TeV-1"), name="crab"
    )
    models = Models([source])
    models.covariance = np.diag([0.01, 4e-24, 0])
    return models


def make_flux(n_energies: int, n_times: int = 0, scan: bool = False) -> Any:
    """Return flux points or a light curve; every fifth point is an upper limit, from the second."""
    from astropy import units as u
    from astropy.time import Time
    from gammapy.estimators import FluxPoints
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap, TimeMapAxis

    axes: list[Any] = [MapAxis.from_energy_bounds("1 TeV", "30 TeV", n_energies)]
    if n_times:
        start = np.arange(n_times) * 40 * u.min
        reference = Time("2006-07-29T20:00:00", scale="tt")
        axes.append(
            TimeMapAxis(edges_min=start, edges_max=start + 28 * u.min, reference_time=reference)
        )
    geom = RegionGeom.create(None, axes=axes)
    count = n_energies * max(n_times, 1)
    norm = 1 + 0.3 * np.sin(np.arange(count))
    is_limit = np.arange(count) % 5 == 1
    maps = {
        "norm": np.where(is_limit, 0.05, norm),
        "norm_err": np.full(count, 0.2),
        "norm_ul": np.where(is_limit, 0.5, norm + 0.4),
        "ts": np.where(is_limit, 0.1, 40),
        "sqrt_ts": np.where(is_limit, 0.3, 6.3),
    }
    shape = geom.data_shape
    found = {name: RegionNDMap(geom, data=item.reshape(shape)) for name, item in maps.items()}
    found["success"] = RegionNDMap(geom, data=np.ones(shape, dtype=bool))
    if scan:
        values = MapAxis.from_nodes(np.linspace(-1, 4, 21), name="norm", interp="lin")
        scan_geom = RegionGeom.create(None, axes=[values, *axes])
        center = maps["norm"].reshape(*shape[:-2], 1, 1, 1)
        data = ((values.center.value[:, None, None] - center) / 0.2) ** 2
        found["stat_scan"] = RegionNDMap(scan_geom, data=data + 10)
        found["stat"] = RegionNDMap(geom, data=np.full(shape, 10.0))
    meta = {"n_sigma": 1, "n_sigma_ul": 2, "sed_type_init": "likelihood"}
    meta["sqrt_ts_threshold_ul"] = 2
    return FluxPoints(found, make_source()[0], meta=meta)


def make_spectrum(n_energies: int, n_counts: float = 60.0) -> Any:
    from gammapy.datasets import Datasets, SpectrumDatasetOnOff
    from gammapy.irf import EDispKernelMap
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap

    energy = MapAxis.from_energy_bounds("1 TeV", "30 TeV", n_energies)
    true = MapAxis.from_energy_bounds("0.5 TeV", "50 TeV", 60, name="energy_true")
    geom = RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[energy])
    geom_true = RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[true])
    falling = n_counts * np.geomspace(1, 0.01, n_energies)
    counts = RegionNDMap.from_geom(geom, data=np.round(falling))
    exposure = RegionNDMap.from_geom(geom_true, data=1e10, unit="m2 s")
    exposure.meta = {"livetime": 1.0}
    dataset = SpectrumDatasetOnOff(
        name="hess-1",
        counts=counts,
        counts_off=RegionNDMap.from_geom(geom, data=np.round(falling * 2)),
        acceptance=RegionNDMap.from_geom(geom, data=1.0),
        acceptance_off=RegionNDMap.from_geom(geom, data=10.0),
        exposure=exposure,
        edisp=EDispKernelMap.from_diagonal_response(energy, true, geom=geom_true.to_image()),
        mask_safe=RegionNDMap.from_geom(geom, data=True, dtype=bool),
    )
    return Datasets([dataset])


def make_profile(n_values: int, name: str = "crab.index") -> Any:
    from astropy.table import Table

    values = np.linspace(2, 3, n_values)
    delta = ((values - 2.4) / 0.1) ** 2
    interval = {"n_sigma": 1, "min": 2.3, "max": 2.5}
    meta = {"product": "stat-profile", "parameter": name, "best": 2.4, "error": 0.1}
    meta |= {"stat_min": 100.0, "reoptimized": True, "intervals": [interval]}
    return Table({"value": values, "stat": delta + 100, "delta_stat": delta}, meta=meta)


# ---- spectra and light curves --------------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("n_sets", [1, 3])
def test_spectra(number: int, n_sets: int, tmp_path: Path) -> None:
    names = ["MAGIC", "VERITAS", "FACT"][:n_sets] if n_sets > 1 else []
    points = [make_flux(number) for _ in range(n_sets)]
    inputs = {"flux_points": points, "models": make_source()}
    figure = plot("sed", inputs, tmp_path, names=names)
    check(figure, f"sed-{number}-{n_sets}")
    entries = legend_of(figure)
    assert "crab (power law)" in entries
    assert all(any(name in item for item in entries) for name in names or ["flux points"])
    limits = sum(item % 5 == 1 for item in range(number))
    assert any("upper limits" in item for item in entries) == (limits > 0)
    assert n_arrows(figure) >= limits * n_sets


@pytest.mark.parametrize("number", [1, 2, MANY])
@pytest.mark.parametrize("n_bands", [1, 3])
def test_light_curves(number: int, n_bands: int, tmp_path: Path) -> None:
    figure = plot("light-curve", {"light_curve": make_flux(n_bands, number)}, tmp_path)
    check(figure, f"light-curve-{number}-{n_bands}")
    limits = sum(item % 5 == 1 for item in range(number * n_bands))
    assert any("upper limits" in item for item in legend_of(figure)) == (limits > 0)
    assert n_arrows(figure) >= limits


@pytest.mark.parametrize("number", NUMBERS)
def test_likelihood_profiles_of_fluxes(number: int, tmp_path: Path) -> None:
    check(
        plot("castro", {"flux_points": make_flux(number, scan=True)}, tmp_path),
        f"castro-{number}",
    )
    figure = plot("castro-light-curve", {"light_curve": make_flux(1, number, scan=True)}, tmp_path)
    check(figure, f"castro-light-curve-{number}")


# ---- counts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", ["counts", "residuals"])
def test_counts(number: int, kind: str, tmp_path: Path) -> None:
    inputs = {"datasets": make_spectrum(number), "models": make_source()}
    figure = plot(kind, inputs, tmp_path, fit_range={"min": "2 TeV"})
    check(figure, f"{kind}-{number}")
    entries = legend_of(figure)
    assert {"background", "ON counts", "model and background"} <= set(entries)
    assert "outside the fit range" in entries


def test_counts_of_nothing(tmp_path: Path) -> None:
    figure = plot("counts", {"datasets": make_spectrum(3, n_counts=0)}, tmp_path)
    check(figure, "counts-nothing")


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [3, MANY])
@pytest.mark.parametrize("n_panels", [1, 3])
def test_profiles(number: int, n_panels: int, tmp_path: Path) -> None:
    tables = [make_profile(number, f"crab.index{item or ''}") for item in range(n_panels)]
    figure = plot("profile", {"profile": tables}, tmp_path)
    check(figure, f"profile-{number}-{n_panels}")
    assert {"profile", "best fit", "parabola of the covariance"} <= set(legend_of(figure))


def make_contours(n_points: int, n_pairs: int = 1) -> Any:
    from astropy.table import Table

    angle = np.linspace(0, 2 * np.pi, n_points + 1)
    names = ["crab.index", "crab.amplitude", "crab.lambda_"]
    pairs = [(0, 1), (0, 2), (1, 2)][:n_pairs]
    rows: dict[str, list[Any]] = {name: [] for name in ("pair", "n_sigma", *names)}
    for number, (x, y) in enumerate(pairs):
        for level in (1.0, 2.0):
            values = [np.full(n_points + 1, np.nan) for _ in names]
            values[x] = 2.4 + 0.1 * level * np.cos(angle)
            values[y] = 4e-11 * (1 + 0.1 * level * np.sin(angle))
            rows["pair"] += [number] * (n_points + 1)
            rows["n_sigma"] += [level] * (n_points + 1)
            for name, item in zip(names, values, strict=True):
                rows[name] += list(item)
    facts = [
        {"pair": number, "x": names[x], "y": names[y], "x_best": 2.4, "y_best": 4e-11}
        for number, (x, y) in enumerate(pairs)
    ]
    table = Table(rows)
    table["crab.amplitude"].unit = "TeV-1 cm-2 s-1"
    levels = [
        {"n_sigma": level, "delta_stat": level**2, "confidence": 0.68} for level in (1.0, 2.0)
    ]
    table.meta = {"product": "contours", "pairs": facts, "levels": levels, "joint": True}
    return table


@pytest.mark.parametrize("number", [4, MANY])
@pytest.mark.parametrize(("n_pairs", "n_fits"), [(1, 1), (3, 1), (1, 5)])
def test_contours(number: int, n_pairs: int, n_fits: int, tmp_path: Path) -> None:
    tables = [make_contours(number, n_pairs) for _ in range(n_fits)]
    names = [f"instrument {item}" for item in range(n_fits)] if n_fits > 1 else []
    figure = plot("contours", {"contours": tables}, tmp_path, names=names)
    check(figure, f"contours-{number}-{n_pairs}-{n_fits}")
    assert len([item for item in legend_of(figure) if "sigma" in item]) == 2


def test_an_instrument_has_one_look_in_spectra_and_contours() -> None:
    from types import SimpleNamespace

    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    from gpwf.steps.plots.contours import draw_contours
    from gpwf.steps.plots.spectrum import draw_points

    names = [f"instrument {item}" for item in range(5)]
    figure = draw_contours([make_contours(9)] * 5, names, title="")
    (legend,) = figure.legends
    contours = [(line.get_marker(), to_hex(line.get_color())) for line in legend.get_lines()[:5]]
    one = {"energy": 1.0, "low": 0.5, "high": 2.0, "flux": 1.0, "errn": 0.1, "errp": 0.1}
    points = {name: np.array([value]) for name, value in one.items()}
    points |= {"is_flux": np.array([True]), "is_limit": np.array([False])}
    flux = SimpleNamespace(n_sigma=1, _data={})
    axes = Figure().add_subplot()
    for number, name in enumerate(names):
        draw_points(axes, points, flux, name, number)
    lines = [container.lines[0] for container in axes.containers]
    assert [(line.get_marker(), to_hex(line.get_color())) for line in lines] == contours


# ---- maps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_energies", "width"), [(1, 0.2), (1, 4.0), (4, 4.0)])
def test_significances(n_energies: int, width: float, tmp_path: Path) -> None:
    from gammapy.estimators import FluxMaps
    from gammapy.maps import MapAxis, WcsGeom, WcsNDMap

    energy = MapAxis.from_energy_bounds("1 TeV", "30 TeV", n_energies)
    geom = WcsGeom.create(
        skydir=(83.63, 22.01), width=width, binsz=0.1, frame="icrs", axes=[energy], proj="TAN"
    )
    random = np.random.default_rng(1).normal(size=geom.data_shape)
    names = ("norm", "norm_err", "sqrt_ts", "ts")
    maps = {name: WcsNDMap(geom, data=random) for name in names}
    figure = plot("significance-map", {"flux_maps": FluxMaps(maps, make_source()[0])}, tmp_path)
    check(figure, f"significance-map-{n_energies}-{width}")

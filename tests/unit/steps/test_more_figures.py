"""Figures of maps, limits and distributions with few and with many points, as `test_figures`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from figures_checked import check, legend_of
from test_figures import NUMBERS, make_source, plot

from gpwf.steps.significances import significance_histogram, significance_summary

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


def make_sensitivity(number: int, label: str) -> Any:
    from astropy import units as u
    from astropy.table import QTable

    edges = np.geomspace(0.05, 100, number + 1)
    energy = np.sqrt(edges[1:] * edges[:-1])
    kinds = np.array(["bkg", "significance", "gamma"])[np.arange(number) % 3]
    return QTable(
        {
            "e_ref": energy * u.TeV,
            "e_min": edges[:-1] * u.TeV,
            "e_max": edges[1:] * u.TeV,
            "e2dnde": 1e-12 * (energy / 2 + 2 / energy) * u.Unit("erg cm-2 s-1"),
            "criterion": kinds,
        },
        meta={"product": "sensitivity", "label": label, "livetime_h": 5.0},
    )


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("n_curves", [1, 6])
def test_sensitivities(number: int, n_curves: int, tmp_path: Path) -> None:
    from astropy.table import Table

    tables = [Table(make_sensitivity(number, f"Array {item}")) for item in range(n_curves)]
    figure = plot("sensitivity", {"sensitivity": tables}, tmp_path)
    check(figure, f"sensitivity-{number}-{n_curves}")
    assert {f"Array {item}" for item in range(n_curves)} <= set(legend_of(figure)) or n_curves == 1


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("process", ["annihilation", "decay"])
def test_limits_of_dark_matter(number: int, process: str, tmp_path: Path) -> None:
    from astropy.table import Table, vstack

    mass = np.geomspace(0.3, 50, number)
    parts = []
    for channel in ("b", "tau", "W", "mu"):
        limit = 1e-24 * (mass + 1 / mass) if process == "annihilation" else 1e26 * mass
        column = "sigma_v_ul" if process == "annihilation" else "lifetime_ll"
        parts.append(Table({"channel": [channel] * number, "mass": mass, column: limit}))
    table = vstack(parts)
    table["mass"].unit = "TeV"
    table.meta = {"product": "dark-matter-limits", "process": process, "confidence": 0.95}
    figure = plot("dark-matter-limits", {"limits": [table]}, tmp_path)
    check(figure, f"dark-matter-{process}-{number}")
    assert r"$\tau^+\tau^-$" in legend_of(figure)


@pytest.mark.parametrize("number", NUMBERS)
def test_squares_of_distance(number: int, tmp_path: Path) -> None:
    from astropy.table import Table

    edges = np.linspace(0, 0.3, number + 1)
    on = np.round(300 * np.exp(-edges[1:] / 0.02) + 20)
    table = Table({"theta2_min": edges[:-1], "theta2_max": edges[1:], "counts": on})
    table["counts_off"] = np.full(number, 100.0)
    table["alpha"] = np.full(number, 0.2)
    cut = {"theta_cut": 0.11, "counts": 500, "counts_off": 40, "alpha": 0.2}
    cut |= {"excess": 492.0, "sqrt_ts": 33.1}
    table.meta = {"product": "theta2", "cut": cut}
    figure = plot("theta2", {"distribution": table}, tmp_path)
    check(figure, f"theta2-{number}")
    assert "ON" in legend_of(figure)


def make_map(width: float, n_energies: int, unit: str = "") -> Any:
    from gammapy.maps import MapAxis, WcsGeom, WcsNDMap

    energy = MapAxis.from_energy_bounds("1 TeV", "30 TeV", n_energies)
    geom = WcsGeom.create(
        skydir=(83.63, 22.01), width=width, binsz=0.1, frame="icrs", axes=[energy], proj="TAN"
    )
    data = np.random.default_rng(1).normal(size=geom.data_shape)
    return WcsNDMap(geom, data=data, unit=unit)


@pytest.mark.parametrize(("width", "n_energies"), [(0.1, 1), (4.0, 1), (4.0, 9)])
def test_maps(width: float, n_energies: int, tmp_path: Path) -> None:
    source = make_map(width, n_energies, "cm-2 s-1")
    source.data = abs(source.data) * 1e-12
    figure = plot("map", {"maps": source, "models": make_source()}, tmp_path, stretch="sqrt")
    check(figure, f"map-{width}-{n_energies}")


@pytest.mark.parametrize(("width", "n_energies"), [(0.3, 1), (4.0, 4), (4.0, 9)])
def test_distributions_of_significance(width: float, n_energies: int, tmp_path: Path) -> None:
    found = make_map(width, n_energies)
    usable = np.ones(found.data.shape, dtype=bool)
    inputs = {
        "distribution": significance_histogram(found, usable),
        "summary": significance_summary(found, usable),
    }
    figure = plot("significance-distribution", inputs, tmp_path)
    check(figure, f"distribution-{width}-{n_energies}")


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("n_bands", [1, 3])
def test_profiles_of_the_flux(number: int, n_bands: int, tmp_path: Path) -> None:
    from astropy import units as u
    from gammapy.estimators import FluxPoints
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap

    energy = MapAxis.from_energy_bounds("1 TeV", "30 TeV", n_bands)
    edges = np.linspace(0, 1, number + 1) * u.deg
    distance = MapAxis.from_edges(edges, name="projected-distance")
    geom = RegionGeom.create(None, axes=[energy, distance])
    norm = np.exp(-3 * distance.center.value)[:, None, None, None] * np.ones(geom.data_shape)
    limit = norm < 0.1
    values = {"norm": norm, "norm_err": 0.1 * norm + 0.02, "norm_ul": norm + 0.2}
    values |= {"ts": np.where(limit, 0.1, 30), "sqrt_ts": np.where(limit, 0.3, 5.5)}
    maps = {name: RegionNDMap(geom, data=item) for name, item in values.items()}
    maps["success"] = RegionNDMap(geom, data=np.ones(geom.data_shape, dtype=bool))
    meta = {"n_sigma": 1, "n_sigma_ul": 2, "sed_type_init": "likelihood", "regions": "rings"}
    meta |= {"sqrt_ts_threshold_ul": 2, "solid_angle_sr": [1e-5] * number}
    profile = FluxPoints(maps, make_source()[0], meta=meta)
    figure = plot("flux-profile", {"flux_profile": profile}, tmp_path)
    check(figure, f"flux-profile-{number}-{n_bands}")

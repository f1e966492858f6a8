"""Figures of sensitivities, profiles of the flux and dark matter: few and many points, limits."""

from __future__ import annotations

from typing import Any

import pytest
from figures_checked import check, legend_of, n_arrows
from spectra import run

from gpwf.errors import StepError

pytestmark = [
    pytest.mark.gammapy,
    pytest.mark.filterwarnings("ignore:divide by zero"),  # gammapy, for an index of exactly 2
    pytest.mark.filterwarnings("ignore:invalid value"),
]

np = pytest.importorskip("numpy")

NUMBERS = [1, 50]
MANY = ["b", "tau", "W", "nu_e", "V->mu"]


def plot(kind: str, inputs: dict[str, Any]) -> Any:
    return run("plot", {"kind": kind, "title": "A source"}, inputs)["figure"]


def make_profile(n_regions: int, n_bands: int, *, limits: str = "some") -> Any:
    """Return a profile; every third point is an upper limit, or all of them."""
    from astropy import units as u
    from gammapy.estimators import FluxPoints
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    energy = MapAxis.from_energy_bounds("1 TeV", "30 TeV", n_bands)
    edges = np.linspace(0, 1, n_regions + 1) * u.deg
    distance = MapAxis.from_edges(edges, name="projected-distance")
    geom = RegionGeom.create(None, axes=[energy, distance])
    count = n_regions * n_bands
    is_limit = np.ones(count, dtype=bool) if limits == "all" else np.arange(count) % 3 == 1
    norm = 1 / (1 + np.arange(count) / 10)
    data = {
        "norm": np.where(is_limit, 0.02, norm),
        "norm_err": np.full(count, 0.1),
        "norm_ul": np.where(is_limit, 0.3, norm + 0.2),
        "ts": np.where(is_limit, 0.1, 30),
        "sqrt_ts": np.where(is_limit, 0.3, 5.5),
        "success": np.ones(count, dtype=bool),
    }
    maps = {
        name: RegionNDMap(geom, data=item.reshape(geom.data_shape)) for name, item in data.items()
    }
    source = SkyModel(PowerLawSpectralModel(index=2.4), name="profile")
    meta = {"n_sigma": 1, "n_sigma_ul": 2, "sqrt_ts_threshold_ul": 2, "regions": "rings"}
    meta |= {"sed_type_init": "likelihood", "solid_angle_sr": [3e-5] * n_regions}
    return FluxPoints(maps, source, meta=meta)


@pytest.mark.parametrize(("n_bands", "limits"), [(1, "all"), (1, "some"), (3, "some")])
@pytest.mark.parametrize("number", NUMBERS)
def test_profiles_of_the_flux(number: int, n_bands: int, limits: str) -> None:
    profile = make_profile(number, n_bands, limits=limits)
    figure = plot("flux-profile", {"flux_profile": profile})
    check(figure, f"flux-profile-{number}-{n_bands}-{limits}")
    count = number * n_bands
    wanted = count if limits == "all" else sum(item % 3 == 1 for item in range(count))
    assert n_arrows(figure) >= wanted
    assert any("upper limits" in item for item in legend_of(figure)) or not wanted or n_bands > 1
    assert "from the centre" in figure.axes[-1].get_xlabel()
    assert "deg" in figure.axes[0].get_ylabel()


def test_a_profile_without_solid_angles_is_the_flux_of_regions() -> None:
    profile = make_profile(3, 1)
    del profile.meta["solid_angle_sr"], profile.meta["regions"]
    figure = plot("flux-profile", {"flux_profile": profile})
    assert "deg" not in figure.axes[0].get_ylabel()
    assert "from the first region" in figure.axes[-1].get_xlabel()


def make_sensitivity(number: int, hours: float, *, label: str = "", gap: bool = False) -> Any:
    from astropy.table import Column, Table

    edges = np.geomspace(0.03, 100, number + 1)
    center = np.sqrt(edges[1:] * edges[:-1])
    flux = 1e-12 / hours * (1 + np.log(center) ** 2)
    criterion = np.array(["significance", "bkg", "gamma"] * number, dtype="U12")[:number]
    if gap:
        flux[1], criterion[1] = np.nan, "none"
    table = Table({"criterion": criterion})
    for name, values in (("e_ref", center), ("e_min", edges[:-1]), ("e_max", edges[1:])):
        table[name] = Column(values, unit="TeV")
    table["e2dnde"] = Column(flux, unit="erg cm-2 s-1")
    table.meta = {"product": "sensitivity", "label": label, "livetime_h": hours}
    return table


@pytest.mark.parametrize("n_curves", [1, 8])
@pytest.mark.parametrize("number", NUMBERS)
def test_sensitivities(number: int, n_curves: int) -> None:
    tables = [make_sensitivity(number, 0.25 * 2**item) for item in range(n_curves)]
    figure = plot("sensitivity", {"sensitivity": tables})
    check(figure, f"sensitivity-{number}-{n_curves}")
    entries = legend_of(figure)
    assert {"15 min", "0.5 h", "1 h", "2 h"} & set(entries)
    assert len([item for item in entries if item.endswith((" h", " min"))]) == n_curves
    markers = {"significance decides", "uncertainty of the background decides"}
    assert (markers <= set(entries)) == (number > 1)
    looks = {(line.get_color(), line.get_linestyle()) for line in _curves(figure)}
    assert len(looks) == n_curves


def _curves(figure: Any) -> list[Any]:
    return [item for item in figure.axes[0].lines if item.get_linestyle() in ("-", "--", ":", "-.")]


def test_curves_have_their_labels_and_gaps() -> None:
    tables = [make_sensitivity(9, 50, label=name, gap=True) for name in ("South", "North $x")]
    figure = plot("sensitivity", {"sensitivity": tables})
    check(figure, "sensitivity-gap")
    assert {"South", r"North \$x"} <= set(legend_of(figure))
    assert all(np.isnan(line.get_ydata()[1]) for line in _curves(figure))
    same = [make_sensitivity(9, 50) for _ in range(2)]
    assert {"1", "2"} <= set(legend_of(plot("sensitivity", {"sensitivity": same})))


def make_limits(number: int, channels: list[str], process: str = "annihilation") -> Any:
    from astropy.table import Column, Table

    mass = np.tile(np.geomspace(0.1, 100, number), len(channels))
    value = 1e-25 * (1 + mass) * np.repeat(np.arange(len(channels)) + 1, number)
    value[0] = np.nan if number > 2 else value[0]
    table = Table({"channel": np.repeat(channels, number)})
    table["mass"] = Column(mass, unit="TeV")
    if process == "decay":
        table["lifetime_ll"] = Column(1 / value, unit="s")
    else:
        table["sigma_v_ul"] = Column(value, unit="cm3 s-1")
    table.meta = {"product": "dark-matter-limits", "process": process, "confidence": 0.95}
    return table


@pytest.mark.parametrize(
    ("channels", "process"),
    [(["b"], "annihilation"), (MANY, "annihilation"), (MANY, "decay")],
)
@pytest.mark.parametrize("number", NUMBERS)
def test_limits_on_dark_matter(number: int, channels: list[str], process: str) -> None:
    figure = plot("dark-matter-limits", {"limits": [make_limits(number, channels, process)]})
    check(figure, f"dark-matter-{number}-{len(channels)}-{process}")
    entries = legend_of(figure)
    assert ("thermal relic" in entries) == (process == "annihilation")
    assert r"$b\bar{b}$" in entries
    assert len(entries) == len(channels) + (process == "annihilation")


def test_tables_that_do_not_belong_are_refused() -> None:
    wrong = make_sensitivity(3, 50)
    with pytest.raises(StepError, match="not from a step 'dark-matter-limits'"):
        plot("dark-matter-limits", {"limits": [wrong]})
    both = [make_limits(3, ["b"]), make_limits(3, ["b"], "decay")]
    with pytest.raises(StepError, match="annihilation and of decay do not fit into one figure"):
        plot("dark-matter-limits", {"limits": both})
    with pytest.raises(StepError, match="not from a step 'sensitivity'"):
        plot("sensitivity", {"sensitivity": [make_limits(3, ["b"])]})
    with pytest.raises(StepError, match="the points have no likelihood profiles"):
        plot("castro", {"flux_points": make_profile(3, 2)})


def test_profiles_that_were_not_scanned_near_their_minimum_are_warned_of() -> None:
    from test_figures import make_flux

    flux = make_flux(5, scan=True)
    flux.stat_scan.data[:, :, :] += 20
    with pytest.warns(UserWarning, match="5 of 5 profiles were not scanned near their minimum"):
        plot("castro", {"flux_points": flux})
    flux = make_flux(5, scan=True)
    flux.stat_scan.data[...] = flux.stat_scan.data * 1e3  # the minimum is there, a value or two
    with pytest.warns(UserWarning, match="5 of 5 profiles .* or in too few steps there"):
        plot("castro", {"flux_points": flux})


def test_points_without_any_profile_are_drawn_without_colour() -> None:
    """A fit that failed leaves NaN: no warning of numpy, and no colour."""
    from test_figures import make_flux

    flux = make_flux(5, scan=True)
    for name in ("stat_scan", "norm", "norm_err", "norm_ul"):
        item = flux._data[name].data
        item[2] = np.nan
    figure = plot("castro", {"flux_points": flux})
    colors = [
        mesh.get_array() for mesh in figure.axes[0].collections if mesh.get_array() is not None
    ]
    masked = [bool(np.ma.getmaskarray(item).all()) for item in colors]
    assert sum(masked) == 1

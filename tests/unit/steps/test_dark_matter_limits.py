"""The step dark-matter-limits: limits by hand, the uncertainty of the J factor, clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spectra import make_datasets, make_models, problems, run

from gpwf.errors import NoDataError, StepError, StepInputError
from gpwf.steps.registry import load_catalog

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

DELTA = 2.7055  # of 95% on one side
THERMAL = 3e-26  # cm3 s-1, gammapy's unit of the scale
JFACTOR = "1e21 GeV2 cm-5"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A table as PPPC 4 DM ID has it; b quarks as Bergström, Ullio & Buckley (1998) fit them."""
    from gammapy.astro.darkmatter import PrimaryFlux

    rows = []
    for mass in (100, 1000, 10000, 100000):
        for log in np.linspace(-4, 0, 21):
            x = 10**log
            b = 0.73 * np.exp(-7.8 * x) / np.sqrt(x) * np.log(10) * (1 - x)
            rows.append([mass, log, b, b / 2])
    channels = dict.fromkeys(PrimaryFlux.channel_registry.values(), "1")
    names = [name for name in channels if name not in ("aZ", "HZ", "d", "u", "s")]
    lines = [" ".join(["mDM", "Log[10,x]", *names])]
    for mass, log, b, half in rows:
        values = [f"{b if name == 'b' else half:.8e}" for name in names]
        lines.append(" ".join([f"{mass:g}", f"{log:.2f}", *values]))
    path = tmp_path_factory.mktemp("spectra") / "AtProduction_gammas.dat"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def datasets() -> Any:
    """Spectra of a region in which there is background alone."""
    found = make_datasets(0)
    random = np.random.RandomState(1)
    found[0].counts.data = random.poisson(found[0].background.data).astype(float)
    return found


def limits(config: dict[str, Any], datasets: Any, **inputs: Any) -> Any:
    config = {"jfactor": JFACTOR, "masses": ["5 TeV"]} | config
    return run("dark-matter-limits", config, {"datasets": [datasets], **inputs})["limits"]


def spectrum(table: str, mass: str = "5 TeV") -> Any:
    from pathlib import Path

    from gpwf.steps.dark_matter import dark_matter_spectrum

    quantity = _quantity(mass)
    return dark_matter_spectrum(
        "annihilation",
        Path(table),
        "by-hand",
        mass=quantity,
        channel="b",
        jfactor=_quantity(JFACTOR),
        source="pppc4",
    )


def _quantity(text: str) -> Any:
    from astropy import units as u

    return u.Quantity(text)


def likelihood(table: str, datasets: Any) -> Any:
    """Return the fit statistic as a function of the scale."""
    from gammapy.modeling.models import SkyModel

    dataset = datasets[0].copy(name="by-hand")
    dataset.models = [SkyModel(spectrum(table), name="dark-matter")]
    scale = dataset.models[0].spectral_model.scale

    def stat(value: float) -> float:
        scale.value = value
        return float(dataset.stat_sum())

    return stat


def test_the_limit_is_where_the_likelihood_has_risen(table: str, datasets: Any) -> None:
    from scipy.optimize import brentq, minimize_scalar

    found = limits({"table": table}, datasets)
    stat = likelihood(table, datasets)
    best = minimize_scalar(lambda log: stat(10**log), bounds=(-4, 4), method="bounded")
    lowest = min(float(best.fun), stat(0.0))
    by_hand = brentq(lambda value: stat(value) - lowest - DELTA, 1e-3, 1e6)
    assert found["sigma_v_ul"][0] == pytest.approx(by_hand * THERMAL, rel=1e-3)
    assert found["scale_ul"][0] == pytest.approx(by_hand, rel=1e-3)
    assert found["sigma_v_ul"].unit == "cm3 s-1"
    assert found["ts"][0] == pytest.approx(stat(0.0) - lowest, abs=1e-2)
    assert found["npred_ul"][0] > 1
    assert found.meta["delta_stat"] == pytest.approx(DELTA, rel=1e-4)
    wide = limits({"table": table, "jfactor_uncertainty": 0.3}, datasets)

    def profile(value: float) -> float:
        """Return the statistic at a scale, minimised over the J factor."""
        found = minimize_scalar(
            lambda x: stat(value * 10**x) + (x / 0.3) ** 2, bounds=(-1.5, 1.5), method="bounded"
        )
        return float(found.fun)

    with_j = brentq(lambda value: profile(value) - lowest - DELTA, by_hand, 1e6)
    assert wide["scale_ul"][0] == pytest.approx(with_j, rel=1e-3)
    assert wide["scale_ul"][0] > 1.2 * found["scale_ul"][0]


def test_a_signal_is_found_and_the_limit_lies_above_it(table: str, datasets: Any) -> None:
    from gammapy.datasets import Datasets
    from gammapy.modeling.models import SkyModel

    dataset = datasets[0].copy(name="hess-1")
    dataset.models = [SkyModel(spectrum(table), name="truth")]
    dataset.models[0].spectral_model.scale.value = 50
    dataset.counts.data = dataset.npred_signal().data + dataset.background.data
    dataset.models = None
    found = limits({"table": table}, Datasets([dataset]))
    assert found["scale"][0] == pytest.approx(50, rel=1e-2)
    assert found["scale_ul"][0] > 50
    assert found["ts"][0] > 25


def test_every_channel_and_mass_has_a_row(table: str, datasets: Any) -> None:
    masses = {"min": "0.1 TeV", "max": "100 TeV", "n_values": 4}
    config = {"table": table, "masses": masses, "channels": ["b", "tau"]}
    found = limits(config, datasets)
    assert list(found["channel"]) == ["b"] * 4 + ["tau"] * 4
    np.testing.assert_allclose(found["mass"][:4], [0.1, 1, 10, 100])  # those of the table, too
    # half as many gamma rays
    np.testing.assert_allclose(found["sigma_v_ul"][4:], 2 * found["sigma_v_ul"][:4], rtol=1e-3)
    above = {"min": "0.562341325 TeV"}  # an edge of the datasets
    with pytest.warns(UserWarning, match=r"no limit for 0\.1 TeV \(b\)"):
        high = limits(
            {"table": table, "masses": ["0.1 TeV", "5 TeV"], "fit_range": above}, datasets
        )
    assert list(np.isfinite(high["sigma_v_ul"])) == [False, True]
    with pytest.raises(NoDataError, match="no gamma rays of dark matter of any of the masses"):
        limits({"table": table, "masses": ["100 GeV"], "fit_range": {"min": "1 TeV"}}, datasets)


@pytest.mark.parametrize(
    ("process", "mass", "factor"),
    [  # 8 pi for Majorana particles; one that decays has the spectrum of half its mass
        ("annihilation", 5000, 3e-26 * 1e21 / (8 * np.pi * 5000**2)),
        ("decay", 10000, 1e21 / (4 * np.pi * 4.3e17 * 10000)),
    ],
)
def test_the_spectrum_is_that_of_the_formula(
    table: str, process: str, mass: float, factor: float
) -> None:
    """In GeV and cm, at a tenth of 5 TeV, where the table has a row."""
    from gpwf.steps.dark_matter import dark_matter_spectrum

    unit = "GeV2 cm-5" if process == "annihilation" else "GeV cm-2"
    found = dark_matter_spectrum(
        process,
        Path(table),
        "by-hand",
        mass=_quantity(f"{mass} GeV"),
        channel="b",
        jfactor=_quantity(f"1e21 {unit}"),
    )
    # the logarithm to base ten of x cancels that of the table
    per_gev = 0.73 * np.exp(-0.78) / np.sqrt(0.1) * 0.9 / 500
    dnde = found(_quantity("500 GeV")).to_value("cm-2 s-1 GeV-1").item()
    assert dnde == pytest.approx(factor * per_gev, rel=1e-5)


def test_decay_has_a_lifetime(table: str, datasets: Any) -> None:
    config = {"table": table, "process": "decay", "jfactor": "1e21 GeV cm-2"}
    found = limits(config, datasets)
    assert found["lifetime_ll"].unit == "s"
    assert found["lifetime_ll"][0] == pytest.approx(4.3e17 / found["scale_ul"][0])
    twice = limits(config | {"jfactor": "2e21 GeV cm-2"}, datasets)
    assert twice["lifetime_ll"][0] == pytest.approx(2 * found["lifetime_ll"][0], rel=1e-3)
    majorana, dirac = (
        limits({"table": table, "particle": name}, datasets) for name in ("majorana", "dirac")
    )
    assert dirac["scale_ul"][0] == pytest.approx(2 * majorana["scale_ul"][0], rel=1e-3)


def test_maps_need_a_place(table: str) -> None:
    from gammapy.datasets import Datasets
    from gammapy.modeling.models import Models, PointSpatialModel
    from test_simulate import make_map

    maps = Datasets([make_map()])
    maps[0].counts.data += 4
    with pytest.raises(StepError, match="'map' is a map, and the dark matter has no place"):
        limits({"table": table}, maps)
    place = PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", frame="icrs")
    models = make_models("dwarf", spatial_model=place)
    found = limits({"table": table, "source": "dwarf"}, maps, models=models)
    assert found["sigma_v_ul"][0] > 0
    with pytest.raises(StepError, match="no model is called 'dwarv'"):
        limits({"table": table, "source": "dwarv"}, maps, models=models)
    others = Models([*make_models("other"), *make_models("dark-matter")])
    with pytest.raises(StepError, match="a model is called 'dark-matter'"):
        limits({"table": table, "fit_models": True}, make_datasets(0), models=others)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": ["bb"]}, "no spectrum of channel 'bb' .*Invalid channel"),
        ({"channels": ["d"]}, "not available in PPPC4"),
        (
            {"masses": ["1 GeV"]},
            "channel 'b' and mass 0.001 TeV .*out of the bounds",
        ),
        ({"table": __file__}, "no spectrum of channel 'b' and mass 5 TeV in test_dark_matter"),
    ],
)
def test_spectra_that_there_are_not_are_told(
    config: dict[str, Any], message: str, table: str, datasets: Any
) -> None:
    with pytest.raises(StepError, match=message):
        limits({"table": table} | config, datasets)


def test_a_missing_table_says_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    step = load_catalog().step("dark-matter-limits")
    settings = step.Settings.model_validate({"jfactor": JFACTOR, "masses": ["1 TeV"]})
    monkeypatch.setenv("GAMMAPY_DATA", str(tmp_path))
    with pytest.raises(StepInputError, match=r"PPPC4DMID/AtProduction_gammas\.dat") as raised:
        step.external_files(settings)
    assert "gammapy download datasets --src dark_matter_spectra" in str(raised.value.hint)
    monkeypatch.delenv("GAMMAPY_DATA")
    with pytest.raises(StepInputError, match="the environment variable GAMMAPY_DATA is not set"):
        step.external_files(settings)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, {}),
        ({"jfactor": "1e21 GeV cm-2"}, {"jfactor": "GP303"}),
        ({"process": "decay"}, {"jfactor": "GP303"}),
        ({"jfactor": "0 GeV2 cm-5"}, {"jfactor": "GP304"}),
        ({"jfactor": "-1e21 GeV2 cm-5"}, {"jfactor": "GP304"}),
        ({"process": "decay", "jfactor": "1e17 TeV/m2"}, {}),
        ({"masses": ["1 TeV", "1000 GeV"]}, {"masses": "GP306"}),
        ({"masses": []}, {"masses": "GP304"}),
        ({"masses": {"min": "2 TeV", "max": "1 TeV", "n_values": 3}}, {"masses": "GP306"}),
        ({"channels": ["b", "b"]}, {"channels": "GP306"}),
        ({"jfactor_uncertainty": 0.0}, {"jfactor_uncertainty": "GP304"}),
    ],
)
def test_settings_are_checked_before_the_run(config: Any, found: dict[str, str]) -> None:
    base = {"jfactor": JFACTOR, "masses": ["1 TeV"]}
    assert problems("dark-matter-limits", base | config) == found

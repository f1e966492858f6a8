"""The step contours: closed curves on the right level, and what can go wrong."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from fitted import fitted, hastened, run_backwards  # noqa: F401  (a fixture of this module)
from spectra import make_models, problems, run

from gpwf.errors import StepError
from gpwf.steps.builtin import contours as module
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

PAIR = {"x": "index", "y": "amplitude"}
CONFIG = {"pairs": [PAIR], "n_points": 8}


def find(config: dict[str, Any], **changes: Any) -> Any:
    return run("contours", CONFIG | config, fitted() | changes)["contours"]


@lru_cache(maxsize=1)
def usual() -> Any:
    """Return the contours of 1 and 2 sigma."""
    return find({})


def never(digest: str) -> Path:
    raise AssertionError(digest)


@pytest.mark.parametrize(
    ("n_sigma", "confidence", "delta"),
    [(1.0, 0.6827, 2.2957), (2.0, 0.9545, 6.1801), (3.0, 0.9973, 11.829), (5.0, 1, 28.744)],
)
def test_the_levels_are_those_of_two_parameters(
    n_sigma: float, confidence: float, delta: float
) -> None:
    """The known table, and its formula: a share of exp(-delta/2) lies outside."""
    found = module.delta_stat(n_sigma, joint=True)
    assert found == pytest.approx(delta, rel=1e-4)
    outside = math.erfc(n_sigma / math.sqrt(2))
    assert math.exp(-found / 2) == pytest.approx(outside, rel=1e-9)
    assert 1 - outside == pytest.approx(confidence, abs=1e-4)
    assert module.delta_stat(n_sigma, joint=False) == n_sigma**2


def test_every_point_is_on_its_level_and_the_curves_close() -> None:
    from astropy import units as u
    from gammapy.datasets import Datasets

    table = usual()
    inputs = fitted()
    datasets = Datasets([dataset.copy(name=dataset.name) for dataset in inputs["datasets"]])
    for dataset in datasets:
        dataset.mask_fit = dataset.counts.geom.energy_mask(energy_min=1 * u.TeV)
    datasets.models = inputs["models"].copy()
    lowest = datasets.stat_sum()
    spectrum = datasets.models["crab"].spectral_model
    for level in table.meta["levels"]:
        rows = table[table["n_sigma"] == level["n_sigma"]]
        assert list(rows["point"]) == list(range(9))
        names = ("crab.index", "crab.amplitude")
        for name in names:
            assert rows[name][0] == rows[name][-1]
        for index, amplitude in rows[names]:
            spectrum.index.value, spectrum.amplitude.value = index, amplitude
            delta = datasets.stat_sum() - lowest
            assert delta == pytest.approx(level["delta_stat"], rel=0.02)
    facts = table.meta["pairs"][0]
    assert facts["x_best"] == inputs["models"]["crab"].spectral_model.index.value
    assert -1 < facts["correlation"] < 1
    assert str(table["crab.amplitude"].unit) == "1 / (TeV s cm2)"


def test_it_is_the_contour_of_gammapy() -> None:
    from astropy import units as u
    from gammapy.datasets import Datasets
    from gammapy.modeling import Fit

    inputs = fitted()
    datasets = Datasets([dataset.copy(name=dataset.name) for dataset in inputs["datasets"]])
    datasets[0].mask_fit = datasets[0].counts.geom.energy_mask(energy_min=1 * u.TeV)
    datasets.models = inputs["models"].copy()
    spectrum = datasets.models["crab"].spectral_model
    fit = Fit()
    fit.optimize(datasets)
    theirs = fit.stat_contour(datasets, spectrum.index, spectrum.amplitude, numpoints=8, sigma=1)
    ours = find({"n_sigma": [1], "joint": False})
    width = 0.02 * np.ptp(theirs["crab.spectral.index"])
    np.testing.assert_allclose(ours["crab.index"], theirs["crab.spectral.index"], atol=width)
    # projected on an axis, it ends where minos' errors end
    minos = fit.confidence(datasets, spectrum.index)
    assert ours["crab.index"].max() - spectrum.index.value == pytest.approx(minos["errp"], rel=0.05)


def test_the_order_of_the_work_changes_nothing(tmp_path: Path) -> None:
    first = usual()
    again = run_backwards("contours", CONFIG, fitted())["contours"]
    for name, table in (("one", first), ("two", again)):
        (tmp_path / name).mkdir()
        formats.write("table", table, tmp_path / name)
    one, two = ((tmp_path / name / "table.ecsv").read_bytes() for name in ("one", "two"))
    assert one == two
    back = formats.read("table", tmp_path / "one", never)
    assert back.meta == first.meta
    for name in back.colnames:
        np.testing.assert_array_equal(back[name], first[name])
        assert back[name].unit == first[name].unit


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        ({"pairs": [{"x": "index", "y": "index"}]}, {"pairs.0.y": "GP306"}),
        ({"n_sigma": [1, 1]}, {"n_sigma.1": "GP306"}),
        ({"n_sigma": [9]}, {"n_sigma.0": "GP304"}),
        ({"n_sigma": []}, {"n_sigma": "GP304"}),
        ({"pairs": []}, {"pairs": "GP304"}),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    config: dict[str, Any], codes: dict[str, str]
) -> None:
    found = problems("contours", CONFIG | config)
    assert found.items() >= codes.items()


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ({"x": "index", "y": "amplitud"}, r"'pairs\.0\.y': the models have no parameter"),
        ({"x": "reference", "y": "index"}, r"'pairs\.0\.x': crab\.reference is frozen"),
        ({"x": "index", "y": "crab.index"}, "are one parameter"),
    ],
)
def test_parameters_that_are_none_are_named(pair: dict[str, str], message: str) -> None:
    with pytest.raises(StepError, match=message):
        find({"pairs": [pair]})


def test_models_before_the_fit_are_refused() -> None:
    with pytest.raises(StepError, match="no covariance"):
        find({}, models=make_models(index=2.3), fit_result=None)


def test_a_contour_that_meets_a_bound_is_an_error() -> None:
    models = fitted()["models"].copy()
    index = models["crab"].spectral_model.index
    index.max = index.value + index.error
    with pytest.raises(StepError, match=r"2 sigma .* runs into the max of crab\.index") as caught:
        find({"n_sigma": [2]}, models=models)
    assert "widen the bounds" in (caught.value.hint or "")


def _torn(points: Any) -> Any:
    return points[: len(points) // 2]


def _beside(points: Any) -> Any:
    return points + 2 * np.ptp(points)


def _too_small(points: Any) -> Any:
    center = points.mean()
    return center + 0.7 * (points - center)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_torn, "does not close: minuit found 3 points of 8"),
        (_beside, "does not go around the best fit"),
        (_too_small, "is not one: the fit statistic there is"),
        (lambda points: points * np.nan, "does not close"),
    ],
)
def test_what_minuit_may_return_instead_of_a_contour(
    change: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gammapy.modeling import Fit

    rows = usual()[usual()["n_sigma"] == 1]
    names = ("crab.index", "crab.amplitude")
    found = {name: change(rows[name].data) for name in names} | {"success": True}

    def broken(self: Any, *args: Any, **options: Any) -> Any:
        return found

    monkeypatch.setattr(Fit, "stat_contour", broken)
    with pytest.raises(StepError, match=message) as caught:
        find({"n_sigma": [1]})
    assert caught.value.message.startswith("my-contours: the contour of 1 sigma of crab.index and")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("Function minimum is not valid"), "Function minimum is not valid"),
        (IndexError("too many indices"), "minuit finds no point of it"),
    ],
)
def test_minuit_without_a_contour_is_told(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gammapy.modeling import Fit

    def broken(self: Any, *args: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(Fit, "stat_contour", broken)
    with pytest.raises(StepError, match=f"does not close: {message}"):
        find({"n_sigma": [1]})


def test_contours_are_drawn_one_and_several() -> None:
    for tables, texts in (
        ([usual()], [r"1$\sigma$ (68.3%)", r"2$\sigma$ (95.4%)", "best fit"]),
        ([usual(), usual()], ["1", "2", r"1$\sigma$ (68.3%)", r"2$\sigma$ (95.4%)"]),
    ):
        figure = run("plot", {"kind": "contours"}, {"contours": tables})["figure"]
        (axes,) = figure.axes
        assert axes.get_xlabel() == "crab.index"
        assert [text.get_text() for text in axes.get_legend().get_texts()] == texts

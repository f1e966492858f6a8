"""Several fits in a table, several flux points in a figure: what tells them apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from spectra import problems, run

from gpwf.core.products import FitSummary, FittedParameter
from gpwf.errors import StepError

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


def summary(beta: float = 0.1, model: str = "crab", curvature: str = "beta") -> FitSummary:
    def parameter(name: str, value: float) -> FittedParameter:
        return FittedParameter(name=name, model=model, value=value, error=value / 10)

    names = {"amplitude": 3e-11, "reference": 1.0, "alpha": 2.4, curvature: beta}
    return FitSummary(
        total_stat=1.0,
        success=True,
        message="",
        nfev=1,
        backend="minuit",
        method="migrad",
        n_free=3,
        parameters=tuple(parameter(name, value) for name, value in names.items()),
        covariance=(),
        datasets=(),
        fit_range=(None, None),
    )


def make_flux(n_points: int, limits: bool = False) -> Any:
    from astropy import units as u
    from astropy.table import Table
    from gammapy.estimators import FluxPoints
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    edges = np.geomspace(0.5, 32, n_points + 1) * u.TeV
    table = Table({"e_min": edges[:-1], "e_max": edges[1:]})
    table["e_ref"] = np.sqrt(edges[:-1] * edges[1:])
    table["dnde"] = 3e-11 * table["e_ref"].value ** -2.5 * u.Unit("cm-2 s-1 TeV-1")
    table["dnde_err"] = 0.1 * table["dnde"]
    table["dnde_ul"] = 1.2 * table["dnde"]
    table["is_ul"] = limits & (np.arange(n_points) == n_points - 1)
    reference = SkyModel(PowerLawSpectralModel(index=2), name="reference")
    return FluxPoints.from_table(
        table, sed_type="dnde", format="gadf-sed", reference_model=reference
    )


def test_a_log_parabola_has_its_decadic_curvature() -> None:
    config = {"columns": ["beta", "beta_log10", "beta_log10_err"]}
    row = run("collect", config, {"items": [summary(0.1)]})["table"][0]
    assert row["beta_log10"] == pytest.approx(0.2302585)  # Nigro et al. 2019: beta is decadic there
    assert row["beta_log10_err"] == pytest.approx(0.02302585)
    other = summary(curvature="index2")
    with pytest.raises(StepError, match="no column 'beta_log10'"):
        run("collect", {"columns": ["beta_log10"]}, {"items": [other]})


def test_two_log_parabolas_are_told_apart() -> None:
    both = replace(summary(), parameters=(*summary().parameters, *summary(0.3, "two").parameters))
    table = run("collect", {"columns": ["two.beta_log10"]}, {"items": [both]})["table"]
    assert table["two.beta_log10"][0] == pytest.approx(0.3 * np.log(10))
    with pytest.raises(StepError, match="no column 'beta_log10'"):
        run("collect", {"columns": ["beta_log10"]}, {"items": [both]})


def test_items_have_names() -> None:
    items = [summary(0.1), summary(0.2)]
    config = {"columns": ["beta"], "names": ["fermi", "joint"]}
    table = run("collect", config, {"items": items})["table"]
    assert [(row["item"], row["beta"]) for row in table] == [("fermi", 0.1), ("joint", 0.2)]
    with pytest.raises(StepError, match="'names' has 2 names for 1 items"):
        run("collect", config, {"items": items[:1]})
    assert problems("collect", {"names": ["a", "a"]}) == {"names.1": "GP306"}


@pytest.mark.parametrize("numbers", [(1, 1), (6, 50), (5, 6, 7, 8, 9, 10, 11)])
def test_every_instrument_has_its_name_and_its_look(numbers: tuple[int, ...]) -> None:
    names = [f"instrument {n}" for n, _ in enumerate(numbers)]
    flux = [make_flux(number, limits=number > 1) for number in numbers]
    figure = run("plot", {"kind": "sed", "names": names}, {"flux_points": flux})["figure"]
    axes = figure.axes[0]
    labels = axes.get_legend_handles_labels()[1]
    limits = ["upper limits"] if numbers[0] > 1 else []
    assert labels == [*limits, *names] or labels == [*names, *limits]
    looks = {
        (container[0].get_marker(), container[0].get_color())
        for container in axes.containers
        if container.get_label() in names
    }
    assert len(looks) == len(numbers)


def test_one_series_is_drawn_as_ever() -> None:
    figure = run("plot", {"kind": "sed"}, {"flux_points": [make_flux(6, limits=True)]})["figure"]
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert sorted(labels) == ["flux points", "upper limits (2$\\sigma$)"]
    with pytest.raises(StepError, match="'names' has 1 names for 2 items of 'flux_points'"):
        run("plot", {"kind": "sed", "names": ["a"]}, {"flux_points": [make_flux(3), make_flux(3)]})
    assert problems("plot", {"kind": "counts", "names": ["a"]}) == {"names": "GP306"}

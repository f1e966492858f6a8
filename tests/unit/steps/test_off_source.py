"""How significance is distributed off source: the tables of ``excess-map``, and their figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spectra import run

from gpwf.errors import NoDataError, StepError
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import settle

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

CONFIG = {"distribution": True, "correlation_radius": "0.01 deg"}  # a circle is one pixel


def make_geom(energies: int = 1) -> Any:
    from gammapy.maps import MapAxis, WcsGeom

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", energies)
    return WcsGeom.create(skydir=(83.63, 22.01), binsz=0.1, npix=(40, 30), axes=[axis])


def make_datasets(counts: Any, background: float = 10.0, energies: int = 1) -> Any:
    """Return a map without response, with a known background."""
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.maps import Map

    geom = make_geom(energies)
    dataset = MapDataset(
        counts=Map.from_geom(geom, data=np.broadcast_to(counts, geom.data_shape) * 1.0),
        background=Map.from_geom(geom, data=np.full(geom.data_shape, background)),
        mask_safe=Map.from_geom(geom, data=np.ones(geom.data_shape, dtype=bool)),
        name="hess",
    )
    return Datasets([dataset])


def make_mask(rows: slice = slice(0, 10)) -> Any:
    from gammapy.maps import Map

    mask = Map.from_geom(make_geom().to_image(), data=np.ones((30, 40), dtype=bool))
    mask.data[rows] = False
    return mask


def poisson(mean: float = 10.0) -> Any:
    return np.random.default_rng(1).poisson(mean, (1, 30, 40))


def test_a_right_background_gives_the_normal_distribution() -> None:
    counts = poisson(100)
    counts[:, :10] += 50  # a source
    inputs = {"datasets": [make_datasets(counts, 100)], "exclusion_mask": make_mask()}
    made = run("excess-map", CONFIG, inputs)
    row = made["summary"][0]
    significance = made["flux_maps"].sqrt_ts.data[0, 10:]
    assert row["n_pixels"] == 20 * 40
    assert row["mean"] == pytest.approx(significance.mean(), rel=1e-6)
    assert row["std"] == pytest.approx(significance.std(), rel=1e-6)
    assert abs(row["mean"]) < 0.1
    assert row["std"] == pytest.approx(1, abs=0.08)
    assert made["summary"].meta["caveats"] == []
    table = made["distribution"]
    assert (table["n_usable"].sum(), table["n_excluded"].sum()) == (800, 400)
    everything = run("excess-map", CONFIG, {"datasets": inputs["datasets"]})["summary"][0]
    assert everything["n_pixels"] == 1200
    assert everything["mean"] > 1


def test_nothing_over_nothing_is_left_out() -> None:
    """Its significance of zero would make the distribution narrow."""
    datasets = make_datasets(poisson())
    for item in (datasets[0].counts, datasets[0].background):
        item.data[:, 20:] = 0
    made = run("excess-map", CONFIG, {"datasets": [datasets]})
    assert (made["flux_maps"].sqrt_ts.data[:, 20:] == 0).all()
    assert made["summary"]["n_pixels"][0] == 800


def test_few_counts_are_a_caveat() -> None:
    made = run("excess-map", CONFIG, {"datasets": [make_datasets(poisson(2), 2)]})
    (caveat,) = made["summary"].meta["caveats"]
    assert "1 to 10 TeV: half of the circles hold 2 counts or less" in caveat


def test_a_mask_that_leaves_nothing_is_no_data() -> None:
    inputs = {"datasets": [make_datasets(poisson())], "exclusion_mask": make_mask(slice(None))}
    with pytest.raises(NoDataError, match="outside of the exclusion mask"):
        run("excess-map", CONFIG, inputs)


def test_a_map_that_is_no_mask_is_refused() -> None:
    other = make_mask()
    other.data = np.linspace(0, 5, other.data.size).reshape(other.data.shape)
    inputs = {"datasets": [make_datasets(poisson())], "exclusion_mask": other}
    with pytest.raises(StepError, match="values other than 0 and 1"):
        run("excess-map", CONFIG, inputs)
    numbers = make_mask()
    numbers.data = numbers.data.astype(int)  # as FITS has it
    inputs["exclusion_mask"] = numbers
    assert run("excess-map", CONFIG, inputs)["summary"]["n_pixels"][0] == 800


def test_tables_are_made_where_they_are_asked_for() -> None:
    catalog = load_catalog()

    def ports(config: dict[str, Any]) -> tuple[list[str], list[str]]:
        settings = settle(catalog.step("excess-map"), config, base=Path("/nowhere")).settings
        found = (catalog.inputs("excess-map", settings), catalog.outputs("excess-map", settings))
        return [port.name for port in found[0]], [port.name for port in found[1]]

    assert ports({}) == (["datasets"], ["flux_maps"])
    names = ["flux_maps", "distribution", "summary"]
    assert ports({"distribution": True}) == (["datasets", "exclusion_mask"], names)
    assert list(run("excess-map", {}, {"datasets": [make_datasets(poisson())]})) == ["flux_maps"]


@pytest.mark.parametrize("n_off", [1.0, 300.0])
def test_off_counts_of_rings_are_not_added_up_again(n_off: float) -> None:
    from gammapy.datasets import Datasets, MapDatasetOnOff
    from gammapy.maps import Map

    geom = make_geom()
    dataset = MapDatasetOnOff.from_map_dataset(
        make_datasets(poisson())[0],
        acceptance=Map.from_geom(geom, data=np.ones(geom.data_shape)),
        acceptance_off=Map.from_geom(geom, data=np.full(geom.data_shape, n_off)),
        counts_off=Map.from_geom(geom, data=np.full(geom.data_shape, 10 * n_off)),
        name="ring",
    )
    inputs = {"datasets": [Datasets([dataset])]}
    run("excess-map", {"correlate_off": False}, inputs)
    if n_off == 1:
        run("excess-map", {}, inputs)
        return
    with pytest.warns(UserWarning, match="set 'correlate_off: false'"):
        run("excess-map", {}, inputs)


def make_on_off(counts_off: Any) -> Any:
    """Return maps whose background was counted, five times as long as the source."""
    from gammapy.datasets import Datasets, MapDatasetOnOff
    from gammapy.maps import Map

    geom = make_geom()
    dataset = MapDatasetOnOff.from_map_dataset(
        make_datasets(np.ones((1, 30, 40)))[0],
        acceptance=Map.from_geom(geom, data=np.ones(geom.data_shape)),
        acceptance_off=Map.from_geom(geom, data=np.full(geom.data_shape, 5.0)),
        counts_off=Map.from_geom(geom, data=counts_off),
        name="phases",
    )
    return Datasets([dataset])


def test_a_circle_without_off_counts_has_no_significance() -> None:
    """gammapy divides rounding errors there, and may find any significance."""
    counts_off = np.zeros((1, 30, 40))
    counts_off[:, :, ::20] = 3.0
    inputs = {"datasets": [make_on_off(counts_off)]}
    with pytest.warns(UserWarning, match="of 1200 circles hold no OFF counts"):
        found = run("excess-map", {"correlation_radius": "0.25 deg"}, inputs)["flux_maps"]
    known = np.isfinite(found.sqrt_ts.data)
    assert known[0, 15, 20]
    assert not known[0, 15, 10]
    assert 0.1 < known.mean() < 0.9
    assert found.counts.data[0, 15, 10] == 21
    one = run("excess-map", {"correlate_off": False}, inputs)["flux_maps"]
    assert np.isfinite(one.sqrt_ts.data).all()


# ---- the figure ----------------------------------------------------------------------------------


@pytest.mark.parametrize("energies", [1, 4, 50])
def test_a_figure_of_any_number_of_energies(energies: int) -> None:
    datasets = make_datasets(poisson(), energies=energies)
    edges = {"min": "1 TeV", "max": "10 TeV", "nbins": energies}
    inputs = {"datasets": [datasets], "exclusion_mask": make_mask()}
    made = run("excess-map", {**CONFIG, "energy_edges": edges}, inputs)
    tables = {name: made[name] for name in ("distribution", "summary")}
    figure = run("plot", {"kind": "significance-distribution", "title": "x"}, tables)["figure"]
    assert len(figure.axes) == energies
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()] + figure.legends
    (legend,) = legends
    texts = [item.get_text() for item in legend.get_texts()]
    assert texts[:3] == ["all pixels", "outside of sources", "normal, fitted"]
    assert r"$\sigma$ = " in figure.axes[0].texts[0].get_text()


def test_one_value_is_drawn_without_a_curve() -> None:
    made = run("excess-map", CONFIG, {"datasets": [make_datasets(10.0)]})
    assert made["summary"]["std"][0] == 0
    tables = {name: made[name] for name in ("distribution", "summary")}
    figure = run("plot", {"kind": "significance-distribution"}, tables)["figure"]
    texts = [item.get_text() for item in figure.axes[0].get_legend().get_texts()]
    assert texts == ["outside of sources", r"normal, $\mu=0, \sigma=1$"]


def test_tables_of_two_steps_are_refused() -> None:
    made = run("excess-map", CONFIG, {"datasets": [make_datasets(poisson())]})
    table, summary = made["distribution"], made["summary"]
    other = summary.copy()
    other["e_min"] *= 2
    kind = {"kind": "significance-distribution"}
    with pytest.raises(StepError, match="do not belong together"):
        run("plot", kind, {"distribution": table, "summary": other})
    with pytest.raises(StepError, match="do not belong together"):
        run("plot", kind, {"distribution": table, "summary": table})
    with pytest.raises(StepError, match="not from a step 'excess-map' or 'residuals'"):
        run("plot", kind, {"distribution": summary, "summary": summary})

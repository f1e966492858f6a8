"""The step collect: rows of products, and statistics of them, against numbers known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from spectra import AMPLITUDE, make_datasets, make_models, problems, run

from gpwf.core.products import DatasetStat, FitSummary, FittedParameter
from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

UNIT = "TeV-1 s-1 cm-2"


def collect(config: dict[str, Any], items: list[Any], *labels: Mapping[str, str]) -> Any:
    """Run the step on items with their labels."""
    step = load_catalog().step("collect")
    settled = settle(step, config, base=Path("/nowhere"))
    assert not settled.problems, settled.problems
    context = StepContext(
        step="all", task_id="all", work_dir=Path("/nowhere"), labels={"items": labels}
    )
    return step.run(restore(step, settled.settings), {"items": items}, context)["table"]


def seeds(number: int, **others: str) -> list[dict[str, str]]:
    return [{**others, "seed": str(seed)} for seed in range(number)]


def flux_points(*dnde: float, edges: tuple[float, ...] = (1, 3, 10)) -> Any:
    """Return flux points with these fluxes, with an upper limit at twice the flux."""
    from astropy import units as u
    from astropy.table import Table
    from gammapy.estimators import FluxPoints

    edges_tev = np.array(edges) * u.TeV
    values = np.array(dnde) * u.Unit(UNIT)
    table = Table(
        {
            "e_ref": np.sqrt(edges_tev[1:] * edges_tev[:-1]),
            "e_min": edges_tev[:-1],
            "e_max": edges_tev[1:],
            "dnde": values,
            "dnde_err": values / 10,
            "dnde_ul": values * 2,
        },
        meta={"SED_TYPE": "dnde"},
    )
    model = make_models()[0].spectral_model
    return FluxPoints.from_table(table, reference_model=model)


def summary(index: float, name: str = "crab", *more: FittedParameter) -> FitSummary:
    parameters = (
        FittedParameter(name="index", model=name, value=index, error=0.1),
        FittedParameter(name="amplitude", model=name, value=AMPLITUDE, error=1e-12, unit=UNIT),
        *more,
    )
    return FitSummary(
        total_stat=10 * index,
        success=True,
        message="",
        nfev=50,
        backend="minuit",
        method="migrad",
        n_free=2,
        parameters=parameters,
        covariance=((0.01, 0.0), (0.0, 1e-24)),
        datasets=(DatasetStat(name="hess-1", stat=1.0, n_bins=12, counts=5.0, npred=5.5),),
    )


# ---- rows ----------------------------------------------------------------------------------------


def test_flux_points_give_a_row_per_bin_with_the_axes_in_front() -> None:
    items = [flux_points(1e-11, 2e-11), flux_points(3e-11, 4e-11)]
    table = collect({"columns": ["e_ref", "dnde", "dnde_ul"]}, items, *seeds(2, scenario="null"))
    assert table.colnames == ["scenario", "seed", "e_ref", "e_min", "e_max", "dnde", "dnde_ul"]
    assert list(table["seed"]) == [0, 0, 1, 1]
    assert set(table["scenario"]) == {"null"}
    np.testing.assert_allclose(table["dnde"], [1e-11, 2e-11, 3e-11, 4e-11])
    np.testing.assert_allclose(table["dnde_ul"], 2 * table["dnde"])
    assert table["dnde"].unit == UNIT
    assert table["e_min"].unit == "TeV"
    np.testing.assert_allclose(table["e_ref"][:2] ** 2, [3, 30])


def test_without_columns_the_usual_ones_are_taken() -> None:
    table = collect({}, [flux_points(1e-11, 2e-11)])
    assert table.colnames == ["e_ref", "e_min", "e_max", "dnde", "dnde_err", "dnde_ul", "is_ul"]
    assert table.meta == {"items": "flux points", "n_items": 1}
    table = collect({}, [summary(2.0)])
    errors = ["total_stat", "crab.index", "crab.index_err", "crab.amplitude", "crab.amplitude_err"]
    assert table.colnames == errors


def test_fit_results_give_a_row_each() -> None:
    columns = ["index", "crab.amplitude", "index_err", "total_stat", "n_bins", "success"]
    table = collect({"columns": columns}, [summary(2.0), summary(2.5)], {"m": "a"}, {"m": "b"})
    assert table.colnames == ["m", *columns]
    assert list(table["index"]) == [2.0, 2.5]
    assert list(table["total_stat"]) == [20, 25]
    assert list(table["m"]) == ["a", "b"]
    assert table["crab.amplitude"].unit == UNIT
    assert table["success"].dtype == bool


def test_the_short_name_stands_for_each_items_own_model() -> None:
    items = [summary(2.0, "crab"), summary(3.0, "vela")]
    table = collect({"columns": ["index", "vela.index"]}, items)
    assert list(table["index"]) == [2.0, 3.0]
    np.testing.assert_array_equal(table["vela.index"], [np.nan, 3.0])
    assert list(table["item"]) == [1, 2]  # nothing else tells them apart


def test_models_give_a_row_per_parameter() -> None:
    table = collect({}, [make_models("crab", "vela")], {"target": "x"})
    assert table.colnames[:4] == ["target", "model", "parameter", "unit"]
    row = table[(table["model"] == "vela") & (table["parameter"] == "amplitude")][0]
    assert row["value"] == AMPLITUDE
    assert row["unit"] == UNIT
    assert list(table["frozen"]) == [False, False, True] * 2


def test_a_light_curve_gives_a_row_per_interval_and_band() -> None:
    datasets = make_datasets(0, 1)
    config = {
        "source": "crab",
        "energy_edges": {"min": "0.1 TeV", "max": "100 TeV", "nbins": 2},
    }
    inputs = {"datasets": datasets, "models": make_models()}
    curve = run("light-curve", config, inputs)["light_curve"]
    table = collect({"columns": ["flux", "norm", "counts"]}, [curve])
    keys = ["time_min", "time_max", "e_ref", "e_min", "e_max"]
    assert table.colnames == [*keys, "flux", "norm", "counts"]
    starts = [dataset.gti.time_start.tt.mjd[0] for dataset in datasets]
    np.testing.assert_allclose(table["time_min"], np.repeat(starts, 2), rtol=0, atol=1e-9)
    np.testing.assert_allclose(table["norm"], 1, atol=1e-3)
    np.testing.assert_array_equal(table["flux"], curve.flux.quantity.ravel().value)
    edges = curve.geom.axes["energy"].edges.value
    np.testing.assert_array_equal(table["e_min"], np.tile(edges[:-1], 2))
    by_dataset = curve.counts.data[..., 0, 0]  # time, energy, dataset
    np.testing.assert_array_equal(table["counts"], np.nansum(by_dataset, axis=2).ravel())
    total = sum(dataset.counts.data.sum() for dataset in datasets)
    assert table["counts"].sum() == pytest.approx(total, rel=1e-4)  # of the Asimov set, cut


def test_datasets_and_tables_give_their_rows() -> None:
    from astropy.table import Table

    datasets = make_datasets(0, 1)
    table = collect({}, [datasets], {"target": "crab"})
    assert list(table["name"]) == datasets.names
    assert table["livetime"].unit == "h"
    again = collect({"columns": ["counts"]}, [table, table[:1]], {"a": "x"}, {"a": "y"})
    assert again.colnames == ["a", "counts"]
    np.testing.assert_array_equal(again["counts"], [*table["counts"], table["counts"][0]])
    words = Table({"word": ["a", "b"], "cube": np.ones((2, 3))})
    assert collect({}, [words]).colnames == ["word"]


def test_what_an_item_lacks_is_nan_or_masked() -> None:
    from astropy.table import Table

    items = [Table({"x": [1.5], "n": [1]}), Table({"x": [2.5]}), Table({"n": [3]})]
    table = collect({}, items)
    np.testing.assert_array_equal(table["x"], [1.5, 2.5, np.nan])
    assert list(table["n"].mask) == [False, True, False]
    assert table["n"].dtype.kind == "i"


def test_units_are_those_of_the_first_item() -> None:
    from astropy import units as u
    from astropy.table import QTable, Table

    items = [QTable({"e": [1, 2] * u.TeV}), QTable({"e": [3e3] * u.GeV})]
    table = collect({}, items)
    np.testing.assert_allclose(table["e"], [1, 2, 3])
    assert table["e"].unit == "TeV"
    with pytest.raises(StepError, match="'e' is in m in one item and in TeV in another"):
        collect({}, [items[0], QTable({"e": [1] * u.m})])
    with pytest.raises(StepError, match="'e' is in no unit"):
        collect({}, [items[0], Table({"e": [1]})])


# ---- statistics ----------------------------------------------------------------------------------


def test_statistics_run_over_the_gathered_axis() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, np.nan], [5.0, 60.0]]) * 1e-12
    config = {
        "columns": ["e_ref", "dnde", "dnde_ul"],
        "statistics": ["mean", "std", "quantiles", "median", "min", "max"],
    }
    table = collect(config, [flux_points(*row) for row in values], *seeds(4))
    names = ["n", "mean", "std", "q05", "q16", "q50", "q84", "q95", "median", "min", "max"]
    assert table.colnames == [
        *("e_ref", "e_min", "e_max", "n_items"),
        *(f"dnde_{name}" for name in names),
        *(f"dnde_ul_{name}" for name in names),
    ]
    assert list(table["n_items"]) == [4, 4]
    assert list(table["dnde_n"]) == [4, 3]
    np.testing.assert_allclose(table["dnde_mean"], [3e-12, 30e-12])
    np.testing.assert_allclose(table["dnde_std"], np.nanstd(values, axis=0, ddof=1))
    np.testing.assert_allclose(table["dnde_q16"], np.nanquantile(values, 0.16, axis=0))
    np.testing.assert_allclose(table["dnde_median"], [3e-12, 20e-12])
    np.testing.assert_array_equal(table["dnde_q50"], table["dnde_median"])
    np.testing.assert_allclose(table["dnde_min"], [1e-12, 10e-12])
    np.testing.assert_allclose(table["dnde_ul_max"], [10e-12, 120e-12])
    assert table["dnde_mean"].unit == table["dnde_q95"].unit == UNIT
    assert table["dnde_n"].unit is None
    assert table.meta["over"] == ["seed"]


def test_statistics_over_one_axis_keep_the_other() -> None:
    labels = [*seeds(2, scenario="pl"), *seeds(2, scenario="null")]
    items = [flux_points(value, 1.0) for value in (1.0, 3.0, 5.0, 9.0)]
    config = {"columns": ["dnde"], "statistics": ["mean"], "over": ["seed"]}
    table = collect(config, items, *labels)
    assert list(table["scenario"]) == ["pl", "pl", "null", "null"]
    np.testing.assert_allclose(table["dnde_mean"], [2, 1, 7, 1])
    with pytest.raises(StepError, match=r"'sead' is no axis .* scenario, seed"):
        collect(config | {"over": ["sead"]}, items, *labels)


def test_bins_that_differ_stay_apart_in_rising_order() -> None:
    items = [flux_points(2.0, 3.0, edges=(3, 10, 30)), flux_points(1.0, 4.0)]
    config = {"columns": ["dnde"], "statistics": ["mean"]}
    table = collect(config, items, *seeds(2))
    np.testing.assert_allclose(table["e_min"], [1, 3, 10])
    assert list(table["n_items"]) == [1, 2, 1]
    np.testing.assert_allclose(table["dnde_mean"], [1, 3, 3])
    assert list(collect(config | {"statistics": ["std"]}, items)["dnde_n"]) == [1, 2, 1]


def test_fit_results_become_one_row() -> None:
    config = {"columns": ["index", "success"], "statistics": ["mean", "std"]}
    table = collect(config, [summary(2.0), summary(2.5), summary(np.inf)], *seeds(3))
    assert len(table) == 1
    assert table["index_mean"][0] == 2.25
    assert table["index_n"][0] == 2
    assert table["n_items"][0] == 3
    assert table["success_mean"][0] == 1
    alone = collect(config, [summary(2.0)])
    assert np.isnan(alone["index_std"][0])


def test_rows_of_tables_are_told_apart_by_their_number() -> None:
    from astropy.table import Table

    items = [Table({"x": [1.0, 2.0]}), Table({"x": [3.0, 4.0]})]
    table = collect({"statistics": ["mean"]}, items)
    assert list(table["row"]) == [1, 2]
    assert list(table["x_mean"]) == [2, 3]
    with pytest.raises(StepError, match=r"'row'.* one of that name"):
        collect({"statistics": ["mean"]}, [Table({"row": [1, 2]})])
    with pytest.raises(StepError, match="'word' is text"):
        collect({"statistics": ["mean"]}, [Table({"word": ["a"]})])


def test_quantiles_are_named_by_percent() -> None:
    config = {"columns": ["index"], "statistics": ["quantiles"], "quantiles": [0.025, 0.5, 1]}
    table = collect(config, [summary(2.0), summary(4.0)])
    assert table.colnames[-3:] == ["index_q02.5", "index_q50", "index_q100"]
    np.testing.assert_allclose(list(table[0])[-3:], [2.05, 3, 4])


# ---- what can go wrong ---------------------------------------------------------------------------


def test_a_column_that_no_item_has_is_told_with_those_that_there_are() -> None:
    with pytest.raises(StepError, match=r"all: the flux points have no column 'dnde_u'.* dnde_ul"):
        collect({"columns": ["dnde_u"]}, [flux_points(1.0, 2.0)])
    second = FittedParameter(name="index", model="halo", value=1.0, error=0.1)
    with pytest.raises(StepError, match="no column 'index'") as caught:
        collect({"columns": ["index"]}, [summary(2.0, "crab", second)])
    assert caught.value.hint == "several models have it: write crab.index or halo.index"


def test_kinds_do_not_mix_and_pictures_have_no_rows() -> None:
    with pytest.raises(StepError, match="no rows in common: flux points, fit results"):
        collect({}, [flux_points(1.0, 2.0), summary(2.0)])
    with pytest.raises(StepError, match="item 2 is a PosixPath, which has no rows"):
        collect({}, [summary(2.0), Path("/nowhere")])


def test_nothing_to_collect_is_no_data() -> None:
    from astropy.table import Table

    for items in ([], [Table()], [Table({"x": []})]):
        with pytest.raises(NoDataError, match="nothing to collect"):
            collect({}, items)


def test_an_axis_and_a_column_of_one_name_are_told() -> None:
    with pytest.raises(StepError, match="'index' is an axis and a column of the fit results"):
        collect({"columns": ["index"]}, [summary(2.0)], {"index": "2"})


def test_settings_are_checked_before_the_run() -> None:
    assert problems("collect", {"columns": ["a", "b", "a"]}) == {"columns.2": "GP306"}
    assert problems("collect", {"columns": []}) == {"columns": "GP304"}
    assert problems("collect", {"over": ["seed"]}) == {"over": "GP306"}
    empty = {"statistics": ["quantiles"], "quantiles": []}
    assert problems("collect", empty) == {"quantiles": "GP306"}
    assert problems("collect", {"quantiles": [1.5]}) == {"quantiles.0": "GP304"}
    assert problems("collect", {"statistics": ["means"]}) == {"statistics.0": "GP304"}


def test_the_table_can_be_stored(tmp_path: Path) -> None:
    items = [flux_points(1e-11, 2e-11), flux_points(3e-11, np.nan)]
    table = collect({"statistics": ["mean", "std", "quantiles"]}, items, *seeds(2))
    formats.write("table", table, tmp_path, {})
    again = formats.read("table", tmp_path, lambda digest: Path(digest))
    assert again.colnames == table.colnames
    for name in table.colnames:
        np.testing.assert_array_equal(again[name], table[name], err_msg=name)
    assert dict(again.meta) == dict(table.meta)

"""The step ``collect``: many products into one table, row by row or as statistics."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.gathered import gather
from gpwf.steps.row_statistics import statistics_table
from gpwf.steps.rows import rows_of
from gpwf.steps.settings import Field, Fraction, StepSettings

__all__ = ["CollectStep"]


class CollectSettings(StepSettings):
    """Settings of the step."""

    columns: tuple[str, ...] | None = Field(
        None, min_length=1, description="What to collect, by name; left out: the usual ones"
    )
    names: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="What the items are called, in their order, in the column 'item'; left out: "
        "the axes that they come from",
    )
    statistics: tuple[Literal["mean", "std", "median", "min", "max", "quantiles"], ...] = Field(
        (), description="Statistics over the items instead of the items themselves"
    )
    quantiles: tuple[Fraction, ...] = Field(
        (0.05, 0.16, 0.5, 0.84, 0.95), description="Quantiles for 'statistics', between 0 and 1"
    )
    over: tuple[str, ...] | None = Field(
        None, description="Axes over which the statistics run; left out: all that are gathered"
    )


class CollectStep(Step):
    """Collect what many products say into one table.

    | product | one row per | columns, for example |
    |---|---|---|
    | flux points | energy bin | `e_ref`, `dnde`, `dnde_err`, `dnde_ul`, `flux`, `ts`, `counts` |
    | light curve | time interval, energy band | `time_min` (MJD), `flux`, `flux_err`, `flux_ul` |
    | fit result | item | `crab.index` or `index`, `index_err`, `amplitude`, `total_stat` (1) |
    | models | parameter | `value`, `error`, `min`, `max`, `frozen` |
    | datasets | dataset | `counts`, `background`, `excess`, `sqrt_ts`, `livetime` |
    | table | row | those of the table |

    (1) A log parabola has `beta_log10` and `beta_log10_err` besides, its curvature in decadic
    logarithms: `beta` of gammapy, which takes natural ones, times ln(10).

    All items are of one kind. In front are the axes that the items come from, and the columns that
    tell the rows of an item apart (energies, times, names), which are always there.

    With `statistics`, rows that agree in these are put together: `dnde` becomes `dnde_mean`,
    `dnde_std` (with n - 1), `dnde_q05` … and `dnde_n`, the number of values. What is not finite is
    no value. `n_items` is the number of items that have the row.
    """

    tag: ClassVar[str] = "collect"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Collect products into a table"
    group: ClassVar[str] = "results"
    Settings: ClassVar[type[StepSettings]] = CollectSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="items", kind="any", multiple=True, help="Products of one kind"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="table", kind="table", help="Rows, or statistics of them"),
    )
    packages: ClassVar[tuple[str, ...]] = ("gammapy", "numpy", "astropy")

    def check(self, settings: CollectSettings) -> Sequence[SettingProblem]:
        """Check that columns and quantiles come once, and that 'over' has something to do."""
        problems = []
        for name in ("columns", "names", "quantiles", "over"):
            values = getattr(settings, name) or ()
            problems += [
                SettingProblem(
                    path=(name, number), message=f"{value!r} is listed twice", code="GP306"
                )
                for number, value in enumerate(values)
                if value in values[:number]
            ]
        if settings.over is not None and not settings.statistics:
            message = "'over' means the axes of 'statistics', and there are none"
            problems.append(SettingProblem(path=("over",), message=message, code="GP306"))
        if "quantiles" in settings.statistics and not settings.quantiles:
            message = "'statistics' asks for quantiles, and the list of them is empty"
            problems.append(SettingProblem(path=("quantiles",), message=message, code="GP306"))
        return problems

    def run(
        self, settings: CollectSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``table``: `astropy.table.Table`."""
        items = [_rows(product, number, ctx.step) for number, product in enumerate(inputs["items"])]
        if not any(len(rows) for rows in items):
            raise NoDataError(f"{ctx.step}: there is nothing to collect")
        kinds = list(dict.fromkeys(rows.kind for rows in items))
        if len(kinds) > 1:
            raise StepError(
                f"{ctx.step}: items of different kinds have no rows in common: {', '.join(kinds)}",
                hint="use one step 'collect' for each kind",
            )
        wanted = settings.columns
        _check_columns(wanted or (), items, ctx.step)
        if wanted is None:
            wanted = tuple(dict.fromkeys(name for rows in items for name in rows.defaults))
        labels = _labels(ctx.labels.get("items", ()), len(items))
        if settings.names is not None:
            labels = {"item": _named(settings.names, len(items), ctx.step)}
        rows = gather(items, labels, wanted, ctx.step)
        if settings.statistics:
            table = statistics_table(
                rows, settings.statistics, settings.quantiles, settings.over, ctx.step
            )
        else:
            table = rows.table()
        table.meta |= {"items": kinds[0], "n_items": len(items)}
        return {"table": table}


def _rows(product: Any, number: int, step: str) -> Any:
    """Return the rows of one item.

    Raises
    ------
    StepError
        Where it is of a kind that has none.
    """
    rows = rows_of(product)
    if rows is None:
        raise StepError(
            f"{step}: item {number + 1} is a {type(product).__name__}, which has no rows",
            hint="collect flux points, light curves, fit results, models, datasets or tables",
        )
    return rows


def _check_columns(wanted: Sequence[str], items: Sequence[Any], step: str) -> None:
    """Check that some item has every column.

    Raises
    ------
    StepError
        With the columns that there are.
    """
    known = list(dict.fromkeys(name for rows in items for name in rows.columns))
    known += [name for rows in items for name in rows.aliases if name not in known]
    for name in wanted:
        if any(rows.column(name) is not None for rows in items):
            continue
        full = [item for item in known if item.endswith(f".{name}")]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "correct 'columns'"
        if full:
            hint = f"several models have it: write {' or '.join(dict.fromkeys(full))}"
        raise StepError(
            f"{step}: the {items[0].kind} have no column '{name}'; they have "
            f"{', '.join(dict.fromkeys(known))}",
            hint=hint,
        )


def _named(names: Sequence[str], number: int, step: str) -> list[str]:
    """Return the names of the items.

    Raises
    ------
    StepError
        Where there are more or fewer.
    """
    if len(names) != number:
        raise StepError(
            f"{step}: 'names' has {len(names)} names for {number} items",
            hint="give one for each, in the order of 'required_products', or leave 'names' out",
        )
    return list(names)


def _labels(labels: Sequence[Mapping[str, str]], number: int) -> dict[str, list[Any]]:
    """Return the label of every item by axis; items without axes are numbered.

    Labels of an axis that are all whole numbers become numbers.
    """
    axes = list(dict.fromkeys(axis for item in labels for axis in item))
    if not axes:
        return {"item": list(range(1, number + 1))} if number > 1 else {}
    columns: dict[str, list[Any]] = {}
    for axis in axes:
        texts = [item.get(axis, "") for item in labels]
        whole = all(text.removeprefix("-").isdecimal() and text.isascii() for text in texts)
        columns[axis] = [int(text) for text in texts] if whole else texts
    return columns

"""Statistics of rows over the items that they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.gathered import Gathered

__all__ = ["statistics_table"]


def statistics_table(
    rows: Gathered,
    statistics: Sequence[str],
    quantiles: Sequence[float],
    over: Sequence[str] | None,
    step: str,
) -> Any:
    """Return statistics over items, a row per group.

    Parameters
    ----------
    rows : Gathered
        Rows of the items.
    statistics : sequence of str
        ``mean``, ``std`` (divided by n - 1), ``median``, ``min``, ``max``, ``quantiles``.
    quantiles : sequence of float
        Between 0 and 1; interpolated linearly.
    over : sequence of str, optional
        Axes to run over; None for all.
    step : str
        Name of the step, for the messages.

    Returns
    -------
    table : `astropy.table.Table`
        The axes that are left and the keys, ``n_items``, and for each column ``name_n`` and the
        statistics.

    Raises
    ------
    StepError
        For an axis that was not gathered, and for statistics of text.
    """
    from astropy.table import Table

    kept = _kept_axes(rows.labels, over, step)
    by = {**kept, **rows.keys}
    if not rows.keys and rows.numbers.max() > 1:
        by["row"] = _row_column(rows, step)
    groups = _groups(by, n_axes=len(kept), size=len(rows.numbers))
    table = Table()
    for name, column in by.items():
        table[name] = column[[group[0] for group in groups]]
    table["n_items"] = [len(group) for group in groups]
    for name, column in rows.columns.items():
        if column.dtype.kind not in "biuf":
            raise StepError(
                f"{step}: '{name}' is text, there are no statistics of it",
                hint="leave it out of 'columns', or leave 'statistics' out",
            )
        _add_statistics(table, name, column, groups, statistics, quantiles)
    table.meta["over"] = [axis for axis in rows.labels if axis not in kept]
    return table


def _kept_axes(labels: Mapping[str, Any], over: Sequence[str] | None, step: str) -> dict[str, Any]:
    """Return the label columns that stay."""
    if over is None:
        return {}
    unknown = [axis for axis in over if axis not in labels]
    if unknown:
        raise StepError(
            f"{step}: '{unknown[0]}' is no axis that is gathered here; those are "
            f"{', '.join(labels) or 'none'}",
            hint="correct 'over', or add the axis to 'gather'",
        )
    return {axis: column for axis, column in labels.items() if axis not in over}


def _row_column(rows: Gathered, step: str) -> Any:
    """Return the numbers of the rows in their items, where nothing else tells them apart.

    Raises
    ------
    StepError
        Where a column has the name that this one will have.
    """
    from astropy.table import Column

    if "row" in rows.columns:
        raise StepError(
            f"{step}: rows are told apart by their number in the column 'row', and the "
            f"{rows.kind} have one of that name",
            hint="leave 'row' out of 'columns'",
        )
    return Column(rows.numbers)


def _groups(by: Mapping[str, Any], n_axes: int, size: int) -> list[list[int]]:
    """Return the positions of the rows that agree in all columns of ``by``.

    Groups are in the order in which the labels of the axes come, then by rising numbers; text
    keeps its order.

    Parameters
    ----------
    by : mapping of str to astropy.table.Column
        The first ``n_axes`` are labels.
    n_axes, size : int
        Number of labels, and of rows.
    """
    numeric = [column.dtype.kind in "iuf" for column in by.values()][n_axes:]
    places: dict[tuple[Any, ...], int] = {}
    found: dict[tuple[Any, ...], list[int]] = {}
    order: dict[tuple[Any, ...], tuple[float, ...]] = {}
    for position, values in enumerate(zip(*by.values(), strict=True) if by else [()] * size):
        key = tuple(_key(value) for value in values)
        place = places.setdefault(key[:n_axes], len(places))
        found.setdefault(key, []).append(position)
        numbers = (float(value) for value, use in zip(values[n_axes:], numeric, strict=True) if use)
        order.setdefault(key, (place, *numbers))
    return [found[key] for key in sorted(found, key=order.__getitem__)]


def _key(value: Any) -> Any:
    """Return a value to compare: numbers that differ by rounding alone are one."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _add_statistics(
    table: Any,
    name: str,
    column: Any,
    groups: Sequence[Sequence[int]],
    statistics: Sequence[str],
    quantiles: Sequence[float],
) -> None:
    """Add the columns ``name_n``, ``name_mean`` … of one column to a table."""
    import numpy as np
    from astropy.table import Column

    data = np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    data[~np.isfinite(data)] = np.nan
    parts = [data[list(group)] for group in groups]
    table[f"{name}_n"] = [int(np.isfinite(part).sum()) for part in parts]
    for statistic in statistics:
        levels: Sequence[float] = quantiles if statistic == "quantiles" else (0.5,)
        for level in levels:
            suffix = _quantile_name(level) if statistic == "quantiles" else statistic
            values = [_statistic(part, statistic, level) for part in parts]
            table[f"{name}_{suffix}"] = Column(values, unit=column.unit)


def _quantile_name(level: float) -> str:
    """Return ``q05`` for 0.05, ``q02.5`` for 0.025: the number is in percent."""
    whole, dot, rest = f"{100 * level:.8g}".partition(".")
    return f"q{whole.zfill(2)}{dot}{rest}"


def _statistic(values: Any, statistic: str, level: float) -> float:
    """Return one statistic of the finite values; NaN where there are too few."""
    import numpy as np

    finite = values[np.isfinite(values)]
    if finite.size < (2 if statistic == "std" else 1):
        return float("nan")
    if statistic == "mean":
        return float(finite.mean())
    if statistic == "std":
        return float(finite.std(ddof=1))
    if statistic in ("min", "max"):
        return float(getattr(finite, statistic)())
    return float(np.quantile(finite, level))  # the median, too

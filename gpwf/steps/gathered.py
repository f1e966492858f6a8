"""Rows of many items put together, with the labels of the items in front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.rows import Rows

__all__ = ["Gathered", "gather"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The rows of all items, n in total.

    Parameters
    ----------
    kind : str
        What they are of.
    labels : mapping of str to astropy.table.Column
        Where a row comes from, by axis; shape (n,) as all columns.
    keys : mapping of str to astropy.table.Column
        What tells the rows of one item apart.
    columns : mapping of str to astropy.table.Column
        The values; masked, or NaN, where an item has none.
    numbers : numpy.ndarray
        Number of the row in its item, from 1.
    """

    kind: str
    labels: Mapping[str, Any]
    keys: Mapping[str, Any]
    columns: Mapping[str, Any]
    numbers: Any

    def table(self) -> Any:
        """Return all of it as an `astropy.table.Table`."""
        from astropy.table import Table

        return Table({**self.labels, **self.keys, **self.columns})


def gather(
    items: Sequence[Rows], labels: Mapping[str, Sequence[Any]], wanted: Sequence[str], step: str
) -> Gathered:
    """Put the rows of items together.

    Parameters
    ----------
    items : sequence of Rows
        At least one, all of one kind.
    labels : mapping of str to sequence
        By axis, the label of each item.
    wanted : sequence of str
        Columns to take, besides the keys.
    step : str
        Name of the step, for the messages.

    Raises
    ------
    StepError
        Where an axis and a column have one name, or units do not go together.
    """
    import numpy as np
    from astropy.table import Column

    keys = list(dict.fromkeys(name for rows in items for name in rows.keys))
    values = [name for name in wanted if name not in keys]
    twice = [name for name in (*keys, *values) if name in labels]
    if twice:
        raise StepError(
            f"{step}: '{twice[0]}' is an axis and a column of the {items[0].kind}",
            hint="give the axis another name, or leave the column out of 'columns'",
        )
    lengths = [len(rows) for rows in items]
    return Gathered(
        kind=items[0].kind,
        labels={
            axis: Column(np.repeat(np.array(texts), lengths)) for axis, texts in labels.items()
        },
        keys={name: _joined(name, items, lengths, step) for name in keys},
        columns={name: _joined(name, items, lengths, step) for name in values},
        numbers=np.concatenate([np.arange(1, length + 1) for length in lengths]),
    )


def _joined(name: str, items: Sequence[Rows], lengths: Sequence[int], step: str) -> Any:
    """Return a column of all items in the unit of the first that has it.

    Raises
    ------
    StepError
        Where units do not go together.
    """
    import numpy as np
    from astropy.table import Column, MaskedColumn

    found = [rows.column(name) for rows in items]
    first = next(column for column in found if column is not None)
    parts = [
        None if column is None else _converted(column, first.unit, name, step) for column in found
    ]
    dtype = np.result_type(*{part.dtype for part in parts if part is not None})
    mask = [
        np.ones(length, bool) if part is None else np.ma.getmaskarray(part)
        for part, length in zip(parts, lengths, strict=True)
    ]
    blank: Any = np.nan if dtype.kind == "f" else np.zeros((), dtype)[()]
    data = [
        np.full(length, blank, dtype) if part is None else np.ma.filled(part, blank)
        for part, length in zip(parts, lengths, strict=True)
    ]
    values, masked = np.concatenate(data), np.concatenate(mask)
    if dtype.kind == "f" or not masked.any():  # a missing number is NaN
        return Column(values, unit=first.unit)
    return MaskedColumn(values, mask=masked, unit=first.unit)


def _converted(column: Any, unit: Any, name: str, step: str) -> Any:
    """Return the values of a column in a unit, as an array that may be masked."""
    import numpy as np
    from astropy import units as u

    values = np.ma.asarray(column) if hasattr(column, "mask") else np.asarray(column)
    if column.unit == unit:
        return values
    try:
        factor = (column.unit or u.dimensionless_unscaled).to(unit or u.dimensionless_unscaled)
    except u.UnitConversionError:
        raise StepError(
            f"{step}: '{name}' is in {column.unit or 'no unit'} in one item and in "
            f"{unit or 'no unit'} in another",
            hint="collect the items in two steps",
        ) from None
    return values * factor

"""Tables: ECSV, which people and spreadsheets read, with units, types and metadata.

``astropy.table.Table.read("table.ecsv")`` works on the result. Our own reader also gives back the
class (`~astropy.table.QTable` or `~astropy.table.Table`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.errors import StoreError

__all__ = ["read", "write"]

_FILE = "table.ecsv"
_OURS = "gpwf"  # entry of the metadata: the card, and the class of the table
_CLASS = "class"
_MASKED = "masked"  # columns of text with masked cells: ECSV has one word for masked and for empty


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write a table, see `gpwf.store.formats.write`.

    Numbers have their shortest form that reads back equal. Times are written as two doubles (Julian
    days), because their text forms end at the millisecond. In a column of text that has masked
    cells, empty ones read back masked too.

    Parameters
    ----------
    value : `astropy.table.Table` or `astropy.table.QTable`
        Columns of any type that ECSV knows.

    Raises
    ------
    StoreError
        For what is no table, and for columns that ECSV cannot hold.

    References
    ----------
    Astropy APE 6, "Enhanced Character Separated Values table format".
    """
    from astropy.table import QTable, Table
    from astropy.time import TimeBase

    if not isinstance(value, Table):
        raise StoreError(f"a product of kind 'table' is an astropy Table, not {_type(value)}")
    name = "QTable" if isinstance(value, QTable) else "Table"
    table = value.copy(copy_data=False)
    ours: dict[str, Any] = {**card, _CLASS: name}
    masked = [item.name for item in _texts(value) if _any_masked(item)]
    if masked:
        ours[_MASKED] = masked
    table.meta = {**value.meta, _OURS: ours}
    for column in table.itercols():
        if isinstance(column, TimeBase):
            column.info.serialize_method["ecsv"] = "jd1_jd2"
    for column in _texts(table):
        if any("\n" in str(item) or "\r" in str(item) for item in column):
            raise StoreError(f"column '{column.name}' holds text of several lines, ECSV cannot")
    try:
        table.write(directory / _FILE, format="ascii.ecsv", overwrite=False)
    except (TypeError, ValueError) as error:
        raise StoreError(f"the table cannot be written as ECSV: {error}") from error
    return {"n_rows": len(value), "columns": list(value.colnames)}


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:  # noqa: ARG001
    """Read the table, see `gpwf.store.formats.read`.

    Returns
    -------
    table : `astropy.table.Table` or `astropy.table.QTable`

    Raises
    ------
    StoreError
        Where the file is no ECSV table.
    """
    from astropy.io.ascii import InconsistentTableError
    from astropy.table import QTable, Table

    path = directory / _FILE
    try:
        table = Table.read(path, format="ascii.ecsv")
        ours = table.meta.pop(_OURS, {})
        if ours.get(_CLASS) == "QTable":
            table = QTable.read(path, format="ascii.ecsv")
            del table.meta[_OURS]
    except (OSError, ValueError, TypeError, InconsistentTableError) as error:
        raise StoreError(f"{path} is not an ECSV table: {error}") from error
    for column in _texts(table):
        if _any_masked(column) and column.name not in ours.get(_MASKED, ()):
            table[column.name] = column.filled("")
    return table


def _texts(table: Any) -> list[Any]:
    """Return the columns of text."""
    from astropy.table import Column

    return [
        item for item in table.itercols() if isinstance(item, Column) and item.dtype.kind in "US"
    ]


def _any_masked(column: Any) -> bool:
    return bool(getattr(column, "mask", False) is not False and column.mask.any())


def _type(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"

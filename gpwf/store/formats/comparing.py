"""Two files with the same content, or how far they are apart.

Numbers are compared with a tolerance, whatever file they are in: FITS tables and images, ECSV,
YAML, JSON, tables of text. What a file says about the task that made it (``GPWFKEY``, checksums)
is no content.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.store.formats.deviations import Deviations, words

__all__ = ["Comparison", "compare_files"]

_LARGEST_TEXT = 64 * 2**20  # bytes
_SKIPPED_CARDS = frozenset(("", "COMMENT", "CHECKSUM", "DATASUM", "DATE", "HISTORY"))
_COUNTS = frozenset(("counts", "counts_off", "n_on", "n_off"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How far two files are apart.

    Parameters
    ----------
    deviation : float
        Largest relative deviation of a number; 0 for the same data, infinite where something
        differs that no tolerance covers.
    place : str
        Where it is, with both values.
    comparable : bool
        False where nothing but the bytes could be compared.
    """

    deviation: float
    place: str = ""
    comparable: bool = True


def compare_files(old: Path, new: Path, name: str) -> Comparison:
    """Compare two files of other bytes.

    Parameters
    ----------
    old, new : Path
        The files; they need not have their names, objects of a store have none.
    name : str
        Name of both; its suffix says what they are.

    Raises
    ------
    OSError, ValueError
        Where one of them cannot be read as what it is.
    """
    found = Deviations()
    reader = _reader(name)
    if reader is None:
        return Comparison(deviation=math.inf, comparable=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what astropy thinks of a header is no concern here
        if not reader(old, new, name, found):
            return Comparison(deviation=math.inf, comparable=False)
    return Comparison(deviation=found.largest, place=found.place)


_Reader = Callable[[Path, Path, str, Deviations], bool]


def _reader(name: str) -> _Reader | None:
    """Return what compares files of this name; None for bytes that mean nothing to us."""
    lower = name.lower().removesuffix(".gz")
    if lower.endswith((".fits", ".fit")):
        return _fits
    if lower != name.lower():
        return None
    if lower.endswith("_covariance.dat"):
        return _covariance
    readers: tuple[tuple[str, _Reader], ...] = (
        (".ecsv", _ecsv),
        (".yaml", _yaml),
        (".yml", _yaml),
        (".json", _json),
        (".png", _picture),
        (".txt", _text),
        (".dat", _text),
        (".csv", _text),
        (".reg", _text),
    )
    return next((read for suffix, read in readers if lower.endswith(suffix)), None)


def _fits(old: Path, new: Path, name: str, found: Deviations) -> bool:
    from astropy.io import fits

    with fits.open(old) as first, fits.open(new) as second:
        if [hdu.name for hdu in first] != [hdu.name for hdu in second]:
            names = [", ".join(hdu.name or "-" for hdu in item) for item in (first, second)]
            found.mismatch(name, f"extensions {names[0]} and {names[1]}")
            return True
        for number, (one, two) in enumerate(zip(first, second, strict=True)):
            place = f"{name}[{one.name or number}]"
            _cards(one.header, two.header, place, found)
            _hdu(one, two, place, found)
    return True


def _cards(old: Any, new: Any, place: str, found: Deviations) -> None:
    found.values(_values(old), _values(new), place)
    found.values(list(old.get("HISTORY", [])), list(new.get("HISTORY", [])), f"{place}.HISTORY")


def _values(header: Any) -> dict[str, Any]:
    """Return the cards that say something of the data."""
    return {
        key: value
        for key, value in header.items()
        if key not in _SKIPPED_CARDS and not key.startswith("GPWF")
    }


def _hdu(old: Any, new: Any, place: str, found: Deviations) -> None:
    if type(old) is not type(new) or (old.data is None) != (new.data is None):
        found.mismatch(place, "another kind of extension")
        return
    if old.data is None:
        return
    names = getattr(old, "columns", None)
    if names is None:
        found.arrays(old.data, new.data, place, exact=_are_counts(old.name))
        return
    if names.names != new.columns.names:
        found.mismatch(place, f"columns {names.names} and {new.columns.names}")
        return
    for column in names.names:
        where = f"{place}.{column}"
        found.arrays(old.data[column], new.data[column], where, exact=_are_counts(column))


def _ecsv(old: Path, new: Path, name: str, found: Deviations) -> bool:
    from astropy.table import Table

    first, second = (Table.read(path, format="ascii.ecsv") for path in (old, new))
    if first.colnames != second.colnames:
        found.mismatch(name, f"columns {first.colnames} and {second.colnames}")
        return True
    found.values(dict(first.meta), dict(second.meta), f"{name} meta")
    for column in first.colnames:
        one, two = first[column], second[column]
        where = f"{name}.{column}"
        if str(one.unit) != str(two.unit):
            found.mismatch(where, f"units {one.unit} and {two.unit}")
        found.arrays(_data(one), _data(two), where, exact=_are_counts(column))
    return True


def _data(column: Any) -> Any:
    """Return the array of a column, masked where it is."""
    return column if hasattr(column, "mask") else column.data


def _yaml(old: Path, new: Path, name: str, found: Deviations) -> bool:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = [yaml.load(_read(path), Loader=loader) for path in (old, new)]
    except yaml.YAMLError as error:
        raise ValueError(f"{name}: {error}") from None
    found.values(documents[0], documents[1], name)
    return True


def _json(old: Path, new: Path, name: str, found: Deviations) -> bool:
    import json

    documents = [json.loads(_read(path)) for path in (old, new)]
    found.values(documents[0], documents[1], name)
    return True


def _covariance(old: Path, new: Path, name: str, found: Deviations) -> bool:
    """Compare covariances as gammapy writes them: a table of text with a column of names."""
    tables = []
    for path in (old, new):
        rows = [list(filter(None, words(line))) for line in _read(path).splitlines()]
        rows = [row for row in rows if row and not row[0].startswith("#")]
        tables.append(([row[0] for row in rows[1:]], [row[1:] for row in rows[1:]]))
    if tables[0][0] != tables[1][0]:
        found.mismatch(name, "other parameters")
        return True
    matrices = [[[float(item) for item in row] for row in rows] for _, rows in tables]
    if matrices[0] != matrices[1]:
        found.covariances(matrices[0], matrices[1], name)
    return True


def _text(old: Path, new: Path, name: str, found: Deviations) -> bool:
    """Compare texts word by word: numbers with a tolerance."""
    try:
        lines = [_read(path).splitlines() for path in (old, new)]
    except UnicodeDecodeError:
        return False
    if len(lines[0]) != len(lines[1]):
        found.mismatch(name, f"{len(lines[0])} and {len(lines[1])} lines")
        return True
    for number, pair in enumerate(zip(*lines, strict=True), 1):
        if pair[0] == pair[1]:
            continue
        first, second = (list(words(line)) for line in pair)
        if len(first) != len(second):
            found.mismatch(f"{name}:{number}", "other words")
            continue
        for one, two in zip(first, second, strict=True):
            found.texts(one, two, f"{name}:{number}")
    return True


def _picture(old: Path, new: Path, name: str, found: Deviations) -> bool:
    """Compare pictures by the root mean square of the pixels, 1 for black to white."""
    import numpy as np
    from matplotlib import image

    try:
        # opened here: from a name matplotlib would guess the format
        pictures = []
        for path in (old, new):
            with path.open("rb") as stream:
                pictures.append(np.asarray(image.imread(stream, format="png"), dtype=float))
    except SyntaxError as error:  # what pillow raises for a damaged one
        raise ValueError(f"{name}: {error}") from None
    first, second = pictures
    if first.shape != second.shape:
        found.mismatch(name, f"pictures of {first.shape} and {second.shape}")
    else:
        found.largest = float(np.sqrt(np.mean((first - second) ** 2)))
        found.place = f"{name}: root mean square of the pixels" if found.largest else ""
    return True


def _read(path: Path) -> str:
    if path.stat().st_size > _LARGEST_TEXT:
        raise ValueError(f"{path.name} is too large to compare number by number")
    return path.read_text(encoding="utf-8")


def _are_counts(name: str) -> bool:
    return name.lower() in _COUNTS

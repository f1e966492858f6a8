"""How far numbers are from each other: the largest relative deviation, and where it is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

__all__ = ["Deviations", "words"]

#: Numbers below this part of the largest one of their array are compared with that part: what is
#: left of a subtraction has no digits that mean anything.
_FLOOR = 1e-6
_IGNORED = ("GPWF", "CHECKSUM", "DATASUM")
#: How long a minimiser took is no result.
_EFFORT = frozenset(("nfev", "message"))
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_QUANTITY = re.compile(rf"({_NUMBER.pattern})(\s+\S.*)?\Z")


class Deviations:
    """Collects deviations; the largest counts.

    A deviation is ``|a - b| / max(|a|, |b|)``. Two NaN are equal; whole numbers, truth values,
    texts and counts are equal or not, and so are shapes and names.

    Attributes
    ----------
    largest : float
        Largest relative deviation; infinite where something differs that must be equal.
    place : str
        Where that is.
    """

    def __init__(self) -> None:
        self.largest = 0.0
        self.place = ""

    def mismatch(self, place: str, reason: str = "") -> None:
        """Note a difference that no tolerance covers; the first one is kept."""
        if math.isfinite(self.largest):
            self.largest, self.place = math.inf, f"{place}: {reason}" if reason else place

    def number(self, old: float, new: float, place: str, scale: float = 0.0) -> None:
        """Compare two numbers, with their larger magnitude or a larger scale."""
        if old == new or (math.isnan(old) and math.isnan(new)):
            return
        if not (math.isfinite(old) and math.isfinite(new)):
            self.mismatch(place, f"{old} and {new}")
            return
        found = abs(old - new) / max(abs(old), abs(new), scale)
        if found > self.largest:
            self.largest, self.place = found, f"{place}: {old!r} and {new!r}"

    def values(self, old: Any, new: Any, place: str, scale: float = 0.0) -> None:
        """Compare plain data: mappings, lists, numbers, texts (also quantities as text)."""
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            self._mappings(old, new, place)
        elif isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
            self._lists(old, new, place)
        elif _is_float(old, new):
            self.number(float(old), float(new), place, scale)
        elif isinstance(old, str) and isinstance(new, str):
            self.texts(old, new, place)
        elif type(old) is not type(new) or old != new:
            self.mismatch(place, f"{old!r} and {new!r}")

    def texts(self, old: str, new: str, place: str) -> None:
        """Compare texts; where both are a number with the same unit, as numbers."""
        if old == new:
            return
        first, second = _QUANTITY.match(old), _QUANTITY.match(new)
        both_float = "." in old + new or "e" in (old + new).lower()
        if first and second and first[2] == second[2] and both_float:
            self.number(float(first[1]), float(second[1]), place)
        else:
            self.mismatch(place, f"{_short(old)} and {_short(new)}")

    def arrays(self, old: Any, new: Any, place: str, *, exact: bool = False) -> None:
        """Compare arrays of the same shape element by element.

        Parameters
        ----------
        old, new : array_like
            Numbers, truth values or texts; masked elements must be masked in both.
        place : str
            What the array is.
        exact : bool
            True for counts: equal or not, whatever their type.
        """
        import numpy as np

        if np.ma.isMaskedArray(old) or np.ma.isMaskedArray(new):
            masks = np.ma.getmaskarray(old), np.ma.getmaskarray(new)
            if masks[0].shape != masks[1].shape or not np.array_equal(*masks):
                self.mismatch(place, "different elements are masked")
                return
            zero = np.zeros((), dtype=np.ma.getdata(old).dtype)
            old = np.where(masks[0], zero, np.ma.getdata(old))
            new = np.where(masks[1], zero, np.ma.getdata(new))
        first, second = np.asarray(old), np.asarray(new)
        if first.shape != second.shape:
            self.mismatch(place, f"shapes {first.shape} and {second.shape}")
        elif first.dtype.kind == "O" or second.dtype.kind == "O":
            for number, pair in enumerate(zip(first.flat, second.flat, strict=True)):
                self._objects(*pair, f"{place}[{number}]", exact)
        elif first.dtype.kind in "fc" and second.dtype.kind in "fc" and not exact:
            self._floats(first, second, place)
        else:
            self._equal(first, second, place)

    def covariances(self, old: Any, new: Any, place: str) -> None:
        """Compare covariance matrices, each element with the errors of its two parameters."""
        import numpy as np

        first, second = np.asarray(old, dtype=float), np.asarray(new, dtype=float)
        if first.shape != second.shape or first.ndim != 2 or first.shape[0] != first.shape[1]:
            self.mismatch(place, f"shapes {first.shape} and {second.shape}")
            return
        with np.errstate(invalid="ignore"):
            errors = np.sqrt(np.maximum(np.abs(np.diag(first)), np.abs(np.diag(second))))
        scales = np.outer(errors, errors)
        for row, column in np.argwhere(~((first == second) | (np.isnan(first) & np.isnan(second)))):
            where = f"{place}[{row}, {column}]"
            scale = float(np.nan_to_num(scales[row, column]))
            self.number(float(first[row, column]), float(second[row, column]), where, scale)

    def _mappings(self, old: Mapping[Any, Any], new: Mapping[Any, Any], place: str) -> None:
        names = [set(map(str, item)) for item in (old, new)]
        for name in sorted(names[0] ^ names[1]):
            if not name.startswith(_IGNORED) and name not in _EFFORT:
                self.mismatch(_in(place, name), "in one of them only")
        error = max(
            (abs(v) for v in (old.get("error"), new.get("error")) if _is_number(v)), default=0.0
        )
        for name, value in old.items():
            if name not in new or str(name).startswith(_IGNORED) or name in _EFFORT:
                continue
            where = _in(place, str(name))
            if name == "covariance" and isinstance(value, list):
                self.covariances(value, new[name], where)
            else:
                self.values(value, new[name], where, error if name == "value" else 0.0)

    def _lists(self, old: Any, new: Any, place: str) -> None:
        if len(old) != len(new):
            self.mismatch(place, f"{len(old)} and {len(new)} items")
        elif old and all(map(_is_number, (*old, *new))) and any(map(_is_float, old, new)):
            self.arrays([float(item) for item in old], [float(item) for item in new], place)
        else:
            for number, pair in enumerate(zip(old, new, strict=True)):
                self.values(*pair, f"{place}[{number}]")

    def _objects(self, old: Any, new: Any, place: str, exact: bool) -> None:
        if hasattr(old, "dtype") and hasattr(new, "dtype"):  # a row of variable length
            self.arrays(old, new, place, exact=exact)
        else:
            self.values(old, new, place)

    def _equal(self, old: Any, new: Any, place: str) -> None:
        import numpy as np

        is_number = old.dtype.kind in "fc" and new.dtype.kind in "fc"
        if np.array_equal(old, new, equal_nan=is_number):
            return
        index = next(iter(np.argwhere(np.asarray(old != new))), ())
        where = _at(place, index)
        self.mismatch(where, f"{old[tuple(index)]} and {new[tuple(index)]}")

    def _floats(self, old: Any, new: Any, place: str) -> None:
        import numpy as np

        same = (old == new) | (np.isnan(old) & np.isnan(new))
        if same.all():
            return
        strange = ~same & ~(np.isfinite(old) & np.isfinite(new))
        if strange.any():
            index = tuple(np.argwhere(strange)[0])
            self.mismatch(_at(place, index), f"{old[index]} and {new[index]}")
            return
        first, second = np.abs(old).astype(float), np.abs(new).astype(float)
        larger = np.where(np.isfinite(first), np.maximum(first, second), 0.0)
        scale = np.maximum(larger, _FLOOR * larger.max())
        wide = complex if old.dtype.kind == "c" or new.dtype.kind == "c" else float
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.abs(old.astype(wide) - new.astype(wide)) / scale
        found = np.where(same, 0.0, found)
        index = np.unravel_index(int(np.argmax(found)), found.shape)
        if found[index] > self.largest:
            self.largest = float(found[index])
            self.place = f"{_at(place, index)}: {old[index]} and {new[index]}"


def words(text: str) -> Iterator[str]:
    """Yield the words of a text, with table rules and commas taken out."""
    yield from re.split(r"[\s|,;]+", text.strip())


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_float(old: Any, new: Any) -> bool:
    """Return True for two numbers of which one is no whole number."""
    return (
        _is_number(old) and _is_number(new) and (isinstance(old, float) or isinstance(new, float))
    )


def _in(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _at(place: str, index: Any) -> str:
    return f"{place}[{', '.join(str(int(item)) for item in index)}]" if len(index) else place


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}…")

"""Products in memory: what was read once is there again for the next task of the same process.

A task may change what it is given, so every task gets a value of its own. Kept is a pickle, which
never leaves the process that made it and is never written anywhere.
"""

from __future__ import annotations

import copy
import io
import pickle
from dataclasses import dataclass
from typing import Any

__all__ = ["Kept", "keep", "take"]

_PROTOCOL = 5  # the first one that leaves the numbers of arrays apart
_PART_BYTES = 4096  # what a coordinate system takes, roughly


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A value, in a form that cannot be changed.

    Parameters
    ----------
    size : int
        Bytes that it takes.
    """

    size: int
    _pickled: bytes
    _arrays: tuple[bytes, ...]
    _parts: tuple[Any, ...]


class _Pickler(pickle.Pickler):
    """Leaves coordinate systems apart: theirs is a FITS header, made in 1 ms and of 14 digits."""

    def __init__(self, stream: io.BytesIO, arrays: list[bytes]) -> None:
        from astropy.wcs import WCS

        def add(buffer: pickle.PickleBuffer) -> None:
            arrays.append(buffer.raw().tobytes())

        super().__init__(stream, _PROTOCOL, buffer_callback=add)
        self._wcs = WCS
        self._numbers: dict[int, int] = {}
        self.parts: list[Any] = []

    def persistent_id(self, value: Any) -> int | None:
        if type(value) is not self._wcs:
            return None
        number = self._numbers.setdefault(id(value), len(self.parts))
        if number == len(self.parts):
            self.parts.append(copy.deepcopy(value))
        return number


class _Unpickler(pickle.Unpickler):
    def __init__(self, kept: Kept) -> None:
        # arrays that can be written to, as those that were read
        arrays = [bytearray(item) for item in kept._arrays]
        super().__init__(io.BytesIO(kept._pickled), buffers=arrays)
        self._kept = kept._parts
        self._made: dict[int, Any] = {}

    def persistent_load(self, number: Any) -> Any:
        if number not in self._made:
            self._made[number] = copy.deepcopy(self._kept[number])
        return self._made[number]


def keep(value: Any) -> Kept:
    """Keep a value; what happens to it afterwards changes nothing of what is kept."""
    stream = io.BytesIO()
    arrays: list[bytes] = []
    pickler = _Pickler(stream, arrays)
    pickler.dump(value)
    pickled = stream.getvalue()
    size = len(pickled) + sum(map(len, arrays)) + _PART_BYTES * len(pickler.parts)
    return Kept(size=size, _pickled=pickled, _arrays=tuple(arrays), _parts=tuple(pickler.parts))


def take(kept: Kept) -> Any:
    """Return an equal value that is the caller's own."""
    return _Unpickler(kept).load()

"""Fit results: JSON of plain numbers; gammapy can write its own but not read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.products import FitSummary
from gpwf.errors import StoreError
from gpwf.store.formats._fits import plain, read_json, write_json

__all__ = ["as_read", "read", "write"]

_FILE = "fit_result.json"


def write(value: FitSummary, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write a `FitSummary`, see `gpwf.store.formats.write`."""
    write_json(value.to_plain(), directory / _FILE, card)
    return {
        "total_stat": round(value.total_stat, 4),
        "success": value.success,
        "n_free": value.n_free,
        "n_bins": sum(item.n_bins for item in value.datasets),
    }


def read(directory: Path, locate: Callable[[Digest], Path]) -> FitSummary:  # noqa: ARG001
    """Read a `FitSummary`, see `gpwf.store.formats.read`.

    Raises
    ------
    StoreError
        Where the file is of another format.
    """
    try:
        return FitSummary.from_plain(read_json(directory / _FILE))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{directory / _FILE} is not a fit result: {error}") from error


def as_read(value: FitSummary) -> FitSummary:
    """Return a `FitSummary` as `read` gives it: with plain numbers in tuples."""
    return FitSummary.from_plain(plain(value.to_plain()))

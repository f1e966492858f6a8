"""Flux points over energy: FITS that keeps everything, its reference model, and a table to read.

``gammapy.estimators.FluxPoints.read("flux_points.fits")`` works on the result too, with the
``reference_model``; the ECSV table needs no gammapy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.store.formats._flux import read_flux, write_flux

__all__ = ["read", "write"]


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write `gammapy.estimators.FluxPoints`, see `gpwf.store.formats.write`."""
    write_flux(value, directory, "flux_points", "gadf-sed", "dnde", card)
    edges = value.geom.axes["energy"].edges.to_value("TeV")
    return {
        "n_points": int(value.geom.axes["energy"].nbin),
        "n_upper_limits": int(value.is_ul.data.sum()) if value.has_ul else 0,
        "e_min_TeV": round(float(edges[0]), 4),
        "e_max_TeV": round(float(edges[-1]), 4),
    }


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:  # noqa: ARG001
    """Read `gammapy.estimators.FluxPoints`, see `gpwf.store.formats.read`."""
    return read_flux(directory, "flux_points", "gadf-sed")

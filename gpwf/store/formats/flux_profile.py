"""Profiles of the flux: FITS that keeps everything, the reference model, and a table to read.

``gammapy.estimators.FluxPoints.read("flux_profile.fits", format="profile")`` works on the result
too, with the ``reference_model``; the ECSV table needs no gammapy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.store.formats._flux import read_flux, write_flux

__all__ = ["read", "write"]

_STEM = "flux_profile"
_LAYOUT = "profile"


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write `gammapy.estimators.FluxPoints`, see `gpwf.store.formats.write`."""
    write_flux(value, directory, _STEM, _LAYOUT, "flux", card)
    distance = value.geom.axes["projected-distance"]
    return {
        "n_regions": int(distance.nbin),
        "n_bands": int(value.geom.axes["energy"].nbin),
        "max_distance_deg": round(float(distance.center[-1].to_value("deg")), 4),
    }


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:  # noqa: ARG001
    """Read `gammapy.estimators.FluxPoints`, see `gpwf.store.formats.read`."""
    return read_flux(directory, _STEM, _LAYOUT)

"""Light curves: FITS that keeps everything, the reference model, and a table to read.

``gammapy.estimators.FluxPoints.read("light_curve.fits")`` works on the result too, with the
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
    write_flux(value, directory, "light_curve", "lightcurve", "flux", card)
    time = value.geom.axes["time"]
    return {
        "n_intervals": int(time.nbin),
        "n_bands": int(value.geom.axes["energy"].nbin),
        "start": time.time_min[0].utc.isot,
        "stop": time.time_max[-1].utc.isot,
    }


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:  # noqa: ARG001
    """Read `gammapy.estimators.FluxPoints`, see `gpwf.store.formats.read`."""
    return read_flux(directory, "light_curve", "lightcurve")

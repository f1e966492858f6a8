"""What flux points and light curves need after gammapy's estimators."""

from __future__ import annotations

import warnings
from typing import Any

from gpwf.errors import NoDataError

__all__ = ["settle_flux"]


def settle_flux(flux: Any, source: str, step: str) -> None:
    """Take the flux out of bins without counts, and name the reference model after the source.

    gammapy gives bins without counts a flux of about -1e-30 times the model: their upper limits
    mean something, their fluxes do not. The statistics of the bin stay as they are. And it gives
    the reference model a random name. Fits that failed are warned of.

    Parameters
    ----------
    flux : `gammapy.estimators.FluxPoints`
        Changed in place.
    source : str
        Name of the source.
    step : str
        Name of the step, for the message.

    Raises
    ------
    NoDataError
        Where no bin has counts.
    """
    import numpy as np
    from gammapy.modeling.models import SkyModel

    flux._reference_model = SkyModel(flux.reference_model.spectral_model, name=source)

    counts = flux.counts
    axis = counts.data.ndim - 1 - 2 - counts.geom.axes.names.index("dataset")
    empty = ~(np.nansum(counts.data, axis=axis) > 0)
    if empty.all():
        raise NoDataError(
            f"{step}: there are no counts in any bin",
            hint="check the energy range, and the safe range of the datasets",
        )
    for name in ("norm", "norm_err", "norm_errn", "norm_errp"):
        if name in flux._data:
            flux._data[name].data[empty] = np.nan
    failed = int((~flux.success.data & ~empty).sum())
    if failed:
        warnings.warn(
            f"{step}: the fit failed in {failed} of {empty.size} bins; they have no flux",
            stacklevel=2,
        )

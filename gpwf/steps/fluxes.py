"""What flux points and light curves need after gammapy's estimators."""

from __future__ import annotations

import warnings
from typing import Any

from gpwf.errors import NoDataError, StepError

__all__ = ["settle_flux"]

_COUNTING = ("cash", "wstat")  # fit statistics of counts


def settle_flux(flux: Any, source: str, step: str, datasets: Any = None) -> None:
    """Take the flux out of bins without counts, and name the reference model after the source.

    gammapy gives bins without counts a flux of about -1e-30 times the model: their upper limits
    mean something, their fluxes do not. Nor do the limits: the fit runs to a negative flux, and
    limits count from there, so that some are too low and some negative. The likelihood of no counts
    is exact: it falls with the expected number of gamma rays alone, which gives the limit. The
    statistics of the bin stay as they are. And gammapy gives the reference model a random name.
    Fits that failed are warned of.

    Parameters
    ----------
    flux : `gammapy.estimators.FluxPoints`
        Changed in place.
    source : str
        Name of the source.
    step : str
        Name of the step, for the message.
    datasets : `gammapy.datasets.Datasets`, optional
        What the flux was measured in; where all of them count, with a known background (Cash) or a
        measured one (WStat), the limits of bins without counts are made anew.

    Raises
    ------
    NoDataError
        Where no bin has counts.
    StepError
        Where the fit failed in all that have.
    """
    import numpy as np
    from gammapy.modeling.models import SkyModel

    flux._reference_model = SkyModel(flux.reference_model.spectral_model, name=source)

    counts = flux.counts
    axis = counts.data.ndim - 1 - 2 - counts.geom.axes.names.index("dataset")
    empty = ~(np.nansum(counts.data, axis=axis) > 0)
    if empty.all():
        raise NoDataError(
            f"{step}: there are no counts in any bin ({_range(flux)})",
            hint="check the energy range, and the safe range of the datasets",
        )
    if datasets is not None and all(item.stat_type in _COUNTING for item in datasets):
        _limit_without_counts(flux, empty, axis)
    for name in ("norm", "norm_err", "norm_errn", "norm_errp"):
        if name in flux._data:
            flux._data[name].data[empty] = np.nan
    fitted = flux.success.data & np.isfinite(flux.norm.data) & np.isfinite(flux.norm_err.data)
    failed = int((~fitted & ~empty).sum())
    if failed == int((~empty).sum()):
        raise StepError(
            f"{step}: the fit failed in every bin that has counts ({_range(flux)})",
            hint="check the models: are they at their best fit? A bound of the norm, an energy "
            "range without signal and a model that is zero there make fits fail",
        )
    if failed:
        warnings.warn(
            f"{step}: the fit failed in {failed} of {empty.size} bins; they have no flux",
            stacklevel=2,
        )


def _range(flux: Any) -> str:
    """Return the energies of fluxes for a message."""
    edges = flux.geom.axes["energy"].edges.to_value("TeV")
    return f"{edges[0]:.4g} to {edges[-1]:.4g} TeV"


def _limit_without_counts(flux: Any, empty: Any, axis: int) -> None:
    """Give bins without counts the upper limit of the flux that their likelihood has.

    For no counts the fit statistic is twice the expected gamma rays and what does not depend on
    them: twice the known background, or what OFF counts alone say. It rises from its minimum at no
    flux by the square of the number of sigma where half that square is expected.

    Parameters
    ----------
    flux : `gammapy.estimators.FluxPoints`
        Changed in place.
    empty : array of bool
        Bins without counts, of the shape of the norm.
    axis : int
        Axis of the datasets in the predicted counts.

    References
    ----------
    Cash (1979), ApJ 228, 939; XSPEC manual, appendix B (W statistic, no ON counts).
    """
    import numpy as np

    if "norm_ul" not in flux._data or not empty.any():
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        per_norm = np.nansum(flux._data["npred_excess"].data, axis=axis) / flux._data["norm"].data
    usable = empty & np.isfinite(per_norm) & (per_norm > 0)
    limits = flux._data["norm_ul"].data
    limits[empty] = np.nan
    limits[usable] = float(flux.n_sigma_ul or 2) ** 2 / 2 / per_norm[usable]

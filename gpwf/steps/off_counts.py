"""OFF counts in maps of significance: counted twice where they come from rings, or not there."""

from __future__ import annotations

import copy
import warnings
from functools import cache
from typing import Any

__all__ = ["drop_unknown", "keep_acceptance", "warn_of_rings"]

_RING = 20  # how many times the ON counts the OFF counts of all pixels are at least with a ring
_KNOWN = ("counts", "npred")  # maps that need no OFF counts


def warn_of_rings(dataset: Any, *, correlate_off: bool, step: str) -> None:
    """Warn of OFF counts that are added up twice.

    Every event is in the rings of hundreds of pixels, but in the OFF phase of one.

    Parameters
    ----------
    dataset : `gammapy.datasets.MapDataset`
        Or `gammapy.datasets.MapDatasetOnOff`, the only one that has OFF counts.
    correlate_off : bool
        Whether OFF counts are added up in circles.
    step : str
        Name of the step, for the message.
    """
    if dataset.tag != "MapDatasetOnOff" or not correlate_off:
        return
    if dataset.counts_off.data.sum() > _RING * dataset.counts.data.sum():
        warnings.warn(
            f"{step}: the OFF counts seem to come from rings, which add them up already: "
            "significances come out a little too high; set 'correlate_off: false'",
            stacklevel=3,
        )


def drop_unknown(maps: Any, estimator: Any, dataset: Any, step: str) -> None:
    """Set to NaN what gammapy makes of circles without OFF counts.

    With ``correlate_off`` gammapy divides the background in a circle by the OFF counts in it. Where
    there are none, both are rounding errors of a Fourier transform, and the significance anything
    up to infinity.

    Parameters
    ----------
    maps : mapping of str to `gammapy.maps.WcsNDMap`
        Maps of the estimator; changed.
    estimator : `gammapy.estimators.ExcessMapEstimator`
        That made them.
    dataset : `gammapy.datasets.MapDataset`
        That it was given.
    step : str
        Name of the step, for the message.
    """
    import numpy as np

    if dataset.tag != "MapDatasetOnOff" or not estimator.correlate_off:
        return
    axis = maps["sqrt_ts"].geom.axes["energy"]
    image = dataset.resample_energy_axis(energy_axis=axis, name=dataset.name)
    mask = estimator.estimate_mask_default(image)
    kernel = estimator.estimate_kernel(image).data
    counts_off = (image.counts_off * mask).convolve(kernel / kernel.max())
    unknown = (np.rint(counts_off.data) == 0) & mask.data
    if not unknown.any():
        return
    for name in maps:
        if name not in _KNOWN:
            maps[name].data[unknown] = np.nan
    warnings.warn(
        f"{step}: {unknown.sum()} of {mask.data.sum()} circles hold no OFF counts: their "
        "background is not known, and they have no significance",
        stacklevel=3,
    )


def keep_acceptance(dataset: Any) -> Any:
    """Return a map dataset that keeps the acceptance of bins without OFF counts.

    Where gammapy adds up energies it derives the acceptance of the OFF counts from the background,
    which is not a number where both are zero: of a pixel without OFF counts nothing is known then,
    not even of the counts in it.

    Parameters
    ----------
    dataset : `gammapy.datasets.MapDataset`
        Returned as it is, or `gammapy.datasets.MapDatasetOnOff`.
    """
    if dataset.tag != "MapDatasetOnOff":
        return dataset
    kept = copy.copy(dataset)
    kept.__class__ = _keeping()
    return kept


@cache
def _keeping() -> type:
    import numpy as np
    from gammapy.datasets import MapDatasetOnOff

    def resample_energy_axis(self: Any, energy_axis: Any, name: str | None = None) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            found = MapDatasetOnOff.resample_energy_axis(self, energy_axis, name)
        off = self.acceptance_off.resample_axis(axis=energy_axis, weights=self.mask_safe)
        nothing = found.counts_off.data == 0
        found.acceptance_off.data[nothing] = off.data[nothing]
        return found

    return type(
        "MapDatasetOnOff", (MapDatasetOnOff,), {"resample_energy_axis": resample_energy_axis}
    )

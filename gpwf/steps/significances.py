"""Distributions of significance over the pixels of a map: is what is left N(0, 1)?

`usable_pixels` takes out what an exclusion mask covers, `significance_summary` gives mean and width
per energy bin, `significance_histogram` the numbers of pixels in bins of significance. Made for
maps of residuals and for maps with a ring background.
"""

from __future__ import annotations

import math
from typing import Any

from gpwf.errors import NoDataError, StepError

__all__ = ["significance_histogram", "significance_summary", "usable_pixels"]

_WIDTH = 0.25  # of the bins of histograms, in standard deviations
_REACH = 40.0  # histograms end here on both sides


def usable_pixels(significance: Any, exclusion: Any, step: str) -> Any:
    """Return where a map of significance has values outside of sources.

    Parameters
    ----------
    significance : `gammapy.maps.WcsNDMap`
        With an energy axis; NaN where nothing is known.
    exclusion : `gammapy.maps.WcsNDMap` or None
        True where pixels may be used, as in the reduction; on any pixels, its nearest ones count.
        Beyond its edge everything may be used.
    step : str
        Name of the step, for the messages.

    Returns
    -------
    usable : `numpy.ndarray` of bool
        In the shape of the map.

    Raises
    ------
    NoDataError
        Where no pixel is left.
    StepError
        Where the mask has several images, one for each energy, or is none.
    """
    import numpy as np

    usable = np.isfinite(significance.data)
    if exclusion is not None:
        image = exclusion
        if not exclusion.geom.is_image:
            if any(axis.nbin > 1 for axis in exclusion.geom.axes):
                raise StepError(
                    f"{step}: the exclusion mask changes with energy",
                    hint="make it an image: one mask for all energies",
                )
            image = exclusion.reduce_over_axes(np.logical_and, keepdims=False)
        if not np.isin(image.data, (0, 1)).all():
            raise StepError(
                f"{step}: the input 'exclusion_mask' has values other than 0 and 1",
                hint="connect a mask, that of a step 'exclusion-mask' for example",
            )
        geom = significance.geom.to_image()
        if image.geom == geom:
            allowed = image.data.astype(bool)
        else:
            found = image.get_by_coord(geom.get_coord())
            allowed = np.where(np.isnan(found), True, found.astype(bool))
        usable = usable & allowed
    if not usable.any():
        raise NoDataError(
            f"{step}: no pixel with a significance is outside of the exclusion mask",
            hint="check the exclusion mask, and the safe range of the datasets",
        )
    return usable


def significance_summary(
    significance: Any, usable: Any, *, correlation_radius_deg: float = 0.0
) -> Any:
    """Return mean and standard deviation of the significance, a row per energy bin.

    Both are those of the normal distribution of the highest likelihood, which for unbinned values
    are mean and standard deviation of the sample. Pixels that share counts are not independent: the
    errors count as many as there are circles beside each other.

    Parameters
    ----------
    significance : `gammapy.maps.WcsNDMap`
        With an energy axis.
    usable : `numpy.ndarray` of bool
        From `usable_pixels`.
    correlation_radius_deg : float
        Radius of the circle whose counts are added up around each pixel, in deg.

    Returns
    -------
    table : `astropy.table.Table`
        Columns ``e_min``, ``e_max`` (TeV), ``n_pixels``, ``n_independent``, ``mean``, ``mean_err``,
        ``std``, ``std_err``, ``min``, ``max``. NaN where no pixel is usable.
    """
    import numpy as np
    from astropy import units as u
    from astropy.table import Table

    axis = significance.geom.axes["energy"]
    pixel = float(np.prod(significance.geom.pixel_scales.to_value("deg")))
    share = min(1.0, pixel / (math.pi * correlation_radius_deg**2 or pixel))
    rows = []
    for values, mask in zip(_planes(significance.data), _planes(usable), strict=True):
        inside = values[mask].astype(float)
        n_independent = max(1.0, inside.size * share)
        known = inside.size > 0
        mean = float(inside.mean()) if known else math.nan
        std = float(inside.std()) if known else math.nan
        rows.append(
            {
                "n_pixels": inside.size,
                "n_independent": n_independent if known else 0.0,
                "mean": mean,
                "mean_err": std / math.sqrt(n_independent),
                "std": std,
                "std_err": std / math.sqrt(2 * n_independent),
                "min": float(inside.min()) if known else math.nan,
                "max": float(inside.max()) if known else math.nan,
            }
        )
    table = Table(rows)
    table.add_columns(
        [axis.edges_min.to(u.TeV), axis.edges_max.to(u.TeV)], [0, 0], names=["e_min", "e_max"]
    )
    table.meta = {"product": "significance-summary"}
    return table


def significance_histogram(significance: Any, usable: Any) -> Any:
    """Return how many pixels have which significance, for every energy bin.

    Parameters
    ----------
    significance : `gammapy.maps.WcsNDMap`
        With an energy axis.
    usable : `numpy.ndarray` of bool
        From `usable_pixels`; the others are counted apart.

    Returns
    -------
    table : `astropy.table.Table`
        Columns ``e_min``, ``e_max`` (TeV), ``low``, ``high`` (edges of the bin, in standard
        deviations), ``n_usable``, ``n_excluded`` (pixels). Bins are 0.25 wide and cover all values
        up to 40; larger ones are in the last bin.
    """
    import numpy as np
    from astropy import units as u
    from astropy.table import Table, vstack

    axis = significance.geom.axes["energy"]
    values = significance.data[np.isfinite(significance.data)]
    reach = min(_REACH, max(1.0, float(np.abs(values).max(initial=0.0))))
    number = math.ceil(reach / _WIDTH)
    edges = np.arange(-number, number + 1) * _WIDTH
    parts = []
    for index, (plane, mask) in enumerate(
        zip(_planes(significance.data), _planes(usable), strict=True)
    ):
        clipped = np.clip(plane, edges[0], edges[-1])
        counted = [
            np.histogram(clipped[chosen & np.isfinite(clipped)], edges)[0]
            for chosen in (mask, ~mask)
        ]
        part = Table()
        part["e_min"] = np.repeat(axis.edges_min[index].to_value(u.TeV), len(edges) - 1) * u.TeV
        part["e_max"] = np.repeat(axis.edges_max[index].to_value(u.TeV), len(edges) - 1) * u.TeV
        part["low"], part["high"] = edges[:-1], edges[1:]
        part["n_usable"], part["n_excluded"] = counted
        parts.append(part)
    table = vstack(parts, metadata_conflicts="silent")
    table.meta = {"product": "significance-distribution"}
    return table


def _planes(data: Any) -> Any:
    """Return the images of an array, one per energy bin."""
    return data.reshape(-1, *data.shape[-2:])

"""Energy edges against the bins that the data have: gammapy moves them without a word."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from gpwf.errors import NoDataError, StepError
from gpwf.steps.dataset_parts import require_counts

__all__ = ["align_edges", "common_energy_axis", "require_overlap", "usable_edges", "warn_moved"]

_TOLERANCE = 1e-3  # edges are written with few digits: 0.03162 for 10**-1.5


def common_energy_axis(datasets: Any, step: str) -> Any:
    """Return the reconstructed-energy axis that all datasets share.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        At least one.
    step : str
        Name of the step, for the message.

    Returns
    -------
    axis : `gammapy.maps.MapAxis`
        With edges.

    Raises
    ------
    StepError
        Where the axes differ, or a dataset has no counts.
    """
    require_counts(datasets, step)
    axes = [dataset.counts.geom.axes["energy"] for dataset in datasets]
    if any(axis != axes[0] for axis in axes[1:]):
        raise StepError(
            f"{step}: the datasets have different energy axes",
            hint="make them with the same 'geom.axes.energy'",
        )
    return axes[0]


def usable_edges(datasets: Any, axis: Any, step: str) -> Any:
    """Return the edges of the energy bins that can be used: those inside the masks of a dataset.

    From the first bin to the last in which the safe and the fit mask of any dataset leave a pixel;
    bins in between are kept.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        At least one.
    axis : `gammapy.maps.MapAxis`
        Reconstructed energy, which all datasets share.
    step : str
        Name of the step, for the message.

    Returns
    -------
    edges : `astropy.units.Quantity`
        Rising, shape (n + 1,) for n bins, in TeV.

    Raises
    ------
    NoDataError
        Where no bin is left.
    """
    import numpy as np

    usable = np.zeros(axis.nbin, dtype=bool)
    for dataset in datasets:
        if dataset.mask is None:
            usable[:] = True
        else:
            usable |= dataset.mask.data.reshape(axis.nbin, -1).any(axis=1)
    bins = np.flatnonzero(usable)
    if not bins.size:
        raise NoDataError(
            f"{step}: no energy bin of the datasets is inside their safe range",
            hint="check 'safe_mask' of the step that makes them",
        )
    return axis.edges[bins[0] : bins[-1] + 2].to("TeV")


def require_overlap(edges: Any, datasets: Any, axis: Any, step: str, setting: str) -> None:
    """Refuse energies none of which the datasets can be used at.

    Parameters
    ----------
    edges : `astropy.units.Quantity`
        Rising, shape (n,).
    datasets, axis, step
        See `usable_edges`.
    setting : str
        What asks for them, for the message.

    Raises
    ------
    NoDataError
        Where they lie outside the safe range, or the datasets have none.
    """
    usable = usable_edges(datasets, axis, step)
    if edges[-1] <= usable[0] or edges[0] >= usable[-1]:
        asked, there = (item.to_value("TeV") for item in (edges, usable))
        raise NoDataError(
            f"{step}: {setting!r} ({asked[0]:.4g} to {asked[-1]:.4g} TeV) lies outside the safe "
            f"range of the datasets ({there[0]:.4g} to {there[-1]:.4g} TeV)",
            hint=f"change {setting!r}, or 'safe_mask' of the step that makes the datasets",
        )


def align_edges(edges: Any, axis: Any, step: str, setting: str) -> Any:
    """Return energy edges moved to the nearest edges of an axis, the way gammapy moves them.

    Warns with both numbers where an edge moves.

    Parameters
    ----------
    edges : `astropy.units.Quantity`
        Wanted edges, rising, shape (n,).
    axis : `gammapy.maps.MapAxis`
        Axis of the datasets.
    step, setting : str
        For the messages.

    Returns
    -------
    edges : `astropy.units.Quantity`
        Edges of the axis, shape (n,).

    Raises
    ------
    StepError
        Where two edges fall on one edge of the axis.

    References
    ----------
    ``gammapy.maps.MapAxis.group_table`` rounds edges in pixel coordinates.
    """
    import numpy as np

    pixels = np.clip(axis.coord_to_pix(edges), -0.5, axis.nbin - 0.5)
    indices = np.round(pixels + 0.5).astype(int)
    used = axis.edges[indices].to(edges.unit)
    if np.any(np.diff(indices) == 0):
        lowest, highest = axis.edges[[0, -1]].to_value(edges.unit)
        raise StepError(
            f"{step}: the bins of '{setting}' are narrower than the energy bins of the datasets "
            f"({axis.nbin} bins from {lowest:.4g} to {highest:.4g} {edges.unit}), or outside them",
            hint=f"use fewer or wider bins in '{setting}', or more bins in the datasets",
        )
    unit = str(edges.unit)
    warn_moved(step, setting, list(edges.value), list(used.value), unit)
    return used


def warn_moved(
    step: str, setting: str, wanted: Sequence[float], used: Sequence[float], unit: str
) -> None:
    """Warn where used energies differ from wanted ones, with both numbers.

    Parameters
    ----------
    step, setting : str
        What to name.
    wanted, used : sequence of float
        Energies in ``unit``, one by one.
    unit : str
        Unit of both.
    """
    moved = [
        f"{one:.4g} became {two:.4g}"
        for one, two in zip(wanted, used, strict=True)
        if abs(one - two) > _TOLERANCE * abs(one)
    ]
    if moved:
        warnings.warn(
            f"{step}: energies of '{setting}' moved to the bins of the datasets: "
            f"{', '.join(moved)} {unit}",
            stacklevel=3,
        )

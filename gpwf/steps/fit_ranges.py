"""The energies in which datasets are compared with models, in a fit and in what follows it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from gpwf.errors import StepError
from gpwf.steps.binning import warn_moved
from gpwf.steps.dataset_parts import energy_geom, has_counts, mask_of
from gpwf.steps.settings import EnergyRange

if TYPE_CHECKING:
    from gpwf.core.products import FitSummary

__all__ = ["bounds_tev", "inherited_fit_range", "set_fit_range"]


def bounds_tev(fit_range: EnergyRange) -> tuple[float | None, float | None]:
    """Return the bounds of a range of energy in TeV; None for one that does not limit."""
    low, high = fit_range.min, fit_range.max
    return (low.value if low else None, high.value if high else None)


def inherited_fit_range(asked: EnergyRange | None, summary: FitSummary | None) -> EnergyRange:
    """Return the range that a step uses: its own setting, that of the fit before, or everything.

    Parameters
    ----------
    asked : EnergyRange, optional
        Setting of the step.
    summary : FitSummary, optional
        The fit that the models come from.
    """
    if asked is not None:
        return asked
    bounds = (summary and summary.fit_range) or (None, None)
    names = ("min", "max")
    return EnergyRange.model_validate(
        {name: f"{value!r} TeV" for name, value in zip(names, bounds, strict=True) if value}
    )


def set_fit_range(datasets: Any, fit_range: EnergyRange, step: str) -> None:
    """Set the fit mask as gammapy's Analysis does, and warn where the range ends inside a bin.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        Changed in place.
    fit_range : EnergyRange
        Bins that lie inside as a whole are used.
    step : str
        Name of the step, for the message.

    Raises
    ------
    StepError
        Where no bin is left.
    """
    low = fit_range.min.quantity if fit_range.min else None
    high = fit_range.max.quantity if fit_range.max else None
    warned: set[tuple[float, ...]] = set()
    for dataset in datasets:
        if low is not None or high is not None:
            mask = energy_geom(dataset).energy_mask(energy_min=low, energy_max=high)
            dataset.mask_fit = mask if has_counts(dataset) else mask.data
            _warn_range(mask, fit_range, step, warned)
    empty = [dataset.name for dataset in datasets if not mask_of(dataset).any()]
    if len(empty) == len(datasets):
        text = f"{fit_range.min or 'the lowest'} to {fit_range.max or 'the highest energy'}"
        raise StepError(
            f"{step}: no bin is both in the safe range and in the fit range ({text})",
            hint="widen 'fit_range', or change 'safe_mask' of the datasets",
        )
    if empty:
        warnings.warn(
            f"{step}: {', '.join(empty)} take{'s' if len(empty) == 1 else ''} no part: no bin is "
            "both in the safe range and in the fit range",
            stacklevel=2,
        )


def _warn_range(
    mask: Any, fit_range: EnergyRange, step: str, warned: set[tuple[float, ...]]
) -> None:
    """Warn once per axis about the energies between which the fit really runs."""
    import numpy as np

    used = np.flatnonzero(mask.data.reshape(mask.data.shape[0], -1).any(axis=1))
    if not used.size:
        return
    edges = mask.geom.axes["energy"].edges.to_value("TeV")
    pairs = [
        (bound.value, float(edge))
        for bound, edge in (
            (fit_range.min, edges[used[0]]),
            (fit_range.max, edges[used[-1] + 1]),
        )
        # a bound beyond the axis limits nothing
        if bound is not None and edges[0] <= bound.value <= edges[-1]
    ]
    key = tuple(edge for _, edge in pairs)
    if key not in warned:
        warned.add(key)
        warn_moved(step, "fit_range", [one for one, _ in pairs], list(key), "TeV")

"""What steps ask of a dataset, whatever its class: counts in maps and spectra, or flux points."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpwf.errors import StepError

__all__ = ["energy_geom", "has_counts", "mask_of", "require_counts", "require_exposure"]


def has_counts(dataset: Any) -> bool:
    """Tell whether a dataset has counts; flux points have none."""
    return bool(dataset.tag != "FluxPointsDataset")


def require_counts(datasets: Iterable[Any], step: str) -> None:
    """Refuse datasets of flux points, for a step that works on counts.

    Raises
    ------
    StepError
        With the names of those that have none.
    """
    names = [dataset.name for dataset in datasets if not has_counts(dataset)]
    if names:
        raise StepError(
            f"{step}: {', '.join(names)} {'is' if len(names) == 1 else 'are'} of flux points, and "
            "this step works on counts",
            hint="connect the datasets with counts alone; flux points take part in fits, profiles, "
            "contours and limits",
        )


def require_exposure(datasets: Iterable[Any], step: str) -> None:
    """Refuse sources on datasets that cannot tell how many counts a source gives.

    Parameters
    ----------
    datasets : iterable of `gammapy.datasets.Dataset`
        With models.
    step : str
        Name of the step, for the message.

    Raises
    ------
    StepError
        Where one with a source has no exposure.
    """
    for dataset in datasets:
        if not has_counts(dataset) or dataset.exposure is not None:
            continue
        sources = [
            model.name
            for model in dataset.models or ()
            if model.tag[0] == "SkyModel" and model.apply_irf["exposure"]
        ]
        if sources:
            raise StepError(
                f"{step}: dataset '{dataset.name}' has no exposure, so that the counts of "
                f"{', '.join(sources)} are not known",
                hint="leave 'map_selection' out of the step that makes the datasets",
            )


def energy_geom(dataset: Any) -> Any:
    """Return the geometry with the axis in reconstructed energy, `gammapy.maps.Geom`."""
    return dataset.counts.geom if has_counts(dataset) else dataset.data.geom


def mask_of(dataset: Any) -> Any:
    """Return where a dataset enters a fit: an array of bool in the shape of its data."""
    import numpy as np

    mask = dataset.mask
    if mask is None:
        return np.ones(energy_geom(dataset).data_shape, bool)
    # that of flux points is an array, the others are maps
    return (mask if isinstance(mask, np.ndarray) else mask.data).astype(bool)

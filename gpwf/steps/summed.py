"""Map datasets of an input as one, for maps of excess and significance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpwf.errors import NoDataError, StepError
from gpwf.steps.attach import attach_models, copy_datasets, join_datasets
from gpwf.steps.dataset_parts import require_counts
from gpwf.steps.stacking import stack_maps

__all__ = ["map_datasets", "sum_maps"]


def map_datasets(products: Sequence[Any], models: Any, step: str) -> list[Any]:
    """Return copies of the map datasets of an input that takes several products.

    Parameters
    ----------
    products : sequence of `gammapy.datasets.Datasets`
        Value of the input.
    models : `gammapy.modeling.models.Models` or None
        Set on the copies; without, these have their own background models alone.
    step : str
        Name of the step, for the messages.

    Returns
    -------
    datasets : list of `gammapy.datasets.MapDataset`
        At least one, in the order of the wiring.

    Raises
    ------
    NoDataError
        Where there is none, or no pixel is in the safe range.
    StepError
        Where they are no maps.
    """
    datasets: list[Any] = []
    names = [dataset.name for product in products for dataset in product]
    if models is not None and len(set(names)) == len(names):
        products = [join_datasets(products, step)]  # models may name datasets of several products
    for product in products:
        if models is None:
            datasets.extend(copy_datasets(product))
        else:
            datasets.extend(attach_models(product, models, step)[0])
    if not datasets:
        raise NoDataError(f"{step}: there are no datasets")
    require_counts(datasets, step)
    if any(dataset.counts.geom.is_region for dataset in datasets):
        raise StepError(
            f"{step}: the datasets are spectra of a region, not maps",
            hint="reduce the observations with 'type: 3d'",
        )
    if not any(d.mask_safe is None or d.mask_safe.data.any() for d in datasets):
        raise NoDataError(f"{step}: no pixel of the datasets is in their safe range")
    return datasets


def sum_maps(datasets: Sequence[Any], models: Any, step: str) -> Any:
    """Return one dataset with all counts.

    Parameters
    ----------
    datasets : sequence of `gammapy.datasets.MapDataset`
        Of `map_datasets`; they are changed.
    models : `gammapy.modeling.models.Models` or None
        As given to `map_datasets`.
    step : str
        Name of the step, for the message.

    Returns
    -------
    dataset : `gammapy.datasets.MapDataset`
        Or `gammapy.datasets.MapDatasetOnOff`. With known background, sources of several datasets
        have become part of it.

    Raises
    ------
    StepError
        Where they cannot be added.
    """
    if len(datasets) == 1:
        return datasets[0]
    # the order in which maps are added changes the last bits
    found = sorted(datasets, key=lambda dataset: dataset.name)
    sources = None
    if models is not None:
        sources = _into_background(found, step)
    total = stack_maps(found, "stacked", step)
    if sources:
        total.models = sources
    return total


def _into_background(datasets: Sequence[Any], step: str) -> list[Any]:
    """Make sources part of the background of each dataset before they are added.

    With measured OFF counts there is no background to add to: the sources are returned, to be set
    on the sum.

    Raises
    ------
    StepError
        Where a source shines in some datasets with OFF counts only.
    """
    if datasets[0].tag != "MapDatasetOnOff":
        for dataset in datasets:
            dataset.background = dataset.npred()
            dataset.models = None
        return []
    sources = [model.copy(name=model.name) for model in datasets[0].models]
    if any(model.datasets_names is not None for model in sources):
        raise StepError(
            f"{step}: models for some of the datasets cannot be subtracted from the sum of maps "
            "with OFF counts",
            hint="leave 'datasets_names' out of the models, or make one map per dataset",
        )
    return sources

"""Models on datasets, by name: what matches nothing is an error here, gammapy drops it silently."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from gpwf.errors import StepError

__all__ = ["attach_models", "copy_datasets", "require_source"]


def copy_datasets(datasets: Any) -> Any:
    """Return a deep copy of datasets that keeps their names; steps never change their inputs."""
    from gammapy.datasets import Datasets

    return Datasets([dataset.copy(name=dataset.name) for dataset in datasets])


def attach_models(datasets: Any, models: Any, step: str) -> tuple[Any, Any]:
    """Return copies of datasets and models, the models set on the datasets.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        Without models.
    models : `gammapy.modeling.models.Models`
        Those with ``datasets_names`` act on these datasets, the others on all.
    step : str
        Name of the step, for the message.

    Returns
    -------
    datasets : `gammapy.datasets.Datasets`
    models : `gammapy.modeling.models.Models`
        Their parameters are those of the datasets' models.

    Raises
    ------
    StepError
        Where a model names a dataset that is not there, or no model acts on a dataset.
    """
    from gammapy.modeling.models import Models

    _check_names(datasets.names, models, step)
    attached = copy_datasets(datasets)
    copies = Models(models.copy())
    attached.models = copies
    return attached, copies


def _names_of(model: Any) -> list[str] | None:
    """Return the datasets that a model names; None stands for all."""
    names = getattr(model, "datasets_names", None)
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)


def _check_names(datasets: list[str], models: Any, step: str) -> None:
    """Check names both ways."""
    if not len(models):
        raise StepError(f"{step}: there are no models", hint="add a component to the models")
    reached: set[str] = set()
    for model in models:
        names = _names_of(model)
        unknown = [name for name in names or () if name not in datasets]
        if unknown:
            raise StepError(
                f"{step}: model '{model.name}' is for datasets that are not there: "
                f"{', '.join(unknown)}; there are {', '.join(datasets)}",
                hint=f"correct 'datasets_names' of model '{model.name}', or leave it out",
            )
        reached.update(datasets if names is None else names)
    missed = [name for name in datasets if name not in reached]
    if missed:
        raise StepError(
            f"{step}: no model is for the datasets {', '.join(missed)}",
            hint="add them to 'datasets_names' of a model, or leave 'datasets_names' out",
        )


def require_source(source: str, names: Iterable[str], step: str) -> None:
    """Check that a source is among the models.

    Raises
    ------
    StepError
        With the names that there are.
    """
    known = list(names)
    if source in known:
        return
    near = difflib.get_close_matches(source, known, n=1)
    raise StepError(
        f"{step}: no model is called '{source}'; the models are {', '.join(known) or 'none'}",
        hint=f"did you mean '{near[0]}'?" if near else "set 'source' to one of them",
    )

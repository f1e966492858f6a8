"""Models on datasets, by name: what matches nothing is an error here, gammapy drops it silently.

A map dataset brings a background model of its own along: the step that made it knows its scale and
its name, and a person who writes models of the sky should not have to repeat them. gammapy's
``Analysis.set_models`` joins them in the same way. Background models in the models that a step is
given come first: they are those of a fit, or the wish of the user. Datasets never change models:
what is joined here leaves the step only where the step makes a new models product, as ``fit`` does.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.dataset_parts import require_exposure

__all__ = [
    "attach_models",
    "background_models",
    "check_datasets_names",
    "copy_datasets",
    "copy_models",
    "join_datasets",
    "measured_source",
    "require_source",
]


def join_datasets(products: Any, step: str) -> Any:
    """Return the datasets of an input that takes several products.

    Parameters
    ----------
    products : `gammapy.datasets.Datasets` or sequence of them
        Value of the input, in the order of the wiring.
    step : str
        Name of the step, for the message.

    Returns
    -------
    datasets : `gammapy.datasets.Datasets`
        The same objects, not copies.

    Raises
    ------
    StepError
        Where two datasets have one name: models could not tell them apart.
    """
    from gammapy.datasets import Datasets

    if isinstance(products, Datasets):
        return products
    if len(products) == 1:
        return products[0]
    found = [dataset for product in products for dataset in product]
    names = [dataset.name for dataset in found]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise StepError(
            f"{step}: several inputs have datasets of the name {', '.join(twice)}",
            hint="set 'prefix' in the steps that make them",
        )
    return Datasets(found)


def copy_datasets(datasets: Any) -> Any:
    """Return a deep copy of datasets that keeps their names; steps never change their inputs.

    Their own background models are copied too; other models are left out.
    """
    from gammapy.datasets import Datasets

    copies = Datasets([dataset.copy(name=dataset.name) for dataset in datasets])
    own = background_models(datasets)
    if own:
        copies.models = own
    return copies


def copy_models(models: Any) -> Any:
    """Return copies of models with links, covariance, and spatial parts of template backgrounds.

    gammapy leaves out these parts when it copies.

    Parameters
    ----------
    models : `gammapy.modeling.models.Models`
    """
    from gammapy.modeling.models import Models

    copies = Models(models.copy())
    for model, copied in zip(models, copies, strict=True):
        spatial = getattr(model, "spatial_model", None)
        if spatial is not None and copied.spatial_model is None:
            copied.spatial_model = spatial.copy()
    return copies


def background_models(datasets: Any, besides: Any = ()) -> list[Any]:
    """Return copies of the background models that the datasets have of their own.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        As the reduction made them.
    besides : `gammapy.modeling.models.Models`, optional
        Models to be used with them: a dataset for which these have a background model is left out.

    Returns
    -------
    models : list of `gammapy.modeling.models.FoVBackgroundModel`
        In the order of the datasets.
    """
    names = {model.name for model in besides}
    served = {name for model in besides if _is_background(model) for name in _names_of(model) or ()}
    return [
        model.copy(name=model.name)
        for dataset in datasets
        for model in dataset.models or ()
        if _is_background(model) and model.name not in names and dataset.name not in served
    ]


def _is_background(model: Any) -> bool:
    from gammapy.modeling.models import FoVBackgroundModel, TemplateNPredModel

    return isinstance(model, (FoVBackgroundModel, TemplateNPredModel))


def attach_models(datasets: Any, models: Any, step: str) -> tuple[Any, Any]:
    """Return copies of datasets and models, the models set on the datasets.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        With background models of their own, or without models.
    models : `gammapy.modeling.models.Models`
        Those with ``datasets_names`` act on these datasets, the others on all.
    step : str
        Name of the step, for the message.

    Returns
    -------
    datasets : `gammapy.datasets.Datasets`
    models : `gammapy.modeling.models.Models`
        Those given, then the background models of datasets for which none was given. Their
        parameters are those of the datasets' models.

    Raises
    ------
    StepError
        Where a model names a dataset that is not there, or no model acts on a dataset; where a
        dataset with a source has no exposure.
    """
    from gammapy.modeling.models import Models

    check_datasets_names(datasets.names, models, step)
    attached = copy_datasets(datasets)
    copies = copy_models(models)
    own = background_models(datasets, besides=models)
    if own:
        copies = Models([*copies, *own])
    attached.models = copies
    require_exposure(attached, step)
    return attached, copies


def _names_of(model: Any) -> list[str] | None:
    """Return the datasets that a model names; None stands for all."""
    names = getattr(model, "datasets_names", None)
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)


def check_datasets_names(datasets: list[str], models: Any, step: str) -> None:
    """Check that models and datasets name each other.

    Parameters
    ----------
    datasets : list of str
        Names of the datasets.
    models : sequence of models
        Those with ``datasets_names`` act on these datasets, the others on all.
    step : str
        Name of the step, for the message.

    Raises
    ------
    StepError
        Where there are no models, a model names a dataset that is not there, or no model acts on a
        dataset.
    """
    if not len(models):
        raise StepError(f"{step}: there are no models", hint="add a component to the models")
    reached: set[str] = set()
    for model in models:
        names = _names_of(model)
        if names is not None and not names:
            raise StepError(
                f"{step}: model '{model.name}' is for no dataset: its 'datasets_names' is empty",
                hint="name datasets there, or leave it out: the model is then for all",
            )
        unknown = [name for name in names or () if name not in datasets]
        if unknown:
            near = difflib.get_close_matches(unknown[0], datasets, n=1)
            guess = f"did you mean '{near[0]}'? " if near else ""
            raise StepError(
                f"{step}: model '{model.name}' is for datasets that are not there: "
                f"{', '.join(unknown)}; there are {', '.join(datasets)}",
                hint=f"{guess}correct 'datasets_names' of model '{model.name}', or leave it out",
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


def measured_source(source: str | None, models: Any, step: str) -> str:
    """Return the name of the source to measure: the one that is named, or the only one.

    Parameters
    ----------
    source : str or None
        Setting of the step.
    models : `gammapy.modeling.models.Models`
        Sources among them are the models of the sky with a spectrum.
    step : str
        Name of the step, for the message.

    Raises
    ------
    StepError
        Where no model has the name; where none is given, and there is not exactly one source.
    """
    from gammapy.modeling.models import SkyModel

    if source is not None:
        require_source(source, models.names, step)
        return source
    found = [
        model.name
        for model in models
        if isinstance(model, SkyModel) and model.spectral_model is not None
    ]
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise StepError(
            f"{step}: the models have no source: no model of the sky with a spectrum",
            hint="add a source to the models",
        )
    raise StepError(
        f"{step}: which of the sources {', '.join(found)} is measured?",
        hint="set 'source' to one of them",
    )

"""Several products of models as one: names, links between parameters, what is frozen."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from gpwf.core.model_parts import parts_of
from gpwf.errors import StepError
from gpwf.steps.parameter_names import find_parameter, full_names, parameter_labels

__all__ = [
    "assign_datasets",
    "join_models",
    "link_parameters",
    "rename_models",
    "set_frozen",
    "without_models",
]


def join_models(products: Sequence[Any], origins: Sequence[str], step: str) -> Any:
    """Return the models of several products as one, with the covariance of each.

    Parameters
    ----------
    products : sequence of `gammapy.modeling.models.Models`
        Not changed, and not copied.
    origins : sequence of str
        Where each comes from, in words.
    step : str
        For the message.

    Returns
    -------
    models : `gammapy.modeling.models.Models`
        In the order of the products.

    Raises
    ------
    StepError
        Where two models have one name, with both origins.
    """
    import numpy as np
    from gammapy.modeling.models import Models

    _check_distinct(products, origins, step)
    matrices = [models.covariance.data for models in products]
    merged = Models([model for models in products for model in models])
    size = sum(len(matrix) for matrix in matrices)
    covariance = np.zeros((size, size))
    start = 0
    for matrix in matrices:
        stop = start + len(matrix)
        covariance[start:stop, start:stop] = matrix
        start = stop
    merged.covariance = covariance
    return merged


def _check_distinct(products: Sequence[Any], origins: Sequence[str], step: str) -> None:
    """Refuse models of one name."""
    # backgrounds too: gammapy names that of the field of view after its dataset, which has one
    seen: dict[str, str] = {}
    for models, origin in zip(products, origins, strict=True):
        for model in models:
            if model.name in seen:
                raise StepError(
                    f"{step}: two models are called '{model.name}': one from {seen[model.name]}, "
                    f"one from {origin}",
                    hint="leave one out, or give it another name in the step that makes it "
                    "('prefix' of catalog-models)",
                )
            seen[model.name] = origin


def rename_models(models: Any, names: Mapping[str, str], step: str) -> None:
    """Give models other names, in place.

    Raises
    ------
    StepError
        For a model that is not there, for a background model, whose name is that of its dataset,
        and for a name that is taken.
    """
    from gammapy.modeling.models import FoVBackgroundModel

    found = {old: models[_known(old, models.names, step, f"rename.{old}")] for old in names}
    for old, model in found.items():
        if isinstance(model, FoVBackgroundModel):
            raise StepError(
                f"{step}: 'rename.{old}': gammapy names a background model after its dataset",
                hint="leave it out of 'rename'",
            )
    for old, model in found.items():
        model._name = names[old]
    after = list(models.names)
    twice = [name for name in dict.fromkeys(after) if after.count(name) > 1]
    if twice:
        raise StepError(
            f"{step}: 'rename' gives two models the name {', '.join(twice)}",
            hint="give every model a name of its own",
        )


def without_models(models: Any, names: Sequence[str], step: str) -> Any:
    """Return models without some of them.

    Raises
    ------
    StepError
        For a model that is not there, and where none is left.
    """
    import numpy as np
    from gammapy.modeling.models import Models

    known = [_known(name, models.names, step, "exclude") for name in names]
    if not known:
        return models
    keep = [model for model in models if model.name not in known]
    if not keep:
        raise StepError(f"{step}: 'exclude' leaves no model", hint="exclude fewer")
    flags = [model.name not in known for model in models for _ in model.parameters]
    rows = np.flatnonzero(np.array(flags))
    covariance = models.covariance.data[np.ix_(rows, rows)].copy()
    rest = Models(keep)
    rest.covariance = covariance
    return rest


def assign_datasets(models: Any, names: Mapping[str, Sequence[str]], step: str) -> None:
    """Set the datasets on which models act, in place.

    Raises
    ------
    StepError
        For a model that is not there, and a background model, which has its dataset.
    """
    from gammapy.modeling.models import FoVBackgroundModel

    for name, datasets in names.items():
        setting = f"datasets_names.{name}"
        model = models[_known(name, models.names, step, setting)]
        if isinstance(model, FoVBackgroundModel):
            raise StepError(
                f"{step}: '{setting}': a background model is for its own dataset, "
                f"'{model.datasets_names[0]}'",
                hint=f"leave '{name}' out of 'datasets_names'",
            )
        model.datasets_names = list(datasets)


def link_parameters(models: Any, links: Sequence[Sequence[str]], step: str) -> None:
    """Make parameters one, in place: that which stands first, with its value, bounds and state.

    The others' part of the covariance becomes that of the first. A free parameter that becomes a
    frozen one, or the other way round, is warned of.

    Raises
    ------
    StepError
        For a parameter that is not there, that stands in two links, or that has another name or
        unit.
    """
    import numpy as np

    before = list(models.parameters)
    covariance = models.covariance.data.copy()
    source = {id(item): number for number, item in reversed(list(enumerate(before)))}
    taken: dict[int, str] = {}
    for number, names in enumerate(links):
        setting = f"links.{number}"
        found = [find_parameter(models, name, step, setting) for name in names]
        label, first = found[0]
        for other, parameter in found:
            if id(parameter) in taken:
                raise StepError(
                    f"{step}: '{setting}': {other} is linked already, to {taken[id(parameter)]}",
                    hint="put all parameters that are one into one list",
                )
            _check_alike((label, first), (other, parameter), f"{step}: '{setting}'")
            taken[id(parameter)] = label
        for _, parameter in found[1:]:
            source[id(parameter)] = source[id(first)]
            _replace(models, parameter, first)
    if links:
        rows = [source[id(item)] for item in before]
        models.covariance = covariance[np.ix_(rows, rows)]


def _check_alike(first: tuple[str, Any], other: tuple[str, Any], where: str) -> None:
    """Refuse to make one of two parameters that differ in kind; warn where one is frozen."""
    (label, kept), (name, lost) = first, other
    if not lost.unit.is_equivalent(kept.unit):
        raise StepError(
            f"{where}: {name} is in {_unit(lost)}, and {label} is in {_unit(kept)}: they cannot be "
            "one parameter",
            hint="link parameters of one kind",
        )
    if lost.name != kept.name:
        # models hand their parameters to the formula by the names that these have themselves
        raise StepError(
            f"{where}: {name} and {label} have different names; gammapy cannot make them one "
            "parameter",
            hint=f"link '{kept.name}' with '{kept.name}', of models of one type",
        )
    if lost.frozen != kept.frozen:
        state = "frozen, as" if kept.frozen else "free, as"
        warnings.warn(f"{where}: {name} becomes {state} {label} is", stacklevel=3)


def _unit(parameter: Any) -> str:
    return parameter.unit.to_string("fits") or "no unit"


def _replace(models: Any, old: Any, new: Any) -> None:
    """Put a parameter in the place of another, wherever it stands."""
    for model in models:
        for part in parts_of(model):
            for name in part.default_parameters.names:
                if getattr(part, name, None) is old:
                    setattr(part, name, new)


def set_frozen(models: Any, names: Sequence[str], frozen: bool, step: str, setting: str) -> None:
    """Freeze parameters or make them free, in place.

    Parameters
    ----------
    models : `gammapy.modeling.models.Models`
    names : sequence of str
        ``crab.index``, ``crab.spatial`` for a part, ``crab`` for a model; ``*`` stands for any
        text. To free a part or a model is to free what gammapy has free in it.
    frozen : bool
        What to set.
    step, setting : str
        For the message.

    Raises
    ------
    StepError
        For a name that stands for nothing.
    """
    labels = parameter_labels(models)
    own = _frozen_by_default(models)
    every = [f"{model.name}.{full}" for model in models for full in full_names(model)]
    rows = list(zip(labels, every, labels.values(), strict=True))
    for name in names:
        exact = [row for row in rows if fnmatchcase(row[0], name) or fnmatchcase(row[1], name)]
        whole = [] if exact else [row for row in rows if _inside(row[1], name, models.names)]
        if not exact and not whole:
            raise _nothing(name, labels, models, step, setting)
        for _, _, parameter in exact:
            parameter.frozen = frozen
        for _, _, parameter in whole:
            parameter.frozen = frozen or own.get(id(parameter), False)


def _frozen_by_default(models: Any) -> dict[int, bool]:
    """Return whether gammapy makes a parameter frozen, by identity."""
    found = {}
    for model in models:
        for part in parts_of(model):
            for default in part.default_parameters:
                found[id(getattr(part, default.name))] = bool(default.frozen)
    return found


def _inside(full: str, name: str, models: Iterable[str]) -> bool:
    """Tell whether a parameter is of the model or the part that a pattern stands for."""
    for model in models:
        if full.startswith(f"{model}."):
            part = full[len(model) + 1 :].partition(".")[0]
            if fnmatchcase(model, name) or fnmatchcase(f"{model}.{part}", name):
                return True
    return False


def _nothing(
    name: str, labels: Mapping[str, Any], models: Any, step: str, setting: str
) -> StepError:
    near = difflib.get_close_matches(name, [*labels, *models.names], n=2)
    hint = f"did you mean {' or '.join(repr(item) for item in near)}?" if near else ""
    return StepError(
        f"{step}: '{setting}': no parameter and no model is called '{name}'",
        hint=hint or f"the parameters are {', '.join(labels)}",
    )


def _known(name: str, names: Sequence[str], step: str, setting: str) -> str:
    """Return the name of a model that is there."""
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    raise StepError(
        f"{step}: '{setting}': no model is called '{name}'; the models are {', '.join(names)}",
        hint=f"did you mean '{near[0]}'?" if near else "",
    )

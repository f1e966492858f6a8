"""Parameters of models by the names that people write: ``index``, ``crab.index``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from gpwf.errors import StepError

if TYPE_CHECKING:
    from gpwf.steps.quantities import AnyQuantity

__all__ = [
    "find_free_parameter",
    "find_parameter",
    "full_names",
    "norm_parameters",
    "parameter_labels",
    "parameter_value",
]

# what gammapy calls the factors that spectra are proportional to
_NORMS = ("amplitude", "norm", "const")


def parameter_labels(models: Any) -> dict[str, Any]:
    """Return every parameter by its name: that of the model, a dot, its own.

    Parameters
    ----------
    models : `gammapy.modeling.models.Models`
        A parameter that several models share has several names; one whose name is twice in a model
        has that of its part besides, ``crab.spatial.sigma``, as gammapy names all of them.

    Returns
    -------
    parameters : dict of str to `gammapy.modeling.Parameter`
        In the order of the models.
    """
    labels: dict[str, Any] = {}
    for model in models:
        names = list(model.parameters.names)
        # gammapy's own names have the part of the model in them
        for name, full, parameter in zip(names, full_names(model), model.parameters, strict=True):
            short = name if names.count(name) == 1 else full
            labels[f"{model.name}.{short}"] = parameter
    return labels


def full_names(model: Any) -> list[str]:
    """Return gammapy's names of a model's parameters, with their part: ``spectral.index``.

    Of a template of counts, gammapy also names the parameters of its spatial part, which are none
    of its own.
    """
    return list(model.parameters_unique_names[: len(model.parameters)])


def find_parameter(models: Any, name: str, step: str, setting: str) -> tuple[str, Any]:
    """Return a parameter that a setting names, with its full name.

    Parameters
    ----------
    models : `gammapy.modeling.models.Models`
        Where to look.
    name : str
        ``crab.index``, or ``index`` where one model alone has it; gammapy's ``crab.spectral.index``
        is understood, too.
    step, setting : str
        For the message.

    Raises
    ------
    StepError
        Where there is none, or several; with the nearest names.
    """
    labels = parameter_labels(models)
    if name in labels:
        return name, labels[name]
    own = list(labels)
    every = [f"{model.name}.{full}" for model in models for full in full_names(model)]
    if name in every:
        label = own[every.index(name)]
        return label, labels[label]
    found = [label for label in own if label.endswith(f".{name}")]
    # a parameter that models share is one parameter, whatever it is called
    if len({id(labels[label]) for label in found}) == 1:
        return found[0], labels[found[0]]
    if found:
        raise StepError(
            f"{step}: several models have a parameter '{name}'",
            hint=f"write {' or '.join(found)} in '{setting}'",
        )
    short = {label.rpartition(".")[2]: label for label in reversed(own)}
    near = difflib.get_close_matches(name, own, n=2) or [
        short[item] for item in difflib.get_close_matches(name.rpartition(".")[2], short, n=2)
    ]
    hint = f"did you mean {' or '.join(repr(item) for item in near)}?" if near else ""
    raise StepError(
        f"{step}: '{setting}': the models have no parameter '{name}'; they have {', '.join(own)}",
        hint=hint or f"set '{setting}' to one of them",
    )


def norm_parameters(model: Any) -> list[Any]:
    """Return the parameters that the flux of a model is proportional to.

    Parameters
    ----------
    model : `gammapy.modeling.models.SkyModel`
        Or a model without a spectrum, which has none.
    """
    spectrum = getattr(model, "spectral_model", None)
    return [] if spectrum is None else [p for p in spectrum.parameters if p.name in _NORMS]


def find_free_parameter(models: Any, name: str, step: str, setting: str) -> tuple[str, Any]:
    """Return a parameter that was fitted, see `find_parameter`.

    Raises
    ------
    StepError
        Where there is none, or where it is frozen.
    """
    label, parameter = find_parameter(models, name, step, setting)
    if parameter.frozen:
        free = [key for key, item in parameter_labels(models).items() if not item.frozen]
        raise StepError(
            f"{step}: '{setting}': {label} is frozen, so the data say nothing about it; "
            f"free are {', '.join(free) or 'none'}",
            hint=f"set 'frozen: false' for {label} in the models and fit again, or name another",
        )
    return label, parameter


def parameter_value(
    value: float | AnyQuantity, label: str, parameter: Any, step: str, setting: str
) -> float:
    """Return a value of a parameter in the parameter's own unit.

    Parameters
    ----------
    value : float or AnyQuantity
        A bare number is for a parameter without unit.
    label, parameter : str, `gammapy.modeling.Parameter`
        As `find_parameter` gives them.
    step, setting : str
        For the message.

    Raises
    ------
    StepError
        Where the units do not agree.
    """
    from astropy import units as u

    unit = parameter.unit
    name = unit.to_string("fits")
    if isinstance(value, str):
        quantity = value.quantity
        if not quantity.unit.is_equivalent(unit):
            wanted = f"the unit {name}" if name else "no unit"
            raise StepError(
                f"{step}: '{setting}': {value} is no value of {label}, which has {wanted}",
                hint=f"write a number with a unit such as {name}" if name else "write a number",
            )
        return float(quantity.to_value(unit))
    if unit != u.dimensionless_unscaled:
        raise StepError(
            f"{step}: '{setting}': {value:g} has no unit, and {label} is in {name}",
            hint=f"write '{value:g} {name}' if that is meant",
        )
    return float(value)

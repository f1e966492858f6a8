"""Nested models: which parameters of the larger ones, at which values, make them the smaller ones.

A likelihood ratio means something for nested models alone: those of the null hypothesis are the
alternative with some of its parameters at fixed values. The values of known pairs of spectra are
in a table here; whether the fits agree as well is tested with the data by the step that asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gpwf.steps.parameter_names import norm_parameters

__all__ = ["NotNestedError", "Restriction", "apply_null", "fix", "restrictions"]


class NotNestedError(Exception):
    """Models are not nested, or nobody knows that they are; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """A free parameter of the alternative that the null hypothesis fixes.

    Parameters
    ----------
    model, part, name : str
        Names of the model and of the parameter, and the part: ``spectral``, ``spatial``,
        ``temporal``.
    value : float
        Where it is under the null hypothesis, in the parameter's unit.
    boundary : bool
        True where that is a bound of the parameter.
    meaningless : bool
        True where the parameter means nothing under the null hypothesis: the index of a source
        that is not there.
    exact : bool
        False where gammapy cannot evaluate the model at the value: an extension of zero.
    """

    model: str
    part: str
    name: str
    value: float
    boundary: bool = False
    meaningless: bool = False
    exact: bool = True

    @property
    def label(self) -> str:
        """Name of the parameter with its model."""
        return f"{self.model}.{self.name}"


# (null, alternative): what the null fixes, and what has another name in the alternative
_SPECTRA: Mapping[tuple[str, str], tuple[Mapping[str, float], Mapping[str, str]]] = {
    ("PowerLaw", "LogParabola"): ({"beta": 0.0}, {"index": "alpha"}),
    ("PowerLaw", "LogParabola2"): ({"beta": 0.0}, {"index": "alpha"}),
    ("PowerLaw", "ExpCutoffPowerLaw"): ({"lambda_": 0.0}, {}),
    ("PowerLaw", "SuperExpCutoffPowerLaw4FGL"): ({"expfactor": 0.0}, {"index": "index_1"}),
    ("PowerLaw", "SuperExpCutoffPowerLaw4FGLDR3"): ({"expfactor": 0.0}, {"index": "index_1"}),
}
# an extension of zero is a point; gammapy divides by it
_SHAPES: Mapping[tuple[str, str], str] = {
    ("Point", "Gaussian"): "sigma",
    ("Point", "Disk"): "r_0",
    ("Point", "GeneralizedGaussian"): "r_0",
}
_PARTS = ("spectral", "spatial", "temporal")


def restrictions(null: Any, alternative: Any) -> list[Restriction]:
    """Return what the null hypothesis fixes of the alternative.

    Parameters
    ----------
    null, alternative : `gammapy.modeling.models.Models`
        Models with the same names are the same sources.

    Raises
    ------
    NotNestedError
        Where the null hypothesis has something free that the alternative has not, or where the
        types of two models are no pair that is known to be nested.
    """
    missing = [name for name in null.names if name not in alternative.names]
    if missing:
        raise NotNestedError(f"the alternative has no model '{missing[0]}'")
    found: list[Restriction] = []
    for model in alternative:
        if model.name not in null.names:
            found += _new_source(model)
            continue
        for part in _PARTS:
            pair = [getattr(item, f"{part}_model", None) for item in (null[model.name], model)]
            found += _part(pair[0], pair[1], model.name, part)
    return found


def _new_source(model: Any) -> Iterator[Restriction]:
    """Yield the parameters of a source that the null hypothesis does not have.

    Raises
    ------
    NotNestedError
        Where it has no normalisation that is free.
    """
    norms = [item for item in norm_parameters(model) if not item.frozen]
    if not norms:
        raise NotNestedError(
            f"model '{model.name}' is in the alternative alone, with no free amplitude"
        )
    for part in _PARTS:
        for item in _parameters(getattr(model, f"{part}_model", None)):
            if item.frozen:
                continue
            is_norm = any(item is norm for norm in norms)
            yield Restriction(
                model=model.name,
                part=part,
                name=item.name,
                value=0.0 if is_norm else float(item.value),
                boundary=is_norm and _at_bound(item, 0.0),
                meaningless=not is_norm,
            )


def _part(null: Any, alternative: Any, model: str, part: str) -> list[Restriction]:
    """Return what is fixed of one part of a model.

    Raises
    ------
    NotNestedError
        Where the parts are not nested.
    """
    if null is None and alternative is None:
        return []
    kinds = (_kind(null, part), _kind(alternative, part))
    fixed: Mapping[str, float] = {}
    renamed: Mapping[str, str] = {}
    extension = None
    if kinds[0] != kinds[1]:
        if part == "spectral" and kinds in _SPECTRA:
            fixed, renamed = _SPECTRA[kinds]
        elif part == "spatial" and kinds in _SHAPES:
            extension = _SHAPES[kinds]
        else:
            raise NotNestedError(f"of '{model}', {kinds[0]} and {kinds[1]} are not known as nested")
    smaller = {renamed.get(item.name, item.name): item for item in _parameters(null)}
    larger = {item.name: item for item in _parameters(alternative)}
    for name, item in smaller.items():
        if not item.frozen and (name not in larger or larger[name].frozen):
            raise NotNestedError(
                f"{model}.{name} is free in the null hypothesis and not in the alternative"
            )
    return [
        _restriction(model, part, item, smaller.get(name), fixed.get(name), name == extension)
        for name, item in larger.items()
        if not item.frozen and (name not in smaller or smaller[name].frozen)
    ]


def _restriction(
    model: str, part: str, item: Any, smaller: Any, fixed: float | None, extension: bool
) -> Restriction:
    """Return what fixes one free parameter of the alternative."""
    value = fixed
    if extension:
        value = 0.0
    elif value is None and smaller is not None:
        value = float(smaller.quantity.to_value(item.unit))
    return Restriction(
        model=model,
        part=part,
        name=item.name,
        value=float(item.value) if value is None else value,
        boundary=extension or (value is not None and _at_bound(item, value)),
        # no value of its own: the exponent of a cut-off that is not there, the shape of a point
        meaningless=value is None,
        exact=not extension,
    )


def _at_bound(parameter: Any, value: float) -> bool:
    """Tell whether a value is at a bound, or beyond."""
    low, high = float(parameter.min), float(parameter.max)
    return (not math.isnan(low) and value <= low) or (not math.isnan(high) and value >= high)


def _kind(model: Any, part: str) -> str:
    if model is None:
        return "no model"
    return type(model).__name__.removesuffix(f"{part.capitalize()}Model")


def _parameters(model: Any) -> Any:
    return () if model is None else model.parameters


def apply_null(null: Any, alternative: Any, found: list[Restriction]) -> None:
    """Make an alternative the null hypothesis, in place: a start where both are equal.

    Parameters
    ----------
    null, alternative : `gammapy.modeling.models.Models`
        The null hypothesis at its best fit.
    found : list of Restriction
        What is fixed of the alternative.
    """
    for model in alternative:
        for part in _PARTS:
            mine = getattr(model, f"{part}_model", None)
            if mine is None or model.name not in null.names:
                continue
            theirs = getattr(null[model.name], f"{part}_model", None)
            kinds = (_kind(theirs, part), _kind(mine, part))
            renamed = _SPECTRA.get(kinds, ({}, {}))[1] if part == "spectral" else {}
            own = {item.name: item for item in mine.parameters}
            for item in _parameters(theirs):
                target = own.get(renamed.get(item.name, item.name))
                if target is not None and not target.frozen:
                    target.value = item.quantity.to_value(target.unit)
    fix(alternative, found)


def fix(alternative: Any, found: list[Restriction]) -> None:
    """Fix what the null hypothesis fixes of an alternative, in place.

    Parameters are as in `apply_null`.
    """
    for item in found:
        target = getattr(alternative[item.model], f"{item.part}_model").parameters[item.name]
        low, high = float(target.min), float(target.max)
        # the bound of an amplitude may be a little above zero
        target.value = min(max(item.value, low), high) if low <= high else item.value
        target.frozen = True

"""gammapy's models and the models inside them, known by their attributes alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["pairs_of", "parts_of", "restore_parameters"]

# attribute of a model → key of its dictionary
_PARTS = {
    "spectral_model": "spectral",
    "spatial_model": "spatial",
    "temporal_model": "temporal",
    "model1": "model1",
    "model2": "model2",
}
# classes whose readers drop what their parameters have besides the value, or all of it
_FORGETFUL = (
    "EBLAbsorptionNormSpectralModel",
    "LightCurveTemplateTemporalModel",
    "TemplateNDSpatialModel",
    "TemplateNDSpectralModel",
    "TemplatePhaseCurveTemporalModel",
)


def parts_of(model: Any) -> Iterator[Any]:
    """Yield a model and the models that it is made of, also those of compound ones."""
    yield model
    for name in _PARTS:
        part = getattr(model, name, None)
        if part is not None:
            yield from parts_of(part)


def pairs_of(model: Any, data: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield a model and its dictionary, then the same of the models that it is made of."""
    yield model, data
    for name, key in _PARTS.items():
        part = getattr(model, name, None)
        if part is not None and key in data:
            yield from pairs_of(part, data[key])


def restore_parameters(model: Any, data: Mapping[str, Any]) -> None:
    """Give parameters what their dictionary has and gammapy's reader ignores, in place.

    gammapy makes absorption and templates of several parameters from the values alone: errors,
    bounds, priors, links, and whether they are frozen, are lost.

    Parameters
    ----------
    model : object
        As gammapy made it of the dictionary.
    data : mapping
        In gammapy's YAML format.
    """
    for part, entry in pairs_of(model, data):
        if type(part).__name__ not in _FORGETFUL:
            continue
        for values in entry.get("parameters") or ():
            parameter = getattr(part, values["name"])
            if "unit" in values:
                parameter.unit = values["unit"]
            for key in ("value", "error", "min", "max", "frozen", "prior"):
                if key in values:
                    setattr(parameter, key, values[key])
            parameter._link_label_io = values.get("link")

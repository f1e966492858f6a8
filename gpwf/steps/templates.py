"""Maps inside models: kept as they are, whatever is copied, written and read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["parts_of", "settle_templates"]

_PARTS = ("spectral_model", "spatial_model", "temporal_model", "model1", "model2")


def parts_of(model: Any) -> Iterator[Any]:
    """Yield a model and the models that it is made of, also those of compound ones."""
    yield model
    for name in _PARTS:
        part = getattr(model, name, None)
        if part is not None:
            yield from parts_of(part)


def settle_templates(models: Any) -> Any:
    """Return models whose maps are not normalised again, changed in place.

    gammapy divides a map by its sum and by the solid angle of its pixels when a model is made, and
    again whenever the model is copied or read. Where pixels differ in size, every time gives
    another map. A map that is normalised stays as it is here.

    Parameters
    ----------
    models : `gammapy.modeling.models.Models`
    """
    for model in models:
        for part in parts_of(model):
            if getattr(part, "tag", None) and "TemplateSpatialModel" in part.tag:
                part.normalize = False
    return models

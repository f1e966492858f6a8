"""Maps inside models: kept as they are, whatever is copied, written and read."""

from __future__ import annotations

from typing import Any

from gpwf.core.model_parts import parts_of

__all__ = ["settle_templates"]


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

"""What spectra and maps share: order and names of datasets, axes, makers of gammapy."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from gpwf.steps.reduction.settings import Axes, BinnedAxis, DatasetsSettings
from gpwf.steps.settings import Angle, Section, SkyPosition

__all__ = [
    "arguments",
    "dataset_names",
    "energy_axes",
    "held",
    "observation_order",
    "safe_mask_maker",
    "stacked_name",
]

# without an axis in true energy: this factor beyond both ends, this many bins per decade
_TRUE_FACTOR = 2.0
_TRUE_PER_DECADE = 20


def observation_order(observation: Any) -> tuple[int, str]:
    """Return the key that sorts observations by number where the id is one, then by text.

    The order in which datasets are stacked changes the last bits of the result.
    """
    text = str(observation.obs_id)
    return (int(text) if text.isdigit() else -1, text)


def held(observation: Any) -> Any:
    """Return a copy of an observation that keeps what it reads of its files.

    The makers of gammapy ask for the same response up to ten times, and gammapy reads it each time.
    The copy is for one reduction: what it has read goes with it.
    """
    from gammapy.data import Observation

    if type(observation) is not Observation:
        return observation
    kept = copy.copy(observation)
    kept.__class__ = _holding()
    return kept


@cache
def _holding() -> type:
    from gammapy.data import Observation
    from gammapy.utils.fits import LazyFitsData

    names = ("aeff", "edisp", "psf", "_bkg", "_events")
    return type("Observation", (Observation,), {name: LazyFitsData(cache=True) for name in names})


def _telescope(observation: Any) -> str:
    """Return the telescope's name as the first part of dataset names."""
    info = observation.meta.obs_info
    text = str(getattr(info, "telescope", None) or getattr(info, "instrument", None) or "obs")
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "obs"


def dataset_names(observations: Iterable[Any], prefix: str | None) -> list[str]:
    """Return one name per observation; an id that comes again gets a number.

    A piece of an observation is called after that: ``hess-23523-01``.
    """
    names: list[str] = []
    for observation in observations:
        own = getattr(observation.obs_filter, "name", "") or observation.obs_id
        name = f"{prefix or _telescope(observation)}-{own}"
        again = sum(item == name or item.startswith(f"{name}-part") for item in names)
        names.append(f"{name}-part{again + 1}" if again else name)
    return names


def stacked_name(observations: Iterable[Any], prefix: str | None) -> str:
    """Return the name of the sum of the observations."""
    return f"{prefix or '-'.join(sorted({_telescope(item) for item in observations}))}-stacked"


def energy_axes(axes: Axes) -> tuple[Any, Any]:
    """Return the axes in reconstructed and in true energy, `gammapy.maps.MapAxis` in TeV."""
    energy = _map_axis(axes.energy, "energy")
    if axes.energy_true is not None:
        return energy, _map_axis(axes.energy_true, "energy_true")
    energy_true = type(energy).from_energy_bounds(
        axes.energy.min.quantity / _TRUE_FACTOR,
        axes.energy.max.quantity * _TRUE_FACTOR,
        _TRUE_PER_DECADE,
        per_decade=True,
        name="energy_true",
    )
    return energy, energy_true


def _map_axis(axis: BinnedAxis, name: str) -> Any:
    from gammapy.maps import MapAxis

    return MapAxis.from_energy_bounds(
        axis.min.quantity,
        axis.max.quantity,
        axis.nbins,
        per_decade=axis.per_decade,
        name=name,
    )


def safe_mask_maker(settings: DatasetsSettings) -> Any:
    """Return the `gammapy.makers.SafeMaskMaker`; None where there is no criterion."""
    if not settings.safe_mask.methods:
        return None
    from gammapy.makers import SafeMaskMaker

    parameters = settings.safe_mask.parameters
    names = tuple(type(parameters).model_fields)
    return SafeMaskMaker(methods=list(settings.safe_mask.methods), **arguments(parameters, names))


def arguments(section: Section, names: Sequence[str]) -> dict[str, Any]:
    """Return settings as arguments of a gammapy maker."""
    found = {}
    for name in names:
        value = getattr(section, name)
        if isinstance(value, SkyPosition):
            value = value.skycoord
        elif isinstance(value, Angle):
            value = value.quantity
        found[name] = value
    return found

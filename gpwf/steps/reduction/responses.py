"""Whether the response of an observation can give what the settings ask for."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.reduction.common import energy_axes
from gpwf.steps.reduction.settings import DatasetsSettings, OnRegion
from gpwf.steps.settings import Radius

__all__ = [
    "check_irfs",
    "check_map_exposure",
    "check_on_radius",
    "covers_energies",
    "rad_max_of",
    "safe_irfs",
]

# what a criterion of the safe mask reads of the files where it is computed from them
_SAFE_IRFS = {"aeff-max": "aeff", "aeff-default": "aeff", "edisp-bias": "edisp", "bkg-peak": "bkg"}

# the largest relative difference between two radii that gammapy takes for the same
_SAME_RADIUS = 1e-3


def safe_irfs(settings: DatasetsSettings) -> set[str]:
    """Return the response that the safe mask reads of the files."""
    found = {"aeff"} if "aeff-default" in settings.safe_mask.methods else set()
    if settings.safe_mask.parameters.irfs == "DL3":
        found |= {_SAFE_IRFS[name] for name in settings.safe_mask.methods if name in _SAFE_IRFS}
    return found


def check_irfs(observation: Any, needed: Iterable[str], hint: str, step: str) -> None:
    """Name the response that is not there; gammapy would fail on it without a word.

    Raises
    ------
    StepError
        Where one is missing.
    """
    missing = sorted(set(needed) - set(observation.available_irfs))
    if missing:
        raise StepError(
            f"{step}: observation {observation.obs_id} has no {', '.join(missing)}", hint=hint
        )


def rad_max_of(observation: Any, step: str) -> Any:
    """Return the `gammapy.irf.RadMax2D` of an observation, or None for a response of all radii.

    Raises
    ------
    StepError
        Where the response is point-like and does not say for which radius.
    """
    try:
        return observation.rad_max
    except ValueError as error:
        raise StepError(
            f"{step}: observation {observation.obs_id}: the response is point-like, its ON radius "
            f"is not known: {error}",
            hint="the header of the effective area must have RAD_MAX, a number in deg, or the file "
            "a table RAD_MAX_2D: mend the file, or leave the observation out",
        ) from error


def check_on_radius(
    observation: Any, region: OnRegion, settings: DatasetsSettings, step: str
) -> None:
    """Refuse an ON region that the response is not for.

    A point-like response is that of the events inside one radius: in gammapy, only the makers of
    reflected and wobble regions compare it with that of the region.

    Raises
    ------
    StepError
        Where the radii differ, or one of both is not known.
    """
    who = f"{step}: observation {observation.obs_id}"
    rad_max = rad_max_of(observation, step)
    if rad_max is None:
        if region.is_rad_max:
            raise StepError(
                f"{who}: its response has no ON radius, neither RAD_MAX_2D nor RAD_MAX",
                hint="it is that of all radii: give 'on_region.radius' as an angle, such as "
                "'0.11 deg'",
            )
        return
    if observation.aeff.is_pointlike:
        _check_point_like(who, settings)
    if isinstance(region.radius, Radius):
        _check_radius(who, region.radius, rad_max)
    else:
        _warn_of_gaps(who, rad_max, observation, settings)


def _check_radius(who: str, wanted: Radius, rad_max: Any) -> None:
    """Compare the radius of the region with that of the response.

    Raises
    ------
    StepError
        Where they differ.
    """
    import numpy as np

    if not rad_max.is_fixed_rad_max:
        raise StepError(
            f"{who}: the response is point-like, for a radius that depends on the energy",
            hint="its ON radius (RAD_MAX_2D) changes with energy: set 'on_region.radius: rad_max' "
            "and 'background.method: wobble'",
        )
    radius = rad_max.quantity.to_value("deg").flat[0]
    if not np.isclose(wanted.quantity.to_value("deg"), radius, rtol=_SAME_RADIUS):
        raise StepError(
            f"{who}: the response is point-like, for an ON radius of {radius:.4g} deg, not "
            f"{wanted}",
            hint=f"set 'on_region.radius: {radius:.6g} deg'",
        )


def _warn_of_gaps(who: str, rad_max: Any, observation: Any, settings: DatasetsSettings) -> None:
    """Warn where a table of radii has none: no event is counted at these energies."""
    assert settings.on_region is not None
    axis = energy_axes(settings.geom.axes)[0]
    pointing = observation.get_pointing_icrs(observation.tmid)
    offset = settings.on_region.center.skycoord.separation(pointing)
    radii = rad_max.evaluate(method="nearest", energy=axis.center, offset=offset).to_value("deg")
    gaps = ~(radii.ravel() > 0)  # also where they are not a number
    if gaps.any():
        low, high = axis.edges_min[gaps].min(), axis.edges_max[gaps].max()
        warnings.warn(
            f"{who}: the ON radius of the response (RAD_MAX_2D) is zero or missing in {gaps.sum()} "
            f"energy bins between {low:.3g} and {high:.3g}: no event is counted there",
            stacklevel=4,
        )


def _check_point_like(who: str, settings: DatasetsSettings) -> None:
    """Refuse what gammapy refuses, or only warns of, with a point-like response.

    Raises
    ------
    StepError
        Where the settings are for a response of all radii.
    """
    if settings.containment_correction:
        raise StepError(
            f"{who}: the response is point-like: it has the containment in it",
            hint="set 'containment_correction: false'",
        )
    if not settings.use_region_center:
        raise StepError(
            f"{who}: the response is point-like: it is for a source at the centre of the region",
            hint="set 'use_region_center: true'",
        )


def check_map_exposure(observation: Any, step: str) -> None:
    """Refuse maps of all events whose exposure is that of the events inside one radius.

    Raises
    ------
    StepError
        Where the response is point-like: fluxes of such maps would be wrong.
    """
    if observation.aeff.is_pointlike:
        raise StepError(
            f"{step}: observation {observation.obs_id}: the response is point-like: it has no "
            "exposure of maps",
            hint="use 'type: 1d'; for significances alone leave 'exposure' and 'psf' out of "
            "'map_selection'",
        )


def covers_energies(observation: Any, settings: DatasetsSettings, step: str) -> bool:
    """Tell whether the energies of the response overlap with those of the datasets."""
    edges = observation.aeff.axes["energy_true"].edges.to_value("TeV")
    low, high = edges[0], edges[-1]
    energy = settings.geom.axes.energy
    if energy.min.value < high and low < energy.max.value:
        return True
    warnings.warn(
        f"{step}: observation {observation.obs_id} is left out: its response is for {low:.3g} to "
        f"{high:.3g} TeV, the datasets are for {energy.min} to {energy.max}",
        stacklevel=2,
    )
    return False

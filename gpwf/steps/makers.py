"""What gammapy's makers take: checks of the settings that the steps of a reduction share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.core.catalog import SettingProblem
from gpwf.steps.arguments import argument_problems, section_problems, unused_problems
from gpwf.steps.settings import Section

__all__ = [
    "BACKGROUND_MAKERS",
    "SAFE_MASK_USERS",
    "background_problems",
    "safe_mask_problems",
]

SAFE_MASK_USERS: Mapping[str, tuple[str, ...]] = {
    "aeff_percent": ("aeff-max",),
    "bias_percent": ("edisp-bias",),
    "position": ("aeff-max", "edisp-bias"),
    "fixed_offset": ("aeff-max", "edisp-bias"),
    "offset_max": ("offset-max",),
    "irfs": ("aeff-max", "edisp-bias", "bkg-peak"),
}
"""Methods of `gammapy.makers.SafeMaskMaker` that use a parameter; a test reads its source."""

BACKGROUND_MAKERS: Mapping[str, str] = {
    "reflected": "gammapy.makers.ReflectedRegionsBackgroundMaker",
    "wobble": "gammapy.makers.WobbleRegionsFinder",
    "fov_background": "gammapy.makers.FoVBackgroundMaker",
    "ring": "gammapy.makers.RingBackgroundMaker",
    "adaptive_ring": "gammapy.makers.AdaptiveRingBackgroundMaker",
    "phase": "gammapy.makers.PhaseBackgroundMaker",
}
"""Class of gammapy that takes ``background.parameters``, by ``background.method``."""

_GIVEN_BY_STEP = {
    "exclusion_mask": "write 'background.exclusion'",
    "region_finder": "write 'background.method'",
    "fit": "",
}


def safe_mask_problems(
    methods: Sequence[str],
    parameters: Section | Mapping[str, Any] | None,
    at: tuple[str | int, ...] = ("safe_mask", "parameters"),
) -> list[SettingProblem]:
    """Return what is wrong with the parameters of the safe mask.

    Parameters
    ----------
    methods : sequence of str
        ``safe_mask.methods``.
    parameters : Section, mapping or None
        ``safe_mask.parameters``; of a section, only what differs from the default is judged.
    at : tuple
        Way to the parameters inside ``config``.
    """
    target = "gammapy.makers.SafeMaskMaker"
    given = _given(parameters)
    unused = unused_problems(
        given, at, users=SAFE_MASK_USERS, chosen=tuple(methods), setting="safe_mask.methods"
    )
    if isinstance(parameters, Section):
        return [*section_problems(target, parameters, at), *unused]
    own = {"methods": "write 'safe_mask.methods'"}
    return [*argument_problems(target, given, at, own=own), *unused]


def background_problems(
    method: str,
    parameters: Mapping[str, Any],
    at: tuple[str | int, ...] = ("background", "parameters"),
    *,
    partial: bool = False,
) -> list[SettingProblem]:
    """Return what is wrong with the parameters of the background, for its method.

    Parameters
    ----------
    method : str
        ``background.method``, a key of `BACKGROUND_MAKERS`; nothing is checked for others.
    parameters : mapping
        Those that are given.
    at : tuple
        Way to the parameters inside ``config``.
    partial : bool
        True where missing ones are reported elsewhere.
    """
    target = BACKGROUND_MAKERS.get(method)
    if target is None:
        return []
    return argument_problems(target, parameters, at, own=_GIVEN_BY_STEP, partial=partial)


def _given(parameters: Section | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a document changes of a section; a settled document repeats the defaults."""
    if parameters is None:
        return {}
    if isinstance(parameters, Section):
        return {
            name: getattr(parameters, name)
            for name, info in type(parameters).model_fields.items()
            if getattr(parameters, name) != info.default
        }
    return dict(parameters)

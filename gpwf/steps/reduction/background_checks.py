"""What cannot work in the parameters of a background method."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from gpwf.core.catalog import SettingProblem
from gpwf.steps.reduction.backgrounds import METHODS, BackgroundParameters
from gpwf.steps.reduction.phases import overlap, phase_pieces
from gpwf.steps.reduction.settings import DatasetsSettings, Wcs

__all__ = ["parameter_problems"]

_AT = ("background", "parameters")

# gammapy keeps the sums of all rings of all pixels, four of them, in memory
_MOST_RINGS = 500
_MOST_SUMS = 100_000_000

# the setting 'method' has choices of two methods
_CHOICES = {"fov_background": ("scale", "fit"), "adaptive_ring": ("fixed_width", "fixed_r_in")}


def parameter_problems(settings: DatasetsSettings) -> list[SettingProblem]:
    """Return what is wrong with the parameters: not of the method, missing, or inconsistent."""
    method = str(settings.background.method)
    found = list(_own_problems(method, settings.background.parameters))
    if found or method not in _CHECKS:
        return found
    return list(_CHECKS[method](settings))


def _clash(name: str, message: str, hint: str | None = None, code: str = "GP306") -> SettingProblem:
    return SettingProblem(path=(*_AT, name), message=message, code=code, hint=hint)


def _own_problems(method: str, parameters: BackgroundParameters) -> Iterator[SettingProblem]:
    """Check that the parameters are those of the background method."""
    own = METHODS[method]
    for name in type(parameters).model_fields:
        value = getattr(parameters, name)
        if value is not None and name not in own:
            message = f"{name!r} is no parameter of the background method '{method}'"
            yield _clash(name, message, f"its parameters: {', '.join(own)}")
        elif value is None and name in own:
            why = f"missing required setting {name!r}: the background method '{method}' needs it"
            yield _clash(name, why, code="GP305")
    choices = _CHOICES.get(method, ())
    if choices and parameters.method not in choices:
        message = f"{parameters.method!r} is no 'method' of the background method '{method}'"
        yield _clash("method", message, f"choices: {', '.join(choices)}", "GP304")


def _adaptive_problems(settings: DatasetsSettings) -> Iterator[SettingProblem]:
    """Check that the ring can grow, and by steps that are not too many."""
    assert settings.geom.wcs is not None
    parameters = settings.background.parameters
    r_in, width, step = parameters.r_in, parameters.width, parameters.stepsize
    largest, theta = parameters.r_out_max, parameters.theta
    assert r_in is not None
    assert width is not None
    assert largest is not None
    assert step is not None
    assert theta is not None
    yield from _ring_problems(settings)
    room = largest.value - r_in.value - width.value
    if room <= 0:
        yield _clash(
            "r_out_max",
            f"'r_out_max' ({largest}) must be more than 'r_in' and 'width' together ({r_in} + "
            f"{width}): there is no ring",
        )
    elif room / step.value > _MOST_RINGS:
        yield _clash(
            "stepsize",
            f"steps of {step} make {room / step.value:.0f} rings, more than {_MOST_RINGS}",
            "take larger steps: less than a pixel makes no difference",
        )
    elif room / step.value * _pixels(settings.geom.wcs) > _MOST_SUMS:
        yield _clash(
            "stepsize",
            f"{math.ceil(room / step.value)} rings in each of {_pixels(settings.geom.wcs):.1e} "
            f"pixels are more than {_MOST_SUMS:.0e}",
            "take larger steps, or larger pixels ('geom.wcs.binsize')",
        )
    # gammapy 2.1 multiplies with the size of a pixel (in deg) where it should divide
    if theta.value * settings.geom.wcs.binsize.value >= 0.5:
        yield _clash(
            "theta",
            f"'theta' ({theta}) and pixels of {settings.geom.wcs.binsize} make gammapy compare the "
            "background of several pixels with the counts of one",
            "take smaller pixels, or leave it out",
        )


def _pixels(wcs: Wcs) -> float:
    """Return the number of pixels of a map."""
    return wcs.width.width.value * wcs.width.height.value / wcs.binsize.value**2


def _ring_problems(settings: DatasetsSettings) -> Iterator[SettingProblem]:
    """Check that a ring has pixels."""
    assert settings.geom.wcs is not None
    width, pixel = settings.background.parameters.width, settings.geom.wcs.binsize
    assert width is not None
    if width.value < pixel.value:
        message = f"a ring of the width {width} is narrower than a pixel ({pixel})"
        yield _clash("width", message)


def _phase_problems(settings: DatasetsSettings) -> Iterator[SettingProblem]:
    """Check the intervals of the phase."""
    parameters = settings.background.parameters
    pieces = {}
    for name in ("on_phase", "off_phase"):
        try:
            pieces[name] = phase_pieces(getattr(parameters, name))
        except ValueError as error:
            yield _clash(name, str(error), "such as [[0.97, 1.05]]", "GP304")
            continue
        if overlap(pieces[name]):
            yield _clash(name, f"intervals of {name!r} overlap: events would count twice")
    if len(pieces) == 2 and overlap(pieces["on_phase"], pieces["off_phase"]):
        yield _clash("off_phase", "'on_phase' and 'off_phase' overlap")


_CHECKS: Mapping[str, Callable[[DatasetsSettings], Iterator[SettingProblem]]] = {
    "ring": _ring_problems,
    "adaptive_ring": _adaptive_problems,
    "phase": _phase_problems,
}

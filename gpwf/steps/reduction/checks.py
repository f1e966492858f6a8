"""What cannot work in the settings of a reduction; told before any data are touched."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gpwf.core.catalog import SettingProblem
from gpwf.core.contents import Contents
from gpwf.steps.makers import background_problems, safe_mask_problems
from gpwf.steps.reduction.background_checks import parameter_problems
from gpwf.steps.reduction.backgrounds import (
    MAP_METHODS,
    METHODS,
    NO_EXCLUSION,
    NO_TEMPLATE,
    SPECTRUM_METHODS,
)
from gpwf.steps.reduction.settings import BinnedAxis, DatasetsSettings, Wcs

__all__ = ["declared_datasets", "reduction_problems"]

# a map of more values than this does not fit into the memory of a usual machine
_MOST_VALUES = 1_000_000_000

# the map that a criterion of the safe mask is computed from
_SAFE_MAPS = {"aeff-max": "exposure", "edisp-bias": "edisp", "bkg-peak": "background"}


def declared_datasets(settings: DatasetsSettings) -> Contents:
    """Return what the datasets of a reduction will hold."""
    energy = settings.geom.axes.energy
    return Contents(energies=(energy.min.value, energy.max.value), path=("geom", "axes", "energy"))


def reduction_problems(settings: DatasetsSettings) -> list[SettingProblem]:
    """Return what is inconsistent between the settings of a reduction."""
    kind = _problems_1d if settings.type == "1d" else _problems_3d
    found = list(kind(settings))
    if any(item.path == ("background", "method") for item in found):
        return found  # its parameters do not matter
    return [
        *found,
        *_energy_problems(settings),
        *_exclusion_problems(settings),
        *(parameter_problems(settings) or _background_problems(settings)),
        *safe_mask_problems(settings.safe_mask.methods, settings.safe_mask.parameters),
    ]


def _clash(path: str, message: str, hint: str | None = None) -> SettingProblem:
    return SettingProblem(path=tuple(path.split(".")), message=message, code="GP306", hint=hint)


def _missing(path: str, why: str) -> SettingProblem:
    name = path.rpartition(".")[2]
    message = f"missing required setting {name!r}: {why}"
    return SettingProblem(path=tuple(path.split(".")), message=message, code="GP305")


def _problems_1d(settings: DatasetsSettings) -> Iterator[SettingProblem]:
    """Check what belongs to spectra."""
    if settings.on_region is None:
        yield _missing("on_region", "datasets of type 1d need the region of the source")
    method = str(settings.background.method)
    if method not in SPECTRUM_METHODS:
        yield _clash(
            "background.method",
            f"the background method '{method}' needs maps ('type: 3d')",
            f"with 'type: 1d' use {_listed(SPECTRUM_METHODS)}",
        )
    if settings.on_region is not None and settings.on_region.is_rad_max:
        yield from _rad_max_problems(settings)
    for name, value in (
        ("geom.wcs", settings.geom.wcs),
        ("geom.selection", settings.geom.selection),
        ("map_selection", settings.map_selection),
    ):
        if value is not None:
            last = name.rpartition(".")[2]
            yield _clash(name, f"{last!r} has no meaning with 'type: 1d', only with 'type: 3d'")


def _rad_max_problems(settings: DatasetsSettings) -> Iterator[SettingProblem]:
    """Check what belongs to a point-like response of several radii."""
    if settings.background.method == "reflected":
        yield _clash(
            "background.method",
            "the background method 'reflected' needs an ON region of one radius, not 'rad_max'",
            "use 'wobble'; where the radius is the same at all energies, give it: "
            "'on_region.radius: 0.17 deg'",
        )
    if settings.containment_correction:
        yield _clash(
            "containment_correction",
            "'containment_correction' has no meaning with 'radius: rad_max': the response has the "
            "containment in it",
        )
    if not settings.use_region_center:
        yield _clash(
            "use_region_center",
            "'use_region_center: false' has no meaning with 'radius: rad_max': the response is for "
            "a source at the centre",
        )


def _listed(names: tuple[str, ...]) -> str:
    quoted = [f"'{name}'" for name in names]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _energy_problems(settings: DatasetsSettings) -> Iterator[SettingProblem]:
    """Check that the axes in reconstructed and in true energy have something in common."""
    energy, true = settings.geom.axes.energy, settings.geom.axes.energy_true
    if true is not None and (
        true.max.value <= energy.min.value or true.min.value >= energy.max.value
    ):
        yield _clash(
            "geom.axes.energy_true",
            f"true energies from {true.min} to {true.max} do not overlap with those of the counts, "
            f"{energy.min} to {energy.max}",
            "the axis in true energy goes further than that of the counts on both sides",
        )


def _exclusion_problems(settings: DatasetsSettings) -> Iterator[SettingProblem]:
    """Check that a mask is not given where nothing is excluded."""
    method = str(settings.background.method)
    if settings.background.exclusion is not None and method in NO_EXCLUSION:
        yield _clash(
            "background.exclusion",
            f"'exclusion' has no meaning with the background method '{method}': it takes the "
            "background from the place of the source",
        )


def _problems_3d(settings: DatasetsSettings) -> Iterator[SettingProblem]:
    """Check what belongs to maps."""
    assert settings.geom.wcs is not None  # filled in
    yield from _size_problems(settings.geom.wcs, settings.geom.axes.energy)
    if settings.on_region is not None:
        yield _clash(
            "on_region", "'on_region' has no meaning with 'type: 3d', only with 'type: 1d'"
        )
    if settings.containment_correction:
        yield _clash(
            "containment_correction",
            "'containment_correction' has no meaning with 'type: 3d': the PSF is in the fit",
        )
    if not settings.use_region_center:
        yield _clash(
            "use_region_center",
            "'use_region_center' has no meaning with 'type: 3d', only with 'type: 1d'",
        )
    method = str(settings.background.method)
    if method not in MAP_METHODS:
        yield _clash(
            "background.method",
            f"the background method '{method}' needs an ON region ('type: 1d')",
            f"with 'type: 3d' use {_listed(MAP_METHODS)}",
        )
        return
    yield from _selection_problems(settings)
    bins = _bins(settings.geom.axes.energy)
    if method == "adaptive_ring" and bins > 1:
        yield _clash(
            "geom.axes.energy.nbins",
            f"the background method 'adaptive_ring' needs a single energy bin, not {bins}",
            "gammapy would take the background of the first bin for all: make one reduction per "
            "energy range, or use 'ring'",
        )


def _selection_problems(settings: DatasetsSettings) -> Iterator[SettingProblem]:
    """Check that the maps are made which background and safe mask are computed from."""
    selection = settings.map_selection or ()
    method = str(settings.background.method)
    maps = ("counts",) if method in NO_TEMPLATE else ("counts", "background")
    users: dict[str, tuple[str, ...]] = {f"the background method '{method}'": maps}
    if settings.safe_mask.parameters.irfs == "DL4":
        users |= {
            f"the safe mask '{name}'": (_SAFE_MAPS[name],)
            for name in settings.safe_mask.methods
            if name in _SAFE_MAPS
        }
    for user, needed in users.items():
        missing = " and ".join(f"'{name}'" for name in needed if name not in selection)
        if missing:
            yield _clash("map_selection", f"{user} needs {missing}")


def _size_problems(wcs: Wcs, energy: BinnedAxis) -> Iterator[SettingProblem]:
    """Check that the map has pixels, and not too many."""
    for name in ("width", "height"):
        extent = getattr(wcs.width, name)
        if wcs.binsize.value >= extent.value:
            message = f"the pixel ({wcs.binsize}) must be smaller than the {name} ({extent})"
            yield _clash("geom.wcs.binsize", message)
            return
    n_lon, n_lat = (
        round(extent.value / wcs.binsize.value) for extent in (wcs.width.width, wcs.width.height)
    )
    values = n_lon * n_lat * _bins(energy)
    if values > _MOST_VALUES:
        yield _clash(
            "geom.wcs.binsize",
            f"{n_lon} x {n_lat} pixels in {_bins(energy)} energy bins are {values:.1e} values, "
            f"more than {_MOST_VALUES:.0e}",
            "check the units of 'binsize' and 'width'",
        )


def _bins(axis: BinnedAxis) -> int:
    """Return the number of bins in total."""
    if not axis.per_decade:
        return axis.nbins
    return math.ceil(math.log10(axis.max.value / axis.min.value) * axis.nbins)


def _background_problems(settings: DatasetsSettings) -> list[SettingProblem]:
    """Check the parameters against the maker of the installed gammapy."""
    background = settings.background
    method = str(background.method)
    own = {name: getattr(background.parameters, name) for name in METHODS[method]}
    given = {name: value for name, value in own.items() if value is not None}
    return background_problems(method, given, partial=True)

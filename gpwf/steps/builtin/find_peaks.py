"""The step ``find-peaks``: sources from the peaks of a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.map_quantities import energy_plane, quantity_map, quantity_names
from gpwf.steps.settings import DiffFlux, Energy, Field, Radius, StepSettings

__all__ = ["FindPeaksStep"]

_INPUTS: Mapping[str, Port] = {
    "flux-maps": Port(name="flux_maps", kind="flux-maps", help="Maps of significance and flux"),
    "maps": Port(name="maps", kind="maps", help="Maps, one of which is searched"),
    "map": Port(name="map", kind="map", help="Map to search"),
}


class FindPeaksSettings(StepSettings):
    """Settings of the step."""

    search: Literal["flux-maps", "maps", "map"] = Field(
        "flux-maps", description="Kind of product that is searched; the input follows from it"
    )
    quantity: str = Field(
        "sqrt_ts", description="Which of the maps is searched: sqrt_ts, flux, excess …"
    )
    threshold: float = Field(
        5.0, description="Value that a peak must exceed, in the unit of the map"
    )
    min_distance: Radius = Field(
        Radius("0.3 deg"),
        description="Distance from every higher peak, in both coordinates; a pixel at least",
    )
    energy: Energy | None = Field(
        None, description="An energy in the bin to search; left out: there is only one bin"
    )
    max_peaks: int | None = Field(
        None, ge=1, le=10_000, description="Most peaks to keep, the highest; left out: all"
    )
    prefix: str = Field(
        "source",
        pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,39}$",
        description="Names of the models: source-1, source-2 …",
    )
    spectral_index: float | None = Field(
        None, description="Index to start from; left out: that of the flux maps, or 2"
    )
    amplitude: DiffFlux | None = Field(
        None,
        description="Flux at 1 TeV to start from; left out: that of the flux maps, which have one "
        "where the datasets have exposure",
    )


class FindPeaksStep(Step):
    """Find the peaks of a map, and make a point source of each.

    Peaks are pixels that are the highest within ``min_distance``
    (`gammapy.estimators.utils.find_peaks`), above the threshold. The table has a row for each, the
    highest first, with position and value, and what the flux maps know there. The models have a
    point source with a power law for each, with position and flux to start from: a ``fit`` takes
    them as they are. Without a peak there is no data, and the highest value is named.
    """

    tag: ClassVar[str] = "find-peaks"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Find peaks of a map as sources"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = FindPeaksSettings
    input_ports: ClassVar[tuple[Port, ...]] = (_INPUTS["flux-maps"],)
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="peaks", kind="table", help="Position and value of each peak"),
        Port(name="models", kind="models", help="A point source for each peak"),
    )

    def inputs(self, settings: FindPeaksSettings) -> tuple[Port, ...]:
        """Return the port of the kind of product that is searched."""
        return (_INPUTS[settings.search],)

    def check(self, settings: FindPeaksSettings) -> Sequence[SettingProblem]:
        """Refuse a map without flux and without an amplitude to start from."""
        if settings.search == "flux-maps" or settings.amplitude is not None:
            return []
        message = (
            f"'amplitude' is needed: a source has no flux where 'search' is '{settings.search}'"
        )
        return [SettingProblem(path=("amplitude",), message=message, code="GP306")]

    def run(
        self, settings: FindPeaksSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``peaks`` (`astropy.table.Table`) and ``models``."""
        maps = inputs[_INPUTS[settings.search].name]
        image, index = _image(maps, settings, ctx.step)
        found = _peaks(image, settings, ctx.step)
        peaks = _table(found, image, maps if settings.search == "flux-maps" else None, index)
        peaks["name"] = [f"{settings.prefix}-{number + 1}" for number in range(len(peaks))]
        peaks = peaks[["name", *(name for name in peaks.colnames if name != "name")]]
        peaks.meta = {
            "product": "peaks",
            "quantity": settings.quantity,
            "threshold": settings.threshold,
        }
        return {"peaks": peaks, "models": _models(peaks, maps, index, settings, ctx.step)}


def _image(maps: Any, settings: FindPeaksSettings, step: str) -> tuple[Any, int]:
    """Return the image to search, and the number of its energy bin."""
    name = settings.quantity if settings.search != "map" else ""
    energy = None if settings.energy is None else settings.energy.quantity
    item = quantity_map(maps, name, step)
    return energy_plane(item, energy, step)


def _peaks(image: Any, settings: FindPeaksSettings, step: str) -> Any:
    """Return gammapy's table of peaks; of pixels beside each other with one value the first.

    Raises
    ------
    NoDataError
        Where there is none.
    StepError
        Where every pixel would be one.
    """
    import numpy as np
    from astropy.coordinates import SkyCoord
    from gammapy.estimators.utils import find_peaks

    if not np.isfinite(image.data).any():
        raise NoDataError(f"{step}: the map has no value anywhere")
    pixel = float(np.mean(image.geom.pixel_scales.to_value("deg")))
    if settings.min_distance.value < pixel * (1 - 1e-6):
        raise StepError(
            f"{step}: 'min_distance' ({settings.min_distance}) is less than a pixel of the map "
            f"({pixel:.4g} deg): every pixel would be a peak",
            hint="set it to the width of the point spread function, or more",
        )
    found = find_peaks(image, settings.threshold, settings.min_distance.quantity)
    if not len(found):
        raise _no_peak(image, settings, step)
    place = SkyCoord(found["ra"], found["dec"])
    distance = settings.min_distance.quantity
    kept: list[int] = []
    for number in range(len(found)):
        equal = [k for k in kept if found["value"][k] == found["value"][number]]
        if not any(place[number].separation(place[k]) <= distance for k in equal):
            kept.append(number)
    return found[kept][: settings.max_peaks]


def _no_peak(image: Any, settings: FindPeaksSettings, step: str) -> NoDataError:
    """Return what to say of a map without a peak."""
    import numpy as np
    from astropy.coordinates import SkyCoord

    values = image.data
    where = np.unravel_index(np.nanargmax(values), values.shape)
    highest = float(values[where])
    if highest > settings.threshold:
        return NoDataError(
            f"{step}: '{settings.quantity}' has no peak: its value is {highest:.4g} wherever it "
            "has one"
        )
    at = SkyCoord.from_pixel(where[-1], where[-2], wcs=image.geom.wcs)
    lon, lat = at.data.lon.deg, at.data.lat.deg
    limit = f"{settings.threshold:g} {image.unit}".strip()
    return NoDataError(
        f"{step}: no peak of '{settings.quantity}' is above {limit}; the largest value is "
        f"{highest:.4g}, at {lon:.3f} deg, {lat:.3f} deg ({image.geom.frame})",
        hint="lower 'threshold', or use more data",
    )


def _table(found: Any, image: Any, flux_maps: Any, index: int) -> Any:
    """Return the table of peaks: positions in the frame of the map, values, and fluxes there."""
    import numpy as np
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

    x, y = np.array(found["x"]), np.array(found["y"])
    place = SkyCoord.from_pixel(x, y, wcs=image.geom.wcs)
    table = Table()
    table["frame"] = [str(image.geom.frame)] * len(found)
    table["lon"] = place.data.lon.to(u.deg)
    table["lat"] = place.data.lat.to(u.deg)
    table["value"] = found["value"]
    table["value"].info.format = None
    table["x"], table["y"] = x, y
    for name in quantity_names(flux_maps) if flux_maps is not None else ():
        if name in ("sqrt_ts", "ts", "flux", "flux_err", "flux_ul", "npred_excess", "counts"):
            table[name] = quantity_map(flux_maps, name, "").quantity[index, y, x]
    return table


def _models(peaks: Any, maps: Any, index: int, settings: FindPeaksSettings, step: str) -> Any:
    """Return a point source with a power law for each peak."""
    from gammapy.modeling.models import Models, PointSpatialModel, PowerLawSpectralModel, SkyModel

    models = []
    for peak in peaks:
        slope, amplitude = _start(peak, maps, index, settings, step)
        spectrum = PowerLawSpectralModel(index=slope, amplitude=amplitude, reference="1 TeV")
        point = PointSpatialModel(
            lon_0=f"{peak['lon']} deg", lat_0=f"{peak['lat']} deg", frame=str(peak["frame"])
        )
        models.append(SkyModel(spectrum, point, name=str(peak["name"])))
    return Models(models)


def _start(
    peak: Any, maps: Any, index: int, settings: FindPeaksSettings, step: str
) -> tuple[float, Any]:
    """Return index and amplitude at 1 TeV to start from.

    Raises
    ------
    StepError
        Where the flux maps have no flux, or none above zero there.
    """
    from astropy import units as u

    slope = 2.0 if settings.spectral_index is None else settings.spectral_index
    if settings.amplitude is not None:
        return slope, settings.amplitude.quantity
    reference = maps.reference_model.spectral_model
    if settings.spectral_index is None and "index" in reference.parameters.names:
        slope = float(reference.parameters["index"].value)
    if "norm" not in maps._data:
        raise StepError(
            f"{step}: the flux maps have no flux: the datasets have no exposure",
            hint="set 'amplitude', the flux at 1 TeV to start from",
        )
    norm = float(maps.norm.data[index, peak["y"], peak["x"]])
    amplitude = (norm * reference(1 * u.TeV)).to("cm-2 s-1 TeV-1")
    if not amplitude.value > 0:
        raise StepError(
            f"{step}: the flux maps have no flux above zero at {peak['name']} "
            f"({peak['lon']:.3f} deg, {peak['lat']:.3f} deg)",
            hint="set 'amplitude', the flux at 1 TeV to start from",
        )
    return slope, amplitude

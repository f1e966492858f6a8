"""The step ``fermi-datasets``: from events of Fermi-LAT to the spectrum of a region."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gpwf.core.catalog import SettingProblem
from gpwf.core.contents import Contents
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.fermi_files import (
    check_energies,
    read_containment,
    read_events,
    read_exposure,
)
from gpwf.steps.reduction.common import energy_axes
from gpwf.steps.reduction.settings import Axes
from gpwf.steps.settings import Field, InputPath, Radius, Section, SkyCircle, StepSettings

__all__ = ["FermiDatasetsStep"]

_EMPTY = 10  # none where ten are expected: less likely than 5e-5


class Ring(Section):
    """The ring around the ON region in which the background is counted."""

    r_in: Radius = Field(Radius("1 deg"), description="Inner radius of the ring")
    width: Radius = Field(Radius("1 deg"), description="Width of the ring")


class FermiDatasetsSettings(StepSettings):
    """Settings of the step."""

    events: InputPath = Field(description="Events, of gtselect and gtmktime")
    exposure: InputPath = Field(description="Exposure cube of gtexpcube2: HEALPix, or a map")
    psf: InputPath = Field(description="Point spread function of gtpsf, at or near the source")
    on_region: SkyCircle = Field(description="Region of the source")
    axes: Axes = Field(
        Axes.model_validate({}), description="Energy axes", json_schema_extra={"usual": True}
    )
    background: Ring = Field(Ring.model_validate({}), description="Where the background is counted")
    energy_resolution: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Sigma of the reconstructed energy, as a part of the true one; the tools give "
        "no energy dispersion with these files, above 10 GeV 0.05 to 0.1 is right",
    )
    name: str = Field("fermi", min_length=1, max_length=40, description="Name of the dataset")


class FermiDatasetsStep(Step):
    """Count events of Fermi-LAT in a region, with background from a ring.

    For a point source that stands out, above some 10 GeV: the counts of the ON region (ON) and of a
    ring around it (OFF) become a `gammapy.datasets.SpectrumDatasetOnOff`, which a joint fit takes
    beside those of ground-based telescopes. The exposure is that at the centre of the region, times
    the part of the point spread function inside it; the energy dispersion is a Gaussian. What
    diffuse emission varies over the ring, and what the source leaves in it, is not accounted for:
    for other sources analyse maps (`read-datasets` reads those of fermipy).

    Exposure cubes in HEALPix pixels need no further package.
    """

    tag: ClassVar[str] = "fermi-datasets"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Reduce events of Fermi-LAT to a spectrum"
    group: ClassVar[str] = "reduction"
    Settings: ClassVar[type[StepSettings]] = FermiDatasetsSettings
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", help="One spectrum with OFF counts"),
    )
    packages: ClassVar[tuple[str, ...]] = ("gammapy", "numpy", "scipy", "astropy", "regions")

    def check(self, settings: FermiDatasetsSettings) -> Sequence[SettingProblem]:
        """Check that the ring lies outside the ON region, and not around half of the sky."""
        inner, radius = settings.background.r_in, settings.on_region.radius
        problems = []
        if inner.value <= radius.value:
            problems.append(
                SettingProblem(
                    path=("background", "r_in"),
                    message=f"the ring begins at {inner}, inside the ON region of {radius}",
                    code="GP306",
                    hint="give an inner radius beyond the reach of the point spread function",
                )
            )
        if inner.value + settings.background.width.value > 90:
            message = "the ring ends beyond 90 deg"
            problems.append(
                SettingProblem(path=("background", "width"), message=message, code="GP306")
            )
        return problems

    def declares(self, settings: FermiDatasetsSettings) -> Mapping[str, Contents]:
        """Return the energies of the dataset."""
        energy = settings.axes.energy
        bounds = (energy.min.value, energy.max.value)
        return {"datasets": Contents(energies=bounds, path=("axes", "energy"))}

    def run(
        self,
        settings: FermiDatasetsSettings,
        inputs: Mapping[str, Any],  # noqa: ARG002  (the step has no inputs)
        ctx: StepContext,
    ) -> Mapping[str, Any]:
        """Return ``datasets``: `gammapy.datasets.Datasets`."""
        from gammapy.datasets import Datasets, SpectrumDatasetOnOff
        from gammapy.maps import RegionNDMap

        events, gti = read_events(settings.events.path, ctx.step)
        energy, energy_true = energy_axes(settings.axes)
        check_energies(events, energy, ctx.step)
        counts, counts_off, ratio = _counted(settings, events, energy, ctx.step)
        geom, geom_true = counts.geom, counts.geom.to_image().to_cube([energy_true])
        acceptance = RegionNDMap.from_geom(geom, data=1.0)
        dataset = SpectrumDatasetOnOff(
            name=settings.name,
            counts=counts,
            counts_off=counts_off,
            acceptance=acceptance,
            acceptance_off=RegionNDMap.from_geom(geom, data=ratio),
            exposure=_exposure(settings, geom_true, ctx.step),
            edisp=_dispersion(settings, energy, energy_true, geom_true),
            mask_safe=RegionNDMap.from_geom(geom, data=True, dtype=bool),
            gti=gti,
        )
        return {"datasets": Datasets([dataset])}


def _counted(settings: FermiDatasetsSettings, events: Any, energy: Any, step: str) -> Any:
    """Return the counts of the region and of the ring, and how much larger the ring is.

    Distances are those on the sphere, as the solid angles: a plane stretches wide rings.

    Raises
    ------
    NoDataError
        Where nothing was counted.
    StepError
        Where the ring is empty, or reaches beyond the events.
    """
    from gammapy.maps import RegionGeom
    from regions import CircleSkyRegion

    center, radius = settings.on_region.center.skycoord, settings.on_region.radius
    inner = settings.background.r_in.value
    outer = inner + settings.background.width.value
    geom = RegionGeom.create(CircleSkyRegion(center, radius.quantity), axes=[energy])
    distance = events.radec.separation(center).deg
    on = _filled(geom, center, events.energy[distance < radius.value])
    off = _filled(geom, center, events.energy[(distance > inner) & (distance < outer)])
    if not on.data.any():
        bounds = f"{settings.axes.energy.min} and {settings.axes.energy.max}"
        raise NoDataError(
            f"{step}: no event of {settings.events.path.name} in the ON region between {bounds}",
            hint="check 'on_region' and 'axes.energy'",
        )
    if not off.data.any():
        raise StepError(
            f"{step}: no event of {settings.events.path.name} in the ring from "
            f"{settings.background.r_in} to {outer:g} deg",
            hint="widen 'background', or check that the events reach as far",
        )
    _check_reach(distance, inner, outer, step)
    return on, off, _solid_angle(inner, outer) / _solid_angle(0, radius.value)


def _filled(geom: Any, center: Any, energy: Any) -> Any:
    """Return a map with the energies of some events, wherever in the region they were."""
    import numpy as np
    from astropy.coordinates import SkyCoord
    from gammapy.maps import RegionNDMap

    counts = RegionNDMap.from_geom(geom)
    if len(energy):
        ra, dec = (np.full(len(energy), item.deg) for item in (center.icrs.ra, center.icrs.dec))
        place = SkyCoord(ra, dec, unit="deg", frame="icrs")
        counts.fill_by_coord({"skycoord": place, "energy": energy})
    return counts


def _solid_angle(inner: float, outer: float) -> float:
    """Return the solid angle of a ring, without the factor 2 pi; angles in deg."""
    return math.cos(math.radians(inner)) - math.cos(math.radians(outer))


def _check_reach(distance: Any, inner: float, outer: float, step: str) -> None:
    """Refuse a ring that reaches beyond the events of the file, where it would be empty.

    Raises
    ------
    StepError
        Where the part of the ring beyond the farthest event should have more than ten.
    """
    reach = float(distance.max())
    if reach >= outer or reach <= inner:
        return
    n_inside = int(((distance > inner) & (distance < outer)).sum())
    missing = n_inside * _solid_angle(reach, outer) / _solid_angle(inner, reach)
    if missing > _EMPTY:
        raise StepError(
            f"{step}: the ring ends at {outer:g} deg, and no event is farther than {reach:.3g} deg",
            hint="make 'background.width' smaller, or select events in a wider region",
        )


def _exposure(settings: FermiDatasetsSettings, geom: Any, step: str) -> Any:
    """Return the exposure of the region: that of its centre, times the containment."""
    from gammapy.maps import RegionNDMap

    region = settings.on_region
    energy = geom.axes["energy_true"].center
    values = read_exposure(settings.exposure.path, region.center.skycoord, energy, step)
    values = values * read_containment(settings.psf.path, region.radius.quantity, energy, step)
    return RegionNDMap.from_geom(geom, data=values.value, unit=values.unit)


def _dispersion(settings: FermiDatasetsSettings, energy: Any, energy_true: Any, geom: Any) -> Any:
    """Return a Gaussian energy dispersion without bias."""
    from gammapy.irf import EDispKernelMap

    return EDispKernelMap.from_gauss(
        energy_axis=energy,
        energy_axis_true=energy_true,
        sigma=settings.energy_resolution,
        bias=0,
        geom=geom.to_image(),
    )

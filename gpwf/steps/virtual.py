"""Observations that nobody has made: a file of instrument response, a pointing and a live time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from gpwf.errors import StepError
from gpwf.steps.reduction.common import energy_axes, safe_mask_maker
from gpwf.steps.reduction.settings import Axes, SafeMask, Wcs
from gpwf.steps.settings import (
    Duration,
    Field,
    InputPath,
    Instant,
    Section,
    SkyCircle,
    SkyPosition,
    problem,
)

__all__ = ["Binning", "VirtualObservation", "expected_datasets", "read_irfs", "resize_region"]

_GAP_S = 120.0  # between the end of an observation and the start of the next


class Binning(Section):
    """Energy axes, and pixels for maps."""

    axes: Axes = Field(
        Axes.model_validate({}), description="Energy axes", json_schema_extra={"usual": True}
    )
    wcs: Wcs | None = Field(
        None, description="3d: pixels of the map; left out: 5 deg around the pointing"
    )


class VirtualObservation(Section):
    """What is observed with which instrument, and how it is binned."""

    irfs: InputPath = Field(
        description="FITS file with the response (effective area, energy dispersion, PSF, "
        "background) in the GADF format, of CTAO for example"
    )
    pointing: SkyPosition = Field(description="Where the telescopes point")
    livetime: Duration = Field(Duration("5 h"), description="Live time of each observation")
    n_obs: int = Field(1, ge=1, le=10_000, description="Number of observations, a dataset each")
    start: Instant = Field(
        Instant("2025-01-01T22:00:00"), description="Start of the first observation, UTC"
    )
    type: Literal["1d", "3d"] = Field(
        "3d", description="Kind of datasets: 1d, spectra of one region; 3d, maps in energy bins"
    )
    geom: Binning = Field(
        Binning.model_validate({}), description="Binning", json_schema_extra={"usual": True}
    )
    on_region: SkyCircle | None = Field(
        None, description="1d: region of the source; must be given there"
    )
    containment_correction: bool = Field(
        True, description="1d: correct the exposure for the part of the PSF outside the ON region"
    )
    containment: float | None = Field(
        None,
        gt=0,
        lt=1,
        examples=[0.68],
        description="1d: let the radius change with energy so that it holds this part of the PSF, "
        "instead of 'on_region.radius'",
    )
    acceptance_off: float | None = Field(
        None,
        gt=0,
        examples=[5.0],
        description="1d: how many times the ON region the OFF regions are, for ON/OFF spectra; "
        "left out: the background is known",
    )
    safe_mask: SafeMask = Field(
        SafeMask.model_validate({"methods": ()}),
        description="Range of the data that can be trusted; everything by default",
    )
    prefix: str = Field(
        "simulated", min_length=1, max_length=40, description="First part of the datasets' names"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.type == "1d" and self.on_region is None:
            raise problem("GP306", "'type: 1d' needs 'on_region'")
        for name in ("on_region", "containment", "acceptance_off"):
            if self.type == "3d" and getattr(self, name) is not None:
                raise problem("GP306", f"{name!r} has no meaning with 'type: 3d', only with '1d'")
        if self.type == "1d" and self.geom.wcs is not None:
            raise problem("GP306", "'geom.wcs' has no meaning with 'type: 1d', only with '3d'")
        return self


def read_irfs(path: Path, step: str, required: tuple[str, ...]) -> dict[str, Any]:
    """Return the response in a FITS file.

    Parameters
    ----------
    path : Path
        File in the GADF format.
    step : str
        Name of the step, for messages.
    required : tuple of str
        What must be there: ``aeff``, ``edisp``, ``psf``, ``bkg``.

    Returns
    -------
    irfs : dict
        As `gammapy.data.Observation` takes it. The effective area says whose it is, which gammapy's
        sampling of events needs.

    Raises
    ------
    StepError
        Where the file is no FITS file, lacks a response, or has that of a point source.
    """
    from gammapy.irf import load_irf_dict_from_file

    try:
        irfs: dict[str, Any] = load_irf_dict_from_file(path)
    except (OSError, ValueError, KeyError) as error:
        raise StepError(
            f"{step}: cannot read instrument response from {path.name}: {error}",
            hint="give a FITS file with HDUs of the class RESPONSE (GADF)",
        ) from error
    missing = [name for name in required if name not in irfs]
    if missing:
        raise StepError(
            f"{step}: {path.name} has no {', '.join(missing)}; it has "
            f"{', '.join(sorted(irfs)) or 'no response'}",
            hint="give a file with the full-enclosure response",
        )
    pointlike = [name for name, irf in irfs.items() if getattr(irf, "is_pointlike", False)]
    if pointlike:
        raise StepError(
            f"{step}: {path.name} has the response after a cut on the distance from the source "
            f"(HDUCLAS3 = POINT-LIKE: {', '.join(pointlike)}), which would be applied twice",
            hint="give a file with the full-enclosure response",
        )
    for irf in irfs.values():
        for name in ("TELESCOP", "INSTRUME"):
            irf.meta.setdefault(name, "unknown")
    return irfs


def expected_datasets(settings: VirtualObservation, step: str) -> Any:
    """Return datasets with response and background, and with no counts yet.

    Parameters
    ----------
    settings : VirtualObservation
        What is observed.
    step : str
        Name of the step, for messages.

    Returns
    -------
    datasets : `gammapy.datasets.Datasets`
        Of `gammapy.datasets.MapDataset`, each with a background model of its own, of
        `gammapy.datasets.SpectrumDataset`, or of `gammapy.datasets.SpectrumDatasetOnOff`, whose OFF
        counts are then the expected ones.

    Raises
    ------
    StepError
        Where the response cannot be used, or sees nothing of the region.
    """
    from gammapy.datasets import Datasets

    irfs = read_irfs(settings.irfs.path, step, ("aeff", "edisp", "psf", "bkg"))
    make = _map if settings.type == "3d" else _spectrum
    made = []
    for number in range(settings.n_obs):
        observation = _observation(settings, number, irfs)
        dataset = make(settings, observation, f"{settings.prefix}-{number + 1}")
        maker = safe_mask_maker(settings)  # type: ignore[arg-type]  # it asks for 'safe_mask' alone
        if maker is not None:
            dataset = maker.run(dataset, observation)
        made.append(dataset)
    _check(made, settings, step)
    return Datasets(made)


def _observation(settings: VirtualObservation, number: int, irfs: Mapping[str, Any]) -> Any:
    """Return an observation without events."""
    from astropy import units as u
    from gammapy.data import FixedPointingInfo, Observation

    start = settings.start.time.tt + number * (settings.livetime.value + _GAP_S) * u.s
    return Observation.create(
        pointing=FixedPointingInfo(fixed_icrs=settings.pointing.skycoord.icrs),
        obs_id=number + 1,
        tstart=start,
        tstop=start + settings.livetime.quantity,
        irfs=dict(irfs),
        reference_time=settings.start.time.tt,
    )


def _map(settings: VirtualObservation, observation: Any, name: str) -> Any:
    """Return a map dataset."""
    from gammapy.datasets import MapDataset
    from gammapy.makers import MapDatasetMaker
    from gammapy.maps import WcsGeom
    from gammapy.modeling.models import FoVBackgroundModel

    wcs = settings.geom.wcs or Wcs.model_validate({})
    center = wcs.skydir or settings.pointing
    energy, energy_true = energy_axes(settings.geom.axes)
    geom = WcsGeom.create(
        skydir=center.skycoord,
        frame=center.frame,
        binsz=wcs.binsize.value,
        width=(wcs.width.width.value, wcs.width.height.value),
        axes=[energy],
    )
    empty = MapDataset.create(
        geom, energy_axis_true=energy_true, binsz_irf=wcs.binsize_irf.value, name=name
    )
    maker = MapDatasetMaker(selection=["exposure", "background", "psf", "edisp"])
    dataset = maker.run(empty, observation)
    dataset.models = FoVBackgroundModel(dataset_name=name)
    return dataset


def _spectrum(settings: VirtualObservation, observation: Any, name: str) -> Any:
    """Return a spectrum, with OFF counts where their acceptance is given.

    References
    ----------
    Region per energy: gammapy's tutorial "Point source sensitivity".
    """
    from gammapy.datasets import SpectrumDataset, SpectrumDatasetOnOff
    from gammapy.makers import SpectrumDatasetMaker
    from gammapy.maps import RegionGeom
    from regions import CircleSkyRegion

    assert settings.on_region is not None  # checked with the settings
    energy, energy_true = energy_axes(settings.geom.axes)
    center, radius = settings.on_region.center.skycoord, settings.on_region.radius.quantity
    geom = RegionGeom.create(CircleSkyRegion(center, radius), axes=[energy])
    maker = SpectrumDatasetMaker(
        selection=["exposure", "edisp", "background"],
        containment_correction=settings.containment_correction and settings.containment is None,
    )
    empty = SpectrumDataset.create(geom, energy_axis_true=energy_true, name=name)
    dataset = maker.run(empty, observation)
    if settings.containment is not None:
        radii = observation.psf.containment_radius(
            energy_true=energy.center,
            offset=observation.pointing.fixed_icrs.separation(center.icrs),
            fraction=settings.containment,
        )
        resize_region(dataset, settings.containment, radii, radius)
    if settings.acceptance_off is None:
        return dataset
    on_off = SpectrumDatasetOnOff.from_spectrum_dataset(
        dataset=dataset, acceptance=1, acceptance_off=settings.acceptance_off, name=name
    )
    on_off.meta_table = dataset.meta_table
    return on_off


def resize_region(dataset: Any, containment: float, radii: Any, radius: Any) -> None:
    """Make exposure and background those of a region whose radius changes with energy.

    Parameters
    ----------
    dataset : `gammapy.datasets.SpectrumDataset`
        Without correction for containment, changed in place. The background is taken to be the same
        everywhere in the region.
    containment : float
        Part of a point source inside the radii.
    radii : `astropy.units.Quantity`
        Radius in each bin of reconstructed energy, shape (n,).
    radius : `astropy.units.Quantity`
        Radius that the dataset was made with.

    References
    ----------
    gammapy's tutorial "Point source sensitivity".
    """
    import numpy as np

    dataset.exposure.data *= containment
    share = (1 - np.cos(radii)) / (1 - np.cos(radius))
    dataset.background.data *= share.to_value("").reshape((-1, 1, 1))


def _check(datasets: list[Any], settings: VirtualObservation, step: str) -> None:
    """Refuse what cannot be seen.

    Raises
    ------
    StepError
        Where there is no exposure, or the background is not finite.
    """
    import numpy as np

    if not any((dataset.exposure.data > 0).any() for dataset in datasets):
        raise StepError(
            f"{step}: there is no exposure: the response of {settings.irfs.path.name} ends before",
            hint="check 'pointing' against 'on_region' or 'geom.wcs.skydir', and 'geom.axes'",
        )
    if not all(np.isfinite(dataset.npred_background().data).all() for dataset in datasets):
        raise StepError(
            f"{step}: the expected background is not finite at every energy",
            hint="narrow 'geom.axes.energy' to the energies of the response, or leave "
            "'containment' out",
        )

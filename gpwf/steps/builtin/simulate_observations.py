"""Simulated observations as a DL3 datastore."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.builtin.models import ModelsStep
from gpwf.steps.dl3 import IndexRows, write_index, write_observation
from gpwf.steps.parametric import ParametricIrfs, make_irfs
from gpwf.steps.settings import (
    Angle,
    Duration,
    Field,
    InputPath,
    Instant,
    Radius,
    SkyPosition,
    StepSettings,
)
from gpwf.steps.virtual import read_irfs

__all__ = ["SimulateObservationsSettings", "SimulateObservationsStep"]

log = logging.getLogger(__name__)

_MODELS = ModelsStep()

_PIXEL_DEG = 0.02  # larger pixels show in the sampled positions
_GAP_S = 120.0  # between the end of an observation and the start of the next
# GADF: times count from a reference; this one is 2001-01-01 in UTC, as H.E.S.S. has it
_REFERENCE = "2001-01-01T00:01:04.184"


class SimulateObservationsSettings(StepSettings):
    """Settings of simulate-observations."""

    models: InputPath | list[Any] | dict[str, Any] = Field(
        description="Sources in gammapy's YAML format: a file, or the components themselves"
    )
    target: SkyPosition | None = Field(
        None, description="Position that the wobble pointings surround"
    )
    wobble_offset: Radius = Field(
        Radius("0.5 deg"), description="Distance of the pointings from the target"
    )
    wobble_angles: tuple[Angle, ...] = Field(
        (Angle("0 deg"), Angle("180 deg"), Angle("90 deg"), Angle("270 deg")),
        min_length=1,
        description="Position angles of the pointings seen from the target, used in turn",
    )
    pointings: tuple[SkyPosition, ...] | None = Field(
        None, min_length=1, description="Pointings, used in turn, instead of 'target'"
    )
    n_obs: int = Field(6, ge=1, le=10_000, description="Number of observations")
    livetime: Duration = Field(Duration("28 min"), description="Live time of each observation")
    first_obs_id: int = Field(1, ge=1, description="Id of the first observation; they count up")
    start: Instant = Field(
        Instant("2004-12-04T22:00:00"), description="Start of the first observation, UTC"
    )
    site: Literal["hess", "magic", "veritas", "ctao_north", "ctao_south"] = Field(
        "hess", description="Where the instrument stands; it decides altitude and azimuth only"
    )
    irfs: ParametricIrfs = Field(ParametricIrfs(), description="The instrument's response")
    irf_file: InputPath | None = Field(
        None,
        description="FITS file with a response in the GADF format, of CTAO for example, instead of "
        "the parametric one; of 'irfs' only energy, offset_max and deadtime_fraction then count",
    )
    seed: int = Field(
        0, ge=0, description="Seed; each observation draws from a stream of its own below it"
    )


class SimulateObservationsStep(Step):
    """Simulates observations of a field and writes them as DL3 data.

    The response is parametric (the effective area of a known instrument, Gaussian energy
    dispersion and point spread function, and a background that falls with energy and offset), or
    that of a file: `irf_file`. Events are drawn by gammapy's `MapDatasetEventSampler`. The product
    is a complete datastore (EVENTS, GTI, AEFF, EDISP, PSF, BKG, observation and HDU index) that
    gammapy, or the step `observations`, reads like any other. The same settings give the same
    bytes.
    """

    tag = "simulate-observations"
    version = "1"
    title = "Simulate observations"
    group = "simulation"
    Settings = SimulateObservationsSettings
    file_settings = ("models", "irf_file")
    output_ports = (
        Port(name="datastore", kind="datastore", help="DL3 datastore of the observations"),
    )
    packages = ("gammapy", "numpy", "scipy", "astropy", "regions")

    def check(self, settings: SimulateObservationsSettings) -> Sequence[SettingProblem]:
        """Check that pointings are given once and that energies can spill in."""
        problems = []
        if settings.target is None and settings.pointings is None:
            problems.append(
                SettingProblem(
                    path=("target",),
                    message="missing required setting 'target' (or 'pointings')",
                    code="GP305",
                )
            )
        if settings.target is not None and settings.pointings is not None:
            problems.append(
                SettingProblem(
                    path=("pointings",),
                    message="give either 'target' or 'pointings', not both",
                    code="GP306",
                )
            )
        problems += [
            replace(item, path=("models", *item.path[1:]))
            for item in _MODELS.check(_models_settings(settings))
        ]
        if settings.irf_file is None:
            problems += _check_energies(settings.irfs)
        return problems

    def external_files(self, settings: SimulateObservationsSettings) -> tuple[ExternalFile, ...]:
        """Return the file of models and what it refers to, and that of the response."""
        found = _MODELS.external_files(_models_settings(settings))
        files = [replace(item, setting="models") for item in found]
        if settings.irf_file is not None:
            files.append(input_file("irf_file", settings.irf_file))
        return tuple(files)

    def run(
        self,
        settings: SimulateObservationsSettings,
        inputs: Mapping[str, Any],  # noqa: ARG002
        ctx: StepContext,
    ) -> Mapping[str, Any]:
        """Simulate the observations, each with random numbers of its own."""
        directory = ctx.work_dir / "datastore"
        directory.mkdir()
        models = _read_models(settings, ctx)
        irfs = _irfs(settings, ctx.step)

        def simulate(number: int) -> IndexRows:
            observation = _observation(settings, number, irfs)
            obs_id = observation.obs_id
            observation._events = _sample(settings, observation, models, ctx)
            log.info("observation %s: %d events", obs_id, len(observation.events.table))
            path = directory / f"obs-{obs_id:06d}.fits"
            return write_observation(path, observation, _header(settings, observation, models))

        rows = ctx.map(simulate, range(settings.n_obs), label="observations")
        write_index(directory, rows, _observation(settings, 0, irfs).gti)
        return {"datastore": directory}


def _irfs(settings: SimulateObservationsSettings, step: str) -> Mapping[str, Any]:
    """Return the response: the parametric one, or that of the file."""
    if settings.irf_file is None:
        return make_irfs(settings.irfs)
    return read_irfs(settings.irf_file.path, step, ("aeff", "edisp", "psf", "bkg"))


def _check_energies(irfs: ParametricIrfs) -> list[SettingProblem]:
    reco, true = irfs.energy, irfs.energy_true
    if true.min.value < reco.min.value and true.max.value > reco.max.value:
        return []
    return [
        SettingProblem(
            path=("irfs", "energy_true"),
            message=f"energy_true ({true.min} to {true.max}) must reach beyond energy "
            f"({reco.min} to {reco.max}) on both sides",
            code="GP306",
        )
    ]


def _models_settings(settings: SimulateObservationsSettings) -> Any:
    """Return the settings with which the step ``models`` reads the sources."""
    where = "file" if isinstance(settings.models, InputPath) else "inline"
    return ModelsStep.Settings.model_validate({where: settings.models})


def _read_models(settings: SimulateObservationsSettings, ctx: StepContext) -> Any:
    """Return gammapy's models.

    Raises
    ------
    StepError
        Where gammapy cannot make models of them, or one has no position.
    """
    models = _MODELS.run(_models_settings(settings), {}, ctx)["models"]
    for model in models:
        if getattr(model, "spatial_model", None) is None:
            raise StepError(
                f"{ctx.step}: model {model.name!r} has no spatial model, so events have no "
                "position",
                hint="add a 'spatial' part, a PointSpatialModel for example",
            )
    return models


def _pointing(settings: SimulateObservationsSettings, number: int) -> Any:
    if settings.pointings is not None:
        return settings.pointings[number % len(settings.pointings)].skycoord.icrs
    assert settings.target is not None  # by `check`
    angle = settings.wobble_angles[number % len(settings.wobble_angles)]
    return settings.target.skycoord.icrs.directional_offset_by(
        angle.quantity, settings.wobble_offset.quantity
    )


def _observation(
    settings: SimulateObservationsSettings, number: int, irfs: Mapping[str, Any]
) -> Any:
    """Return an observation without events."""
    from astropy import units as u
    from astropy.time import Time
    from gammapy.data import FixedPointingInfo, Observation, observatory_locations

    dead = settings.irfs.deadtime_fraction
    ontime_s = settings.livetime.value / (1 - dead)
    start = settings.start.time.tt + number * (ontime_s + _GAP_S) * u.s
    return Observation.create(
        pointing=FixedPointingInfo(fixed_icrs=_pointing(settings, number)),
        obs_id=settings.first_obs_id + number,
        tstart=start,
        tstop=start + ontime_s * u.s,
        irfs=dict(irfs),
        deadtime_fraction=dead,
        reference_time=Time(_REFERENCE, scale="tt"),
        location=observatory_locations[settings.site],
    )


def _sample(
    settings: SimulateObservationsSettings, observation: Any, models: Any, ctx: StepContext
) -> Any:
    """Return the events of an observation."""
    import numpy as np
    from gammapy.datasets import MapDataset, MapDatasetEventSampler
    from gammapy.makers import MapDatasetMaker
    from gammapy.maps import MapAxis, WcsGeom
    from gammapy.modeling.models import FoVBackgroundModel, Models

    energy = MapAxis.from_energy_edges(settings.irfs.energy.edges, name="energy")
    geom = WcsGeom.create(
        skydir=observation.pointing.fixed_icrs,
        width=2 * settings.irfs.offset_max.value,
        binsz=_PIXEL_DEG,
        axes=[energy],
    )
    name = f"simulated-{observation.obs_id}"
    empty = MapDataset.create(
        geom,
        energy_axis_true=observation.aeff.axes["energy_true"],
        migra_axis=observation.edisp.axes["migra"],
        name=name,
    )
    maker = MapDatasetMaker(selection=["exposure", "background", "psf", "edisp"])
    dataset = maker.run(empty, observation)
    dataset.models = Models([*models, FoVBackgroundModel(dataset_name=name)])
    sequence = ctx.seed_sequence(settings.seed, int(observation.obs_id))
    sampler = MapDatasetEventSampler(random_state=np.random.RandomState(np.random.PCG64(sequence)))
    # without the observation: with it, gammapy makes a header that holds the time of day
    return sampler.event_det_coords(observation, sampler.run(dataset))


def _header(
    settings: SimulateObservationsSettings, observation: Any, models: Any
) -> dict[str, Any]:
    """Return the cards of EVENTS that say what was observed, from where and when."""
    location = observation.observatory_earth_location
    horizontal = _altaz(observation, location)
    cards: dict[str, Any] = {
        "OBJECT": models[0].name if len(models) else "background",
        "ALT_PNT": round(float(horizontal.alt.deg), 4),
        "AZ_PNT": round(float(horizontal.az.deg), 4),
        "GEOLON": round(float(location.lon.deg), 6),
        "GEOLAT": round(float(location.lat.deg), 6),
        "ALTITUDE": round(float(location.height.to_value("m")), 2),
    }
    if settings.target is not None:
        target = settings.target.skycoord.icrs
        cards |= {"RA_OBJ": float(target.ra.deg), "DEC_OBJ": float(target.dec.deg)}
    for suffix, time in (("OBS", observation.tstart), ("END", observation.tstop)):
        day, _, clock = time.utc.isot.partition("T")
        cards |= {f"DATE-{suffix}": day, f"TIME-{suffix}": clock}
    return cards


def _altaz(observation: Any, location: Any) -> Any:
    """Return the pointing in horizontal coordinates in the middle of the observation.

    UT1 is taken to be UTC and the poles to stand still: right to 0.004 deg, and the same whatever
    table of the Earth's rotation is installed (reading that one takes two seconds).
    """
    import numpy as np
    from astropy import units as u
    from astropy.table import QTable
    from astropy.utils import iers

    still = QTable({"MJD": np.array([0.0, 1e5]) * u.d, "UT1_UTC": np.zeros(2) * u.s})
    for name in ("PM_x", "PM_y", "dX_2000A", "dY_2000A"):
        still[name] = np.zeros(2) * u.arcsec
    with iers.earth_orientation_table.set(iers.IERS(still)):
        return observation.pointing.get_altaz(observation.tmid, location)

"""The step ``theta2``: events over their squared distance from a position."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.reduction.common import held, observation_order
from gpwf.steps.settings import EnergyRange, Field, Radius, SkyPosition, StepSettings

__all__ = ["Theta2Step"]

_SAME_OFFSET_DEG = 0.1  # within this, the acceptance of ON and OFF is the same
_SHOWN = 5  # observations in a message
_WIDEST_DEG = 5.0  # field of view where no response tells it


class Theta2Settings(StepSettings):
    """Settings of the step."""

    position: SkyPosition = Field(description="Where the source is")
    positions_off: tuple[SkyPosition, ...] | None = Field(
        None,
        min_length=1,
        description="Where the background is counted, with the same acceptance; left out: opposite "
        "to the source as seen from each pointing",
    )
    off_regions_number: int | None = Field(
        None,
        ge=1,
        le=100,
        examples=[1],
        description="Without 'positions_off': positions around the pointing, evenly spaced with "
        "the source; left out: 1",
    )
    theta_max: Radius = Field(
        Radius("0.4 deg"), description="Largest distance; regions of this radius must not overlap"
    )
    nbins: int = Field(16, ge=1, le=10_000, description="Bins of equal width in theta squared")
    theta_cut: Radius = Field(
        Radius("0.1 deg"), description="Radius of the circle whose counts and significance are told"
    )
    energy: EnergyRange = Field(
        EnergyRange.model_validate({}),
        description="Energies of the events to use; the lower bound is included",
    )


class Theta2Step(Step):
    """Count events over their squared distance from a source and from background positions.

    Equal areas on the sky are bins of equal width, so that the background is flat and a source
    stands out at zero. The background is counted in the same field of view, at the position
    opposite to the source as seen from the pointing (or at several around it), where the acceptance
    is the same by symmetry: the ratio alpha is one over their number. The excess in each bin and
    within `theta_cut`, its errors and the significance are those of Li & Ma (1983). The same
    numbers come from `gammapy.makers.utils.ThetaSquaredTable`. Observations whose field of view
    does not reach the source are left out.

    `distribution` has a row per bin. `summary` has one row, the counts within `theta_cut`.
    """

    tag: ClassVar[str] = "theta2"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Count events over squared distance"
    group: ClassVar[str] = "reduction"
    Settings: ClassVar[type[StepSettings]] = Theta2Settings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="observations", kind="observations", help="Events and pointings"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="distribution", kind="table", help="ON and OFF counts per bin of theta squared"),
        Port(name="summary", kind="table", help="One row: counts and significance in the cut"),
    )

    def check(self, settings: Theta2Settings) -> Sequence[SettingProblem]:
        """Check that the cut lies on the axis, and OFF positions are given in one way."""
        problems = []
        if settings.positions_off is not None and settings.off_regions_number is not None:
            message = "give either 'positions_off' or 'off_regions_number', not both"
            problems.append(
                SettingProblem(path=("off_regions_number",), message=message, code="GP306")
            )
        if settings.theta_cut.value > settings.theta_max.value:
            message = f"'theta_cut' ({settings.theta_cut}) is beyond 'theta_max'"
            problems.append(SettingProblem(path=("theta_cut",), message=message, code="GP306"))
        return problems

    def run(
        self, settings: Theta2Settings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``distribution`` and ``summary``: `astropy.table.Table`."""
        import numpy as np

        observations = sorted(inputs["observations"], key=observation_order)
        if not observations:
            raise NoDataError(f"{ctx.step}: there are no observations")
        observations = _in_view(observations, settings.position.skycoord, ctx.step)
        _check_regions(settings, observations, ctx.step)
        edges = np.linspace(0, settings.theta_max.value**2, settings.nbins + 1)
        cut = np.array([0, settings.theta_cut.value**2])

        def count(observation: Any) -> Any:
            return _count(observation, settings, (edges, cut), ctx.step)

        found = ctx.map(count, observations, label="observations")
        (on, off), (on_cut, off_cut) = (sum(parts) for parts in zip(*found, strict=True))
        if not on.any() and not off.any():
            raise NoDataError(
                f"{ctx.step}: no event within {settings.theta_max} of the source or of its "
                "background positions",
                hint="check 'position' and 'energy' against the observations",
            )
        alpha = 1 / _off_number(settings)
        summary = _statistics(on_cut, off_cut, alpha)
        summary.add_column([settings.theta_cut.value], name="theta_cut", index=0)
        summary["theta_cut"].unit = "deg"
        summary["n_observations"] = [len(observations)]
        livetime = sum(item.observation_live_time_duration.to_value("s") for item in observations)
        summary["livetime"] = [livetime]
        summary["livetime"].unit = "s"
        summary.meta = {"product": "theta2-summary", **_meta(settings)}
        table = _statistics(on, off, alpha)
        for place, (name, values) in enumerate(
            (("theta2_min", edges[:-1]), ("theta2_max", edges[1:]))
        ):
            table.add_column(values, name=name, index=place)
            table[name].unit = "deg2"
        row = {name: summary[name][0].item() for name in summary.colnames}
        table.meta = {"product": "theta2", **_meta(settings), "cut": row}
        return {"distribution": table, "summary": summary}


def _off_number(settings: Theta2Settings) -> int:
    if settings.positions_off is not None:
        return len(settings.positions_off)
    return settings.off_regions_number or 1


def _pointing(observation: Any) -> Any:
    return observation.get_pointing_icrs(observation.tmid)


def _in_view(observations: Sequence[Any], position: Any, step: str) -> list[Any]:
    """Return the observations that see the source, warn of the others.

    An observation sees as far as its effective area is known, unless that is for one offset alone,
    as a point-like response may be. (Single events may seem to come from very far off.)

    Raises
    ------
    NoDataError
        Where none does.
    """
    found = []
    for observation in observations:
        pointing = _pointing(observation)
        offset, reach = float(pointing.separation(position).deg), _WIDEST_DEG
        if "aeff" in observation.available_irfs:
            axis = observation.aeff.axes["offset"]
            reach = float(axis.edges.to_value("deg").max()) if axis.nbin > 1 else _WIDEST_DEG
        if offset <= reach:
            found.append(observation)
            continue
        warnings.warn(
            f"{step}: observation {observation.obs_id} is left out: the source is {offset:.2f} deg "
            f"from its pointing, its field of view ends at {reach:.2f} deg",
            stacklevel=2,
        )
    if not found:
        raise NoDataError(
            f"{step}: the source is outside the field of view of every observation",
            hint="check 'position', or choose observations that point at it",
        )
    return found


def _check_regions(settings: Theta2Settings, observations: Sequence[Any], step: str) -> None:
    """Refuse regions that overlap, warn of OFF positions with another acceptance.

    Raises
    ------
    StepError
        Where an event could be counted twice.
    """
    radius = settings.theta_max.value
    position = settings.position.skycoord.icrs
    if settings.positions_off is None:
        number = settings.off_regions_number or 1
        # the regions are the corners of a regular polygon around the pointing
        half = math.sin(math.pi / (number + 1))
        offsets = {o.obs_id: float(_pointing(o).separation(position).deg) for o in observations}
        close = {obs_id: deg for obs_id, deg in offsets.items() if deg * half < radius}
        if close:
            listed = ", ".join(f"{name} ({deg:.2f} deg)" for name, deg in close.items())
            if len(close) > _SHOWN:
                listed = f"{len(close)} observations, the nearest {min(close.values()):.2f} deg"
            at_most = min(close.values()) * half
            smaller = f"set 'theta_max' to less than {at_most:.3g} deg, " if at_most > 0.01 else ""
            raise StepError(
                f"{step}: source and {number} background region(s) of radius "
                f"{settings.theta_max} overlap: the pointing is too near to the source: {listed}",
                hint=f"{smaller}take fewer background regions, give 'positions_off', or leave "
                "these observations out",
            )
        return
    places = [position, *(item.skycoord.icrs for item in settings.positions_off)]
    names = ["the source", *(f"positions_off.{n}" for n in range(len(places) - 1))]
    for number, place in enumerate(places):
        for other in range(number):
            apart = float(place.separation(places[other]).deg)
            if apart < 2 * radius:
                raise StepError(
                    f"{step}: {names[other]} and {names[number]} are {apart:.3g} deg apart: "
                    f"regions of radius {settings.theta_max} overlap",
                    hint=f"set 'theta_max' to less than {apart / 2:.3g} deg, or another position",
                )
    _warn_acceptance(places, observations, step)


def _warn_acceptance(places: Sequence[Any], observations: Sequence[Any], step: str) -> None:
    """Warn where OFF positions are nearer to the pointing than the source, or further off."""
    worst = 0.0
    for observation in observations:
        on, *off = (float(_pointing(observation).separation(place).deg) for place in places)
        worst = max(worst, *(abs(deg - on) for deg in off))
    if worst > _SAME_OFFSET_DEG:
        warnings.warn(
            f"{step}: a background position is up to {worst:.2f} deg nearer to the pointing than "
            "the source, or further from it; the same acceptance is assumed",
            stacklevel=2,
        )


def _count(
    observation: Any, settings: Theta2Settings, binnings: Sequence[Any], step: str
) -> list[Any]:
    """Return ON and OFF counts of an observation, an array of shape (2, n) per binning."""
    import numpy as np
    from astropy import units as u

    events = held(observation).events
    bounds = settings.energy
    if bounds.min is not None or bounds.max is not None:
        low = bounds.min.value if bounds.min else 0.0
        high = bounds.max.value if bounds.max else math.inf
        events = events.select_energy([low, high] * u.TeV)
    radec = events.radec

    def histograms(place: Any) -> list[Any]:
        theta2 = place.separation(radec).deg ** 2
        return [np.histogram(theta2, edges)[0] for edges in binnings]

    on = histograms(settings.position.skycoord)
    off = [histograms(place) for place in _off_positions(observation, settings, step)]
    return [
        np.stack([on[number], sum(item[number] for item in off)]) for number in range(len(binnings))
    ]


def _off_positions(observation: Any, settings: Theta2Settings, step: str) -> list[Any]:
    """Return where the background of an observation is counted.

    Raises
    ------
    StepError
        Where gammapy finds no room.
    """
    if settings.positions_off is not None:
        return [item.skycoord for item in settings.positions_off]
    from gammapy.makers import WobbleRegionsFinder
    from regions import CircleSkyRegion

    region = CircleSkyRegion(settings.position.skycoord, settings.theta_max.quantity)
    finder = WobbleRegionsFinder(n_off_regions=settings.off_regions_number or 1)
    regions, _ = finder.run(region=region, center=_pointing(observation))
    if not regions:  # gammapy compares pixels
        raise StepError(
            f"{step}: observation {observation.obs_id}: its background regions overlap",
            hint="set a smaller 'theta_max', or take fewer background regions",
        )
    return [item.center for item in regions]


def _statistics(on: Any, off: Any, alpha: float) -> Any:
    """Return a table with counts, excess and significance; a row per bin."""
    import numpy as np
    from astropy.table import Table
    from gammapy.stats import WStatCountsStatistic

    statistic = WStatCountsStatistic(on, off, np.full(len(on), alpha))
    return Table(
        {
            "counts": on,
            "counts_off": off,
            "alpha": np.full(len(on), alpha),
            "excess": statistic.n_sig,
            "excess_errn": statistic.compute_errn(),
            "excess_errp": statistic.compute_errp(),
            "sqrt_ts": statistic.sqrt_ts,
        }
    )


def _meta(settings: Theta2Settings) -> dict[str, Any]:
    """Return what was counted where, as plain values."""
    position = settings.position
    off: Any = settings.off_regions_number or 1
    if settings.positions_off is not None:
        off = [
            {"frame": item.frame, "lon": str(item.lon), "lat": str(item.lat)}
            for item in settings.positions_off
        ]
    return {
        "position": {
            "frame": position.frame,
            "lon": str(position.lon),
            "lat": str(position.lat),
        },
        "off_regions_number" if isinstance(off, int) else "positions_off": off,
        "energy_min": None if settings.energy.min is None else str(settings.energy.min),
        "energy_max": None if settings.energy.max is None else str(settings.energy.max),
    }

"""The step ``check-data``: what is in observations, and which of them are good."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from gpwf.core.spec import Port
from gpwf.errors import NoDataError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.observation_checks import Facts, find_duplicates, look_at, robust_deviations
from gpwf.steps.settings import Angle, Duration, Energy, Field, Fraction, SkyPosition, StepSettings

__all__ = ["CheckDataSettings", "CheckDataStep"]

log = logging.getLogger(__name__)

_SHOWN = 5  # reasons in a message
# columns of the table: name, unit, what it is
_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("ra", "deg", "pointing, right ascension (ICRS)"),
    ("dec", "deg", "pointing, declination (ICRS)"),
    ("zenith", "deg", "zenith angle of the pointing"),
    ("offset", "deg", "separation of pointing and target"),
    ("ontime", "s", "good time"),
    ("livetime", "s", "good time without dead time"),
    ("deadtime", "", "fraction of the time that is dead"),
    ("n_gti", "", "good time intervals"),
    ("n_events", "", "events"),
    ("n_outside", "", "events outside of the good time by more than 1 s"),
    ("rate", "s-1", "events per livetime"),
    ("rate_deviation", "", "deviation of the rate from the median, in robust sigma"),
    ("threshold", "TeV", "true energy from which the effective area is 'aeff_percent' of the most"),
    ("lo_thres", "TeV", "LO_THRES in the header of the effective area"),
)


class CheckDataSettings(StepSettings):
    """Settings of the step; without any, only what is broken is left out."""

    target: SkyPosition | None = Field(
        None,
        description="Position that offsets are from; left out: the target in the header of each "
        "observation",
        json_schema_extra={"usual": True},
    )
    min_livetime: Duration | None = Field(None, description="Shortest livetime")
    max_deadtime: Fraction | None = Field(None, description="Largest fraction of dead time")
    max_zenith: Angle | None = Field(None, description="Largest zenith angle of the pointing")
    max_offset: Angle | None = Field(
        None, description="Largest separation of the pointing from the target"
    )
    min_events: int = Field(
        1, ge=0, description="Fewest events; 0 for short pieces, whose exposure counts also without"
    )
    max_threshold: Energy | None = Field(
        None, description="Highest energy threshold, see 'aeff_percent'"
    )
    rate_sigma: float | None = Field(
        None,
        gt=0,
        description="Largest deviation of the event rate from the median of the telescope, in "
        "robust sigma; needs four observations, of like zenith angle to make sense",
    )
    aeff_percent: float = Field(
        10.0,
        gt=0,
        le=100,
        description="Threshold: where the effective area at the target is this part of its largest "
        "value, in per cent",
    )


class CheckDataStep(Step):
    """List what an analyst looks at first, and keep the good observations.

    The table has a row per observation: target, pointing, zenith angle, offset, times, dead time,
    events and their rate, energy threshold, responses, whether it is `ok`, and if not, why
    (`reasons`). Left out are observations that are broken (files that cannot be read, no events, no
    or wrong good time, a response of zeros, events there twice), beyond a limit of the settings, or
    repeated while the other is good. A value that is not known is no reason. The steps below take
    the good ones.

    Files that are not there at all are found by `observations`, before anything runs.
    """

    tag: ClassVar[str] = "check-data"
    version: ClassVar[str] = "2"
    title: ClassVar[str] = "Check observations"
    group: ClassVar[str] = "data"
    Settings: ClassVar[type[StepSettings]] = CheckDataSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="observations", kind="observations", help="What to check"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="table", kind="table", help="A row per observation, with reasons"),
        Port(name="observations", kind="observations", help="The good ones, in the same order"),
    )
    packages: ClassVar[tuple[str, ...]] = ("gammapy", "numpy", "astropy")
    replaces: ClassVar[Mapping[str, str]] = {"observations": "observations"}

    def run(
        self, settings: CheckDataSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``table``, `astropy.table.Table`, and ``observations``."""
        from gammapy.data import Observations

        observations = list(inputs["observations"])
        if not observations:
            raise NoDataError(f"{ctx.step}: there is no observation")
        target = settings.target and settings.target.skycoord
        found = ctx.map(
            lambda item: look_at(
                item, target, settings.aeff_percent, may_be_empty=not settings.min_events
            ),
            observations,
            label="observations",
        )
        for facts in found:
            facts.problems.extend(_beyond(settings, facts))
        find_duplicates(found)
        deviations = robust_deviations(found)
        for facts, deviation in zip(found, deviations, strict=True):
            if settings.rate_sigma is not None and abs(deviation) > settings.rate_sigma:
                facts.problems.append(
                    f"rate {facts.rate:.4g} s-1 is {deviation:+.1f} robust sigma off"
                )
        good = [item for item, facts in zip(observations, found, strict=True) if not facts.problems]
        _tell(found, ctx.step)
        return {"table": _table(found, deviations), "observations": Observations(good)}


def _beyond(settings: CheckDataSettings, facts: Facts) -> Iterator[str]:
    """Yield what is beyond the limits; not a number is beyond none."""
    limits = (
        ("zenith angle", facts.zenith, settings.max_zenith, "deg"),
        ("offset", facts.offset, settings.max_offset, "deg"),
        ("threshold", facts.threshold, settings.max_threshold, "TeV"),
    )
    for name, value, limit, unit in limits:
        if limit is not None and value > limit.value:
            yield f"{name} {value:.4g} {unit} is more than {limit}"
    if settings.max_deadtime is not None and facts.deadtime > settings.max_deadtime:
        yield f"dead time fraction {facts.deadtime:.3g} is more than {settings.max_deadtime:g}"
    if settings.min_livetime is not None and facts.livetime < settings.min_livetime.value:
        yield f"livetime {facts.livetime:.4g} s is less than {settings.min_livetime}"
    if 0 < facts.n_events < settings.min_events:
        yield f"{facts.n_events} events are less than {settings.min_events}"


def _table(found: Sequence[Facts], deviations: Sequence[float]) -> Any:
    """Return the facts as a table with units and descriptions."""
    from astropy.table import Table

    table = Table()
    table["obs_id"] = [facts.obs_id for facts in found]
    for name in ("name", "telescope", "target", "start"):
        table[name] = [getattr(facts, name) for facts in found]
    for name, unit, description in _COLUMNS:
        if name == "rate_deviation":
            values = list(deviations)
        else:
            values = [getattr(facts, name) for facts in found]
        table[name] = values
        table[name].unit = unit or None
        table[name].description = description
        if unit or not name.startswith("n_"):
            table[name].info.format = ".4f" if unit == "deg" else ".5g"
    table["irfs"] = [facts.irfs for facts in found]
    table["ok"] = [not facts.problems for facts in found]
    table["reasons"] = ["; ".join(facts.problems) for facts in found]
    table["start"].description = "start of the good time (UTC)"
    table["reasons"].description = "why it is left out"
    table.meta["product"] = "checked-observations"
    return table


def _tell(found: Sequence[Facts], step: str) -> None:
    """Warn of what is left out.

    Raises
    ------
    NoDataError
        Where that is everything.
    """
    left_out = [facts for facts in found if facts.problems]
    shown = "; ".join(f"{facts.name}: {', '.join(facts.problems)}" for facts in left_out[:_SHOWN])
    more = f"; … ({len(left_out)} in all)" if left_out[_SHOWN:] else ""
    if len(left_out) == len(found):
        raise NoDataError(
            f"{step}: none of {len(found)} observations is good: {shown}{more}",
            hint="loosen the limits, or choose other observations",
        )
    if left_out:
        warnings.warn(f"{step}: left out: {shown}{more}", stacklevel=2)
    livetime = sum(item.livetime for item in found if not item.problems)
    hours = livetime / 3600 if math.isfinite(livetime) else math.nan
    log.info("%s: %d of %d good, %.2f h", step, len(found) - len(left_out), len(found), hours)

"""The step ``split-time``: observations in pieces of time."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from gpwf.core.selections import TimeCut
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.selecting import Interval, cut_gti, good_time, part_of
from gpwf.steps.settings import Duration, Field, Instant, StepSettings, problem

__all__ = ["SplitTimeSettings", "SplitTimeStep"]

log = logging.getLogger(__name__)

_MOST_PIECES = 10_000  # of one observation; more is a wrong unit
# times that differ by less are one: gammapy's own tolerance when it groups good time
_SAME_S = 1e-6


class SplitTimeSettings(StepSettings):
    """Settings of the step."""

    width: Duration | None = Field(
        None,
        description="Length of the pieces",
        json_schema_extra={"usual": True},
    )
    start_at: Literal["observation", "first"] = Field(
        "observation",
        description="width: where pieces are counted from, the start of each observation or that "
        "of the first one",
    )
    n_pieces: int | None = Field(
        None,
        ge=1,
        le=_MOST_PIECES,
        description="Number of pieces of equal length per observation, instead of 'width'",
    )
    edges: tuple[Instant, ...] | None = Field(
        None,
        min_length=2,
        description="Edges of time bins in UTC, rising, instead of 'width'; what lies outside is "
        "left out",
    )
    min_time: Duration | None = Field(
        None,
        description="Shortest good time of a piece; left out: half of 'width', and no limit for "
        "'n_pieces' and 'edges'",
    )
    remainder: Literal["merge", "drop", "keep"] = Field(
        "merge",
        description="What becomes of a shorter piece: it joins the piece before (or after) it in "
        "the observation, or is dropped, or kept as it is",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        asked = {"width": self.width, "n_pieces": self.n_pieces, "edges": self.edges}
        given = [name for name, value in asked.items() if value is not None]
        if len(given) != 1:
            raise problem("GP306", "give one of 'width', 'n_pieces' and 'edges'")
        edges = self.edges or ()
        for number, (one, two) in enumerate(pairwise(edges)):
            if one >= two:  # settled times sort as text
                raise problem("GP306", f"edge {number + 2} is not after the one before it")
        width = None if self.width is None or self.remainder == "keep" else self.width.value
        if width is not None and self.shortest_s > width:
            raise problem("GP306", "'min_time' is longer than 'width'")
        return self

    @property
    def shortest_s(self) -> float:
        """Shortest good time of a piece in seconds."""
        if self.min_time is not None:
            return self.min_time.value
        return 0.5 * self.width.value if self.width is not None else 0.0


class SplitTimeStep(Step):
    """Split observations into pieces of time, for light curves in bins shorter than a run.

    Each piece is an observation of its own: with its part of the good time and of the events, an id
    that no other has (3378701, 3378702 … of observation 33787), and the pointing and response of
    the whole one. `datasets` reduces them as any others, with `stack: false` to datasets of the
    names `hess-33787-01`, `hess-33787-02` …; `light-curve` then has one point per piece.

    No event is lost or counted twice: an edge belongs to the piece that begins there, and the outer
    pieces of an observation keep events that lie outside of its good time by rounding. Pieces
    without good time are left out. (`gammapy.data.Observations.select_time` repeats ids.)
    """

    tag: ClassVar[str] = "split-time"
    version: ClassVar[str] = "2"
    title: ClassVar[str] = "Split observations into pieces of time"
    group: ClassVar[str] = "data"
    Settings: ClassVar[type[StepSettings]] = SplitTimeSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="observations", kind="observations", help="What to split"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="observations", kind="observations", help="The pieces, in the same order"),
    )
    packages: ClassVar[tuple[str, ...]] = ("gammapy", "numpy", "astropy")
    replaces: ClassVar[Mapping[str, str]] = {"observations": "observations"}

    def run(
        self, settings: SplitTimeSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``observations``: `gammapy.data.Observations`, the pieces."""
        from gammapy.data import Observations

        whole = list(inputs["observations"])
        if not whole:
            raise NoDataError(f"{ctx.step}: there is no observation")
        goods = ctx.map(lambda item: good_time(item, ctx.step), whole, label="observations")
        first = min((gti.time_start.min() for gti in goods), key=lambda time: time.tt.mjd)
        kept: list[list[Interval]] = []
        dropped: list[str] = []
        for observation, gti in zip(whole, goods, strict=True):
            pieces, short = _long_enough(settings, gti, _pieces(settings, gti, first, ctx.step))
            kept.append(pieces)
            dropped += [f"{seconds:.4g} s of {observation.obs_id}" for seconds in short]
        _tell(settings, dropped, ctx.step)
        _tell_outside(settings, whole, goods, ctx.step)
        # as many digits for all, or pieces of two observations could have one id
        digits = max(2, *(len(str(len(pieces))) for pieces in kept))
        found: list[Any] = []
        for observation, gti, pieces in zip(whole, goods, kept, strict=True):
            found += _parts(observation, gti, pieces, digits, ctx.step)
        if not found:
            raise NoDataError(
                f"{ctx.step}: no piece has good time enough",
                hint="make 'min_time' shorter, or check 'edges' (UTC)",
            )
        log.info("%s: %d pieces of %d observations", ctx.step, len(found), len(whole))
        return {"observations": Observations(found)}


def _pieces(settings: SplitTimeSettings, gti: Any, first: Any, step: str) -> list[Interval]:
    """Return the intervals of one observation that have good time, in order.

    The outer ones are open where the observation ends, and closed where 'edges' do.
    """
    start, stop = gti.time_start.min(), gti.time_stop.max()
    if settings.edges is not None:
        edges = [edge.time for edge in settings.edges]
    else:
        edges = _even_edges(settings, start, stop, first, step)
        edges[0] = edges[-1] = None
    return [pair for pair in pairwise(edges) if cut_gti(gti, [pair]) is not None]


def _even_edges(
    settings: SplitTimeSettings, start: Any, stop: Any, first: Any, step: str
) -> list[Any]:
    """Return edges of one distance from at or before ``start`` to at or after ``stop``.

    Raises
    ------
    StepError
        Where these are too many.
    """
    import math

    length = (stop - start).to_value("s")
    if settings.n_pieces is not None:
        width, origin, number = (stop - start) / settings.n_pieces, start, settings.n_pieces
        return [origin + count * width for count in range(number + 1)]
    assert settings.width is not None  # checked with the settings
    width = settings.width.quantity
    seconds = settings.width.value
    origin, before = start, 0
    if settings.start_at == "first":
        origin = first
        before = math.floor(((start - first).to_value("s") + _SAME_S) / seconds)
        length = (stop - first).to_value("s")
    after = math.ceil((length - _SAME_S) / seconds)
    if after - before > _MOST_PIECES:
        raise StepError(
            f"{step}: 'width: {settings.width}' makes {after - before} pieces of an observation",
            hint="give a longer width",
        )
    return [origin + count * width for count in range(before, max(after, before + 1) + 1)]


def _long_enough(
    settings: SplitTimeSettings, gti: Any, pieces: Sequence[Interval]
) -> tuple[list[Interval], list[float]]:
    """Return the pieces that are long enough, short ones joined, and the lengths of those dropped.

    A short piece joins the one before it; at the start of an observation, the one after it.
    """
    times = [float(cut_gti(gti, [pair]).time_sum.to_value("s")) for pair in pieces]
    if settings.remainder == "keep":
        return list(pieces), []
    shortest = settings.shortest_s - _SAME_S
    if settings.remainder == "drop":
        kept = [pair for pair, seconds in zip(pieces, times, strict=True) if seconds >= shortest]
        return kept, [seconds for seconds in times if seconds < shortest]
    joined: list[tuple[Interval, float]] = []
    for pair, seconds in zip(pieces, times, strict=True):
        if joined and (seconds < shortest or joined[-1][1] < shortest):
            before, length = joined[-1]
            joined[-1] = ((before[0], pair[1]), length + seconds)
        else:
            joined.append((pair, seconds))
    # a whole observation that is short has nothing to join
    kept = [pair for pair, seconds in joined if seconds >= shortest]
    return kept, [seconds for _, seconds in joined if seconds < shortest]


def _parts(
    observation: Any, gti: Any, pieces: Sequence[Interval], digits: int, step: str
) -> list[Any]:
    """Return the pieces as observations, with ids that count up, also where there is one."""
    return [
        part_of(
            observation,
            step,
            cuts=[TimeCut(intervals=(pair,))],
            gti=cut_gti(gti, [pair]),
            number=(number + 1, digits),
        )
        for number, pair in enumerate(pieces)
    ]


def _tell(settings: SplitTimeSettings, dropped: Sequence[str], step: str) -> None:
    """Warn of time that is left out because it was too short."""
    if dropped:
        shown = ", ".join(dropped[:5]) + (f" … ({len(dropped)} in all)" if dropped[5:] else "")
        warnings.warn(
            f"{step}: left out, shorter than {settings.shortest_s:g} s of good time: {shown}",
            stacklevel=2,
        )


def _tell_outside(
    settings: SplitTimeSettings, whole: Sequence[Any], goods: Sequence[Any], step: str
) -> None:
    """Warn of observations that lie outside of 'edges' altogether."""
    if settings.edges is None:
        return
    span = [(settings.edges[0].time, settings.edges[-1].time)]
    outside = [
        str(item.obs_id)
        for item, gti in zip(whole, goods, strict=True)
        if cut_gti(gti, span) is None
    ]
    if outside:
        shown = ", ".join(outside[:5]) + (f" … ({len(outside)} in all)" if outside[5:] else "")
        warnings.warn(f"{step}: outside of 'edges': {shown}", stacklevel=2)

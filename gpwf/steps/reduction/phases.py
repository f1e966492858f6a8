"""Background from the phases in which a pulsar is off."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gpwf.errors import StepError

__all__ = ["PhaseBackground", "overlap", "phase_pieces"]

Interval = tuple[float, float]

# 1.1 % 1 is 0.10000000000000009
_DECIMALS = 12


def phase_pieces(intervals: Sequence[Interval]) -> list[Interval]:
    """Return intervals of the phase between 0 and 1, in order.

    One that goes beyond 1 or below 0 is continued at the other end, and so is one that ends before
    it starts: ``(0.9, 1.1)``, ``(-0.1, 0.1)`` and ``(0.9, 0.1)`` are the same. gammapy does this
    for the last form alone, and not for all intervals of a list: events of the others are lost,
    while their width counts.

    Parameters
    ----------
    intervals : sequence of tuple of float
        Start and stop, each between -1 and 2.

    Raises
    ------
    ValueError
        For an interval that is empty or longer than a period, or has an edge beyond these bounds.
    """
    pieces = []
    for start, stop in intervals:
        text = f"[{start:g}, {stop:g}]"
        if not (-1 <= start <= 2 and -1 <= stop <= 2):
            raise ValueError(f"{text} is no interval of the phase, which runs from 0 to 1")
        length = stop - start if stop > start else stop - start + 1
        if not 0 < length <= 1 or start == stop:
            raise ValueError(f"{text} is empty or longer than a period")
        low = round(start % 1, _DECIMALS) % 1
        high = round(low + length, _DECIMALS)
        pieces.append((low, min(high, 1.0)))
        if high > 1:
            pieces.append((0.0, round(high - 1, _DECIMALS)))
    return sorted(pieces)


def overlap(one: Sequence[Interval], other: Sequence[Interval] | None = None) -> bool:
    """Tell whether two pieces of the phase overlap: of one list, or one of each."""
    if other is not None:
        return any(a < d and c < b for a, b in one for c, d in other)
    return any(item[1] > following[0] for item, following in pairwise(one))


class PhaseBackground:
    """Counts of ON and OFF phases, with `gammapy.makers.PhaseBackgroundMaker`.

    That maker's own ``run`` is not used. It forgets the name of the dataset; and in spectra it sets
    the OFF acceptance of bins without OFF counts to zero, so that their background is exactly zero
    instead of less than about one event times the ratio of the phases.

    Parameters
    ----------
    on_phase, off_phase : sequence of tuple of float
        Intervals, as `phase_pieces` takes them.
    phase_column_name : str
        Column of the events.
    step : str
        Name of the step, for messages.
    """

    def __init__(
        self,
        *,
        on_phase: Sequence[Interval],
        off_phase: Sequence[Interval],
        phase_column_name: str,
        step: str,
    ) -> None:
        from gammapy.makers import PhaseBackgroundMaker

        on, off = phase_pieces(on_phase), phase_pieces(off_phase)
        self._step = step
        self._column = phase_column_name
        self._widths = tuple(sum(stop - start for start, stop in pieces) for pieces in (on, off))
        self._maker = PhaseBackgroundMaker(on, off, phase_column_name)

    def run(self, dataset: Any, observation: Any) -> Any:
        """Return the dataset with OFF counts: `SpectrumDatasetOnOff` or `MapDatasetOnOff`.

        Raises
        ------
        StepError
            Where the events have no phase, or one that is not between 0 and 1.
        """
        from gammapy.datasets import MapDatasetOnOff, SpectrumDatasetOnOff
        from gammapy.maps import Map

        self._check_phases(observation)
        geom = dataset.counts.geom
        on, off = (Map.from_geom(geom, data=width) for width in self._widths)
        counts_off = self._maker.make_counts_off(dataset, observation)
        parts = {"acceptance": on, "acceptance_off": off, "counts_off": counts_off}
        if geom.is_region:
            found = SpectrumDatasetOnOff.from_spectrum_dataset(
                dataset=dataset, name=dataset.name, **parts
            )
        else:
            found = MapDatasetOnOff.from_map_dataset(dataset=dataset, name=dataset.name, **parts)
        found.counts = self._maker.make_counts(dataset, observation)
        return found

    def _check_phases(self, observation: Any) -> None:
        import numpy as np

        table = observation.events.table
        who = f"{self._step}: observation {observation.obs_id}"
        if self._column not in table.colnames:
            near = [name for name in table.colnames if "phas" in name.lower()]
            found = f"set 'background.parameters.phase_column_name' to {near[0]}" if near else ""
            raise StepError(
                f"{who}: its events have no column {self._column!r}",
                hint=found
                or "the method 'phase' needs events with a phase: add the column with "
                "the ephemeris of the pulsar (PINT, tempo2) before the analysis",
            )
        phases = np.asarray(table[self._column], dtype=float)
        known = phases[np.isfinite(phases)]
        if len(known) and not (known.min() >= 0 and known.max() <= 1):
            raise StepError(
                f"{who}: phases from {known.min():.4g} to {known.max():.4g} in the column "
                f"{self._column!r}; they must be between 0 and 1",
                hint="write the fraction of the period alone: phase - floor(phase)",
            )
        if len(known) < len(phases):
            warnings.warn(
                f"{who}: {len(phases) - len(known)} of {len(phases)} events have no phase and are "
                "left out; the exposure is that of all",
                stacklevel=2,
            )

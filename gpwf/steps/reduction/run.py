"""The reduction that the steps ``datasets`` and ``data-reduction`` share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpwf.core.spec import Port
from gpwf.errors import NoDataError
from gpwf.steps.base import StepContext
from gpwf.steps.reduction.backgrounds import NO_EXCLUSION
from gpwf.steps.reduction.common import observation_order
from gpwf.steps.reduction.maps import reduce_maps
from gpwf.steps.reduction.settings import DatasetsSettings
from gpwf.steps.reduction.spectra import reduce_spectra

__all__ = ["EXCLUSION", "exclusion_ports", "reduce_observations"]

EXCLUSION = Port(
    name="exclusion_mask",
    kind="map",
    optional=True,
    help="Where the background may be measured; instead of 'background.exclusion'",
)
"""Port of the exclusion mask."""


def exclusion_ports(settings: DatasetsSettings) -> tuple[Port, ...]:
    """Return the port of the exclusion mask; none where a file is given or nothing is excluded."""
    background = settings.background
    if background.exclusion is not None or background.method in NO_EXCLUSION:
        return ()
    return (EXCLUSION,)


def reduce_observations(
    settings: DatasetsSettings,
    observations: Iterable[Any],
    ctx: StepContext,
    exclusion: Any = None,
) -> Any:
    """Reduce observations to datasets.

    Parameters
    ----------
    settings : DatasetsSettings
        Checked with `gpwf.steps.reduction.checks.reduction_problems`.
    observations : iterable of `gammapy.data.Observation`
        In any order.
    ctx : StepContext
        For messages and progress.
    exclusion : `gammapy.maps.Map`, optional
        The product at the input ``exclusion_mask``.

    Returns
    -------
    datasets : `gammapy.datasets.Datasets`
        Sorted by observation, or their sum.

    Raises
    ------
    NoDataError
        Where there is nothing to reduce.
    StepError
        Where the reduction leaves nothing that a fit can use.
    """
    ordered = sorted(observations, key=observation_order)
    if not ordered:
        raise NoDataError(f"{ctx.step}: there is no observation")
    reduce = reduce_maps if settings.type == "3d" else reduce_spectra
    return reduce(settings, ordered, ctx, exclusion)

"""Spectra of annihilating or decaying dark matter, and the limit of their scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.likelihoods import Likelihood

__all__ = ["TABLES", "Limit", "dark_matter_spectrum", "scale_limit"]

TABLES = {
    "pppc4": "$GAMMAPY_DATA/dark_matter_spectra/PPPC4DMID/AtProduction_gammas.dat",
    "cosmixs": "$GAMMAPY_DATA/dark_matter_spectra/cosmixs/AtProduction-Gamma.dat",
}
"""Where gammapy looks for the tables of spectra."""

_ROUNDING = 1e-12
_MAX_DOUBLINGS = 60
_PRECISION = 1e-5  # of the largest scale that is looked at


class Limit:
    """Result of `scale_limit`.

    Parameters
    ----------
    best : float
        Scale at the best fit, not negative; NaN where the data say nothing.
    limit : float
        Upper limit of the scale; NaN where the data say nothing.
    ts : float
        Difference of the fit statistic to that without dark matter.
    npred : float
        Expected gamma rays at the limit.
    """

    __slots__ = ("best", "limit", "npred", "ts")

    def __init__(
        self,
        best: float = math.nan,
        limit: float = math.nan,
        ts: float = math.nan,
        npred: float = 0.0,
    ) -> None:
        self.best, self.limit, self.ts, self.npred = best, limit, ts, npred


@contextmanager
def _table_at(path: Path) -> Iterator[None]:
    """Let gammapy read its table of spectra from a file; it knows one place only."""
    from gammapy.astro.darkmatter import spectra

    before = spectra.make_path
    spectra.make_path = lambda _: path
    try:
        yield
    finally:
        spectra.make_path = before


def _at_bound(kind: Any, *, mass: Any, **arguments: Any) -> Any:
    """Return a spectrum, also at the lowest and highest mass of the table, which gammapy rounds."""
    try:
        return kind(mass=mass, **arguments)
    except ValueError as error:
        for share in (_ROUNDING, -_ROUNDING):
            with suppress(ValueError):
                return kind(mass=mass * (1 + share), **arguments)
        raise error from None


def dark_matter_spectrum(process: str, table: Path, step: str, **arguments: Any) -> Any:
    """Return the spectrum of dark matter of one mass and channel.

    Parameters
    ----------
    process : str
        ``annihilation`` or ``decay``.
    table : Path
        Spectra per annihilation, a table of PPPC 4 DM ID or of CosmiXs.
    step : str
        Name of the step, for the message.
    **arguments
        Of `gammapy.astro.darkmatter.DarkMatterAnnihilationSpectralModel` or
        `gammapy.astro.darkmatter.DarkMatterDecaySpectralModel`.

    Raises
    ------
    StepError
        Where the file is no such table, or has no spectrum of the channel and mass.

    References
    ----------
    Cirelli et al. (2011), JCAP 03, 051 (PPPC 4 DM ID); Arina et al. (2024), JCAP 03, 035 (CosmiXs).
    """
    import logging

    from gammapy.astro import darkmatter

    kinds = {
        "annihilation": darkmatter.DarkMatterAnnihilationSpectralModel,
        "decay": darkmatter.DarkMatterDecaySpectralModel,
    }
    # it warns that the template has no file name; nobody writes it
    log = logging.getLogger("gammapy.modeling.models.spectral")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with _table_at(table):
            return _at_bound(kinds[process], **arguments)
    except (ValueError, KeyError, OSError, IndexError) as error:
        text = " ".join(str(error).split())
        raise StepError(
            f"{step}: no spectrum of channel '{arguments['channel']}' and mass "
            f"{arguments['mass']:.6g} in {table.name}: {text}",
            hint="check 'channels' and 'masses' against the table, and that it is of 'spectra'",
        ) from error
    finally:
        log.setLevel(level)


def scale_limit(
    likelihood: Likelihood, name: str, delta: float, sigma: float | None, what: str
) -> Limit:
    """Return the upper limit of the scale of a dark matter model from its profile likelihood.

    Parameters
    ----------
    likelihood : Likelihood
        With a model of dark matter, and others whose free parameters are fitted along.
    name : str
        Name of the model.
    delta : float
        Rise of the fit statistic at the limit.
    sigma : float or None
        Standard deviation of the logarithm to base ten of the J factor.
    what : str
        Mass and channel, for messages.

    Raises
    ------
    StepError
        Where a fit fails, or the data do not limit the scale.

    Notes
    -----
    The counts depend on the product of scale and J factor alone. With a Gaussian constraint on
    log10 J, a scale ``s`` is allowed where some product ``t`` has ``f(t) - f_min +
    (log10(s / t) / sigma)^2 <= delta``, so that the limit is the largest value of
    ``t 10^(sigma sqrt(delta - f(t) + f_min))``: the profile over J, without another fit.

    References
    ----------
    Rolke, López & Conrad (2005), Nucl. Instrum. Methods A 551, 493; Ackermann et al. (2015), Phys.
    Rev. Lett. 115, 231301, on the J factor.
    """
    scale = likelihood.models[name].spectral_model.scale
    per_scale = _npred(likelihood.datasets, name)
    if not per_scale > 0:
        return Limit()

    def stat(value: float) -> float:
        likelihood.reset()
        scale.value, scale.frozen = value, True
        return float(likelihood.optimize(f"the fit of {what} at scale {value:.4g}"))

    counts = sum(float(dataset.counts.data.sum()) for dataset in likelihood.datasets)
    start = max(1.0, math.sqrt(counts)) / per_scale
    without = stat(0.0)
    bound = _bound(stat, without, start, delta, likelihood, what)
    best, lowest = _minimum(stat, without, bound)
    limit = _crossing(lambda value: stat(value) - lowest - delta, best, bound)
    if sigma:
        limit = _widened(lambda value: stat(value) - lowest, best, limit, delta, sigma)
    likelihood.reset()
    return Limit(best, limit, without - lowest, limit * per_scale)


def _npred(datasets: Any, name: str) -> float:
    """Return the expected gamma rays inside the masks, for the scale one."""
    total = 0.0
    for dataset in datasets:
        if name not in dataset.models.names:
            continue
        before = dataset.models[name].spectral_model.scale
        value, before.value = before.value, 1.0
        signal = dataset.npred_signal(model_names=[name]).data
        before.value = value
        total += float(signal[dataset.mask.data].sum() if dataset.mask else signal.sum())
    return total


def _bound(
    stat: Callable[[float], float],
    without: float,
    start: float,
    delta: float,
    likelihood: Likelihood,
    what: str,
) -> float:
    """Return a scale that is too large, and not much larger than needed.

    Raises
    ------
    StepError
        Where the data do not limit the scale.
    """
    lowest, bound = without, start
    for _ in range(_MAX_DOUBLINGS):
        found = stat(bound)
        lowest = min(lowest, found)
        if found - lowest > delta:
            break
        bound *= 2
    else:
        raise StepError(
            f"{likelihood.step}: the data do not limit {what}",
            hint="use more data, or fix other parameters",
        )
    for _ in range(_MAX_DOUBLINGS):
        found = stat(bound / 2)
        lowest = min(lowest, found)
        if found - lowest <= delta:
            return bound
        bound /= 2
    return bound


def _minimum(stat: Callable[[float], float], without: float, bound: float) -> tuple[float, float]:
    """Return the best scale from zero to a bound, and the fit statistic there.

    The statistic is convex in the scale, as the expected counts are linear in it. minuit, which
    would find the minimum faster, does not end well where that is at the edge.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        stat, bounds=(0, bound), method="bounded", options={"xatol": _PRECISION * bound}
    )
    if not found.fun < without:
        return 0.0, without
    return float(found.x), float(found.fun)


def _crossing(above: Callable[[float], float], best: float, bound: float) -> float:
    """Return where a rising function crosses zero, between the best value and a bound."""
    from scipy.optimize import brentq

    tolerance = _PRECISION * (bound - best)
    return float(brentq(above, best, bound, xtol=tolerance, rtol=1e-12))


def _widened(
    rise: Callable[[float], float], best: float, limit: float, delta: float, sigma: float
) -> float:
    """Return the limit with the uncertainty of the J factor, see the notes of `scale_limit`."""
    from scipy.optimize import minimize_scalar

    def reached(product: float) -> float:
        left = max(delta - max(rise(product), 0.0), 0.0)
        return -math.log10(product) - sigma * math.sqrt(left)

    low = max(best, limit * 1e-6)
    found = minimize_scalar(
        reached, bounds=(low, limit), method="bounded", options={"xatol": 1e-5 * limit}
    )
    return float(10 ** -min(float(found.fun), reached(low), -math.log10(limit)))

"""How much fluxes vary: excess variance, constancy, doubling times, structure, blocks.

Numbers are plain: fluxes in any one unit, times in days. `gammapy.stats.variability` has the same
formulas for the excess variance and the doubling time. It takes the absolute value of a negative
excess variance, and names a doubling time where nothing doubles; here these are 0 and not a number.
Its point-to-point variance lacks the 1/2 of squared differences, so noise alone is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Change",
    "Constancy",
    "Points",
    "bayesian_blocks",
    "constancy",
    "correlation",
    "excess_variance",
    "fastest_change",
    "point_to_point",
    "structure_function",
]

_MOST_TERMS = 10_000
_ROUNDING = 1e-6  # of lags between two bins: they belong to the later one


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Fluxes with errors, in order of time.

    Parameters
    ----------
    time : `numpy.ndarray`, shape (n,)
        Centres in days.
    start, stop : `numpy.ndarray`, shape (n,)
        Edges in days.
    flux, error : `numpy.ndarray`, shape (n,)
        Finite; errors greater than 0.
    """

    time: Any
    start: Any
    stop: Any
    flux: Any
    error: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Constancy:
    """A constant fitted to fluxes.

    Parameters
    ----------
    mean, mean_err : float
        Weighted mean and its error.
    chi2, ndf : float, int
        Sum of squared deviations in errors; points less one.
    p_value : float
        Probability of this chi2 or more for a constant source; 0 where it is less than 1e-308.
    significance : float
        The same in standard deviations of a normal distribution, one-sided.
    """

    mean: float
    mean_err: float
    chi2: float
    ndf: int
    p_value: float
    significance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The fastest change between neighbouring points; not a number where there is none.

    Parameters
    ----------
    time, error : float
        Days in which the flux would double (or halve), and its error.
    at : float
        Time of the earlier point, days.
    """

    time: float
    error: float
    at: float


def constancy(points: Points) -> Constancy:
    """Fit a constant."""
    import numpy as np
    from scipy.special import ndtri_exp

    weight = points.error**-2
    mean = float(np.sum(weight * points.flux) / np.sum(weight))
    chi2 = float(np.sum(weight * (points.flux - mean) ** 2))
    ndf = len(points.flux) - 1
    log_p = _log_chi2_sf(chi2, ndf)
    return Constancy(
        mean=mean,
        mean_err=float(np.sum(weight) ** -0.5),
        chi2=chi2,
        ndf=ndf,
        p_value=math.exp(log_p),
        significance=-float(ndtri_exp(log_p)),
    )


def _log_chi2_sf(chi2: float, ndf: int) -> float:
    """Return the logarithm of the probability of a chi2 or more, also far beyond 1e-308.

    References
    ----------
    Press et al., Numerical Recipes, 3rd edition, equation 6.2.7: the continued fraction of the
    incomplete gamma function.
    """
    from scipy.stats import chi2 as distribution

    log_p = float(distribution.logsf(chi2, ndf))
    if log_p > -600:  # beyond, scipy's logarithm is that of a number that underflows
        return log_p
    a, x = ndf / 2, chi2 / 2
    b = x + 1 - a
    c, d = 1e300, 1 / b
    h = d
    for i in range(1, _MOST_TERMS):
        factor = -i * (i - a)
        b += 2
        d = 1 / (factor * d + b)
        c = b + factor / c
        h *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return -x + a * math.log(x) - math.lgamma(a) + math.log(h)


def excess_variance(points: Points) -> dict[str, float]:
    """Return the excess variance, its normalised form, and the fractional one, with errors.

    Returns
    -------
    values : dict
        ``excess_variance``: variance beyond that of the errors, in units of flux squared; less than
        0 where points scatter less than their errors. ``nxs``, ``nxs_err``: the same over the
        squared mean. ``fvar``, ``fvar_err``: its square root, 0 where it is negative. Not a number
        where the mean is not positive: there is nothing to be a fraction of.

    References
    ----------
    Vaughan et al. (2003), MNRAS 345, 1271, equations 8, 10, 11 and B2; for the error near 0
    Poutanen et al. (2008), MNRAS 389, 1427, appendix.
    """
    import numpy as np

    n = len(points.flux)
    mean = float(np.mean(points.flux))
    noise = float(np.mean(points.error**2))
    excess = float(np.var(points.flux, ddof=1)) - noise
    return {"excess_variance": excess, **_fractional(excess, noise, mean, n, "nxs", "fvar")}


def point_to_point(points: Points) -> dict[str, float]:
    """Return the fractional point-to-point variance ``fpp`` and its error.

    The squared difference of two points has twice the variance of one: with half of it noise alone
    gives 0, and white noise of a source what ``fvar`` gives. `gammapy.stats.compute_fpp` of gammapy
    2.1 takes all of it.

    References
    ----------
    Edelson et al. (2002), ApJ 568, 610, equation 3.
    """
    import numpy as np

    n = len(points.flux)
    noise = float(np.mean(points.error**2))
    excess = float(np.mean(np.diff(points.flux) ** 2)) / 2 - noise
    found = _fractional(excess, noise, float(np.mean(points.flux)), n, "", "fpp")
    return {name: found[name] for name in ("fpp", "fpp_err")}


def _fractional(
    excess: float, noise: float, mean: float, n: int, squared: str, root: str
) -> dict[str, float]:
    """Return a variance over the squared mean, and its square root, with errors."""
    if mean <= 0:
        return dict.fromkeys((squared, f"{squared}_err", root, f"{root}_err"), math.nan)
    nxs = excess / mean**2
    fraction = math.sqrt(max(nxs, 0.0))
    error = math.hypot(
        math.sqrt(2 / n) * noise / mean**2, math.sqrt(noise / n) * 2 * fraction / mean
    )
    # that of first order where it holds, as gammapy; it diverges at 0
    root_err = error / (2 * fraction) if fraction > 0 else math.sqrt(error)
    return {squared: nxs, f"{squared}_err": error, root: fraction, f"{root}_err": root_err}


def fastest_change(points: Points, *, rising: bool, min_sigma: float = 0.0) -> Change:
    """Return the shortest time in which the flux doubles (``rising``) or halves.

    Parameters
    ----------
    points : Points
        Pairs with a flux that is not positive are left out.
    rising : bool
        True for doubling.
    min_sigma : float
        Least significance of the difference of two neighbours.

    References
    ----------
    Brown (2013), MNRAS 431, 824; `gammapy.stats.compute_flux_doubling`.
    """
    import numpy as np

    one, two = points.flux[:-1], points.flux[1:]
    err_one, err_two = points.error[:-1], points.error[1:]
    width = np.diff(points.time)
    sigma = (two - one) / np.hypot(err_one, err_two) * (1 if rising else -1)
    usable = (one > 0) & (two > 0) & (sigma > 0) & (sigma >= min_sigma)
    if not usable.any():
        return Change(time=math.nan, error=math.nan, at=math.nan)
    numbers = np.flatnonzero(usable)
    logs = np.log(two[numbers] / one[numbers])
    times = np.abs(width[numbers] * math.log(2) / logs)
    best = int(np.argmin(times))
    number = int(numbers[best])
    relative = math.hypot(err_one[number] / one[number], err_two[number] / two[number])
    error = float(times[best] * relative / abs(logs[best]))
    return Change(time=float(times[best]), error=error, at=float(points.time[number]))


def structure_function(points: Points, lag_width: float) -> list[dict[str, float]]:
    """Return the structure function of first order in lags that are multiples of a width.

    Parameters
    ----------
    points : Points
    lag_width : float
        In days.

    Returns
    -------
    rows : list of dict
        By ``lag`` (mean of its pairs, days): ``sf``, the mean squared difference of pairs, weighted
        by the product of their signal to noise; ``noise``, what errors alone make of it;
        ``n_pairs``. Pairs with a flux that is not positive have no weight.

    References
    ----------
    Emmanoulopoulos et al. (2010), MNRAS 404, 931; `gammapy.stats.structure_function`.
    """
    import numpy as np

    first, second = np.triu_indices(len(points.flux), k=1)
    weight = np.prod([(points.flux / points.error)[item] for item in (first, second)], axis=0)
    kept = (points.flux[first] > 0) & (points.flux[second] > 0)
    first, second, weight = first[kept], second[kept], weight[kept]
    lag = points.time[second] - points.time[first]
    number = np.floor(lag / lag_width + 0.5 + _ROUNDING).astype(int)
    squared = (points.flux[second] - points.flux[first]) ** 2
    noise = points.error[first] ** 2 + points.error[second] ** 2
    rows = []
    for item in np.unique(number):
        inside = number == item
        total = float(weight[inside].sum())
        rows.append(
            {
                "lag": float(lag[inside].mean()),
                "sf": float((weight * squared)[inside].sum() / total),
                "noise": float((weight * noise)[inside].sum() / total),
                "n_pairs": int(inside.sum()),
            }
        )
    return rows


def correlation(one: Points, two: Points, lag_width: float | None) -> list[dict[str, float]]:
    """Return the discrete correlation function of two light curves, or of one with itself.

    Parameters
    ----------
    one, two : Points
        Of any times.
    lag_width : float or None
        Width of the bins of lag in days; None for gammapy's: twice the mean distance of points.

    Returns
    -------
    rows : list of dict
        By ``lag`` (centre of the bin, days, the time in ``one`` less that in ``two``): ``dcf``, its
        error ``dcf_err`` and ``n_pairs``, two or more. Nothing where a light curve scatters less
        than its errors.

    References
    ----------
    Edelson & Krolik (1988), ApJ 333, 646; `gammapy.stats.discrete_correlation`.
    """
    import numpy as np

    scatter = [float(np.var(item.flux) - np.mean(item.error) ** 2) for item in (one, two)]
    if min(scatter) <= 0:
        return []
    first, second = (
        (item.flux - np.mean(item.flux)) / math.sqrt(variance)
        for item, variance in zip((one, two), scatter, strict=True)
    )
    product = np.multiply.outer(first, second).ravel()
    lag = np.subtract.outer(one.time, two.time).ravel()
    width = lag_width or float(one.time[-1] - one.time[0]) / (0.5 * len(one.time))
    number = np.floor(lag / width + _ROUNDING).astype(int)
    rows = []
    for item in np.unique(number):
        inside = product[number == item]
        if len(inside) > 1:
            dcf = float(inside.mean())
            error = math.sqrt(float(((inside - dcf) ** 2).sum())) / (len(inside) - 1)
            row = {"lag": (item + 0.5) * width, "dcf": dcf, "dcf_err": error}
            rows.append(row | {"n_pairs": len(inside)})
    return rows


def bayesian_blocks(points: Points, p0: float) -> list[dict[str, float]]:
    """Return intervals of constant flux.

    Parameters
    ----------
    points : Points
    p0 : float
        Probability of a change that is none.

    Returns
    -------
    rows : list of dict
        ``start`` and ``stop`` in days (of the first and last point), ``flux`` and ``flux_err``
        (weighted mean), ``n_points``.

    References
    ----------
    Scargle et al. (2013), ApJ 764, 167; `astropy.stats.bayesian_blocks`.
    """
    import numpy as np
    from astropy.stats import bayesian_blocks as blocks

    edges = blocks(points.time, points.flux, points.error, fitness="measures", p0=p0)
    number = np.clip(np.searchsorted(edges, points.time, side="right") - 1, 0, len(edges) - 2)
    rows = []
    for item in np.unique(number):
        inside = number == item
        weight = points.error[inside] ** -2
        rows.append(
            {
                "start": float(points.start[inside].min()),
                "stop": float(points.stop[inside].max()),
                "flux": float((weight * points.flux[inside]).sum() / weight.sum()),
                "flux_err": float(weight.sum() ** -0.5),
                "n_points": int(inside.sum()),
            }
        )
    return rows

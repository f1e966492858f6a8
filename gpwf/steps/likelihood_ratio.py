"""The chance of a likelihood ratio under the null hypothesis, and what it is in sigma."""

from __future__ import annotations

import math

__all__ = ["p_value", "sigma_of"]

_TINY = 1e-290


def p_value(ts: float, n_dof: int, n_boundary: int = 0) -> float:
    """Return the chance of a test statistic at least this large.

    Parameters
    ----------
    ts : float
        Twice the logarithm of the likelihood ratio, not negative.
    n_dof : int
        Additional free parameters.
    n_boundary : int
        How many of them are at a bound under the null hypothesis. For more than one there is no
        general answer, and the chance is that without bounds, which is too large.

    References
    ----------
    Wilks (1938), Ann. Math. Statist. 9, 60. Chernoff (1954), Ann. Math. Statist. 25, 573, and Self
    & Liang (1987), J. Am. Stat. Assoc. 82, 605, case 6: half a chi square with one degree of
    freedom less, and half one with all.
    """
    from scipy.stats import chi2

    if n_boundary != 1:
        return float(chi2.sf(ts, n_dof))
    # a chi square without degrees of freedom is zero
    less = float(chi2.sf(ts, n_dof - 1)) if n_dof > 1 else float(ts <= 0)
    return 0.5 * less + 0.5 * float(chi2.sf(ts, n_dof))


def sigma_of(ts: float, n_dof: int, n_boundary: int = 0) -> float:
    """Return the sigma beyond which, on both sides, a normal distribution has this chance.

    Parameters are as in `p_value`. It is the root of ``ts`` for one degree of freedom.

    Notes
    -----
    Where the chance is too small for a double, its logarithm is that of the leading term of the
    incomplete gamma function.
    """
    from scipy.optimize import brentq
    from scipy.special import gammaln
    from scipy.stats import norm

    if n_dof == 1 and n_boundary != 1:
        return math.sqrt(ts)
    chance = p_value(ts, n_dof, n_boundary)
    if chance > _TINY:
        return max(0.0, float(norm.isf(chance / 2)))
    half = n_dof / 2
    log_chance = (half - 1) * math.log(ts / 2) - ts / 2 - float(gammaln(half))
    if n_boundary == 1:
        log_chance += math.log(0.5)
    wanted = log_chance - math.log(2)
    return float(brentq(lambda x: float(norm.logsf(x)) - wanted, 1.0, 2 * math.sqrt(ts) + 10))

"""A value with its interval.

A value alone does not say whether two detectors differ: with 50 good and 50 defective parts an
AUROC of 0.95 has a standard error of 0.023. So every metric of this room comes as an ``Estimate``.
Inspection lives at the ends of the scale, where many an interval shrinks to nothing because every
part was called right; Wilson's for rates and Newcombe's for the AUROC do not.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_HALVINGS = 60


class Estimate(NamedTuple):
    """A metric and its two-sided interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


UNDEFINED = Estimate(None, None, None)


def wilson(hits: int, n: int, level: float = 0.95) -> Estimate:
    """Estimate a rate.

    Parameters
    ----------
    hits : int
        How often it happened, 0 to ``n``.
    n : int
        How often it could have happened.
    level : float
        Confidence level of the interval, between 0 and 1.

    Returns
    -------
    Estimate
        hits / n with Wilson's score interval [1]_; undefined where ``n`` is 0.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
       Journal of the American Statistical Association 22, 1927, 209-212.

    Examples
    --------
    >>> low, high = wilson(0, 20)[1:]
    >>> round(low, 3), round(high, 3)
    (0.0, 0.161)
    """
    assert 0 <= hits <= n, f"{hits} hits out of {n}"
    if n == 0:
        return UNDEFINED
    z = _normal_quantile(level)
    rate = hits / n
    center = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (rate * (1 - rate) / n + z**2 / (4 * n**2)) ** 0.5
    return _around(rate, center - half, center + half)


def auroc_interval(value: float, n_good: int, n_defect: int, level: float = 0.95) -> Estimate:
    """Put an interval around an AUROC.

    Parameters
    ----------
    value : float
        The AUROC, 0 to 1.
    n_good, n_defect : int
        Number of good and of defective parts, at least 1 of each.
    level : float
        Confidence level of the interval, between 0 and 1.

    Returns
    -------
    Estimate
        The AUROC with every ``theta`` from which it lies at most ``z`` standard errors away, where
        the standard error is taken at ``theta``: Newcombe's method 5 [1]_. It is Hanley and
        McNeil's [2]_ with both group sizes in the numerator replaced by their mean, so that
        swapping the groups mirrors the interval. At an AUROC of 1 it still has a width.

    References
    ----------
    .. [1] R. G. Newcombe, "Confidence intervals for an effect size measure based on the
       Mann-Whitney statistic. Part 2: asymptotic methods and evaluation", Statistics in Medicine
       25, 2006, 559-573.
    .. [2] J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating
       characteristic (ROC) curve", Radiology 143, 1982, 29-36.

    Examples
    --------
    >>> round(auroc_interval(1.0, 50, 50).low, 3)
    0.96
    """
    assert 0 <= value <= 1, f"an AUROC of {value}"
    assert min(n_good, n_defect) > 0, f"{n_good} good and {n_defect} defective parts"
    low = _score_limit(value, n_good, n_defect, _normal_quantile(level))
    high = 1 - _score_limit(1 - value, n_good, n_defect, _normal_quantile(level))
    return _around(value, low, high)


def percentile_interval(
    value: float, replicates: NDArray[np.float64], level: float = 0.95
) -> Estimate:
    """Put a percentile interval of bootstrap replicates around a value.

    Parameters
    ----------
    value : float
        The metric, 0 to 1.
    replicates : float64 array (replicate,)
        The metric of each bootstrap replicate; NaN where a replicate does not define it.
    level : float
        Confidence level of the interval, between 0 and 1.

    Returns
    -------
    Estimate
        The value with the percentiles [1]_, clipped to 0 and 1 and widened to hold the value;
        without an interval where no replicate is defined.

    References
    ----------
    .. [1] B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    defined = replicates[np.isfinite(replicates)]
    if defined.size == 0:
        return Estimate(value, None, None)
    tail = 50 * (1 - level)
    low, high = np.percentile(defined, (tail, 100 - tail))
    return _around(value, float(low), float(high))


def _normal_quantile(level: float) -> float:
    """Say how many standard deviations hold the share ``level`` of a normal distribution."""
    return NormalDist().inv_cdf((1 + level) / 2)


def _score_limit(value: float, n_good: int, n_defect: int, z: float) -> float:
    """Find the smallest theta that lies at most z of its own standard errors below the AUROC."""
    extra = (n_good + n_defect) / 2 - 1
    outside, inside = 0.0, value
    for _ in range(_HALVINGS):
        theta = (outside + inside) / 2
        spread = 1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)
        variance = theta * (1 - theta) * spread / (n_good * n_defect)
        if (value - theta) ** 2 > z**2 * variance:
            outside = theta
        else:
            inside = theta
    return inside


def _around(value: float, low: float, high: float) -> Estimate:
    """Keep an interval between 0 and 1, and around its value."""
    return Estimate(value, max(0.0, min(low, value)), min(1.0, max(high, value)))

"""How many good parts a false-alarm rate takes, and what is left to chance.

A threshold is the r-th highest of n calibration scores, r = ⌊α(n + 1)⌋. Over draws of the
calibration parts good parts are called defective at the rate r/(n + 1) ≤ α. The draw that a line
lives with has a rate of its own, which follows Beta(r, n + 1 − r), whatever the scores are like
[1]_: ``parts_needed`` promises the mean, ``parts_for`` the draw.

References
----------
.. [1] Vovk: Conditional validity of inductive conformal predictors, ACML 2012.
"""

import numpy as np
from scipy.stats import beta, betabinom

_MOST = 2_000


def _rank(parts: int, false_alarm: float) -> int:
    """Give which of the calibration scores, from the highest, is the threshold."""
    return int(np.floor(false_alarm * (parts + 1) + 1e-9))


def rate_bound(parts: int, false_alarm: float, confidence: float = 0.9) -> float:
    """Bound the rate at which one draw of calibration parts will alarm on good parts.

    Parameters
    ----------
    parts : int
        How many good parts calibrate.
    false_alarm : float
        The wanted rate α, in (0, 1).
    confidence : float
        In (0, 1).

    Returns
    -------
    float
        Exceeded with probability 1 − ``confidence`` only; 0 where there are too few parts for a
        threshold, so that nothing alarms.

    Examples
    --------
    >>> round(rate_bound(19, 0.05), 3), round(rate_bound(199, 0.05), 3)
    (0.114, 0.07)
    """
    rank = _rank(parts, false_alarm)
    if rank < 1:
        return 0.0
    return float(beta.ppf(confidence, rank, parts + 1 - rank)) if rank <= parts else 1.0


def parts_for(false_alarm: float, most: float, confidence: float = 0.9) -> int:
    """Count the calibration parts that keep one draw's rate below a bound.

    Parameters
    ----------
    false_alarm : float
        The wanted rate α, in (0, 1).
    most : float
        What the draw's own rate shall not exceed; more than α.
    confidence : float
        How sure that is, in (0, 1).

    Returns
    -------
    int
        From so many parts on `rate_bound` is at most ``most``.

    Raises
    ------
    ValueError
        When ``most`` is not above α, or so near to it that more than 2,000 / α parts are needed.

    Examples
    --------
    >>> parts_for(0.05, 0.10), parts_for(0.01, 0.02)
    (39, 199)
    """
    if not 0 < false_alarm < most < 1:
        raise ValueError(f"most is {most}; a rate between {false_alarm} and 1 was promised")
    for rank in range(1, _MOST):
        # the fewest parts of a rank have the highest rate of that rank
        parts = int(np.ceil(rank / false_alarm - 1e-9)) - 1
        if rate_bound(parts, false_alarm, confidence) <= most:
            return parts
    raise ValueError(
        f"no {_MOST / false_alarm:.3g} calibration parts keep the rate below {most} when "
        f"{false_alarm} is wanted; allow more"
    )


def alarms_interval(
    parts: int, fresh: int, false_alarm: float, level: float = 0.95
) -> tuple[int, int]:
    """Tell how many of so many fresh good parts one draw may call defective.

    Parameters
    ----------
    parts : int
        How many good parts calibrated.
    fresh : int
        How many others were judged.
    false_alarm : float
        The wanted rate α, in (0, 1).
    level : float
        Of the interval, in (0, 1).

    Returns
    -------
    (int, int)
        The central interval of the beta-binomial distribution that the number follows when all
        parts come from one process; (0, 0) without a threshold.

    Examples
    --------
    >>> alarms_interval(99, 1000, 0.05)
    (15, 103)
    """
    rank = _rank(parts, false_alarm)
    if rank < 1:
        return 0, 0
    if rank > parts:
        return fresh, fresh
    low, high = betabinom.interval(level, fresh, rank, parts + 1 - rank)
    return int(low), int(high)

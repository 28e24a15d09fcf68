"""Differences between two scores of the same parts, or two maps of the same captures.

Two detectors that were shown the same parts err on the same parts, so their difference is known
far better than either value, provided that it is the parts that are redrawn and both are measured
on what was drawn. That is all there is to it: the draw depends on the numbers of good and of
defective parts and on the seed, never on a score, so replicates of one call and of another belong
together, and whatever is computed from them (a difference, a mean over seeds, the best of several)
has its interval from the same replicates [1]_.

References
----------
.. [1] B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmdefect.errors import SceneError
from mmdefect.metrics.intervals import Estimate

Floats = NDArray[np.float64]

_CELLS_AT_ONCE = 2**21


def auroc_replicates(
    good: ArrayLike, defect: ArrayLike, *, seed: int = 0, replicates: int = 1000
) -> Floats:
    """Measure the part AUROC on the parts themselves and on parts redrawn within their group.

    Parameters
    ----------
    good, defect : float array (part,)
        Scores, higher is worse; at least one of each, none of them NaN.
    seed : int
        Seed of the draws.
    replicates : int

    Returns
    -------
    float64 array (1 + replicate,)
        The AUROC, ties counting half; first that of the parts as they are.

    Raises
    ------
    SceneError
        When a group is empty or a score is NaN.

    Examples
    --------
    >>> auroc_replicates([0.1, 0.2, 0.4], [0.3, 0.9], replicates=0)
    array([0.83333333])
    """
    clean, bad = np.asarray(good, dtype=np.float64), np.asarray(defect, dtype=np.float64)
    if not clean.size or not bad.size or np.isnan(clean).any() or np.isnan(bad).any():
        raise SceneError(
            f"{clean.size} good and {bad.size} defective parts, "
            f"{int(np.isnan(clean).sum() + np.isnan(bad).sum())} of them without a score: an AUROC "
            "takes one of each at least, and a number for every part"
        )
    scores = np.concatenate([clean, bad])
    order = np.argsort(scores, kind="stable")
    ranked, is_defect = scores[order], order >= clean.size
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    found = [_aurocs(np.ones((1, scores.size)), is_defect, last)]
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_ONCE // scores.size)
    for first in range(0, replicates, block):
        rows = min(block, replicates - first)
        times = [rng.multinomial(n, np.full(n, 1 / n), size=rows) for n in (clean.size, bad.size)]
        found.append(_aurocs(np.hstack(times)[:, order].astype(np.float64), is_defect, last))
    return np.concatenate(found)


def difference(replicates: ArrayLike, level: float = 0.95) -> Estimate:
    """Put an interval around a difference, or anything else that was computed of replicates.

    Parameters
    ----------
    replicates : float array (1 + replicate,)
        First the value itself; NaN where a replicate does not define it.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    Estimate
        The value with the percentiles of its replicates, widened to hold the value, but not cut
        at 0 and 1; without an interval where there are no replicates, undefined where the value
        is NaN.

    Examples
    --------
    >>> better, worse = [0.3, 0.9, 0.7], [0.3, 0.1, 0.4]
    >>> good = [0.1, 0.2, 0.25]
    >>> apart = auroc_replicates(good, better) - auroc_replicates(good, worse)
    >>> round(difference(apart).value, 3)
    0.278
    """
    value, *others = np.asarray(replicates, dtype=np.float64)
    drawn = np.array(others)[np.isfinite(others)]
    if not np.isfinite(value):
        return Estimate(None, None, None)
    if drawn.size == 0:
        return Estimate(float(value), None, None)
    tail = 50 * (1 - level)
    low, high = np.percentile(drawn, (tail, 100 - tail))
    return Estimate(float(value), min(float(low), float(value)), max(float(high), float(value)))


def _aurocs(times: Floats, is_defect: NDArray[np.bool_], last: NDArray[np.intp]) -> Floats:
    """Rank parts that were drawn (replicate, part) times, the best part first."""
    good = np.cumsum(times * ~is_defect, axis=1)[:, last]
    defect = np.diff(np.cumsum(times * is_defect, axis=1)[:, last], axis=1, prepend=0)
    below = good - np.diff(good, axis=1, prepend=0) / 2
    pairs: Floats = (defect * below).sum(1) / (good[:, -1] * defect.sum(1))
    return pairs

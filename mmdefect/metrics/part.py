"""Metrics of whole parts: one score a part.

Two questions, two functions. How well do the scores rank defective parts above good ones, whatever
the threshold: ``part_metrics``. What happens at the threshold that is in force: ``rates``.

"image" in the names is the literature's word for the part.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmdefect.errors import SceneError
from mmdefect.metrics.intervals import (
    UNDEFINED,
    Estimate,
    auroc_interval,
    percentile_interval,
    wilson,
)

_REPLICATES = 1000
_CELLS_AT_ONCE = 2**21


def part_metrics(
    good: ArrayLike, defect: ArrayLike, *, seed: int = 0, level: float = 0.95
) -> dict[str, Estimate]:
    """Measure how well scores rank defective parts above good ones.

    Parameters
    ----------
    good, defect : array (part,)
        Scores of the good and of the defective parts, higher is worse; infinite is allowed.
    seed : int
        Seed of the bootstrap.
    level : float
        Confidence level of the intervals, between 0 and 1.

    Returns
    -------
    dict of str to Estimate
        ``image_auroc``, the chance that a defective part scores above a good one, ties counting
        half, with Newcombe's interval; ``image_ap``, the average precision without interpolation,
        with the percentiles of 1,000 bootstrap replicates that redraw good and defective parts
        within their group. Undefined without a good or without a defective part.

    Raises
    ------
    SceneError
        When the scores are not a list of numbers, or one of them is NaN.

    Examples
    --------
    >>> part_metrics([0.1, 0.2, 0.4], [0.3, 0.9])["image_auroc"].value
    0.8333333333333334
    """
    good, defect = _part_scores(good, "good"), _part_scores(defect, "defect")
    if good.size == 0 or defect.size == 0:
        return {"image_auroc": UNDEFINED, "image_ap": UNDEFINED}
    precision = _bootstrap_precision(good, defect, np.random.default_rng(seed))
    return {
        "image_auroc": auroc_interval(_auroc(good, defect), good.size, defect.size, level),
        "image_ap": percentile_interval(float(precision[0]), precision[1:], level),
    }


def rates(
    good: ArrayLike, defect: ArrayLike, threshold: float | None, *, level: float = 0.95
) -> dict[str, Estimate]:
    """Measure what a threshold does: a part is called defect when it scores above it.

    Parameters
    ----------
    good, defect : array (part,)
        Scores of the good and of the defective parts, higher is worse; infinite is allowed.
    threshold : float or None
        The threshold in force, None where there is none.
    level : float
        Confidence level of Wilson's intervals, between 0 and 1.

    Returns
    -------
    dict of str to Estimate
        ``precision``, the share of defective parts among those called defect; ``recall``, the
        share of defective parts that were called defect; ``fpr``, the share of good parts that
        were called defect; ``fnr``, the share of defective parts that were not. Undefined where
        nothing is there to divide by, and without a threshold.

    Raises
    ------
    SceneError
        When the scores are not a list of numbers, or one of them is NaN.

    Examples
    --------
    >>> rates([0.1, 0.2, 0.4], [0.3, 0.9], threshold=0.3)["precision"].value
    0.5
    """
    good, defect = _part_scores(good, "good"), _part_scores(defect, "defect")
    if threshold is None:
        return dict.fromkeys(("precision", "recall", "fpr", "fnr"), UNDEFINED)
    false_alarms = int(np.count_nonzero(good > threshold))
    found = int(np.count_nonzero(defect > threshold))
    return {
        "precision": wilson(found, found + false_alarms, level),
        "recall": wilson(found, defect.size, level),
        "fpr": wilson(false_alarms, good.size, level),
        "fnr": wilson(defect.size - found, defect.size, level),
    }


def _part_scores(scores: ArrayLike, label: str) -> NDArray[np.float64]:
    """Take the scores of one group as an array, or say why they cannot be compared."""
    array = np.asarray(scores)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "fiu"):
        raise SceneError(
            f"the scores of the {label} parts are {array.dtype} of shape {array.shape}, but one "
            "number a part was promised; give a list of numbers"
        )
    missing = int(np.count_nonzero(np.isnan(array))) if array.dtype.kind == "f" else 0
    if missing:
        raise SceneError(
            f"{missing} of {array.size} scores of the {label} parts are NaN, but a number a part "
            "was promised; leave parts that could not be inspected out and count them apart"
        )
    return array.astype(np.float64)


def _auroc(good: NDArray[np.float64], defect: NDArray[np.float64]) -> float:
    """Count the pairs that are ranked right, ties half."""
    ranked = np.sort(good)
    below = np.searchsorted(ranked, defect, "left").sum()
    upto = np.searchsorted(ranked, defect, "right").sum()
    return float((below + upto) / (2 * good.size * defect.size))


def _bootstrap_precision(
    good: NDArray[np.float64], defect: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Average the precision of the parts themselves (first), then of each replicate."""
    scores = np.concatenate([good, defect])
    order = np.argsort(-scores, kind="stable")
    ranked, is_defect = scores[order], order >= good.size
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    precision = [_average_precision(np.ones((1, scores.size), np.int64), is_defect, last)]
    block = max(1, _CELLS_AT_ONCE // scores.size)
    for first in range(0, _REPLICATES, block):
        rows = min(block, _REPLICATES - first)
        times = [rng.multinomial(n, np.full(n, 1 / n), size=rows) for n in (good.size, defect.size)]
        precision.append(_average_precision(np.hstack(times)[:, order], is_defect, last))
    return np.concatenate(precision)


def _average_precision(
    times: NDArray[np.int64], is_defect: NDArray[np.bool_], last: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Average the precision of parts that were drawn (replicate, part) times, worst part first."""
    called = np.cumsum(times, axis=1)[:, last]
    found = np.cumsum(times * is_defect, axis=1)[:, last]
    gained = np.diff(found, axis=1, prepend=0)
    shares = found / np.maximum(called, 1) * gained / found[:, -1:]
    return np.asarray(shares.sum(axis=1), dtype=np.float64)

"""Boxes: which of them a map finds, and how often it points elsewhere.

Where the truth is a list of boxes, pixels say little: most of a box around a hairline is good. So
the regions of a map are held against the boxes. Both halves of the answer belong together: a map
that is one large region holds every centre.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mmdefect.boxes import Box, box_mask
from mmdefect.metrics.intervals import UNDEFINED, Estimate, wilson

LEAST_IOU = 0.1
_REPLICATES = 1000


def match_boxes(
    score_map: NDArray[np.floating], boxes: Sequence[Box], threshold: float
) -> tuple[list[bool], int]:
    """Hold the regions of one map against the boxes of its frame.

    Parameters
    ----------
    score_map : float array (y, x)
        Higher is worse; NaN belongs to no region.
    boxes : sequence of Box
    threshold : float
        A region is a set of pixels above it that touch at a side or a corner.

    Returns
    -------
    list of bool
        For every box, whether a region overlaps it with an IoU of at least 0.1 or holds the
        pixel of its centre.
    int
        Regions that find no box.

    Examples
    --------
    >>> hot = np.zeros((10, 10))
    >>> hot[2:4, 2:4] = hot[8, 8] = 1
    >>> match_boxes(hot, [(1, 1, 5, 5), (6, 0, 9, 3)], 0.5)
    ([True, False], 1)
    """
    from scipy.ndimage import label

    regions, count = label(np.nan_to_num(score_map, nan=-np.inf) > threshold, np.ones((3, 3)))
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    used: set[int] = set()
    hits = []
    for box in boxes:
        inside = box_mask([box], score_map.shape)
        shared = np.bincount(regions[inside], minlength=count + 1)
        iou = shared / np.maximum(sizes + inside.sum() - shared, 1)
        found = {int(region) for region in np.flatnonzero(iou >= LEAST_IOU)}
        found = (found | {_at_center(regions, box)}) - {0}
        used |= found
        hits.append(bool(found))
    return hits, count - len(used)


def _at_center(regions: NDArray[np.integer], box: Box) -> int:
    """Tell which region holds the pixel at a box's centre; 0 for none, and outside the map."""
    top, left, bottom, right = box
    row, column = int((top + bottom) // 2), int((left + right) // 2)
    inside = 0 <= row < regions.shape[0] and 0 <= column < regions.shape[1]
    return int(regions[row, column]) if inside else 0


def box_metrics(
    frames: Iterable[tuple[NDArray[np.floating], Sequence[Box]]],
    threshold: float | None,
    *,
    seed: int,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Count found boxes and false ones over all frames.

    Parameters
    ----------
    frames : iterable of (float array (y, x), sequence of Box)
        Maps with their boxes, those of good frames (no box) included; gone through once.
    threshold : float or None
        None where none can be promised; then nothing is defined.
    seed : int
        Of the redrawn frames.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    dict of str to Estimate
        ``box_recall``: the share of boxes that are hit, with Wilson's interval, or with that of
        redrawn frames where it is wider. ``false_boxes_per_frame``: regions that find no box, by
        the number of frames, with the interval of redrawn frames, or with Garwood's for a Poisson
        count where it is wider [1]_.

    References
    ----------
    .. [1] F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28, 1936.
    """
    undefined = {"box_recall": UNDEFINED, "false_boxes_per_frame": UNDEFINED}
    if threshold is None:
        return undefined
    rows = []
    for score_map, boxes in frames:
        hits, false = match_boxes(score_map, boxes, threshold)
        rows.append((sum(hits), len(hits), false))
    if not rows:
        return undefined
    counts = np.array(rows, dtype=np.float64)
    hit, boxes_there, false_boxes = counts.sum(0)
    drawn = _redrawn(counts, seed)
    recall = wilson(int(hit), int(boxes_there), level)
    with np.errstate(invalid="ignore"):
        found = {"box_recall": _widened(recall, drawn[:, 0] / drawn[:, 1], level)}
    per_frame = _poisson(false_boxes, len(counts), level)
    found["false_boxes_per_frame"] = _widened(per_frame, drawn[:, 2] / len(counts), level)
    return found


def _redrawn(counts: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Sum the counts of redrawn frames: boxes of one frame depend on each other."""
    drawn = np.random.default_rng(seed).multinomial(
        len(counts), np.full(len(counts), 1 / len(counts)), size=_REPLICATES
    )
    return np.asarray(drawn @ counts)


def _widened(estimate: Estimate, replicates: NDArray[np.float64], level: float) -> Estimate:
    """Widen an interval to the percentiles of replicates, where they lie outside."""
    known = replicates[np.isfinite(replicates)]
    if estimate.low is None or estimate.high is None or len(known) == 0:
        return estimate
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(estimate.value, min(estimate.low, float(low)), max(estimate.high, float(high)))


def _poisson(count: float, frames: int, level: float) -> Estimate:
    """Put Garwood's interval around a count per frame."""
    from scipy.stats import chi2

    tail = (1 - level) / 2
    low = chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    high = chi2.ppf(1 - tail, 2 * count + 2) / 2
    return Estimate(count / frames, float(low) / frames, float(high) / frames)

"""Intervals of pixel metrics, by redrawing whole captures.

Pixels of one part depend on each other, so the part is what is drawn. Sorting all pixels of some
hundred replicates is out of question; but the curves of a replicate are weighted sums of the
curves of its captures, once all are cut at a common set of about 2,000 scores. They are summed up
capture by capture, and no capture is read more than once.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from mmdefect.metrics._collect import Survey
from mmdefect.metrics._pixels import Floats, Keys, Pixels
from mmdefect.metrics._sweep import AUPRO_LIMITS, ramp_area

_REPLICATES = 200
_STACK = 16


def replicates(
    exact: dict[str, float], found: Survey, edges: Keys, *, seed: int
) -> dict[str, Floats]:
    """Measure each pixel metric on redrawn captures.

    Parameters
    ----------
    exact : dict of str to float
        The exact metrics.
    found : Survey
        All captures.
    edges : uint32 array (edge,)
        Keys, descending, at which the curves are cut; no defect pixel lies below the last one.
    seed : int
        Seed of the draws, which depend on nothing but it and which captures have a defect pixel.

    Returns
    -------
    dict of str to float64 array (replicate,)
        Of replicates that redraw the captures with defect pixels and those without within their
        group, moved by what cutting changed in the metric itself. Empty where a group has one
        capture only: it says nothing of its spread.
    """
    defective = np.array(found.defective)
    if 1 in (np.count_nonzero(defective), np.count_nonzero(~defective)):
        return {name: np.empty(0) for name in exact}
    times = _draw(defective, np.random.default_rng(seed))
    cut = _cut_metrics(_sum_curves(times, found.captures, edges))
    return {
        name: np.clip(cut[name][1:] + value - cut[name][0], 0, 1) for name, value in exact.items()
    }


def _draw(defective: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Say how often each replicate takes each capture; the first row takes each once."""
    times = np.ones((1 + _REPLICATES, defective.size))
    for group in (np.flatnonzero(defective), np.flatnonzero(~defective)):
        if group.size:
            shares = np.full(group.size, 1 / group.size)
            times[1:, group] = rng.multinomial(group.size, shares, size=_REPLICATES)
    return times


def _sum_curves(times: Floats, captures: Iterable[Pixels], edges: Keys) -> Floats:
    """Add up the curves of each replicate's captures, (curve, replicate, edge)."""
    total = np.zeros((3, len(times), edges.size + 1))
    first = 0
    for curves in _stacks(captures, edges):
        last = first + curves.shape[1]
        total += times[:, first:last] @ curves
        first = last
    return total


def _stacks(captures: Iterable[Pixels], edges: Keys) -> Iterator[Floats]:
    """Gather the curves of some captures at a time, (curve, capture, edge)."""
    waiting: list[Floats] = []
    for pixels in captures:
        waiting.append(_curves(pixels, edges))
        if len(waiting) == _STACK:
            yield np.stack(waiting, axis=1)
            waiting = []
    if waiting:
        yield np.stack(waiting, axis=1)


def _curves(pixels: Pixels, edges: Keys) -> Floats:
    """Count defect-free pixels, defect pixels and overlap down to each edge, and all of them."""
    good, order = np.sort(pixels.good), np.argsort(pixels.defect)
    overlap = np.append(0.0, np.cumsum(pixels.weight[order][::-1]))
    good_count = np.append(good.size - np.searchsorted(good, edges), good.size)
    below = np.searchsorted(pixels.defect[order], edges)
    count = np.append(order.size - below, order.size)
    return np.stack([good_count.astype(np.float64), count.astype(np.float64), overlap[count]])


def _cut_metrics(total: Floats) -> dict[str, Floats]:
    """Compute the metrics of each replicate from its curves, straight within a bin."""
    (reached, found, overlap), (good, defect, regions) = total[..., :-1], total[..., -1:]
    above, gained = _shifted(reached), overlap - _shifted(overlap)
    hit = found - _shifted(found)
    with np.errstate(invalid="ignore"):  # a replicate without defect-free pixels gives NaN
        metrics = {
            "pixel_auroc": np.sum(hit * ramp_area(above, reached, good) / (defect * good), axis=1),
            "pixel_ap": np.sum(hit * found / np.maximum(found + reached, 1) / defect, axis=1),
        }
        for name, limit in AUPRO_LIMITS.items():
            stop = limit * good
            area = ramp_area(above, reached, stop) / (stop * regions)
            metrics[name] = np.sum(gained * area, axis=1)
    return metrics


def _shifted(cumulated: Floats) -> Floats:
    """Give what was there before each edge."""
    return np.hstack([np.zeros((len(cumulated), 1)), cumulated[:, :-1]])

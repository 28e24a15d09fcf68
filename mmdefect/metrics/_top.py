"""AUPRO alone: nothing matters that scores below the highest false positive rate asked for.

Seven in ten defect-free pixels score too low to be in any of the areas, and are known by their
number alone. Where to cut is guessed from a sample of the scores. The guess decides how long it
takes and nothing else: what lies above the cut is counted, and where that is too little for the
highest limit, all is taken.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mmdefect.metrics._collect import HALF, Survey, collect, survey
from mmdefect.metrics._counting import tally_outside
from mmdefect.metrics._pixels import Counts, Maps
from mmdefect.metrics._sweep import AUPRO_LIMITS, pro_areas

_LIMIT = max(AUPRO_LIMITS.values())
_TO_SPARE = 0.01
_A_SAMPLE = 10_000


class _Sampled:
    """Maps that count the scores of some pixels, by the upper half of their keys, as read first."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps
        self._done = False
        self.buckets: Counts = np.zeros(1 << HALF, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._maps)

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        for score_map, mask in self._maps:
            yield score_map, mask
            if not self._done:  # whoever read the capture found nothing wrong with it
                self._count(np.asarray(score_map), np.asarray(mask))
        self._done = True

    def _count(self, score_map: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        step = max(1, int(np.sqrt(mask.size / _A_SAMPLE)))
        bits = np.ascontiguousarray(score_map).view(np.uint32)
        tally_outside(bits, np.ascontiguousarray(mask), step, HALF, self.buckets)


def top_areas(maps: Maps, byte_budget: int) -> dict[str, float] | None:
    """Measure AUPRO at every limit.

    Parameters
    ----------
    maps : iterable of (score map, mask)
    byte_budget : int
        What all collected pixels together may take.

    Returns
    -------
    dict of str to float or None
        By the names of ``AUPRO_LIMITS``; None without a defect pixel or without a defect-free one.
    """
    sampled = _Sampled(maps)
    found = survey(sampled, byte_budget)
    if not found.totals.good or not found.totals.defect:
        return None
    top = _down_to(found, _cut(sampled.buckets))
    areas = _areas(top, byte_budget)
    if top.good.seen < _LIMIT * found.totals.good:
        areas = _areas(found, byte_budget)
    return {name: min(area, 1.0) for name, area in areas.items()}


def _areas(found: Survey, byte_budget: int) -> dict[str, float]:
    """Add up what each step adds."""
    areas = dict.fromkeys(AUPRO_LIMITS, 0.0)
    for steps in collect(found, byte_budget):
        for name, area in pro_areas(steps, found.totals).items():
            areas[name] += area
    return areas


def _cut(sample: Counts) -> int:
    """Find the bucket below which all can be left out, going by a sample of defect-free pixels."""
    from_top = np.cumsum(sample[::-1])
    wanted = (_LIMIT + _TO_SPARE) * from_top[-1]
    return len(sample) - 1 - int(np.searchsorted(from_top, wanted))


def _down_to(found: Survey, bucket: int) -> Survey:
    """Leave out what lies below a bucket."""
    buckets = np.where(np.arange(len(found.buckets)) < bucket, 0, found.buckets)
    return found._replace(good=found.good.down_to(bucket << HALF), buckets=buckets)

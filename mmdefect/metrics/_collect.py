"""Collects the steps of the sweep, however many pixels there are.

Defect pixels are few and are sorted; defect-free pixels are many and are only counted against
them, chunk by chunk. So one pass over the maps finds the defect pixels, a second one counts the
others, and memory stays within a budget:

* maps that fit are kept as keys and never read again;
* too many defect pixels to sort at once are taken range by range, from the top, cut where a
  histogram of the upper half of their keys says so;
* a single bucket of that histogram that is too large (many equal scores) is counted by the lower
  half of the key instead of being collected.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from mmdefect.metrics._pixels import Counts, Floats, Keys, Maps, Pixels, Reader
from mmdefect.metrics._sweep import Steps, Totals

_HALF = 16
_BUCKETS = 1 << _HALF

# What the budget is spent on, and what a pixel costs at the peak of that work.
_KEPT_SHARE, _MARKED_SHARE, _CHUNK_SHARE, _STEPS_SHARE = 0.25, 0.125, 0.125, 0.5
_CHUNK_BYTES, _STEP_BYTES = 8, 96


class Span(NamedTuple):
    """Buckets ``low`` to ``high``, both included, with this many defect pixels."""

    low: int
    high: int
    pixels: int


class Survey(NamedTuple):
    """What a first pass over the maps found.

    ``captures`` gives all pixels again and ``marked`` at least the defect pixels of captures that
    have any, both from memory where they fit; ``defective`` says for each capture whether it
    has a defect pixel; ``buckets`` counts defect pixels by the upper half of their key.
    """

    captures: Iterable[Pixels]
    marked: Iterable[Pixels]
    totals: Totals
    defective: list[bool]
    buckets: Counts


class _Kept:
    """Keeps captures until they outgrow a share of the budget, then none."""

    def __init__(self, most_bytes: float) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._captures: list[Pixels] = []

    def add(self, pixels: Pixels) -> None:
        self._bytes += pixels.good.nbytes + pixels.defect.nbytes + pixels.weight.nbytes
        if self._bytes > self._most_bytes:
            self._captures = []
        else:
            self._captures.append(pixels)

    def or_else(self, reader: Reader) -> Iterable[Pixels]:
        return reader if self._bytes > self._most_bytes else self._captures


def survey(maps: Maps, byte_budget: int) -> Survey:
    """Read all maps once.

    Parameters
    ----------
    maps : iterable of (score map, mask)
        The captures.
    byte_budget : int
        What all collected pixels together may take.

    Returns
    -------
    Survey
        Counts, and the pixels themselves where they fit.
    """
    reader = Reader(maps)
    kept, marked = _Kept(_KEPT_SHARE * byte_budget), _Kept(_MARKED_SHARE * byte_budget)
    good, regions = 0, 0
    defective: list[bool] = []
    buckets = np.zeros(_BUCKETS, dtype=np.int64)
    for pixels in reader:
        good += pixels.good.size
        regions += pixels.regions
        defective.append(pixels.regions > 0)
        kept.add(pixels)
        if pixels.regions:
            marked.add(pixels._replace(good=pixels.good[:0].copy()))
            buckets += np.bincount(pixels.defect >> _HALF, minlength=_BUCKETS)
    totals = Totals(good, int(buckets.sum()), regions)
    return Survey(kept.or_else(reader), marked.or_else(reader), totals, defective, buckets)


def collect(found: Survey, byte_budget: int) -> Iterator[Steps]:
    """Collect the steps of the sweep.

    Parameters
    ----------
    found : Survey
        What the first pass found, with at least one defect pixel.
    byte_budget : int
        What all collected pixels together may take.

    Yields
    ------
    Steps
        Descending, and each batch below the one before.
    """
    most = int(_STEPS_SHARE * byte_budget / _STEP_BYTES)
    chunk = int(_CHUNK_SHARE * byte_budget / _CHUNK_BYTES)
    for span in plan(found.buckets, most):
        tell_apart = _sorted if span.pixels <= most else _tallied
        key, count, overlap = tell_apart(found.marked, span)
        above, reached = _rank(key, found.captures, chunk)
        yield Steps(key, count, overlap, above, reached)


def plan(buckets: Counts, most: int) -> list[Span]:
    """Cut the buckets into spans.

    Parameters
    ----------
    buckets : int64 array (65536,)
        Defect pixels by the upper half of their key.
    most : int
        Pixels that a span of more than one bucket may hold.

    Returns
    -------
    list of Span
        From the top, none empty.
    """
    from_top = np.cumsum(buckets[::-1])
    spans: list[Span] = []
    start, before = 0, 0
    while before < from_top[-1]:
        start = int(np.searchsorted(from_top, before, "right"))
        stop = max(start + 1, int(np.searchsorted(from_top, before + most, "right")))
        pixels = int(from_top[stop - 1]) - before
        spans.append(Span(_BUCKETS - stop, _BUCKETS - 1 - start, pixels))
        before += pixels
    return spans


def _sorted(captures: Iterable[Pixels], span: Span) -> tuple[Keys, Counts, Floats]:
    """Tell distinct keys apart by sorting, descending, with pixels and overlap of each."""
    keys, weights = [], []
    for pixels in captures:
        bucket = pixels.defect >> _HALF
        inside = (bucket >= span.low) & (bucket <= span.high)
        keys.append(pixels.defect[inside])
        weights.append(pixels.weight[inside])
    key = np.concatenate(keys)
    order = np.argsort(key)[::-1]
    key = key[order]
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    overlap = np.add.reduceat(np.concatenate(weights)[order], starts)
    return key[starts], np.diff(starts, append=key.size), overlap


def _tallied(captures: Iterable[Pixels], span: Span) -> tuple[Keys, Counts, Floats]:
    """Tell the keys of one bucket apart by a tally of their lower halves, descending."""
    count, overlap = np.zeros(_BUCKETS, dtype=np.int64), np.zeros(_BUCKETS)
    for pixels in captures:
        inside = pixels.defect >> _HALF == span.low
        lower = pixels.defect[inside] & np.uint32(_BUCKETS - 1)
        count += np.bincount(lower, minlength=_BUCKETS)
        overlap += np.bincount(lower, weights=pixels.weight[inside], minlength=_BUCKETS)
    lower = np.flatnonzero(count)[::-1]
    return (span.low * _BUCKETS + lower).astype(np.uint32), count[lower], overlap[lower]


def _rank(key: Keys, captures: Iterable[Pixels], chunk: int) -> tuple[Counts, Counts]:
    """Count the defect-free pixels that score above each key, and those that reach it."""
    ascending = key[::-1]
    above, reached = np.zeros(key.size, dtype=np.int64), np.zeros(key.size, dtype=np.int64)
    for good in _chunks(captures, chunk):
        good.sort()
        start = np.searchsorted(good, ascending, "left")
        stop = start.copy()
        tied = np.flatnonzero(good[np.minimum(start, good.size - 1)] == ascending)
        stop[tied] = np.searchsorted(good, ascending[tied], "right")
        reached += good.size - start
        above += good.size - stop
    return above[::-1], reached[::-1]


def _chunks(captures: Iterable[Pixels], most: int) -> Iterator[Keys]:
    """Gather defect-free pixels to arrays of at least ``most``: copies, free to be sorted."""
    waiting: list[Keys] = []
    size = 0
    for pixels in captures:
        waiting.append(pixels.good)
        size += pixels.good.size
        if size > most:
            yield np.concatenate(waiting)
            waiting, size = [], 0
    if size:
        yield np.concatenate(waiting)

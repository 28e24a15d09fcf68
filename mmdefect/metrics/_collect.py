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

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from mmdefect.jit import threads
from mmdefect.metrics._counting import count_above
from mmdefect.metrics._pixels import Counts, Floats, Keys, Maps, Pixels, Reader
from mmdefect.metrics._sweep import Steps, Totals

T = TypeVar("T")

_HALF = 16
_BUCKETS = 1 << _HALF

# What the budget is spent on, and what a pixel costs at the peak of that work.
_KEPT_SHARE, _MARKED_SHARE, _CHUNK_SHARE, _STEPS_SHARE = 0.25, 0.125, 0.125, 0.5
_CHUNK_BYTES, _STEP_BYTES = 4, 96


class Span(NamedTuple):
    """Buckets ``low`` to ``high``, both included, with this many defect pixels."""

    low: int
    high: int
    pixels: int


class Again(Generic[T]):
    """What can be gone through again and again, made anew each time."""

    def __init__(self, make: Callable[[], Iterable[T]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[T]:
        """Go through it."""
        return iter(self._make())


class Survey(NamedTuple):
    """What a first pass over the maps found.

    ``captures`` gives all pixels again, ``good`` the keys of defect-free pixels alone and
    ``marked`` at least the defect pixels of captures that have any, all from memory where they fit;
    ``defective`` says for each capture whether it has a defect pixel; ``buckets`` counts defect
    pixels by the upper half of their key.
    """

    captures: Iterable[Pixels]
    good: Iterable[Keys]
    marked: Iterable[Pixels]
    totals: Totals
    defective: list[bool]
    buckets: Counts


class _Kept:
    """Keeps captures unless all of them will outgrow a share of the budget, then none."""

    def __init__(self, most_bytes: float, expected: int) -> None:
        self._most_bytes = most_bytes
        self._expected = expected
        self._seen = self._bytes = 0
        self.captures: list[Pixels] = []
        self.open = True

    def add(self, pixels: Pixels) -> None:
        if not self.open:
            return
        self._seen += 1
        self._bytes += pixels.good.nbytes + pixels.defect.nbytes + pixels.weight.nbytes
        self.captures.append(pixels)
        if self._bytes * max(1.0, self._expected / self._seen) > self._most_bytes:
            self.open, self.captures = False, []


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
    kept = _Kept(_KEPT_SHARE * byte_budget, len(maps))
    marked = _Kept(_MARKED_SHARE * byte_budget, 0)
    outside, regions = 0, 0
    defective: list[bool] = []
    buckets = np.zeros(_BUCKETS, dtype=np.int64)
    for pixels in reader.each(good=lambda: kept.open):
        outside += pixels.outside
        regions += pixels.regions
        defective.append(pixels.regions > 0)
        kept.add(pixels)
        if pixels.regions:
            marked.add(pixels._replace(good=pixels.good[:0].copy()))
            buckets += np.bincount(pixels.defect >> _HALF, minlength=_BUCKETS)
    return Survey(
        kept.captures if kept.open else reader,
        Again(lambda: (pixels.good for pixels in kept.captures) if kept.open else reader.good()),
        marked.captures if marked.open else Again(reader.marked),
        Totals(outside, int(buckets.sum()), regions),
        defective,
        buckets,
    )


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
        above, reached = _rank(key, found.good, chunk)
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


def _rank(key: Keys, good: Iterable[Keys], chunk: int) -> tuple[Counts, Counts]:
    """Count the defect-free pixels that score above each key, and those that reach it.

    Other threads sort and count while this one reads; whole numbers add up in any order.
    """
    ascending = np.ascontiguousarray(key[::-1])
    total = np.zeros((2, key.size), dtype=np.int64)

    def counted(pixels: Keys) -> Counts:
        counts = np.zeros((2, key.size), dtype=np.int64)
        pixels.sort()
        count_above(pixels, ascending, counts[0], counts[1])
        return counts

    others = threads() - 1
    if not others:
        for pixels in _chunks(good, chunk):
            total += counted(pixels)
        return total[0, ::-1], total[1, ::-1]
    waiting: deque[Future[Counts]] = deque()
    with ThreadPoolExecutor(others) as pool:
        for pixels in _chunks(good, chunk // (2 * others)):
            if len(waiting) > others:
                total += waiting.popleft().result()
            waiting.append(pool.submit(counted, pixels.copy()))
        while waiting:
            total += waiting.popleft().result()
    return total[0, ::-1], total[1, ::-1]


def _chunks(good: Iterable[Keys], most: int) -> Iterator[Keys]:
    """Gather defect-free pixels to arrays of about ``most``, free to be sorted until the next."""
    gathered = np.empty(0, dtype=np.uint32)
    size = 0
    for keys in good:
        if size and size + keys.size > len(gathered):
            yield gathered[:size]
            size = 0
        if keys.size > len(gathered):
            gathered = np.empty(max(most, keys.size), dtype=np.uint32)
        gathered[size : size + keys.size] = keys
        size += keys.size
    if size:
        yield gathered[:size]

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
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from mmdefect.jit import threads
from mmdefect.metrics._counting import count_above
from mmdefect.metrics._pixels import Counts, Floats, Keys, Maps, Pixels, Reader, write_good
from mmdefect.metrics._sweep import Steps, Totals

T = TypeVar("T")

HALF = 16
_BUCKETS = 1 << HALF

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


class Good:
    """Keys of defect-free pixels: from memory, or read again.

    Parameters
    ----------
    captures : list of Pixels or Reader
    floor : int
        Lower keys are left out.
    """

    def __init__(self, captures: list[Pixels] | Reader, floor: int = 0) -> None:
        self._captures = captures
        self._floor = floor
        self.seen = 0

    def down_to(self, floor: int) -> "Good":
        """Give the same keys, but none below a floor."""
        return Good(self._captures, floor)

    def chunks(self, most: int, to_keep: bool = False) -> Iterator[Keys]:
        """Gather keys to arrays of about ``most``, free to be sorted until the next, or to be kept.

        ``seen`` counts them, once all are gone through.
        """
        gathered = np.empty(0, dtype=np.uint32)
        size = self.seen = 0
        for room, write in self._captured():
            if size and size + room > len(gathered):
                yield gathered[:size]
                size = 0
                gathered = np.empty(len(gathered), dtype=np.uint32) if to_keep else gathered
            if room > len(gathered):
                gathered = np.empty(max(most, room), dtype=np.uint32)
            written = write(gathered[size:])
            size, self.seen = size + written, self.seen + written
        if size:
            yield gathered[:size]

    def _captured(self) -> Iterator[tuple[int, Callable[[Keys], int]]]:
        """Go through the captures: the room that each needs, and what writes its keys."""
        if isinstance(self._captures, Reader):
            for score_map, mask, _ in self._captures.checked():
                yield mask.size, partial(write_good, score_map, mask, self._floor)
            return
        for pixels in self._captures:
            keys = pixels.good[pixels.good >= self._floor] if self._floor else pixels.good
            yield keys.size, partial(_copied, keys)


def _copied(keys: Keys, into: Keys) -> int:
    """Copy keys to the beginning of an array, and count them."""
    into[: keys.size] = keys
    return keys.size


class Survey(NamedTuple):
    """What a first pass over the maps found.

    ``captures`` gives all pixels again, ``good`` the keys of defect-free pixels alone and
    ``marked`` at least the defect pixels of captures that have any, all from memory where they fit;
    ``defective`` says for each capture whether it has a defect pixel; ``buckets`` counts defect
    pixels by the upper half of their key.
    """

    captures: Iterable[Pixels]
    good: Good
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
            buckets += np.bincount(pixels.defect >> HALF, minlength=_BUCKETS)
    return Survey(
        kept.captures if kept.open else reader,
        Good(kept.captures if kept.open else reader),
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
        stop = int(np.searchsorted(from_top, from_top[stop - 1])) + 1  # no empty one at its end
        pixels = int(from_top[stop - 1]) - before
        spans.append(Span(_BUCKETS - stop, _BUCKETS - 1 - start, pixels))
        before += pixels
    return spans


def _sorted(captures: Iterable[Pixels], span: Span) -> tuple[Keys, Counts, Floats]:
    """Tell distinct keys apart by sorting, descending, with pixels and overlap of each."""
    keys, weights = [], []
    for pixels in captures:
        bucket = pixels.defect >> HALF
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
        inside = pixels.defect >> HALF == span.low
        lower = pixels.defect[inside] & np.uint32(_BUCKETS - 1)
        count += np.bincount(lower, minlength=_BUCKETS)
        overlap += np.bincount(lower, weights=pixels.weight[inside], minlength=_BUCKETS)
    lower = np.flatnonzero(count)[::-1]
    return (span.low * _BUCKETS + lower).astype(np.uint32), count[lower], overlap[lower]


def _rank(key: Keys, good: Good, chunk: int) -> tuple[Counts, Counts]:
    """Count the defect-free pixels that score above each key, and those that reach it.

    Other threads sort and count while this one reads, each into a tally of its own.
    """
    ascending = np.ascontiguousarray(key[::-1])
    others = threads() - 1
    tallies = [np.zeros((2, key.size), dtype=np.int64) for _ in range(max(1, others))]

    def counted(pixels: Keys) -> None:
        pixels.sort()
        own = tallies.pop()
        count_above(pixels, ascending, own[0], own[1])
        tallies.append(own)

    if others:
        _handed_out(counted, good.chunks(chunk // others, to_keep=True), others)
    else:
        for pixels in good.chunks(chunk):
            counted(pixels)
    total = sum(tallies[1:], tallies[0])
    return total[0, ::-1], total[1, ::-1]


def _handed_out(work: Callable[[Keys], None], chunks: Iterable[Keys], others: int) -> None:
    """Let other threads work on the chunks, one each, while the next one is read."""
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(others) as pool:
        for pixels in chunks:
            if len(waiting) == others:
                waiting.popleft().result()
            waiting.append(pool.submit(work, pixels))
        while waiting:
            waiting.popleft().result()

"""Attention of a block's queries to the keys that they may see, in compiled loops.

What a query may see differs from block to block and from sensor to sensor, so a library's attention
copies every block's keys, computes all products, and adds a mask as large as they are. Here each
block lists the keys that there are, once: cells of its window sensor by sensor, what a sensor's own
queries may not see first, then the regions in the same way, then the answer "nothing". What is
hidden from one target of several are then two gaps in that list; what is hidden from the only one
is not listed.

Logits come multiplied by log₂ e, so exponentials are powers of two. They count from 0, and from the
highest only where their sum would leave what a float32 can hold. All of a block lie key by key:
products of matrices are fastest so, and loops have no remainders.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import WORTH_A_THREAD, compiled, in_bands, inlined

from ._powers import power
from ._tokens import BLOCK
from ._windows import Windows

_ZERO, _ONE, _NEVER = (np.float32(number) for number in (0, 1, -np.inf))
_LEAST, _MOST = np.float32(2.0**-60), np.float32(2.0**100)

Rows = NDArray[np.float32]
Places = NDArray[np.int32]


class Keys:
    """What the queries of every block may see.

    Parameters
    ----------
    windows : Windows
        On the CPU.
    there : bool array (sensor, cell)
    sets : int64 array (sensor,)
        By which set of answers each sensor, as a target, is answered.

    Attributes
    ----------
    cells : int32 array (block, cell of the block)
    lists : int32 array (set, block, key)
        Numbers of answers in the order (sensor · cell, sensor · region, nothing).
    counts : int32 array (set, block)
        Keys of each list.
    gaps : int32 array (block, sensor, 4)
        Start and stop of what a sensor's own queries may not see in its list: cells, regions.
    """

    def __init__(self, windows: Windows, there: NDArray[np.bool_], sets: NDArray[np.int64]) -> None:
        window, inside, hidden, regions, clear = (part.numpy() for part in windows[1:])
        self.cells = windows.cells.numpy().astype(np.int32)
        (sensors, cells), blocks = there.shape, len(window)
        most = sensors * (window.shape[1] + len(regions)) + 1
        self.lists = np.zeros((int(sets.max()) + 1, blocks, most), dtype=np.int32)
        self.counts = np.zeros(self.lists.shape[:2], dtype=np.int32)
        self.gaps = np.zeros((blocks, sensors, 4), dtype=np.int32)
        near = there[:, window] & inside
        far = there @ regions.T.astype(np.int64) > 0
        every = np.arange(len(regions))
        for own, (lists, counts) in enumerate(zip(self.lists, self.counts, strict=True)):
            asks = sets == own
            held = (asks, asks.sum() == 1, lists, counts, self.gaps)
            _listed(window, near, hidden, every, far, ~clear, cells, *held)


def attended(asked: Rows, told: Rows, heads: int, sets: NDArray[np.int64], keys: Keys) -> Rows:
    """Let queries attend to keys.

    Parameters
    ----------
    asked : float32 array (target, cell, width)
        Queries, times log₂ e over the root of a head's width.
    told : float32 array (set, answer, 2 · width)
        Keys, then values, of every answer there is.
    heads : int
    sets : int64 array (target,)
        By which set each target is answered: those that the keys were listed for.
    keys : Keys

    Returns
    -------
    float32 array (target, cell, width)
    """
    found = np.empty_like(asked)
    held = (keys.cells, keys.lists, keys.counts, keys.gaps)
    least = -(-WORTH_A_THREAD // (BLOCK**2 * len(asked) * keys.lists.shape[2] * told.shape[2]))
    order = np.argsort(sets, kind="stable")
    starts = np.searchsorted(sets[order], np.arange(len(told) + 1))
    asks = (asked, told, heads, order, starts)
    in_bands(_attend, len(keys.cells), *asks, *held, found, least=least)
    return found


@compiled
def _listed(
    window: NDArray[np.int64],
    near: NDArray[np.bool_],
    hidden: NDArray[np.bool_],
    every: NDArray[np.int64],
    far: NDArray[np.bool_],
    touched: NDArray[np.bool_],
    cells: int,
    asks: NDArray[np.bool_],
    alone: bool,
    lists: Places,
    counts: Places,
    gaps: Places,
) -> None:
    """List every block's keys for those that ask; what is hidden from a sensor's own comes first.

    Where one sensor alone asks, that is left out.
    """
    sensors, regions = far.shape
    for b in range(len(window)):
        n, own = 0, lists[b]
        for s in range(sensors):
            first, begin = s * cells, n
            if not (alone and asks[s]):
                n = _put(window[b], near[s, b], hidden[b], True, first, own, n)
            if asks[s]:
                gaps[b, s, 0], gaps[b, s, 1] = begin, n
            n = _put(window[b], near[s, b], hidden[b], False, first, own, n)
        for s in range(sensors):
            first, begin = sensors * cells + s * regions, n
            if not (alone and asks[s]):
                n = _put(every, far[s], touched[b], True, first, own, n)
            if asks[s]:
                gaps[b, s, 2], gaps[b, s, 3] = begin, n
            n = _put(every, far[s], touched[b], False, first, own, n)
        own[n] = sensors * (cells + regions)
        counts[b] = n + 1


@inlined
def _put(
    places: NDArray[np.int64],
    there: NDArray[np.bool_],
    marked: NDArray[np.bool_],
    wanted: bool,
    first: int,
    row: Places,
    n: int,
) -> int:
    """Add the places that are there and marked, or not marked, to a list of n; give the new n."""
    for k in range(len(places)):
        if there[k] and marked[k] == wanted:
            row[n] = first + places[k]
            n += 1
    return n


@compiled
def _attend(
    band: int,
    start: int,
    stop: int,
    asked: Rows,
    told: Rows,
    heads: int,
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    cells: Places,
    lists: Places,
    counts: Places,
    gaps: Places,
    found: Rows,
) -> None:
    """Answer some blocks."""
    width, most = asked.shape[2] // heads, lists.shape[2]
    near = np.empty((2 * heads, most, width), np.float32)
    room = np.empty(len(order) * cells.shape[1] * most, np.float32)
    ones = np.ones(most, np.float32)
    for own in range(len(told)):
        targets = order[starts[own] : starts[own + 1]]
        many = len(targets) * cells.shape[1]
        rows = np.empty((width, many), np.float32)
        given, totals = np.empty((many, width), np.float32), np.empty(many, np.float32)
        for b in range(start if many else stop, stop):
            count = counts[own, b]
            _lay_out(told[own], lists[own, b, :count], near)
            flat = room[: count * many]
            shares = flat.reshape(count, many)
            for head in range(heads):
                _ask(asked, targets, cells[b], head, rows)
                np.dot(near[head, :count], rows, shares)
                _exponentiate(flat)
                _hide(shares, gaps[b], targets)
                np.dot(ones[:count], shares, totals)
                _start_anew(shares, gaps[b], targets, near[head], rows, totals)
                np.dot(shares.T, near[heads + head, :count], given)
                _tell(given, totals, targets, cells[b], head, found)


@compiled
def _lay_out(told: Rows, chosen: Places, near: Rows) -> None:
    """Lay out the keys, then values, of one block, head by head."""
    width = near.shape[2]
    for j in range(len(chosen)):
        row = told[chosen[j]]
        for half in range(len(near)):
            own, part = near[half, j], row[half * width : (half + 1) * width]
            for d in range(width):
                own[d] = part[d]


@compiled
def _ask(asked: Rows, targets: NDArray[np.int64], cells: Places, head: int, rows: Rows) -> None:
    """Lay out the queries of one block (width, query)."""
    width, n = len(rows), 0
    for t in targets:
        for cell in cells:
            for d in range(width):
                rows[d, n] = asked[t, cell, head * width + d]
            n += 1


@compiled
def _tell(
    given: Rows,
    totals: Rows,
    targets: NDArray[np.int64],
    cells: Places,
    head: int,
    found: Rows,
) -> None:
    """Put the answers to one block where they belong."""
    width, n = given.shape[1], 0
    for t in targets:
        for cell in cells:
            part = _ONE / totals[n]
            for d in range(width):
                found[t, cell, head * width + d] = given[n, d] * part
            n += 1


@compiled
def _exponentiate(logits: Rows) -> None:
    """Turn logits into powers of two, in place."""
    for place in range(len(logits)):
        logits[place] = power(logits[place])


@inlined
def _hide(shares: Rows, gaps: Places, targets: NDArray[np.int64]) -> None:
    """Leave no share (key, query) to what lies in a target's gaps."""
    each = shares.shape[1] // len(targets)
    for n in range(len(targets)):
        gap = gaps[targets[n]]
        for start, stop in ((gap[0], gap[1]), (gap[2], gap[3])):
            shares[start:stop, n * each : (n + 1) * each] = _ZERO


@inlined
def _start_anew(
    shares: Rows,
    gaps: Places,
    targets: NDArray[np.int64],
    near: Rows,
    rows: Rows,
    totals: Rows,
) -> None:
    """Count from the highest logit, where the sum tells that all are too high or too low."""
    each = shares.shape[1] // len(targets)
    for n in range(len(totals)):
        if not _LEAST < totals[n] < _MOST:
            gap, top, total = gaps[targets[n // each]], _NEVER, _ZERO
            for j in range(len(shares)):
                logit = _ZERO
                for d in range(len(rows)):
                    logit += near[j, d] * rows[d, n]
                if gap[0] <= j < gap[1] or gap[2] <= j < gap[3]:
                    logit = _NEVER
                shares[j, n] = logit
                top = max(top, logit)
            for j in range(len(shares)):
                shares[j, n] = power(shares[j, n] - top)
                total += shares[j, n]
            totals[n] = total

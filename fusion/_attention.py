"""Attention of a block's queries to the keys that they may see, in compiled loops.

What a query may see differs from block to block and from sensor to sensor, so a library's attention
copies every block's keys, computes all products, and adds a mask as large as they are. Here each
block lists the keys that there are, once: cells of its window sensor by sensor, what a sensor's own
queries may not see first, then the regions in the same way, then the answer "nothing". What is
hidden from a target are then two gaps in that list.

Exponentials are powers of two, of a polynomial whose error is that of a float32 (the logits come
multiplied by log₂ e); what is masked counts exactly 0.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import WORTH_A_THREAD, compiled, in_bands, reordered

from ._tokens import BLOCK
from ._windows import Windows

_BIAS, _POINT = np.int32(127), np.int32(23)
_ZERO, _ONE, _FAR, _ROUND, _NEVER, _MOST = (
    np.float32(number) for number in (0, 1, 127, 127.5, -np.inf, 2.0**100)
)
_C1, _C2, _C3, _C4, _C5, _C6 = (
    np.float32(np.log(2) ** k / np.prod(np.arange(1.0, k + 1))) for k in range(1, 7)
)

Rows = NDArray[np.float32]
Places = NDArray[np.int32]


class Keys:
    """What the queries of every block may see.

    Parameters
    ----------
    windows : Windows
        On the CPU.
    there : bool array (sensor, cell)

    Attributes
    ----------
    cells : int32 array (block, cell of the block)
    lists : int32 array (block, key)
        Numbers of answers in the order (sensor · cell, sensor · region, nothing).
    counts : int32 array (block,)
        Keys of each list.
    gaps : int32 array (block, sensor, 4)
        Start and stop of what a sensor's own queries may not see: cells, regions.
    """

    def __init__(self, windows: Windows, there: NDArray[np.bool_]) -> None:
        window, inside, hidden, regions, clear = (part.numpy() for part in windows[1:])
        self.cells = windows.cells.numpy().astype(np.int32)
        sensors, blocks = len(there), len(window)
        most = sensors * (window.shape[1] + len(regions)) + 1
        self.lists = np.zeros((blocks, most), dtype=np.int32)
        self.counts = np.zeros(blocks, dtype=np.int32)
        self.gaps = np.zeros((blocks, sensors, 4), dtype=np.int32)
        near = there[:, window] & inside
        far = there @ regions.T.astype(np.int64) > 0
        held = (self.lists, self.counts, self.gaps)
        every = np.arange(len(regions))
        _listed(window, near, hidden, every, far, ~clear, there.shape[1], *held)


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
        By which set each target is answered.
    keys : Keys

    Returns
    -------
    float32 array (target, cell, width)
    """
    found = np.empty_like(asked)
    held = (keys.cells, keys.lists, keys.counts, keys.gaps)
    least = -(-WORTH_A_THREAD // (BLOCK**2 * len(asked) * keys.lists.shape[1] * told.shape[2]))
    order = np.argsort(sets, kind="stable")
    starts = np.searchsorted(sets[order], np.arange(len(told) + 1))
    asks = (asked, told, heads, order, starts)
    in_bands(_attend, len(keys.lists), *asks, *held, found, least=least)
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
    lists: Places,
    counts: Places,
    gaps: Places,
) -> None:
    """List every block's keys; what is hidden from a sensor's own queries comes first."""
    sensors, regions = far.shape
    for b in range(len(window)):
        n, own = 0, lists[b]
        for s in range(sensors):
            gaps[b, s, 0] = n
            n = gaps[b, s, 1] = _put(window[b], near[s, b], hidden[b], True, s * cells, own, n)
            n = _put(window[b], near[s, b], hidden[b], False, s * cells, own, n)
        first = sensors * cells
        for s in range(sensors):
            gaps[b, s, 2] = n
            n = gaps[b, s, 3] = _put(every, far[s], touched[b], True, first, own, n)
            n = _put(every, far[s], touched[b], False, first, own, n)
            first += regions
        own[n] = first
        counts[b] = n + 1


@compiled
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


@reordered
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
    width, most = asked.shape[2] // heads, lists.shape[1]
    near = np.empty((2, heads, most, width), np.float32)
    room = np.empty((2, len(order) * cells.shape[1] * most), np.float32)
    for own in range(len(told)):
        targets = order[starts[own] : starts[own + 1]]
        rows = np.empty((len(targets) * cells.shape[1], width), np.float32)
        given, totals = np.empty_like(rows), np.empty(len(rows), np.float32)
        for b in range(start, stop):
            count = counts[b]
            _lay_out(told[own], lists[b, :count], near)
            logits = room[0, : len(rows) * count].reshape(len(rows), count)
            shares = room[1, : len(rows) * count].reshape(len(rows), count)
            for head in range(heads):
                _ask(asked, targets, cells[b], head, rows)
                np.dot(rows, near[0, head, :count].T, logits)
                _share_out(logits, gaps[b], targets, shares, totals)
                np.dot(shares, near[1, head, :count], given)
                _tell(given, totals, targets, cells[b], head, found)


@compiled
def _lay_out(told: Rows, chosen: Places, near: Rows) -> None:
    """Lay out the keys and values of one block, head by head."""
    heads, width = near.shape[1], near.shape[3]
    for j in range(len(chosen)):
        row = told[chosen[j]]
        for head in range(heads):
            for d in range(width):
                near[0, head, j, d] = row[head * width + d]
                near[1, head, j, d] = row[(heads + head) * width + d]


@compiled
def _ask(asked: Rows, targets: NDArray[np.int64], cells: Places, head: int, rows: Rows) -> None:
    """Lay out the queries of one block."""
    width, n = rows.shape[1], 0
    for t in targets:
        for cell in cells:
            for d in range(width):
                rows[n, d] = asked[t, cell, head * width + d]
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
            for d in range(width):
                found[t, cell, head * width + d] = given[n, d] / totals[n]
            n += 1


@compiled
def _share_out(
    logits: Rows, gaps: Places, targets: NDArray[np.int64], shares: Rows, totals: Rows
) -> None:
    """Turn each query's logits into shares of a total, none of them for what lies in a gap.

    They count above that of "nothing", which is always there and comes last, so no total is
    below 1; where one is that much higher, above the highest.
    """
    each = len(logits) // len(targets)
    for place in range(len(logits)):
        row, gap = logits[place], gaps[targets[place // each]]
        row[gap[0] : gap[1]] = _NEVER
        row[gap[2] : gap[3]] = _NEVER
        totals[place] = _powers(row, row[-1], shares[place])
        if not totals[place] < _MOST:
            totals[place] = _powers(row, _highest(row), shares[place])


@compiled
def _highest(row: Rows) -> np.float32:
    """Find the highest number."""
    top = row[0]
    for number in row:
        top = max(top, number)
    return np.float32(top)


@reordered
def _powers(row: Rows, base: np.float32, powers: Rows) -> np.float32:
    """Raise 2 to what each number is above a base, at most 127; 0 from 127 below. Give the sum."""
    total = _ZERO
    for j in range(len(row)):
        above = min(max(row[j] - base, -_FAR), _FAR)
        whole = np.int32(above + _ROUND)
        rest = above - np.float32(np.int32(whole - _BIAS))
        fine = _C3 + rest * (_C4 + rest * (_C5 + rest * _C6))
        fine = _ONE + rest * (_C1 + rest * (_C2 + rest * fine))
        powers[j] = np.int32(whole << _POINT).view(np.float32) * fine
        total += powers[j]
    return total

"""Attention of a block's queries to the keys that they may see, in compiled loops.

What a query may see differs from block to block and from sensor to sensor, so a library's attention
copies every block's keys, computes all products, and adds a mask as large as they are. Here each
block lists the keys that there are, once: cells of its window sensor by sensor, then the regions in
the same way, then the answer "nothing". What is hidden from one target of several counts nothing
for it; what is hidden from the only one is not listed.

Exponentials are powers of two (the logits come multiplied by log₂ e).
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import WORTH_A_THREAD, compiled, in_bands, reordered

from ._powers import power
from ._tokens import BLOCK
from ._windows import Windows

_ZERO, _ONE, _NEVER, _MOST = (np.float32(number) for number in (0, 1, -np.inf, 2.0**100))

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
    seen : float32 array (target, block, key)
        1 where the target may see the key of its set's list, 0 where it is hidden from it.
    """

    def __init__(
        self, windows: Windows, there: NDArray[np.bool_], sets: NDArray[np.int64]
    ) -> None:
        window, inside, hidden, regions, clear = (part.numpy() for part in windows[1:])
        self.cells = windows.cells.numpy().astype(np.int32)
        (sensors, cells), blocks = there.shape, len(window)
        most = sensors * (window.shape[1] + len(regions)) + 1
        self.lists = np.zeros((int(sets.max()) + 1, blocks, most), dtype=np.int32)
        self.counts = np.zeros(self.lists.shape[:2], dtype=np.int32)
        self.seen = np.zeros((sensors, blocks, most), dtype=np.float32)
        near = there[:, window] & inside
        far = there @ regions.T.astype(np.int64) > 0
        every = np.arange(len(regions))
        for own in range(len(self.lists)):
            held = (np.flatnonzero(sets == own), self.lists[own], self.counts[own], self.seen)
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
        By which set each target is answered; those of the keys.
    keys : Keys

    Returns
    -------
    float32 array (target, cell, width)
    """
    found = np.empty_like(asked)
    least = -(-WORTH_A_THREAD // (BLOCK**2 * len(asked) * keys.lists.shape[2] * told.shape[2]))
    order = np.argsort(sets, kind="stable")
    starts = np.searchsorted(sets[order], np.arange(len(told) + 1))
    held = (keys.cells, keys.lists, keys.counts, keys.seen)
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
    targets: NDArray[np.int64],
    lists: Places,
    counts: Places,
    seen: Rows,
) -> None:
    """List every block's keys for one set of answers, and which of its targets may see them."""
    sensors, regions = far.shape
    for b in range(len(window)):
        n, first = 0, 0
        for s in range(sensors):
            n = _put(window[b], near[s, b], hidden[b], s, first, targets, lists[b], seen[:, b], n)
            first += cells
        for s in range(sensors):
            n = _put(every, far[s], touched[b], s, first, targets, lists[b], seen[:, b], n)
            first += regions
        lists[b, n] = first
        for t in targets:
            seen[t, b, n] = _ONE
        counts[b] = n + 1


@compiled
def _put(
    places: NDArray[np.int64],
    there: NDArray[np.bool_],
    hidden: NDArray[np.bool_],
    sensor: int,
    first: int,
    targets: NDArray[np.int64],
    row: Places,
    seen: Rows,
    n: int,
) -> int:
    """Add a sensor's places that are there to a list of n; give the new n."""
    for k in range(len(places)):
        if there[k] and not (hidden[k] and len(targets) == 1 and targets[0] == sensor):
            row[n] = first + places[k]
            for t in targets:
                seen[t, n] = _ZERO if hidden[k] and t == sensor else _ONE
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
    lists: NDArray[np.int32],
    counts: Places,
    seen: Rows,
    found: Rows,
) -> None:
    """Answer some blocks."""
    width, most = asked.shape[2] // heads, lists.shape[2]
    near = np.empty((2, heads, most, width), np.float32)
    room = np.empty(len(order) * cells.shape[1] * most, np.float32)
    for own in range(len(told)):
        targets = order[starts[own] : starts[own + 1]]
        rows = np.empty((len(targets) * cells.shape[1], width), np.float32)
        given, totals = np.empty_like(rows), np.empty(len(rows), np.float32)
        for b in range(start if len(targets) else stop, stop):
            count = counts[own, b]
            _lay_out(told[own], lists[own, b, :count], near)
            shares = room[: len(rows) * count].reshape(len(rows), count)
            for head in range(heads):
                _ask(asked, targets, cells[b], head, rows)
                np.dot(rows, near[0, head, :count].T, shares)
                _share_out(shares, seen, b, targets, rows, near[0, head], totals)
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
            part = _ONE / totals[n]
            for d in range(width):
                found[t, cell, head * width + d] = given[n, d] * part
            n += 1


@compiled
def _share_out(
    shares: Rows,
    seen: Rows,
    block: int,
    targets: NDArray[np.int64],
    rows: Rows,
    near: Rows,
    totals: Rows,
) -> None:
    """Turn each query's logits into shares of a total, none of them for what it may not see.

    They count above that of "nothing", which is always there and comes last, so no total is
    below 1; where one is that much higher, anew above the highest.
    """
    each = len(shares) // len(targets)
    for place in range(len(shares)):
        row, own = shares[place], seen[targets[place // each], block]
        totals[place] = _powers(row, row[-1], own)
        if not totals[place] < _MOST:
            for j in range(len(row)):
                row[j] = np.dot(rows[place], near[j])
            totals[place] = _powers(row, _highest(row, own), own)


@compiled
def _highest(row: Rows, seen: Rows) -> np.float32:
    """Find the highest number of those that are seen."""
    top = _NEVER
    for j in range(len(row)):
        if seen[j] > _ZERO:
            top = max(top, row[j])
    return np.float32(top)


@reordered
def _powers(row: Rows, base: np.float32, seen: Rows) -> np.float32:
    """Raise 2 to what each number is above a base, times whether it is seen; give the sum."""
    total = _ZERO
    for j in range(len(row)):
        row[j] = power(row[j] - base) * seen[j]
        total += row[j]
    return total

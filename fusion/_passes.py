"""What the prepared network does between two products of matrices, in one pass over its rows each.

A library adds, copies and normalises in passes of their own, each over rows as large as the
features, and makes a new array every time. Those passes took as long as the products themselves.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import compiled, inlined_reordered

Rows = NDArray[np.float32]

_ZERO, _ONE, _EPSILON = np.float32(0), np.float32(1), np.float32(1e-5)


def embedded(
    rows: Rows,
    shift: Rows,
    where: Rows,
    there: NDArray[np.bool_],
    regions: tuple[NDArray[np.int64], int],
    sets: NDArray[np.int64],
    nothing: Rows,
) -> tuple[Rows, Rows]:
    """Place what the sensors show, and sum it up.

    Parameters
    ----------
    rows : float32 array (sensor, cell, width)
        Tokens, without their places.
    shift : float32 array (width,)
        Added to every one.
    where : float32 array (set, cell, width)
        The cells' places, as each set of answers knows them.
    there : bool array (sensor, cell)
    regions : (int64 array (cell,), int)
        Each cell's region, and how many there are.
    sets : int64 array (sensor,)
        By which set each sensor is answered.
    nothing : float32 array (width,)
        The answer "nothing", normalised.

    Returns
    -------
    float32 array (set, answer, width)
        Normalised: cells sensor by sensor, the regions' averages in the same way, "nothing".
    float32 array (sensor, cell, width)
        The average of what the other sensors show in the cell, 0 where none is there.
    """
    (sensors, cells, width), (own, count) = rows.shape, regions
    answers = np.empty((len(where), sensors * (cells + count) + 1, width), np.float32)
    answers[:, sensors * cells :] = 0
    beside = np.empty_like(rows)
    _embed(rows, shift, where, there, own, sets, answers, beside)
    _average(there, own, count, answers)
    answers[:, -1] = nothing
    return answers, beside


def opened(rows: Rows, where: Rows, sets: NDArray[np.int64], own: Rows) -> Rows:
    """Add places (set, cell, width) and sensors' own (sensor, width) to rows (sensor, cell, width).

    In place; gives the sum normalised.
    """
    normed = np.empty_like(rows)
    _open(rows, where, sets, own, normed)
    return normed


def added(rows: Rows, more: Rows, shift: Rows) -> Rows:
    """Add as many rows and a shift (width,) to rows (sensor, cell, width).

    In place; gives the sum normalised.
    """
    normed = np.empty_like(rows)
    _add(rows, more, shift, normed)
    return normed


@inlined_reordered
def _normalise(row: Rows, normed: Rows) -> None:
    """Bring a row to mean 0 and variance 1, as a normalisation does."""
    width, total, square = len(row), _ZERO, _ZERO
    for d in range(width):
        total += row[d]
    mean = total / np.float32(width)
    for d in range(width):
        square += (row[d] - mean) * (row[d] - mean)
    scale = _ONE / np.sqrt(square / np.float32(width) + _EPSILON)
    for d in range(width):
        normed[d] = (row[d] - mean) * scale


@compiled
def _add(rows: Rows, more: Rows, shift: Rows, normed: Rows) -> None:
    """Add, and normalise."""
    for s in range(len(rows)):
        for c in range(rows.shape[1]):
            row, own = rows[s, c], more[s, c]
            for d in range(len(row)):
                row[d] += own[d] + shift[d]
            _normalise(row, normed[s, c])


@compiled
def _open(rows: Rows, where: Rows, sets: NDArray[np.int64], own: Rows, normed: Rows) -> None:
    """Add places and sensors' own, and normalise."""
    for s in range(len(rows)):
        for c in range(rows.shape[1]):
            row, at, kind = rows[s, c], where[sets[s], c], own[s]
            for d in range(len(row)):
                row[d] += at[d] + kind[d]
            _normalise(row, normed[s, c])


@compiled
def _embed(
    rows: Rows,
    shift: Rows,
    where: Rows,
    there: NDArray[np.bool_],
    own: NDArray[np.int64],
    sets: NDArray[np.int64],
    answers: Rows,
    beside: Rows,
) -> None:
    """Place the rows, normalise them, add them up over sensors and over regions."""
    sensors, cells, width = rows.shape
    regions = (answers.shape[1] - 1) // sensors - cells
    placed = np.empty((len(where), sensors, width), np.float32)
    totals = np.empty((len(where), width), np.float32)
    for c in range(cells):
        count = 0
        for s in range(sensors):
            count += there[s, c]
        for k in range(len(where)):
            total, at = totals[k], where[k, c]
            total[:] = _ZERO
            for s in range(sensors):
                row, whole = placed[k, s], rows[s, c]
                for d in range(width):
                    row[d] = whole[d] + at[d] + shift[d]
                _normalise(row, answers[k, s * cells + c])
                if there[s, c]:
                    _take(row, total, answers[k, sensors * cells + s * regions + own[c]])
        for s in range(sensors):
            left = np.float32(max(count - there[s, c], 1))
            _tell_apart(totals[sets[s]], placed[sets[s], s], there[s, c], left, beside[s, c])


@inlined_reordered
def _take(row: Rows, one: Rows, other: Rows) -> None:
    """Add a row to two others."""
    for d in range(len(row)):
        one[d] += row[d]
        other[d] += row[d]


@inlined_reordered
def _tell_apart(total: Rows, row: Rows, within: bool, left: np.float32, found: Rows) -> None:
    """Average the rows of a total without one of them, if that is within."""
    for d in range(len(total)):
        found[d] = (total[d] - row[d] if within else total[d]) / left


@compiled
def _average(there: NDArray[np.bool_], own: NDArray[np.int64], regions: int, answers: Rows) -> None:
    """Turn the regions' sums into averages, normalised."""
    sensors, cells = there.shape
    counts = np.zeros(regions, np.int64)
    for s in range(sensors):
        counts[:] = 0
        for c in range(cells):
            counts[own[c]] += there[s, c]
        for k in range(len(answers)):
            for r in range(regions):
                row = answers[k, sensors * cells + s * regions + r]
                for d in range(len(row)):
                    row[d] /= np.float32(max(counts[r], 1))
                _normalise(row, row)

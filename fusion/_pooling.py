"""Averages of features over the cells of one grid, of what is believed of them.

A line pools every sensor's features of every capture, so it is one compiled pass instead of a
library's five over arrays as large as the features.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.jit import compiled, inlined

_LEAST_SHARE = 0.5

Edges = tuple[NDArray[np.int64], NDArray[np.int64]]


def pooled(grid: NDArray[np.float32], cells: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Average patches over cells.

    Parameters
    ----------
    grid : float32 array (feature, y, x)
        NaN in every feature of a patch that is not to be believed.
    cells : tuple of int
        Rows and columns.

    Returns
    -------
    Tensor (cell, feature), float32
        0 where there is nothing.
    Tensor (cell,), bool
        Whether half a cell at least is believed.
    """
    finer = grid.shape[1] >= cells[0] and grid.shape[2] >= cells[1]
    down, across = (
        _edges(side, count, finer) for side, count in zip(grid.shape[1:], cells, strict=True)
    )
    rows = np.zeros((cells[0] * cells[1], len(grid)), dtype=np.float32)
    there = np.zeros(len(rows), dtype=np.bool_)
    _average(np.ascontiguousarray(grid, dtype=np.float32), *down, *across, rows, there)
    return torch.from_numpy(rows), torch.from_numpy(there)


def _edges(side: int, cells: int, finer: bool) -> Edges:
    """Give the first patch of each cell, and that after its last; the nearest patch of many."""
    places = np.arange(cells)
    if finer:
        return places * side // cells, -(-(places + 1) * side // cells)
    nearest = ((places + 0.5) * side / cells).astype(np.int64)
    return nearest, nearest + 1


@compiled
def _average(
    grid: NDArray[np.float32],
    tops: NDArray[np.int64],
    bottoms: NDArray[np.int64],
    lefts: NDArray[np.int64],
    rights: NDArray[np.int64],
    rows: NDArray[np.float32],
    there: NDArray[np.bool_],
) -> None:
    """Average the believed patches of every cell that has half of them at least."""
    features, height, width = grid.shape
    known, line = np.ones((height, width), np.bool_), np.empty(width, np.float64)
    whole = np.empty(len(lefts), np.bool_)
    for f in range(features):
        _know(grid[f], known)
    for i in range(len(tops)):
        top, bottom = tops[i], bottoms[i]
        own = rows[i * len(lefts) : (i + 1) * len(lefts)]
        for j in range(len(lefts)):
            count, left, right = 0, lefts[j], rights[j]
            for y in range(top, bottom):
                for x in range(left, right):
                    count += known[y, x]
            area = (bottom - top) * (right - left)
            whole[j] = count == area
            there[i * len(lefts) + j] = count >= _LEAST_SHARE * area
            if count < area and there[i * len(lefts) + j]:
                _mean(grid, known, top, bottom, left, right, own[j])
        for f in range(features):
            _add_up(grid, f, top, bottom, line)
            _tell_whole(line, bottom - top, lefts, rights, whole, own[:, f])


@inlined
def _know(plane: NDArray[np.float32], known: NDArray[np.bool_]) -> None:
    """Mark the patches that one feature is not known of."""
    for y in range(len(plane)):
        for x in range(plane.shape[1]):
            known[y, x] &= np.isfinite(plane[y, x])


@compiled
def _mean(
    grid: NDArray[np.float32],
    known: NDArray[np.bool_],
    top: int,
    bottom: int,
    left: int,
    right: int,
    row: NDArray[np.float32],
) -> None:
    """Average one cell's believed patches, feature by feature."""
    for f in range(len(grid)):
        total, count = 0.0, 0
        for y in range(top, bottom):
            for x in range(left, right):
                if known[y, x]:
                    total += grid[f, y, x]
                    count += 1
        row[f] = total / max(count, 1)


@inlined
def _add_up(
    grid: NDArray[np.float32], feature: int, top: int, bottom: int, line: NDArray[np.float64]
) -> None:
    """Add up some rows of one feature."""
    for x in range(len(line)):
        line[x] = grid[feature, top, x]
    for y in range(top + 1, bottom):
        for x in range(len(line)):
            line[x] += grid[feature, y, x]


@inlined
def _tell_whole(
    line: NDArray[np.float64],
    height: int,
    lefts: NDArray[np.int64],
    rights: NDArray[np.int64],
    whole: NDArray[np.bool_],
    found: NDArray[np.float32],
) -> None:
    """Average a line of sums over the cells that are believed wholly."""
    for j in range(len(found)):
        if whole[j]:
            total = 0.0
            for x in range(lefts[j], rights[j]):
                total += line[x]
            found[j] = total / (height * (rights[j] - lefts[j]))

"""Routes of the board's traces: a maze router after Lee, run once.

Traces that cross, or end nowhere, look wrong at once. Pads are joined to neighbours of other
components by waves over a coarse grid; a pad whose wave is walled in gets a via beside it. The
netlist is made up, the rules of spacing are real.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mmdefect.simulate.board.families import package
from mmdefect.simulate.board.layout import BOARD_MM, FIDUCIALS, HOLES, SITES, Site
from mmdefect.simulate.board.packages import Package
from mmdefect.simulate.raster import Map, Mask, as_map

GRID_MM = 0.8
SEED = 7
REACH_MM = 26.0
EDGE_MM = 1.6
_CLEARANCE_MM = 0.42
_NEAREST = 8
_AROUND = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)


@dataclass(frozen=True)
class Routes:
    """Traces as lists of corners (x, y), mm, and vias (x, y), mm."""

    traces: tuple[tuple[tuple[float, float], ...], ...]
    vias: tuple[tuple[float, float], ...]


def pads_of(site: Site, made: Package) -> Map:
    """Give a site's pads on the board (pad, 4): x, y, width along x, height along y, mm."""
    turn = np.deg2rad(site.turn)
    pads = made.pads.astype(np.float64)
    x, y = pads[:, 0].copy(), pads[:, 1].copy()
    pads[:, 0] = site.x + np.cos(turn) * x - np.sin(turn) * y
    pads[:, 1] = site.y + np.sin(turn) * x + np.cos(turn) * y
    if abs(np.sin(turn)) > 0.5:
        pads[:, 2:] = pads[:, [3, 2]]
    return as_map(pads)


@lru_cache(maxsize=1)
def all_pads() -> tuple[Map, NDArray[np.int64]]:
    """Give the pads of all sites (pad, 4) and which site each belongs to (pad,)."""
    found = [pads_of(site, package(site.package)) for site in SITES]
    owner = np.repeat(np.arange(len(SITES)), [len(pads) for pads in found])
    return np.concatenate(found), owner


class _Maze:
    """The grid on which waves run; traces that are laid block it."""

    def __init__(self, pads: Map) -> None:
        columns, rows = (int(side / GRID_MM) // 2 * 2 + 1 for side in BOARD_MM)
        self.x = (np.arange(columns) - columns // 2) * GRID_MM
        self.y = (np.arange(rows) - rows // 2) * GRID_MM
        x, y = self.x[None, :], self.y[:, None]
        self.free = (np.abs(x) < BOARD_MM[0] / 2 - EDGE_MM) & (
            np.abs(y) < BOARD_MM[1] / 2 - EDGE_MM
        )
        for px, py, reach in [(*hole, 4.0) for hole in HOLES] + [(*f, 2.2) for f in FIDUCIALS]:
            self.free &= np.hypot(x - px, y - py) > reach
        for pad in pads:
            self.free[self._around(pad)] = False

    def _around(self, pad: Map) -> tuple[slice, slice]:
        """Give the cells that a pad keeps other traces out of."""
        x, y, width, height = pad.tolist()
        reach_x, reach_y = width / 2 + _CLEARANCE_MM, height / 2 + _CLEARANCE_MM
        columns = np.searchsorted(self.x, [x - reach_x, x + reach_x])
        rows = np.searchsorted(self.y, [y - reach_y, y + reach_y])
        return slice(*rows), slice(*columns)

    def cell(self, pad: Map) -> tuple[int, int]:
        """Give the row and column nearest to a pad's middle."""
        return int(np.abs(self.y - pad[1]).argmin()), int(np.abs(self.x - pad[0]).argmin())

    def wave(self, start: Map, goal: Map | None = None) -> list[tuple[int, int]]:
        """Find the cells from one pad to another, or to the nearest room for a via; or none."""
        free = self.free.copy()
        free[self._around(start)] = True
        if goal is None:
            targets = _shrunk(self.free) & ~_grown(free & ~self.free)
        else:
            free[self._around(goal)] = True
            targets = np.zeros_like(free)
            targets[self.cell(goal)] = True
        steps = np.full(free.shape, -1, np.int32)
        reached = np.zeros_like(free)
        first = self.cell(start)
        reached[first], steps[first] = True, 0
        for step in range(1, int(2 * REACH_MM / GRID_MM)):
            grown = _grown(reached) & free & ~reached
            if not grown.any():
                break
            steps[grown] = step
            reached |= grown
            found = np.argwhere(grown & targets)
            if len(found):
                return _traced(steps, (int(found[0, 0]), int(found[0, 1])))
        return []

    def block(self, cells: list[tuple[int, int]]) -> None:
        """Keep other traces away from a trace's cells; diagonals close the corners they cut."""
        for (row, column), (next_row, next_column) in pairwise(cells):
            self.free[row, column] = self.free[next_row, next_column] = False
            self.free[row, next_column] = self.free[next_row, column] = False

    def surround(self, via: tuple[int, int]) -> None:
        """Keep traces away from a via."""
        row, column = via
        self.free[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = False


def _grown(reached: Mask) -> Mask:
    """Give the cells with an orthogonal neighbour in the set, and the set."""
    grown = reached.copy()
    grown[1:] |= reached[:-1]
    grown[:-1] |= reached[1:]
    grown[:, 1:] |= reached[:, :-1]
    grown[:, :-1] |= reached[:, 1:]
    return grown


def _shrunk(free: Mask) -> Mask:
    """Give the cells whose orthogonal neighbours all are in the set."""
    return ~_grown(~free)


def _traced(steps: NDArray[np.int32], last: tuple[int, int]) -> list[tuple[int, int]]:
    """Follow a wave back to its start, straight on while it falls, cutting corners diagonally."""
    rows, columns = steps.shape
    cells, heading = [last], (0, 0)
    while steps[cells[-1]] > 0:
        row, column = cells[-1]
        here = steps[row, column]
        best, chosen = -1e9, (0, 0)
        for i, j in _AROUND:
            r, c = row + i, column + j
            if not (0 <= r < rows and 0 <= c < columns) or not 0 <= steps[r, c] < here:
                continue
            if i and j and (steps[row, c] < 0 or steps[r, column] < 0):
                continue
            gain = float(here - steps[r, c]) + 0.5 * ((i, j) == heading)
            if gain > best:
                best, chosen = gain, (i, j)
        heading = chosen
        cells.append((row + chosen[0], column + chosen[1]))
    return cells[::-1]


@lru_cache(maxsize=1)
def routes() -> Routes:
    """Route the board, once."""
    pads, owner = all_pads()
    maze = _Maze(pads)
    rng = np.random.default_rng(SEED)
    joined: set[int] = set()
    traces, vias = [], []
    for start in rng.permutation(len(pads)).tolist():
        if start in joined:
            continue
        away = np.hypot(*(pads[:, :2] - pads[start, :2]).T) + 1e3 * (owner == owner[start])
        for goal in np.argsort(away)[:_NEAREST].tolist():
            if goal in joined or away[goal] > REACH_MM:
                continue
            cells = maze.wave(pads[start], pads[goal])
            if cells:
                maze.block(cells)
                middle = [(float(maze.x[c]), float(maze.y[r])) for r, c in cells[1:-1]]
                traces.append((_centre(pads[start]), *middle, _centre(pads[goal])))
                joined |= {start, goal}
                break
        else:
            cells = maze.wave(pads[start])
            if cells:
                maze.block(cells)
                maze.surround(cells[-1])
                corners = [(float(maze.x[c]), float(maze.y[r])) for r, c in cells[1:]]
                traces.append((_centre(pads[start]), *corners))
                vias.append(corners[-1])
    return Routes(tuple(traces), tuple(vias))


def _centre(pad: Map) -> tuple[float, float]:
    """Give a pad's centre, mm."""
    return float(pad[0]), float(pad[1])

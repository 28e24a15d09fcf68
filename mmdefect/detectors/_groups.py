"""The nearest stored row, exactly, among rows of few features.

Where rows are short, the product of queries and rows costs less than going through its result. So
most rows are ruled out by where they lie along the ``_SEEN`` directions v in which the rows differ
most. Shortened to these, no distance gets longer: |V(q − b)| ≤ |q − b| for orthonormal V. In this
small space whole groups of rows are ruled out first: every row belongs to the nearest of about
2 √n centres c, and by the triangle inequality no row of a group is nearer to a query q than

    |V(q − c)| − max |V(b − c)|  over the group's rows b.

Rows of the other groups are ruled out by |V(q − b)| itself, and what is left, a handful, is
measured in all features.

Numbers seen along directions are worked out in double precision and rounded once, so that each is
off by u |b| at most, u = 2⁻²⁴, and a distance between two by 2 √k u max |b| of k directions. A
squared distance of n numbers, summed in single precision from differences, errs by the share
(n + 2) u / (1 − (n + 2) u) at most [1]_; a distance by half of that, below 3 × 10⁻⁶ with n ≤ 96.
Something is ruled out only where its bound stands with 10⁻⁵ to spare on every distance in it, and
with the rounding of what is seen: no neighbour is ever lost. Rows at the same distance: the first
of them is found.

References
----------
.. [1] Higham: Accuracy and stability of numerical algorithms, 2nd ed., SIAM 2002, section 3.1.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.detectors._coreset import k_center
from mmdefect.jit import compiled, in_bands, inlined, reordered

_SEEN = 8
_WIDEST = 96
_LEAST_ROWS = 512
_MOST_SHARE = 0.4  # of all rows, seen for a query: from there the whole product costs less
_MOST_MEASURED = 0.05  # of all rows, one after the other
_ASKED = 48
_PART = 4096  # rows that are held against all centres at a time
_SPARE = 1e-5
_ONE: Any = np.uintp(1)
_TWO: Any = np.uintp(2)
_THREE: Any = np.uintp(3)
_FOUR: Any = np.uintp(4)
_LESS, _MORE = np.float32(1 - _SPARE), np.float32(1 + _SPARE)
_ROUNDED = float(2 * np.sqrt(_SEEN) * 2.0**-24)


class Groups:
    """Rows of few features that are asked for the nearest one.

    Parameters
    ----------
    rows : Tensor (row, feature), float32
        Of few features.
    """

    def __init__(self, rows: Tensor) -> None:
        exact = rows.double()
        self.middle = exact.mean(0)
        _, turned = torch.linalg.eigh((exact - self.middle).T @ (exact - self.middle))
        self.directions = turned.flip(1)[:, :_SEEN]
        self.reach = float((exact - self.middle).square().sum(1).max().sqrt())
        seen = self.see(rows)
        centres = seen[k_center(seen, int(2 * len(rows) ** 0.5))]
        near = [
            torch.cdist(part, centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
            for part in torch.split(seen, _PART)
        ]
        distance, group = (torch.cat(side) for side in zip(*near, strict=True))
        order = group.argsort(stable=True)
        self.order = order.numpy()
        self.rows = _in_fours(rows[order])
        self.seen = np.ascontiguousarray(seen[order].numpy().T)
        self.centres = np.ascontiguousarray(centres.numpy().T)
        counts = torch.bincount(group, minlength=len(centres)).numpy()
        self.starts = np.concatenate([[0], counts.cumsum()])
        self.radii = np.zeros(len(centres), np.float32)
        np.maximum.at(self.radii, group.numpy(), distance.numpy())

    def see(self, rows: Tensor) -> Tensor:
        """Give where rows lie along the directions (row, direction), 0 where there is none."""
        seen = (rows.double() - self.middle) @ self.directions
        return torch.nn.functional.pad(seen, (0, _SEEN - seen.shape[1])).float()

    @classmethod
    def that_pay(cls, rows: Tensor) -> "Groups | None":
        """Group rows where that rules enough of them out, as some of the rows themselves tell."""
        count, width = rows.shape
        if width > _WIDEST or count < _LEAST_ROWS:
            return None
        groups = cls(rows)
        some = torch.linspace(0, count - 1, _ASKED).long()
        apart = torch.cdist(rows[some], rows)
        apart[torch.arange(_ASKED), some] = torch.inf
        limit = apart.amin(1, keepdim=True)
        seen = groups.see(rows[some])
        bounds = torch.cdist(seen, torch.from_numpy(groups.centres.T.copy()))
        inside = bounds - torch.from_numpy(groups.radii) <= limit
        share = inside.double() @ torch.from_numpy(np.diff(groups.starts)).double() / count
        measured = torch.cdist(seen, torch.from_numpy(groups.seen.T.copy())) <= limit
        pays = float(share.mean()) <= _MOST_SHARE
        return groups if pays and float(measured.double().mean()) <= _MOST_MEASURED else None

    def nearest(self, queries: Tensor, skip: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Find each query's nearest row, as ``Rows.nearest`` does."""
        best = np.full(len(queries), np.inf, dtype=np.float32)
        found = np.zeros(len(queries), dtype=np.int64)
        asked = _in_fours(queries)
        seen = self.see(queries)
        far = (queries.double() - self.middle).square().sum(1).sqrt().clamp_min(self.reach)
        rounded = (far * _ROUNDED * (1 + 1e-6)).float().numpy()
        held = (self.rows, self.seen, self.centres, self.starts, self.radii, self.order)
        in_bands(_nearest, len(queries), asked, seen.numpy(), rounded, *held, *skip, best, found)
        return torch.from_numpy(np.sqrt(best)), torch.from_numpy(found)


def _in_fours(rows: Tensor) -> NDArray[np.float32]:
    """Fill the features up with zeros to a multiple of four."""
    filled: NDArray[np.float32] = torch.nn.functional.pad(rows, (0, -rows.shape[1] % 4)).numpy()
    return np.ascontiguousarray(filled)


@reordered
def _squares(
    asked: NDArray[np.float32],
    q: int,
    seen: NDArray[np.float32],
    start: int,
    stop: int,
    squares: NDArray[np.float32],
) -> None:
    """Measure squared distances of what is seen of a query to (direction, row), start to stop."""
    a, b, c, d = asked[q, 0], asked[q, 1], asked[q, 2], asked[q, 3]
    e, f, g, h = asked[q, 4], asked[q, 5], asked[q, 6], asked[q, 7]
    for j in range(np.uintp(start), np.uintp(stop)):
        one = (a - seen[0, j]) * (a - seen[0, j]) + (b - seen[1, j]) * (b - seen[1, j])
        two = (c - seen[2, j]) * (c - seen[2, j]) + (d - seen[3, j]) * (d - seen[3, j])
        three = (e - seen[4, j]) * (e - seen[4, j]) + (f - seen[5, j]) * (f - seen[5, j])
        four = (g - seen[6, j]) * (g - seen[6, j]) + (h - seen[7, j]) * (h - seen[7, j])
        squares[j] = (one + two) + (three + four)


@inlined
def _measured(
    queries: NDArray[np.float32], q: int, rows: NDArray[np.float32], j: int
) -> np.float32:
    """Measure one squared distance, in four sums that do not wait for each other."""
    a = b = c = d = np.float32(0)
    for n in range(np.uintp(0), np.uintp(queries.shape[1]), _FOUR):
        w, x = queries[q, n] - rows[j, n], queries[q, n + _ONE] - rows[j, n + _ONE]
        y, z = (
            queries[q, n + _TWO] - rows[j, n + _TWO],
            queries[q, n + _THREE] - rows[j, n + _THREE],
        )
        a, b, c, d = a + w * w, b + x * x, c + y * y, d + z * z
    return (a + b) + (c + d)


@inlined
def _likely(squares: NDArray[np.float32], start: int, stop: int) -> int:
    """Find the row that looks nearest."""
    best: Any = np.uintp(start)
    for j in range(np.uintp(start), np.uintp(stop)):
        best = j if squares[j] < squares[best] else best
    return int(best)


@inlined
def _held(
    queries: NDArray[np.float32],
    q: int,
    rows: NDArray[np.float32],
    squares: NDArray[np.float32],
    order: NDArray[np.int64],
    bounds: tuple[int, int, int, int],
    spare: np.float32,
    nearest: np.float32,
    index: int,
) -> tuple[np.float32, int]:
    """Hold a group's rows against the nearest one so far: what looks nearest first, if it is none.

    ``bounds`` are the group's first row and the one after its last, and those that are left out.
    """
    start, stop, skip_from, skip_to = bounds
    if not nearest < np.inf:
        likely = _likely(squares, start, stop)
        if not skip_from <= order[likely] < skip_to:
            nearest, index = _measured(queries, q, rows, likely), order[likely]
    reach = (np.sqrt(nearest) * _MORE + spare) * _MORE
    for j in range(np.uintp(start), np.uintp(stop)):
        if squares[j] > reach * reach or skip_from <= order[j] < skip_to:
            continue
        square = _measured(queries, q, rows, j)
        if square < nearest or (square == nearest and order[j] < index):
            nearest, index = square, order[j]
            reach = (np.sqrt(nearest) * _MORE + spare) * _MORE
    return nearest, index


@compiled
def _nearest(
    band: int,
    start: int,
    stop: int,
    queries: NDArray[np.float32],
    asked: NDArray[np.float32],
    rounded: NDArray[np.float32],
    rows: NDArray[np.float32],
    seen: NDArray[np.float32],
    centres: NDArray[np.float32],
    starts: NDArray[np.int64],
    radii: NDArray[np.float32],
    order: NDArray[np.int64],
    skip_from: int,
    skip_to: int,
    best: NDArray[np.float32],
    found: NDArray[np.int64],
) -> None:
    """Search the groups of each query, the one with the lowest bound first."""
    groups: Any = np.uintp(centres.shape[1])
    away = np.empty(groups, np.float32)
    squares = np.empty(rows.shape[0], np.float32)
    for q in range(start, stop):
        _squares(asked, q, centres, 0, groups, away)
        spare = rounded[q]
        for g in range(groups):
            away[g] = np.sqrt(away[g]) * _LESS - (radii[g] * _MORE + spare)
        first = _likely(away, 0, groups)
        nearest, index = np.float32(np.inf), 0
        for turn in range(groups + _ONE):
            g = turn - _ONE if turn else first
            if away[g] > np.sqrt(nearest) * _MORE or (g == first and turn):
                continue
            bounds = (starts[g], starts[g + _ONE], skip_from, skip_to)
            _squares(asked, q, seen, bounds[0], bounds[1], squares)
            nearest, index = _held(queries, q, rows, squares, order, bounds, spare, nearest, index)
        best[q], found[q] = nearest, index

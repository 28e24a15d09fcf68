"""The nearest stored row, exactly, among rows of few features.

Where rows are short, the product of queries and rows costs less than going through its result. So
whole groups of rows are ruled out: every row belongs to the nearest of about 2 √n centres c, and
by the triangle inequality no row of a group is nearer to a query q than

    |q − c| − max |b − c|  over the group's rows b.

A squared distance of n features, summed in single precision from differences, errs by the share
(n + 2) u / (1 − (n + 2) u) at most, u = 2⁻²⁴ [1]_; a distance by half of that. With n ≤ 96 that is
below 3 × 10⁻⁶, and a group is ruled out only where the bound stands with 10⁻⁵ to spare on every
distance in it: no neighbour is ever lost. Rows at the same distance: the first of them is found.

References
----------
.. [1] Higham: Accuracy and stability of numerical algorithms, 2nd ed., SIAM 2002, section 3.1.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.detectors._coreset import k_center
from mmdefect.jit import in_bands, reordered

_WIDEST = 96
_LEAST_ROWS = 512
_MOST_SHARE = 0.4  # of all rows, measured for a query: from there the whole product costs less
_ASKED = 48
_PART = 4096  # rows that are held against all centres at a time
_SPARE = np.float32(1e-5)


class Groups:
    """Rows of few features that are asked for the nearest one.

    Parameters
    ----------
    rows : Tensor (row, feature), float32
        Of few features.
    """

    def __init__(self, rows: Tensor) -> None:
        centres = rows[k_center(rows, int(2 * len(rows) ** 0.5))]
        near = [
            torch.cdist(part, centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
            for part in torch.split(rows, _PART)
        ]
        distance, group = (torch.cat(side) for side in zip(*near, strict=True))
        order = group.argsort(stable=True)
        self.order = order.numpy()
        self.rows = np.ascontiguousarray(rows[order].numpy().T)
        self.centres = np.ascontiguousarray(centres.numpy().T)
        counts = torch.bincount(group, minlength=len(centres)).numpy()
        self.starts = np.concatenate([[0], counts.cumsum()])
        self.radii = np.zeros(len(centres), np.float32)
        np.maximum.at(self.radii, group.numpy(), distance.numpy())

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
        bounds = torch.cdist(rows[some], torch.from_numpy(groups.centres.T.copy()))
        measured = bounds - torch.from_numpy(groups.radii) <= apart.amin(1, keepdim=True)
        share = measured.double() @ torch.from_numpy(np.diff(groups.starts)).double() / count
        return groups if float(share.mean()) <= _MOST_SHARE else None

    def nearest(self, queries: Tensor, skip: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Find each query's nearest row, as ``Rows.nearest`` does."""
        best = np.full(len(queries), np.inf, dtype=np.float32)
        found = np.zeros(len(queries), dtype=np.int64)
        asked = np.ascontiguousarray(queries.numpy())
        held = (self.rows, self.centres, self.starts, self.radii, self.order)
        in_bands(_nearest, len(queries), asked, *held, *skip, best, found)
        return torch.from_numpy(np.sqrt(best)), torch.from_numpy(found)


@reordered
def _squares(
    query: NDArray[np.float32],
    rows: NDArray[np.float32],
    start: int,
    stop: int,
    squares: NDArray[np.float32],
) -> None:
    """Measure squared distances to rows (feature, row) from start to stop."""
    for j in range(stop - start):
        squares[j] = 0
    for feature in range(len(query)):
        own, there = query[feature], rows[feature, start:stop]
        for j in range(stop - start):
            squares[j] += (own - there[j]) * (own - there[j])


@reordered
def _nearest(
    band: int,
    start: int,
    stop: int,
    queries: NDArray[np.float32],
    rows: NDArray[np.float32],
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
    groups = centres.shape[1]
    away = np.empty(groups, np.float32)
    squares = np.empty(rows.shape[1], np.float32)
    for q in range(start, stop):
        _squares(queries[q], centres, 0, groups, away)
        first = 0
        for g in range(groups):
            away[g] = np.sqrt(away[g]) * (1 - _SPARE) - radii[g] * (1 + _SPARE)
            if away[g] < away[first]:
                first = g
        nearest, limit, index = np.float32(np.inf), np.float32(np.inf), np.int64(0)
        for turn in range(groups + 1):
            g = first if turn == 0 else turn - 1
            if away[g] > limit or (turn > 0 and g == first):
                continue
            low, high = starts[g], starts[g + 1]
            _squares(queries[q], rows, low, high, squares)
            for j in range(high - low):
                row = order[low + j]
                if squares[j] > nearest or skip_from <= row < skip_to:
                    continue
                if squares[j] < nearest or row < index:
                    nearest, index = squares[j], row
            limit = np.sqrt(nearest) * (1 + _SPARE)
        best[q], found[q] = nearest, index

"""The nearest stored patch, exactly, of those that a cheap lower bound cannot rule out.

* A rotation keeps distances. Rows and queries are seen in the few directions in which rows differ
  most, V (feature, k) with orthonormal columns; what is left of each is known by its length r:

      |q − b|² ≥ |Vᵀq − Vᵀb|² + (r_q − r_b)².

  The right side is one matrix product with k + 1 columns instead of all features.
* In single precision that product errs by γ (|Q| + |B|)² at most, where Q and B are the k + 1
  numbers of either side and γ = n u / (1 − n u) with n = k + 4 roundings of u = 2⁻²⁴ [1]_; the
  projections themselves are made in double precision and rounded once, which n includes. A row is
  measured by its difference to the query unless its bound less that error is above the best so
  far: no neighbour is ever lost.
* How many directions pay is told by some of the rows themselves: few where rows crowd together, as
  real patches do; all of them where they are spread evenly, and then the bound is the distance.

Rows are expected about zero (the bank standardises them).

References
----------
.. [1] Higham: Accuracy and stability of numerical algorithms, 2nd ed., SIAM 2002, section 3.1.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.jit import in_bands, reordered

_QUERIES = 256  # with _ROWS, a block of bounds that stays in a core's cache
_ROWS = 4096
_AROUND = 5
_DIRECTIONS = (32, 64, 128, 256)
_LOOKS = 2048
_ASKED = 48
_STEP = np.uint64(128)
_LANES = 64
_FAR = np.float32(np.inf)
_DEARER = 4.0  # what a feature of a measured row costs, in features of a bounded one
_ROUNDING = 2.0**-24


class Rows:
    """Stored rows that are asked for the nearest one.

    Parameters
    ----------
    rows : Tensor (row, feature), float32
    seed : int
        Draws the rows that the directions are learnt from.
    pruned : bool
        Whether directions are learnt at all, which pays for rows that are asked often.
    """

    def __init__(self, rows: Tensor, seed: int = 0, pruned: bool = True) -> None:
        self.rows = rows
        self.basis = _basis(self.rows, seed) if pruned else None
        self.seen = self._seen(self.rows)
        self.squares = self.seen.square().sum(1)

    def nearest(self, queries: Tensor, skip: tuple[int, int] = (0, 0)) -> tuple[Tensor, Tensor]:
        """Find each query's nearest row.

        Parameters
        ----------
        queries : Tensor (query, feature), float32
        skip : (int, int)
            First of the rows to leave out, and the one after the last.

        Returns
        -------
        Tensor (query,), float32
            Euclidean distances; infinite where no row is left.
        Tensor (query,), int64
            Indices of the rows.
        """
        best = np.full(len(queries), np.inf, dtype=np.float32)
        found = np.zeros(len(queries), dtype=np.int64)
        blocks = [
            (first, min(first + _ROWS, stop))
            for start, stop in ((0, skip[0]), (skip[1], len(self.rows)))
            for first in range(start, stop, _ROWS)
        ]
        for start in range(0, len(queries), _QUERIES):
            part = slice(start, start + _QUERIES)
            self._search(queries[part].contiguous(), blocks, best[part], found[part])
        return torch.from_numpy(np.sqrt(best)), torch.from_numpy(found)

    def _search(
        self,
        queries: Tensor,
        blocks: list[tuple[int, int]],
        best: NDArray[np.float32],
        found: NDArray[np.int64],
    ) -> None:
        """Search some queries through all blocks of rows; `best` holds squared distances."""
        asked = self._seen(queries)
        own = asked.square().sum(1)
        error = _error(self.seen.shape[1])
        for first, stop in blocks:
            rows, squares = self.rows[first:stop], self.squares[first:stop]
            bounds = torch.addmm(squares[None], asked, self.seen[first:stop].T, alpha=-2)
            slack = error * (own.sqrt() + squares.max().sqrt()).square()
            spare = (slack - own).numpy()
            arrays = (
                bounds.numpy(),
                bounds.amin(1).numpy(),
                spare,
                queries.numpy(),
                rows.contiguous().numpy(),
                best,
                found,
            )
            in_bands(_settle, len(queries), *arrays, first)

    def _seen(self, rows: Tensor) -> Tensor:
        """Give rows as the bound sees them."""
        if self.basis is None:
            return rows
        exact = rows.double()
        along = exact @ self.basis
        rest = (exact.square().sum(1) - along.square().sum(1)).clamp_min(0).sqrt()
        return torch.cat([along, rest[:, None]], 1).float()


def nearest(queries: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Find each query's nearest row, among rows that are asked only once.

    Parameters
    ----------
    queries : Tensor (query, feature), float32
    rows : Tensor (row, feature), float32

    Returns
    -------
    Tensor (query,), float32
        Euclidean distances.
    Tensor (query,), int64
        Indices of the rows.
    """
    return Rows(rows, pruned=False).nearest(queries)


def _error(columns: int) -> float:
    """Bound the rounding of a squared distance, as a share of (|Q| + |B|)²."""
    roundings = (columns + 4) * _ROUNDING
    return roundings / (1 - roundings)


def _basis(rows: Tensor, seed: int) -> Tensor | None:
    """Find the directions that pay; None when all features are cheaper.

    Returns
    -------
    Tensor (feature, k), float64
        Orthonormal columns.
    """
    count, width = rows.shape
    choices = [k for k in _DIRECTIONS if 3 * k <= width]
    if not choices or count < _LOOKS:
        return None
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(count, generator=generator)[:_LOOKS]
    some = rows[drawn]
    mixed = some.T @ (some @ torch.randn(width, choices[-1] + 8, generator=generator))
    basis = torch.linalg.qr(some.double().T @ (some.double() @ torch.linalg.qr(mixed.double()).Q)).Q
    order = (some.double() @ basis).square().sum(0).argsort(descending=True)
    basis = basis[:, order]
    costs = {k: k + 1 + _DEARER * width * _measured(some.double(), basis[:, :k]) for k in choices}
    best = min(costs, key=lambda k: costs[k])
    return basis[:, :best].contiguous() if costs[best] < width else None


def _measured(rows: Tensor, basis: Tensor) -> float:
    """Estimate the share of rows whose bound lies below the distance of the nearest."""
    asked, others = rows[:_ASKED], rows[_ASKED:]
    along = rows @ basis
    rest = (rows.square().sum(1) - along.square().sum(1)).clamp_min(0).sqrt()
    bound = torch.cdist(along[:_ASKED], along[_ASKED:]).square()
    bound += (rest[:_ASKED, None] - rest[None, _ASKED:]).square()
    closest = torch.cdist(asked, others).square().min(1, keepdim=True).values
    return float((bound <= closest).double().mean())


@reordered
def _settle(
    band: int,
    start: int,
    stop: int,
    bounds: NDArray[np.float32],
    lowest: NDArray[np.float32],
    spare: NDArray[np.float32],
    queries: NDArray[np.float32],
    rows: NDArray[np.float32],
    best: NDArray[np.float32],
    found: NDArray[np.int64],
    first: int,
) -> None:
    """Measure the rows of a block that may be nearer than the best so far.

    A bound lacks the query's own square; `spare` is the error it may have less that square.
    """
    columns = bounds.shape[1]
    for q in range(start, stop):
        if not lowest[q] <= best[q] + spare[q]:
            continue
        for most in (lowest[q], _FAR):  # the most promising row first: it rules most others out
            for left in range(0, columns, _LANES):
                stop_at = min(left + _LANES, columns)
                if _any_below(bounds[q], left, stop_at, min(most, best[q] + spare[q])):
                    for row in range(left, stop_at):
                        if bounds[q, row] <= min(most, best[q] + spare[q]):
                            square = _square(queries[q], rows[row], best[q])
                            if square < best[q]:
                                best[q], found[q] = square, first + row


@reordered
def _any_below(values: NDArray[np.float32], start: int, stop: int, most: np.float32) -> bool:
    """Tell whether any of some values is at most so large."""
    count = 0
    for place in range(start, stop):
        count += values[place] <= most
    return count > 0


@reordered
def _square(query: NDArray[np.float32], row: NDArray[np.float32], enough: np.float32) -> np.float32:
    """Give the squared distance, or a part of it once that is enough."""
    total = np.float32(0)
    width = np.uint64(len(query))
    for first in range(np.uint64(0), width, _STEP):
        part = np.float32(0)
        for feature in range(first, min(first + _STEP, width)):
            apart = query[feature] - row[feature]
            part += apart * apart
        total += part
        if total > enough:
            return total
    return total


def spacing(rows: Tensor) -> Tensor:
    """Measure how far apart the rows around each row are.

    Parameters
    ----------
    rows : Tensor (row, feature), float32

    Returns
    -------
    Tensor (row,), float32
        Mean distance to the five nearest other rows, fewer where there are fewer; 1 for a row
        that is alone.
    """
    around = min(_AROUND, len(rows) - 1)
    if around < 1:
        return torch.ones(len(rows))
    return torch.cat(
        [
            torch.cdist(rows[i : i + _QUERIES], rows)
            .topk(around + 1, largest=False)
            .values[:, 1:]
            .mean(1)
            for i in range(0, len(rows), _QUERIES)
        ]
    )

"""The nearest stored patch, exactly, of those that a cheap lower bound cannot rule out.

* A rotation keeps distances. Rows and queries are seen in the few directions in which rows differ
  most, V (feature, k) with orthonormal columns; what is left of each is known by its length r:

      |q − b|² ≥ |Vᵀq − Vᵀb|² + (r_q − r_b)².

  The right side is one matrix product with k + 1 columns instead of all features.
* In single precision that product errs by γ (|Q| + |B|)² at most, where Q and B are the k + 1
  numbers of either side and γ = n u / (1 − n u) with n = k + 8 roundings of u = 2⁻²⁴ [1]_; the
  projections themselves are made in double precision and rounded once, which n includes. A row is
  measured by its difference to the query unless its bound less that error is above the best so
  far: no neighbour is ever lost.
* Or rows are rounded to bytes, which bounds distances by what rounding took away
  (``_quantised``): all features are then looked at, each at a fraction of the cost.
* Which of the two pays, and with how many directions, is told by some of the rows themselves: few
  directions where rows crowd together, as real patches do. Where neither does, the bound is the
  distance. The answer is the same, to the bit.

Rows are expected about zero (the bank standardises them).

References
----------
.. [1] Higham: Accuracy and stability of numerical algorithms, 2nd ed., SIAM 2002, section 3.1.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.detectors._groups import Groups
from mmdefect.detectors._measuring import measure
from mmdefect.detectors._quantised import (
    MOST_FEATURES,
    Bytes,
    byte_cost,
    rounded,
    settle_bytes,
    settled_by,
)
from mmdefect.jit import in_bands, reordered

_QUERIES = 256  # with _ROWS, a block of bounds that stays in a core's cache
_ROWS = 4096
_AROUND = 5
_DIRECTIONS = (32, 64, 128, 256)
_LOOKS = 2048
_ASKED = 48
_NOTHING = np.float32(0)
_AROUND_A_PRODUCT = 25  # what one pass over a product of bytes costs, in features
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
        Whether a bound is looked for at all, which pays for rows that are asked often.
    """

    def __init__(self, rows: Tensor, seed: int = 0, pruned: bool = True) -> None:
        self.rows = rows
        self.basis, in_bytes = _plan(self.rows, seed) if pruned else (None, False)
        self.bytes = rounded(self.rows) if in_bytes else None
        self.seen = self._seen(self.rows)
        self.squares = self.seen.square().sum(1) if self.bytes is None else self.bytes.square
        bounded = self.basis is not None or self.bytes is not None
        self.groups = Groups.that_pay(self.rows) if pruned and not bounded else None

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
        if self.groups is not None:
            return self.groups.nearest(queries, skip)
        best = np.full(len(queries), np.inf, dtype=np.float32)
        found = np.zeros(len(queries), dtype=np.int64)
        blocks = [
            (first, min(first + _ROWS, stop))
            for start, stop in ((0, skip[0]), (skip[1], len(self.rows)))
            for first in range(start, stop, _ROWS)
        ]
        for start in range(0, len(queries), _QUERIES):
            part = slice(start, start + _QUERIES)
            search = self._search if self.bytes is None else self._search_bytes
            search(queries[part].contiguous(), blocks, best[part], found[part])
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

    def _search_bytes(
        self,
        queries: Tensor,
        blocks: list[tuple[int, int]],
        best: NDArray[np.float32],
        found: NDArray[np.int64],
    ) -> None:
        """Search some queries through all blocks of rows, as ``_search`` does."""
        asked = rounded(queries)
        for first, stop in blocks:
            block = Bytes(*(part[first:stop] for part in self.bytes or ()))
            spare, lost = settled_by(asked, block)
            arrays = (
                torch._int_mm(asked.values, block.values.T).numpy(),
                asked.scale.numpy(),
                spare.numpy(),
                lost.numpy(),
                block.scale.numpy(),
                block.square.numpy(),
                queries.numpy(),
                self.rows[first:stop].contiguous().numpy(),
                best,
                found,
            )
            in_bands(settle_bytes, len(queries), *arrays, first)

    def _seen(self, rows: Tensor) -> Tensor:
        """Give rows as the bound of directions sees them."""
        if self.basis is None:
            return rows
        return torch.cat([_along(part, self.basis) for part in torch.split(rows, _ROWS)])


def _along(rows: Tensor, basis: Tensor) -> Tensor:
    """Give what lies along some directions, and the length of the rest, (row, k + 1)."""
    exact = rows.double()
    along = exact @ basis
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
    roundings = (columns + 8) * _ROUNDING
    return roundings / (1 - roundings)


def _plan(rows: Tensor, seed: int) -> tuple[Tensor | None, bool]:
    """Find the bound that pays: some directions, bytes, or neither.

    Returns
    -------
    Tensor (feature, k), float64, or None
        Orthonormal columns.
    bool
        Whether bytes pay.
    """
    count, width = rows.shape
    choices = [k for k in _DIRECTIONS if 3 * k <= width]
    if not choices or count < _LOOKS:
        return None, False
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(count, generator=generator)[:_LOOKS]
    some = rows[drawn].double()
    closest = torch.cdist(some[:_ASKED], some[_ASKED:]).min(1, keepdim=True).values
    basis = _directions(some, choices[-1], generator)
    costs = {k: k + 1 + _DEARER * width * _measured(some, basis[:, :k], closest) for k in choices}
    best = min(costs, key=lambda k: costs[k])
    if width <= MOST_FEATURES and byte_cost() < 1:
        measured = _measured_by_bytes(some, closest)
        in_bytes = _AROUND_A_PRODUCT + width * (byte_cost() + _DEARER * measured)
        if in_bytes < min(costs[best], width):
            return None, True
    return (basis[:, :best].contiguous() if costs[best] < width else None), False


def _directions(some: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Find the directions in which rows differ most, the first ones most of all."""
    mixed = some.T @ (some @ torch.randn(some.shape[1], most + 8, generator=generator).double())
    basis = torch.linalg.qr(some.T @ (some @ torch.linalg.qr(mixed).Q)).Q
    order = (some @ basis).square().sum(0).argsort(descending=True)
    leading: Tensor = basis[:, order]
    return leading


def _measured(rows: Tensor, basis: Tensor, closest: Tensor) -> float:
    """Estimate the share of rows whose bound lies below the distance of the nearest."""
    along = rows @ basis
    rest = (rows.square().sum(1) - along.square().sum(1)).clamp_min(0).sqrt()
    bound = torch.cdist(along[:_ASKED], along[_ASKED:]).square()
    bound += (rest[:_ASKED, None] - rest[None, _ASKED:]).square()
    return float((bound <= closest.square()).double().mean())


def _measured_by_bytes(rows: Tensor, closest: Tensor) -> float:
    """Estimate the same share for rows in bytes."""
    levels = rounded(rows.float())
    near = levels.values.double() * levels.scale.double()[:, None]
    lost = levels.lost[:_ASKED, None] + levels.lost.max()
    return float((torch.cdist(near[:_ASKED], near[_ASKED:]) - lost <= closest).double().mean())


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
    for q in range(start, stop):
        measure(bounds[q], lowest[q], _NOTHING, spare[q], queries[q], rows, best, found, q, first)


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

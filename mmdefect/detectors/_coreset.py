"""The few patches that stand for all: greedy k-centre.

* Greedy k-centre picks, again and again, the patch farthest from those picked so far; its
  covering radius is at most twice the best possible [1]_.
* The plain algorithm touches every patch at every pick. Here patches lie in blocks of neighbours,
  and a block is brought up to date only when its last known farthest patch could be the next
  pick: distances to picks only ever shrink, so an old maximum is an upper bound. Even then a pick
  is left out that cannot be nearer than those before: by the triangle inequality, of the pick, the
  block's middle and the patch. The picks are those of the plain algorithm.
* Picks made before can be gone on from, which is what a stream of patches needs (``_pool``).

References
----------
.. [1] Gonzalez: Clustering to minimize the maximum intercluster distance, TCS 38, 1985.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.jit import inlined_reordered, reordered

_BLOCK = 256
_PROJECTED = 128
_LEADING = 16
_LANES = 32
_ZERO, _ONE = np.float32(0), np.float32(1)


def k_center(rows: Tensor, count: int, seed: int = 0, fixed: int = 0) -> Tensor:
    """Pick rows greedily so that every row has a near one among them.

    Parameters
    ----------
    rows : Tensor (row, feature), float32
    count : int
        How many to pick; all when there are fewer.
    seed : int
        Draws the first pick and the blocks.
    fixed : int
        So many rows, the first ones, are picked already; not more than ``count``.

    Returns
    -------
    Tensor (count,), int64
        Indices in the order of picking.

    Notes
    -----
    Rows of more than 128 features are compared in a random projection to 128 (Johnson and
    Lindenstrauss), as everyone does who uses this for patches.
    """
    if count >= len(rows):
        return torch.arange(len(rows))
    points = _turned(projected(rows, seed))
    order = _blocks(points, seed)
    picks = np.empty(count, dtype=np.int64)
    if fixed:
        picks[:fixed] = order.argsort()[:fixed].numpy()
    else:
        picks[0] = torch.randint(len(rows), (1,), generator=torch.Generator().manual_seed(seed))
    points = points[order]
    _pick(points.numpy(), _leading(points).numpy(), max(fixed, 1), picks)
    return order[torch.from_numpy(picks)]


def projected(rows: Tensor, seed: int) -> Tensor:
    """Project wide rows to fewer dimensions that keep distances.

    Parameters
    ----------
    rows : Tensor (row, feature), float32
    seed : int
        Draws the projection.

    Returns
    -------
    Tensor (row, ≤ 128), float32
        The rows themselves where they are not wide.
    """
    width = rows.shape[1]
    return rows if width <= _PROJECTED else rows @ _projection(width, seed)


@lru_cache(maxsize=8)
def _projection(width: int, seed: int) -> Tensor:
    """Draw a projection (feature, 128)."""
    from sklearn.random_projection import GaussianRandomProjection

    drawn = GaussianRandomProjection(_PROJECTED, random_state=seed).fit(
        np.zeros((1, width), np.float32)
    )
    return torch.from_numpy(drawn.components_.T.astype(np.float32))


def _turned(points: Tensor) -> Tensor:
    """Turn points about their mean so that the first coordinates tell most of them apart.

    Distances stay as they are, and a sum of squares over coordinates is soon past its limit.
    """
    points = points - points.mean(0)
    axes = torch.linalg.eigh((points.T @ points).double()).eigenvectors
    turned: Tensor = points @ axes.flip(1).float()
    return turned


def _blocks(points: Tensor, seed: int) -> Tensor:
    """Order rows so that neighbours stand together."""
    generator = torch.Generator().manual_seed(seed)
    pivots = points[torch.randperm(len(points), generator=generator)[: len(points) // _BLOCK + 1]]
    nearest = torch.empty(len(points), dtype=torch.int64)
    half = 0.5 * pivots.square().sum(1)
    for start in range(0, len(points), 8192):
        chunk = slice(start, start + 8192)
        nearest[chunk] = (half - points[chunk] @ pivots.T).argmin(1)
    return torch.argsort(nearest, stable=True)


def _leading(points: Tensor) -> Tensor:
    """Give the first coordinates block by block, side by side; zeros past the last row.

    Returns
    -------
    Tensor (block, coordinate, row), float32
    """
    blocks = (len(points) + _BLOCK - 1) // _BLOCK
    few = torch.zeros(blocks * _BLOCK, min(_LEADING, points.shape[1]))
    few[: len(points)] = points[:, :_LEADING]
    return few.reshape(blocks, _BLOCK, -1).transpose(1, 2).contiguous()


@reordered
def _pick(
    points: NDArray[np.float32], leading: NDArray[np.float32], made: int, picks: NDArray[np.int64]
) -> None:
    """Pick lazily over blocks of neighbouring rows, after the first picks, `made` already.

    `leading` (block, coordinate, row) holds the first coordinates of all points again, side by
    side, so that one pick meets a whole block in wide registers.
    """
    blocks = len(leading)
    middles = np.zeros((blocks, points.shape[1]), np.float32)
    radii = np.zeros(blocks, np.float32)
    for block in range(blocks):
        radii[block] = _find_middle(points[block * _BLOCK : (block + 1) * _BLOCK], middles[block])
    gaps = np.full(blocks * _BLOCK, -1.0, dtype=np.float32)
    gaps[: len(points)] = np.inf
    farthest = np.full(blocks, np.inf, dtype=np.float32)
    seen = np.zeros(blocks, np.int64)
    parts = np.empty(_BLOCK, np.float32)
    while made < len(picks):
        block = int(farthest.argmax())
        start = block * _BLOCK
        if seen[block] == made:
            picks[made] = start + gaps[start : start + _BLOCK].argmax()
            made += 1
        for pick in picks[seen[block] : made]:
            beyond = np.sqrt(_square(points[pick], middles[block])) - radii[block]
            if beyond <= _ZERO or beyond * beyond <= farthest[block]:
                own = gaps[start : start + _BLOCK]
                _let_know(points[start : start + _BLOCK], points[pick], leading[block], own, parts)
                if start <= pick < start + _BLOCK:
                    own[pick - start] = -_ONE
                farthest[block] = own.max()
        seen[block] = made


@inlined_reordered
def _find_middle(rows: NDArray[np.float32], middle: NDArray[np.float32]) -> np.float32:
    """Find a block's middle, and give its radius."""
    for row in rows:
        for place in range(len(middle)):
            middle[place] += row[place] / np.float32(len(rows))
    radius = _ZERO
    for row in rows:
        radius = max(radius, _square(row, middle))
    return np.float32(np.sqrt(radius))


@inlined_reordered
def _let_know(
    rows: NDArray[np.float32],
    pick: NDArray[np.float32],
    leading: NDArray[np.float32],
    gaps: NDArray[np.float32],
    parts: NDArray[np.float32],
) -> None:
    """Let a block's rows know of a pick; `gaps` are squared distances to the nearest one.

    ``parts`` (row,) takes what the first coordinates tell of the distances.
    """
    for row in range(np.uint64(_BLOCK)):
        parts[row] = _ZERO
    for place in range(len(leading)):
        here = pick[place]
        for row in range(np.uint64(_BLOCK)):
            apart = leading[place, row] - here
            parts[row] += apart * apart
    for left in range(np.uint64(0), np.uint64(_BLOCK), np.uint64(_LANES)):
        nearer = 0
        for row in range(left, left + np.uint64(_LANES)):
            nearer += parts[row] < gaps[row]
        if nearer:
            for row in range(left, left + np.uint64(_LANES)):
                if parts[row] < gaps[row]:
                    gaps[row] = min(gaps[row], _square(rows[row], pick))


@inlined_reordered
def _square(one: NDArray[np.float32], other: NDArray[np.float32]) -> np.float32:
    """Give the squared distance of two rows."""
    total = _ZERO
    for place in range(np.uint64(len(one))):
        apart = one[place] - other[place]
        total += apart * apart
    return total

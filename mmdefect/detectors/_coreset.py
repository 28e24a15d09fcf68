"""The few patches that stand for all: greedy k-centre, streamed under a byte budget.

* Greedy k-centre picks, again and again, the patch farthest from those picked so far; its
  covering radius is at most twice the best possible [1]_.
* The plain algorithm touches every patch at every pick. Here patches lie in blocks of neighbours,
  and a block is brought up to date only when its last known farthest patch could be the next
  pick: distances to picks only ever shrink, so an old maximum is an upper bound. The picks are
  those of the plain algorithm.
* Patches arrive capture by capture and never fit memory in general: a pool that is full is
  reduced to half of its room, and goes on.

References
----------
.. [1] Gonzalez: Clustering to minimize the maximum intercluster distance, TCS 38, 1985.
"""

import heapq

import numpy as np
import torch
from torch import Tensor

_BLOCK = 256
_PROJECTED = 128
_COPIES = 3  # of its rows that a reduction holds at once


def k_center(rows: Tensor, count: int, seed: int = 0) -> Tensor:
    """Pick rows greedily so that every row has a near one among them.

    Parameters
    ----------
    rows : Tensor (row, feature), float32
    count : int
        How many to pick; all when there are fewer.
    seed : int
        Draws the first pick and the blocks.

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
    points = _projected(rows, seed)
    points = points - points.mean(0)
    order = _blocks(points, seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # steps are so small that threads would only wait for each other
    try:
        return order[_Greedy(points[order], seed).pick(count)]
    finally:
        torch.set_num_threads(threads)


def _projected(rows: Tensor, seed: int) -> Tensor:
    """Project wide rows to fewer dimensions that keep distances."""
    if rows.shape[1] <= _PROJECTED:
        return rows
    from sklearn.random_projection import GaussianRandomProjection

    projection = GaussianRandomProjection(_PROJECTED, random_state=seed).fit(rows[:1].numpy())
    return rows @ torch.from_numpy(projection.components_.T.astype(np.float32))


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


class _Greedy:
    """Lazy greedy k-centre over blocks of neighbouring rows."""

    def __init__(self, points: Tensor, seed: int) -> None:
        self.points = points
        self.norms = points.square().sum(1)
        self.gaps = torch.full((len(points),), torch.inf)
        self.seen = [0] * ((len(points) + _BLOCK - 1) // _BLOCK)
        first = torch.Generator().manual_seed(seed)
        self.picks = [int(torch.randint(len(points), (1,), generator=first))]

    def pick(self, count: int) -> Tensor:
        """Pick until there are ``count``."""
        queue = [(-torch.inf, block) for block in range(len(self.seen))]
        heapq.heapify(queue)
        while len(self.picks) < count:
            _, block = queue[0]
            if self.seen[block] == len(self.picks):
                self.picks.append(block * _BLOCK + self._farthest(block)[1])
            self._refresh(block)
            heapq.heapreplace(queue, (-self._farthest(block)[0], block))
        return torch.tensor(self.picks)

    def _farthest(self, block: int) -> tuple[float, int]:
        gaps = self.gaps[block * _BLOCK : (block + 1) * _BLOCK]
        index = int(gaps.argmax())
        return float(gaps[index]), index

    def _refresh(self, block: int) -> None:
        """Let a block know the picks made since it was last looked at."""
        part = slice(block * _BLOCK, (block + 1) * _BLOCK)
        new = torch.tensor(self.picks[self.seen[block] :])
        squares = torch.addmm(
            self.norms[new][None, :], self.points[part], self.points[new].T, alpha=-2
        )
        nearest = squares.min(1).values + self.norms[part]
        gaps = torch.minimum(self.gaps[part], nearest.clamp_min(0))
        inside = new[(new >= part.start) & (new < part.stop)] - part.start
        gaps[inside] = -1.0
        self.gaps[part] = gaps
        self.seen[block] = len(self.picks)


class Pool:
    """Patches of good parts, kept to a coreset under a byte budget.

    Parameters
    ----------
    byte_budget : int
        Bytes of rows held at any time.
    share : float
        The coreset's final size, as a share of all patches ever added.
    seed : int
    most : int
        The coreset's largest size: the time of every search grows with it.
    """

    def __init__(self, byte_budget: int, share: float, seed: int, most: int = 1 << 30) -> None:
        self.byte_budget = byte_budget
        self.share = share
        self.seed = seed
        self.most = most
        self.added = 0
        self._rows: list[Tensor] = []
        self._marks: list[Tensor] = []

    def add(self, rows: Tensor, marks: Tensor | None = None) -> None:
        """Add the patches of one scene.

        Parameters
        ----------
        rows : Tensor (row, feature), float32
        marks : Tensor (row, mark), int32, optional
            What goes with each row, and is kept or dropped with it.
        """
        self.added += len(rows)
        self._rows.append(rows)
        self._marks.append(torch.empty(len(rows), 0, dtype=torch.int32) if marks is None else marks)
        room = max(2, self.byte_budget // (_COPIES * 4 * rows.shape[1]))
        if sum(map(len, self._rows)) > room:
            kept, theirs = self._reduced(room // 2)
            self._rows, self._marks = [kept], [theirs]

    def coreset(self) -> Tensor:
        """Give the final coreset.

        Returns
        -------
        Tensor (row, feature), float32
            Empty when nothing was added.
        """
        return self.marked()[0]

    def marked(self) -> tuple[Tensor, Tensor]:
        """Give the final coreset, and what goes with its rows.

        Returns
        -------
        Tensor (row, feature), float32
            Empty when nothing was added.
        Tensor (row, mark), int32
        """
        if not self._rows:
            return torch.empty(0, 0), torch.empty(0, 0, dtype=torch.int32)
        wanted = max(1, round(self.share * self.added))
        return self._reduced(min(wanted, self.most))

    def _reduced(self, count: int) -> tuple[Tensor, Tensor]:
        rows = torch.cat(self._rows)
        chosen = k_center(rows, count, self.seed)
        return rows[chosen], torch.cat(self._marks)[chosen]

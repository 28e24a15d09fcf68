"""Patches that are seen once, kept to a coreset under a byte budget.

* A pool that is full fixes most of the patches that it may end with, by greedy k-centre over what
  it holds, and lets go of those nearest to a fixed one. From then on a patch is taken in only if it
  lies farther from all fixed ones than any that was let go.
* So all that was let go lies within a known reach of patches that stay, however often the pool
  fills up; reductions of reductions, the usual way, add their errors up. The patches that decide
  the covering radius, those far from all others, are all still there at the end, where greedy
  k-centre goes on from the fixed ones.
* Where the stream drifts away from what was fixed, the reach would soon be larger than the radius
  of patches chosen afresh. Then they are chosen afresh, and the errors of such changes do add up.
* Most patches of a stream are turned away by one search among the fixed ones.
* Distances are those that the coreset is picked by: of wide rows, in a projection.
"""

import torch
from torch import Tensor

from mmdefect.detectors._coreset import k_center, projected
from mmdefect.detectors._search import Rows

_COPIES = 3  # of its rows that making room holds at once
_FIXED = 0.7  # of the rows that would be picked if the stream ended here


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
        self._plan: _Plan | None = None

    def add(self, rows: Tensor, marks: Tensor | None = None) -> None:
        """Add the patches of one scene.

        Parameters
        ----------
        rows : Tensor (row, feature), float32
        marks : Tensor (row, mark), int32, optional
            What goes with each row, and is kept or dropped with it.
        """
        self.added += len(rows)
        marks = torch.empty(len(rows), 0, dtype=torch.int32) if marks is None else marks
        if self._plan is not None:
            far = self._plan.apart(projected(rows, self.seed)) > self._plan.reach
            rows, marks = rows[far], marks[far]
        self._rows.append(rows)
        self._marks.append(marks)
        room = max(2, self.byte_budget // (_COPIES * 4 * rows.shape[1]))
        if sum(map(len, self._rows)) > room:
            self._make_room(room)

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
        rows = torch.cat(self._rows)
        wanted, fixed = self._wanted(), 0 if self._plan is None else self._plan.fixed
        chosen = k_center(rows, wanted, self.seed, fixed if fixed <= wanted else 0)
        return rows[chosen], torch.cat(self._marks)[chosen]

    def _wanted(self) -> int:
        """Tell how many rows are wanted if none is added any more."""
        return min(max(1, round(self.share * self.added)), self.most)

    def _make_room(self, room: int) -> None:
        """Let go of rows near to fixed ones, until half of the room for others is free."""
        rows = torch.cat(self._rows)
        points, most = projected(rows, self.seed), (room - self._count(room)) // 2
        plan = _Plan(points, k_center(points, self._count(room), self.seed), most, self.seed)
        if self._plan is not None:
            same = _Plan(points, torch.arange(self._count(room)), most, self.seed, self._plan.reach)
            plan = same if same.reach <= plan.radius else plan
        self._rows, self._marks = [rows[plan.kept]], [torch.cat(self._marks)[plan.kept]]
        self._plan = plan

    def _count(self, room: int) -> int:
        """Tell how many rows are fixed."""
        return max(1, int(_FIXED * min(self.most, room // 2)))


class _Plan:
    """Which rows are fixed, and which others are kept: those that are farthest from them.

    Parameters
    ----------
    points : Tensor (row, feature), float32
        Of which distances are told.
    fixed : Tensor (fixed row,), int64
    most : int
        How many others may be kept.
    seed : int
    reach : float
        None is kept that is not farther from all fixed rows.
    """

    def __init__(
        self, points: Tensor, fixed: Tensor, most: int, seed: int, reach: float = 0.0
    ) -> None:
        others = torch.ones(len(points), dtype=torch.bool)
        others[fixed] = False
        rest = others.nonzero()[:, 0]
        self._around = Rows(points[fixed], seed)
        apart = self.apart(points[rest])
        self.radius = float(apart.max())
        too_many = len(rest) - most
        cut = float(apart.kthvalue(too_many).values) if too_many > 0 else 0.0
        self.reach = max(reach, cut)
        self.kept = torch.cat([fixed, rest[apart > self.reach]])
        self.fixed = len(fixed)

    def apart(self, points: Tensor) -> Tensor:
        """Tell how far points are from the nearest fixed row."""
        return self._around.nearest(points)[0]

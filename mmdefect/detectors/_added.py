"""What a bank takes in after it was fitted: a second layer, beside the first.

A patch scores by the better of the two layers, so that no score can rise: what calibration parts
scored before stays an upper bound. Three rules follow from that promise.

* A row's reach is that of the nearest row of the first layer: how dense good patches lie there
  was measured when the bank was fitted.
* No row is ever thrown out again. A full layer takes nothing more in.
* Of a part, the patches that the bank knows least are worth a row: they made its score.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmdefect.detectors._coreset import k_center
from mmdefect.detectors._search import nearest

SHARE = 4
"""The second layer holds at most a quarter of the rows that the first one may have."""


@dataclass(frozen=True)
class Added:
    """Rows that came later.

    Parameters
    ----------
    rows : Tensor (row, feature), float32
    reach : Tensor (row,), float32
    fold : Tensor (row,), int64
        The fold of the part each row came from.
    """

    rows: Tensor
    reach: Tensor
    fold: Tensor

    @classmethod
    def empty(cls, features: int) -> "Added":
        """Make a layer without rows."""
        return cls(torch.empty(0, features), torch.empty(0), torch.empty(0, dtype=torch.int64))

    def scores(self, queries: Tensor, without: int | None) -> Tensor:
        """Score patches; infinite where the layer is empty.

        Parameters
        ----------
        queries : Tensor (query, feature), float32
        without : int, optional
            Leave this fold's rows out.

        Returns
        -------
        Tensor (query,), float32
        """
        kept = torch.ones(len(self.rows), dtype=torch.bool)
        if without is not None:
            kept = self.fold != without
        if not bool(kept.any()):
            return torch.full((len(queries),), torch.inf)
        distances, found = nearest(queries, self.rows[kept])
        return distances / self.reach[kept][found]

    def joined(self, rows: Tensor, reach: Tensor, fold: int) -> "Added":
        """Give the layer with the rows of one more part."""
        folds = torch.full((len(rows),), fold, dtype=torch.int64)
        return Added(
            torch.cat([self.rows, rows]),
            torch.cat([self.reach, reach]),
            torch.cat([self.fold, folds]),
        )

    def state(self) -> dict[str, np.ndarray]:
        """Give the arrays."""
        return {
            "added": self.rows.numpy(),
            "added_reach": self.reach.numpy(),
            "added_fold": self.fold.numpy(),
        }


def room(held: int, features: int, rows: int, bank_rows: int, bank_bytes: int) -> int:
    """Count the rows that a layer may still take in.

    Parameters
    ----------
    held : int
        Rows the layer has.
    features : int
        Numbers in a row.
    rows : int
        The first layer's.
    bank_rows : int
        The rows that the first layer may have.
    bank_bytes : int
        Bytes that both layers together may have.

    Returns
    -------
    int
    """
    by_bytes = bank_bytes // (4 * max(1, features)) - rows - held
    return max(0, min(bank_rows // SHARE - held, by_bytes))


def worth_a_row(rows: Tensor, scores: Tensor, count: int, seed: int) -> Tensor:
    """Pick some patches that stand for those of a part that the bank knows least.

    Parameters
    ----------
    rows : Tensor (row, feature), float32
    scores : Tensor (row,), float32
        What the bank says of them now; what it holds already (0) is not taken again.
    count : int
        How many at most.
    seed : int

    Returns
    -------
    Tensor (at most count, feature), float32
        Spread over the highest-scoring twice as many.
    """
    unknown = int((scores > 0).sum())
    if count < 1 or unknown == 0:
        return rows[:0]
    least_known = scores.topk(min(2 * count, unknown)).indices
    return rows[least_known][k_center(rows[least_known], count, seed)]

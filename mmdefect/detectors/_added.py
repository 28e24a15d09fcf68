"""What a bank takes in after it was fitted: a second layer, beside the first.

A patch scores by the better of the two layers, so that no score can rise: what calibration parts
scored before stays an upper bound. Three rules follow from that promise.

* A row's reach is that of the nearest row of the first layer: how dense good patches lie there
  was measured when the bank was fitted.
* No row is ever thrown out again. A full layer takes nothing more in.
* Of a part, the patches that the bank knows least are worth a row: they made its score.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmdefect.detectors._coreset import k_center
from mmdefect.detectors._origins import origins_in, unknown
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
    origin : Tensor (row, 3), int32
        Which part, and which of its patches, each row was (`mmdefect.detectors._origins`).
    """

    rows: Tensor
    reach: Tensor
    fold: Tensor
    origin: Tensor

    @classmethod
    def empty(cls, features: int) -> "Added":
        """Make a layer without rows."""
        none = torch.empty(0, dtype=torch.int64)
        return cls(torch.empty(0, features), torch.empty(0), none, unknown(0))

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

    def joined(self, rows: Tensor, reach: Tensor, fold: int, origin: Tensor) -> "Added":
        """Give the layer with the rows of one more part."""
        folds = torch.full((len(rows),), fold, dtype=torch.int64)
        return Added(
            torch.cat([self.rows, rows]),
            torch.cat([self.reach, reach]),
            torch.cat([self.fold, folds]),
            torch.cat([self.origin, origin]),
        )

    def state(self) -> dict[str, np.ndarray]:
        """Give the arrays."""
        return {
            "added": self.rows.numpy(),
            "added_reach": self.reach.numpy(),
            "added_fold": self.fold.numpy(),
            "added_origin": self.origin.numpy(),
        }

    @classmethod
    def from_state(cls, tensors: Mapping[str, np.ndarray]) -> "Added":
        """Make the layer that gave these arrays; a model of old does not know its origins."""
        rows, reach, fold = (
            torch.from_numpy(np.array(tensors[name]))
            for name in ("added", "added_reach", "added_fold")
        )
        return cls(rows, reach, fold, origins_in(tensors, "added_origin", len(rows)))


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
    Tensor (at most count,), int64
        Indices of rows, spread over the highest-scoring twice as many.
    """
    strange = int((scores > 0).sum())
    if count < 1 or strange == 0:
        return torch.empty(0, dtype=torch.int64)
    least_known = scores.topk(min(2 * count, strange)).indices
    return least_known[k_center(rows[least_known], count, seed)]

"""Counts, means and scatter of patch features, place by place, in a form that can be merged.

What two halves of the parts know is merged to what all of them would have taught, up to rounding
[1]_: that is what lets folds be left out without a second pass, and two sites learn together
without showing each other a part.

References
----------
.. [1] Chan, Golub, LeVeque: Algorithms for computing the sample variance, The American
   Statistician 37, 1983.
"""

from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Moments(NamedTuple):
    """First and second moments of rows in groups; the groups of a block share one scatter.

    Attributes
    ----------
    counts : float64 array (group,)
    mean : float64 array (group, feature)
    scatter : float64 array (block, feature, feature)
        Sum of the outer products of what rows differ from their group's mean.
    block : int64 array (group,)
        Each group's block.
    """

    counts: Array
    mean: Array
    scatter: Array
    block: NDArray[np.int64]

    @classmethod
    def empty(cls, block: NDArray[np.int64], features: int) -> Self:
        """Make the moments of no row at all."""
        groups, blocks = len(block), int(block.max()) + 1
        scatter = np.zeros((blocks, features, features))
        return cls(np.zeros(groups), np.zeros((groups, features)), scatter, block)

    def with_rows(self, rows: Array, group: NDArray[np.int64]) -> Self:
        """Give the moments with further rows.

        Parameters
        ----------
        rows : float64 array (row, feature)
        group : int64 array (row,)

        Returns
        -------
        Moments
        """
        count = np.bincount(group, minlength=len(self.counts)).astype(np.float64)
        mean = np.zeros_like(self.mean)
        np.add.at(mean, group, rows)
        mean /= np.maximum(count, 1.0)[:, None]
        scatter = np.zeros_like(self.scatter)
        if (count > 1).any():
            _add_outer(scatter, rows - mean[group], self.block[group])
        return self.merged(type(self)(count, mean, scatter, self.block))

    def merged(self, other: "Moments") -> Self:
        """Give the moments of both sets of rows.

        Parameters
        ----------
        other : Moments
            Of the same groups and blocks.

        Returns
        -------
        Moments
        """
        total = self.counts + other.counts
        share = other.counts / np.maximum(total, 1.0)
        apart = other.mean - self.mean
        scatter = self.scatter + other.scatter
        _add_outer(scatter, apart * np.sqrt(self.counts * share)[:, None], self.block)
        return type(self)(total, self.mean + apart * share[:, None], scatter, self.block)

    @property
    def freedom(self) -> Array:
        """Degrees of freedom of every block's scatter, (block,)."""
        own = np.maximum(self.counts - 1, 0.0)
        freedom: Array = np.bincount(self.block, own, minlength=len(self.scatter)).astype(float)
        return freedom

    @property
    def level(self) -> tuple[Array, Array]:
        """Mean (feature,) and covariance (feature, feature) of all rows, wherever they lie."""
        weight = self.counts / max(self.counts.sum(), 1.0)
        mean = weight @ self.mean
        apart = (self.mean - mean) * np.sqrt(weight)[:, None]
        return mean, self.scatter.sum(0) / max(self.counts.sum(), 1.0) + apart.T @ apart


def _add_outer(scatter: Array, rows: Array, block: NDArray[np.int64]) -> None:
    """Add the outer products of rows to their blocks' scatter, in place."""
    if len(scatter) == len(rows) and (block == np.arange(len(rows))).all():
        scatter += rows[:, :, None] * rows[:, None, :]
        return
    order = np.argsort(block, kind="stable")
    starts = np.searchsorted(block[order], np.arange(len(scatter) + 1))
    for own, (first, stop) in enumerate(pairwise(starts)):
        here = rows[order[first:stop]]
        scatter[own] += here.T @ here

"""What a bank remembers of a scene: every patch beside the good one that it is nearest to.

* The squared distance of two patches is a sum over features, so it splits exactly into groups of
  features: edges, levels, stages of a network. Splitting costs nothing and guesses nothing.
* A patch that is replaced by its nearest good one has the distance 0. What the part would then
  score is computed by the same steps as ever, so it is a statement about this model, not a story.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.detectors._maps import predicted, to_pixels
from mmdefect.detectors._search import Rows, nearest
from mmdefect.evidence import Match, Neighbour
from mmdefect.learnable import learn_mask

WHOLE = "all features"
"""The one group of features that name none."""

Mask = NDArray[np.bool_]


class Memory(NamedTuple):
    """The rows of both layers of a bank.

    Attributes
    ----------
    rows : Tensor (row, feature), float32
    reach : Tensor (row,), float32
    origin : Tensor (row, 3), int32
    captures : list of str
    first : Rows
        The first layer's, which come first, ready to be asked.
    """

    rows: Tensor
    reach: Tensor
    origin: Tensor
    captures: list[str]
    first: Rows

    def nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Score patches by the better layer: scores and the rows they rest on."""
        count = len(self.first.rows)
        distance, found = self.first.nearest(queries)
        best = distance / self.reach[:count][found]
        if len(self.rows) > count:
            distance, later = nearest(queries, self.rows[count:])
            score = distance / self.reach[count:][later]
            found = torch.where(score < best, later + count, found)
            best = torch.minimum(best, score)
        return best, found


class Aim(NamedTuple):
    """A patch, and the good one that it is held against.

    Attributes
    ----------
    row, column : int
        On the grid of patches.
    target : Tensor (feature,), float32
        The good patch, standardised.
    reach : float
        The unit of the distance.
    """

    row: int
    column: int
    target: Tensor
    reach: float


class Recall:
    """A scene's patches of one sensor beside good ones.

    Parameters
    ----------
    scene : Dataset
    sensor : str
    blur : float
        Smoothing of maps, in spacings between patches.
    memory : Memory
    rows : Tensor (row, feature), float32
        The scene's patches, standardised.
    believed : bool array (y, x)
        Which patches the rows are, in reading order.
    groups : list of str
        The group of each feature; empty where they have none.
    """

    def __init__(
        self,
        scene: xr.Dataset,
        sensor: str,
        blur: float,
        memory: Memory,
        rows: Tensor,
        believed: Mask,
        groups: list[str],
    ) -> None:
        self.scene, self.sensor, self.blur = scene, sensor, blur
        self.memory, self.rows, self.believed = memory, rows, believed
        named = groups or [WHOLE] * rows.shape[1]
        self.groups = list(dict.fromkeys(named))
        self._group = torch.tensor([self.groups.index(name) for name in named], dtype=torch.int64)
        self._knows = bool(len(rows)) and bool(len(memory.rows))
        self._scores, self._found = (
            memory.nearest(rows) if self._knows else (torch.empty(0), torch.empty(0))
        )

    def match(self, pixels: Mask, count: int = 3) -> Match | None:
        """Hold the strangest patch of a place beside the good parts that it is nearest to.

        Parameters
        ----------
        pixels : bool array (y, x)
            The place, in scene pixels.
        count : int
            How many good parts.

        Returns
        -------
        Match or None
            None where the sensor saw nothing there, or the bank is empty.
        """
        index = self._strangest(pixels)
        if index is None:
            return None
        row, column = self._place(index)
        y, x = self._centre(row, column)
        side = self.scene.sizes["y"] / self.believed.shape[0]
        squares = self._squares(torch.tensor([index]))[0]
        total = float(squares.sum())
        shares = squares / total if total > 0 else squares[:0]
        return Match(
            self.sensor,
            y,
            x,
            side,
            float(self._scores[index]),
            self._neighbours(index, count),
            dict(zip(self.groups, shares.tolist(), strict=False)),
        )

    def aim(self, pixels: Mask) -> Aim | None:
        """Give the strangest patch of a place (y, x), and the good row that it is held against."""
        index = self._strangest(pixels)
        if index is None:
            return None
        row = int(self._found[index])
        return Aim(*self._place(index), self.memory.rows[row], float(self.memory.reach[row]))

    def replaced(self, pixels: Mask) -> tuple[xr.Dataset, int]:
        """Score the scene with the patches of a place replaced by their nearest good ones.

        Parameters
        ----------
        pixels : bool array (y, x)
            In scene pixels.

        Returns
        -------
        Dataset
            As the detector's ``predict`` gives it.
        int
            How many patches were replaced.
        """
        there = self._patches(pixels)
        grid = self._grid(self._scores)
        grid[there] = 0.0
        grid_of = partial(np.copy, grid) if self._knows else None
        return predicted(self.scene, self.sensor, grid_of, self.blur), int(there.sum())

    def by_group(self) -> xr.DataArray:
        """Split the detector's map into groups of features.

        Returns
        -------
        DataArray (group, y, x), float32
            Sums over ``group`` to the detector's own map: a patch's score counts by each group's
            share of its squared distance. NaN where the map is.
        """
        valid = self.scene["valid"].sel(sensor=self.sensor).values & learn_mask(self.scene)
        maps = np.full((len(self.groups), *valid.shape), np.nan, dtype=np.float32)
        if self._knows and valid.any():
            squares = self._squares(torch.arange(len(self.rows)))
            total = squares.sum(1, keepdim=True)
            even = 1 / len(self.groups)  # a distance of 0 has no shares, and a score of 0
            shares = torch.where(total > 0, squares / total, even)
            for number, share in enumerate((shares * self._scores[:, None]).T):
                maps[number] = to_pixels(self._grid(share), valid, self.blur)
        labels = {"group": self.groups, "y": self.scene["y"], "x": self.scene["x"]}
        return xr.DataArray(maps, dims=("group", "y", "x"), coords=labels)

    def _strangest(self, pixels: Mask) -> int | None:
        """Find the row of the strangest patch of a place; None where nothing is known."""
        there = self._patches(pixels)
        if not self._knows or not there.any():
            return None
        chosen = torch.from_numpy(np.flatnonzero(there[self.believed]))
        return int(chosen[int(self._scores[chosen].argmax())])

    def _place(self, index: int) -> tuple[int, int]:
        """Give row and column of a patch on the grid of patches."""
        rows, columns = np.nonzero(self.believed)
        return int(rows[index]), int(columns[index])

    def _patches(self, pixels: Mask) -> Mask:
        """Tell which believable patches lie under a place."""
        there = np.zeros(self.believed.shape, dtype=bool)
        rows, columns = np.nonzero(pixels)
        down, across = self.believed.shape
        there[rows * down // pixels.shape[0], columns * across // pixels.shape[1]] = True
        return there & self.believed

    def _centre(self, row: float, column: float) -> tuple[float, float]:
        """Give the centre of a patch in scene pixels."""
        down, across = self.believed.shape
        height, width = self.scene.sizes["y"], self.scene.sizes["x"]
        return (row + 0.5) * height / down - 0.5, (column + 0.5) * width / across - 0.5

    def _grid(self, scores: Tensor) -> NDArray[np.float64]:
        grid = np.full(self.believed.shape, np.nan)
        if len(scores):
            grid[self.believed] = scores.numpy()
        return grid

    def _squares(self, index: Tensor) -> Tensor:
        """Split squared distances to the nearest good patches by group, (row, group)."""
        apart = (self.rows[index] - self.memory.rows[self._found[index]]).square()
        return torch.zeros(len(index), len(self.groups)).index_add_(1, self._group, apart)

    def _neighbours(self, index: int, count: int) -> tuple[Neighbour, ...]:
        """Find the nearest patch of each good part, the one that was scored by first."""
        winner = int(self._found[index])
        unit = float(self.memory.reach[winner])
        distances = torch.cdist(self.rows[index : index + 1], self.memory.rows)[0] / unit
        told = [self._neighbour(winner, float(self._scores[index]))]
        parts = self.memory.origin[:, 0]
        seen = {int(parts[winner])}
        for row in distances.argsort()[: 200 * count].tolist():
            if len(told) == count:
                break
            if int(parts[row]) not in seen:
                seen.add(int(parts[row]))
                told.append(self._neighbour(row, float(distances[row])))
        return tuple(told)

    def _neighbour(self, row: int, distance: float) -> Neighbour:
        part, patch_row, patch_column = self.memory.origin[row].tolist()
        if part < 0:
            return Neighbour("", float("nan"), float("nan"), distance)
        return Neighbour(
            self.memory.captures[part], *self._centre(patch_row, patch_column), distance
        )

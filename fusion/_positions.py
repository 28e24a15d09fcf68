"""What good parts usually score at each place, so that a score counts by how unusual it is there.

* Good parts score higher at some places than at others: rims that move a little, joints that
  differ from part to part. One scale for the whole map lets those places drown a faint defect
  elsewhere. After the place's own level is taken off and its own spread divided out, all places
  are alike [1]_.
* Level and spread are learnt on coarse cells, smoothed, and drawn towards those of the whole map
  the more the fewer parts there are.
* Where parts lie anyhow, or are few, there is nothing to learn: places are used only where they
  describe held-out good parts better than one level and one spread for all do.

References
----------
.. [1] Defard et al.: PaDiM: a patch distribution modeling framework, ICPR 2021: a Gaussian for
   every place; here of the detector's score instead of the features.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Plane = NDArray[np.float32]

_CELLS = 64
_LEAST_PARTS = 8
_LEVEL_PRIOR = 1.0
_SPREAD_PRIOR = 5.0
_WORST_SHARE = 0.002


def cell_of(shape: tuple[int, int]) -> int:
    """Give the side of a coarse cell, px, for maps of a shape."""
    return max(1, -(-max(shape) // _CELLS))


def coarse(pixels: NDArray[np.floating]) -> Plane:
    """Average a map over square cells, at most 64 along its longer side.

    Parameters
    ----------
    pixels : float array (y, x)
        NaN without evidence.

    Returns
    -------
    float32 array (cell row, cell column)
        NaN where no pixel of the cell has evidence.
    """
    cell = cell_of((pixels.shape[0], pixels.shape[1]))
    rows, columns = (-(-side // cell) for side in pixels.shape)
    padded = np.full((rows * cell, columns * cell), np.nan, dtype=np.float32)
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    known = np.isfinite(padded)
    tiles = (rows, cell, columns, cell)
    counts = known.reshape(tiles).sum((1, 3), dtype=np.float32)
    sums = np.where(known, padded, 0.0).reshape(tiles).sum((1, 3))
    return np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan).astype(np.float32)


class Positions:
    """The usual level and spread of one sensor's scores at every place.

    Parameters
    ----------
    level, spread : float32 array (cell row, cell column)
        In the score's unit; empty where one level and one spread serve all places.
    """

    def __init__(self, level: Plane, spread: Plane) -> None:
        self.level = level
        self.spread = spread
        self._fields: tuple[Plane, Plane] | None = None

    @classmethod
    def flat(cls) -> Self:
        """Make places that are all alike: scores stay what they are."""
        return cls(np.empty((0, 0), np.float32), np.empty((0, 0), np.float32))

    @classmethod
    def learn(cls, maps: Sequence[Plane], folds: Sequence[int]) -> Self:
        """Learn from coarse maps of good parts that the detector had not seen.

        Parameters
        ----------
        maps : sequence of float32 array (cell row, cell column)
            One per part.
        folds : sequence of int
            Each part's fold, for the comparison on held-out parts.

        Returns
        -------
        Positions
            Flat where that describes held-out parts as well, and with fewer than eight parts.
        """
        stack = np.stack(maps) if maps else np.empty((0, 0, 0), np.float32)
        seen = np.isfinite(stack).any((1, 2))
        stack, fold = stack[seen], np.asarray(folds)[seen]
        if len(stack) < _LEAST_PARTS or len(set(fold.tolist())) < 2:
            return cls.flat()
        gain = [_gain(stack[fold != k], stack[fold == k]) for k in sorted(set(fold.tolist()))]
        return cls(*_fields(stack)) if float(np.mean(gain)) > 0 else cls.flat()

    @classmethod
    def anyway(cls, maps: Sequence[Plane]) -> Self:
        """Learn without asking whether it pays: what a fold's strangers are held against."""
        return cls(*_fields(np.stack(maps)))

    @property
    def is_flat(self) -> bool:
        """Whether all places are alike."""
        return self.level.size == 0

    def relative(self, pixels: NDArray[np.floating]) -> Plane:
        """Give how unusual a map's scores are for their places.

        Parameters
        ----------
        pixels : float array (y, x)

        Returns
        -------
        float32 array (y, x)
            In spreads above the level; the map as it is where all places are alike.
        """
        if self.is_flat:
            return np.asarray(pixels, dtype=np.float32)
        level, spread = self._at_pixels((pixels.shape[0], pixels.shape[1]))
        return np.asarray((pixels - level) / spread, dtype=np.float32)

    def part(self, cells: Plane) -> float:
        """Score a part by its most unusual cells: the mean of the highest 0.2 %, one at least.

        Parameters
        ----------
        cells : float32 array (cell row, cell column)
            Its coarse map.

        Returns
        -------
        float
            NaN without evidence.
        """
        unusual = (cells - self.level) / self.spread
        known = unusual[np.isfinite(unusual)]
        if known.size == 0:
            return float("nan")
        worst = max(1, round(_WORST_SHARE * known.size))
        return float(np.partition(known, -worst)[-worst:].mean())

    def rescored(self, prediction: xr.Dataset, apart: NDArray[np.bool_]) -> tuple[Plane, float]:
        """Hold what a detector says of a part against what is usual at each place.

        Parameters
        ----------
        prediction : Dataset
            Of one sensor's detector.
        apart : bool array (y, x)
            Pixels that do not count in the part's score.

        Returns
        -------
        float32 array (y, x)
            The relative map.
        float
            The part's score; the detector's own where all places are alike.
        """
        score = float(prediction["sensor_score"].item())
        return self.held_against(prediction["sensor_map"].values[0], score, apart)

    def held_against(
        self, pixels: Plane, score: float, apart: NDArray[np.bool_]
    ) -> tuple[Plane, float]:
        """Hold one sensor's map (y, x) and its score of the part against places, as `rescored`."""
        if self.is_flat:
            return pixels, score
        counted = np.where(apart, np.nan, pixels) if apart.any() else pixels
        return self.relative(pixels), self.part(coarse(counted))

    def state(self) -> dict[str, Plane]:
        """Give what was learnt, as arrays."""
        return {"level": self.level, "spread": self.spread}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Any]) -> Self:
        """Make the positions that gave this state."""
        return cls(*(np.array(tensors[name], dtype=np.float32) for name in ("level", "spread")))

    def _at_pixels(self, shape: tuple[int, int]) -> tuple[Plane, Plane]:
        """Give level and spread at every pixel; kept, since a rig's maps have one shape."""
        if self._fields is None or self._fields[0].shape != shape:
            self._fields = (_stretched(self.level, shape), _stretched(self.spread, shape))
        return self._fields


def _fields(stack: NDArray[np.float32]) -> tuple[Plane, Plane]:
    """Learn level and spread, drawn towards those of the whole map, from parts (part, y, x)."""
    known = np.isfinite(stack)
    count = known.sum(0).astype(np.float64)
    values = np.where(known, stack, 0.0).astype(np.float64)
    mean = values.sum(0) / np.maximum(count, 1)
    square = (np.where(known, values - mean, 0.0) ** 2).sum(0)
    usual = float(mean[count > 0].mean())
    whole = max(float(square.sum() / max(np.maximum(count - 1, 0).sum(), 1)), 1e-12)
    level = (count * mean + _LEVEL_PRIOR * usual) / (count + _LEVEL_PRIOR)
    freedom = np.maximum(count - 1, 0)
    variance = (square + _SPREAD_PRIOR * whole) / (freedom + _SPREAD_PRIOR)
    planes = gaussian_filter(np.stack([level, np.sqrt(variance)]), (0, 1, 1), mode="nearest")
    return planes[0].astype(np.float32), planes[1].astype(np.float32)


def _gain(learnt: NDArray[np.float32], held_out: NDArray[np.float32]) -> float:
    """Compare the log-likelihood a cell of held-out parts, by place less by one level for all."""
    level, spread = _fields(learnt)
    known = learnt[np.isfinite(learnt)].astype(np.float64)
    flat_level, flat_spread = known.mean(), max(known.std(), 1e-9)
    told = held_out[np.isfinite(held_out)]
    if told.size == 0:
        return 0.0
    placed = ((held_out - level) / spread) ** 2 / 2 + np.log(spread)
    flat = ((told - flat_level) / flat_spread) ** 2 / 2 + np.log(flat_spread)
    return float(flat.mean() - placed[np.isfinite(placed)].mean())


def _stretched(plane: Plane, shape: tuple[int, int]) -> Plane:
    """Bring a coarse plane to pixels, linearly between the cells' centres."""
    cell = cell_of(shape)
    for axis, side in enumerate(shape):
        at = np.clip((np.arange(side) + 0.5) / cell - 0.5, 0, plane.shape[axis] - 1)
        low = np.minimum(at.astype(int), max(plane.shape[axis] - 2, 0))
        high = np.minimum(low + 1, plane.shape[axis] - 1)
        share = (at - low).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None, :]
        plane = np.take(plane, low, axis) * (1 - share) + np.take(plane, high, axis) * share
    return plane.astype(np.float32)

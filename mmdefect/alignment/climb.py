"""Climbing: from a warp near the best one to the best one, by whatever two pictures agree in.

* The moving picture is resampled by the warp so far, and the next step is sought on the grid of
  the fixed one: both are then smoothed and differentiated alike, and no interpolation favours
  whole pixels.
* The correlation's slope is exact; its bend is taken from both pictures' gradients together, as
  Newton's method wants it: noise in one of them, which the other does not share, drops out of it.
* A step counts only if the correlation rises; else it is damped [1]_.

References
----------
.. [1] Marquardt: An algorithm for least-squares estimation of nonlinear parameters, 1963.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmdefect.alignment.edges import Edges, Picture, edges_of, slope_of
from mmdefect.alignment.warps import MODELS, Warp, pixels_of, slopes

Floats = NDArray[np.floating[Any]]

_ROUNDS = 15
_STILL = 0.005
_LONGEST = 4.0
_TRIES = 5


@dataclass(frozen=True)
class Standing:
    """How well two pictures agree under a warp, and where they pull.

    Parameters
    ----------
    value : float
        What is to be made large.
    force : array (2, y, x)
        Its slope with a movement of each pixel to the right and down, 1/px.
    bend : array (3, y, x)
        Its negative second derivatives: right-right, right-down, down-down, 1/px².
    weight : array (y, x)
        How much each pixel counted.
    """

    value: float
    force: NDArray[np.float32]
    bend: NDArray[np.float32]
    weight: NDArray[np.float32]


class Measure(Protocol):
    """Tells how well the moving picture, brought onto the grid, agrees with the fixed one."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid, px."""
        ...

    def at(self, warp: Warp) -> Standing:
        """Measure the agreement under a warp."""
        ...


class EdgeMeasure:
    """Correlation of edges.

    Parameters
    ----------
    fixed, moving : Picture
    weight : array (y, x), optional
        How much each pixel of the grid counts.
    """

    def __init__(self, fixed: Picture, moving: Picture, weight: Floats | None = None) -> None:
        self._edges = edges_of(fixed)
        self._slope = slope_of(self._edges.tensor)
        self._moving = moving
        self._weight = None if weight is None else weight.astype(np.float32)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid, px."""
        return self._edges.tensor.shape[1], self._edges.tensor.shape[2]

    def edges(self, warp: Warp) -> tuple[Edges, Edges, NDArray[np.float32]]:
        """Give both pictures' edges on the grid, and how much each pixel counts."""
        other = edges_of(brought(self._moving, warp, self.size))
        weight = (self._edges.sure & other.sure).astype(np.float32)
        return self._edges, other, weight if self._weight is None else weight * self._weight

    def at(self, warp: Warp) -> Standing:
        """Measure the agreement under a warp."""
        one, other, weight = self.edges(warp)
        a, b = one.tensor, other.tensor
        aa, bb, ab = (float((weight * (p * q).sum(0)).sum()) for p, q in ((a, a), (b, b), (a, b)))
        if min(aa, bb) <= 0:
            nothing = np.zeros((3, *self.size), np.float32)
            return Standing(0.0, nothing[:2], nothing, weight)
        scale = weight / np.float32(np.sqrt(aa * bb))
        odd = a - np.float32(ab / bb) * b
        right, down = slope_of(b)
        force = np.stack([(odd * right).sum(0), (odd * down).sum(0)]) * scale
        (ax, ay), (bx, by) = self._slope, (right, down)
        cross = ((ax * by + ay * bx) / 2).sum(0)
        bend = np.stack([(ax * bx).sum(0), cross, (ay * by).sum(0)]) * scale
        return Standing(ab / float(np.sqrt(aa * bb)), force, bend, weight)


def brought(moving: Picture, warp: Warp, size: tuple[int, int]) -> Picture:
    """Bring a picture onto a grid, bilinearly; it is seen where all that was used was."""
    from scipy.ndimage import map_coordinates

    at = np.moveaxis(warp.at(pixels_of(size)), -1, 0)[::-1]
    at = np.nan_to_num(at, nan=-1e4)
    values = map_coordinates(moving.values, at, order=1, mode="nearest", output=np.float32)
    seen = moving.seen.astype(np.float32)
    share = map_coordinates(seen, at, order=1, mode="constant", cval=0.0)
    return Picture(values, share > 0.999)


@dataclass(frozen=True)
class Reached:
    """Where climbing ended.

    Parameters
    ----------
    warp : Warp
    value : float
        The measure there.
    standing : Standing
        All of it.
    bend : array (number, number), float64
        The measure's negative second derivatives with the warp's numbers, 1/px².
    """

    warp: Warp
    value: float
    standing: Standing
    bend: NDArray[np.float64]


def climb(measure: Measure, start: Warp, model: str, rounds: int = _ROUNDS) -> Reached:
    """Climb to the nearest warp under which two pictures agree best.

    Parameters
    ----------
    measure : Measure
    start : Warp
    model : {"shift", "affine", "homography"}
        What may change, on top of the start.
    rounds : int
        At most.

    Returns
    -------
    Reached
    """
    moves = slopes(measure.size, model).astype(np.float32)
    warp, standing, damping = start, measure.at(start), 1e-3
    for _ in range(rounds):
        pull, bend = gathered(standing, moves)
        best: tuple[Warp, Standing] | None = None
        length = 0.0
        for _ in range(_TRIES):
            step = _step(pull, bend, damping)
            length = float(np.abs(step).max())
            tried = warp @ Warp.of(step, measure.size)
            there = measure.at(tried)
            if there.value > standing.value:
                best, damping = (tried, there), max(damping / 5, 1e-6)
                break
            damping = max(damping * 10, 1e-2)
            if length < _STILL:
                break
        if best is None:
            break
        warp, standing = best
        if length < _STILL:
            break
    return Reached(warp, standing.value, standing, gathered(standing, moves)[1])


def gathered(
    standing: Standing, moves: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum forces and bends over pixels, for the numbers of a warp.

    Parameters
    ----------
    standing : Standing
    moves : array (number, 2, y, x)
        As of ``slopes``.

    Returns
    -------
    array (number,), array (number, number), float64
    """
    count = len(moves)
    right, down = moves[:, 0].reshape(count, -1), moves[:, 1].reshape(count, -1)
    pull = right @ standing.force[0].ravel() + down @ standing.force[1].ravel()
    xx, xy, yy = standing.bend.reshape(3, -1)
    mixed = (right * xy) @ down.T
    bend = (right * xx) @ right.T + mixed + mixed.T + (down * yy) @ down.T
    return pull.astype(np.float64), bend.astype(np.float64)


def _step(
    pull: NDArray[np.float64], bend: NDArray[np.float64], damping: float
) -> NDArray[np.float64]:
    """Solve for the next step, no longer than a few pixels; uphill even where the bend is wrong."""
    values, vectors = np.linalg.eigh(bend)
    top = max(float(np.abs(values).max()), 1e-30)
    safe = np.maximum(np.abs(values), 1e-4 * top) + damping * top
    step: NDArray[np.float64] = vectors @ ((vectors.T @ pull) / safe)
    longest = float(np.abs(step).max())
    return step * min(1.0, _LONGEST / max(longest, 1e-30))


def model_size(model: str) -> int:
    """Tell how many numbers a model has."""
    return MODELS[model]

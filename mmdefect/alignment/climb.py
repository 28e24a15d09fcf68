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

from mmdefect.alignment._bring import bring
from mmdefect.alignment.edges import BETWEEN, Edges, Picture, edges_of, slope_of
from mmdefect.alignment.warps import Warp, slopes

Floats = NDArray[np.floating[Any]]

ROUNDS = 15
STILL = 0.01
_NEARBY = 4.0
_POWER = 8
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
    floor : float
        See ``edges_of``.
    """

    def __init__(
        self,
        fixed: Picture,
        moving: Picture,
        weight: Floats | None = None,
        floor: float = BETWEEN,
    ) -> None:
        self._floor = floor
        self._edges = edges_of(fixed, floor)
        self._slope = slope_of(self._edges.tensor)
        self._moving = moving
        self._weight = None if weight is None else weight.astype(np.float32)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid, px."""
        return self._edges.tensor.shape[1], self._edges.tensor.shape[2]

    def edges(self, warp: Warp) -> tuple[Edges, Edges, NDArray[np.float32]]:
        """Give both pictures' edges on the grid, and how much each pixel counts."""
        other = edges_of(brought(self._moving, warp, self.size), self._floor)
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


def consensus(measure: EdgeMeasure, warp: Warp) -> NDArray[np.float32]:
    """Weigh pixels by how well the edges around them agree under a warp.

    Parameters
    ----------
    measure : EdgeMeasure
    warp : Warp
        Near the best one.

    Returns
    -------
    array (y, x), 0 to 1
        The local correlation to the eighth power; 0 where it is negative. What only one picture
        shows (noise, a texture that every part has otherwise, a shadow) has no say then.
    """
    from scipy.ndimage import gaussian_filter

    one, other, known = measure.edges(warp)
    a, b = one.tensor, other.tensor
    ab, aa, bb = (
        gaussian_filter((p * q).sum(0) * known, _NEARBY) for p, q in ((a, b), (a, a), (b, b))
    )
    local = ab / np.sqrt(aa * bb + np.float32(1e-8))
    weight: NDArray[np.float32] = np.clip(local, 0, 1) ** _POWER
    return weight


def brought(moving: Picture, warp: Warp, size: tuple[int, int]) -> Picture:
    """Bring a picture onto a grid, bilinearly; it is seen where all that was used was."""
    values, seen = np.empty(size, np.float32), np.empty(size, np.bool_)
    bring(0, 0, size[0], warp.matrix, moving.values, moving.seen, values, seen)
    return Picture(values, seen)


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


def climb(
    measure: Measure, start: Warp, model: str, *, rounds: int = ROUNDS, still: float = STILL
) -> Reached:
    """Climb to the nearest warp under which two pictures agree best.

    Parameters
    ----------
    measure : Measure
    start : Warp
    model : {"shift", "affine", "homography"}
        What may change, on top of the start.
    rounds : int
        At most.
    still : float, px
        A step that moves no pixel of the rim further than this is the last.

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
            if length < still:
                break
        if best is None:
            break
        warp, standing = best
        if length < still:
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

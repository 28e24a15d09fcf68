"""Warps: where the pixels of one sensor's grid lie on another sensor's frame.

* A warp is a 3×3 matrix of homogeneous pixels, so that compositions are products and inverses are
  inverses. The centre of the first pixel is (0, 0), as everywhere in this package.
* What is estimated are few numbers, told about the picture's centre and in pixels at its rim:
  there they are of one size, so that damping one damps all alike, and rotation, scale and shift
  hardly mix.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import RegistrationError

MODELS = {"shift": 2, "rigid": 3, "similarity": 4, "affine": 6, "homography": 8}

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Warp:
    """A homography between two pictures.

    Parameters
    ----------
    matrix : array (3, 3), float64
        From (column, row, 1) on the grid to a multiple of (column, row, 1) on the frame, px.

    Raises
    ------
    RegistrationError
        When the matrix is not invertible, or its last number is 0.

    Examples
    --------
    >>> Warp.shift(right=2, down=1).at(np.array([[10.0, 20.0]]))
    array([[12., 21.]])
    """

    matrix: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))

    def __post_init__(self) -> None:
        """Refuse what is no warp; write the matrix with 1 as its last number."""
        matrix = np.asarray(self.matrix, dtype=np.float64)
        fine = matrix.shape == (3, 3) and np.isfinite(matrix).all() and abs(matrix[2, 2]) > 1e-12
        if not fine or abs(np.linalg.det(matrix / matrix[2, 2])) < 1e-12:
            raise RegistrationError(
                f"a warp is {np.array2string(matrix, precision=4)}; an invertible 3x3 matrix of "
                "finite numbers, the last of them not 0, was promised"
            )
        object.__setattr__(self, "matrix", matrix / matrix[2, 2])

    def __eq__(self, other: object) -> bool:
        """Compare numbers, since arrays do not."""
        return isinstance(other, Warp) and np.array_equal(self.matrix, other.matrix)

    __hash__ = None  # type: ignore[assignment]

    def __matmul__(self, first: "Warp") -> "Warp":
        """Give the warp that applies ``first``, then this one."""
        return Warp(self.matrix @ first.matrix)

    @classmethod
    def shift(cls, right: float, down: float) -> "Warp":
        """Make a translation, px."""
        return cls(np.array([[1, 0, right], [0, 1, down], [0, 0, 1]], dtype=np.float64))

    @classmethod
    def between(cls, grid: tuple[int, int], frame: tuple[int, int]) -> "Warp":
        """Make the warp between two sizes (height, width) of one field of view, px.

        Pixels' corners meet: a grid of half the size has its first centre at (0.5, 0.5).
        """
        down, right = frame[0] / grid[0], frame[1] / grid[1]
        return cls(np.array([[right, 0, right / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1.0]]))

    @classmethod
    def of(cls, numbers: Floats, size: tuple[int, int]) -> "Warp":
        """Make a warp of as many numbers as ``MODELS`` says.

        Parameters
        ----------
        numbers : array (number,), px
            Displacements. Shift right and down; then of a rigid warp and a similarity turn
            (clockwise in the picture) and growth; of the others growth of the rightward
            displacement to the right and downwards, the same of the downward one; bend to the
            right and downwards. All but the shift are told at the rim, half a diagonal from the
            centre.
        size : (int, int)
            Height and width of the grid.

        Returns
        -------
        Warp
        """
        reach, centred = frame_of(size)
        right, down, *rest = (float(number) / reach for number in numbers)
        if len(rest) in (1, 2):
            turn, growth = [*rest, 0.0][:2]
            across, beside = np.cos(turn) + growth - 1, np.sin(turn)
            rest = [across, -beside, beside, across]
        rest += [0.0] * (6 - len(rest))
        inner = np.array(
            [[1 + rest[0], rest[1], right], [rest[2], 1 + rest[3], down], [*rest[4:], 1]]
        )
        return cls((np.linalg.inv(centred) @ inner @ centred).astype(np.float64))

    def inverse(self) -> "Warp":
        """Give the warp from the frame back to the grid."""
        return Warp(np.linalg.inv(self.matrix).astype(np.float64))

    def at(self, pixels: Floats) -> NDArray[np.float64]:
        """Map pixels.

        Parameters
        ----------
        pixels : array (…, 2), px
            Column and row on the grid.

        Returns
        -------
        array (…, 2), float64, px
            Column and row on the frame; NaN beyond the horizon.
        """
        mapped = np.asarray(pixels, dtype=np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]
        depth = np.where(mapped[..., 2:] > 1e-9, mapped[..., 2:], np.nan)
        placed: NDArray[np.float64] = mapped[..., :2] / depth
        return placed

    def apart(self, other: "Warp", pixels: Floats) -> NDArray[np.float64]:
        """Tell how far two warps lie apart at some pixels (…, 2): array (…), px."""
        away: NDArray[np.float64] = np.linalg.norm(self.at(pixels) - other.at(pixels), axis=-1)
        return away


def frame_of(size: tuple[int, int]) -> tuple[float, NDArray[np.float64]]:
    """Give half a diagonal in pixels, and the matrix from pixels to halves of it about the centre.

    Parameters
    ----------
    size : (int, int)
        Height and width.

    Returns
    -------
    float, px
    array (3, 3), float64
    """
    height, width = size
    reach = float(np.hypot(height, width)) / 2
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = np.eye(3)
    matrix[:2, 2] = -centre
    matrix[:2] /= reach
    return reach, matrix


def pixels_of(size: tuple[int, int]) -> NDArray[np.float64]:
    """Give column and row (y, x, 2) of every pixel of a grid."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float64)
    return np.stack([columns, rows], axis=-1)


def corners_of(size: tuple[int, int]) -> NDArray[np.float64]:
    """Give column and row (4, 2) of a grid's corner pixels."""
    right, down = size[1] - 1.0, size[0] - 1.0
    return np.array([[0, 0], [right, 0], [0, down], [right, down]])


def slopes(size: tuple[int, int], model: str) -> NDArray[np.float64]:
    """Tell how pixels move with a warp's numbers, around no warp at all.

    Parameters
    ----------
    size : (int, int)
    model : {"shift", "rigid", "similarity", "affine", "homography"}

    Returns
    -------
    array (number, 2, y, x), float64
        Movement to the right and down, px a px.
    """
    _, centred = frame_of(size)
    x, y = np.moveaxis(pixels_of(size), -1, 0)
    x, y = centred[0, 0] * x + centred[0, 2], centred[1, 1] * y + centred[1, 2]
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = [(one, zero), (zero, one), (x, zero), (y, zero), (zero, x), (zero, y)]
    rows += [(-x * x, -x * y), (-x * y, -y * y)]
    if model in ("rigid", "similarity"):
        rows[2:] = [(-y, x), (x, y)]
    return np.array(rows[: MODELS[model]])


def sampled(planes: Floats, warp: Warp, size: tuple[int, int]) -> NDArray[np.float64]:
    """Sample a frame where a grid's pixels lie on it, by cubic splines.

    Parameters
    ----------
    planes : float array (…, y, x)
        Without NaN.
    warp : Warp
        From the grid to the frame.
    size : (int, int)
        Height and width of the grid.

    Returns
    -------
    float64 array (…, y, x)
        NaN outside the frame.
    """
    from scipy.ndimage import map_coordinates

    at = np.moveaxis(warp.at(pixels_of(size)), -1, 0)[::-1]
    flat = np.asarray(planes, dtype=np.float64).reshape(-1, *planes.shape[-2:])
    out = np.stack([map_coordinates(one, at, order=3, mode="mirror") for one in flat])
    height, width = planes.shape[-2:]
    inside = (at[0] >= 0) & (at[0] <= height - 1) & (at[1] >= 0) & (at[1] <= width - 1)
    out[:, ~inside] = np.nan
    return out.reshape(*planes.shape[:-2], *size)

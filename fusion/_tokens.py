"""Tokens: what every sensor shows in every cell of one coarse grid, as few whitened numbers.

* Features are frozen: those of the memory bank. They are pooled onto cells that all registered
  sensors share, compressed as the bank compresses them, and projected on their main directions of
  unit variance, so that no sensor and no feature speaks louder than another.
* A cell that a sensor did not measure is a token that is not there, never a token of zeros.
* Where a registered sensor measures geometry, every cell also has a place in space.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.scene import registered_in

from ._pooling import pooled

BLOCK = 4
"""Cells along the side of a block, in which a sensor is hidden as a whole."""
_FLOOR = 0.02
_GEOMETRY = ("points", "depth")


class Tokens(NamedTuple):
    """One scene's tokens.

    Attributes
    ----------
    values : Tensor (sensor, cell, dim), float32
        0 where there is none.
    there : Tensor (sensor, cell), bool
    place : Tensor (cell, axis), float32
        The cell's place in space, in the geometry's unit; 0 where unknown.
    placed : Tensor (cell,), bool
    """

    values: Tensor
    there: Tensor
    place: Tensor
    placed: Tensor


def grid_of(size: tuple[int, int], cells: int) -> tuple[int, int]:
    """Choose rows and columns of cells, whole blocks of them.

    Parameters
    ----------
    size : tuple of int
        Rows and columns of pixels, or of patches.
    cells : int
        Wanted along the longer side.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> grid_of((300, 400), 24)
    (20, 24)
    """
    unit = cells / max(size)
    rows, columns = (max(1, int(side * unit / BLOCK + 0.5)) * BLOCK for side in size)
    return rows, columns


class Projection:
    """Brings one sensor's pooled features to few whitened numbers.

    Parameters
    ----------
    center, spread : Tensor (feature,), float32
    basis : Tensor (feature, dim), float32
    offset : Tensor (dim,), float32
    """

    def __init__(self, center: Tensor, spread: Tensor, basis: Tensor, offset: Tensor) -> None:
        self.center, self.spread, self.basis, self.offset = center, spread, basis, offset

    @classmethod
    def learn(cls, rows: Tensor, dims: int, white: bool = True) -> Self:
        """Learn from cells of good parts.

        Parameters
        ----------
        rows : Tensor (cell, feature), float32
        dims : int
            Directions kept at most.
        white : bool
            Whether to turn to main directions; otherwise all features are kept, each of unit
            spread.

        Returns
        -------
        Projection
            Of directions whose variance is unit; faint ones are not blown up to it.
        """
        if len(rows) < 2:
            rows = torch.zeros(2, rows.shape[1])
        center = rows.median(0).values
        away = (rows - center).abs()
        spread = away.mean(0).clamp_min(1e-9)
        compressed = torch.asinh((rows - center) / spread)
        compressed = compressed / compressed.std(0).clamp_min(1e-6)
        mean = compressed.mean(0)
        if not white:
            unit = torch.asinh((rows - center) / spread).std(0).clamp_min(1e-6)
            return cls(center, spread, torch.diag(1 / unit), mean)
        values, vectors = np.linalg.eigh(_covariance(compressed - mean))
        kept = slice(None, -min(dims, len(values)) - 1, -1)
        values, vectors = np.maximum(values[kept], 0.0), vectors[:, kept]
        scale = 1 / np.sqrt(values + _FLOOR * max(values.mean(), 1e-9))
        unit = torch.asinh((rows - center) / spread).std(0).clamp_min(1e-6)
        basis = torch.from_numpy((vectors * scale).astype(np.float32)) / unit[:, None]
        return cls(center, spread, basis, (mean * unit) @ basis)

    def __call__(self, rows: Tensor) -> Tensor:
        """Project.

        Parameters
        ----------
        rows : Tensor (cell, feature), float32

        Returns
        -------
        Tensor (cell, dim), float32
            Within ±8.
        """
        shown = _compressed((rows - self.center).div_(self.spread))
        return torch.addmm(self.offset, shown, self.basis, beta=-1).clamp_(-8, 8)

    def state(self) -> dict[str, NDArray[np.float32]]:
        """Give what was learnt, as arrays."""
        return {name: getattr(self, name).numpy() for name in _PROJECTION}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Any]) -> Self:
        """Make the projection that gave this state."""
        return cls(*(torch.from_numpy(np.array(tensors[name])) for name in _PROJECTION))


def _compressed(rows: Tensor) -> Tensor:
    """Give the inverse hyperbolic sine, by functions that libraries compute side by side."""
    size = rows.abs().clamp_(max=1e18)
    square = size * size
    below = (square + 1).sqrt_().add_(1)
    return size.add_(square.div_(below)).log1p_().copysign_(rows)


def _covariance(rows: Tensor) -> NDArray[np.float64]:
    """Give the covariance (feature, feature) of rows about zero."""
    held = rows.numpy().astype(np.float64)
    covariance: NDArray[np.float64] = held.T @ held / max(len(held) - 1, 1)
    return covariance


_PROJECTION = ("center", "spread", "basis", "offset")


def geometry_of(scene: xr.Dataset, sensors: Sequence[str]) -> str | None:
    """Name the registered sensor that says where the cells lie in space; none where there is none.

    Parameters
    ----------
    scene : Dataset
    sensors : sequence of str
        Those in use.

    Returns
    -------
    str or None
        Points before depth.
    """
    registered = set(registered_in(scene)) & set(sensors)
    for modality in _GEOMETRY:
        for name in sensors:
            if name in registered and scene[name].attrs["modality"] == modality:
                return name
    return None


def places_of(frame: xr.DataArray, cells: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Give every cell's place in space.

    Parameters
    ----------
    frame : DataArray (axis, y, x) or (y, x), float32
        Points, or depth, of which only the third axis is known.
    cells : tuple of int

    Returns
    -------
    Tensor (cell, axis), float32
        In the frame's unit.
    Tensor (cell,), bool
        Where it is known.
    """
    values = frame.values
    if values.ndim == 2:
        values = np.stack([0 * values, 0 * values, values])
    return pooled(values, cells)


def stacked(held: Sequence[Tokens]) -> Tokens:
    """Join scenes along a leading dim, to learn from them."""
    return Tokens(*(torch.stack(part) for part in zip(*held, strict=True)))

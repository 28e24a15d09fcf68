"""A descriptor bank that needs no weights.

For machines that reach no model hub, for sensors no backbone was trained on, and for the demo.
It takes any number of channels, so the same bank serves colour, temperature, height and X-ray.
Such features localise well and rank parts less well than pretrained ones; results say which were
used.

Per channel: the level at two scales and the local spread, which tell what a surface is. On the
first channel (brightness, temperature, height, attenuation), at three scales: edge energy along
four directions and the energy of bright and of dark blobs apart, which tell how it is made. For
geometry also the share of measured pixels, because a part that reflects or shadows differently
loses other points.

Derivatives are of Gaussians [1]_, pooled over a window that grows with their scale.

References
----------
.. [1] Lindeberg: Feature detection with automatic scale selection, IJCV 30, 1998.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from mmdefect.features._cells import cells_of
from mmdefect.features._contrast import contrast_of
from mmdefect.features._edges import energies
from mmdefect.features._filters import separable
from mmdefect.features._patches import as_patches

__all__ = ["Builtin"]

_SCALES = (1.0, 2.0, 4.0)
_LEVELS = (2.0, 4.0)
_OPPONENT = np.array(
    [(1 / 3, 1 / 3, 1 / 3), (0.7071, -0.7071, 0.0), (0.4082, 0.4082, -0.8165)], dtype=np.float32
)

Planes = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Builtin:
    """Weight-free patch features.

    Parameters
    ----------
    stride : int
        Pixels between patches, or a little less where it does not divide the picture.
    """

    in_short_steps = True

    def __init__(self, stride: int = 4) -> None:
        self.stride = stride

    @property
    def name(self) -> str:
        """The spec that makes this extractor again."""
        return "builtin" if self.stride == 4 else f"builtin?stride={self.stride}"

    def adapt(self, frames: Sequence[xr.DataArray]) -> None:
        """Look at good parts: nothing is learnt here, the bank standardises."""

    def features(self, frame: xr.DataArray) -> xr.DataArray:
        """Describe patches.

        Parameters
        ----------
        frame : DataArray (…, y, x), float32
            A measurement; NaN where blind.

        Returns
        -------
        DataArray (feature, y, x), float32
            NaN in every feature of a patch that is mostly blind.
        """
        contrast, there = contrast_of(frame)
        measured = there.numpy()
        height, width = measured.shape
        cells = _Cells(measured, (-(-height // self.stride), -(-width // self.stride)))
        planes = cells.bridged(contrast.numpy())
        if frame.attrs["modality"] == "rgb":
            planes = np.einsum("ij,jyx->iyx", _OPPONENT, planes)
        described = [*_levels(planes, cells), *_structure(planes[0], cells)]
        groups = _groups(len(planes))
        if frame.attrs["modality"] in ("points", "depth"):
            described.append(cells.seen())
            groups.append("measured")
        return as_patches(torch.from_numpy(np.concatenate(described)), there, groups)


def _groups(channels: int) -> list[str]:
    """Name what `_levels` and `_structure` describe, feature by feature."""
    level = ["level", *["other channels"] * (channels - 1)]
    spread = ["spread"] * channels
    structure = ["edges"] * 4 + ["dark blobs", "bright blobs"]
    return [*level * len(_LEVELS), *spread, *structure * len(_SCALES)]


class _Cells:
    """The patches of a frame: what means over them see of smoothed planes, holes left out.

    Parameters
    ----------
    measured : bool array (y, x)
    shape : (int, int)
        Rows and columns of patches.
    """

    def __init__(self, measured: Mask, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.whole = bool(measured.all())
        self.weight = measured.astype(np.float32)
        self.shares: dict[float, Planes] = {}

    def bridged(self, planes: Planes) -> Planes:
        """Fill holes from their surroundings, the far inside of large ones with the mean."""
        if self.whole:
            return planes
        known = np.where(self.weight > 0, planes, np.float32(0))
        mean = known.sum((1, 2)) / max(float(self.weight.sum()), 1.0)
        near = _blurred(self.weight[None], _LEVELS[-1])
        level = _blurred(known, _LEVELS[-1]) / np.maximum(near, np.float32(1e-3))
        around = np.where(near > 1e-3, level, mean[:, None, None])
        return np.where(self.weight > 0, known, around)

    def weighed(self, planes: Planes) -> Planes:
        """Set planes to zero in holes."""
        return planes if self.whole else planes * self.weight

    def smoothed(self, planes: Planes, scale: float) -> Planes:
        """Smooth planes that are zero in holes, by what was measured."""
        smooth = _blurred(planes, scale)
        return smooth if self.whole else smooth / self._share(scale)

    def means(self, planes: Planes) -> Planes:
        """Average planes over patches."""
        return cells_of(planes, self.shape)

    def smoothed_means(self, planes: Planes, scale: float) -> Planes:
        """Average smoothed planes over patches."""
        if self.whole:
            return cells_of(planes, self.shape, tuple(_gaussian(scale, 0).tolist()))
        return self.means(self.smoothed(planes, scale))

    def seen(self) -> Planes:
        """Give the share of measured pixels."""
        return cells_of(self.weight[None], self.shape, tuple(_gaussian(_LEVELS[-1], 0).tolist()))

    def _share(self, scale: float) -> Planes:
        """Give the share of a Gaussian that lies on measured pixels."""
        if scale not in self.shares:
            share = _blurred(self.weight[None], scale)
            self.shares[scale] = np.maximum(share, np.float32(1e-3))
        return self.shares[scale]


def _levels(planes: Planes, cells: _Cells) -> list[Planes]:
    """Give the level at each scale and the spread at the coarsest."""
    fine, coarse = _LEVELS
    known = cells.weighed(planes)
    level = cells.smoothed(known, coarse)
    square = cells.smoothed(planes * known, coarse)
    spread = np.sqrt(np.maximum(square - level**2, 0))
    return [cells.smoothed_means(known, fine), cells.means(level), cells.means(spread)]


def _structure(plane: Planes, cells: _Cells) -> list[Planes]:
    """Give edge energy by direction and blob energy by sign, at each scale."""
    weight = np.empty((0, 0), np.float32) if cells.whole else cells.weight
    described = []
    for scale in _SCALES:
        bells = np.stack([_gaussian(scale, order) for order in range(3)])
        found = energies(plane, bells, scale, weight)
        described.append(cells.smoothed_means(found, max(2.0, 1.5 * scale)))
    return described


def _blurred(planes: Planes, scale: float) -> Planes:
    """Smooth by a Gaussian."""
    kernel = _gaussian(scale, 0)
    return separable(planes, kernel, kernel)


@cache
def _gaussian(scale: float, order: int) -> Planes:
    """Sample a Gaussian or its first or second derivative."""
    reach = int(np.ceil(3 * scale))
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    bell = np.exp(-0.5 * (x / scale) ** 2)
    bell = bell / bell.sum()
    if order == 1:
        bell = bell * x / scale**2
    elif order == 2:
        bell = bell * (x**2 - scale**2) / scale**4
        bell = bell - bell.mean()
    sampled: Planes = bell.astype(np.float32)
    return sampled

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
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mmdefect.features._contrast import contrast_of
from mmdefect.features._filters import separable
from mmdefect.features._patches import as_patches

__all__ = ["Builtin"]

_SCALES = (1.0, 2.0, 4.0)
_LEVELS = (2.0, 4.0)
_OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (0.7071, -0.7071, 0.0), (0.4082, 0.4082, -0.8165))


class Builtin:
    """Weight-free patch features.

    Parameters
    ----------
    stride : int
        Pixels between patches, or a little less where it does not divide the picture.
    """

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
        planes, measured = contrast_of(frame)
        weight = measured[None].float()
        planes = _bridged(planes, weight)
        if frame.attrs["modality"] == "rgb":
            planes = torch.einsum("ij,jyx->iyx", torch.tensor(_OPPONENT), planes)
        described = [*_levels(planes, weight), *_structure(planes[:1], weight)]
        groups = _groups(len(planes))
        if frame.attrs["modality"] in ("points", "depth"):
            described.append(_blurred(weight, _LEVELS[-1]))
            groups.append("measured")
        height, width = (-(-side // self.stride) for side in measured.shape)
        grid = adaptive_avg_pool2d(torch.cat(described), (height, width))
        return as_patches(grid, measured, groups)


def _groups(channels: int) -> list[str]:
    """Name what `_levels` and `_structure` describe, feature by feature."""
    level = ["level", *["other channels"] * (channels - 1)]
    spread = ["spread"] * channels
    structure = ["edges"] * 4 + ["bright blobs", "dark blobs"]
    return [*level * len(_LEVELS), *spread, *structure * len(_SCALES)]


def _bridged(planes: Tensor, weight: Tensor) -> Tensor:
    """Fill holes from their surroundings, the far inside of large ones with the mean."""
    known = torch.nan_to_num(planes)
    if bool(weight.all()):
        return known
    total = weight.sum().clamp_min(1.0)
    mean = ((known * weight).sum((1, 2)) / total)[:, None, None]
    near = _blurred(weight, _LEVELS[-1])
    around = torch.where(near > 1e-3, _blurred(known * weight, _LEVELS[-1]) / near, mean)
    return torch.where(weight > 0, known, around)


def _levels(planes: Tensor, weight: Tensor) -> list[Tensor]:
    """Give the level at each scale and the spread at the coarsest."""
    norms = [_norm(weight, scale) for scale in _LEVELS]
    levels = [
        _blurred(planes * weight, scale) / norm for scale, norm in zip(_LEVELS, norms, strict=True)
    ]
    square = _blurred(planes**2 * weight, _LEVELS[-1]) / norms[-1]
    return [*levels, (square - levels[-1] ** 2).clamp_min(0).sqrt()]


def _structure(plane: Tensor, weight: Tensor) -> list[Tensor]:
    """Give edge energy by direction and blob energy by sign, at each scale."""
    described = []
    for scale in _SCALES:
        smooth, first, second = _gaussian(scale, 0), _gaussian(scale, 1), _gaussian(scale, 2)
        dx, dy = _separable(plane, smooth, first), _separable(plane, first, smooth)
        edges = [dx, (dx + dy) * 0.7071, dy, (dx - dy) * 0.7071]
        blob = _separable(plane, smooth, second) + _separable(plane, second, smooth)
        energies = [edge.abs() * scale for edge in edges]
        energies += [blob.clamp_min(0) * scale**2, (-blob).clamp_min(0) * scale**2]
        window = max(2.0, 1.5 * scale)
        described.append(_blurred(torch.cat(energies) * weight, window) / _norm(weight, window))
    return described


def _norm(weight: Tensor, scale: float) -> Tensor:
    """Give the share of a Gaussian that lies on measured pixels."""
    return weight if bool(weight.all()) else _blurred(weight, scale).clamp_min(1e-3)


def _blurred(planes: Tensor, scale: float) -> Tensor:
    """Smooth by a Gaussian."""
    kernel = _gaussian(scale, 0)
    return _separable(planes, kernel, kernel)


def _separable(planes: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Filter every channel by the product of a column and a row; the border is repeated."""
    return torch.from_numpy(separable(planes.numpy(), down.numpy(), across.numpy()))


@cache
def _gaussian(scale: float, order: int) -> Tensor:
    """Sample a Gaussian or its first or second derivative."""
    reach = int(np.ceil(3 * scale))
    x = torch.arange(-reach, reach + 1, dtype=torch.float32)
    bell = torch.exp(-0.5 * (x / scale) ** 2)
    bell = bell / bell.sum()
    if order == 0:
        return bell
    if order == 1:
        return bell * x / scale**2
    curved = bell * (x**2 - scale**2) / scale**4
    return curved - curved.mean()

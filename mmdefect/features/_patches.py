"""From pixels to patches: filling, pooling, and where a patch lies in the scene.

Holes are filled only so that a filter has a number to work on; which patches may be believed is
decided by the share of pixels that were really measured.
"""

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from mmdefect.features._cells import cells_of

LEAST_MEASURED = 0.5


def planes_of(frame: xr.DataArray) -> tuple[Tensor, Tensor]:
    """Give a frame's channels as a tensor, and where it was measured.

    Parameters
    ----------
    frame : DataArray (…, y, x), float32
        NaN where blind.

    Returns
    -------
    Tensor (channel, y, x), float32
        Shares the frame's memory.
    Tensor (y, x), bool
    """
    values = np.ascontiguousarray(frame.values)
    planes = torch.from_numpy(values).reshape(-1, *values.shape[-2:])
    return planes, torch.isfinite(planes).all(0)


def filled(planes: Tensor, measured: Tensor) -> Tensor:
    """Fill holes with the channel's mean over what was measured.

    Parameters
    ----------
    planes : Tensor (channel, y, x)
    measured : Tensor (y, x), bool

    Returns
    -------
    Tensor (channel, y, x)
    """
    if bool(measured.all()):
        return planes
    means = planes[:, measured].mean(1) if bool(measured.any()) else planes.new_zeros(len(planes))
    return torch.where(measured, planes, means[:, None, None])


def pool_neighbours(grid: Tensor) -> Tensor:
    """Average every patch with its eight neighbours, fewer at the border.

    Parameters
    ----------
    grid : Tensor (feature, y, x)

    Returns
    -------
    Tensor (feature, y, x)
    """
    return avg_pool2d(grid[None], 3, stride=1, padding=1, count_include_pad=False)[0]


def onto_grid(grid: Tensor, height: int, width: int) -> Tensor:
    """Bring a feature grid to another size, bilinearly.

    Parameters
    ----------
    grid : Tensor (feature, y, x)
    height, width : int

    Returns
    -------
    Tensor (feature, height, width)
    """
    if grid.shape[-2:] == (height, width):
        return grid
    return interpolate(grid[None], size=(height, width), mode="bilinear", align_corners=False)[0]


def as_patches(grid: Tensor, measured: Tensor, groups: Sequence[str] = ()) -> xr.DataArray:
    """Label a feature grid with scene pixels, NaN where a patch was mostly blind.

    Parameters
    ----------
    grid : Tensor (feature, y, x), float32
    measured : Tensor (y, x), bool
        In scene pixels.
    groups : sequence of str, optional
        What each feature describes: distances are explained group by group.

    Returns
    -------
    DataArray (feature, y, x), float32
        ``y`` and ``x`` are the patches' centres in scene pixels; with ``group`` (feature) where
        groups were given.
    """
    height, width = measured.shape
    rows, columns = grid.shape[-2:]
    share = cells_of(measured.numpy()[None].astype(np.float32), (rows, columns))[0]
    values = np.where(share >= LEAST_MEASURED, grid.numpy(), np.float32(np.nan))
    labels: dict[str, object] = {
        "y": (np.arange(rows) + 0.5) * height / rows - 0.5,
        "x": (np.arange(columns) + 0.5) * width / columns - 0.5,
    }
    if groups:
        labels["group"] = ("feature", list(groups))
    return xr.DataArray(values, dims=("feature", "y", "x"), coords=labels)

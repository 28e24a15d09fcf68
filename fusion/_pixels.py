"""Cells of several sensors brought to pixels at once.

What `to_pixels` of the detectors does for one sensor, with what sensors share done once: they are
smoothed alike, and those that measured the same pixels are weighed alike. The filter is short
beside the map, so both sums slide.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from mmdefect.detectors._maps import filled
from mmdefect.features._filters import separable

_REACH = 4.0

Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]


def pixels_of(cells: Maps, valid: Masks, blur: float) -> Maps:
    """Bring cells to pixels and smooth them, never across holes.

    Parameters
    ----------
    cells : float32 array (sensor, row, column)
        NaN where there is no evidence.
    valid : bool array (sensor, y, x)
        Where each sensor measured, in scene pixels.
    blur : float
        Standard deviation of the smoothing in spacings between cells.

    Returns
    -------
    float32 array (sensor, y, x)
        NaN where the sensor was blind or its cell was.
    """
    shape = valid.shape[1:]
    known: Masks = np.isfinite(cells)
    seen = np.asarray(known.any((1, 2)))
    told = np.flatnonzero(seen).tolist()
    inside = valid & seen[:, None, None]
    scores = np.zeros_like(cells)
    for index in told:
        scores[index] = filled(cells[index], known[index])
    scores = _enlarged(scores, shape)
    for index in told:
        if not known[index].all():
            inside[index] &= _enlarged(known[index][None].astype(np.float32), shape)[0] > 0
    planes, weighed_by = _weights(inside, told)
    planes += [np.where(inside[index], scores[index], np.float32(0)) for index in told]
    bells = [_bell(blur * side / count) for side, count in zip(shape, cells.shape[1:], strict=True)]
    smooth = separable(np.stack(planes), *bells) if planes else np.empty((0, *shape), np.float32)
    found = np.full(valid.shape, np.nan, dtype=np.float32)
    for index, own in zip(told, smooth[len(planes) - len(told) :], strict=True):
        by = weighed_by[index]
        if by >= 0:
            own /= np.maximum(smooth[by], 1e-6)
        np.copyto(found[index], own, where=inside[index])
    return found


def _weights(inside: Masks, told: list[int]) -> tuple[list[Maps], dict[int, int]]:
    """List the masks that are not whole, and which one weighs each sensor; -1 where none does."""
    planes: list[Maps] = []
    firsts: list[int] = []
    weighed_by = {}
    for index in told:
        same = [n for n, one in enumerate(firsts) if np.array_equal(inside[one], inside[index])]
        if inside[index].all():
            weighed_by[index] = -1
        elif same:
            weighed_by[index] = same[0]
        else:
            weighed_by[index] = len(planes)
            firsts.append(index)
            planes.append(inside[index].astype(np.float32))
    return planes, weighed_by


def _enlarged(planes: Maps, shape: tuple[int, ...]) -> Maps:
    """Bring planes to pixels, linearly between the cells' centres, by two products of matrices."""
    down, across = (_line(*of) for of in zip(planes.shape[1:], shape, strict=True))
    wide: Maps = (down @ torch.from_numpy(planes) @ across.T).numpy()
    return wide


@lru_cache(maxsize=16)
def _line(cells: int, pixels: int) -> torch.Tensor:
    """Give the matrix (pixel, cell) that interpolates a column."""
    eye = torch.eye(cells)[None]
    return interpolate(eye, pixels, mode="linear", align_corners=False)[0].T.contiguous()


@lru_cache(maxsize=16)
def _bell(sigma: float) -> Maps:
    """Give the weights of a Gaussian out to four standard deviations."""
    reach = int(_REACH * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    bell: Maps = (weights / weights.sum()).astype(np.float32)
    return bell

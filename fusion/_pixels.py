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
from mmdefect.jit import compiled

_REACH = 4.0
_ZERO, _ONE, _LEAST = np.float32(0), np.float32(1), np.float32(1e-6)

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
    told = np.flatnonzero(known.any((1, 2))).tolist()
    scores = _enlarged(np.stack([filled(cells[n], known[n]) for n in told] or [cells[0]]), shape)
    inside = [valid[index] for index in told]
    for place, index in enumerate(told):
        if not known[index].all():
            whole = _enlarged(known[index][None].astype(np.float32), shape)[0] > 0
            inside[place] = inside[place] & whole
    masks, by = _weights(inside)
    planes = np.empty((len(masks) + len(told), *shape), dtype=np.float32)
    for plane, mask in zip(planes, masks, strict=False):
        plane[:] = mask
    for plane, own, mask in zip(planes[len(masks) :], scores, inside, strict=False):
        _cut_out(own, mask, plane)
    bells = [_bell(blur * side / count) for side, count in zip(shape, cells.shape[1:], strict=True)]
    smooth = separable(planes, *bells) if told else planes
    found = np.full(valid.shape, np.nan, dtype=np.float32)
    for place, index in enumerate(told):
        own, weight = smooth[len(masks) + place], smooth[by[place]]
        _divide(own, weight, by[place] >= 0, inside[place], found[index])
    return found


def _weights(inside: list[Masks]) -> tuple[list[Masks], list[int]]:
    """List the masks that are not whole, and which one weighs each sensor; -1 where none does."""
    masks: list[Masks] = []
    weighed_by = []
    for own in inside:
        same = [n for n, one in enumerate(masks) if np.array_equal(one, own)]
        if own.all():
            weighed_by.append(-1)
        elif same:
            weighed_by.append(same[0])
        else:
            weighed_by.append(len(masks))
            masks.append(own)
    return masks, weighed_by


@compiled
def _cut_out(scores: Maps, inside: Masks, plane: Maps) -> None:
    """Copy scores (y, x), 0 outside."""
    for y in range(len(plane)):
        for x in range(plane.shape[1]):
            plane[y, x] = scores[y, x] if inside[y, x] else _ZERO


@compiled
def _divide(sums: Maps, weights: Maps, weighs: bool, inside: Masks, found: Maps) -> None:
    """Turn sums into averages, inside."""
    for y in range(len(sums)):
        for x in range(sums.shape[1]):
            if inside[y, x]:
                found[y, x] = sums[y, x] / (max(weights[y, x], _LEAST) if weighs else _ONE)


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

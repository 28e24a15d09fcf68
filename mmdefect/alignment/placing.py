"""Frames of a card's ``refine`` brought onto the reference's grid, where that can be trusted.

What is refused stays on a grid of its own, as a sensor without any registration does: pixels that
may not belong together are never compared. Either way the scene says what came of it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.alignment.climb import brought
from mmdefect.alignment.edges import Picture
from mmdefect.alignment.refine import refine
from mmdefect.alignment.warps import Warp

_COORDINATES = ("points", "depth")
_SMALLEST = 24


class Refined(NamedTuple):
    """Frames, the sensors among them that lie on the reference's grid now, and what is told.

    ``told`` is by sensor: the predicted error, or why it was refused.
    """

    frames: dict[str, xr.DataArray]
    placed: tuple[str, ...]
    told: dict[str, str]


def refined(
    frames: Mapping[str, xr.DataArray],
    reference: str,
    sensors: Sequence[str],
    size: tuple[int, int],
) -> Refined:
    """Bring sensors' frames onto the reference's grid by their contents.

    Parameters
    ----------
    frames : mapping of str to DataArray (…, y, x), float32
        Of one capture, by sensor; NaN where blind.
    reference : str
    sensors : sequence of str
        Those to be brought.
    size : (int, int)
        Height and width of the grid, px.

    Returns
    -------
    Refined
    """
    kept, placed, told = dict(frames), [], {}
    for name in sensors:
        if name not in frames:
            continue
        why = _cannot(frames, reference, name, size)
        if why:
            told[name] = why
            continue
        found = refine(picture(frames[reference]), picture(frames[name]))
        if found.trusted:
            kept[name] = carried(frames[name], found.warp, size)
            placed.append(name)
            told[name] = f"aligned, {found.trust.predicted:.2f} px predicted"
        else:
            told[name] = f"not aligned: {found.trust.refusal}"
    return Refined(kept, tuple(placed), told)


def _cannot(
    frames: Mapping[str, xr.DataArray], reference: str, name: str, size: tuple[int, int]
) -> str:
    """Say why a frame cannot even be tried; empty when it can."""
    if reference not in frames:
        return f"not aligned: there is no frame of {reference}"
    if (frames[reference].sizes["y"], frames[reference].sizes["x"]) != size:
        return f"not aligned: the frame of {reference} is not on its grid"
    if frames[name].attrs["modality"] in _COORDINATES:
        return "not aligned: lengths are brought onto a grid by a rig only"
    smallest = min(frames[one].sizes[side] for one in (reference, name) for side in ("y", "x"))
    return "" if smallest >= _SMALLEST else "not aligned: the frames are too small"


def picture(frame: xr.DataArray) -> NDArray[np.float32]:
    """Give the one picture (y, x) that stands for a frame: the mean of its channels."""
    planes = frame.values.reshape(-1, *frame.values.shape[-2:])
    return np.asarray(planes.mean(0, dtype=np.float32))


def carried(frame: xr.DataArray, warp: Warp, size: tuple[int, int]) -> xr.DataArray:
    """Sample a frame where a grid's pixels lie on it.

    Parameters
    ----------
    frame : DataArray (…, y, x), float32
        NaN where blind.
    warp : Warp
        From the grid's pixels to the frame's.
    size : (int, int)
        Height and width of the grid, px.

    Returns
    -------
    DataArray (…, y, x), float32
        Bilinear; NaN outside the frame and where a blind pixel would have had a say.
    """
    planes = frame.values.reshape(-1, *frame.values.shape[-2:])
    out = np.full((len(planes), *size), np.nan, dtype=np.float32)
    for plane, target in zip(planes, out, strict=True):
        seen = np.isfinite(plane)
        found = brought(Picture(np.where(seen, plane, np.float32(0)), seen), warp, size)
        target[found.seen] = found.values[found.seen]
    values = out.reshape(*frame.shape[:-2], *size)
    coords = {name: axis for name, axis in frame.coords.items() if name not in ("y", "x")}
    return xr.DataArray(values, dims=frame.dims, coords=coords, attrs=frame.attrs)

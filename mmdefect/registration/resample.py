"""Frames onto one grid.

* The reference sensor's grid is the scene's, also in captures where that sensor failed.
* A *registered* sensor shares the reference's field of view, so only its pixel pitch is adapted.
* A sensor that looks from elsewhere is carried by plain resampling under a ``grid`` label of its
  own: its pixels are then never compared with another grid's.
* Resampling never mixes a blind pixel into a seen one: NaN spreads to what would have used it,
  and point coordinates are never averaged at all, because the mean of two surfaces is neither.
"""

from collections.abc import Collection, Mapping

import numpy as np
import xarray as xr

from mmdefect.errors import RegistrationError
from mmdefect.registration._gather import gather
from mmdefect.scene import new_scene

_ASPECT_TOLERANCE = 0.02


def resample(frame: xr.DataArray, height: int, width: int) -> xr.DataArray:
    """Bring a frame to another number of pixels over the same field of view.

    Parameters
    ----------
    frame : DataArray (…, y, x), float32
        NaN where blind; attrs ``modality``.
    height, width : int
        The wanted size in pixels.

    Returns
    -------
    DataArray (…, y, x), float32
        Bilinear, averaged over the footprint when it shrinks; the nearest measurement for points
        and depth.
    """
    if (frame.sizes["y"], frame.sizes["x"]) == (height, width):
        return frame
    values = (
        nearest(frame.values, height, width)
        if frame.attrs["modality"] in ("points", "depth")
        else _bilinear(frame.values, height, width)
    )
    coords = {name: axis for name, axis in frame.coords.items() if name not in ("y", "x")}
    return xr.DataArray(values, dims=frame.dims, coords=coords, attrs=frame.attrs)


def nearest(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Take the pixel under each new pixel's centre.

    Parameters
    ----------
    values : array (…, y, x)
    height, width : int
        The wanted size in pixels.

    Returns
    -------
    array (…, height, width)
        Values of the array and no others.
    """
    planes = values.reshape(-1, *values.shape[-2:])
    taken = np.empty((len(planes), height, width), dtype=values.dtype)
    gather(planes, taken)
    return taken.reshape(*values.shape[:-2], height, width)


def _bilinear(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Interpolate linearly, averaging over the footprint when it shrinks."""
    import torch

    planes = torch.from_numpy(np.ascontiguousarray(values)).reshape(1, -1, *values.shape[-2:])
    resized = torch.nn.functional.interpolate(
        planes, size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
    return resized.reshape(*values.shape[:-2], height, width).numpy()


def to_scene(
    frames: Mapping[str, xr.DataArray],
    *,
    reference: str,
    registered: Collection[str],
    size: tuple[int, int],
    defect: np.ndarray | None = None,
    attrs: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Bring the frames of one capture onto one grid.

    Parameters
    ----------
    frames : mapping of str to DataArray (…, y, x), float32
        One per sensor, blank for an absent one.
    reference : str
        The sensor whose grid it is.
    registered : collection of str
        The sensors that share the reference's field of view.
    size : (int, int)
        Height and width of the grid in pixels.
    defect : bool array (y, x), optional
        Ground truth on the grid, where known.
    attrs : mapping, optional
        Passed to the scene.

    Returns
    -------
    Dataset
        A scene.

    Raises
    ------
    RegistrationError
        When a sensor is said to share the field of view, but has another shape of picture.
    """
    for name in registered:
        if name in frames:
            check_shape(name, frames[name], size)
    grids = {
        name: reference if name == reference or name in registered else name for name in frames
    }
    placed = {name: resample(frame, *size) for name, frame in frames.items()}
    return new_scene(placed, reference=reference, grids=grids, defect=defect, attrs=attrs)


def check_shape(name: str, frame: xr.DataArray, size: tuple[int, int]) -> None:
    """Refuse a registered frame of another aspect: it cannot be the same field of view.

    Parameters
    ----------
    name : str
        The sensor.
    frame : DataArray (…, y, x)
    size : (int, int)
        Height and width of the grid in pixels.

    Raises
    ------
    RegistrationError
        When the aspects differ by more than 2 %.
    """
    found = (frame.sizes["y"], frame.sizes["x"])
    if abs(found[0] * size[1] / (found[1] * size[0]) - 1) > _ASPECT_TOLERANCE:
        raise RegistrationError(
            f"{name!r} has {found[0]}x{found[1]} pixels, but the reference's field of view was "
            f"promised ({size[0]}x{size[1]}); take it out of the card's 'registered', or give "
            "frames of one field of view"
        )

"""What a measurement shows, as planes that image features understand.

* Colour is kept as it is.
* A temperature picture, or each channel derived from many, is taken relative to its own median:
  the room drifts by kelvins between captures, defects differ from their surroundings.
* A cloud or a depth map becomes the height above its best plane, so that a tilted fixture is no
  defect.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mmdefect.features._patches import planes_of
from mmdefect.geometry.reference import height_above_plane, height_above_reference

Contrast = tuple[Tensor, Tensor]

_kept: ContextVar[dict[int, tuple[np.ndarray, Contrast]] | None] = ContextVar("_kept", default=None)


@contextmanager
def contrasts_kept() -> Iterator[None]:
    """Work out the contrast of each frame once inside, where no frame may be changed in place."""
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def contrast_of(frame: xr.DataArray) -> Contrast:
    """Give the planes to describe, and where they were measured.

    Parameters
    ----------
    frame : DataArray (…, y, x), float32
        A measurement with attrs ``modality``.

    Returns
    -------
    Tensor (channel, y, x), float32
        NaN where blind: colour as it is, temperature less its median, height above the plane in
        the frame's unit, X-ray as −log of transmission where the unit allows it.
    Tensor (y, x), bool
    """
    kept = _kept.get()
    if kept is None:
        return _contrast(frame)
    values = frame.values
    if id(values) not in kept:
        kept[id(values)] = values, _contrast(frame)
    return kept[id(values)][1]


def _contrast(frame: xr.DataArray) -> Contrast:
    """Work out what `contrast_of` gives."""
    planes, measured = planes_of(frame)
    modality = frame.attrs["modality"]
    if not bool(measured.any()):
        return planes[-1:] if modality == "points" else planes, measured
    if modality == "infrared":
        return planes - planes[:, measured].median(1).values[:, None, None], measured
    if modality == "points":
        return torch.from_numpy(height_above_reference(planes.numpy()))[None], measured
    if modality == "depth":
        return torch.from_numpy(height_above_plane(planes[0].numpy()))[None], measured
    through = frame.attrs.get("quantity", "transmission") == "transmission"
    if modality == "xray" and frame.attrs["units"] == "1" and through:
        return -torch.log(planes.clamp_min(1e-4)), measured
    return planes, measured

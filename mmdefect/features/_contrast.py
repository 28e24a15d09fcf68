"""What a measurement shows, as planes that image features understand.

* Colour is kept as it is.
* A temperature picture, or each channel derived from many, is taken relative to its own median:
  the room drifts by kelvins between captures, defects differ from their surroundings.
* A cloud or a depth map becomes the height above its best plane, so that a tilted fixture is no
  defect.
"""

import torch
import xarray as xr
from torch import Tensor

from mmdefect.features._patches import planes_of
from mmdefect.geometry.reference import height_above_plane, height_above_reference


def contrast_of(frame: xr.DataArray) -> tuple[Tensor, Tensor]:
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

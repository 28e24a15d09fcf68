"""What a measurement shows, as planes that image features understand.

* Colour is kept as it is.
* A temperature picture is taken relative to its own median: the room drifts by kelvins between
  captures, defects differ from their surroundings.
* A cloud or a depth map becomes the height above its best plane, so that a tilted fixture is no
  defect.
"""

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mmdefect.features._patches import planes_of

_PLANE_ROUNDS = 8
_TUKEY = 4.685
_LEAST_SPREAD = 0.01


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
        return planes - planes[:, measured].median(), measured
    if modality in ("points", "depth"):
        return height_above_plane(planes, measured)[None], measured
    if modality == "xray" and frame.attrs["units"] == "1":
        return -torch.log(planes.clamp_min(1e-4)), measured
    return planes, measured


def height_above_plane(planes: Tensor, measured: Tensor) -> Tensor:
    """Measure the signed distance from the best plane, robustly.

    Parameters
    ----------
    planes : Tensor (3, y, x) or (1, y, x), float32
        Points, or depth alone; then pixels stand for x and y.
    measured : Tensor (y, x), bool
        With at least one True.

    Returns
    -------
    Tensor (y, x), float32
        Towards the sensor is positive; NaN where blind.

    Notes
    -----
    z = a x + b y + c by least squares, reweighted with Tukey's biweight [1]_ so that what stands
    on the plane does not tilt it.

    References
    ----------
    .. [1] Beaton, Tukey: The fitting of power series, meaning polynomials, Technometrics 16, 1974.
    """
    where = measured.numpy()
    z = planes[-1].numpy()[where].astype(np.float64)
    if len(planes) == 3:
        across = [planes[i].numpy()[where].astype(np.float64) for i in (0, 1)]
    else:
        across = [index.astype(np.float64) for index in reversed(np.nonzero(where))]
    design = np.column_stack([axis - axis.mean() for axis in across] + [np.ones(len(z))])
    weights = np.ones(len(z))
    least = max(_LEAST_SPREAD * float(z.std()), 1e-9)
    for _ in range(_PLANE_ROUNDS):
        weighted = design * weights[:, None]
        solution = np.linalg.lstsq(weighted.T @ design, weighted.T @ z, rcond=None)[0]
        residual = z - design @ solution
        middle = np.median(residual)
        spread = 1.4826 * np.median(np.abs(residual - middle))
        scaled = (residual - middle) / (_TUKEY * max(spread, least))
        weights = np.where(np.abs(scaled) < 1, (1 - scaled**2) ** 2, 0.0)
    slope = 1.0 if len(planes) == 1 else float(np.hypot(1.0, np.hypot(*solution[:2])))
    height = np.full(measured.shape, np.nan, dtype=np.float32)
    height[where] = -residual / slope
    return torch.from_numpy(height)

"""The one picture that stands for a frame, for whatever looks at it as a picture."""

import numpy as np
import xarray as xr


def plane_of(frame: xr.DataArray) -> np.ndarray:
    """Give the one picture that stands for a frame: grey, the height of points, a first channel.

    Parameters
    ----------
    frame : DataArray (…, y, x), float32

    Returns
    -------
    float32 array (y, x)
        NaN where blind.
    """
    if frame.ndim == 2:
        return np.asarray(frame.values)
    if "axis" in frame.dims:
        return np.asarray(frame.sel(axis="z").values)
    if "channel" in frame.dims:
        return np.asarray(frame.values[0])
    return np.asarray(frame.values.mean(0, dtype=np.float32))

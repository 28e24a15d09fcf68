"""Derived channels, and what every method asks of a sequence."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.errors import SensorError

Plane = NDArray[np.float32]
_BAND_VALUES = 1 << 22


class Channel(NamedTuple):
    """One derived picture (y, x), with its name and the unit it is in."""

    name: str
    unit: str
    plane: Plane


def as_channels(channels: Sequence[Channel]) -> xr.DataArray:
    """Stack channels.

    Parameters
    ----------
    channels : sequence of Channel

    Returns
    -------
    DataArray (channel, y, x), float32
        With the coordinate ``channel_unit`` (channel); NaN where a pixel was blind in any frame.
    """
    names, units = ([channel[i] for channel in channels] for i in (0, 1))
    return xr.DataArray(
        np.stack([channel.plane for channel in channels]).astype(np.float32, copy=False),
        dims=("channel", "y", "x"),
        coords={"channel": names, "channel_unit": ("channel", units)},
    )


def check_sequence(stack: NDArray[np.generic], rate: float, least: int) -> float:
    """Refuse what is no sequence, or a rate that is none.

    Parameters
    ----------
    stack : array (time, y, x)
    rate : float, Hz
        Frames in a second.
    least : int
        Frames that the method needs.

    Returns
    -------
    float
        Seconds that the sequence lasts.

    Raises
    ------
    SensorError
        When there are fewer frames, or the rate is not positive.
    """
    if stack.ndim != 3 or len(stack) < least:
        raise SensorError(
            f"holds an array of shape {stack.shape}, but {least} frames (time, y, x) at least were "
            "promised; record the sequence in one file"
        )
    if not (math.isfinite(rate) and rate > 0):
        raise SensorError(f"has a frame rate of {rate!r} Hz, but a positive one was promised")
    return len(stack) / rate


def bands(stack: NDArray[np.generic]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Go through a sequence in bands of rows, so that float64 copies stay small.

    Parameters
    ----------
    stack : array (time, y, x)

    Yields
    ------
    slice
        Of rows.
    array (time, pixel), float64
        NaN where not finite.
    """
    frames, rows, columns = stack.shape
    step = max(1, _BAND_VALUES // max(1, frames * columns))
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        band = stack[:, part].reshape(frames, -1).astype(np.float64)
        band[~np.isfinite(band)] = np.nan
        yield part, band

"""A target found in a frame: which of its points, at which pixels.

The order of the points is made certain here, not left to the detector, because cameras can only
be tied together by points that both call by the same number. Where a target's own colours do not
tell up from down, the sheet around the pattern does: it is as bright as the bright squares in a
picture of light, and as dark as the dark ones in a picture of heat, in which ink may glow. So
frames of infrared cameras need no setting.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.calibration import _circles, _squares
from mmdefect.calibration.target import Target
from mmdefect.errors import SensorError
from mmdefect.frames import naming, read_array

_EDGES = (0.5, 99.5)
_MOST_CHANNELS = 4
_LEAST_SIDE = 24


@dataclass(frozen=True)
class Sighting:
    """A target as one camera saw it once.

    Parameters
    ----------
    numbers : array (n,), int
        Which of the target's points, ascending.
    pixels : array (n, 2), float64, px
        Column and row of each; of circles the centre of the ellipse.
    size : (int, int), px
        The frame's height and width.
    inverted : bool
        Whether what is dark on the target was bright.
    centres : bool
        Of circles: whether the pixels are the pictures of their centres.
    """

    numbers: NDArray[np.int64]
    pixels: NDArray[np.float64]
    size: tuple[int, int]
    inverted: bool = False
    centres: bool = False


def sight(frame: NDArray[Any], target: Target, inverted: bool | None = None) -> Sighting | None:
    """Find a target in a frame.

    Parameters
    ----------
    frame : array (y, x) or (y, x, channel)
        Of any real type; NaN where the sensor is blind.
    target : Target
    inverted : bool, optional
        Whether dark and bright are exchanged, as in a picture of heat; found out when left out.

    Returns
    -------
    Sighting or None
        None where the target, or for ChArUco enough of it, is not in view.

    Raises
    ------
    CalibrationError
        When OpenCV is absent or does not know the target's markers.
    """
    grey = as_grey(frame)
    if min(grey.shape) < _LEAST_SIDE:
        return None
    finder = {"chessboard": _squares.chessboard, "charuco": _squares.charuco}.get(
        target.kind, _circles.circles
    )
    found = finder(grey, target, inverted)
    if found is None:
        return None
    numbers, pixels, seen_inverted = found
    if not (np.isfinite(pixels).all() and _spans(target, numbers)):
        return None
    height, width = grey.shape
    return Sighting(numbers, pixels, (height, width), seen_inverted)


def sight_file(path: Path, target: Target, inverted: bool | None = None) -> Sighting | None:
    """Find a target in a file.

    Parameters
    ----------
    path : Path
        As ``mmdefect.frames.read_array`` reads it.
    target, inverted
        As in ``sight``.

    Returns
    -------
    Sighting or None

    Raises
    ------
    SensorError
        When the file is damaged or no picture.
    CalibrationError
        As ``sight``.
    """
    frame = read_array(path)
    with naming(path):
        return sight(frame, target, inverted)


def as_grey(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring a frame to 8 bits, in which the detectors work.

    Parameters
    ----------
    frame : array (y, x) or (y, x, channel)

    Returns
    -------
    array (y, x), uint8
        The mean of the channels; other types than uint8 are stretched from the 0.5 % to the
        99.5 % quantile, and what is not finite becomes the median.

    Raises
    ------
    SensorError
        When it is no picture.
    """
    if frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[2] > _MOST_CHANNELS):
        raise SensorError(
            f"holds an array of shape {frame.shape}, but a picture (y, x) or (y, x, channel) was "
            "promised; save one frame a view"
        )
    if frame.dtype == np.uint8 and frame.ndim == 2:
        return np.ascontiguousarray(frame)
    plane = frame.astype(np.float64)
    if plane.ndim == 3:
        plane = plane.mean(-1)
    if frame.dtype != np.uint8:
        known = plane[np.isfinite(plane)]
        if not known.size:
            return np.zeros(plane.shape, dtype=np.uint8)
        low, high = np.percentile(known, _EDGES)
        plane = np.where(np.isfinite(plane), plane, np.median(known))
        plane = (plane - low) * (255 / max(high - low, np.finfo(float).tiny))
    return np.clip(np.rint(plane), 0, 255).astype(np.uint8)


def _spans(target: Target, numbers: NDArray[np.int64]) -> bool:
    """Tell whether points are at least six and lie on three rows and columns or more."""
    row, column = np.divmod(numbers, target.grid[1])
    return min(len(numbers) // 2, len(np.unique(row)), len(np.unique(column))) >= 3

"""From a camera's frames to what a sensor measures: one array a sensor, in the form files have."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mmdefect.acquire.frame import Frame, Part
from mmdefect.acquire.pixels import color_of, pixel_format
from mmdefect.acquire.scan3d import Scan3d, points_of
from mmdefect.acquire.setup import Seat
from mmdefect.errors import AcquisitionError

_ABC = ("Coord3D_A", "Coord3D_B", "Coord3D_C")


def measured(
    frames: Mapping[str, Frame], seats: Mapping[str, Seat]
) -> dict[str, NDArray[np.generic]]:
    """Give each sensor's measurement.

    Parameters
    ----------
    frames : mapping of str to Frame
        By camera.
    seats : mapping of str to Seat
        By sensor.

    Returns
    -------
    dict of str to ndarray
        Points (y, x, 3) and depth (y, x), float32, mm, NaN at holes; pictures (y, x) or
        (y, x, 3) in the camera's counts. A sensor without a frame is not in it.

    Raises
    ------
    AcquisitionError
        When a frame has not what its sensor needs.
    """
    told = {}
    for name, seat in seats.items():
        if seat.camera in frames:
            try:
                told[name] = _measured(frames[seat.camera], seat)
            except AcquisitionError as error:
                raise AcquisitionError(f"[sensors.{name}]: {error}") from error
    return told


def depth_of(frame: Frame) -> int:
    """Give the bits that count of a frame's picture: 12 for Mono12.

    Parameters
    ----------
    frame : Frame

    Returns
    -------
    int
    """
    return pixel_format(_picture(frame).format).depth


def _measured(frame: Frame, seat: Seat) -> NDArray[np.generic]:
    if seat.adapter == "points":
        return points_of(_coordinates(frame), _meaning(frame))
    if seat.adapter == "depth":
        return _distance(frame)
    part = _picture(frame)
    return color_of(part.counts, part.format) if seat.adapter == "rgb" else part.counts


def _distance(frame: Frame) -> NDArray[np.float32]:
    """Give C alone, which is all that some cameras send."""
    alone = [part.counts for part in frame.parts if part.format.startswith("Coord3D")]
    if len(alone) == 1 and alone[0].ndim == 2:
        meaning = _meaning(frame)
        same = replace(meaning, axes=(meaning.axes[2],) * 3)
        return np.ascontiguousarray(points_of(alone * 3, same)[..., 2])
    return np.ascontiguousarray(points_of(_coordinates(frame), _meaning(frame))[..., 2])


def _meaning(frame: Frame) -> Scan3d:
    if frame.scan3d is None:
        raise AcquisitionError(
            "the camera does not say what its coordinates mean (no Scan3d nodes), and a unit is "
            "not guessed"
        )
    return frame.scan3d


def _coordinates(frame: Frame) -> list[NDArray[np.generic]]:
    """Find A, B and C, as three images or as three channels of one."""
    for part in frame.parts:
        if part.format.startswith("Coord3D_ABC"):
            return [part.counts[..., place] for place in range(3)]
    found = [p.counts for prefix in _ABC for p in frame.parts if p.format.startswith(prefix)]
    if len(found) != 3:
        raise AcquisitionError(
            f"the frame holds {_formats(frame)}, but the coordinates A, B and C were promised; "
            "switch the camera's Range on (Scan3dOutputMode CalibratedABC_Grid)"
        )
    return found


def _picture(frame: Frame) -> Part:
    """Find the picture."""
    others = ("Coord3D", "Confidence")
    found = [part for part in frame.parts if not part.format.startswith(others)]
    if len(found) != 1:
        raise AcquisitionError(
            f"the frame holds {_formats(frame)}, but one picture was promised; switch "
            "the camera's other components off"
        )
    return found[0]


def _formats(frame: Frame) -> str:
    return ", ".join(part.format for part in frame.parts)

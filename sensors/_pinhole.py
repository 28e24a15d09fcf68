"""Depth maps as organised points, by the camera that saw them.

A depth pixel knows only its distance along the axis; where it lies across follows from the
intrinsics. They come from the card, all four or none, or from the recording itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmdefect.bags import BagCamera
from mmdefect.errors import CardError, SensorError

from ._frame import check_number


@dataclass(frozen=True)
class Pinhole:
    """Focal lengths and centre of a camera, px."""

    fx: float
    fy: float
    cx: float
    cy: float

    def lifted(self, depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Place every pixel of a depth map.

        Parameters
        ----------
        depth : float64 array (y, x)
            Along the optical axis.

        Returns
        -------
        float64 array (axis, y, x)
            x, y, z in the unit of the depth; integer pixels are centres.
        """
        rows = np.arange(depth.shape[0], dtype=np.float64)[:, np.newaxis]
        columns = np.arange(depth.shape[1], dtype=np.float64)
        return np.stack(
            [(columns - self.cx) / self.fx * depth, (rows - self.cy) / self.fy * depth, depth]
        )


def check_pinhole(fx: object, fy: object, cx: object, cy: object) -> Pinhole | None:
    """Refuse intrinsics that are no camera's.

    Parameters
    ----------
    fx, fy, cx, cy : object
        In pixels; all four or none.

    Returns
    -------
    Pinhole or None

    Raises
    ------
    CardError
        When some are missing, no numbers, or a focal length is not above 0.
    """
    given = {"fx": fx, "fy": fy, "cx": cx, "cy": cy}
    missing = [name for name, number in given.items() if number is None]
    if len(missing) == 4:
        return None
    if missing:
        raise CardError(
            f"{', '.join(missing)} is missing, but fx, fy, cx and cy make a camera together; "
            "state all four, in pixels"
        )
    camera = Pinhole(**{name: check_number(name, number) for name, number in given.items()})
    if camera.fx <= 0 or camera.fy <= 0:
        raise CardError(f"fx is {fx!r} and fy {fy!r}, but pixels above 0 were promised")
    return camera


def pinhole_of(camera: BagCamera, shape: tuple[int, ...]) -> Pinhole:
    """Take the intrinsics of a recording.

    Parameters
    ----------
    camera : BagCamera
    shape : tuple of int
        Rows and columns of the depth map.

    Returns
    -------
    Pinhole

    Raises
    ------
    SensorError
        When they belong to another size, or the lens bends.
    """
    if camera.shape != shape:
        raise SensorError(
            f"has {shape} rows and columns, but intrinsics of {camera.shape}; state fx, fy, cx, cy "
            "in the card"
        )
    if any(camera.lens):
        raise SensorError(
            f"has a lens that bends by {camera.lens}, but depth without distortion was promised; "
            "record it rectified, or state fx, fy, cx, cy in the card to leave the lens out"
        )
    return Pinhole(camera.fx, camera.fy, camera.cx, camera.cy)

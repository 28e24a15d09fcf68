"""3D scanners: organised point clouds, whose rows and columns are those of the sensor.

* Scanners write (0, 0, 0) or non-finite coordinates where they saw nothing. In the camera's own
  axes z is the distance along the optical axis, so that a z of 0 or below is no measurement
  either; in a part's axes it is a place like any other, and the card says so.
* A point that lacks one coordinate is no point: it becomes NaN in all three.
* A PCD with a height, and a PLY with ``num_rows`` and ``num_cols`` in its header, keep their rows.
  For other lists the card states the shape, and another number of points is refused instead of
  being rearranged by guess.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from mmdefect.arrays import MAX_BYTES
from mmdefect.bags import read_bag_camera
from mmdefect.errors import CardError, SensorError
from mmdefect.frames import decoding, naming, single_channel

from ._frame import (
    ARRAYS,
    MILLIMETRES,
    channels_first,
    check_flag,
    check_hole,
    check_key,
    check_scale,
    check_unit,
    label,
    physical,
    read_counts,
)
from ._many import ZIVID, check_frame
from ._pinhole import Pinhole, check_pinhole, pinhole_of

__all__ = ["Points"]

_AXES = ["x", "y", "z"]


class Points:
    """Reads organised point clouds into millimetres.

    Parameters
    ----------
    unit : {"relative", "m", "cm", "mm", "um"}
        Unit of the stored coordinates times `scale`; lengths are converted to mm.
    scale : float
        Units in one count, above 0; for scanners that store integers.
    key : str, optional
        Name of the array in files that hold several.
    hole : float or "none", optional
        Value that, in all three coordinates at once, marks a point without a measurement. 0 by
        default.
    shape : sequence of two int, optional
        Rows and columns; needed where the file only lists points.
    camera_frame : bool
        Whether the coordinates are in the camera's axes, so that z at 0 or below is a hole.
    frame : int, optional
        Which frame of files that hold several, counted from 0.
    fx, fy, cx, cy : float, px, optional
        Focal lengths and centre of a depth camera: then files are depth maps (y, x), `scale` is
        the depth of one count, and points are made of them. A ROS 2 bag tells its own.

    Raises
    ------
    CardError
        When an option is not of its kind.
    """

    modality = "points"
    suffixes: tuple[str, ...] = (".png", ".tif", ".tiff", ".ply", ".pcd", ZIVID, *ARRAYS)

    def __init__(
        self,
        unit: str = "relative",
        scale: float = 1.0,
        key: str | None = None,
        hole: float | Literal["none"] | None = None,
        shape: Sequence[int] | None = None,
        camera_frame: bool = True,
        frame: int | None = None,
        fx: float | None = None,
        fy: float | None = None,
        cx: float | None = None,
        cy: float | None = None,
    ) -> None:
        millimetres = MILLIMETRES[check_unit(unit, MILLIMETRES)]
        self._scale = check_scale(scale, positive=True) * millimetres
        self._key = check_key(key)
        self._frame = check_frame(frame)
        self._pinhole = check_pinhole(fx, fy, cx, cy)
        checked_hole = check_hole(hole)
        self._hole = 0.0 if checked_hole is None else checked_hole
        self._shape = None if shape is None else _check_shape(shape)
        self.camera_frame = check_flag("camera_frame", camera_frame)
        self.unit_read = "relative" if unit == "relative" else "mm"

    def read(self, path: Path) -> xr.DataArray:
        """Read an organised point cloud.

        Parameters
        ----------
        path : Path
            An image or array (y, x, 3) or (3, y, x), or a list of points (point, 3), row by row;
            a depth map (y, x) where its camera is known; of Zivid's files the cloud, unless a key
            is given.

        Returns
        -------
        DataArray (axis, y, x), float32, mm or relative
            Coordinates; NaN in all three at holes.

        Raises
        ------
        SensorError
            When the file is no such cloud, or not of the promised shape.
        """
        path = Path(path)
        key = "data/pointcloud" if path.suffix.lower() == ZIVID else None
        counts = read_counts(path, self.suffixes, self._key or key, self._frame)
        with naming(path):
            pinhole = self._pinhole or self._recorded(path, counts.shape)
            stored = single_channel(counts) if pinhole else self._organised(counts)
        values = physical(stored, self._scale)
        if pinhole:
            values[stored == self._hole] = np.nan
            values = pinhole.lifted(values)
        blind = ~np.isfinite(values).all(axis=0)
        holes = blind if pinhole else blind | (stored == self._hole).all(axis=0)
        if self.camera_frame:
            holes |= values[2] <= 0
        values[:, holes] = np.nan
        return label(values, self.modality, self.unit_read, {"axis": _AXES})

    def _recorded(self, path: Path, shape: tuple[int, ...]) -> Pinhole | None:
        """Take the intrinsics that a recording of depth brings along."""
        if path.suffix.lower() != ".db3" or len(shape) != 2:
            return None
        with decoding(path.suffix):
            return pinhole_of(read_bag_camera(path, MAX_BYTES, self._key), shape)

    def _organised(self, counts: np.ndarray) -> np.ndarray:
        """Bring coordinates to (axis, y, x)."""
        if counts.ndim == 2 and counts.shape[1] == 3:
            if self._shape is None or math.prod(self._shape) != len(counts):
                wanted = "no shape" if self._shape is None else f"{self._shape} rows and columns"
                raise SensorError(
                    f"lists {len(counts)} points, but {wanted} was promised; state the scanner's "
                    "shape = [rows, columns] in the card"
                )
            counts = counts.reshape(*self._shape, 3)
        if counts.ndim == 2:
            raise SensorError(
                f"holds one number a pixel (shape {counts.shape}), but three coordinates were "
                "promised; for a depth map state its camera, fx, fy, cx and cy, in the card"
            )
        organised = channels_first(counts, 3)
        if self._shape not in (None, organised.shape[1:]):
            raise SensorError(
                f"holds {organised.shape[1:]} rows and columns, but {self._shape} was promised; "
                "correct shape in the card"
            )
        return organised


def _check_shape(shape: object) -> tuple[int, int]:
    """Refuse a shape that is not two counts."""
    if isinstance(shape, Sequence) and not isinstance(shape, str) and len(shape) == 2:
        rows, columns = shape
        if all(type(length) is int and length > 0 for length in (rows, columns)):
            return rows, columns
    raise CardError(f"shape is {shape!r}, but [rows, columns] was promised; correct the card")

"""Depth cameras: distance along the optical axis, in millimetres.

Depth cameras write 0 where they saw nothing, and some write negative or infinite distances. All
of these are holes, never distances: a hole taken for a distance of 0 would be the gravest defect
on every part.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from mmdefect.errors import SensorError
from mmdefect.frames import naming, single_channel

from ._frame import (
    ARRAYS,
    MILLIMETRES,
    check_hole,
    check_key,
    check_number,
    check_scale,
    check_unit,
    label,
    physical,
    read_counts,
)
from ._limits import check_limits, read_limits
from ._many import check_frame

__all__ = ["Depth"]


class Depth:
    """Reads depth maps into millimetres.

    Parameters
    ----------
    unit : {"relative", "m", "cm", "mm", "um"}
        Unit of counts * scale + offset; lengths are converted to mm.
    scale : float
        Units in one count, above 0.
    offset : float
        Units at zero counts.
    key : str, optional
        Name of the array in files that hold several.
    hole : float or "none", optional
        The one count of pixels without a measurement. By default every count of 0
        or below. Distances that are not above 0 are holes in any case.
    limits : (str, str), optional
        For integer counts that every frame stretches over the whole range of its type: the end
        of a frame's name, and the end in its place of the file beside it that says ``min`` and
        ``max`` in `unit`.
    frame : int, optional
        Which frame of files that hold several, counted from 0.

    Raises
    ------
    CardError
        When an option is not of its kind.
    """

    modality = "depth"
    suffixes: tuple[str, ...] = (".png", ".tif", ".tiff", *ARRAYS)

    def __init__(
        self,
        unit: str = "relative",
        scale: float = 1.0,
        offset: float = 0.0,
        key: str | None = None,
        hole: float | Literal["none"] | None = None,
        limits: Sequence[str] | None = None,
        frame: int | None = None,
    ) -> None:
        millimetres = MILLIMETRES[check_unit(unit, MILLIMETRES)]
        self._scale = check_scale(scale, positive=True) * millimetres
        self._offset = check_number("offset", offset) * millimetres
        self._key = check_key(key)
        self._frame = check_frame(frame)
        self._hole = check_hole(hole)
        self._limits = check_limits(limits)
        self.unit_read = "relative" if unit == "relative" else "mm"

    def read(self, path: Path) -> xr.DataArray:
        """Read a depth map.

        Parameters
        ----------
        path : Path
            An image or array (y, x); several channels are accepted when they are equal.

        Returns
        -------
        DataArray (y, x), float32, mm or relative
            Distance; NaN at holes.

        Raises
        ------
        SensorError
            When the file holds more than one channel, or cannot be read.
        """
        counts = read_counts(path, self.suffixes, self._key, self._frame)
        with naming(path):
            counts = single_channel(counts)
            scale, offset = self._scale_of(path, counts.dtype)
        values = physical(counts, scale, offset)
        holes = counts <= 0 if self._hole is None else counts == self._hole
        values[holes | (values <= 0)] = np.nan
        return label(values, self.modality, self.unit_read)

    def _scale_of(self, path: Path, dtype: np.dtype) -> tuple[float, float]:
        """Tell the value of one count and of zero counts, in mm or relative."""
        if self._limits is None:
            return self._scale, self._offset
        if dtype.kind != "u":
            raise SensorError(f"holds {dtype}, but limits promise counts without sign")
        low, high = read_limits(path, self._limits)
        step = self._scale * (high - low) / np.iinfo(dtype).max
        return step, self._scale * low + self._offset

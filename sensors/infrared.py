"""Thermal cameras: temperature where the card knows the scale, counts where it does not.

Most published infrared images are grey pictures without a radiometric scale; their unit is
``relative``, and no temperature is made up for them. Where counts do stand for a temperature, an
integer count of 0 is what cameras write for a dead pixel, since absolute zero is not to be seen.
Cameras that write something plausible there come with a map of their bad pixels.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from mmdefect.errors import CardError, SensorError
from mmdefect.frames import naming, read_mask, single_channel

from ._frame import (
    ARRAYS,
    IMAGES,
    check_hole,
    check_key,
    check_number,
    check_scale,
    check_unit,
    label,
    physical,
    read_counts,
)
from ._many import check_frame

__all__ = ["Infrared"]

_KELVIN_AT_ZERO = {"K": 0.0, "degC": 273.15, "relative": 0.0}


class Infrared:
    """Reads thermal frames into temperature.

    Parameters
    ----------
    unit : {"relative", "K", "degC"}
        Unit of counts * scale + offset; degrees Celsius are converted to kelvin.
    scale : float
        Units in one count.
    offset : float
        Units at zero counts.
    key : str, optional
        Name of the array in files that hold several.
    hole : float or "none", optional
        Count of pixels without a measurement. By default 0 for integer counts in K
        or degC; none for floats and relative counts.
    bad_pixels : str or Path, optional
        A mask of the camera's size, above 0 where a pixel is not to be trusted.
    frame : int, optional
        Which frame of files that hold several, counted from 0.

    Raises
    ------
    CardError
        When an option is not of its kind, or the mask cannot be read.
    """

    modality = "infrared"
    suffixes: tuple[str, ...] = IMAGES + ARRAYS
    files: tuple[str, ...] = ("bad_pixels",)

    def __init__(
        self,
        unit: str = "relative",
        scale: float = 1.0,
        offset: float = 0.0,
        key: str | None = None,
        hole: float | Literal["none"] | None = None,
        bad_pixels: str | Path | None = None,
        frame: int | None = None,
    ) -> None:
        self._unit = check_unit(unit, _KELVIN_AT_ZERO)
        self._scale = check_scale(scale)
        self._offset = check_number("offset", offset)
        self._key = check_key(key)
        self._frame = check_frame(frame)
        self._hole = check_hole(hole)
        self.unit_read = "relative" if unit == "relative" else "K"
        self._bad: np.ndarray | None = None
        if bad_pixels is not None:
            self._bad = _read_bad(bad_pixels)

    def read(self, path: Path) -> xr.DataArray:
        """Read a thermal frame.

        Parameters
        ----------
        path : Path
            An image or array (y, x); several channels are accepted when they are equal.

        Returns
        -------
        DataArray (y, x), float32, K or relative
            Temperature, or counts as scaled; NaN at holes and at 0 K or below.

        Raises
        ------
        SensorError
            When the file holds a false-colour picture, has another size than the mask of bad
            pixels, or cannot be read.
        """
        counts = read_counts(path, self.suffixes, self._key, self._frame)
        with naming(path):
            grey = single_channel(counts)
            if self._bad is not None and self._bad.shape != grey.shape:
                raise SensorError(
                    f"has {grey.shape} rows and columns, but the mask of bad pixels "
                    f"{self._bad.shape}; give the mask of this camera"
                )
        values = physical(grey, self._scale, self._offset) + _KELVIN_AT_ZERO[self._unit]
        values[self._holes(grey)] = np.nan
        if self._bad is not None:
            values[self._bad] = np.nan
        if self.unit_read == "K":
            values[values <= 0] = np.nan
        return label(values, self.modality, self.unit_read)

    def _holes(self, counts: np.ndarray) -> np.ndarray:
        """Tell where no temperature was measured."""
        dead_at_zero = self._unit != "relative" and counts.dtype.kind in "iu"
        hole = self._hole if self._hole is not None else (0.0 if dead_at_zero else np.nan)
        return np.asarray(counts == hole)


def _read_bad(path: object) -> np.ndarray:
    """Read a mask of bad pixels."""
    if not isinstance(path, (str, Path)):
        raise CardError(f"bad_pixels is {path!r}, but the path of a mask was promised; correct it")
    try:
        return read_mask(Path(path))
    except SensorError as error:
        raise CardError(
            f"bad_pixels cannot be read: {error}; correct the card or the file"
        ) from error

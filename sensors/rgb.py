"""Colour cameras: reflectance of the part, as far as a camera without a white reference tells.

Counts are brought to 0–1 by the depth of their type, which is how cameras and renderers write
them. A file that holds something else (12 bits in 16, a float beyond 1) is refused instead of
clipped, because features learnt on one scale say nothing on another.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect.errors import SensorError
from mmdefect.frames import naming, single_channel

from ._frame import (
    ARRAYS,
    IMAGES,
    channels_first,
    check_flag,
    check_hole,
    check_key,
    check_number,
    check_scale,
    check_unit,
    label,
    physical,
    read_counts,
)
from ._many import ZIVID, check_frame

__all__ = ["Rgb"]

_COLORS = ["red", "green", "blue"]
_SCALES = {"u1": 1 / 255, "u2": 1 / 65535}


class Rgb:
    """Reads colour images into reflectance.

    Parameters
    ----------
    unit : str
        "1", the only one.
    scale : float, optional
        Reflectance of one count; by default 1/255 for 8 bits, 1/65535 for 16 bits, 1 for floats.
    offset : float
        Reflectance of zero counts.
    key : str, optional
        Name of the array in files that hold several.
    hole : float, optional
        Count that, in all three channels at once, marks a pixel without a measurement. None by
        default.
    grey : bool
        Whether images of one channel are accepted, as three equal ones.
    frame : int, optional
        Which frame of files that hold several, counted from 0.

    Raises
    ------
    CardError
        When an option is not of its kind.
    """

    modality = "rgb"
    suffixes: tuple[str, ...] = (*IMAGES, *ARRAYS, ZIVID)

    def __init__(
        self,
        unit: str = "1",
        scale: float | None = None,
        offset: float = 0.0,
        key: str | None = None,
        hole: float | None = None,
        grey: bool = False,
        frame: int | None = None,
    ) -> None:
        self.unit_read = check_unit(unit, ["1"])
        self._scale = None if scale is None else check_scale(scale)
        self._offset = check_number("offset", offset)
        self._key = check_key(key)
        self._frame = check_frame(frame)
        self._hole = check_hole(hole)
        self._grey = check_flag("grey", grey)

    def read(self, path: Path) -> xr.DataArray:
        """Read a colour image.

        Parameters
        ----------
        path : Path
            An image (y, x, 3), or an array (y, x, 3) or (3, y, x); of Zivid's files the colours,
            unless a key is given.

        Returns
        -------
        DataArray (color, y, x), float32, 1
            Reflectance from 0 to 1; NaN in all colours where one is not finite.

        Raises
        ------
        SensorError
            When the file has another number of channels, or leaves 0–1.
        """
        key = "data/rgba_image" if Path(path).suffix.lower() == ZIVID else None
        counts = read_counts(path, self.suffixes, self._key or key, self._frame)
        with naming(path):
            colors = self._colors(counts)
            values = physical(colors, self._scale_of(counts.dtype), self._offset)
            blind = ~np.isfinite(values).all(axis=0)
            if self._hole is not None:
                blind |= (colors == self._hole).all(axis=0)
            values[:, blind] = np.nan
            frame = label(values, self.modality, self.unit_read, {"color": _COLORS})
            if ((frame < 0) | (frame > 1)).any():
                raise SensorError(
                    f"holds values from {frame.min():g} to {frame.max():g}, but reflectance from "
                    "0 to 1 was promised; state scale and offset in the card"
                )
        return frame

    def _colors(self, counts: np.ndarray) -> np.ndarray:
        """Bring counts to (color, y, x)."""
        if counts.ndim == 2 or (counts.ndim == 3 and 1 in (counts.shape[0], counts.shape[-1])):
            if not self._grey:
                raise SensorError(
                    f"holds one channel (shape {counts.shape}), but rgb promises three; read it "
                    "by another adapter, or set grey = true to repeat the channel"
                )
            return np.stack([single_channel(counts)] * 3)
        return channels_first(counts, 3)

    def _scale_of(self, dtype: np.dtype) -> float:
        """Tell the reflectance of one count."""
        if self._scale is not None:
            return self._scale
        if dtype.kind == "f":
            return 1.0
        if dtype.str[1:] not in _SCALES:
            raise SensorError(
                f"holds {dtype}, but 8 or 16 bits without sign, or floats, were promised; "
                "state scale in the card"
            )
        return _SCALES[dtype.str[1:]]

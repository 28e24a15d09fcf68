"""Thermal cameras: temperature where the card knows the scale, counts where it does not.

Most published infrared images are grey pictures without a radiometric scale; their unit is
``relative``, and no temperature is made up for them. Where counts do stand for a temperature, an
integer count of 0 is what cameras write for a dead pixel, since absolute zero is not to be seen.
Cameras that write something plausible there come with a map of their bad pixels. Cameras that
deliver what each pixel says, uneven as pixels are, come with frames of even scenes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from mmdefect.errors import CardError, SensorError
from mmdefect.flir import read_flir
from mmdefect.flir.camera import check_scene_options
from mmdefect.frames import naming, read_mask, single_channel
from mmdefect.scene import DERIVED

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
from ._sequence import Derivation
from ._uniformity import Uniformity

__all__ = ["Infrared"]

_KELVIN_AT_ZERO = {"K": 0.0, "degC": 273.15, "relative": 0.0}


class Infrared:
    """Reads thermal frames into temperature.

    Parameters
    ----------
    unit : {"relative", "K", "degC"}, optional
        Unit of counts * scale + offset; degrees Celsius are converted to kelvin. By default "K"
        where the file or the blackbodies say it, else "relative".
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
    format : {"flir"}, optional
        Radiometric JPEGs of FLIR cameras, which hold counts, constants and the scene.
    scene : mapping, optional
        With `format`: what the operator should have told the camera, fields of
        ``mmdefect.flir.Scene``: ``emissivity`` (1), ``distance`` (m), ``reflected_temperature``,
        ``air_temperature``, ``window_temperature`` (K), ``humidity``, ``window_transmission``
        (1), ``window_at``.
    flat : str or Path, optional
        One-point correction: the frame of an even scene, in counts.
    cold, hot : str or Path, optional
        Two-point correction: the frames of two blackbodies that fill the view, in counts.
    cold_temperature, hot_temperature : float, K, optional
        Of these.
    sequence : mapping, optional
        Files are sequences (time, y, x) from which channels are derived: ``method`` and what it
        has to know, see ``docs/radiometry.md``. Each channel has a unit of its own.
    frame : int, optional
        Which frame of files that hold several, counted from 0.

    Raises
    ------
    CardError
        When an option is not of its kind or contradicts another, or a file that it names cannot
        be read.
    """

    modality = "infrared"
    suffixes: tuple[str, ...] = IMAGES + ARRAYS
    files: tuple[str, ...] = ("bad_pixels", "flat", "cold", "hot")

    def __init__(
        self,
        unit: str | None = None,
        scale: float = 1.0,
        offset: float = 0.0,
        key: str | None = None,
        hole: float | Literal["none"] | None = None,
        bad_pixels: str | Path | None = None,
        format: str | None = None,
        scene: Mapping[str, Any] | None = None,
        flat: str | Path | None = None,
        cold: str | Path | None = None,
        hot: str | Path | None = None,
        cold_temperature: float | None = None,
        hot_temperature: float | None = None,
        sequence: Mapping[str, Any] | None = None,
        frame: int | None = None,
    ) -> None:
        self._scale = check_scale(scale)
        self._offset = check_number("offset", offset)
        self._key = check_key(key)
        self._frame = check_frame(frame)
        self._hole = check_hole(hole)
        self._uniformity = Uniformity.told(
            flat, cold, hot, cold_temperature, hot_temperature, self._key
        )
        self._flir = _check_format(format, scene)
        absolute = self._flir or (self._uniformity is not None and self._uniformity.in_kelvin)
        if absolute:
            self._check_alone(unit)
        default = "K" if absolute else "relative"
        self._unit = check_unit(default if unit is None else unit, _KELVIN_AT_ZERO)
        self._scene = check_scene_options(scene)
        self._sequence = None if sequence is None else Derivation(sequence)
        if self._sequence is not None and (self._flir or frame is not None):
            raise CardError(
                "sequence was given beside frame or format, but channels come from all frames of "
                "a file; leave one or the other out"
            )
        self._kelvin = self._unit != "relative"
        self.unit_read = DERIVED if sequence is not None else "K" if self._kelvin else "relative"
        self._bad = None if bad_pixels is None else _read_bad(bad_pixels)

    def _check_alone(self, unit: str | None) -> None:
        """Refuse a second answer to what a count stands for."""
        by = 'format "flir" says' if self._flir else "cold and hot say"
        if (self._scale, self._offset) != (1.0, 0.0) or unit not in (None, "K"):
            raise CardError(
                f"{by} what a count stands for, but unit, scale or offset were given too; leave "
                "one or the other out"
            )
        others = (self._key, self._hole, self._frame, self._uniformity)
        if self._flir and any(option is not None for option in others):
            raise CardError(
                'format "flir" was given beside key, hole, frame, flat, cold or hot, but the file '
                "holds one frame that the camera has evened out; leave one or the other out"
            )

    def read(self, path: Path) -> xr.DataArray:
        """Read a thermal frame, or the channels of a sequence.

        Parameters
        ----------
        path : Path
            An image or array (y, x); several channels are accepted when they are equal. With
            `sequence` pages or an array (time, y, x).

        Returns
        -------
        DataArray (y, x) or (channel, y, x), float32, K or relative
            Temperature, or counts as scaled; NaN at holes and at 0 K or below. Derived channels
            have the coordinate ``channel_unit``, and are NaN where any frame is.

        Raises
        ------
        SensorError
            When the file holds a false-colour picture, has another size than the mask of bad
            pixels or the frames of even scenes, or cannot be read.
        """
        if self._flir:
            thermogram = read_flir(path)
            with naming(path):
                return label(
                    self._trusted(thermogram.kelvin(self._scene)), self.modality, self.unit_read
                )
        counts = read_counts(path, self.suffixes, self._key, self._frame)
        with naming(path):
            if self._sequence is not None:
                return self._derived(counts)
            return label(self._scaled(single_channel(counts)), self.modality, self.unit_read)

    def _derived(self, counts: np.ndarray) -> xr.DataArray:
        """Scale a sequence frame by frame, and derive its channels."""
        assert self._sequence is not None
        if counts.ndim != 3:
            raise SensorError(
                f"holds an array of shape {counts.shape}, but a sequence (time, y, x) was "
                "promised; leave sequence out of the card, or record one"
            )
        stack = np.empty(counts.shape, dtype=np.float32)
        for number, frame in enumerate(counts):
            stack[number] = self._scaled(frame)
        channels = self._sequence.channels(stack, "K" if self._kelvin else "relative")
        return channels.assign_attrs(units=DERIVED, modality=self.modality)

    def _scaled(self, counts: np.ndarray) -> np.ndarray:
        """Scale counts (y, x), to K where they stand for a temperature."""
        even = counts if self._uniformity is None else self._uniformity.evened(counts)
        values = physical(even, self._scale, self._offset) + _KELVIN_AT_ZERO[self._unit]
        values[self._holes(counts)] = np.nan
        return self._trusted(values)

    def _trusted(self, values: np.ndarray) -> np.ndarray:
        """Take out, in place, what bad pixels say and what is no temperature."""
        if self._bad is not None:
            if self._bad.shape != values.shape:
                raise SensorError(
                    f"has {values.shape} rows and columns, but the mask of bad pixels "
                    f"{self._bad.shape}; give the mask of this camera"
                )
            values[self._bad] = np.nan
        if self._kelvin:
            values[values <= 0] = np.nan
        return values

    def _holes(self, counts: np.ndarray) -> np.ndarray:
        """Tell where no temperature was measured."""
        dead_at_zero = self._unit != "relative" and counts.dtype.kind in "iu"
        hole = self._hole if self._hole is not None else (0.0 if dead_at_zero else np.nan)
        return np.asarray(counts == hole)


def _check_format(format: object, scene: object) -> bool:
    """Tell whether frames are radiometric JPEGs; refuse other formats."""
    if format not in (None, "flir"):
        raise CardError(f"format is {format!r}, but 'flir' was promised; correct the card")
    if scene is not None and format is None:
        raise CardError(
            'scene was given without format "flir", but only radiometric JPEGs can be corrected '
            "for it; add the format, or leave scene out"
        )
    return format == "flir"


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

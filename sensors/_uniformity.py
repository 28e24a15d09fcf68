"""Frames of even scenes, by which a thermal camera's uneven pixels are made even.

* One point: each pixel's difference from the middle pixel before an even scene is taken off. That
  mends what a shutter mends, offsets that drift, and leaves the scale to the card.
* Two points: two blackbodies give each pixel its own gain and offset, and the scale with them.
  Between the two temperatures it is too low by the bend of Planck's curve: by 0.11 K at most
  between 295 and 305 K, by 2.5 K between 293 and 343 K, from 8 to 14 µm. Choose them close.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import CardError, SensorError
from mmdefect.frames import single_channel

from ._frame import ARRAYS, IMAGES, check_number, read_calibration

_DEAD_SHARE = 0.1
_PLACES = ("cold", "hot", "cold_temperature", "hot_temperature")


@dataclass(frozen=True)
class Uniformity:
    """A gain and an offset for every pixel.

    Parameters
    ----------
    gain : array (y, x), float64
        Counts, or K, in one count of the pixel; NaN where a pixel is dead.
    offset : array (y, x), float64, counts or K
    in_kelvin : bool
        Whether evened counts are temperatures.
    """

    gain: NDArray[np.float64]
    offset: NDArray[np.float64]
    in_kelvin: bool

    @classmethod
    def told(
        cls,
        flat: object,
        cold: object,
        hot: object,
        cold_temperature: object,
        hot_temperature: object,
        key: str | None,
    ) -> "Uniformity | None":
        """Make what a card's options say.

        Returns
        -------
        Uniformity or None
            None when they say nothing.

        Raises
        ------
        CardError
            When some of the four of two points lack or contradict each other, or a frame cannot
            be read.
        """
        given = dict(zip(_PLACES, (cold, hot, cold_temperature, hot_temperature), strict=True))
        there = [name for name, value in given.items() if value is not None]
        if flat is not None:
            if there:
                raise CardError(
                    f"flat is given beside {', '.join(there)}, but one correction was promised; "
                    "leave one or the other out"
                )
            return cls._one_point(_read("flat", flat, key))
        if not there:
            return None
        if len(there) < len(_PLACES):
            missing = [name for name in _PLACES if name not in there]
            raise CardError(
                f"{', '.join(there)} were given, but {', '.join(missing)} were promised with them; "
                "two points need two frames and their temperatures in K"
            )
        low, high = (check_number(name, given[name]) for name in _PLACES[2:])
        if not 0 < low < high:
            raise CardError(
                f"cold_temperature is {low:g} and hot_temperature {high:g}, but kelvins were "
                "promised, the cold below the hot; are they swapped?"
            )
        return cls._two_points(_read("cold", cold, key), _read("hot", hot, key), low, high)

    @classmethod
    def _one_point(cls, flat: NDArray[np.float64]) -> "Uniformity":
        """Take each pixel's difference from the middle one off."""
        return cls(np.ones_like(flat), float(np.nanmedian(flat)) - flat, False)

    @classmethod
    def _two_points(
        cls, cold: NDArray[np.float64], hot: NDArray[np.float64], low: float, high: float
    ) -> "Uniformity":
        """Draw each pixel's straight line through two points."""
        if cold.shape != hot.shape:
            raise CardError(
                f"cold has {cold.shape} rows and columns and hot {hot.shape}, but frames of one "
                "camera were promised; correct the card"
            )
        answer = hot - cold
        middle = float(np.nanmedian(answer))
        if not middle > 0:
            raise CardError(
                f"hot lies {middle:g} counts above cold in the middle pixel, but more counts for "
                "more heat were promised; are they swapped?"
            )
        answer[~(answer > _DEAD_SHARE * middle)] = np.nan
        gain = (high - low) / answer
        return cls(gain, low - gain * cold, True)

    def evened(self, counts: NDArray[np.generic]) -> NDArray[np.float64]:
        """Even counts out.

        Parameters
        ----------
        counts : array (…, y, x)

        Returns
        -------
        array (…, y, x), float64, counts or K
            NaN where a pixel is dead.

        Raises
        ------
        SensorError
            When they are of another size.
        """
        if counts.shape[-2:] != self.gain.shape:
            raise SensorError(
                f"has {counts.shape[-2:]} rows and columns, but the frames of even scenes "
                f"{self.gain.shape}; record them with this camera"
            )
        evened: NDArray[np.float64] = counts.astype(np.float64) * self.gain + self.offset
        return evened


def _read(option: str, path: object, key: str | None) -> NDArray[np.float64]:
    """Read the frame (y, x) of an even scene."""
    frame = read_calibration(option, path, IMAGES + ARRAYS, key, single_channel)
    if not np.isfinite(frame).any():
        raise CardError(f"{option} {str(path)!r} holds no number, but a frame was promised")
    return frame

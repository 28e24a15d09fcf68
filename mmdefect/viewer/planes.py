"""Planes of numbers in few bytes, from which the page reads values back in their units.

* A frame is rounded to steps of a third of its own noise: that adds half a percent to its noise,
  less than the sensor can tell. A map of evidence, −ln p, is rounded to ``MAP_STEP``.
* Steps are predicted from their left and upper neighbours, by their mean or by the plane through
  three of them, whichever leaves less, and the rest is deflated, low and high bytes apart: noise
  costs its bits, smooth maps cost next to nothing. Browsers inflate by themselves.
* 0 stands for *not measured*, so that a hole is never a value.
"""

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]
Steps = NDArray[np.uint16]
Row = dict[str, Any]

MAP_STEP = 0.05
"""Of evidence, −ln p: five percent of a p-value."""
_MOST_STEPS = 65_000
_PER_NOISE = 3
_LEVEL = 6


def noise_of(values: Plane) -> float:
    """Estimate the noise of a frame from what neighbours in a row do not share.

    Parameters
    ----------
    values : float array (y, x)
        NaN where blind.

    Returns
    -------
    float
        Standard deviation in the frame's unit; 0 where nothing can be told.
    """
    if values.shape[1] < 3:
        return 0.0
    bend = values[:, :-2] - 2 * values[:, 1:-1] + values[:, 2:]
    known = np.abs(bend[np.isfinite(bend)])
    return float(np.median(known)) / 0.6745 / np.sqrt(6) if known.size else 0.0


def frame_step(values: Plane, coarseness: float = 1.0) -> float:
    """Choose the step that a frame's values are rounded to.

    Parameters
    ----------
    values : float array (y, x)
    coarseness : float
        How many times the usual step.

    Returns
    -------
    float
        In the frame's unit; one or two significant digits, as people read them.
    """
    known = values[np.isfinite(values)]
    span = float(known.max() - known.min()) if known.size else 0.0
    wanted = max(noise_of(values) / _PER_NOISE, span / 10_000) * coarseness
    return max(_round_number(wanted), span / _MOST_STEPS)


def map_step(values: Plane, coarseness: float = 1.0) -> float:
    """Choose the step that a map's evidence is rounded to.

    Parameters
    ----------
    values : float array (y, x)
    coarseness : float

    Returns
    -------
    float
    """
    known = values[np.isfinite(values)]
    span = float(known.max() - known.min()) if known.size else 0.0
    return max(MAP_STEP * coarseness, span / _MOST_STEPS)


def _round_number(value: float) -> float:
    """Give the next number below of the kind 1, 2 or 5 times a power of ten; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    leading = max(digit for digit in (1, 2, 5) if digit <= value / power * (1 + 1e-9))
    return float(leading * power)


def pack_plane(values: Plane, step: float) -> Row:
    """Pack a plane.

    Parameters
    ----------
    values : float array (y, x)
        NaN where blind.
    step : float
        What values are rounded to, at least 1/65,000 of their range.

    Returns
    -------
    dict
        ``size`` (rows, columns), ``low``, ``step``, ``plain`` (whether the mean predicts) and
        ``bytes``: value = low + (n − 1) · step.
    """
    known = np.isfinite(values)
    low = float(np.floor(values[known].min() / step) * step) if known.any() else 0.0
    steps = np.where(known, np.round((np.where(known, values, low) - low) / step) + 1, 0)
    return {
        "size": list(values.shape),
        "low": low,
        "step": step,
        **_deflated(steps.astype(np.uint16)),
    }


def _deflated(steps: Steps) -> Row:
    """Predict in the better of two ways, deflate, and write in letters."""
    wide = np.pad(steps.astype(np.int32), ((1, 0), (1, 0)))
    corner, left, above = wide[:-1, :-1], wide[1:, :-1].copy(), wide[:-1, 1:].copy()
    left[:, 0], above[0] = above[:, 0], left[0]
    mean, slope = (left + above) >> 1, left + above - corner
    slope[0], slope[:, 0] = mean[0], mean[:, 0]
    rests = [(wide[1:, 1:] - predicted) & 0xFFFF for predicted in (mean, slope)]
    folded = [
        np.where(rest < 0x8000, 2 * rest, 2 * (0x10000 - rest) - 1).astype(np.uint16)
        for rest in rests
    ]
    plain = bool(folded[0].sum(dtype=np.int64) <= folded[1].sum(dtype=np.int64))
    chosen = folded[0] if plain else folded[1]
    halves = (chosen & 0xFF).astype(np.uint8).tobytes() + (chosen >> 8).astype(np.uint8).tobytes()
    letters = base64.b64encode(zlib.compress(halves, _LEVEL)).decode("ascii")
    return {"plain": plain, "bytes": letters}

"""The usual picture in the light that a part was seen in: a few per cent more or less are no sign.

A lamp ages, an X-ray tube warms up, a shutter is set anew: all that is seen changes together, by a
per cent or two from one week to the next. On black cloth, where good parts differ by thousandths,
that is several spreads in every cell, and a sound part would look like none that was learnt. The
monitor of a watched line tells such a change by the sensor's level (`mmdefect.signs`); whether it
is the right part the right way round is told by the pattern.

* Light that is stronger by the share *e* multiplies what a colour camera sees by 1 + *e*, and so
  the usual picture. From X-rays' attenuation −ln T it takes ln(1 + *e*), the same everywhere.
* Temperatures are held less their median, heights from the part's own plane: there the common part
  is gone before, and nothing more is forgiven.
* As much is forgiven as brings the usual picture nearest to the part's, by the least sum of
  distances in spreads. A cell's weight is how many spreads light moves it, and what holds less than
  half of all weight does not pull. A bright part whose look is steady may hold more on few cells:
  it moves the others as well, but in sum by fewer spreads than it is brought nearer itself.
* No more than 5 % is forgiven: a dark camera is not a good part in bad light.
"""

import numpy as np
from numpy.typing import NDArray

FORGIVEN = 0.05
"""The share by which the light may differ from what was learnt and be no sign."""

Cells = NDArray[np.float64]


def in_its_light(cells: Cells, mean: Cells, spread: Cells, frame: tuple[str, str]) -> Cells:
    """Give the usual picture as it would look in the light of a part's picture.

    Parameters
    ----------
    cells : float64 array (y, x)
        The part's picture, as `mmdefect.familiar.coarse` shows it.
    mean, spread : float64 array (y, x)
        Of good parts' pictures. NaN where unknown, as in ``cells``.
    frame : (str, str)
        Modality and unit of the sensor's frames.

    Returns
    -------
    float64 array (y, x)
        In the unit of ``mean``; that itself where light has no part in what is measured.
    """
    more = float(np.clip(light_of(cells, mean, spread, frame), -FORGIVEN, FORGIVEN))
    if np.isnan(more):
        return mean
    return mean - np.log1p(more) if _is_logarithm(frame) else mean * (1 + more)


def light_of(cells: Cells, mean: Cells, spread: Cells, frame: tuple[str, str]) -> float:
    """Measure by which share the light of a part's picture is stronger than the usual one.

    Parameters
    ----------
    cells, mean, spread, frame
        As `in_its_light` takes them.

    Returns
    -------
    float
        0 for the same light. NaN where light has no part in what is measured, or where nothing is
        known.
    """
    if frame[0] not in ("rgb", "xray"):
        return float("nan")
    changes = -np.ones_like(mean) if _is_logarithm(frame) else mean
    weight = np.abs(changes) / spread
    known = np.isfinite(cells) & np.isfinite(weight) & (weight > 0)
    if not known.any():
        return float("nan")
    more = _weighted_median((cells - mean)[known] / changes[known], weight[known])
    if _is_logarithm(frame):
        with np.errstate(over="ignore"):
            return float(np.expm1(more))
    return more


def _is_logarithm(frame: tuple[str, str]) -> bool:
    """Tell whether a picture shows −ln T and not what light multiplies."""
    return frame == ("xray", "1")


def _weighted_median(values: Cells, weights: Cells) -> float:
    """Give the value from which the weighted distances have the least sum."""
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(summed, summed[-1] / 2)])

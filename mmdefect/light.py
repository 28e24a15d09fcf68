"""The usual picture in the light that a part was seen in: a few per cent more or less are no sign.

A lamp ages, an X-ray tube warms up, a shutter is set anew: all that is seen changes together, by a
per cent or two from one week to the next. On black cloth, where good parts differ by thousandths,
that is several spreads in every cell, and a sound part would look like none that was learnt. The
monitor of a watched line tells such a change by the sensor's level (`mmdefect.signs`); whether it
is the right part the right way round is told by the pattern.

* More light multiplies what a colour camera sees, so the usual picture is multiplied. To X-rays'
  attenuation −ln T it adds the same everywhere.
* Temperatures are held less their median, heights from the part's own plane: there the common part
  is gone before, and nothing more is forgiven.
* As much is forgiven as brings the usual picture nearest to the part's, by the least sum of
  distances in spreads: a defect, being less than half of the picture, does not pull it away. But no
  more than 5 %: a dark camera is not a good part in bad light.
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
    added = _added(mean, frame)
    if added is None:
        return mean
    weight = np.abs(added) / spread
    known = np.isfinite(cells) & np.isfinite(weight) & (weight > 0)
    if not known.any():
        return mean
    more = _weighted_median(((cells - mean)[known]) / added[known], weight[known])
    return mean + float(np.clip(more, -FORGIVEN, FORGIVEN)) * added


def _added(mean: Cells, frame: tuple[str, str]) -> Cells | None:
    """Tell what light that is stronger by the share *e* adds to a picture, in units of *e*."""
    if frame == ("xray", "1"):
        return np.ones_like(mean)
    return mean if frame[0] in ("rgb", "xray") else None


def _weighted_median(values: Cells, weights: Cells) -> float:
    """Give the value from which the weighted distances have the least sum."""
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(summed, summed[-1] / 2)])

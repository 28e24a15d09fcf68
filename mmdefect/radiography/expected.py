"""The attenuation that a part's shape leads one to expect on the panel.

* Attenuation grows with thickness along a bent line, because soft rays are stopped first. A second
  order polynomial of all materials carries that; it is fitted to the radiograph, robustly, so that
  what departs from the shape has no say.
* The panel and the focal spot blur *transmission*, not attenuation. Without the same blur every
  edge would stand out as a pair of false defects. Its width is fitted too.
* Scatter, the anode's heel and the tube's drift are smooth: a tilted plane and a widely blurred
  copy of what the part scatters take them off.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmdefect.errors import SensorError

Plane = NDArray[np.float64]
_ROUNDS = 6
_TUKEY = 4.685
_MAD = 1.4826
_WIDEST_BLUR = 4.0
_GOLDEN = (np.sqrt(5) - 1) / 2
_STEPS = 9
_WIDE_SHARE = 1 / 24
_LEAST_PIXELS = 100
_MOST_PIXELS = 20000
_LEAST_TRANSMISSION = 1e-4
_DARKEST = 6.0


class Expected(NamedTuple):
    """What was expected, and how it was found.

    Parameters
    ----------
    attenuation : array (y, x), 1
        NaN where the thickness is not known.
    blur : float, px
        Standard deviation of the panel's blur.
    spread : float, 1
        Robust standard deviation of what is left.
    slope : tuple of array (y, x), 1/mm
        How fast it grows with each material's thickness.
    """

    attenuation: Plane
    blur: float
    spread: float
    slope: tuple[Plane, ...]


def expected_attenuation(
    measured: Plane, lengths: Sequence[Plane], blur: float | None = None
) -> Expected:
    """Fit the law from thickness to attenuation, and tell what the shape leads one to expect.

    Parameters
    ----------
    measured : array (y, x), 1
        −log transmission; NaN where blind.
    lengths : sequence of array (y, x), mm
        How far each ray runs in each material; NaN where that is not known.
    blur : float, px, optional
        Standard deviation of the panel's blur; fitted when left out.

    Returns
    -------
    Expected

    Raises
    ------
    SensorError
        When the thickness is known in too few pixels of the frame, or all are air.
    """
    known = np.isfinite(measured) & np.isfinite(lengths).all(axis=0)
    inside = known & (np.nansum(lengths, axis=0) > 0)
    if inside.sum() < _LEAST_PIXELS:
        raise SensorError(
            f"shows {int(inside.sum())} pixels whose thickness is known, but {_LEAST_PIXELS} at "
            "least were promised; is the part where the rig and the shape say it is?"
        )
    filled = [_filled(length) for length in lengths]
    law = _Law(measured, filled, known)
    width = _best_blur(law) if blur is None else blur
    found = law.expected(width)
    return Expected(np.where(np.isfinite(lengths).all(axis=0), found, np.nan), width,
                    law.spread(found), law.slopes())  # fmt: skip


class _Law:
    """The law of one radiograph."""

    def __init__(self, measured: Plane, lengths: list[Plane], known: NDArray[np.bool_]) -> None:
        self._measured, self._lengths, self._known = measured, lengths, known
        powers = [length**order for length in lengths for order in (1, 2)]
        crossed = [one * other for one, other in combinations(lengths, 2)]
        ones = np.ones_like(measured)
        columns = [ones, *powers, *crossed]
        level = ndimage.gaussian_filter(_filled(measured), 1.0)
        self._noise = np.exp(0.5 * np.clip(level, 0, _DARKEST))
        self._factors = robust_fit(columns, measured, known, self._noise)
        self._sharp = _combined(columns[1:], self._factors[1:])
        height, width = measured.shape
        down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        self._smooth = [ones, down, across, self._scatter()]

    def _scatter(self) -> Plane:
        """Give the shape of scatter, in attenuation: what is stopped around over what arrives."""
        through = np.exp(-self._sharp)
        sigma = max(self._measured.shape) * _WIDE_SHARE
        around = ndimage.gaussian_filter(through * self._sharp, sigma, mode="nearest")
        share: Plane = around / np.maximum(through, _LEAST_TRANSMISSION)
        return share

    def expected(self, blur: float) -> Plane:
        """Give the attenuation (y, x) behind a panel of some blur, px."""
        shape = blurred(self._sharp, blur)
        columns = [*self._smooth, shape, shape**2]
        return _combined(columns, robust_fit(columns, self._measured, self._known, self._noise))

    def spread(self, expected: Plane) -> float:
        """Give the robust standard deviation of what is left."""
        left = (self._measured - expected)[self._known]
        return _MAD * float(np.median(np.abs(left - np.median(left))))

    def rough(self, expected: Plane) -> float:
        """Give the mean of what is left, its largest part cut off, which edges rule."""
        left = np.abs((self._measured - expected)[self._known])
        return float(np.minimum(left, np.quantile(left, 0.99)).mean())

    def slopes(self) -> tuple[Plane, ...]:
        """Give d attenuation / d thickness (y, x), 1/mm, of each material."""
        count = len(self._lengths)
        own, crossed = self._factors[1 : 1 + 2 * count], self._factors[1 + 2 * count :]
        slopes = [own[2 * i] + 2 * own[2 * i + 1] * self._lengths[i] for i in range(count)]
        for factor, (i, j) in zip(crossed, combinations(range(count), 2), strict=True):
            slopes[i] = slopes[i] + factor * self._lengths[j]
            slopes[j] = slopes[j] + factor * self._lengths[i]
        return tuple(slopes)


def blurred(values: Plane, sigma: float) -> Plane:
    """Blur attenuation (y, x) as a panel does: in transmission, by a Gaussian (px)."""
    if sigma <= 0:
        return values
    through = ndimage.gaussian_filter(np.exp(-values), sigma, mode="nearest")
    told: Plane = -np.log(np.maximum(through, _LEAST_TRANSMISSION))
    return told


def robust_fit(
    columns: Sequence[Plane], wanted: Plane, known: NDArray[np.bool_], noise: Plane
) -> NDArray[np.float64]:
    """Fit a sum of pictures to another by Tukey's biweight.

    Parameters
    ----------
    columns : sequence of array (y, x)
    wanted : array (y, x)
    known : bool array (y, x)
        Pixels that count; of very many every so many-th.
    noise : array (y, x)
        Standard deviation of `wanted`, up to a factor: what is dark is noisy, and no outlier.

    Returns
    -------
    array (column,), float64
    """
    rows = np.flatnonzero(known)
    rows = rows[:: max(1, len(rows) // _MOST_PIXELS)]
    basis = np.stack([column.ravel()[rows] for column in columns], axis=1)
    scale = np.maximum(np.abs(basis).max(axis=0), 1e-12)
    loud = noise.ravel()[rows]
    basis = basis / scale / loud[:, None]
    target = wanted.ravel()[rows] / loud
    weights = np.ones(len(target))
    factors = np.zeros(basis.shape[1])
    for _ in range(_ROUNDS):
        weighted = basis * weights[:, None]
        factors = np.linalg.lstsq(weighted.T @ basis, weighted.T @ target, rcond=1e-10)[0]
        left = target - basis @ factors
        spread = max(_MAD * float(np.median(np.abs(left - np.median(left)))), 1e-9)
        weights = np.clip(1 - (left / (_TUKEY * spread)) ** 2, 0, None) ** 2
    fitted: NDArray[np.float64] = factors / scale
    return fitted


def _combined(columns: Sequence[Plane], factors: NDArray[np.float64]) -> Plane:
    """Add pictures up."""
    total = np.zeros_like(columns[0])
    for column, factor in zip(columns, factors, strict=True):
        total += factor * column
    return total


def _filled(length: Plane) -> Plane:
    """Fill places of unknown thickness from the nearest known, so that blurs have a number."""
    blind = ~np.isfinite(length)
    if not blind.any() or blind.all():
        return np.nan_to_num(length)
    nearest = ndimage.distance_transform_edt(blind, return_distances=False, return_indices=True)
    filled: Plane = length[tuple(nearest)]
    return filled


def _best_blur(law: _Law) -> float:
    """Search the blur (px) that leaves least, by golden section."""
    low, high = 0.0, _WIDEST_BLUR
    inner = [high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)]
    rough = [law.rough(law.expected(width)) for width in inner]
    for _ in range(_STEPS):
        if rough[0] < rough[1]:
            high, inner[1], rough[1] = inner[1], inner[0], rough[0]
            inner[0] = high - _GOLDEN * (high - low)
            rough[0] = law.rough(law.expected(inner[0]))
        else:
            low, inner[0], rough[0] = inner[0], inner[1], rough[1]
            inner[1] = low + _GOLDEN * (high - low)
            rough[1] = law.rough(law.expected(inner[1]))
    return (low + high) / 2

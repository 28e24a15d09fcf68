"""A flash's cooling as a polynomial of logarithms, and where it bends.

* A thick part cools as t^(-1/2): ln ΔT against ln t is a straight line of slope -1/2, whatever it
  took up and however it emits. Above a flaw the line leaves that slope when heat comes back, at a
  time that grows with the square of the depth.
* The polynomial takes the noise off: a few numbers say what hundreds of frames said.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from mmdefect.errors import SensorError
from mmdefect.thermography.channels import Channel, Plane, as_channels, bands, check_sequence

_FINE = 200
_EDGE = 0.05
_SHARE_ABOVE = 0.5
_LEAST_BEND = 0.1


def reconstruction(
    excess: NDArray[np.generic],
    rate: float,
    times: Sequence[float],
    degree: int = 6,
    first: float | None = None,
) -> xr.DataArray:
    """Fit the logarithm of a cooling and give its slopes, its bends and when it first bends up.

    Parameters
    ----------
    excess : array (time, y, x), K
        Above the temperature before the flash; any unit will do, since slopes have none.
    rate : float, Hz
        Frames in a second.
    times : sequence of float, s
        Since the flash, at which slopes and bends are told.
    degree : int
        Of the polynomial, 3 to 9.
    first : float, s, optional
        Since the flash, of the first frame; one over the rate when left out.

    Returns
    -------
    DataArray (channel, y, x), float32
        ``slope T s`` (d ln ΔT / d ln t, 1) for each time, ``bend T s`` (the second derivative, 1)
        for each, and ``bend time`` (s) of the first bend upwards of more than 0.1; the end of the
        sequence where there is none. NaN where less than half of the frames are above 0.

    Raises
    ------
    SensorError
        When the sequence is too short, or a time lies outside it.

    Notes
    -----
    Frames are weighed by the square of ΔT, to which the noise of its logarithm is inverse, and by
    1/t, so that every octave of time counts alike. The ends, where a polynomial is loose, do not
    count for ``bend time``. Above a wide gap in a depth L that insulates, the bend is greatest at
    L²/(π α), α the diffusivity.
    """
    check_sequence(excess, rate, 10)
    start = 1 / rate if first is None else first
    moments = start + np.arange(len(excess)) / rate
    _check(moments, times, degree)
    logs = np.log(moments)
    basis = _scaled(logs, logs)[:, None] ** np.arange(degree + 1)
    told = _derivatives(_scaled(logs, np.log(np.asarray(times))), degree, np.ptp(logs))
    fine = np.linspace(logs[0] + _EDGE * np.ptp(logs), logs[-1] - _EDGE * np.ptp(logs), _FINE)
    bent = _derivatives(_scaled(logs, fine), degree, np.ptp(logs))[1]
    planes = np.full((2 * len(times) + 1, *excess.shape[1:]), np.nan, dtype=np.float32)
    for rows, band in bands(excess):
        factors = _fitted(band, basis, 1 / moments)
        found = np.concatenate([told[0] @ factors, told[1] @ factors])
        known = np.isfinite(factors[0])
        peak = np.full(len(known), np.nan)
        peak[known] = _first_peak(bent @ factors[:, known], np.exp(fine), moments[-1])
        planes[:, rows] = np.vstack([found, peak]).reshape(len(planes), -1, excess.shape[2])
    return as_channels(_named(planes, times))


def _first_peak(
    bends: NDArray[np.float64], moments: NDArray[np.float64], last: float
) -> NDArray[np.float64]:
    """Give the moment of every pixel's first peak (time, pixel) above what noise makes."""
    inner = bends[1:-1]
    peaks = (inner > bends[:-2]) & (inner >= bends[2:]) & (inner > _LEAST_BEND)
    return np.where(peaks.any(axis=0), moments[1 + np.argmax(peaks, axis=0)], last)


def _named(planes: Plane, times: Sequence[float]) -> list[Channel]:
    """Name what was found."""
    names = [f"{what} {seconds:.4g} s" for what in ("slope", "bend") for seconds in times]
    channels = [Channel(name, "1", plane) for name, plane in zip(names, planes, strict=False)]
    return [*channels, Channel("bend time", "s", planes[-1])]


def _check(moments: NDArray[np.float64], times: Sequence[float], degree: int) -> None:
    """Refuse times that the sequence does not hold, and a degree that it cannot carry."""
    if not moments[0] > 0:
        raise SensorError(
            f"begins {moments[0]:g} s after the flash, but a moment after it was promised, since 0 "
            "has no logarithm; correct the card's delay"
        )
    if not times or not all(moments[0] <= seconds <= moments[-1] for seconds in times):
        raise SensorError(
            f"lasts from {moments[0]:g} to {moments[-1]:g} s after the flash, but times within "
            f"were promised, not {', '.join(f'{t:g}' for t in times) or 'none'}; correct the "
            "card's times"
        )
    if not 3 <= degree <= 9:
        raise SensorError(f"is to be fitted by degree {degree}, but 3 to 9 was promised")


def _scaled(logs: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring logarithms of time to -1 to 1, where powers behave."""
    scaled: NDArray[np.float64] = 2 * (at - logs[0]) / (logs[-1] - logs[0]) - 1
    return scaled


def _derivatives(at: NDArray[np.float64], degree: int, span: float) -> NDArray[np.float64]:
    """Give what turns factors into first and second derivatives (2, time, factor)."""
    rows = np.zeros((2, len(at), degree + 1))
    for power in range(degree + 1):
        term = Polynomial([0.0] * power + [1.0])
        for order in (1, 2):
            rows[order - 1, :, power] = term.deriv(order)(at) * (2 / span) ** order
    return rows


def _fitted(
    band: NDArray[np.float64], basis: NDArray[np.float64], even: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit every pixel's logarithms (time, pixel) by weighted least squares: (factor, pixel)."""
    above = band > 0
    logs = np.log(np.where(above, band, 1.0))
    weights = np.where(above, band, 0.0) ** 2 * even[:, None]
    blind = ~np.isfinite(band).all(axis=0) | (above.mean(axis=0) < _SHARE_ABOVE)
    weights[:, blind] = 1.0
    weights /= weights.sum(axis=0)
    count = basis.shape[1]
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
    normal = (weights.T @ products).reshape(-1, count, count)
    right = (weights * np.nan_to_num(logs)).T @ basis
    normal += 1e-12 * np.eye(count)
    factors = np.linalg.solve(normal, right[..., None])[..., 0].T
    factors[:, blind] = np.nan
    return factors

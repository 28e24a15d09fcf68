"""Amplitude and phase: of a heating that goes up and down, or of a flash's cooling.

* Phases are those of T(t) = A cos(2πft + phase), counted from the sequence's first frame. They do
  not feel how much heat a place took up nor how well it emits: both multiply A.
* A phase is cut at half a turn from the picture's own mean phase, not at ±π: a picture whose
  phases lie around π would else fall in two.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.errors import SensorError
from mmdefect.thermography.channels import Channel, as_channels, bands, check_sequence


def lockin(
    stack: NDArray[np.generic], rate: float, frequency: float, unit: str = "K"
) -> xr.DataArray:
    """Find the oscillation that a modulated heating leaves.

    Parameters
    ----------
    stack : array (time, y, x)
        Temperature, or counts.
    rate : float, Hz
        Frames in a second.
    frequency : float, Hz
        Of the heating.
    unit : str
        Of the stack.

    Returns
    -------
    DataArray (channel, y, x), float32
        ``phase`` in rad and ``amplitude`` in `unit`.

    Raises
    ------
    SensorError
        When the sequence is shorter than a period, or the frequency not below half the rate.

    Notes
    -----
    Least squares of level, slope, cosine and sine, so that a part that gets warmer on the whole,
    or a number of periods that is not whole, does no harm.
    """
    seconds = check_sequence(stack, rate, 5)
    if not 1 / seconds <= frequency * (1 + 1e-9) or not frequency < rate / 2:
        raise SensorError(
            f"lasts {seconds:g} s at {rate:g} Hz, but a frequency from {1 / seconds:g} to below "
            f"{rate / 2:g} Hz was promised, not {frequency:g} Hz; correct the card's frequency or "
            "frame_rate"
        )
    turns = 2 * np.pi * frequency * np.arange(len(stack)) / rate
    slope = np.linspace(-1, 1, len(stack))
    basis = np.stack([np.ones_like(turns), slope, np.cos(turns), -np.sin(turns)], axis=1)
    solve = np.linalg.pinv(basis)[2:]
    wave = _projected(stack, solve[0] + 1j * solve[1])
    return as_channels(
        [
            Channel("phase", "rad", phase_of(wave)),
            Channel("amplitude", unit, np.abs(wave).astype(np.float32)),
        ]
    )


def pulsed_phase(
    stack: NDArray[np.generic],
    rate: float,
    frequencies: Sequence[float],
    unit: str = "K",
) -> xr.DataArray:
    """Find the spectrum of a flash's cooling at some frequencies.

    Parameters
    ----------
    stack : array (time, y, x)
        Temperature, or counts, from the flash on.
    rate : float, Hz
        Frames in a second.
    frequencies : sequence of float, Hz
        Each is moved to the nearest that the sequence resolves, a multiple of one over its length.
    unit : str
        Of the stack.

    Returns
    -------
    DataArray (channel, y, x), float32
        For each frequency in turn ``phase F Hz`` in rad, then for each ``amplitude F Hz`` in
        `unit` times s.

    Raises
    ------
    SensorError
        When a frequency is not above 0 and below half the rate, or two fall on one.

    Notes
    -----
    F = Δt Σ T(kΔt) exp(-2πi k n/N). A multiple of one over the length is blind to the level before
    the flash.
    """
    seconds = check_sequence(stack, rate, 5)
    orders = [round(frequency * seconds) for frequency in frequencies]
    usable = all(1 <= order < len(stack) / 2 for order in orders)
    if not orders or not usable or len(set(orders)) < len(orders):
        raise SensorError(
            f"lasts {seconds:g} s at {rate:g} Hz, but frequencies apart from each other by "
            f"{1 / seconds:g} Hz, and from that to below {rate / 2:g} Hz, were promised, not "
            f"{', '.join(f'{f:g}' for f in frequencies)} Hz; correct the card's frequency or "
            "frame_rate"
        )
    steps = np.arange(len(stack)) / len(stack)
    waves = [_projected(stack, np.exp(-2j * np.pi * n * steps) / rate) for n in orders]
    named = [f"{order / seconds:.4g} Hz" for order in orders]
    phases = [
        Channel(f"phase {name}", "rad", phase_of(wave))
        for name, wave in zip(named, waves, strict=True)
    ]
    amplitudes = [
        Channel(f"amplitude {name}", f"{unit} s", np.abs(wave).astype(np.float32))
        for name, wave in zip(named, waves, strict=True)
    ]
    return as_channels([*phases, *amplitudes])


def phase_of(wave: NDArray[np.complex128]) -> NDArray[np.float32]:
    """Give phases that are cut half a turn from their own mean.

    Parameters
    ----------
    wave : complex array (y, x)
        NaN where blind.

    Returns
    -------
    array (y, x), float32, rad
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        turned = wave / np.abs(wave)
    known = np.isfinite(turned)
    mean = float(np.angle(turned[known].sum())) if known.any() else 0.0
    phase: NDArray[np.float32] = np.angle(wave * np.exp(-1j * mean)).astype(np.float32)
    return phase + np.float32(mean)


def _projected(stack: NDArray[np.generic], weights: NDArray[Any]) -> NDArray[np.complex128]:
    """Weigh every pixel's frames and add them up (y, x); its first frame is taken off before."""
    wave = np.empty(stack.shape[1:], dtype=np.complex128)
    for rows, band in bands(stack):
        first = band[0].copy()
        band -= first
        wave[rows] = (weights @ band + weights.sum() * first).reshape(-1, stack.shape[2])
    return wave

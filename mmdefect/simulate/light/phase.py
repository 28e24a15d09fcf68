"""How well a structured-light scanner can measure: from reflected light to the noise of depth.

* The projector shows a sinusoid in N shifted steps; the phase found in a pixel has the noise
  σ_φ = √(2/N) σ_I / B for a modulation B and intensity noise σ_I [1]_.
* A depth along the camera's ray moves the phase by 2π tan θ / p, for a fringe period p at the
  surface and an angle θ between the rays of camera and projector. This is the triangulation
  formula σ_z = z² / (f b) σ_d with tan θ = b / z and σ_d = σ_φ f p / (2π z) [2]_.
* Three exposures; each pixel is taken from the longest that does not saturate, as scanners with
  a high dynamic range do. What saturates the shortest is lost.

References
----------
.. [1] Surrel: Additive noise effect in digital phase detection, Applied Optics 36, 1997.
.. [2] Zhang: High-speed 3D shape measurement with structured light methods: a review, Optics and
   Lasers in Engineering 106, 2018.
"""

from typing import Any

import numpy as np

from mmdefect.simulate.raster import Map, as_map

STEPS = 4
FRINGE_MM = 6.0
FULL_WELL = 15000.0
READ_NOISE = 12.0
EXPOSURES = (0.25, 1.0, 8.0)
ELECTRONS = 8000.0
MODULATION = 0.85
AMBIENT = 0.04
FLOOR_MM = 0.008


def intensities(reflected: Any, ambient: Any) -> tuple[Map, Map]:
    """Give mean and modulation of the fringes in the exposure that a pixel is taken from.

    Parameters
    ----------
    reflected : array, 1
        The projector's light that comes back; 1 is that of a white surface which faces it.
    ambient : array, 1
        The room's light that comes back, on the same scale.

    Returns
    -------
    mean, modulation : Map, electrons
        NaN where even the shortest exposure saturates.
    """
    mean = as_map(ELECTRONS * (as_map(reflected) + as_map(ambient)))
    modulation = as_map(ELECTRONS * MODULATION * as_map(reflected))
    chosen = np.full(mean.shape, np.nan, np.float32)
    for exposure in EXPOSURES:
        fits = (mean + modulation) * np.float32(exposure) < FULL_WELL
        chosen[fits] = exposure
    return mean * chosen, modulation * chosen


def phase_noise(mean: Any, modulation: Any) -> Map:
    """Give the standard deviation of the phase, rad, of N-step phase shifting.

    Parameters
    ----------
    mean, modulation : array, electrons
        Of the fringes in one exposure.
    """
    intensity = np.sqrt(as_map(mean) + np.float32(READ_NOISE**2))
    return as_map(np.sqrt(2 / STEPS) * intensity / np.maximum(modulation, np.float32(1e-3)))


def depth_per_phase(tangent: Any) -> Map:
    """Give mm of depth per rad of phase for the tangent of the angle between both rays."""
    return as_map(FRINGE_MM / (2 * np.pi) / np.maximum(tangent, np.float32(1e-3)))


def depth_noise(reflected: Any, ambient: Any, tangent: Any) -> Map:
    """Give the standard deviation of depth.

    Parameters
    ----------
    reflected, ambient : array, 1
        Light that comes back from projector and room.
    tangent : array, 1
        Of the angle between the rays of camera and projector.

    Returns
    -------
    Map, mm
        With a floor for what calibration leaves; NaN where the camera saturates.
    """
    noise = phase_noise(*intensities(reflected, ambient))
    return as_map(np.hypot(depth_per_phase(tangent) * noise, FLOOR_MM))


def bounce(share: Any, rise: Any, tangent: Any) -> Map:
    """Give how far light from surroundings bends the depth of a concave place, mm.

    Parameters
    ----------
    share : array, 1
        Light that comes by way of the surroundings, of that which comes directly.
    rise : array, mm
        By how much the surroundings lie nearer to the sensors.
    tangent : array, 1
        Of the angle between the rays of camera and projector.

    Returns
    -------
    Map, mm
        Towards the sensors.

    Notes
    -----
    Direct and indirect fringes add as phasors: the phase moves by the argument of
    1 + m exp(iΔ), where the surroundings' phase differs by Δ.
    """
    scale = depth_per_phase(tangent)
    off = as_map(rise) / scale
    return as_map(scale * np.arctan2(share * np.sin(off), 1 + share * np.cos(off)))

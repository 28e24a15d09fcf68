"""The infrared camera: one thermogram, two seconds after the flash.

* The skin's rise is the half space's, blurred by conduction along the laminate; fasteners draw
  heat from their surroundings; delaminations add what `heat` computes.
* The camera sees radiance, not temperature: a bare head of low emissivity mostly mirrors the
  warm hood of the flash. The file's temperature is that of a body with the skin's emissivity.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mmdefect.simulate.heat import DIFFUSIVITY_ALONG, delamination_contrast, surface_rise
from mmdefect.simulate.truth import FIELD_MM, Grid, Map, Mask, Rendering, Truth, as_map

SECONDS = 2.0
ENERGY = 6000.0
NETD = 0.040
EMISSIVITY = 0.90
FIXTURE_EMISSIVITY = 0.95
FIXTURE_RISE = 0.15
LENS_BLUR_MM = 0.4
BAD_SHARE = 1 / 5000


@dataclass(frozen=True)
class Heating:
    """Drift of flash and surroundings from capture to capture.

    Parameters
    ----------
    power : float, 1
        The flash, about 1.
    ambient : float, K
        Temperature of part and fixture before the flash.
    hood : float, K
        How much warmer the mirrored surroundings are.
    pattern : Map (4,), 1
        Unevenness of the heating: slope along x and y, fall-off along x and y.
    """

    power: float
    ambient: float
    hood: float
    pattern: Map


PATTERN = (0.03, -0.02, -0.09, -0.05)
PATTERN_DRIFT = (0.02, 0.02, 0.015, 0.015)


def draw_heating(rng: np.random.Generator) -> Heating:
    """Draw flash energy (±5 %), ambient (±2 K), hood and the pattern (to about ±10 %)."""
    return Heating(
        power=float(rng.uniform(0.95, 1.05)),
        ambient=295.0 + float(rng.uniform(-2, 2)),
        hood=float(rng.uniform(1.0, 2.0)),
        pattern=as_map(rng.normal(PATTERN, PATTERN_DRIFT)),
    )


def draw_bad_pixels(grid: Grid, rng: np.random.Generator) -> Mask:
    """Draw the camera's dead pixels: a share of single ones and one pair (y, x)."""
    count = max(2, round(BAD_SHARE * grid.size**2))
    bad = np.zeros((grid.size, grid.size), np.bool_)
    rows, columns = rng.integers(0, grid.size - 1, (2, count))
    bad[rows, columns] = True
    bad[rows[0], columns[0] + 1] = True
    return bad


def _absorbed(truth: Truth, heating: Heating) -> Map:
    """Return the absorbed energy relative to ENERGY (y, x): pattern, incidence, finish."""
    grid = truth.grid
    u = grid.frame_axis() / np.float32(FIELD_MM / 2)
    a, b, c, d = heating.pattern
    pattern = 1 + (a * u + c * u * u)[None, :] + (b * u + d * u * u)[:, None] + 0.03
    height = grid.reduce(truth.height)
    down, right = np.gradient(height, grid.pitch)
    incidence = 1 / np.sqrt(1 + 0.5 * (down * down + right * right))
    nearer = 1 + 0.004 * np.clip(height, 0, 5)
    taken = grid.reduce(truth.absorptivity / truth.effusivity) / np.float32(EMISSIVITY)
    return as_map(heating.power * pattern * incidence * nearer * taken)


def _conduct(rise: Map, truth: Truth) -> Map:
    """Spread the rise (K) along the laminate, leaving openings out."""
    sigma = 1e3 * float(np.sqrt(2 * DIFFUSIVITY_ALONG * SECONDS)) / truth.grid.pitch
    solid = 1 - truth.grid.reduce(truth.opening)
    spread = ndimage.gaussian_filter(rise * solid, sigma, mode="nearest", truncate=3.0)
    weight = ndimage.gaussian_filter(solid, sigma, mode="nearest", truncate=3.0)
    return as_map(spread / np.maximum(weight, 1e-3))


def _contrast(truth: Truth, absorbed: Map) -> Map:
    """Return what the delaminations add to the surface's temperature (y, x), K."""
    extra = np.zeros_like(absorbed)
    for hidden in truth.delaminations:
        radius, kelvin = delamination_contrast(hidden.depth, hidden.diameter, hidden.gap, SECONDS)
        distance = truth.grid.reduce(hidden.radius_map(truth.x, truth.y))
        extra += np.interp(distance, radius, kelvin, right=0.0) * absorbed * (ENERGY / 1e4)
    return as_map(extra)


def render_infrared(truth: Truth, heating: Heating) -> Rendering:
    """Render the thermogram.

    Parameters
    ----------
    truth : Truth
        The part.
    heating : Heating
        This capture's flash and surroundings.

    Returns
    -------
    Rendering (y, x), K
        Temperature as the camera reports it for emissivity 0.90; the noise is the NETD.
    """
    grid = truth.grid
    absorbed = _absorbed(truth, heating)
    rise = _conduct(as_map(absorbed * surface_rise(ENERGY, SECONDS)), truth)
    rise = rise + _contrast(truth, absorbed)
    solid = 1 - grid.reduce(truth.opening)
    skin = solid * (heating.ambient + rise) + (1 - solid) * (heating.ambient + FIXTURE_RISE)
    emissivity = grid.reduce(np.where(truth.opening, FIXTURE_EMISSIVITY, truth.emissivity))
    around = heating.ambient + heating.hood
    radiance = emissivity * skin**4 + (1 - emissivity) * around**4
    kelvin = ((radiance - (1 - EMISSIVITY) * around**4) / EMISSIVITY) ** 0.25
    kelvin = ndimage.gaussian_filter(kelvin, LENS_BLUR_MM / grid.pitch, mode="nearest")
    return Rendering(as_map(kelvin), np.full(kelvin.shape, NETD, np.float32))


def expose_infrared(rendering: Rendering, bad: Mask, rng: np.random.Generator) -> Map:
    """Add noise; bad pixels become NaN (y, x), K."""
    noise = rng.standard_normal(rendering.signal.shape, dtype=np.float32)
    kelvin = rendering.signal + rendering.noise * noise
    kelvin[bad] = np.nan
    return as_map(kelvin)

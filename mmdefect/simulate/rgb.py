"""The colour camera: two soft lights, fibres that reflect like cylinders, and a real exposure.

* Resin and ink scatter after Lambert; bare metal mirrors its surroundings, so a fastener shows
  the two lights and the dark camera above it; fibres reflect where they are perpendicular to the
  bisector of light and view (after Kajiya and Kay [1]_).
* Noise is that of photons and of the read-out, set in linear light and carried through gamma.

References
----------
.. [1] Kajiya and Kay, "Rendering fur with three dimensional textures", SIGGRAPH 1989.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from mmdefect.simulate.shadow import shadow_margin
from mmdefect.simulate.truth import Map, Rendering, Truth, as_map

FULL_WELL = 10000.0
READ_NOISE = 4.0
GAMMA = 2.2
TOE = 0.004
FIBRE_WIDTH = 0.24
GLOSS_WIDTH = 0.20
PENUMBRA_MM = 0.8
AMBIENT = 0.25
METAL = (0.66, 0.645, 0.61)


@dataclass(frozen=True)
class Lighting:
    """Drift of the light from capture to capture.

    Parameters
    ----------
    power : tuple of float, 1
        Strength of the two lights, about 1.
    white : tuple of float, 1
        Strength of red and blue against green.
    blur : float, px
        Standard deviation of the lens's blur.
    """

    power: tuple[float, float]
    white: tuple[float, float]
    blur: float


@dataclass(frozen=True)
class _Light:
    """One area light: unit vector towards it, and its strength."""

    towards: tuple[float, float, float]
    strength: float


def draw_lighting(rng: np.random.Generator) -> Lighting:
    """Draw the drift of both lights (±5 %), white balance and focus."""
    power = rng.uniform(0.95, 1.05, 2)
    white = rng.normal(1, 0.01, 2)
    return Lighting(
        power=(float(power[0]), float(power[1])),
        white=(float(white[0]), float(white[1])),
        blur=float(rng.uniform(0.40, 0.55)),
    )


def _light(azimuth: float, zenith: float, strength: float) -> _Light:
    """Place a light by its angles in degrees; azimuth counts from x towards y."""
    a, z = np.deg2rad([azimuth, zenith])
    return _Light(
        (float(np.sin(z) * np.cos(a)), float(np.sin(z) * np.sin(a)), float(np.cos(z))), strength
    )


LIGHTS = (_light(-148.0, 40.0, 1.9), _light(32.0, 44.0, 1.4))


def _fibre_lobe(truth: Truth, light: _Light, slopes: tuple[Map, Map]) -> Map:
    """Return how strongly the fibres reflect one light towards the camera."""
    along_x, along_y, rise = truth.fibre
    x, y, z = light.towards
    length = float(np.sqrt(x * x + y * y + (z + 1) ** 2))
    steep = rise + slopes[0] * along_x + slopes[1] * along_y
    dot = (x * along_x + y * along_y + (z + 1) * steep) / np.float32(length)
    dot /= np.sqrt(1 + steep * steep)
    return as_map(np.exp(dot * dot * np.float32(-0.5 / FIBRE_WIDTH**2)))


def _gloss_lobe(normal: tuple[Map, Map, Map], light: _Light) -> Map:
    """Return how strongly the resin's surface reflects one light towards the camera."""
    x, y, z = light.towards
    length = float(np.sqrt(x * x + y * y + (z + 1) ** 2))
    dot = (x * normal[0] + y * normal[1] + (z + 1) * normal[2]) / np.float32(length)
    return as_map(np.exp((dot - 1) * np.float32(1 / GLOSS_WIDTH**2)))


def _mirror(normal: tuple[Map, Map, Map], lighting: Lighting) -> Map:
    """Return what bare metal shows: lights, ceiling, the dark camera above."""
    nx, ny, nz = normal
    rx, ry, rz = 2 * nz * nx, 2 * nz * ny, 2 * nz * nz - 1
    scene = 0.10 + 0.22 * np.clip(rz + 0.4, 0, 1) - 0.10 * np.exp((rz - 1) * 30)
    for light, power in zip(LIGHTS, lighting.power, strict=True):
        x, y, z = light.towards
        lobe = np.exp((x * rx + y * ry + z * rz - 1) * 16)
        scene = scene + power * light.strength * 0.75 * lobe
    return as_map(scene)


def _nooks(height: Map, pitch: float) -> Map:
    """Return how open each spot is to the sky, 0–1: corners and holes are dark."""
    around = ndimage.uniform_filter(height, max(3, int(3.0 / pitch)), mode="nearest")
    return as_map(1 / (1 + np.maximum(around - height, 0) * 0.5))


def _radiance(truth: Truth, lighting: Lighting) -> Map:
    """Return linear light per colour on the fine grid, white paper being about 0.5."""
    pitch = truth.grid.fine
    down, right = np.gradient(truth.height, pitch)
    slopes = (as_map(right), as_map(down))
    steep = 1 / np.sqrt(1 + down * down + right * right)
    normal = (as_map(-right * steep), as_map(-down * steep), as_map(steep))
    nooks = _nooks(truth.height, pitch)
    diffuse, shine = AMBIENT * nooks, np.zeros_like(nooks)
    for light, power in zip(LIGHTS, lighting.power, strict=True):
        x, y, z = light.towards
        seen = np.clip(0.5 - shadow_margin(truth.height, pitch, light.towards) / PENUMBRA_MM, 0, 1)
        facing = np.maximum(x * normal[0] + y * normal[1] + z * normal[2], 0)
        arriving = np.float32(power * light.strength) * seen * facing
        diffuse = diffuse + arriving * np.float32(0.5)
        shine += arriving * (
            0.045 * truth.sheen * _fibre_lobe(truth, light, slopes)
            + 0.030 * truth.gloss * _gloss_lobe(normal, light)
        )
    radiance = as_map(truth.albedo * diffuse + shine)
    _add_metal(radiance, truth, normal, lighting, nooks)
    return radiance


def _add_metal(
    radiance: Map, truth: Truth, normal: tuple[Map, Map, Map], lighting: Lighting, nooks: Map
) -> None:
    """Replace the light of metal pixels by what they mirror, in place."""
    bare = truth.metal > 0
    cover = truth.metal[bare]
    facets = (normal[0][bare], normal[1][bare], normal[2][bare])
    mirrored = _mirror(facets, lighting) * nooks[bare]
    for channel, tint in enumerate(METAL):
        below = radiance[channel][bare]
        radiance[channel][bare] = below + cover * (tint * mirrored - below)


def _vignette(truth: Truth) -> Map:
    """Return the lens's loss of light towards the corners."""
    axis = truth.grid.frame_axis() / np.float32(67.9)
    return as_map(1 - 0.14 * (axis[None, :] ** 2 + axis[:, None] ** 2))


def render_rgb(truth: Truth, lighting: Lighting) -> Rendering:
    """Render the colour frame.

    Parameters
    ----------
    truth : Truth
        The part.
    lighting : Lighting
        This capture's light.

    Returns
    -------
    Rendering (y, x, color)
        Counts of an 8-bit camera, 0–255, and their noise.
    """
    linear = truth.grid.reduce(_radiance(truth, lighting)) * _vignette(truth)
    linear = ndimage.gaussian_filter(linear, (0, lighting.blur, lighting.blur), mode="nearest")
    gain = as_map([lighting.white[0], 1.0, lighting.white[1]])[:, None, None]
    linear = np.clip(linear * gain, 0, 1)
    electrons = np.sqrt(linear * FULL_WELL + READ_NOISE**2) / FULL_WELL
    signal = encode(linear)
    slope = (encode(linear + 0.001) - signal) / 0.001
    noise = electrons * slope
    return Rendering(as_map(np.moveaxis(signal, 0, -1)), as_map(np.moveaxis(noise, 0, -1)))


def encode(linear: Any) -> Map:
    """Bring linear light (0–1) to the camera's 8-bit counts by a gamma curve with a toe."""
    base = TOE ** (1 / GAMMA)
    return as_map(255 * ((linear + TOE) ** (1 / GAMMA) - base) / ((1 + TOE) ** (1 / GAMMA) - base))


def expose_rgb(rendering: Rendering, rng: np.random.Generator) -> Map:
    """Add noise and round to whole counts (y, x, color), 0–255."""
    noise = as_map(rng.standard_normal(rendering.signal.shape, dtype=np.float32))
    return as_map(np.clip(np.rint(rendering.signal + noise * rendering.noise), 0, 255))

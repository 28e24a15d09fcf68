"""The colour camera: two area lamps, a real lens and a real exposure.

* Four rays per pixel; each sees another pair of points of either lamp, which softens shadows.
* Lacquer and ink scatter after Lambert under a microfacet gloss; bare metal mirrors lamps, room
  and the dark camera; fibres reflect across their direction (see ``reflection``).
* Noise is that of photons and of the read-out, set in linear light and carried through gamma.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmdefect.registration import Camera
from mmdefect.simulate.light.reflection import openness
from mmdefect.simulate.light.shade import Lamp, Shading
from mmdefect.simulate.light.surface import Looks
from mmdefect.simulate.raster import Map, Rendering, as_map
from mmdefect.simulate.station import LAMPS
from mmdefect.simulate.tracer import Hits, World

COUNTS = 65535
FULL_WELL = 10000.0
READ_NOISE = 4.0
GAMMA = 2.2
TOE = 0.004
VIGNETTING = 6.0
LAMP_MM = 40.0
LAMP_POWERS = (0.55, 0.42)
SPLIT = 2
_BAND = 1 << 16
_NODES_PX = 8


@dataclass(frozen=True)
class Lighting:
    """Drift of light and camera from capture to capture.

    Parameters
    ----------
    power : tuple of float, 1
        Strength of the two lamps, about 1.
    exposure : float, 1
        Of the camera, about 1.
    white : tuple of float, 1
        Strength of red and blue against green.
    blur : float, px
        Standard deviation of the lens's blur.
    """

    power: tuple[float, float] = (1.0, 1.0)
    exposure: float = 1.0
    white: tuple[float, float] = (1.0, 1.0)
    blur: float = 0.5


def draw_lighting(rng: np.random.Generator) -> Lighting:
    """Draw the drift of lamps (±3 %), exposure (±5 %), white balance (1 %) and focus."""
    power = rng.uniform(0.97, 1.03, 2)
    white = rng.normal(1, 0.01, 2)
    return Lighting(
        power=(float(power[0]), float(power[1])),
        exposure=float(rng.uniform(0.95, 1.05)),
        white=(float(white[0]), float(white[1])),
        blur=float(rng.uniform(0.40, 0.60)),
    )


def render_rgb(world: World, camera: Camera, lighting: Lighting) -> Rendering:
    """Render the colour frame.

    Parameters
    ----------
    world : World
        The part at its place.
    camera : Camera
    lighting : Lighting
        This capture's light.

    Returns
    -------
    Rendering (y, x, color)
        Counts of a 16-bit picture, 0–65535, gamma-encoded, and their noise; saturated pixels
        keep that of the read-out only.
    """
    linear = _radiance(world, camera, lighting) * _vignette(camera)[..., None]
    linear = ndimage.gaussian_filter(
        linear, (lighting.blur, lighting.blur, 0), mode="nearest", truncate=3
    )
    linear *= as_map([lighting.white[0], 1, lighting.white[1]]) * np.float32(lighting.exposure)
    photons = np.where(linear < 1, linear, 0)
    linear = np.minimum(linear, np.float32(1))
    noise = np.sqrt(photons * np.float32(FULL_WELL) + np.float32(READ_NOISE**2)) / FULL_WELL
    return Rendering(encode(linear), as_map(noise * _contrast(linear)))


def expose_rgb(rendering: Rendering, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Add noise and round to whole counts.

    Returns
    -------
    uint16 array (y, x, color), 0–65535
    """
    noise = rng.standard_normal(rendering.signal.shape, dtype=np.float32)
    counts = np.rint(rendering.signal + noise * rendering.noise)
    return np.clip(counts, 0, COUNTS).astype(np.uint16)


def encode(linear: Any) -> Map:
    """Bring linear light (0–1) to 16-bit counts by a gamma curve with a toe."""
    base = TOE ** (1 / GAMMA)
    curve = (as_map(linear) + np.float32(TOE)) ** np.float32(1 / GAMMA) - np.float32(base)
    return as_map(curve * np.float32(COUNTS / ((1 + TOE) ** (1 / GAMMA) - base)))


def _contrast(linear: Map) -> Map:
    """Give the slope of the gamma curve, counts per unit of linear light."""
    scale = COUNTS / ((1 + TOE) ** (1 / GAMMA) - TOE ** (1 / GAMMA)) / GAMMA
    return as_map(np.float32(scale) * (linear + np.float32(TOE)) ** np.float32(1 / GAMMA - 1))


def _vignette(camera: Camera) -> Map:
    """Give the lens's loss of light away from its axis (y, x), 1."""
    across = (np.arange(camera.width) - camera.cx) / camera.fx
    down = (np.arange(camera.height) - camera.cy) / camera.fy
    return as_map(1 / (1 + VIGNETTING * (across[None, :] ** 2 + down[:, None] ** 2)))


def _directions(camera: Camera, split: int = SPLIT) -> Map:
    """Give the directions (rows · split, columns · split, 3) in which parts of pixels look.

    Exact every 8 px, linear between: the lens bends rays by less than 1e-3 px within that.
    """
    nodes = [np.arange(0, side + _NODES_PX, _NODES_PX) - 0.5 for side in _shape(camera)]
    exact = camera.directions(np.stack(np.meshgrid(nodes[1], nodes[0]), axis=-1))
    down, across = (
        _between(side * split, len(axis), split)
        for side, axis in zip(_shape(camera), nodes, strict=True)
    )
    rays = np.einsum("ik,kla,jl->ija", down, as_map(exact), across, optimize=True)
    return as_map(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def _shape(camera: Camera) -> tuple[int, int]:
    """Give rows and columns of a camera's frame."""
    return camera.height, camera.width


def _between(count: int, nodes: int, split: int) -> Map:
    """Give the weights (count, nodes) of linear interpolation between nodes."""
    place = (np.arange(count) + 0.5) / (split * _NODES_PX)
    return as_map(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(nodes))))


def _radiance(world: World, camera: Camera, lighting: Lighting) -> Map:
    """Render linear light (y, x, color) before the lens."""
    rays = _directions(camera)
    shape = rays.shape[:2]
    eye = as_map(camera.centre)
    step = max(SPLIT, _BAND // shape[1] // SPLIT * SPLIT)
    bands = [slice(start, start + step) for start in range(0, shape[0], step)]
    hits = [world.cast(eye, rays[band].reshape(-1, 3)) for band in bands]
    pitch = float(np.linalg.norm(world.part.to_rig(np.zeros(3, np.float32)) - eye)) / camera.fx
    sky = _sky(hits, shape, pitch)
    shading = Shading(world, Looks(world.part, pitch / SPLIT), eye, _lamps(world, lighting))
    sub = np.arange(SPLIT)[:, None] * SPLIT + np.arange(SPLIT)
    rows = []
    for band, hit in zip(bands, hits, strict=True):
        height = rays[band].shape[0]
        which = np.tile(sub, (height // SPLIT, shape[1] // SPLIT)).ravel()
        light = shading.radiance(hit, sky[band].ravel(), which)
        rows.append(_pixel_means(light.reshape(3, height, shape[1])))
    return as_map(np.moveaxis(np.concatenate(rows, axis=1), 0, -1))


def _pixel_means(light: Map) -> Map:
    """Average the rays of each pixel (color, y, x)."""
    parts = range(SPLIT)
    total = sum(light[:, i::SPLIT, j::SPLIT] for i in parts for j in parts)
    return as_map(total / np.float32(SPLIT * SPLIT))


def _lamps(world: World, lighting: Lighting) -> tuple[Lamp, ...]:
    """Give the lamps as this capture finds them."""
    middle = world.part.to_rig(np.zeros(3, np.float32))
    return tuple(
        Lamp(place, middle, LAMP_MM, power * drift)
        for place, power, drift in zip(LAMPS, LAMP_POWERS, lighting.power, strict=True)
    )


def _sky(hits: list[Hits], shape: tuple[int, int], pitch: float) -> Map:
    """Give how open each ray's place is to the sky, at the rays' resolution."""
    heights = np.concatenate([hit.places[:, 2] for hit in hits]).reshape(shape)
    lost = np.isnan(heights)
    if lost.all():
        return np.ones(shape, np.float32)
    heights[lost] = heights[~lost].min()
    coarse = heights[::SPLIT, ::SPLIT]
    return np.kron(openness(coarse, pitch), np.ones((SPLIT, SPLIT), np.float32))

"""The structured-light scanner: projector at the side, camera above.

* Depth noise follows from the fringes' phase noise, so it grows where the surface is dark or
  turned away from the projector.
* No point is returned in the projector's shadow, at grazing incidence, where a mirror-like head
  saturates the camera, or across a step; concave corners bend the surface (light bounces twice).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mmdefect.simulate.shadow import shadow_margin
from mmdefect.simulate.truth import Grid, Map, Rendering, Truth, as_map

DISTANCE_MM = 450.0
PROJECTOR_ZENITH = 25.0
FRINGE_MM = 26.0
PHASE_STEPS = 8
ELECTRONS = 90000.0
FULL_WELL = 15000.0
READ_NOISE = 12.0
FLOOR_MM = 0.006
STEEPEST = np.cos(np.deg2rad(72.0))
STEP_MM = 0.7
MIRROR_CONE = np.cos(np.deg2rad(7.0))
WORST_NOISE_MM = 0.15
BOUNCE = 0.05

TOWARDS = (
    float(np.sin(np.deg2rad(PROJECTOR_ZENITH))),
    0.0,
    float(np.cos(np.deg2rad(PROJECTOR_ZENITH))),
)


@dataclass(frozen=True)
class Scanning:
    """Drift of the scanner from capture to capture.

    Parameters
    ----------
    power : float, 1
        The projector's light, about 1.
    offset : float, mm
        Offset of every depth.
    """

    power: float
    offset: float


def draw_scanning(rng: np.random.Generator) -> Scanning:
    """Draw the projector's drift (±5 %) and the depth offset."""
    return Scanning(power=float(rng.uniform(0.95, 1.05)), offset=float(rng.normal(0, 0.02)))


def _normal(height: Map, pitch: float) -> tuple[Map, Map, Map]:
    """Return the surface normal of each pixel."""
    down, right = np.gradient(height, pitch)
    steep = 1 / np.sqrt(1 + down * down + right * right)
    return as_map(-right * steep), as_map(-down * steep), as_map(steep)


def _depth_noise(truth: Truth, facing: Map, power: float) -> Map:
    """Return the standard deviation of depth (mm) from the fringes' modulation."""
    grid = truth.grid
    diffuse = truth.albedo.mean(axis=0) + 0.03 * truth.sheen
    diffuse = grid.reduce(diffuse * (1 - truth.metal) + 0.10 * truth.metal)
    quanta = np.clip(ELECTRONS * power * diffuse * np.maximum(facing, 0.02), 1, FULL_WELL)
    phase = np.sqrt(2 / PHASE_STEPS) * np.sqrt(quanta + READ_NOISE**2) / quanta
    return as_map(np.hypot(FRINGE_MM / (2 * np.pi) * phase, FLOOR_MM))


def _blind(truth: Truth, normal: tuple[Map, Map, Map], facing: Map, height: Map) -> Map:
    """Return where no point comes back (y, x): 1 blind, 0 seen."""
    grid = truth.grid
    hidden = grid.reduce(shadow_margin(truth.height, grid.fine, TOWARDS) > 0) > 0.4
    length = float(np.hypot(TOWARDS[0], TOWARDS[2] + 1))
    bisector = (TOWARDS[0] * normal[0] + (TOWARDS[2] + 1) * normal[2]) / length
    dazzled = (grid.reduce(truth.metal) > 0.5) & (bisector > MIRROR_CONE)
    reach = max(3, 2 * round(0.5 / grid.pitch) + 1)
    step = ndimage.maximum_filter(height, reach) - ndimage.minimum_filter(height, reach)
    grazing = (facing < STEEPEST) | (normal[2] < STEEPEST)
    return as_map(hidden | dazzled | grazing | (step > STEP_MM * reach * grid.pitch))


def render_points(truth: Truth, scanning: Scanning) -> Rendering:
    """Render the depth along the camera's axis.

    Parameters
    ----------
    truth : Truth
        The part.
    scanning : Scanning
        This capture's scanner.

    Returns
    -------
    Rendering (y, x), mm
        Distance from the camera's plane, NaN where no point comes back; its noise.
    """
    grid = truth.grid
    height = grid.reduce(truth.height)
    normal = _normal(height, grid.pitch)
    facing = as_map(TOWARDS[0] * normal[0] + TOWARDS[2] * normal[2])
    blind = _blind(truth, normal, facing, height) > 0
    around = ndimage.uniform_filter(height, max(3, round(3.0 / grid.pitch)), mode="nearest")
    bent = height + BOUNCE * np.clip(around - height, 0, 1)
    depth = DISTANCE_MM + scanning.offset - bent
    depth[blind] = np.nan
    return Rendering(as_map(depth), _depth_noise(truth, facing, scanning.power))


def expose_points(rendering: Rendering, grid: Grid, rng: np.random.Generator) -> Map:
    """Measure an organised point cloud.

    Parameters
    ----------
    rendering : Rendering (y, x), mm
        Noise-free depth.
    grid : Grid
        Gives each pixel's direction.
    rng : Generator
        Source of the noise.

    Returns
    -------
    Map (y, x, axis), mm
        x, y, z in the camera's frame (z away from it); NaN where no point came back, which
        also befalls some pixels whose fringes are too weak.
    """
    shape = rendering.signal.shape
    noise = rng.standard_normal(shape, dtype=np.float32)
    fade = rng.standard_normal(shape, dtype=np.float32)
    depth = rendering.signal + rendering.noise * noise
    depth[rendering.noise * (1 + 0.25 * fade) > WORST_NOISE_MM] = np.nan
    scale = depth / np.float32(DISTANCE_MM)
    axis = grid.frame_axis()
    return as_map(np.stack([axis[None, :] * scale, axis[:, None] * scale, depth], axis=-1))

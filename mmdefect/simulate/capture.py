"""What a capture holds, how all sensors look at a part, and how far a defect stands out.

Each sensor's contrast is measured between twins' noise-free renderings. It says which sensor sees
which defect, and nobody has to claim it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.registration import Camera, Rig
from mmdefect.simulate.body import Part, Planted
from mmdefect.simulate.heat.infrared import (
    Heating,
    draw_bad_pixels,
    draw_heating,
    expose_infrared,
    render_infrared,
)
from mmdefect.simulate.light.points import Scanning, draw_scanning, expose_points, render_points
from mmdefect.simulate.light.rgb import Lighting, draw_lighting, expose_rgb, render_rgb
from mmdefect.simulate.raster import Mask, Rendering
from mmdefect.simulate.station import SENSORS, rays_of
from mmdefect.simulate.tracer import World
from mmdefect.simulate.xray.radiograph import (
    Detector,
    Tube,
    draw_detector,
    draw_tube,
    expose_xray,
    render_xray,
)

SEEN, UNSEEN = 3.0, 0.5
_HARDWARE_STREAM = 7
_EDGE = 0.5


@dataclass(frozen=True)
class Surroundings:
    """Everything about one trigger that is not the part."""

    lighting: Lighting
    scanning: Scanning
    heating: Heating
    tube: Tube


@dataclass(frozen=True)
class Hardware:
    """What belongs to the station's sensors and stays the same for all captures of a data set."""

    detector: Detector
    bad_pixels: Mask


@dataclass(frozen=True)
class Capture:
    """All frames of one part, with what is true about it.

    Parameters
    ----------
    product, kind : str
    seed : tuple of int
        Of the data set, of the product's name, number of the split, index within the split.
    rig : Rig
        Where the sensors stand.
    frames : dict of str to array
        As the sensors deliver them, each on its own grid: ``rgb`` (y, x, color) uint16 counts;
        ``points`` (y, x, axis) float32 mm in the scanner's frame, NaN where no point came back;
        ``infrared`` (y, x) float32 K, NaN at bad pixels; ``xray`` (y, x) uint16 counts.
    mask : Mask (y, x)
        Where the defect is, on the reference's grid; nowhere on a good part.
    sizes : dict of str to float
        What was drawn for the defect; the unit ends the name.
    contrast : dict of str to float, 1
        Contrast-to-noise ratio per sensor; empty for a good part.
    renderings : dict of str to Rendering
        The frames before noise; those of ``points`` are depths, of ``xray`` transmissions.
    part : Part
        The solids that were looked at.
    """

    product: str
    kind: str
    seed: tuple[int, int, int, int]
    rig: Rig
    frames: dict[str, NDArray[Any]]
    mask: Mask
    sizes: dict[str, float]
    contrast: dict[str, float]
    renderings: dict[str, Rendering]
    part: Part


def visibility(contrast: float) -> str:
    """Put a contrast-to-noise ratio into a word: seen from 3, unseen below 0.5, else marginal."""
    if contrast >= SEEN:
        return "seen"
    return "unseen" if contrast < UNSEEN else "marginal"


def render_all(
    world: World, rig: Rig, around: Surroundings, sensors: tuple[str, ...] = SENSORS
) -> dict[str, Rendering]:
    """Let every sensor look at the part, without noise."""
    render: Mapping[str, Any] = {
        "rgb": lambda camera: render_rgb(world, camera, around.lighting),
        "points": lambda camera: render_points(world, camera, around.scanning),
        "infrared": lambda camera: render_infrared(world, camera, around.heating),
        "xray": lambda camera: render_xray(world, camera, around.tube),
    }
    return {name: render[name](rig.cameras[name]) for name in sensors}


def contrast_to_noise(seen: Rendering, twin: Rendering, extent: Mask) -> float:
    """Measure how far a defect stands out of one sensor's noise.

    Parameters
    ----------
    seen, twin : Rendering (y, x) or (y, x, color)
        The part with its defect and without.
    extent : Mask (y, x)
        Where the defect is in this sensor's frame.

    Returns
    -------
    float
        Mean absolute difference over the extent, divided by the mean noise of the twin there;
        pixels where either twin has no measurement are left out, 0 when none is left.
    """
    difference = np.abs(seen.signal - twin.signal)[extent]
    both = np.isfinite(difference)
    if not both.any():
        return 0.0
    return float(difference[both].mean() / twin.noise[extent][both].mean())


def extent_seen(
    planted: Planted, twins: Sequence[World], bad: World, camera: Camera, rig: Rig
) -> Mask:
    """Find a defect's extent in one camera's frame.

    Parameters
    ----------
    planted : Planted
    twins : sequence of World
        Good parts that it is compared with.
    bad : World
        The defective part.
    camera : Camera
    rig : Rig
        Its X-rays decide over flaws inside the part.

    Returns
    -------
    Mask (y, x)
        Pixels whose visible surface point lies over the defect on the part or on a twin, or whose
        X-ray through that point runs through an internal flaw.
    """
    directions = rays_of(camera).reshape(-1, 3)
    found = np.zeros(len(directions), np.bool_)
    for world in (*twins, bad):
        hits = world.cast(camera.centre, directions)
        x, y, _ = np.nan_to_num(hits.places, nan=1e6).T
        found |= hits.found & (planted.extent.at(x, y) >= _EDGE)
    if planted.shadows:
        source = rig.cameras["xray"].centre
        beams = np.nan_to_num(hits.points) - source.astype(np.float32)
        beams /= np.linalg.norm(beams, axis=1, keepdims=True)
        flaws = [[float(body.name in planted.shadows)] for body in bad.part.bodies]
        found |= hits.found & (bad.weighted_paths(source, beams, flaws)[:, 0] > 0)
    return found.reshape(camera.height, camera.width)


def draw_hardware(rig: Rig, seed: int) -> Hardware:
    """Draw the fixed patterns of a data set's sensors: the X-ray panel's, the dead pixels."""
    panel, bad = np.random.default_rng((seed, _HARDWARE_STREAM)).spawn(2)
    return Hardware(
        draw_detector(rig.cameras["xray"], panel), draw_bad_pixels(rig.cameras["infrared"], bad)
    )


def draw_surroundings(rng: np.random.Generator) -> Surroundings:
    """Draw light, scanner, heat and tube of one trigger, each from its own stream."""
    lighting, scanning, heating, tube = rng.spawn(4)
    return Surroundings(
        draw_lighting(lighting), draw_scanning(scanning), draw_heating(heating), draw_tube(tube)
    )


def expose_all(
    seen: Mapping[str, Rendering],
    rig: Rig,
    hardware: Hardware,
    noise: list[np.random.Generator],
) -> dict[str, NDArray[Any]]:
    """Add every sensor's noise.

    Parameters
    ----------
    seen : dict of str to Rendering
        The frames before noise.
    rig : Rig
    hardware : Hardware
    noise : list of Generator
        One stream for each of ``SENSORS``.

    Returns
    -------
    dict of str to array
        As ``Capture.frames``.
    """
    streams = dict(zip(SENSORS, noise, strict=True))
    expose: Mapping[str, Any] = {
        "rgb": lambda s, rng: expose_rgb(s, rng),
        "points": lambda s, rng: expose_points(s, rig.cameras["points"], rng),
        "infrared": lambda s, rng: expose_infrared(s, hardware.bad_pixels, rng),
        "xray": lambda s, rng: expose_xray(s, hardware.detector, rng),
    }
    return {name: expose[name](rendering, streams[name]) for name, rendering in seen.items()}

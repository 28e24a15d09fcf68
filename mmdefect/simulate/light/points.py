"""The structured-light scanner: a projector and a camera that see the part from two sides.

* Every point lies where its pixel's ray meets the part, plus noise along the ray that follows
  from the fringes' modulation (see ``phase``).
* No point comes back where the projector's light does not reach, where either sees the surface
  too flatly, where a shiny surface mirrors the projector into the camera, where too little light
  returns, and next to steps in depth, where a pixel sees two surfaces.
* Light that bounces between the walls of a concave corner rounds it off.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from mmdefect.registration import Camera
from mmdefect.simulate.light.facets import Beam, Facets
from mmdefect.simulate.light.phase import AMBIENT, bounce, depth_noise
from mmdefect.simulate.light.reflection import dot, openness
from mmdefect.simulate.light.surface import Looks, Surface
from mmdefect.simulate.raster import Map, Mask, Rendering, as_map
from mmdefect.simulate.station import DISTANCE_MM, PROJECTOR, rays_of
from mmdefect.simulate.tracer import Hits, World

STEEPEST = float(np.cos(np.deg2rad(72.0)))
STEP_MM = 0.8
WORST_MM = 0.12
FADE = 0.25
_AROUND_MM = 3.0
_LIT_SHARE = 0.5
_BOUNCING_METAL = 0.4
_UNSEEN_MM = 10.0


@dataclass(frozen=True)
class Scanning:
    """Drift of the scanner from capture to capture.

    Parameters
    ----------
    power : float, 1
        The projector's light, about 1.
    offset : float, mm
        Of every depth.
    """

    power: float = 1.0
    offset: float = 0.0


def draw_scanning(rng: np.random.Generator) -> Scanning:
    """Draw the projector's drift (±5 %) and the depth's offset (0.02 mm)."""
    return Scanning(power=float(rng.uniform(0.95, 1.05)), offset=float(rng.normal(0, 0.02)))


def render_points(world: World, camera: Camera, scanning: Scanning) -> Rendering:
    """Render the depth along the camera's axis.

    Parameters
    ----------
    world : World
        The part at its place.
    camera : Camera
        The scanner's.
    scanning : Scanning
        This capture's scanner.

    Returns
    -------
    Rendering (y, x), mm
        Depth, NaN where no point comes back; and the standard deviation of its noise.
    """
    shape, pitch = (camera.height, camera.width), DISTANCE_MM / camera.fx
    rays = as_map(rays_of(camera)).reshape(-1, 3)
    hits = world.cast(as_map(camera.centre), rays)
    facets = Facets.met(world, Looks(world.part, pitch), hits, camera.centre)
    beam = facets.beam(PROJECTOR)
    tangent, grey = _tangent(facets, beam), facets.surface.colour.mean(axis=0)
    reflected = _reflected(facets, beam) * np.float32(scanning.power)
    noise = depth_noise(reflected, AMBIENT * grey, tangent)
    lost = ~(noise < 2 * WORST_MM) | world.hidden(hits, PROJECTOR) | _flat(facets, beam)
    bent = _bent(facets.surface, _filled(hits.places[:, 2].reshape(shape)), tangent, pitch)
    depth = camera.pose.into(hits.points)[:, 2] - bent + np.float32(scanning.offset)
    blind = lost.reshape(shape) | _at_steps(hits, rays, shape, camera.centre)
    depth = np.where(blind, np.float32(np.nan), depth.reshape(shape))
    noise = np.where(noise < _UNSEEN_MM, noise, np.float32(_UNSEEN_MM))
    return Rendering(as_map(depth), as_map(noise.reshape(shape)))


def expose_points(rendering: Rendering, camera: Camera, rng: np.random.Generator) -> Map:
    """Measure an organised point cloud.

    Parameters
    ----------
    rendering : Rendering (y, x), mm
        Noise-free depth.
    camera : Camera
        The scanner's; gives each pixel's ray.
    rng : Generator
        Source of the noise.

    Returns
    -------
    Map (y, x, axis), mm
        x, y, z in the camera's frame (z away from it); NaN where no point came back, which
        also befalls some pixels whose fringes are weak.
    """
    shape = rendering.signal.shape
    depth = rendering.signal + rendering.noise * rng.standard_normal(shape, dtype=np.float32)
    fade = 1 + np.float32(FADE) * rng.standard_normal(shape, dtype=np.float32)
    depth[rendering.noise * fade > WORST_MM] = np.nan
    rays = as_map(rays_of(camera) @ camera.pose.rotation.T)
    return as_map(rays * (depth / rays[..., 2])[..., None])


def _reflected(facets: Facets, beam: Beam) -> Map:
    """Give the projector's light that comes back (n,); 1 from a white surface that faces it."""
    reach = np.linalg.norm(PROJECTOR - np.array([0.0, 0.0, DISTANCE_MM]))
    reflectance = (facets.diffuse() + facets.fresnel(beam) * facets.gloss(beam)).mean(axis=0)
    arriving = beam.facing * (np.float32(reach) / beam.distance) ** 2
    return as_map((reflectance + facets.sheen(beam)) * arriving)


def _tangent(facets: Facets, beam: Beam) -> Map:
    """Give the tangent of the angle between the rays of projector and camera (n,)."""
    cosine = np.clip(dot(beam.towards, facets.to_eye), 1e-3, 1)
    return as_map(np.sqrt(1 - cosine * cosine) / cosine)


def _flat(facets: Facets, beam: Beam) -> Mask:
    """Tell where projector or camera see the surface too flatly (n,)."""
    seen = np.minimum(dot(facets.smooth, facets.to_eye), dot(facets.smooth, beam.towards))
    return np.asarray(seen < STEEPEST)


def _bent(surface: Surface, heights: Map, tangent: Map, pitch: float) -> Map:
    """Give how far bounced light bends each point towards the sensors (n,), mm."""
    around = ndimage.gaussian_filter(heights, _AROUND_MM / 2 / pitch, mode="nearest")
    rise = np.maximum(around - heights, 0).ravel()
    grey, metal = surface.colour.mean(axis=0), surface["metal"]
    bouncing = grey * (1 - metal) + _BOUNCING_METAL * metal
    share = _LIT_SHARE * (1 - openness(heights, pitch).ravel()) * bouncing
    return bounce(share, rise, tangent)


def _filled(heights: Map) -> Map:
    """Replace heights of nothing by the lowest."""
    lost = np.isnan(heights)
    lowest = 0 if lost.all() else heights[~lost].min()
    return as_map(np.where(lost, lowest, heights))


def _at_steps(hits: Hits, rays: Map, shape: tuple[int, int], eye: Any) -> Mask:
    """Tell which pixels lie next to a step in depth (y, x), on either side.

    A neighbour lies beyond a step when both pixels' tangent planes miss it; so slopes are none.
    """
    level = np.einsum("ij,ij->i", hits.normals, hits.points - as_map(eye))
    fields = (hits.normals, rays, level[:, None], hits.distance[:, None])
    normals, towards, level, distance = (field.reshape(*shape, -1) for field in fields)
    marked = np.zeros(shape, bool)
    for axis in (0, 1):
        a, b = ((slice(None),) * axis + (cut,) for cut in (slice(None, -1), slice(1, None)))
        step = _missed(normals[a], level[a], towards[b], distance[b])
        step &= _missed(normals[b], level[b], towards[a], distance[a])
        marked[a] |= step
        marked[b] |= step
    return marked


def _missed(normals: Map, level: Map, towards: Map, distance: Map) -> Mask:
    """Tell where a ray meets the part off its neighbour's tangent plane by a step or more."""
    against = np.einsum("ijk,ijk->ij", normals, towards)
    predicted = level[..., 0] / np.minimum(against, np.float32(-1e-4))
    return np.asarray(~(np.abs(predicted - distance[..., 0]) < STEP_MM))

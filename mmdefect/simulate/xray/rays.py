"""The primary beam: how much of it comes straight through the part, pixel by pixel.

* A pixel sees more than one ray. Where neighbours differ, at edges and wires, it is split in
  four; flat places need no such care, and most of a radiograph is flat.
* Films (copper, solder, resin) have no mesh: a ray crosses them at one height, and its way through
  them is their thickness there over the cosine of its incidence.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmdefect.registration import Camera
from mmdefect.simulate.body import Layer
from mmdefect.simulate.materials import MATERIALS
from mmdefect.simulate.raster import Map, Raster, as_map
from mmdefect.simulate.tracer import World
from mmdefect.simulate.xray.spectrum import excess_attenuation, spectrum_for

EDGE = 0.06
_QUARTERS = np.array([[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]])
_SHALLOWEST = 0.05


def primary(world: World, camera: Camera) -> Map:
    """Find what comes straight through.

    Parameters
    ----------
    world : World
    camera : Camera
        Its centre is the source.

    Returns
    -------
    Map (y, x), 1
        Share of the open beam's signal, averaged over each pixel: by one ray in its middle, or
        four where it differs from a neighbour by more than ``EDGE``.
    """
    beam = _Beam(world, camera)
    rows, columns = np.indices((camera.height, camera.width), np.float64)
    through = beam.transmission(pinhole_rays(camera, columns, rows))
    through = through.reshape(camera.height, camera.width)
    reach = ndimage.maximum_filter(through, 3) - ndimage.minimum_filter(through, 3)
    edges = np.argwhere(reach > EDGE)
    if len(edges):
        pixels = edges[:, None, ::-1] + _QUARTERS
        split = beam.transmission(pinhole_rays(camera, pixels[..., 0], pixels[..., 1]))
        through[reach > EDGE] = split.reshape(-1, 4).mean(axis=1)
    return through


def pinhole_rays(camera: Camera, columns: Any, rows: Any) -> NDArray[np.float64]:
    """Give unit vectors (…, 3) in the rig's frame from the source to places of the panel (px).

    No lens bends them.
    """
    x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    rays /= np.sqrt(x * x + y * y + 1)[..., None]
    turned: NDArray[np.float64] = rays @ camera.pose.rotation
    return turned


class _Beam:
    """The part's attenuation, ready for many rays from one source."""

    def __init__(self, world: World, camera: Camera) -> None:
        self._world, self._origin = world, camera.centre
        self._spectrum = spectrum_for(world.part)
        self._excess = excess_attenuation(world.part)
        footprint = float(camera.pose.into(world.part.pose.translation)[2] / camera.fx)
        self._films = [_averaged(layer.thickness, footprint) for layer in world.part.layers]

    def transmission(self, directions: NDArray[np.float64]) -> Map:
        """Follow rays (…, 3) and give their transmission (n,), 1."""
        rays = as_map(directions.reshape(-1, 3))
        depths = self._world.weighted_paths(self._origin, rays, self._excess)
        for layer, film in zip(self._world.part.layers, self._films, strict=True):
            attenuation = as_map(MATERIALS[layer.material].attenuation)
            depths += self._way_through(layer, film, rays)[:, None] * attenuation
        return self._spectrum.transmission(np.maximum(depths, 0))

    def _way_through(self, layer: Layer, film: Raster, rays: Map) -> Map:
        """Give the length (n,), mm, of rays within a film."""
        part = self._world.part
        start = part.from_rig(as_map(self._origin))
        ways = part.from_rig(as_map(self._origin + rays.astype(np.float64))) - start
        steep = np.minimum(ways[:, 2], -np.float32(_SHALLOWEST))
        distance = (np.float32(layer.height) - start[2]) / steep
        x, y = start[0] + distance * ways[:, 0], start[1] + distance * ways[:, 1]
        return as_map(_within(film, x, y) * film.at(x, y) / -steep)


def _within(raster: Raster, x: Map, y: Map) -> Any:
    """Tell which places (n,) lie on a raster: a film ends where its raster does."""
    rows, columns = raster.values.shape[:2]
    u, v = (x - raster.x) / raster.pitch, (y - raster.y) / raster.pitch
    return (u > -0.5) & (u < columns - 0.5) & (v > -0.5) & (v < rows - 0.5)


def _averaged(raster: Raster, footprint: float) -> Raster:
    """Average a film's thickness over what one pixel sees of it (mm), so that it cannot alias."""
    width = round(footprint / raster.pitch)
    if width < 2:
        return raster
    values = ndimage.uniform_filter(raster.values, width, mode="nearest")
    shift = 0.5 * raster.pitch * (width % 2 - 1)
    return Raster(raster.x + shift, raster.y + shift, raster.pitch, as_map(values))

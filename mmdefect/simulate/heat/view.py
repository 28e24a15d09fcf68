"""Where the infrared camera's rays end, and how those places emit.

Every pixel is split in four rays, because edges between a hot and a cold body would alias. What
a place mirrors is found by a second sight, along the mirrored rays (`mirror`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmdefect.registration import Camera
from mmdefect.simulate.body import CHANNELS, Finish
from mmdefect.simulate.raster import Map, Raster, as_map
from mmdefect.simulate.station import rays_of
from mmdefect.simulate.tracer import Hits, World

SPLIT = 2
NOWHERE_EMISSIVITY = 0.95
_CHANNELS = tuple(CHANNELS.index(n) for n in ("emissivity", "roughness", "slope_x", "slope_y"))


@dataclass(frozen=True)
class Sight:
    """What some rays meet.

    Parameters
    ----------
    world : World
    directions : Map (n, 3)
        In the rig's frame.
    hits : Hits (n,)
    emissivity, roughness : Map (n,), 1
        Dielectrics and metals alike emit less at grazing incidence (Schlick's approximation).
    facets : Map (n, 3)
        Normals in the rig's frame, tilted by structure finer than the mesh.
    """

    world: World
    directions: Map
    hits: Hits
    emissivity: Map
    roughness: Map
    facets: Map

    def of(self, rays: NDArray[np.intp]) -> "Sight":
        """Give what some of the rays meet."""
        hits = self.hits
        fewer = Hits(
            hits.distance[rays],
            hits.body[rays],
            hits.points[rays],
            hits.normals[rays],
            hits.places[rays],
        )
        return Sight(
            self.world,
            self.directions[rays],
            fewer,
            self.emissivity[rays],
            self.roughness[rays],
            self.facets[rays],
        )


@dataclass(frozen=True)
class View:
    """What a camera sees.

    Parameters
    ----------
    sight : Sight (n,)
        Along its rays, row by row.
    shape : (int, int)
        Rows and columns of rays: twice those of pixels.
    pitch : float, mm
        Between rays, at the part.
    """

    sight: Sight
    shape: tuple[int, int]
    pitch: float


def look(world: World, camera: Camera) -> View:
    """Send four rays through each of the camera's pixels."""
    shape = SPLIT * camera.height, SPLIT * camera.width
    distance = float(np.linalg.norm(world.part.pose.translation - camera.centre))
    pitch = distance / camera.fx / SPLIT
    directions = _split(rays_of(camera)).reshape(-1, 3)
    return View(sight_along(world, camera.centre, directions, pitch), shape, pitch)


def leaders(view: View) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose rays that stand for their pixel's others.

    Returns
    -------
    rays : int array (m,)
        The first of each pixel's four, and those of the others that meet another body.
    led_by : int array (n,)
        For each ray of the view, which of those stands for it.
    """
    own = np.arange(view.shape[0] * view.shape[1]).reshape(view.shape)
    first = own[::SPLIT, ::SPLIT].repeat(SPLIT, axis=0).repeat(SPLIT, axis=1).ravel()
    body = view.sight.hits.body
    lead = np.where(body == body[first], first, own.ravel())
    leading = lead == own.ravel()
    return np.flatnonzero(leading), (np.cumsum(leading) - 1)[lead]


def sight_along(world: World, origin: NDArray[np.floating], directions: Map, pitch: float) -> Sight:
    """Follow rays (n, 3) from one origin (3,) or many (n, 3), mm, that lie `pitch` mm apart."""
    hits = world.cast(origin, directions)
    surface = _surface(world, hits, pitch)
    facets = _tilted(world, hits, surface[:, 2], surface[:, 3])
    facing = np.clip(-np.einsum("ij,ij->i", directions, facets), 0, 1)
    emissivity = surface[:, 0] * (1 - (1 - facing) ** 5)
    emissivity[~hits.found] = NOWHERE_EMISSIVITY
    return Sight(world, directions, hits, as_map(emissivity), surface[:, 1], facets)


def _split(middles: NDArray[np.float64]) -> Map:
    """Make rays (2y, 2x, 3) of those through the pixels' middles, a quarter pixel beside them."""
    down, right = np.gradient(middles, axis=(0, 1))
    rays = np.empty((SPLIT * middles.shape[0], SPLIT * middles.shape[1], 3), np.float32)
    for i, below in enumerate((-0.25, 0.25)):
        for j, beside in enumerate((-0.25, 0.25)):
            ray = middles + below * down + beside * right
            rays[i::2, j::2] = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    return rays


def _surface(world: World, hits: Hits, pitch: float) -> Map:
    """Look emissivity, roughness and slopes up (n, 4)."""
    found = np.zeros((len(hits.body), len(_CHANNELS)), np.float32)
    found[:] = as_map([NOWHERE_EMISSIVITY, 0.5, 0, 0])
    for index in np.unique(hits.body[hits.body >= 0]):
        here = np.flatnonzero(hits.body == index)
        found[here] = _look_up(world, index, hits.places[here], pitch)
    return found


def _look_up(world: World, index: int, places: Map, pitch: float) -> Map:
    """Give emissivity, roughness and slopes (n, 4) or (4,) of one body's surface."""
    look = world.part.bodies[index].look
    if isinstance(look, Finish):
        return look.channels[list(_CHANNELS)]
    block = max(1, int(pitch / look.raster.pitch + 0.35))
    if (index, block) not in world.coarse:
        world.coarse[index, block] = _coarse(look.raster, block)
    return world.coarse[index, block].at(places[:, 0], places[:, 1])


def _coarse(raster: Raster, block: int) -> Raster:
    """Average what the infrared camera sees of a skin over blocks."""
    values = np.ascontiguousarray(raster.values[..., list(_CHANNELS)])
    rows, columns = (side // block for side in values.shape[:2])
    values = values[: rows * block, : columns * block].reshape(rows, block, columns, block, -1)
    shift = (block - 1) / 2 * raster.pitch
    return Raster(
        raster.x + shift, raster.y + shift, block * raster.pitch, as_map(values.mean(axis=(1, 3)))
    )


def _tilted(world: World, hits: Hits, slope_x: Map, slope_y: Map) -> Map:
    """Tilt normals by the slopes of what is finer than the mesh; upright walls have none."""
    if not (slope_x.any() or slope_y.any()):
        return hits.normals
    turn = as_map(world.part.pose.rotation)
    up = np.clip(-(hits.normals @ turn[:, 2]), 0, 1)
    slopes = slope_x[:, None] * turn[:, 0] + slope_y[:, None] * turn[:, 1]
    facets = hits.normals - up[:, None] * slopes
    return as_map(facets / np.linalg.norm(facets, axis=1, keepdims=True))


def averaged(view: View, values: Map) -> Map:
    """Average rays (n,) over pixels (y, x)."""
    rows, columns = view.shape
    blocks = values.reshape(rows // SPLIT, SPLIT, columns // SPLIT, SPLIT)
    return as_map(blocks.mean(axis=(1, 3)))

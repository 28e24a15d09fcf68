"""Shading: the light that rays bring back from where they meet the part.

Two round lamps, seen or shadowed point by point, and the room: a sky that scatters where it is
not blocked, and that shiny surfaces mirror.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.simulate.light.facets import Facets
from mmdefect.simulate.light.reflection import dot, fresnel, surroundings
from mmdefect.simulate.light.surface import Looks
from mmdefect.simulate.raster import Map, as_map
from mmdefect.simulate.tracer import Hits, World

AMBIENT = 0.15
SAMPLES = 8
_GOLDEN = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Lamp:
    """A round area lamp that faces the part.

    Parameters
    ----------
    place, target : array (3,), mm
        Its middle and what it faces, in the rig's frame.
    radius : float, mm
    power : float, 1
        Radiance of a white surface that faces it at the target's distance.
    """

    place: Any
    target: Any
    radius: float
    power: float

    @property
    def distance(self) -> float:
        """Distance to the target, mm."""
        return float(np.linalg.norm(np.asarray(self.place) - self.target))

    @property
    def points(self) -> Map:
        """Points spread evenly over it (sample, 3), mm, in the rig's frame: a sunflower's seeds."""
        ahead = (np.asarray(self.target) - self.place) / self.distance
        side = np.cross(ahead, [0.0, 0.0, 1.0] if abs(ahead[2]) < 0.9 else [1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        index = np.arange(SAMPLES)
        radius = self.radius * np.sqrt((index + 0.5) / SAMPLES)
        turn = index * _GOLDEN
        flat = radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
        return as_map(self.place + flat @ np.stack([side, np.cross(ahead, side)]))


@dataclass(frozen=True)
class Shading:
    """Everything that the light of one capture depends on but where its rays go.

    Parameters
    ----------
    world : World
    looks : Looks
    eye : array (3,), mm
        The camera's centre in the rig's frame.
    lamps : tuple of Lamp
    """

    world: World
    looks: Looks
    eye: Any
    lamps: tuple[Lamp, ...]

    def radiance(self, hits: Hits, sky: Map, which: NDArray[np.intp]) -> Map:
        """Give the light that comes back along rays.

        Parameters
        ----------
        hits : Hits (n,)
        sky : Map (n,), 1
            How open the place is to the sky.
        which : int array (n,)
            Which pair of each lamp's points a ray asks for shadow, 0 to ``SAMPLES // 2`` - 1.

        Returns
        -------
        Map (color, n)
            1 saturates the camera at nominal exposure; 0 where a ray met nothing.
        """
        facets = Facets.met(self.world, self.looks, hits, self.eye)
        sky = sky * (np.float32(0.5) + np.float32(0.5) * dot(facets.normal, self._upwards))
        diffuse = facets.diffuse()
        light = diffuse * (np.float32(AMBIENT) * sky) + self._room(facets, sky)
        for lamp in self.lamps:
            beam = facets.beam(lamp.place)
            arriving = self._lit(lamp, hits, which) * beam.facing / beam.distance**2
            arriving *= np.float32(lamp.power * lamp.distance**2)
            shine = facets.fresnel(beam) * facets.gloss(beam, lamp.radius)
            light += (diffuse + shine + facets.sheen(beam)) * arriving
        return as_map(np.where(hits.found, light, 0))

    @property
    def _upwards(self) -> Map:
        """Give the way to the ceiling (3,), which is that to the camera, in part coordinates."""
        turn = self.world.part.pose.rotation * np.array([1, 1, -1])
        return as_map(np.array([0.0, 0.0, -1.0]) @ turn)

    def _lit(self, lamp: Lamp, hits: Hits, which: NDArray[np.intp]) -> Map:
        """Give how much of a lamp each place sees (n,), by two shadow rays."""
        points = lamp.points
        seen = np.zeros(len(which), np.float32)
        for offset in (0, SAMPLES // 2):
            seen += ~self.world.hidden(hits, points.take(which + offset, axis=0))
        return seen / np.float32(2)

    def _room(self, facets: Facets, sky: Map) -> Map:
        """Give what facets mirror of the room (color, n)."""
        facing = dot(facets.normal, facets.to_eye)
        mirrored = 2 * facing * facets.normal - facets.to_eye
        eye = self.world.part.from_rig(as_map(self.eye))
        room = surroundings(mirrored, self._upwards, facets.place, eye, facets.surface["roughness"])
        return fresnel(facets.reflectance, facing) * (room * sky)

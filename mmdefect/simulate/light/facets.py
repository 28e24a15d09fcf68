"""The facets that rays meet, and how each sends light from a place back to an eye.

The colour camera and the scanner differ in their lights and in what they make of the light that
returns; how a surface reflects it is the same, and is here. Vectors are in the part's
coordinates (x, y, height), component first.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mmdefect.simulate.light.reflection import dot, fibres, fresnel, microfacets, unit, visibility
from mmdefect.simulate.light.surface import Looks, Surface
from mmdefect.simulate.raster import Map, as_map
from mmdefect.simulate.tracer import Hits, World

SHEEN = 0.14


@dataclass(frozen=True)
class Beam:
    """Light from one place, as it arrives at n facets.

    Parameters
    ----------
    towards : Map (3, n)
        Unit vectors to the place.
    distance : Map (n,), mm
    facing : Map (n,), 1
        Cosine of the angle of incidence; 0 from behind.
    half : Map (3, n)
        Unit bisectors of light and view.
    """

    towards: Map
    distance: Map
    facing: Map
    half: Map


@dataclass(frozen=True)
class Facets:
    """Where n rays meet the part.

    Parameters
    ----------
    world : World
    surface : Surface
    place : Map (3, n), mm
    smooth : Map (3, n)
        Unit normals of the mesh.
    normal : Map (3, n)
        Unit normals, tilted by the skin's slopes.
    to_eye : Map (3, n)
        Unit vectors to the camera.
    """

    world: World
    surface: Surface
    place: Map
    smooth: Map
    normal: Map
    to_eye: Map

    @classmethod
    def met(cls, world: World, looks: Looks, hits: Hits, eye: Any) -> "Facets":
        """Describe the facets that rays from an eye (3,), mm, in the rig's frame, have met."""
        turn = as_map(world.part.pose.rotation * np.array([1, 1, -1]))
        place = np.ascontiguousarray(hits.places.T)
        smooth = np.ascontiguousarray((hits.normals @ turn).T)
        surface = looks.at(hits.body, hits.places)
        to_eye, _ = unit(world.part.from_rig(as_map(eye))[:, None] - place)
        return cls(world, surface, place, smooth, _tilted(smooth, surface), to_eye)

    @property
    def reflectance(self) -> Map:
        """Mirror reflectance at normal incidence (color, n), 1; metals tint it."""
        metal = self.surface["metal"]
        return self.surface["specular"] * (1 - metal + metal * self.surface.colour)

    def beam(self, place: Any) -> Beam:
        """Let light arrive from a place (3,), mm, in the rig's frame."""
        here = self.world.part.from_rig(as_map(place))
        towards, distance = unit(here[:, None] - self.place)
        half, _ = unit(towards + self.to_eye)
        return Beam(towards, distance, np.maximum(dot(self.normal, towards), 0), half)

    def diffuse(self) -> Map:
        """Give the Lambert reflectance (color, n), 1."""
        return self.surface.colour * (1 - self.surface["metal"])

    def gloss(self, beam: Beam, size: float = 0.0) -> Map:
        """Give π times the microfacets' reflectance distribution, less Fresnel's share.

        Parameters
        ----------
        beam : Beam
        size : float, mm
            Radius of the light, which widens the lobe as the light's angular radius widens the
            bisector's.

        Returns
        -------
        Map (n,), 1
            As a white Lambert surface has 1.
        """
        spread = (np.float32(size) / beam.distance) ** 2 / 4
        width = np.sqrt(self.surface["roughness"] ** 2 + spread)
        lobe = microfacets(self.normal, beam.half, width, self.surface.spread)
        seen = visibility(beam.facing, dot(self.normal, self.to_eye), width)
        return np.float32(np.pi) * lobe * seen

    def fresnel(self, beam: Beam) -> Map:
        """Give the share of light that facets along the bisector mirror (color, n), 1."""
        return fresnel(self.reflectance, dot(beam.half, self.to_eye))

    def sheen(self, beam: Beam) -> Map | float:
        """Give what fibres add to the reflectance (n,), 1; they lie in the tilted surface."""
        strength = self.surface["sheen"]
        if not strength.any():
            return 0.0
        x, y = np.cos(self.surface["fibre"]), np.sin(self.surface["fibre"])
        level = np.maximum(self.normal[2], np.float32(0.2))
        rise = -(self.normal[0] * x + self.normal[1] * y) / level
        along, _ = unit(np.stack([x, y, rise]))
        return np.float32(SHEEN) * strength * fibres(along, beam.half)


def _tilted(normal: Map, surface: Surface) -> Map:
    """Tilt normals (3, n) by the skin's slopes where the surface looks up."""
    level = np.maximum(normal[2], 0)
    tilted = normal.copy()
    tilted[0] -= level * surface["slope_x"]
    tilted[1] -= level * surface["slope_y"]
    return unit(tilted)[0]

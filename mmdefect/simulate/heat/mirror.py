"""What bare metal shows an infrared camera: everything but itself.

Metal emits little and mirrors its surroundings: the station's warm hood, the flash lamp that
glows on, the camera's cold lens, and the warm table or part beside it. Tool marks tilt the
mirror, roughness smears it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.registration import Camera
from mmdefect.simulate.heat.view import Sight, View, sight_along
from mmdefect.simulate.raster import Map, as_map
from mmdefect.simulate.station import FLASH

SHINY = 0.85
GLOW_K = 8.0
GLOW_SECONDS = 4.0
GLOW_WIDTH = 0.16
LENS_K = -2.0
LENS_WIDTH = 0.10
_LIFT_MM = 0.01


@dataclass(frozen=True)
class Mirror:
    """What the shiny places of a view mirror.

    Parameters
    ----------
    rays : int array (m,)
        Which rays of the view meet an emissivity below 0.85: metal, and walls at a glance.
    sight : Sight (m,)
        Along their mirror images.
    """

    rays: NDArray[np.intp]
    sight: Sight


def mirror_of(view: View) -> Mirror:
    """Follow the mirrored rays of all shiny places; the others mirror too little of a neighbour."""
    sight = view.sight
    rays = np.flatnonzero((sight.emissivity < SHINY) & sight.hits.found)
    ways = _mirrored(sight)[rays]
    start = sight.hits.points[rays] + np.float32(_LIFT_MM) * sight.hits.normals[rays]
    return Mirror(rays, sight_along(sight.world, start, ways, view.pitch))


def _mirrored(sight: Sight) -> Map:
    """Give the directions (n, 3) that rays are mirrored to."""
    across = 2 * np.einsum("ij,ij->i", sight.directions, sight.facets)
    return as_map(sight.directions - across[:, None] * sight.facets)


def surroundings(view: View, camera: Camera, hood: float, seconds: float | None) -> Map:
    """Tell how much warmer than the room those surroundings are that each place mirrors.

    Parameters
    ----------
    view : View
    camera : Camera
    hood : float, K
        How much warmer the hood is; warmest above the part.
    seconds : float, s, or None
        Since the flash; None when there was none, and no lamp glows.

    Returns
    -------
    Map (n,), K
    """
    sight = view.sight
    ways, points, wide = _mirrored(sight), sight.hits.points, sight.roughness**2
    rise = hood * (0.7 - 0.3 * ways[:, 2] + 0.15 * ways[:, 0])
    if seconds is not None:
        glow = GLOW_K * float(np.exp(-seconds / GLOW_SECONDS))
        rise += glow * _lobe(ways, points, FLASH, GLOW_WIDTH, wide)
    rise += LENS_K * _lobe(ways, points, camera.centre, LENS_WIDTH, wide)
    return as_map(np.where(sight.hits.found, rise, hood))


def with_neighbours(around: Map, mirror: Mirror, rise: Map, hood: float) -> Map:
    """Replace surroundings by bodies where these are mirrored.

    Parameters
    ----------
    around : Map (n,), K
        Rise of the surroundings, as `surroundings` gives it.
    mirror : Mirror
    rise : Map (m,), K
        Of what the mirrored rays meet.
    hood : float, K
        Rise of what that mirrors in turn.

    Returns
    -------
    Map (n,), K
    """
    sight = mirror.sight
    seen = sight.emissivity * rise + (1 - sight.emissivity) * np.float32(hood)
    around = around.copy()
    around[mirror.rays] = np.where(sight.hits.found, seen, around[mirror.rays])
    return around


def _lobe(
    ways: Map, points: Map, place: NDArray[np.float64], width: float, spread: Map
) -> NDArray[Any]:
    """Tell how much of a small thing is seen in a mirror that roughness smears (n,), 1."""
    towards = as_map(place) - points
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    off = 2 - 2 * np.einsum("ij,ij->i", ways, towards)
    blur = width**2 + spread
    return as_map(width**2 / blur * np.exp(-off / (2 * blur)))

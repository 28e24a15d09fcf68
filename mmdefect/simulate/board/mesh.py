"""Meshes that a populated board needs: leads, fillets, balls, and many copies of one of them.

Hundreds of joints share a handful of shapes. They are merged into one body per material and look,
because a ray caster's time and memory grow with the number of bodies.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.simulate.raster import Map, as_map
from mmdefect.simulate.shapes import Mesh, blob, prism, turned

_FILLET = ((0.0, 0.0), (1.0, 0.0), (0.62, 0.10), (0.33, 0.32), (0.13, 0.64), (0.0, 1.0))
_DOME = ((0.0, 1.0), (0.45, 0.9), (0.8, 0.6), (1.0, 0.0))


def merged(meshes: Sequence[Mesh]) -> Mesh:
    """Put closed meshes that do not touch into one."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    triangles = [mesh[1] + np.uint32(start) for mesh, start in zip(meshes, starts, strict=False)]
    return np.concatenate([mesh[0] for mesh in meshes]), np.concatenate(triangles)


def scattered(mesh: Mesh, scales: Any, places: Any, turns: Any = 0.0) -> Mesh:
    """Copy a mesh to many places.

    Parameters
    ----------
    mesh : Mesh
    scales : array (n, 3) or (3,), 1
        Along its own x, y and height.
    places : array (n, 3), mm
        Where its origin goes.
    turns : array (n,) or float, rad
        From x towards y.

    Returns
    -------
    Mesh
    """
    places = np.asarray(places, np.float64).reshape(-1, 3)
    count = len(places)
    scales = np.broadcast_to(np.asarray(scales, np.float64), (count, 3))
    c, s = (np.broadcast_to(f(turns), count)[:, None] for f in (np.cos, np.sin))
    x, y, height = np.moveaxis(mesh[0] * scales[:, None, :], -1, 0)
    copies = np.stack([c * x - s * y, s * x + c * y, height], -1) + places[:, None, :]
    starts = np.arange(count, dtype=np.uint32) * np.uint32(len(mesh[0]))
    triangles = mesh[1][None] + starts[:, None, None]
    return as_map(copies.reshape(-1, 3)), triangles.reshape(-1, 3)


def shifted(mesh: Mesh, x: float, y: float, height: float = 0.0) -> Mesh:
    """Shift a mesh, mm."""
    return as_map(mesh[0] + as_map([x, y, height])), mesh[1]


def along_x(section: Sequence[tuple[float, float]], width: float) -> Mesh:
    """Extrude an outline of y and height (mm) along x, about x = 0.

    Its corners go from y towards height, and all are seen from the first.
    """
    vertices, triangles = prism(section, -width / 2, width / 2)
    return vertices[:, [2, 0, 1]], triangles


@lru_cache(maxsize=1)
def fillet() -> Mesh:
    """Make a solder fillet of width, length (towards y) and height 1, hollow by wetting."""
    return along_x(_FILLET, 1.0)


@lru_cache(maxsize=1)
def dome() -> Mesh:
    """Make a drop of solder on a flat place, of diameter and height 1."""
    vertices, triangles = turned(_DOME, 12, smooth=True)
    return as_map(vertices * as_map([0.5, 0.5, 1.0])), triangles


@lru_cache(maxsize=1)
def ball() -> Mesh:
    """Make a solder ball of diameter and height 1 that stands on height 0."""
    return shifted(blob(1, 1, 1, rings=6, sides=12), 0, 0, 0.5)


def gull_wing(width: float, length: float, rise: float, thick: float) -> Mesh:
    """Make a lead that leaves a case at y = 0, falls, and ends in a foot on height 0.

    Parameters
    ----------
    width, length, rise, thick : float, mm
        Across; away from the case; of the shoulder above the foot; of the sheet.
    """
    bend, heel = 0.25 * length, 0.45 * length
    shoulder = [(0, rise), (bend, rise), (bend, rise + thick), (0, rise + thick)]
    fall = [(bend, rise), (heel, 0), (heel, thick), (bend, rise + thick)]
    foot = [(heel, 0), (length, 0), (length, thick), (heel, thick)]
    return merged([along_x(section, width) for section in (shoulder, fall, foot)])


def seated(
    vertices: Map, size: Sequence[float], lift: float, length: float, seat: float
) -> NDArray[np.float64]:
    """Scale a component about its own origin and lift one end, the other end staying down.

    Parameters
    ----------
    vertices : Map (vertex, 3), mm
    size : sequence of 3 float, 1
        Along x, y and height.
    lift, length, seat : float, mm
        By how much the end at +x, or when negative the other, rises; from end to end; of its
        underside above the board.
    """
    own: NDArray[np.float64] = vertices.astype(np.float64) * np.asarray(size)
    if lift:
        way = np.sign(lift)
        sine = min(abs(lift) / length, 0.95)
        cosine = np.sqrt(1 - sine * sine)
        from_end, height = way * own[:, 0] + length / 2, own[:, 2].copy()
        own[:, 0] = way * (from_end * cosine - height * sine - length / 2)
        own[:, 2] = from_end * sine + height * cosine
    own[:, 2] += seat
    return own

"""Meshes of the simulated parts: plates with holes, boxes, turned and extruded bodies, blobs.

Every mesh is closed, because X-rays measure the length of a path through it, and counter-clockwise
as seen from outside. Plates are tessellated finely enough to be dented, warped and milled.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmdefect.simulate.raster import Map, as_map

Mesh: TypeAlias = tuple[Map, NDArray[np.uint32]]
Height: TypeAlias = float | Callable[[Map, Map], Any]
Distance: TypeAlias = Callable[[Any, Any], Any]

_PROBE_MM = 0.01


def rectangle(width: float, height: float, radius: float = 0.0) -> Distance:
    """Give the signed distance (mm, negative inside) to a rounded rectangle about the origin."""

    def distance(x: Any, y: Any) -> Any:
        across = np.abs(x) - (width / 2 - radius)
        down = np.abs(y) - (height / 2 - radius)
        outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
        return outside + np.minimum(np.maximum(across, down), 0) - radius

    return distance


def circle(x0: float, y0: float, radius: float) -> Distance:
    """Give the signed distance (mm, negative inside) to a circle."""
    return lambda x, y: np.hypot(x - x0, y - y0) - radius


def without(outline: Distance, *holes: Distance) -> Distance:
    """Give the signed distance to an outline less some holes."""

    def distance(x: Any, y: Any) -> Any:
        found = outline(x, y)
        for hole in holes:
            found = np.maximum(found, -hole(x, y))
        return found

    return distance


def plate(
    outline: Distance,
    width: float,
    height: float,
    top: Height,
    bottom: Height,
    pitch: float = 0.5,
) -> Mesh:
    """Make a plate of any outline, with holes, whose faces may be curved.

    Parameters
    ----------
    outline : callable
        Signed distance (mm, negative inside) to the solid as a function of x and y; features
        narrower than two pitches are lost.
    width, height : float, mm
        Of a rectangle about the origin that holds it all.
    top, bottom : float or callable, mm
        Heights, as functions of x and y where they vary.
    pitch : float, mm
        Size of the mesh's cells; those at the outline are pulled onto it.

    Returns
    -------
    vertices : Map (vertex, 3)
    triangles : uint32 array (triangle, 3)
    """
    columns, rows = (int(np.ceil(side / pitch)) + 3 for side in (width, height))
    x, y = np.meshgrid(
        (np.arange(columns) - (columns - 1) / 2) * pitch, (np.arange(rows) - (rows - 1) / 2) * pitch
    )
    solid = outline(x[:-1, :-1] + pitch / 2, y[:-1, :-1] + pitch / 2) < 0
    solid[[0, -1]] = solid[:, [0, -1]] = False
    x, y = _onto_outline(x, y, solid, outline)
    index = np.arange(rows * columns).reshape(rows, columns)
    corners = [index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]]
    a, b, c, d = (corner[solid] for corner in corners)
    face = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
    edges = _outline_edges(corners, solid)
    flat = np.stack([x.ravel(), y.ravel()], -1)
    upper, lower = (
        np.column_stack([flat, np.broadcast_to(_height(face_height, flat), len(flat))])
        for face_height in (top, bottom)
    )
    count = len(flat)
    p, q = edges.T
    walls = [
        np.stack([p + 2 * count, p + 3 * count, q + 2 * count], -1),
        np.stack([q + 2 * count, p + 3 * count, q + 3 * count], -1),
    ]
    triangles = np.concatenate([face, face[:, ::-1] + count, *walls])
    return _compact(np.concatenate([upper, lower, upper, lower]), triangles)


def _height(height: Height, flat: NDArray[Any]) -> Any:
    """Give heights at (vertex, 2) positions."""
    return height(flat[:, 0], flat[:, 1]) if callable(height) else height


def _onto_outline(
    x: NDArray[Any], y: NDArray[Any], solid: NDArray[Any], outline: Distance
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Pull the vertices between kept and dropped cells onto the outline, along its gradient."""
    padded = np.pad(solid, 1)
    around = [padded[1:, 1:], padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]]
    count = np.sum(around, axis=0)
    rim = (count > 0) & (count < 4)
    moved = x.copy(), y.copy()
    u, v = x[rim], y[rim]
    for _ in range(2):
        off = outline(u, v)
        right = (outline(u + _PROBE_MM, v) - outline(u - _PROBE_MM, v)) / (2 * _PROBE_MM)
        down = (outline(u, v + _PROBE_MM) - outline(u, v - _PROBE_MM)) / (2 * _PROBE_MM)
        norm = np.maximum(right**2 + down**2, 1e-3)
        u, v = u - off * right / norm, v - off * down / norm
    moved[0][rim], moved[1][rim] = u, v
    return moved


def _outline_edges(corners: list[NDArray[Any]], solid: NDArray[Any]) -> NDArray[Any]:
    """List the edges (edge, 2) between kept and dropped cells, the solid on their left."""
    padded = np.pad(solid, 1)
    beyond = [padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2]]
    edges = []
    for side, neighbour in enumerate(beyond):
        open_side = solid & ~neighbour
        first, second = corners[side][open_side], corners[(side + 1) % 4][open_side]
        edges.append(np.stack([first, second], -1))
    return np.concatenate(edges)


def _compact(vertices: NDArray[Any], triangles: NDArray[Any]) -> Mesh:
    """Drop vertices that no triangle uses."""
    used, renumbered = np.unique(triangles, return_inverse=True)
    return as_map(vertices[used]), renumbered.reshape(-1, 3).astype(np.uint32)


def box(width: float, height: float, low: float, high: float) -> Mesh:
    """Make a box about the origin: `width` along x, `height` along y, between two heights, mm."""
    outline = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    return prism([(i * width / 2, j * height / 2) for i, j in outline], low, high)


def prism(outline: Sequence[tuple[float, float]], low: float, high: float) -> Mesh:
    """Extrude a convex polygon.

    Parameters
    ----------
    outline : sequence of (float, float), mm
        Corners in order from x towards y.
    low, high : float, mm
        Heights of its ends.

    Returns
    -------
    vertices : Map (vertex, 3)
    triangles : uint32 array (triangle, 3)
    """
    corners = np.array(outline, dtype=np.float64)
    n = len(corners)
    ends = [np.column_stack([corners, np.full(n, height)]) for height in (high, low)]
    fan = np.array([[0, i, i + 1] for i in range(1, n - 1)])
    vertices, triangles = [*ends], [fan, fan[:, ::-1] + n]
    for i in range(n):
        j, start = (i + 1) % n, 2 * n + 4 * i
        vertices.append(np.stack([ends[0][i], ends[1][i], ends[0][j], ends[1][j]]))
        triangles.append(np.array([[0, 1, 2], [2, 1, 3]]) + start)
    return as_map(np.concatenate(vertices)), np.concatenate(triangles).astype(np.uint32)


def turned(profile: Sequence[tuple[float, float]], sides: int = 48, smooth: bool = False) -> Mesh:
    """Turn a profile about the height axis.

    Parameters
    ----------
    profile : sequence of (float, float), mm
        Radius and height from the top of the axis to its bottom; the ends get radius 0 if they
        have another, so that the body is closed.
    sides : int
        Facets around the axis.
    smooth : bool
        Whether the profile is a curve, or its corners are sharp edges.

    Returns
    -------
    vertices : Map (vertex, 3)
    triangles : uint32 array (triangle, 3)
    """
    ring = [*profile]
    if ring[0][0] > 0:
        ring.insert(0, (0.0, ring[0][1]))
    if ring[-1][0] > 0:
        ring.append((0.0, ring[-1][1]))
    angles = np.arange(sides) * 2 * np.pi / sides
    around = np.stack([np.cos(angles), np.sin(angles)], -1)
    rows = [np.column_stack([around * r, np.full(sides, h)]) for r, h in ring]
    vertices, triangles, start = [], [], 0
    here = np.arange(sides)
    there = (here + 1) % sides
    for i, (above, below) in enumerate(pairwise(rows)):
        if not smooth or i == 0:
            vertices += [above, below]
            start = sum(map(len, vertices)) - 2 * sides
        else:
            vertices.append(below)
            start = sum(map(len, vertices)) - 2 * sides
        low = start + sides
        triangles.append(np.stack([start + here, low + here, start + there], -1))
        triangles.append(np.stack([start + there, low + here, low + there], -1))
    stacked = np.concatenate(vertices)
    facets = _without_slivers(stacked, np.concatenate(triangles))
    if smooth:  # one vertex at each pole, or its normal would be a facet's
        stacked, merged = np.unique(np.round(stacked, 9), axis=0, return_inverse=True)
        facets = merged.reshape(-1)[facets].astype(np.uint32)
    return as_map(stacked), facets


def _without_slivers(vertices: NDArray[Any], triangles: NDArray[Any]) -> NDArray[np.uint32]:
    """Drop triangles that have shrunk to a line at the axis."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    kept: NDArray[np.uint32] = triangles[area > 1e-12].astype(np.uint32)
    return kept


def cylinder(radius: float, low: float, high: float, sides: int = 48) -> Mesh:
    """Make a cylinder about the height axis between two heights, mm."""
    return turned([(radius, high), (radius, low)], sides)


def blob(width: float, height: float, thickness: float, rings: int = 12, sides: int = 24) -> Mesh:
    """Make an ellipsoid about the origin, by its full extents along x, y and height (mm)."""
    angles = np.linspace(0, np.pi, rings + 1)
    profile = [(float(np.sin(a)) / 2, float(np.cos(a)) / 2) for a in angles]
    profile[0], profile[-1] = (0.0, 0.5), (0.0, -0.5)
    vertices, triangles = turned(profile, sides, smooth=True)
    return as_map(vertices * as_map([width, height, thickness])), triangles

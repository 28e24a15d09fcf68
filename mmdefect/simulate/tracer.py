"""The ray caster: what every sensor's rays meet on a part.

Open3D's ray casting (Embree) does the intersecting; here its answers are brought into the words of
this package: which body, where on it in the part's own coordinates, which way the surface faces,
and how long a ray runs inside each body.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import MmdefectError
from mmdefect.simulate.body import Part
from mmdefect.simulate.raster import Map, Mask, Raster, as_map

_LIFT_MM = 2e-3
_MENDING_ROUNDS = 3
_NUDGE = 2e-5


@dataclass(frozen=True)
class Hits:
    """Where rays meet the part.

    Parameters
    ----------
    distance : Map (n,), mm
        Along the ray; inf where it meets nothing.
    body : int array (n,)
        Index into the part's bodies; -1 where it meets nothing.
    points : Map (n, 3), mm
        In the rig's frame; NaN where it meets nothing.
    normals : Map (n, 3)
        Unit outward normals of the smooth surface in the rig's frame: against the ray where it
        enters a body, along it where it leaves one.
    places : Map (n, 3), mm
        x, y, height in the part's coordinates.
    """

    distance: Map
    body: NDArray[np.int32]
    points: Map
    normals: Map
    places: Map

    @property
    def found(self) -> Mask:
        """Whether a ray meets anything (n,)."""
        return self.body >= 0


class World:
    """A part at its place in the rig, ready to be looked at.

    Parameters
    ----------
    part : Part

    Attributes
    ----------
    coarse : dict of (int, int) to Raster
        Skins that a sensor averaged over blocks, by their body's index and the block's width.

    Raises
    ------
    MmdefectError
        When open3d cannot be loaded.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.coarse: dict[tuple[int, int], Raster] = {}
        self._o3d = _open3d()
        self._scene = self._o3d.t.geometry.RaycastingScene()
        corners, normals, facets = [], [], []
        for body in part.bodies:
            vertices, triangles = part.to_rig(body.vertices), body.triangles[:, [0, 2, 1]]
            self._scene.add_triangles(vertices, np.ascontiguousarray(triangles))
            facet, smooth = _normals(vertices, triangles)
            corners.append(smooth[triangles])
            facets.append(facet)
            normals.append(len(triangles))
        self._starts = np.cumsum([0, *normals])[:-1]
        self._corner_normals = np.concatenate(corners)
        self._facets = np.concatenate(facets)

    def body_index(self, name: str) -> int:
        """Find a body's index by its name."""
        return [body.name for body in self.part.bodies].index(name)

    def cast(self, origin: Any, directions: Any) -> Hits:
        """Follow rays to the first surface.

        Parameters
        ----------
        origin : array (3,) or (n, 3), mm
            In the rig's frame.
        directions : array (n, 3)
            Unit vectors in the rig's frame.

        Returns
        -------
        Hits
        """
        rays = _rays(origin, directions)
        answer = self._scene.cast_rays(self._o3d.core.Tensor(rays))
        distance = answer["t_hit"].numpy()
        found = np.isfinite(distance)
        body = np.where(found, answer["geometry_ids"].numpy().astype(np.int64), -1)
        facet = self._starts[body] + np.where(found, answer["primitive_ids"].numpy(), 0)
        u, v = np.moveaxis(answer["primitive_uvs"].numpy(), -1, 0)
        a, b, c = np.moveaxis(self._corner_normals[facet], 1, 0)
        normals = a * (1 - u - v)[:, None] + b * u[:, None] + c * v[:, None]
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        behind = np.einsum("ij,ij->i", normals, rays[:, 3:]) > 0
        normals[behind] = self._facets[facet[behind]]
        points = as_map(np.where(found, distance, np.nan)[:, None] * rays[:, 3:] + rays[:, :3])
        return Hits(
            distance, body.astype(np.int32), points, as_map(normals), self.part.from_rig(points)
        )

    def hidden(self, hits: Hits, place: Any) -> Mask:
        """Tell which points do not see a place: shadow, when a light or projector stands there.

        Parameters
        ----------
        hits : Hits (n,)
        place : array (3,), mm
            In the rig's frame.

        Returns
        -------
        Mask (n,)
            True too where a ray met nothing.
        """
        lifted = hits.points + np.float32(_LIFT_MM) * hits.normals
        rays = np.concatenate([lifted, as_map(place) - lifted], axis=1)
        rays = np.ascontiguousarray(np.nan_to_num(rays), np.float32)
        shadowed = self._scene.test_occlusions(self._o3d.core.Tensor(rays), 0.0, 1.0).numpy()
        return np.asarray(shadowed | ~hits.found)

    def paths(self, origin: Any, directions: Any) -> Map:
        """Measure how far rays run inside each body.

        Parameters
        ----------
        origin : array (3,) or (n, 3), mm
            In the rig's frame.
        directions : array (n, 3)
            Unit vectors in the rig's frame.

        Returns
        -------
        Map (n, body), mm
        """
        return self.weighted_paths(origin, directions, np.eye(len(self.part.bodies)))

    def weighted_paths(self, origin: Any, directions: Any, weights: Any) -> Map:
        """Add up the lengths of rays inside the bodies, each body with weights of its own.

        Parameters
        ----------
        origin, directions
            As for ``paths``.
        weights : array (body, k)
            For instance attenuations at k energies, 1/mm.

        Returns
        -------
        Map (n, k), mm times the weights' unit

        Notes
        -----
        A length is the sum of the distances at which a ray leaves a body, less those at which it
        enters. A ray that grazes an edge may be told of one crossing twice or not at all; it is
        sent again, a hair beside (0.02 mrad, the same for each ray whatever the part), until it
        enters and leaves in turn.
        """
        rays = _rays(origin, directions)
        weights = np.asarray(weights, dtype=np.float64)
        sums, odd = self._summed(rays, weights)
        random = np.random.default_rng(0)
        for _ in range(_MENDING_ROUNDS):
            nudges = random.standard_normal((len(rays), 3), dtype=np.float32)
            if not odd.any():
                continue
            again = rays[odd].copy()
            again[:, 3:] += np.float32(_NUDGE) * nudges[odd]
            sums[odd], odd[odd] = self._summed(again, weights)
        sums[odd] = 0
        return as_map(sums)

    def _summed(self, rays: Map, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], Mask]:
        """Sum weighted lengths (n, k); tell which rays do not enter and leave in turn (n,)."""
        answer = self._scene.list_intersections(self._o3d.core.Tensor(rays))
        ray, body, facet, distance = (
            answer[key].numpy() for key in ("ray_ids", "geometry_ids", "primitive_ids", "t_hit")
        )
        ray = ray.astype(np.int64)
        normals = self._facets[self._starts[body] + facet]
        leaving = np.sign(np.einsum("ij,ij->i", normals, rays[ray, 3:]))
        signed = leaving * distance
        sums = np.stack(
            [np.bincount(ray, signed * column[body], len(rays)) for column in weights.T], axis=1
        )
        odd = np.zeros(len(rays), np.bool_)
        key = ray * len(self.part.bodies) + body
        order = np.lexsort((distance, key))
        ray, key, leaving = ray[order], key[order], leaving[order]
        other = np.ones(len(key) + 1, np.bool_)
        other[1:-1] = key[1:] != key[:-1]
        odd[ray[other[:-1] & (leaving > 0)]] = True
        odd[ray[other[1:] & (leaving < 0)]] = True
        odd[ray[1:][~other[1:-1] & (leaving[1:] == leaving[:-1])]] = True
        return sums.astype(np.float64), odd


def _open3d() -> Any:
    """Import open3d, or say what it lacks."""
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise MmdefectError(
            f"the simulated rig needs open3d, which cannot be loaded ({error}); on Debian and "
            "Ubuntu install libegl1, libgl1 and libusb-1.0-0, then open3d"
        ) from error
    return open3d


def _rays(origin: Any, directions: Any) -> Map:
    """Put origins and directions side by side (n, 6)."""
    directions = as_map(directions).reshape(-1, 3)
    rays = np.empty((len(directions), 6), np.float32)
    rays[:, :3], rays[:, 3:] = origin, directions
    return rays


def _normals(vertices: Map, triangles: NDArray[Any]) -> tuple[Map, Map]:
    """Give unit normals of facets, and of vertices as the area-weighted mean of theirs."""
    a, b, c = (vertices[triangles[:, i]].astype(np.float64) for i in range(3))
    facets = np.cross(b - a, c - a)
    smooth = np.zeros((len(vertices), 3))
    for i in range(3):
        for axis in range(3):
            smooth[:, axis] += np.bincount(triangles[:, i], facets[:, axis], len(vertices))
    facets /= np.maximum(np.linalg.norm(facets, axis=1, keepdims=True), 1e-15)
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-15)
    return as_map(facets), as_map(smooth)

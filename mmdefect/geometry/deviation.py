"""How far measured points lie from a reference shape, outside it or inside.

* The sign comes from the surface's own orientation at the closest point. At an edge or a corner
  the normals of single triangles contradict each other, so there the sum of those that meet decides
  (angle-weighted at corners), which is the one choice that never errs [1]_. A mesh need not be
  closed for it, as long as its triangles are turned alike.
* A part never lies exactly where its drawing does. The alignment is point to plane, weighted so
  that a defect has no say, and bounded: a part that would have to be moved further is not moved.

References
----------
.. [1] Bærentzen and Aanæs: Signed distance computation using the angle weighted pseudonormal, IEEE
   Transactions on Visualization and Computer Graphics 11(3), 2005.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import FeatureError
from mmdefect.jit import threads
from mmdefect.mesh_files import Mesh

_AT_EDGE = 1e-4
_ROUNDS, _ALIGNED_BY = 20, 4000
_TUKEY, _MAD = 4.685, 1.4826
_STILL_MM, _STILL_RAD = 1e-5, 1e-7
_LEAST_POINTS = 50


class Shape:
    """A reference shape that distances are measured from.

    Parameters
    ----------
    mesh : Mesh
        In mm, its triangles counterclockwise seen from outside.

    Raises
    ------
    FeatureError
        When open3d, which finds the closest triangles, cannot be loaded.
    """

    def __init__(self, mesh: Mesh) -> None:
        try:
            import open3d
        except (ImportError, OSError) as error:
            raise FeatureError(
                f"distances from a mesh are found by open3d, which cannot be loaded ({error}); "
                "install it and the system libraries it names"
            ) from error
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=threads())
        self._scene.add_triangles(_tensor(mesh.corners), _tensor(mesh.triangles.astype(np.uint32)))
        self._corners, self._triangles = mesh.corners.astype(np.float64), mesh.triangles
        self._ways_out = _pseudonormals(self._corners, self._triangles)

    def closest(self, points: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Find the closest places of the shape.

        Parameters
        ----------
        points : float64 array (point, 3), mm
            All finite.

        Returns
        -------
        float64 array (point, 3), mm
            The places.
        float64 array (point, 3)
            Which way is out there; not of unit length at edges and corners.
        """
        found = self._scene.compute_closest_points(
            _tensor(points.astype(np.float32)), nthreads=threads()
        )
        triangle = found["primitive_ids"].numpy().astype(np.int64)
        u, v = found["primitive_uvs"].numpy().astype(np.float64).T
        shares = np.stack([1 - u - v, u, v], axis=-1)
        places = np.einsum("pc,pca->pa", shares, self._corners[self._triangles[triangle]])
        part = (shares > _AT_EDGE) @ np.array([1, 2, 4])
        return places, self._ways_out[triangle, part].astype(np.float64)

    def deviation(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Measure how far points lie outside the shape.

        Parameters
        ----------
        points : float64 array (point, 3), mm
            All finite.

        Returns
        -------
        float64 array (point,), mm
            Negative inside.
        """
        if not len(points):
            return np.empty(0)
        places, out = self.closest(points)
        apart = points - places
        side = np.where((apart * out).sum(axis=1) < 0, -1.0, 1.0)
        distance: NDArray[np.float64] = side * np.linalg.norm(apart, axis=1)
        return distance

    def aligned(self, points: NDArray[np.float64], furthest: float) -> NDArray[np.float64]:
        """Move points rigidly onto the shape, as far as is allowed.

        Parameters
        ----------
        points : float64 array (point, 3), mm
            All finite.
        furthest : float, mm
            How far any of them may be moved.

        Returns
        -------
        float64 array (point, 3), mm
            The points where they were, when there are fewer than 50 or they would have to be moved
            further.
        """
        if len(points) < _LEAST_POINTS:
            return points
        some = points[:: max(len(points) // _ALIGNED_BY, 1)]
        turn, shift = np.eye(3), np.zeros(3)
        for _ in range(_ROUNDS):
            step_turn, step_shift, moved = self._step(some @ turn.T + shift)
            turn, shift = step_turn @ turn, step_turn @ shift + step_shift
            if not moved:
                break
        placed: NDArray[np.float64] = points @ turn.T + shift
        moved_by = np.linalg.norm(placed - points, axis=1).max()
        return placed if moved_by <= furthest else points

    def _step(self, points: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any], bool]:
        """Give the small motion that brings points closer to the planes they are closest to."""
        places, out = self.closest(points)
        normals = out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-300)
        apart = ((places - points) * normals).sum(axis=1)
        scale = max(_MAD * float(np.median(np.abs(apart - np.median(apart)))), 1e-4)
        # a shift of the whole part is no outlier, so residuals are held against their middle
        held = (apart - np.median(apart)) / (_TUKEY * scale)
        weights = np.where(np.abs(held) < 1, (1 - held**2) ** 2, 0.0)
        middle = points.mean(axis=0)
        rows = np.concatenate([np.cross(points - middle, normals), normals], axis=1)
        square = (rows * weights[:, np.newaxis]).T @ rows
        along, how_well = np.linalg.eigh(square)[::-1]
        known = how_well > 1e-6 * max(float(how_well[-1]), 1e-300)
        toward = along.T @ (rows.T @ (weights * apart))
        motion = along[:, known] @ (toward[known] / how_well[known])
        turn = _turned(motion[:3])
        shift = middle + motion[3:] - turn @ middle
        still = np.abs(motion[:3]).max() < _STILL_RAD and np.abs(motion[3:]).max() < _STILL_MM
        return turn, shift, not still


def _tensor(array: Any) -> Any:
    """Give an array to open3d."""
    import open3d

    made: Any = open3d.core
    return made.Tensor(array)


def _turned(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the rotation about a vector by its length."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-15:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: NDArray[np.float64] = (
        np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    )
    return turn


def _pseudonormals(
    corners: NDArray[np.float64], triangles: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Give the ways out at the places of each triangle (triangle, place, 3).

    A place is the sum of 1, 2 and 4 for the corners between which it lies: 1, 2, 4 are corners,
    3, 5, 6 edges, 7 is the face.
    """
    a, b, c = np.moveaxis(corners[triangles], 1, 0)
    face = np.cross(b - a, c - a)
    face /= np.maximum(np.linalg.norm(face, axis=1, keepdims=True), 1e-300)
    ways = np.zeros((len(triangles), 8, 3), np.float32)
    ways[:, 7] = face
    at_corner = np.zeros_like(corners)
    for place, (here, left, right) in enumerate(((a, b, c), (b, c, a), (c, a, b))):
        angle = _angle(left - here, right - here)
        np.add.at(at_corner, triangles[:, place], angle[:, np.newaxis] * face)
    ways[:, [1, 2, 4]] = at_corner[triangles]
    edges = np.sort(triangles[:, [[0, 1], [0, 2], [1, 2]]].reshape(-1, 2), axis=1)
    _, which = np.unique(edges, axis=0, return_inverse=True)
    at_edge = np.zeros((which.max() + 1, 3))
    np.add.at(at_edge, which.reshape(-1), np.repeat(face, 3, axis=0))
    ways[:, [3, 5, 6]] = at_edge[which.reshape(-1, 3)]
    return ways


def _angle(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the angles between vectors, row by row."""
    across = np.linalg.norm(np.cross(one, other), axis=1)
    angle: NDArray[np.float64] = np.arctan2(across, (one * other).sum(axis=1))
    return angle

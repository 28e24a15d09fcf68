"""How long a ray runs inside a closed mesh, wherever the part stands.

A moved part is the same as rays moved the other way, so a mesh is prepared once. A ray that grazes
an edge may be told of one crossing twice or not at all; it is sent again a hair beside, and when
that does not help its length is not known.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import CardError, SensorError
from mmdefect.mesh_files import read_mesh
from mmdefect.registration import Camera, Pose

_NUDGE = 2e-5
_ROUNDS = 3
_OPEN_SHARE = 0.02


class Solid:
    """A part's solid.

    Parameters
    ----------
    vertices : array (vertex, 3), mm
        In the rig's frame, where the part stands nominally.
    triangles : array (triangle, 3)
        Of one or several closed surfaces that do not cut each other.
    name : str
        For messages.
    """

    def __init__(self, vertices: Any, triangles: Any, name: str = "the part's mesh") -> None:
        open3d = _open3d()
        self.name = name
        self.middle = np.asarray(vertices, dtype=np.float64).reshape(-1, 3).mean(axis=0)
        self._tensor = open3d.core.Tensor
        self._scene = open3d.t.geometry.RaycastingScene()
        corners = np.ascontiguousarray(vertices, dtype=np.float32)
        self._scene.add_triangles(corners, np.ascontiguousarray(triangles, dtype=np.uint32))

    @classmethod
    def read(cls, option: str, path: Path) -> "Solid":
        """Read a solid from an STL, PLY or OBJ file in the rig's frame, mm.

        Parameters
        ----------
        option : str
            The card's word, for messages.
        path : Path

        Returns
        -------
        Solid

        Raises
        ------
        CardError
            When there is no such file, or it is no mesh.
        """
        try:
            mesh = read_mesh(path)
        except SensorError as error:
            raise CardError(
                f"{option} cannot be read: {error}; a closed mesh in the rig's frame, in mm, was "
                "promised: correct the card or export it again"
            ) from error
        return cls(mesh.corners, mesh.triangles, f"{option} '{path}'")

    def lengths(self, camera: Camera, pose: Pose | None = None) -> NDArray[np.float64]:
        """Give how far the beam runs inside.

        Parameters
        ----------
        camera : Camera
            Its centre is the source, its pixels are the panel's.
        pose : Pose, optional
            From the nominal place to the part's: x = rotation · x_nominal + translation.

        Returns
        -------
        array (y, x), float64, mm
            NaN where a ray grazes.

        Raises
        ------
        CardError
            When the mesh is not closed.
        """
        pose = pose or Pose()
        rays = np.empty((camera.height * camera.width, 6), dtype=np.float32)
        rays[:, :3] = pose.out_of(camera.centre)
        rays[:, 3:] = camera.directions().reshape(-1, 3) @ pose.rotation
        lengths, odd = self._summed(rays)
        random = np.random.default_rng(0)
        first = int(odd.sum())
        for _ in range(_ROUNDS):
            again = rays[odd].copy()
            if not len(again):
                break
            again[:, 3:] += np.float32(_NUDGE) * random.standard_normal((len(again), 3), np.float32)
            lengths[odd], odd[odd] = self._summed(again)
        met = int((lengths > 0).sum()) + first
        if int(odd.sum()) > _OPEN_SHARE * met:
            raise CardError(
                f"{self.name} lets {int(odd.sum())} of {met} rays in and not out again, but a "
                "closed mesh was promised; mend it in the CAD program"
            )
        lengths[odd] = np.nan
        return lengths.reshape(camera.height, camera.width)

    def _summed(self, rays: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Sum lengths (n,), mm; tell which rays do not enter and leave in pairs (n,)."""
        answer = self._scene.list_intersections(self._tensor(rays))
        ray, distance = (answer[key].numpy() for key in ("ray_ids", "t_hit"))
        ray = ray.astype(np.int64)
        order = np.lexsort((distance, ray))
        ray, distance = ray[order], distance[order].astype(np.float64)
        count = np.bincount(ray, minlength=len(rays))
        starts = np.concatenate([[0], np.cumsum(count)[:-1]])
        leaving = (np.arange(len(ray)) - starts[ray]) % 2 * 2 - 1
        sums = np.bincount(ray, leaving * distance, len(rays)).astype(np.float64)
        odd: NDArray[np.bool_] = count % 2 == 1
        sums[odd] = 0.0
        return sums, odd


def _open3d() -> Any:
    """Import open3d, or say what it lacks."""
    try:
        return import_module("open3d")
    except (ImportError, OSError) as error:
        raise CardError(
            f"a radiograph is held against a mesh by open3d, which cannot be imported ({error}); "
            "install open3d and the system libraries it names, or leave cad out of the card"
        ) from error

"""The rig's nominal surface: what the reference sees where no cloud says better.

It does not change from capture to capture, so each of its parts is computed once: the reference's
view of it, and which of its points every other camera sees.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import RegistrationError, SensorError
from mmdefect.mesh_files import read_mesh
from mmdefect.registration.camera import Camera
from mmdefect.registration.rig import Plane, Rig

_LARGEST_MESH = 1 << 30


class Nominal:
    """The nominal surface as the reference camera sees it.

    Parameters
    ----------
    rig : Rig
        With a ``surface``.
    rays : array (2, y, x), float32
        Normalised coordinates through which the reference's pixels look.

    Raises
    ------
    RegistrationError
        When the CAD mesh cannot be read.

    Attributes
    ----------
    points : array (3, y, x), float32, mm
        In the reference camera's frame; NaN where it sees none of the surface.
    """

    def __init__(self, rig: Rig, rays: NDArray[np.float32]) -> None:
        self.rig = rig
        self._seen: dict[str, NDArray[np.bool_]] = {}
        self._caster: Any = None
        reference = rig.cameras[rig.reference]
        if isinstance(rig.surface, Plane):
            depth = _plane_depth(rig.surface, reference, rays)
        else:
            self._caster = _caster(Path(str(rig.surface)))
            depth = self._cast(reference, rays)
        ahead = np.where(depth > 0, depth, np.nan)
        self.points = np.stack([rays[0] * ahead, rays[1] * ahead, ahead]).astype(np.float32)

    def seen_by(self, name: str) -> NDArray[np.bool_]:
        """Tell which points a sensor's camera sees.

        Parameters
        ----------
        name : str
            The sensor.

        Returns
        -------
        bool array (y, x), or (0, 0) when it sees all
            A point counts as seen up to one of the reference's pixels behind another surface.
        """
        if self._caster is None:
            return np.zeros((0, 0), dtype=bool)
        if name not in self._seen:
            reference = self.rig.cameras[self.rig.reference]
            place = self.rig.cameras[name].centre
            points = reference.pose.out_of(np.moveaxis(self.points, 0, -1).astype(np.float64))
            away = points - place
            distance = np.linalg.norm(away, axis=-1)
            hit = self._distances(place, away / distance[..., np.newaxis])
            footprint = self.points[2] / min(reference.fx, reference.fy)
            self._seen[name] = ~(hit < distance - footprint)
        return self._seen[name]

    def _cast(self, reference: Camera, rays: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the depth (y, x) at which the reference's rays meet the mesh; inf where none."""
        ahead = np.stack([*rays, np.ones_like(rays[0])], axis=-1).astype(np.float64)
        return self._distances(reference.centre, ahead @ reference.pose.rotation)

    def _distances(
        self, start: NDArray[np.float64], directions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Give how many lengths of a direction (y, x, 3) away the mesh is met; inf for never."""
        rays = np.concatenate([np.broadcast_to(start, directions.shape), directions], axis=-1)
        met = self._caster.cast_rays(np.nan_to_num(rays).astype(np.float32))["t_hit"].numpy()
        return np.where(np.isfinite(directions).all(-1), met, np.inf)


def _plane_depth(plane: Plane, reference: Camera, rays: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the depth (y, x) at which the reference's rays meet a plane."""
    normal = reference.pose.rotation @ plane.normal
    point = reference.pose.into(plane.point)
    towards = normal[0] * rays[0].astype(np.float64) + normal[1] * rays[1] + normal[2]
    with np.errstate(divide="ignore"):
        depth: NDArray[np.float64] = (normal @ point) / towards
    return depth


def _caster(path: Path) -> Any:
    """Read a CAD mesh for ray casting."""
    if not path.is_file() or path.stat().st_size > _LARGEST_MESH:
        found = f"{path.stat().st_size} bytes" if path.is_file() else "no file"
        raise RegistrationError(
            f"the rig's nominal surface '{path.name}' is {found}; an STL, PLY or OBJ mesh of at "
            f"most {_LARGEST_MESH} bytes was promised beside the rig file: correct [surface] mesh"
        )
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise RegistrationError(
            f"the rig's nominal surface '{path.name}' is a mesh, into which open3d looks, but it "
            f"cannot be imported ({error}); install open3d and the system libraries it names, or "
            "give the rig a plane: [surface] point, normal"
        ) from error
    try:
        mesh = read_mesh(path, _LARGEST_MESH)
    except SensorError as error:
        raise RegistrationError(
            f"the rig's nominal surface '{path.name}' cannot be read; an STL, PLY or OBJ mesh in "
            f"the rig's frame, in mm, was promised: {error}"
        ) from error
    core: Any = open3d.core
    caster = open3d.t.geometry.RaycastingScene()
    caster.add_triangles(core.Tensor(mesh.corners), core.Tensor(mesh.triangles.astype(np.uint32)))
    return caster

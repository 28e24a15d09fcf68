"""Patch features of a part's deviation from its drawing: what sticks out, and what is missing.

A bank of good parts knows a shape by its features; a CAD model knows it in mm. Where the two can
be brought together, a dent of 0.3 mm is 0.3 mm whatever the good parts looked like, and the map
itself is a measurement that an engineer can check.
"""

from collections.abc import Sequence
from functools import cached_property
from numbers import Real
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

from mmdefect.errors import FeatureError, SensorError
from mmdefect.features._geometry import (
    check_count,
    check_length,
    cloud_of,
    labelled,
    patch_counts,
    pooled,
)
from mmdefect.features._patches import pool_neighbours
from mmdefect.geometry.deviation import Shape
from mmdefect.mesh_files import Mesh, read_mesh

__all__ = ["Deviation"]

_MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4}


class Deviation:
    """Signed distance of an organised cloud from a reference mesh.

    Four numbers a patch: mean signed distance in mm (positive outside the part), its spread within
    the patch, its mean size, share of measured points.

    Parameters
    ----------
    weights : str or Path, optional
        The mesh: STL, OBJ or PLY, triangles counterclockwise seen from outside; in a spec the file
        after ``@``, as in ``deviation@part.stl``.
    unit : {"mm", "cm", "m", "inch"}
        Of the mesh.
    pose : six float, mm and degrees, optional
        Where the mesh lies in the cloud's frame: shift along x, y, z, and turns about the fixed
        axes x, then y, then z. Where it was drawn by default.
    align : float, mm, optional
        Bring every cloud onto the mesh first, moving no point further than this; a cloud that
        would have to be moved further stays. By default clouds are taken as registered.
    reach : float, mm, optional
        Points further away than this belong to something else and count as missing.
    stride : int
        Pixels between patches.

    Raises
    ------
    FeatureError
        When an option is not of its kind; on first use when there is no mesh or it cannot be read.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        unit: str = "mm",
        pose: Sequence[float] | None = None,
        align: float | None = None,
        reach: float | None = None,
        stride: int = 4,
    ) -> None:
        self.weights = None if weights is None else Path(weights)
        if unit not in _MILLIMETRES:
            raise FeatureError(
                f"unit is {unit!r}, but one of {', '.join(_MILLIMETRES)} was promised for the "
                "mesh; correct the spec of the features"
            )
        self.unit = unit
        self.pose = None if pose is None else _check_pose(pose)
        self.align = check_length("align", align)
        self.reach = check_length("reach", reach)
        self.stride = check_count("stride", stride)

    @cached_property
    def name(self) -> str:
        """The spec in full; the mesh is named by the first digits of its SHA-256."""
        options = {
            "unit": None if self.unit == "mm" else self.unit,
            "pose": self.pose and ",".join(f"{number:g}" for number in self.pose),
            "align": self.align and f"{self.align:g}",
            "reach": self.reach and f"{self.reach:g}",
            "stride": None if self.stride == 4 else str(self.stride),
        }
        told = "&".join(f"{key}={value}" for key, value in options.items() if value)
        mesh = f"@mesh#{self._mesh.digest[:12]}" if self.weights else ""
        return f"deviation{mesh}" + (f"?{told}" if told else "")

    def weights_file(self) -> Path:
        """Find the mesh, which a model carries along.

        Raises
        ------
        FeatureError
            When none was given.
        """
        if self.weights is None:
            raise FeatureError(
                "'deviation' was given no mesh, but a reference shape was promised; name its file "
                "as in 'deviation@part.stl'"
            )
        return self.weights

    @cached_property
    def _mesh(self) -> Mesh:
        try:
            return read_mesh(self.weights_file())
        except SensorError as error:
            raise FeatureError(f"the mesh of 'deviation' cannot be read: {error}") from error

    @cached_property
    def _shape(self) -> Shape:
        """The mesh in mm, in the clouds' frame."""
        corners = self._mesh.corners.astype(np.float64) * _MILLIMETRES[self.unit]
        if self.pose is not None:
            corners = corners @ _turn(self.pose[3:]).T + self.pose[:3]
        return Shape(Mesh(corners.astype(np.float32), self._mesh.triangles))

    def adapt(self, frames: Sequence[xr.DataArray]) -> None:
        """Check that the frames are points in mm; nothing is learnt from them.

        Parameters
        ----------
        frames : sequence of DataArray (axis, y, x)
            Of one scanner.

        Raises
        ------
        FeatureError
            When they are no points in mm.
        """
        for frame in frames:
            self._cloud(frame)

    def features(self, frame: xr.DataArray) -> xr.DataArray:
        """Describe patches.

        Parameters
        ----------
        frame : DataArray (axis, y, x), float32, mm
            Organised points; NaN where blind.

        Returns
        -------
        DataArray (feature, y, x), float32
            NaN in every feature of a patch that is mostly blind.

        Raises
        ------
        FeatureError
            As in ``adapt``, and when the mesh cannot be read.
        """
        cloud = self._cloud(frame)
        patches = patch_counts(cloud, self.stride)
        exact = self.deviation(cloud)
        known = np.where(np.isfinite(exact), cloud, np.nan)
        level, square, size = pooled(np.stack([exact, exact**2, np.abs(exact)]), *patches)
        spread = (square - level**2).clamp_min(0).sqrt()
        measured = torch.from_numpy(np.isfinite(known[:1])).float()
        share = pool_neighbours(adaptive_avg_pool2d(measured, patches))
        grids = [level[None].float(), spread[None].float(), size[None].float(), share]
        return labelled(torch.cat(grids), known, ("deviation", "spread", "size", "measured"))

    def deviation(self, cloud: NDArray[np.float32]) -> NDArray[np.float64]:
        """Map how far a part lies outside its reference shape.

        Parameters
        ----------
        cloud : float32 array (3, y, x), mm
            NaN where blind.

        Returns
        -------
        float64 array (y, x), mm
            Negative inside; NaN where blind or out of reach.
        """
        found = np.full(cloud.shape[1:], np.nan)
        measured = np.isfinite(cloud).all(axis=0)
        points = cloud[:, measured].T.astype(np.float64)
        if self.align is not None:
            points = self._shape.aligned(points, self.align)
        distance = self._shape.deviation(points)
        if self.reach is not None:
            distance[np.abs(distance) > self.reach] = np.nan
        found[measured] = distance
        return found

    def _cloud(self, frame: xr.DataArray) -> NDArray[np.float32]:
        return cloud_of(frame, "deviation", True)


def _check_pose(pose: object) -> tuple[float, ...]:
    """Refuse what is not six numbers."""
    if isinstance(pose, Sequence) and not isinstance(pose, str) and len(pose) == 6:
        if all(isinstance(number, Real) and not isinstance(number, bool) for number in pose):
            numbers = tuple(float(number) for number in pose)
            if np.isfinite(numbers).all():
                return numbers
    raise FeatureError(
        f"pose is {pose!r}, but a shift in mm and turns in degrees (x,y,z,a,b,c) were promised; "
        "correct the spec of the features"
    )


def _turn(degrees: Sequence[float]) -> NDArray[np.float64]:
    """Give the rotation about the fixed axes x, then y, then z."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[[one, other], [one, other]] = np.cos(angle)
        step[one, other], step[other, one] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    return turn

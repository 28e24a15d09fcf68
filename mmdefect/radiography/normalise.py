"""One sensor's radiographs against the shape of the part, from CAD or from the scanner."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.errors import CardError, SensorError
from mmdefect.radiography.expected import expected_attenuation
from mmdefect.radiography.pose import find_pose
from mmdefect.radiography.shape import ShapeOptions
from mmdefect.radiography.solid import Solid
from mmdefect.registration import Camera, Plane, Pose, Rig

_LEAST_EXPECTED = 0.02


class Normaliser:
    """Holds one sensor's radiographs against the part's shape.

    Parameters
    ----------
    rig : Rig
    name : str
        The sensor.
    options : ShapeOptions

    Raises
    ------
    CardError
        When the sensor has no camera in the rig, the mesh cannot be read, or the scanner or its
        back plane are not in the rig.
    """

    def __init__(self, rig: Rig, name: str, options: ShapeOptions) -> None:
        self.options = options
        where = f"[sensors.{name}] quantity {options.quantity!r}"
        if name not in rig.cameras:
            raise CardError(
                f"{where} needs to know where the source and the panel stand, but the rig "
                f"{rig.name!r} has no [cameras.{name}]; add it"
            )
        self.camera: Camera = rig.cameras[name]
        meshes = {"cad": options.cad, "fittings": options.fittings}
        self._solids = [Solid.read(key, path) for key, path in meshes.items() if path is not None]
        self._nominal: list[NDArray[np.float64]] | None = None
        self._plane: Plane | None = None
        if options.surface:
            self._scanner, self._plane = _scanner(rig, options, where)

    def normalised(self, frame: xr.DataArray, others: Mapping[str, xr.DataArray]) -> xr.DataArray:
        """Take what the shape leads one to expect off a radiograph.

        Parameters
        ----------
        frame : DataArray (energy, y, x), float32, 1
            −log transmission on the panel's own grid.
        others : mapping of str to DataArray
            The capture's other frames, each on its own grid.

        Returns
        -------
        DataArray (energy, y, x), float32, 1
            Attenuation less the expected ("excess"), or over it ("ratio"): 0, or 1, where the part
            is as its shape says. NaN where that is not known.

        Raises
        ------
        SensorError
            When the scanner's frame is missing, or the part is not where the rig has it.
        """
        size = (self.camera.height, self.camera.width)
        if frame.shape[-2:] != size:
            raise SensorError(f"has {frame.shape[-2:]} rows and columns, but the rig says {size}")
        measured = frame.values.astype(np.float64)
        lengths = self._lengths(measured, others)
        planes = [self._against(plane, lengths) for plane in measured]
        told = {**frame.attrs, "quantity": self.options.quantity}
        return frame.copy(data=np.stack(planes).astype(np.float32)).assign_attrs(told)

    def _against(
        self, plane: NDArray[np.float64], lengths: list[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Hold one energy's attenuation (y, x) against the shape."""
        expected = expected_attenuation(plane, lengths, self.options.blur).attenuation
        if self.options.quantity == "excess":
            return plane - expected
        return plane / np.where(expected >= _LEAST_EXPECTED, expected, np.nan)

    def _lengths(
        self, measured: NDArray[np.float64], others: Mapping[str, xr.DataArray]
    ) -> list[NDArray[np.float64]]:
        """Give how far rays run in each material (y, x), mm."""
        if self.options.surface:
            return [self._from_surface(others)]
        if self.options.align:
            pose = find_pose(measured[0], self._solids, self.camera)
            return [solid.lengths(self.camera, pose) for solid in self._solids]
        if self._nominal is None:
            self._nominal = [solid.lengths(self.camera, Pose()) for solid in self._solids]
        return self._nominal

    def _from_surface(self, others: Mapping[str, xr.DataArray]) -> NDArray[np.float64]:
        """Give the way from the scanner's surface to the part's back (y, x), mm."""
        assert self._plane is not None
        if self.options.surface not in others:
            raise SensorError(
                f"is to be held against the surface that {self.options.surface!r} saw, but that "
                "frame is missing or was refused"
            )
        front = front_points(others[self.options.surface], self._scanner, self.camera)
        return behind(front, self.camera, self._plane)


def front_points(frame: xr.DataArray, scanner: Camera, panel: Camera) -> NDArray[np.float64]:
    """Find where the beam of each of a panel's pixels meets a scanner's surface.

    Parameters
    ----------
    frame : DataArray (axis, y, x) points or (y, x) depth, float32, mm
    scanner, panel : Camera

    Returns
    -------
    array (3, y, x), float64, mm
        In the panel's camera's frame; NaN where the surface has a hole.
    """
    from mmdefect.registration.sheet import make_sheet
    from mmdefect.registration.surface import Eye, cast_surface

    points = frame.values
    if frame.attrs["modality"] == "depth":
        points = np.stack([*(Eye(scanner).rays * points), points])
        scanner = replace(scanner, points_in="camera")
    home = scanner.pose if scanner.points_in == "camera" else Pose()
    surface = cast_surface(make_sheet(points, scanner), home, Eye(panel))
    return surface.points.astype(np.float64)


def behind(front: NDArray[np.float64], panel: Camera, back: Plane) -> NDArray[np.float64]:
    """Give the way along each beam between a front and a plane behind it.

    Parameters
    ----------
    front : array (3, y, x), mm
        In the panel's camera's frame.
    panel : Camera
    back : Plane
        In the rig's frame, its normal towards the front.

    Returns
    -------
    array (y, x), mm
        0 where the front lies behind the plane; NaN where it is not known.
    """
    normal = panel.pose.rotation @ (back.normal / np.linalg.norm(back.normal))
    level = float(normal @ panel.pose.into(back.point))
    ahead = np.moveaxis(front, 0, -1)
    above = ahead @ normal - level
    distance = np.linalg.norm(ahead, axis=-1)
    cosine = np.abs(ahead @ normal) / distance
    way: NDArray[np.float64] = np.maximum(above, 0) / np.maximum(cosine, 1e-3)
    return way


def _scanner(rig: Rig, options: ShapeOptions, where: str) -> tuple[Camera, Plane]:
    """Find the scanner's camera and the plane of the part's back."""
    if options.surface not in rig.cameras:
        raise CardError(
            f"{where}: surface is {options.surface!r}, but the rig {rig.name!r} has cameras for "
            f"{', '.join(rig.cameras)}; name a scanner that is there"
        )
    if not isinstance(rig.surface, Plane) or not math.isfinite(options.back):
        raise CardError(
            f"{where}: the part's back is told from the rig's nominal plane, but {rig.name!r} has "
            "none; add [surface] point and normal to the rig file"
        )
    normal = rig.surface.normal / np.linalg.norm(rig.surface.normal)
    return rig.cameras[options.surface], Plane(rig.surface.point - options.back * normal, normal)

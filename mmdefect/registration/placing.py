"""One capture by a rig: every sensor's frame on the reference camera's grid.

* For each reference pixel the surface point it sees comes from the scanner: its own points when
  it is the reference, else its mesh, met by the reference's rays. Without a cloud, from the rig's
  nominal surface; without either, sensors keep their own grids.
* The points are projected into every other camera. There they are hidden when the same mesh, seen
  from that camera, lies before them by more than one of the reference's pixels and four times the
  scanner's noise. A camera that looks through the part is never occluded: what it measured along
  the whole ray is told at the surface.
* Nothing is extrapolated: outside a frame, behind a camera, in a hole, there is NaN.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.errors import RegistrationError
from mmdefect.jit import in_bands
from mmdefect.registration._lens import motion
from mmdefect.registration._sample import sample
from mmdefect.registration.camera import Pose
from mmdefect.registration.nominal import Nominal
from mmdefect.registration.resample import check_shape, resample
from mmdefect.registration.rig import Rig
from mmdefect.registration.sheet import make_sheet
from mmdefect.registration.surface import Eye, Surface, cast_surface, hiding, own_surface
from mmdefect.scene import new_scene

SCANNERS = ("points", "depth")


class Placed(NamedTuple):
    """Frames of one size, and the grid that each lies on."""

    frames: dict[str, xr.DataArray]
    grids: dict[str, str]


class Registration:
    """Brings captures of one rig onto its reference camera's grid.

    Parameters
    ----------
    rig : Rig
    registered : collection of str
        Sensors without a camera of their own, that share the reference's field of view.

    Raises
    ------
    RegistrationError
        When a sensor has a camera and is said to share the reference's view too.
    """

    def __init__(self, rig: Rig, registered: Collection[str] = ()) -> None:
        both = sorted((set(registered) & set(rig.cameras)) - {rig.reference})
        if both:
            raise RegistrationError(
                f"{both[0]!r} has a camera in the rig {rig.name!r} and is said to share the "
                "reference's view too; take it out of the card's 'registered', or its camera out "
                "of the rig file"
            )
        self.rig = rig
        self.registered = frozenset(registered) - {rig.reference}
        self.reference = Eye(rig.cameras[rig.reference])
        self.size = (self.reference.camera.height, self.reference.camera.width)
        self._eyes = {name: Eye(camera) for name, camera in rig.cameras.items()}
        self._eyes[rig.reference] = self.reference
        self._nominal: Nominal | None = None

    def scene(
        self,
        frames: Mapping[str, xr.DataArray],
        *,
        defect: NDArray[np.bool_] | None = None,
        attrs: Mapping[str, str] | None = None,
    ) -> xr.Dataset:
        """Register one capture.

        Parameters
        ----------
        frames : mapping of str to DataArray (…, y, x), float32
            One per sensor that is there, on its own grid; points and depth in mm.
        defect : bool array (y, x), optional
            Ground truth on the reference's frame, where known.
        attrs : mapping, optional
            Passed to the scene.

        Returns
        -------
        Dataset
            A scene on the reference camera's grid; ``scene["valid"].mean(["y", "x"])`` is the
            share of it that each sensor covers.

        Raises
        ------
        RegistrationError
            As ``place`` does.
        """
        placed = self.place(frames)
        return new_scene(
            placed.frames,
            reference=self.rig.reference,
            grids=placed.grids,
            defect=defect,
            attrs=attrs,
        )

    def place(self, frames: Mapping[str, xr.DataArray]) -> Placed:
        """Bring frames onto the reference's grid.

        Parameters
        ----------
        frames : mapping of str to DataArray (…, y, x), float32
            One per sensor that is there, on its own grid; points and depth in mm.

        Returns
        -------
        Placed
            In the same order. Points are in the reference camera's frame. A sensor that cannot be
            placed is resampled to the size of the grid under a label of its own.

        Raises
        ------
        RegistrationError
            When a frame's size contradicts its camera, or lengths are not in mm.
        """
        for name, frame in frames.items():
            self._check(name, frame)
        placed: dict[str, xr.DataArray] = {}
        grids = dict.fromkeys(frames, self.rig.reference)
        surface: Surface | Nominal | None = None
        for name in self._scanners(frames):
            placed[name], found = self._scanned(name, frames[name])
            surface = surface or found
        surface = surface or self._nominal_surface()
        for name in [name for name in frames if name not in placed]:
            if self._shares(name):
                placed[name] = resample(frames[name], *self.size)
            elif surface is not None and name in self.rig.cameras:
                placed[name] = self._sampled(name, frames[name], surface)
            else:
                placed[name], grids[name] = resample(frames[name], *self.size), name
        return Placed({name: placed[name] for name in frames}, grids)

    def _shares(self, name: str) -> bool:
        """Tell whether a sensor has the reference's view."""
        return name == self.rig.reference or name in self.registered

    def _check(self, name: str, frame: xr.DataArray) -> None:
        """Refuse a frame that cannot be its camera's."""
        refused = self.rig.size_refused(name, (frame.sizes["y"], frame.sizes["x"]))
        if refused is not None:
            raise RegistrationError(refused)
        if name in self.registered:
            check_shape(name, frame, self.size)
        if frame.attrs["modality"] in SCANNERS and frame.attrs["units"] != "mm":
            if name in self.rig.cameras or name in self.registered:
                raise RegistrationError(
                    f"{name!r} is in {frame.attrs['units']!r}, but the lengths of a rig are mm; "
                    "state its unit in the card, or leave it out of the rig"
                )

    def _scanners(self, frames: Mapping[str, xr.DataArray]) -> list[str]:
        """List the sensors with a surface, those with the reference's view first."""
        known = [
            name
            for name, frame in frames.items()
            if frame.attrs["modality"] in SCANNERS
            and (name in self.rig.cameras or name in self.registered)
        ]
        return sorted(known, key=lambda name: (not self._shares(name), name != self.rig.reference))

    def _scanned(self, name: str, frame: xr.DataArray) -> tuple[xr.DataArray, Surface]:
        """Give a scanner's frame on the grid, and the surface that it saw."""
        eye = self.reference if name in self.registered else self._eyes[name]
        camera = replace(eye.camera, points_in="camera") if name in self.registered else eye.camera
        if self._shares(name):
            frame = resample(frame, *self.size)
        points = frame.values
        if frame.attrs["modality"] == "depth":
            points = np.stack([*(eye.rays * points), points])
            camera = replace(camera, points_in="camera")
        home = camera.pose if camera.points_in == "camera" else Pose()
        sheet = make_sheet(points, camera)
        if not self._shares(name):
            surface = cast_surface(sheet, home, self.reference)
        else:
            surface = own_surface(sheet, home, self.reference)
            if home == self.reference.camera.pose:
                return frame, surface
        own = surface.measured if frame.attrs["modality"] == "points" else surface.measured[2]
        return _like(frame, own), surface

    def _nominal_surface(self) -> Nominal | None:
        """Give the rig's nominal surface, where it has one."""
        if self._nominal is None and self.rig.surface is not None:
            self._nominal = Nominal(self.rig, self.reference.rays)
        return self._nominal

    def _sampled(self, name: str, frame: xr.DataArray, surface: Surface | Nominal) -> xr.DataArray:
        """Sample a frame where the surface's points fall on it."""
        eye = self._eyes[name]
        camera = eye.camera
        near, plane = np.zeros((0, 0), dtype=np.float32), np.zeros(4)
        seen, slack = np.zeros((0, 0), dtype=bool), 0.0
        if not camera.through and isinstance(surface, Surface):
            near, plane = hiding(surface, eye, self.reference)
            slack = surface.sheet.slack
        elif not camera.through and isinstance(surface, Nominal):
            seen = surface.seen_by(name)
        focal = min(self.reference.camera.fx, self.reference.camera.fy)
        ratio = min(camera.fx, camera.fy) / focal
        values = np.ascontiguousarray(frame.values, dtype=np.float32)
        values = values.reshape(-1, *values.shape[-2:])
        out = np.empty((len(values), *self.size), dtype=np.float32)
        in_bands(
            sample, self.size[0], surface.points, motion(self.reference.camera.pose, camera.pose),
            eye.frame, eye.lens, ratio, near, plane, 1 / focal, slack, seen, values, out,
        )  # fmt: skip
        return _like(frame, out.reshape(*frame.shape[:-2], *self.size))


def _like(frame: xr.DataArray, values: NDArray[np.float32]) -> xr.DataArray:
    """Label values on the reference's grid as a frame is labelled."""
    coords = {name: axis for name, axis in frame.coords.items() if name not in ("y", "x")}
    return xr.DataArray(values, dims=frame.dims, coords=coords, attrs=frame.attrs)

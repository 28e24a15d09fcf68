"""Structured light: clouds from the frames of a projector's patterns, decoded as they are read.

* A capture's frame is a folder, ``NAME.stack``, that holds the camera's frames and ``stack.toml``;
  or the description itself. With a second camera its stack is the folder of that camera's name
  inside.
* The rig file says where camera and projector (or the second camera) stand, and so the points are
  in millimetres and on the camera's own rows and columns.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect.errors import CardError, RegistrationError, SensorError
from mmdefect.registration import Rig, read_rig
from mmdefect.structured.cloud import decode_capture
from mmdefect.structured.decode import Limits
from mmdefect.structured.stack import read_stack

from ._frame import check_number

__all__ = ["StructuredLight"]


class StructuredLight:
    """Decodes stacks of structured light into millimetres.

    Parameters
    ----------
    rig : str or Path, optional
        The rig file; without it nothing can be read.
    camera, projector : str
        Names of their cameras in the rig.
    second : str, optional
        Name of a second camera: it then takes the projector's part.
    near, far : float, mm, optional
        Depths that are believed.
    snr : float
        Least ratio of signal to noise.
    noise : float
        Standard deviation of a count, as a share of the camera's range.

    Raises
    ------
    CardError
        When an option is not of its kind, or the rig cannot be read.
    """

    modality = "points"
    suffixes: tuple[str, ...] = (".stack", ".toml")
    files: tuple[str, ...] = ("rig",)
    unit_read = "mm"

    def __init__(
        self,
        rig: str | Path | None = None,
        camera: str = "points",
        projector: str = "projector",
        second: str = "",
        near: float | None = None,
        far: float | None = None,
        snr: float = Limits.snr,
        noise: float = Limits.noise,
    ) -> None:
        for name, told in (("camera", camera), ("projector", projector), ("second", second)):
            if not isinstance(told, str) or "/" in told:
                raise CardError(
                    f"{name} is {told!r}, but a camera of the rig was promised; name it"
                )
        self._names = {"camera": camera, "projector": projector, "second": second}
        self._near = None if near is None else check_number("near", near)
        self._far = np.inf if far is None else check_number("far", far)
        self._rig = None if rig is None else self._checked(rig)
        self.camera_frame = self._rig is None or self._rig.cameras[camera].points_in == "camera"
        try:
            self._limits = Limits(snr=check_number("snr", snr), noise=check_number("noise", noise))
        except SensorError as error:
            raise CardError(str(error)) from error

    def _checked(self, path: str | Path) -> Rig:
        """Read the rig; it must have the cameras."""
        if not isinstance(path, (str, Path)):
            raise CardError(f"rig is {path!r}, but the path of a rig file was promised; correct it")
        try:
            rig = read_rig(path)
        except RegistrationError as error:
            raise CardError(f"rig cannot be read: {error}") from error
        other = self._names["second"] or self._names["projector"]
        for name in (self._names["camera"], other):
            if name not in rig.cameras:
                raise CardError(
                    f"the rig {rig.name!r} has no camera {name!r}, but structured light needs it; "
                    f"there are: {', '.join(rig.cameras)}"
                )
        return rig

    def read(self, path: Path) -> xr.DataArray:
        """Decode a stack.

        Parameters
        ----------
        path : Path
            A stack's folder or description.

        Returns
        -------
        DataArray (axis, y, x), float32, mm
            Coordinates in the frame that the camera's ``points_in`` says; NaN in all three where
            the projector's light was not seen for sure.

        Raises
        ------
        SensorError
            When it is no stack, not as described, not of the rig's camera, or no rig was given.
        """
        path = Path(path)
        if path.suffix.lower() not in self.suffixes:
            raise SensorError(
                f"{path}: ends with {path.suffix!r}, but one of {', '.join(self.suffixes)} was "
                "promised; name the stack's folder or its description"
            )
        folder = read_stack(path).folder
        if self._rig is None:
            raise SensorError(
                f'{path}: cannot be triangulated without a rig; add rig = "FILE" to the sensor'
            )
        second = self._names["second"]
        try:
            cloud = decode_capture(
                path,
                self._rig,
                **self._names,
                second_path=folder / second if second else None,
                limits=self._limits,
                near=self._near,
                far=self._far,
            )
        except RegistrationError as error:
            raise SensorError(f"{path}: {error}") from error
        points: xr.DataArray = cloud["points"]
        return points

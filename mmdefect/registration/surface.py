"""What the reference sees of a scanner's surface, and what hides it from another camera."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import in_bands
from mmdefect.registration import _mesh as mesh
from mmdefect.registration._lens import Numbers, frame_numbers, lens_numbers, motion
from mmdefect.registration._raster import rasterise
from mmdefect.registration._scratch import scratch
from mmdefect.registration.camera import Camera, Floats, Pose
from mmdefect.registration.sheet import Sheet

_MOST_NODES = 1 << 22
_SOME = 16
_AROUND = 99
_FINE = 0.5
Points = NDArray[np.float32]


class Eye:
    """A camera with everything about it that no capture changes.

    Parameters
    ----------
    camera : Camera
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.frame = frame_numbers(camera)
        self.lens = lens_numbers(camera)

    @cached_property
    def rays(self) -> Points:
        """The normalised coordinates (2, y, x) through which the pixels look, float32."""
        rows, columns = np.mgrid[: self.camera.height, : self.camera.width].astype(np.float64)
        return np.stack(self._straight(columns, rows)).astype(np.float32)

    @cached_property
    def undistorted(self) -> Points:
        """The pixels (2, y, x) on which they would look without a lens, float32."""
        scale, shift = self.frame[:2, None, None], self.frame[2:, None, None]
        return (self.rays * scale + shift).astype(np.float32)

    @cached_property
    def view(self) -> Numbers:
        """The least and greatest x, least and greatest y (4,) of the frame, normalised.

        Without bounds where the lens model does not reach the frame's border.
        """
        right, bottom = self.camera.width - 0.5, self.camera.height - 0.5
        share = np.linspace(0, 1, _AROUND)
        flat, full = np.zeros(_AROUND), np.ones(_AROUND)
        columns = np.concatenate([share, share, flat, full]) * (right + 0.5) - 0.5
        rows = np.concatenate([flat, full, share, share]) * (bottom + 0.5) - 0.5
        x, y = self._straight(columns, rows)
        if not np.isfinite(x).all():
            return np.array([-np.inf, np.inf, -np.inf, np.inf])
        return np.array([x.min(), x.max(), y.min(), y.max()])

    def _straight(self, columns: Numbers, rows: Numbers) -> tuple[Floats, Floats]:
        """Give the normalised coordinates behind pixels."""
        fx, fy, cx, cy = self.frame
        return self.camera.lens.undistort((columns - cx) / fx, (rows - cy) / fy)


@dataclass(frozen=True)
class Surface:
    """What the reference sees.

    Parameters
    ----------
    points : array (3, y, x), float32, mm
        In the reference camera's frame, where other sensors may be placed; NaN elsewhere.
    measured : array (3, y, x), float32, mm
        The same without what was bridged.
    sheet : Sheet
        The scanner's surface.
    home : Pose
        Of the frame in which the sheet's points are.
    """

    points: Points
    measured: Points
    sheet: Sheet
    home: Pose


def own_surface(sheet: Sheet, home: Pose, reference: Eye) -> Surface:
    """Take the points of a scanner that has the reference's view.

    Parameters
    ----------
    sheet : Sheet
    home : Pose
    reference : Eye

    Returns
    -------
    Surface
    """
    moves = motion(home, reference.camera.pose)
    placing, measured = np.empty_like(sheet.points), np.empty_like(sheet.points)
    in_bands(mesh.carry, len(sheet.state), sheet.points, sheet.state, moves, placing, measured)
    return Surface(placing, measured, sheet, home)


def cast_surface(sheet: Sheet, home: Pose, reference: Eye) -> Surface:
    """Find where the rays of the reference's pixels meet a scanner's surface.

    Parameters
    ----------
    sheet : Sheet
    home : Pose
    reference : Eye

    Returns
    -------
    Surface
    """
    camera = reference.camera
    fx, fy, cx, cy = reference.frame
    seen = sheet.before(motion(home, camera.pose), np.array([fx, cx, fy, cy]))
    pixels = scratch("pixels", (2, *seen.shape[1:]), np.float32)
    in_bands(mesh.bend, seen.shape[1], seen, reference.frame, reference.lens, pixels)
    near, kind = rasterise(
        (*seen, sheet.squares),
        (camera.height, camera.width),
        pixels,
        reference.undistorted,
        walls=True,
    )
    placing, measured = np.empty((2, 3, *near.shape), dtype=np.float32)
    in_bands(mesh.lift, len(near), near, kind, reference.rays, placing, measured)
    return Surface(placing, measured, sheet, home)


def hiding(surface: Surface, sensor: Eye, reference: Eye) -> tuple[Points, Numbers]:
    """Render what hides the surface from a sensor.

    The raster lies in the sensor's undistorted plane, over the part of its view that the scanner
    saw, and its nodes are half a pixel of the reference apart.

    Parameters
    ----------
    surface : Surface
    sensor, reference : Eye

    Returns
    -------
    array (height, width), float32, 1/mm
        Inverse depth of what is nearest, 0 for nothing; of no size when nothing is in view.
    array (4,)
        Scale and offset in x, then in y: from the sensor's normalised coordinates to nodes.
    """
    sheet, nothing = surface.sheet, (np.zeros((0, 0), dtype=np.float32), np.zeros(4))
    some = sheet.points[:, ::_SOME, ::_SOME][:, sheet.state[::_SOME, ::_SOME] > 0]
    in_rig = surface.home.out_of(some.T.astype(np.float64))
    away, ahead = (eye.camera.pose.into(in_rig) for eye in (sensor, reference))
    away, ahead = away[away[:, 2] > 0], ahead[ahead[:, 2] > 0, 2]
    if not (len(away) and len(ahead)):
        return nothing
    focal = min(reference.camera.fx, reference.camera.fy)
    pixel = float(np.median(ahead) / np.median(away[:, 2])) / focal
    flat, margin = away[:, :2] / away[:, 2:], 2 * _SOME * pixel
    low = np.maximum(flat.min(0) - margin, sensor.view[::2])
    high = np.minimum(flat.max(0) + margin, sensor.view[1::2])
    if not (low < high).all():
        return nothing
    pitch = max(_FINE * pixel, float(np.sqrt(np.prod(high - low) / _MOST_NODES)))
    columns, rows = (int(count) + 3 for count in (high - low) / pitch)
    plane = np.array([1 / pitch, 1 - low[0] / pitch, 1 / pitch, 1 - low[1] / pitch])
    seen = sheet.before(motion(surface.home, sensor.camera.pose), plane)
    near, _ = rasterise((*seen, sheet.squares), (rows, columns), walls=False)
    return near, plane

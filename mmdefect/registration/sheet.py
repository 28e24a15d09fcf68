"""A scanner's cloud as a surface: what belongs together, and which holes are small.

Everything follows from the scanner's own pixels, so nothing has to be tuned for a part:

* *Jump*: neighbours lie on one surface when their depths differ by no more than a plane at 75°
  to the line of sight would make of one pixel's diagonal, and four times the depth noise.
  Scanners return nothing beyond that angle.
* *Noise*: the median second difference of depth along rows, of a cloud's every eighth row.
* *Outliers*: a point without any neighbour on its surface places nothing and hides nothing.
* *Holes* of up to 8 px between points that agree in depth within two pixel footprints and four
  times the noise are bridged, so that other sensors can be placed there; the points of the scene
  stay missing. Holes of up to 32 px with agreeing ends count as surface where they hide what lies
  behind, and for nothing else. A pair of ends that disagrees, a step, keeps a hole open.
* *Rims*: scanners lose the last pixel or two of a surface at a step, where they see two depths at
  once. So every surface goes on for two pixels where it ends; this too hides, and places nothing.
* Across a jump there is no surface: a reference pixel that looks at a step's wall, which the
  scanner did not see, has no point. Walls hide nothing from other sensors; what stands on them
  does.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import in_bands
from mmdefect.registration import _mesh as mesh
from mmdefect.registration._lens import Numbers
from mmdefect.registration._scratch import scratch
from mmdefect.registration._squares import cut
from mmdefect.registration.camera import Camera

SMALL_HOLE = 8
HIDING_HOLE = 32
_STEEPEST = np.tan(np.deg2rad(75.0))
_NOISE_SHARE = 4.0
_AGREEING_FOOTPRINTS = 2.0
_MAD = 1.4826
_EVERY = 8


@dataclass(frozen=True)
class Sheet:
    """A surface over a scanner's rows and columns.

    Parameters
    ----------
    points : array (3, y, x), float32, mm
        x, y, z as the scanner wrote them, bridged holes included.
    depth : array (y, x), float32, mm
        Along the scanner's axis.
    state : array (y, x), uint8
        ``MEASURED``, ``BRIDGED``, ``GUESSED`` or ``NOTHING`` of ``mmdefect.registration._mesh``.
    slope : float, 1
        Largest difference of neighbouring depths on one surface, as a share of the depth.
    noise : float, mm
        Standard deviation of depth.
    """

    points: NDArray[np.float32]
    depth: NDArray[np.float32]
    state: NDArray[np.uint8]
    slope: float
    noise: float

    @property
    def slack(self) -> float:
        """What noise may add to a difference of depths, mm."""
        return _NOISE_SHARE * self.noise

    @cached_property
    def squares(self) -> NDArray[np.uint8]:
        """How the squares between the points are cut (y - 1, x - 1): see ``cut``."""
        rows, columns = self.state.shape
        made = np.empty((rows - 1, columns - 1), dtype=np.uint8)
        in_bands(cut, rows - 1, self.depth, self.state, self.slope, self.slack, made)
        return made

    def before(self, motion: Numbers, plane: Numbers) -> NDArray[np.float32]:
        """Bring the points before a camera.

        Parameters
        ----------
        motion : array (12,)
            From the frame of the points into the camera's.
        plane : array (4,)
            Scale and offset in x, then in y: from normalised coordinates to pixels.

        Returns
        -------
        array (3, y, x), float32
            Undistorted pixels x, y and the inverse depth (1/mm), 0 where nothing stands. It is
            written over when this thread asks again.
        """
        seen = scratch("seen", (3, *self.state.shape), np.float32)
        in_bands(mesh.stand, len(self.state), self.points, self.state, motion, plane, *seen)
        return seen


def noise_of(depth: NDArray[np.float32]) -> float:
    """Estimate the noise of depth from its second differences along rows.

    Parameters
    ----------
    depth : array (y, x), float32, mm
        NaN where nothing was measured.

    Returns
    -------
    float, mm
        Standard deviation, whatever smooth surface lies beneath; 0 when nothing can be said.
    """
    rows = depth[::_EVERY]
    bend = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    known = np.abs(bend[np.isfinite(bend)])
    return float(_MAD / np.sqrt(6) * np.median(known)) if known.size else 0.0


def make_sheet(points: NDArray[np.float32], camera: Camera) -> Sheet:
    """Make a surface of a scanner's cloud.

    Parameters
    ----------
    points : array (3, y, x), float32, mm
        As the scanner wrote them, in its own frame or the rig's; NaN where there is none.
    camera : Camera
        The scanner's.

    Returns
    -------
    Sheet
    """
    points = np.ascontiguousarray(points, dtype=np.float32)
    axis = np.array([0.0, 0.0, 1.0, 0.0])
    if camera.points_in == "rig":
        axis = np.array([*camera.pose.rotation[2], camera.pose.translation[2]])
    depth = np.empty(points.shape[1:], dtype=np.float32)
    in_bands(mesh.look, len(depth), points, axis, depth)
    footprint = 1 / min(camera.fx, camera.fy)
    noise = noise_of(depth)
    state = np.empty(depth.shape, dtype=np.uint8)
    slope = np.sqrt(2) * _STEEPEST * footprint
    in_bands(mesh.link, len(state), depth, slope, _NOISE_SHARE * noise, state)
    if not (state == mesh.MEASURED).all():
        planes = _bridged(points, depth, state, footprint, slope, _NOISE_SHARE * noise)
        points, depth = planes[:3], planes[3]
    return Sheet(points, depth, state, slope, noise)


def _bridged(
    points: NDArray[np.float32],
    depth: NDArray[np.float32],
    state: NDArray[np.uint8],
    footprint: float,
    slope: float,
    slack: float,
) -> NDArray[np.float32]:
    """Bridge the small holes of a cloud and carry its rims on: x, y, z, depth (4, y, x), mm.

    Writes ``state``.
    """
    gaps = scratch("gaps", (4, *state.shape), np.int16)
    in_bands(mesh.reach_across, len(state), state, HIDING_HOLE, gaps[0], gaps[1])
    mesh.reach_down(state, HIDING_HOLE, gaps[2], gaps[3])
    planes = np.empty((4, *state.shape), dtype=np.float32)
    planes[:3], planes[3] = points, depth
    step = _AGREEING_FOOTPRINTS * footprint
    in_bands(
        mesh.bridge, len(state), planes, depth, gaps, SMALL_HOLE, HIDING_HOLE, step, slack, state
    )
    in_bands(mesh.grow, len(state), planes, depth, slope, slack, state)
    return planes

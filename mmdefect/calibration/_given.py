"""Views of a rig whose cameras are known: straightened by their lenses, whatever the model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mmdefect.calibration._blocks import block_of
from mmdefect.calibration._bundle import Array, Block, State
from mmdefect.calibration._graph import agreed
from mmdefect.calibration._opencv import opencv
from mmdefect.calibration.rig import Views, turned_over
from mmdefect.calibration.sighting import Sighting
from mmdefect.calibration.target import Target
from mmdefect.errors import CalibrationError
from mmdefect.registration import Camera, Pose, Rig


def straightened(sighting: Sighting, camera: Camera) -> Sighting:
    """Straighten a sighting by a camera's lens, whatever its model.

    Parameters
    ----------
    sighting : Sighting
    camera : Camera

    Returns
    -------
    Sighting
        As a camera without distortion would see it; without points beyond the model's reach.
    """
    focal, shift = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
    bent = (sighting.pixels - shift) / focal
    pixels = np.stack(camera.lens.undistort(bent[:, 0], bent[:, 1]), axis=1) * focal + shift
    known = np.isfinite(pixels).all(1)
    return replace(sighting, numbers=sighting.numbers[known], pixels=pixels[known])


def posed(sighting: Sighting, camera: Camera, target: Target) -> Pose:
    """Find the target's pose in a camera's frame from one straightened sighting.

    Parameters
    ----------
    sighting : Sighting
    camera : Camera
    target : Target

    Returns
    -------
    Pose

    Raises
    ------
    CalibrationError
        When there is none.
    """
    cv2 = opencv()
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    points = target.points[sighting.numbers]
    there, turn, shift = cv2.solvePnP(
        points, sighting.pixels, matrix, None, flags=cv2.SOLVEPNP_IPPE
    )
    if not there:
        raise CalibrationError(
            "no pose of the target explains a view; is the target's description right?"
        )
    turn, shift = cv2.solvePnPRefineLM(points, sighting.pixels, matrix, None, turn, shift)
    return Pose(cv2.Rodrigues(turn)[0], shift.ravel())


def inner_of(camera: Camera) -> Array:
    """Give a camera's numbers (9,) without its lens.

    Parameters
    ----------
    camera : Camera

    Returns
    -------
    array (9,)
    """
    return np.array([camera.fx, camera.fy, camera.cx, camera.cy, 0, 0, 0, 0, 0.0])


@dataclass(frozen=True)
class Bundled:
    """Views of a rig, straightened and ready for the solver.

    Parameters
    ----------
    names, views : list of str
        Of cameras, the reference first, and of views, in the order of their numbers.
    straight : mapping of str to mapping of str to Sighting
    poses : mapping of str to mapping of str to Pose
        The target's in the cameras' frames.
    blocks : list of Block
    state : State
        With the rig's cameras and the target where most of them see it.
    """

    names: list[str]
    views: list[str]
    straight: Views
    poses: Mapping[str, Mapping[str, Pose]]
    blocks: list[Block]
    state: State


def bundled(rig: Rig, views: Views, target: Target) -> Bundled:
    """Make one bundle of all cameras, where the rig's file says they stand.

    Parameters
    ----------
    rig : Rig
    views : mapping of str to mapping of str to Sighting
    target : Target

    Returns
    -------
    Bundled
    """
    names = sorted(views, key=lambda name: name != rig.reference)
    seen = {
        name: {view: straightened(one, rig.cameras[name]) for view, one in views[name].items()}
        for name in names
    }
    poses = {
        name: {view: posed(one, rig.cameras[name], target) for view, one in seen[name].items()}
        for name in names
    }
    placed = {name: rig.cameras[name].pose for name in names}
    every = sorted({view for one in seen.values() for view in one})
    blocks, boards = [], []
    for number, view in enumerate(every):
        told = agreed({n: poses[n][view] for n in names if view in poses[n]}, placed, target)
        boards.append(told.board)
        for name, turned in told.turned.items():
            one = turned_over(seen[name][view], target, turned)
            blocks.append(block_of(one, target, names.index(name), number))
    state = State(
        np.stack([inner_of(rig.cameras[name]) for name in names]),
        np.stack([pose.rotation for pose in placed.values()]),
        np.stack([pose.translation for pose in placed.values()]),
        np.stack([board.rotation for board in boards]),
        np.stack([board.translation for board in boards]),
    )
    return Bundled(names, every, seen, poses, blocks, state)

"""The simulated station: where its sensors, lights, projector and X-ray source stand.

Four sensors that share nothing: pose, field of view, number of pixels, lens. Working distance
450 mm, field of view of the colour camera, which is the reference, 112 mm. The X-ray source looks
through the part at a panel behind it (magnification 1.15). All in the rig's frame: that of the
colour camera, x right, y down, z away from it.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import CardError
from mmdefect.registration import BrownConrady, Camera, Division, Plane, Pose, Rig

DISTANCE_MM = 450.0
FIELD_MM = 112.0
SMALLEST = 48
SENSORS = ("rgb", "points", "infrared", "xray")
PROJECTOR = np.array([-95.0, 20.0, 12.0])
LAMPS = (np.array([-260.0, -190.0, 90.0]), np.array([230.0, 170.0, 60.0]))
FLASH = np.array([40.0, -240.0, 120.0])
SOURCE_MM = 600.0
PANEL_MM = 690.0
INFRARED_SHARE = 0.75
XRAY_SHARE = 1.2


@dataclass(frozen=True)
class _View:
    """A camera's place, the field of view it covers at the part, and its lens."""

    place: tuple[float, float, float]
    roll: float
    field: float
    lens: BrownConrady


_VIEWS = {
    "rgb": _View((0.0, 0.0, 0.0), 0.0, FIELD_MM, BrownConrady(-0.11, 0.05, 4e-4, -3e-4)),
    "points": _View((62.0, 8.0, 6.0), 0.8, 118.0, BrownConrady(-0.06, 0.02, -2e-4, 3e-4)),
    "infrared": _View((-14.0, -105.0, 38.0), -1.5, 124.0, BrownConrady(-0.19, 0.09, 5e-4, 4e-4)),
}


def station(size: int = 256, *, aligned: bool = False) -> Rig:
    """Set the station up.

    Parameters
    ----------
    size : int, px
        Rows and columns of the colour camera and of the scanner; the infrared camera has three
        quarters of them, the X-ray panel six fifths.
    aligned : bool
        Whether the scanner's camera takes the colour picture too, as MVTec 3D-AD's does: then
        colour and points lie pixel on pixel.

    Returns
    -------
    Rig

    Raises
    ------
    CardError
        When the frames would be too small for the parts' features.
    """
    if size < SMALLEST:
        raise CardError(
            f"frames of {size} px were asked for, but the parts' features need at least "
            f"{SMALLEST} px: ask for more"
        )
    sides = {"rgb": size, "points": size, "infrared": round(INFRARED_SHARE * size)}
    cameras = {name: _camera(view, sides[name]) for name, view in _VIEWS.items()}
    cameras["xray"] = _radiograph(round(XRAY_SHARE * size))
    if aligned:
        cameras["points"] = cameras["rgb"]
    plane = Plane(np.array([0.0, 0.0, DISTANCE_MM]), np.array([0.0, 0.0, -1.0]))
    return Rig("simulated station", "rgb", cameras, plane)


def rays_of(camera: Camera) -> NDArray[np.float64]:
    """Give the directions (height, width, 3) in which all pixels look, as the camera does.

    Straightening what the lens bends takes time, and the station's lenses are always the same.
    """
    lens = (camera.fx, camera.fy, camera.cx, camera.cy, camera.lens)
    turned: NDArray[np.float64] = _straight(camera.height, camera.width, *lens) @ (
        camera.pose.rotation
    )
    return turned


@lru_cache(maxsize=len(SENSORS))
def _straight(
    height: int,
    width: int,
    fx: float,
    fy: float,
    cx: float,
    cy: float,
    lens: BrownConrady | Division,
) -> NDArray[np.float64]:
    """Give them in the camera's own frame."""
    return Camera(height, width, fx, fy, cx, cy, lens).directions()


def _camera(view: _View, side: int) -> Camera:
    """Place a camera that looks at the middle of the part."""
    place = np.array(view.place)
    pose = _looking(place, np.array([0.0, 0.0, DISTANCE_MM]), np.deg2rad(view.roll))
    distance = np.linalg.norm(place - np.array([0.0, 0.0, DISTANCE_MM]))
    focal = float(side * distance / view.field)
    centre = (side - 1) / 2
    return Camera(
        side, side, focal, focal * 1.001, centre + 0.011 * side, centre - 0.007 * side,
        view.lens, pose,
    )  # fmt: skip


def _radiograph(side: int) -> Camera:
    """Place the X-ray source above the part and its panel behind it."""
    place = np.array([21.0, -13.0, DISTANCE_MM - SOURCE_MM])
    pitch = FIELD_MM * (PANEL_MM / SOURCE_MM) * 1.04 / side
    centre = (side - 1) / 2
    focal = PANEL_MM / pitch
    pose = Pose(np.eye(3), -place)
    shift = place[:2] * (PANEL_MM / SOURCE_MM) / pitch
    return Camera(
        side, side, focal, focal, centre + shift[0], centre + shift[1], pose=pose, through=True
    )


def _looking(place: NDArray[np.float64], at: NDArray[np.float64], roll: float) -> Pose:
    """Give the pose of a camera that looks from one place at another, x to the right."""
    ahead = (at - place) / np.linalg.norm(at - place)
    right = np.cross([0.0, 1.0, 0.0], ahead)
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    upright = np.stack([right, down, ahead])
    c, s = np.cos(roll), np.sin(roll)
    rotation = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) @ upright
    return Pose(rotation, -rotation @ place)

"""Calibration targets before planted cameras: frames, corners and decoded projector coordinates.

Every pixel of a frame is the mean of 3 x 3 rays that meet the target's plane, blurred and noisy:
nothing is warped or resampled, so edges lie where the camera's equations put them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from mmdefect.calibration._bundle import Block, State, project
from mmdefect.calibration.drawing import reflectance
from mmdefect.calibration.sighting import Sighting
from mmdefect.calibration.target import Target
from mmdefect.registration import BrownConrady, Camera, Pose

OVER = 3
CHARUCO = Target("charuco", 8, 11, 15.0, marker=11.0, dictionary="4X4_50")
CHESSBOARD = Target("chessboard", 8, 11, 15.0)
CIRCLES = Target("circles", 7, 9, 18.0, diameter=10.0)
ASYMMETRIC = Target("asymmetric-circles", 13, 5, 12.0, diameter=9.0)
TARGETS = {"charuco": CHARUCO, "chessboard": CHESSBOARD, "circles": CIRCLES}
TARGETS["asymmetric-circles"] = ASYMMETRIC


def turned(x: float, y: float, z: float) -> np.ndarray:
    """A rotation by angles in degrees about x, then y, then z."""
    return Rotation.from_euler("xyz", [x, y, z], degrees=True).as_matrix()


def station(width: int = 1280, height: int = 960) -> dict[str, Camera]:
    """Three cameras and a projector about 500 mm above a part; ``infrared`` is a coarse one."""
    share = width / 1280
    lens = BrownConrady(-0.12, 0.09, 4e-4, -3e-4, -0.02)
    wide = BrownConrady(-0.2, 0.11, -5e-4, 2e-4, 0.0)
    coarse = BrownConrady(-0.3, 0.15, 3e-4, 4e-4, 0.0)
    return {
        "left": Camera(
            height, width, 1660 * share, 1663 * share, 651.3 * share, 470.8 * share, lens
        ),
        "right": Camera(
            height, width, 1702 * share, 1701 * share, 628.9 * share, 489.1 * share, wide,
            Pose(turned(1.5, 17, -2), np.array([-150.0, 4.0, 25.0])),
        ),
        "infrared": Camera(
            height // 2, width // 2, 640 * share, 641 * share, 327.4 * share, 236.2 * share,
            coarse, Pose(turned(14, 3, 1), np.array([-20.0, 118.0, 30.0])),
        ),
        "projector": Camera(
            int(800 * share), width, 1850 * share, 1847 * share, 655.0 * share, 700.0 * share,
            BrownConrady(-0.05, 0.02, 2e-4, 1e-4, 0.0),
            Pose(turned(-11, -14, 1), np.array([120.0, -172.0, 15.0])),
        ),
    }  # fmt: skip


def placed(
    target: Target,
    rng: np.random.Generator,
    count: int,
    *,
    tilt: float = 35.0,
    distance: float = 500.0,
    spread: float = 60.0,
) -> list[Pose]:
    """Poses of a target in the rig's frame, tilted up to `tilt` degrees and moved about."""
    left, top, right, bottom = target.extent
    middle = np.array([(left + right) / 2, (top + bottom) / 2, 0.0])
    poses = []
    for number in range(count):
        way = 2 * np.pi * number / count + rng.uniform(-0.3, 0.3)
        lean = np.deg2rad(tilt) * rng.uniform(0.5, 1.0)
        vector = lean * np.array([np.cos(way), np.sin(way), 0.0])
        rotation = Rotation.from_rotvec(vector) * Rotation.from_euler("z", rng.uniform(-0.5, 0.5))
        turn = rotation.as_matrix()
        where = np.array([*rng.uniform(-spread, spread, 2), distance + rng.uniform(-60, 60)])
        poses.append(Pose(turn, where - turn @ middle))
    return poses


def onto(pose: Pose, points: np.ndarray) -> np.ndarray:
    """Points (n, 3) of the target in the rig's frame."""
    return points @ pose.rotation.T + pose.translation


@dataclass(frozen=True)
class Look:
    """How a frame is taken: levels in grey, blur and noise as standard deviations."""

    bright: float = 200.0
    dark: float = 30.0
    blur: float = 0.7
    noise: float = 2.0
    inverted: bool = False


def places(camera: Camera, pose: Pose, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Where rays through pixels (…) meet the target's plane: x, y (2, …) in mm on the target."""
    rays = camera.directions(np.stack([columns, rows], axis=-1))
    normal = pose.rotation[:, 2]
    ahead = ((pose.translation - camera.centre) @ normal) / (rays @ normal)
    found = (camera.centre + rays * ahead[..., None] - pose.translation) @ pose.rotation
    return np.moveaxis(found[..., :2], -1, 0)


def render(
    target: Target, camera: Camera, pose: Pose, rng: np.random.Generator, look: Look | None = None
) -> np.ndarray:
    """A frame (y, x), uint8, of a target; the sheet ends a pitch and a half beyond the pattern."""
    look = look or Look()
    left, top, right, bottom = target.extent
    margin = 1.5 * target.pitch
    edges = (left - margin, top - margin, right + margin, bottom + margin)
    rows, columns = _seen(camera, pose, edges)
    shade = np.full((camera.height, camera.width), 0.4)
    knots = places(
        camera,
        pose,
        *np.meshgrid(
            np.r_[rows, rows[-1] + 1] - 0.5, np.r_[columns, columns[-1] + 1] - 0.5, indexing="ij"
        ),
    )
    middles = [(np.arange(OVER * len(part)) + 0.5) / OVER for part in (rows, columns)]
    x, y = (_between(plane, *middles) for plane in knots)
    sheet = (x > edges[0]) & (x < edges[2]) & (y > edges[1]) & (y < edges[3])
    fine = np.where(sheet, reflectance(target, x, y), 0.4)
    shade[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = fine.reshape(
        len(rows), OVER, len(columns), OVER
    ).mean((1, 3))
    if look.inverted:
        shade = 1 - shade
    grey = ndimage.gaussian_filter(look.dark + (look.bright - look.dark) * shade, look.blur)
    slope = 1 - 0.25 * np.linspace(-0.5, 0.5, camera.width)
    grey = grey * slope + rng.normal(0, look.noise, grey.shape)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _seen(camera: Camera, pose: Pose, edges: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the frame among which the sheet lies."""
    x, y = np.meshgrid(np.linspace(edges[0], edges[2], 30), np.linspace(edges[1], edges[3], 30))
    points = onto(pose, np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3))
    pixels = camera.project(points)
    low = np.clip(np.floor(np.nanmin(pixels, 0)) - 2, 0, [camera.width - 1, camera.height - 1])
    high = np.clip(np.ceil(np.nanmax(pixels, 0)) + 2, low, [camera.width - 1, camera.height - 1])
    low, high = low.astype(int), high.astype(int)
    return np.arange(low[1], high[1] + 1), np.arange(low[0], high[0] + 1)


def _between(plane: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear values of a plane between its knots, at every pair of row and column."""
    i, j = rows.astype(int), columns.astype(int)
    down, across = (rows - i)[:, None], columns - j
    upper = plane[i][:, j] * (1 - across) + plane[i][:, j + 1] * across
    lower = plane[i + 1][:, j] * (1 - across) + plane[i + 1][:, j + 1] * across
    return upper * (1 - down) + lower * down


def decoded(
    target: Target,
    camera: Camera,
    projector: Camera,
    pose: Pose,
    rng: np.random.Generator,
    *,
    noise: float = 0.1,
    floor: float = 0.3,
) -> np.ndarray:
    """Projector coordinates (2, y, x), column and row in px, as a camera's decoded stack has them.

    NaN off the sheet, outside the projector's frame, and on the dark squares.
    """
    rows, columns = np.mgrid[: camera.height, : camera.width].astype(float)
    x, y = places(camera, pose, rows, columns)
    left, top, right, bottom = target.extent
    margin = 1.5 * target.pitch
    sheet = (x > left - margin) & (x < right + margin) & (y > top - margin) & (y < bottom + margin)
    points = onto(pose, np.stack([x, y, np.zeros_like(x)], axis=-1))
    found = projector.project(points) + rng.normal(0, noise, (*x.shape, 2))
    inside = (found >= -0.5).all(-1) & (found[..., 0] < projector.width - 0.5)
    inside &= found[..., 1] < projector.height - 0.5
    shade = ndimage.gaussian_filter(reflectance(target, x, y), 0.7)
    found[~(sheet & inside & (shade > floor))] = np.nan
    return np.moveaxis(found, -1, 0)


def lit(
    target: Target, camera: Camera, projector: Camera, pose: Pose, rng: np.random.Generator,
    patterns: Iterable[np.ndarray], *, noise: float = 1.0,
) -> Iterator[np.ndarray]:  # fmt: skip
    """Frames (y, x), uint8, of a target on which a projector shows one pattern after another."""
    rows, columns = np.mgrid[: camera.height, : camera.width].astype(float)
    x, y = places(camera, pose, rows, columns)
    points = onto(pose, np.stack([x, y, np.zeros_like(x)], axis=-1))
    column, row = np.moveaxis(projector.project(points), -1, 0)
    shade = render(target, camera, pose, rng, Look(bright=255.0, dark=15.0, noise=0.0)) / 255.0
    for pattern in patterns:
        soft = ndimage.gaussian_filter(pattern.astype(float), 0.6)
        light = ndimage.map_coordinates(soft, [row, column], order=1, mode="constant", cval=0.0)
        grey = shade * (8 + 0.8 * light) + rng.normal(0, noise, shade.shape)
        yield np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def sightings(
    camera: Camera,
    poses: list[Pose],
    rng: np.random.Generator,
    *,
    target: Target = CHARUCO,
    noise: float = 0.05,
) -> dict[str, Sighting]:
    """What a planted camera would see of a target, with noise on every coordinate."""
    found = {}
    for number, pose in enumerate(poses):
        radius = target.diameter / 2 * target.round
        block = Block(0, 0, target.points, np.zeros((len(target.points), 2)), radius)
        pixels, _ = project(block, state_of(camera, pose))
        inside = ((pixels > 0) & (pixels < [camera.width - 1, camera.height - 1])).all(1)
        if inside.sum() < 12:
            continue
        seen = pixels[inside] + rng.normal(0, noise, (inside.sum(), 2))
        size = (camera.height, camera.width)
        found[f"view{number:02d}"] = Sighting(np.flatnonzero(inside), seen, size)
    return found


def truth(camera: Camera) -> np.ndarray:
    """The nine numbers of a planted camera."""
    lens = camera.lens
    focal = [camera.fx, camera.fy, camera.cx, camera.cy]
    return np.array([*focal, lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])


def state_of(camera: Camera, pose: Pose) -> State:
    """A bundle's state of one camera and one view."""
    return State(
        truth(camera)[None], camera.pose.rotation[None], camera.pose.translation[None],
        pose.rotation[None], pose.translation[None],
    )  # fmt: skip

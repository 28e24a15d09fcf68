"""A projector as a camera that sees nothing: its picture of the target is read in a camera's.

While the target lies still, a stack of patterns tells for each pixel of a camera which place of
the projector lit it. At a corner itself that place is uncertain, because light and dark mix there,
so it is taken from a homography fitted to the places all around the corner [1]_. Pixels are
straightened by the camera's own lens first: then only the projector's lens, which is what is
sought, bends anything.

References
----------
.. [1] Moreno, Taubin: Simple, accurate, and robust projector-camera calibration, 3DIMPVT 2012.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.calibration._bundle import Array
from mmdefect.calibration._opencv import opencv
from mmdefect.calibration.sighting import Sighting
from mmdefect.calibration.target import Target
from mmdefect.errors import CalibrationError
from mmdefect.registration import Camera, Pose

_REACH = {"circles": 0.7, "asymmetric-circles": 1.0}
_SQUARE_REACH = 0.5
_SMALLEST, _LARGEST = 5, 60
_LEAST_PIXELS, _MOST_PIXELS = 40, 1000
_ROUNDS = 3
_FAR = 4.0
_MAD = 1.4826
_OUTSIDE = 1.0


def projector_sighting(
    places: NDArray[np.floating], sighting: Sighting, target: Target, size: tuple[int, int],
    *, camera: Camera, pose: Pose,
) -> Sighting | None:  # fmt: skip
    """Find where a projector's frame holds the target's points.

    Parameters
    ----------
    places : array (2, y, x), floating, px
        The projector's column and row that each of the camera's pixels saw; NaN where unknown.
    sighting : Sighting
        Of the target in the same view, by the same camera.
    target : Target
    size : (int, int), px
        The projector's height and width.
    camera : Camera
        Calibrated.
    pose : Pose
        The target's in the camera's frame.

    Returns
    -------
    Sighting or None
        Of the projector; without the points around which too few places are known, and None when
        fewer than six remain.

    Raises
    ------
    CalibrationError
        When the places are not of the camera's frame.
    """
    if places.shape != (2, *sighting.size):
        raise CalibrationError(
            f"decoded places have the shape {places.shape}, but (2, {sighting.size[0]}, "
            f"{sighting.size[1]}) was promised: column and row for every pixel of the view"
        )
    own = Camera(
        camera.height, camera.width, camera.fx, camera.fy, camera.cx, camera.cy, camera.lens
    )
    points = pose.into(target.points[sighting.numbers])
    centres = own.project(points) if target.round else sighting.pixels
    reaches = _reaches(target, sighting)
    kept, found = [], []
    for number, centre, reach in zip(sighting.numbers, centres, reaches, strict=True):
        place = _place(places, centre, reach, own)
        if place is not None:
            kept.append(number)
            found.append(place)
    if len(kept) < 6:
        return None
    return Sighting(np.array(kept), np.array(found), size, centres=True)


def _reaches(target: Target, sighting: Sighting) -> NDArray[np.int64]:
    """Give half the windows (n,) around the points, px."""
    matrix, _ = opencv().findHomography(target.points[sighting.numbers, :2], sighting.pixels)
    points = target.points[sighting.numbers, :2]
    steps = []
    for step in ([1.0, 0.0], [0.0, 1.0]):
        ends = np.stack([points - step, points + np.array(step)])
        pixels = opencv().perspectiveTransform(ends.reshape(1, -1, 2), matrix)[0]
        steps.append(np.linalg.norm(np.subtract(*pixels.reshape(2, -1, 2)), axis=1) / 2)
    share = _REACH.get(target.kind, _SQUARE_REACH) * target.pitch
    halves = np.clip(np.rint(np.min(steps, axis=0) * share), _SMALLEST, _LARGEST)
    return np.asarray(halves, dtype=np.int64)


def _place(places: NDArray[np.floating], centre: Array, reach: int, camera: Camera) -> Array | None:
    """Give the projector's place (2,) at a pixel by a homography of those around it."""
    column, row = (round(float(part)) for part in centre)
    low = max(row - reach, 0), max(column - reach, 0)
    window = places[:, low[0] : row + reach + 1, low[1] : column + reach + 1].astype(np.float64)
    known = np.isfinite(window).all(0)
    if known.sum() < max(_LEAST_PIXELS, known.size / 5):
        return None
    chosen = np.argwhere(known)
    chosen = chosen[:: len(chosen) // _MOST_PIXELS + 1]
    pixels = chosen[:, ::-1] + np.array([low[1], low[0]])
    straight = _straight(np.vstack([centre, pixels]), camera)
    around = straight[1:] - straight[0]
    if not np.isfinite(straight).all() or _outside(around):
        return None
    return _fitted(around, window[:, chosen[:, 0], chosen[:, 1]].T)


def _straight(pixels: Array, camera: Camera) -> Array:
    """Straighten pixels (n, 2) by a camera's lens; still in px."""
    focal, shift = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
    bent = (pixels - shift) / focal
    straight: Array = np.stack(camera.lens.undistort(bent[:, 0], bent[:, 1]), axis=1) * focal
    return straight


def _outside(around: Array) -> bool:
    """Tell whether the origin lies beside points (n, 2) rather than among them."""
    spread = np.cov(around.T)
    if np.linalg.det(spread) < 1e-6:
        return True
    middle = around.mean(0)
    return bool(middle @ np.linalg.solve(spread, middle) > _OUTSIDE**2)


def _fitted(around: Array, seen: Array) -> Array | None:
    """Fit a homography from places (n, 2) to places (n, 2), robustly; map the origin by it."""
    scale, offset = np.abs(around).max(), seen.mean(0)
    x, y = (around / scale).T
    one, none = np.ones_like(x), np.zeros_like(x)
    keep = np.ones(len(x), dtype=bool)
    for _ in range(_ROUNDS):
        u, v = (seen - offset).T
        top = np.stack([x, y, one, none, none, none, -u * x, -u * y], axis=1)
        bottom = np.stack([none, none, none, x, y, one, -v * x, -v * y], axis=1)
        rows = np.concatenate([top[keep], bottom[keep]])
        h, *_ = np.linalg.lstsq(rows, np.concatenate([u[keep], v[keep]]), rcond=None)
        under = h[6] * x + h[7] * y + 1
        off = np.hypot(
            (h[0] * x + h[1] * y + h[2]) / under - u, (h[3] * x + h[4] * y + h[5]) / under - v
        )
        keep = off <= _FAR * _MAD * max(float(np.median(off[keep])), 1e-6)
        if keep.sum() < _LEAST_PIXELS:
            return None
    place: Array = np.array([h[2], h[5]]) + offset
    return place

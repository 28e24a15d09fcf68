"""What of an organised cloud is not the part: the plane it lies on, and crumbs in the air.

* The plane is looked for at the frame's border, where a part seldom is, by drawing three points at
  a time [1]_: all hypotheses meet all points in one compiled loop. If the border saw too little
  or is no plane, the whole frame is asked; if that is no plane either, nothing is removed.
* A plane is background only when most of what is not on it stands before it, towards the sensor:
  the top of a part is a plane too, but its sides and its table lie behind. And nothing is removed
  when nothing would remain.
* What stands on the plane falls into pieces that touch on the grid once gaps are closed. The
  largest is the part; smaller ones stay if they have a tenth of its pixels.
* A missing point is missing, not background.

References
----------
.. [1] Fischler, Bolles: Random sample consensus, CACM 24, 1981.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmdefect.geometry._passes import votes
from mmdefect.geometry.grid import Cloud, check_cloud, median_pitch, sensor_at

FIT_MM = 4.0
CLEAR_MM = 5.0
GAP_MM = 6.0
BORDER = 10
_DRAWS = 1000
_LOOKS = 2000
_FEWEST = 30
_DOMINANT = 0.5
_BEFORE = 0.5
_REMAINS = 0.005
_LEAST_PIECE = 0.1
_WIDEST_GAP = 40


class Background(NamedTuple):
    """What was found to be background.

    Attributes
    ----------
    mask : bool array (y, x)
        True at background points; False at the part and where points are missing.
    plane : float array (4,) or None
        a, b, c of length 1 towards the sensor and d: a x + b y + c z + d is the height above the
        plane, in the points' unit. None when there is no such plane.
    share : float
        Background points over points.
    """

    mask: NDArray[np.bool_]
    plane: NDArray[np.float64] | None
    share: float


def background(
    points: NDArray[np.floating],
    *,
    fit: float = FIT_MM,
    clear: float = CLEAR_MM,
    gap: float = GAP_MM,
    border: int = BORDER,
    seed: int = 0,
) -> Background:
    """Find the background of a part on a plane.

    Parameters
    ----------
    points : float array (3, y, x), mm
        Coordinates; NaN where missing.
    fit : float, mm
        Points this near to a hypothesis speak for it.
    clear : float, mm
        Height up to which points belong to the plane. A part that is lower than this goes too.
    gap : float, mm
        Widest gap between pieces that belong together; at most 40 pixels.
    border : int
        Width of the border in pixels.
    seed : int
        Of the draws.

    Returns
    -------
    Background

    Raises
    ------
    SceneError
        When the points are no organised cloud.
    """
    cloud = check_cloud(points)
    seen = np.isfinite(cloud[0])
    nothing = Background(np.zeros(seen.shape, dtype=bool), None, 0.0)
    plane = _plane_of(cloud, seen, fit, border, np.random.default_rng(seed))
    if plane is None:
        return nothing
    height = np.einsum("i,iyx->yx", plane[:3], cloud) + plane[3]
    standing = seen & (height > clear)
    if np.count_nonzero(standing) < max(_FEWEST, _REMAINS * np.count_nonzero(seen)):
        return nothing
    reach = min(_WIDEST_GAP, gap / median_pitch(cloud)) / 2
    mask = seen & ~_largest(standing, round(reach))
    return Background(mask, plane, float(mask.sum() / seen.sum()))


def _plane_of(
    cloud: Cloud, seen: NDArray[np.bool_], fit: float, border: int, rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """Find the plane behind the part: from the border, else from the whole frame."""
    edge = np.ones(seen.shape, dtype=bool)
    edge[border:-border, border:-border] = False
    sensor = sensor_at(cloud)
    everywhere = _some(cloud, seen, rng)
    for among in (seen & edge, seen):
        places = _some(cloud, among, rng)
        plane = _dominant(places, fit, rng) if len(places) >= _FEWEST else None
        if plane is not None:
            plane = _towards(plane, sensor, places.mean(0))
            height = everywhere @ plane[:3] + plane[3]
            off = np.abs(height) > fit
            if not off.any() or (height[off] > 0).mean() >= _BEFORE:
                return plane
    return None


def _some(cloud: Cloud, among: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw as many points as are worth looking at: (point, axis)."""
    there = np.flatnonzero(among)
    if len(there) > _LOOKS:
        there = there[rng.choice(len(there), _LOOKS, replace=False)]
    return cloud.reshape(3, -1)[:, there].T.astype(np.float64)


def _dominant(
    places: NDArray[np.float64], fit: float, rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """Find the plane near most of the points, if it is near half of them at least."""
    centre = places.mean(0)
    moved = places - centre
    first, second, third = (moved[rng.integers(0, len(moved), _DRAWS)] for _ in range(3))
    normals = np.cross(second - first, third - first)
    length = np.linalg.norm(normals, axis=1)
    drawn = length > 1e-9 * max(float(np.abs(moved).max()) ** 2, 1e-300)
    if not drawn.any():
        return None
    normals = normals[drawn] / length[drawn, None]
    offsets = (normals * first[drawn]).sum(1)
    counts = np.empty(len(normals), dtype=np.int64)
    votes(np.ascontiguousarray(moved.T), normals, offsets, fit, counts)
    winner = int(counts.argmax())
    best = np.abs(moved @ normals[winner] - offsets[winner]) <= fit
    if best.mean() < _DOMINANT:
        return None
    middle = moved[best].mean(0)
    normal = np.linalg.eigh(np.cov(moved[best].T))[1][:, 0]
    return np.array([*normal, -(normal @ (middle + centre))])


def _towards(
    plane: NDArray[np.float64], sensor: NDArray[np.float64], place: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Turn a plane's normal towards the sensor."""
    facing = plane[:3] @ (sensor[:3] - sensor[3] * place)
    return plane if facing >= 0 else -plane


def _largest(standing: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Keep the largest piece, and others of a tenth of its size; gaps up to twice the reach close.

    Parameters
    ----------
    standing : bool array (y, x)
        With at least one True.
    reach : int
        Pixels.
    """
    size = 2 * reach + 1
    joined = ndimage.maximum_filter(standing.view(np.uint8), size=size, mode="constant")
    pieces, count = ndimage.label(joined, structure=np.ones((3, 3), dtype=int))
    sizes = np.bincount(pieces[standing], minlength=count + 1)
    kept = sizes >= max(1.0, _LEAST_PIECE * sizes.max())
    return np.asarray(standing & kept[pieces])

"""A cloud laid onto a reference part by its shape and its colours.

A fixture holds a part to a millimetre or so; a comparison with the reference wants hundredths.
Coloured ICP [1]_ closes the gap also where shape alone would let the cloud slide, as on a board
or a flat cover. It always returns something, so here it has to earn trust:

* *Bounded*: a cloud that would have to move further than the fixture allows is refused.
* *Seeded*: it begins at the pose that the fixture promises, and from several others around it,
  drawn from a seed. If they do not end at one place, shape and colours do not pin the part down.
* *Judged*: too few points that find a partner, or partners too far away, are refused as well.

References
----------
.. [1] Park, Zhou, Koltun: Colored point cloud registration revisited, ICCV 2017.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import RegistrationError
from mmdefect.registration.camera import Pose

Floats = NDArray[np.floating[Any]]

_SCALES = (4.0, 2.0, 1.0)
_REACH = 2.0
_NORMALS = 3.0
_ROUNDS = (50, 30, 20)
_LEAST_POINTS = 100
_MOST_POINTS = 60_000
_SEEN = 0.5


@dataclass(frozen=True)
class Alignment:
    """Where a cloud belongs on the reference part.

    Parameters
    ----------
    pose : Pose
        From the cloud's frame into the reference part's.
    fitness : float, 1
        Share of the cloud's points with a partner on the reference.
    rmse : float, mm
        Root-mean-square distance of partners.
    moved : float, mm
        How far the furthest corner of the cloud's box moved from where it began.
    spread : float, mm
        How far apart the starts around the given one ended, at the corners of the box.
    """

    pose: Pose
    fitness: float
    rmse: float
    moved: float
    spread: float


@dataclass(frozen=True)
class Bounds:
    """What an alignment must keep to be believed.

    Parameters
    ----------
    moved : float, mm
        Furthest that a corner of the cloud's box may move.
    fitness : float, 1
        Least share of points with a partner.
    rmse : float, mm
        Largest distance of partners; 0 for the spacing of the thinned points.
    spread : float, mm
        How far apart the starts may end; 0 for a quarter of the spacing.
    """

    moved: float = 3.0
    fitness: float = 0.7
    rmse: float = 0.0
    spread: float = 0.0


def align_to_part(
    cloud: Floats, reference: Floats, colors: Floats | None = None,
    reference_colors: Floats | None = None, *, start: Pose | None = None,
    bounds: Bounds | None = None, spacing: float | None = None, tries: int = 4, seed: int = 0,
) -> Alignment:  # fmt: skip
    """Find the motion that lays a cloud onto a reference part.

    Parameters
    ----------
    cloud, reference : array (…, 3), floating, mm
        Points; NaN where there is none. The reference should cover what the cloud shows.
    colors, reference_colors : array (…, 3) or (…), floating, 1, optional
        Of each point, 0 to 1; grey or three channels. Both or neither: without them shape decides
        alone (point to plane).
    start : Pose, optional
        From the cloud's frame into the reference's, as the fixture promises; the identity when
        left out.
    bounds : Bounds, optional
    spacing : float, mm, optional
        Of the thinned points on the finest of three scales; chosen from the reference, to at most
        60,000 points, when left out.
    tries : int
        Starts: the given one, and others up to half of ``bounds.moved`` away.
    seed : int
        Of these others.

    Returns
    -------
    Alignment

    Raises
    ------
    RegistrationError
        When the arrays do not fit, when open3d cannot be imported, or when the alignment breaks
        a bound.
    """
    bounds, start = bounds or Bounds(), start or Pose()
    o3d = _open3d()
    pair = [
        _thinned_input(points, tints, what)
        for points, tints, what in (
            (cloud, colors, "cloud"),
            (reference, reference_colors, "reference"),
        )
    ]
    if (colors is None) != (reference_colors is None):
        raise RegistrationError(
            "one of cloud and reference has colours and the other has none; give both or neither"
        )
    spacing = spacing or _spacing(pair[1][0])
    levels = [_level(o3d, pair, spacing * scale) for scale in _SCALES]
    corners = _corners(pair[0][0])
    ends = [
        _descended(o3d, levels, first, spacing, colors is not None)
        for first in _starts(start, corners, bounds.moved, tries, seed)
    ]
    best = max(ends, key=lambda end: (round(end[1], 2), -end[2]))
    moved = _apart(best[0], start, corners)
    spread = max(_apart(best[0], end[0], corners) for end in ends)
    found = Alignment(best[0], best[1], best[2], moved, spread)
    _believable(found, bounds, spacing)
    return found


def _believable(found: Alignment, bounds: Bounds, spacing: float) -> None:
    """Refuse what breaks a bound."""
    rmse, spread = bounds.rmse or spacing, bounds.spread or spacing / 4
    for broken, said in (
        (
            not found.fitness >= bounds.fitness,
            f"only {found.fitness:.0%} of the cloud's points find a partner on the reference, but "
            f"{bounds.fitness:.0%} was promised; is it that part, and near its place?",
        ),
        (
            not found.rmse <= rmse,
            f"partners are {found.rmse:.3g} mm apart (rms), but at most {rmse:.3g} mm was "
            "promised; the cloud is noisier, or another part, than the bound allows",
        ),
        (
            not found.spread <= spread,
            f"starts around the given one end up to {found.spread:.3g} mm apart, but at most "
            f"{spread:.3g} mm was promised; shape and colours do not pin the part down",
        ),
        (
            not found.moved <= bounds.moved,
            f"the cloud would have to move by {found.moved:.3g} mm, but at most {bounds.moved:g} "
            "mm was promised; seat the part in its fixture, or give a better start",
        ),
    ):
        if broken:
            raise RegistrationError(said)


def _open3d() -> Any:
    """Fetch open3d."""
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise RegistrationError(
            f"clouds are aligned by open3d, which cannot be imported ({error}); install open3d "
            "and the system libraries it names"
        ) from error
    return open3d


def _thinned_input(
    points: Floats, tints: Floats | None, what: str
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Give the points that are there (n, 3), and their colours (n, 3)."""
    if points.shape[-1:] != (3,):
        raise RegistrationError(f"the {what} has the shape {points.shape}; (…, 3) was promised")
    flat = points.reshape(-1, 3).astype(np.float64)
    there = np.isfinite(flat).all(1)
    colours = None
    if tints is not None:
        if tints.shape not in (points.shape, points.shape[:-1]):
            raise RegistrationError(
                f"the {what}'s colours have the shape {tints.shape}; {points.shape} or "
                f"{points.shape[:-1]} was promised"
            )
        grey = tints.reshape(len(flat), -1).astype(np.float64)
        there &= np.isfinite(grey).all(1)
        colours = np.broadcast_to(grey, flat.shape)[there]
    if there.sum() < _LEAST_POINTS:
        raise RegistrationError(
            f"the {what} has {there.sum()} points, but {_LEAST_POINTS} are the least"
        )
    return flat[there], colours


def _spacing(points: NDArray[np.float64]) -> float:
    """Choose a spacing of points: as measured, but no more than 60,000 on a surface."""
    box = np.sort(np.ptp(points, axis=0))
    area = max(box[1] * box[2], 1e-12)
    return float(np.sqrt(area / min(len(points) * _SEEN, _MOST_POINTS)))


def _level(o3d: Any, pair: list[Any], spacing: float) -> tuple[Any, Any]:
    """Thin both clouds, and give the reference normals."""
    thinned = []
    for points, colours in pair:
        made = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
        if colours is not None:
            made.colors = o3d.utility.Vector3dVector(np.ascontiguousarray(colours))
        made = made.voxel_down_sample(spacing)
        made.estimate_normals(
            o3d.geometry.KDTreeSearchParamHybrid(radius=_NORMALS * spacing, max_nn=30)
        )
        thinned.append(made)
    return thinned[0], thinned[1]


def _corners(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the corners (8, 3) of the points' box."""
    low, high = points.min(0), points.max(0)
    return np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T


def _apart(one: Pose, other: Pose, corners: NDArray[np.float64]) -> float:
    """Give how far apart two poses put the furthest corner, mm."""
    return float(np.linalg.norm(one.into(corners) - other.into(corners), axis=1).max())


def _starts(
    start: Pose, corners: NDArray[np.float64], moved: float, tries: int, seed: int
) -> list[Pose]:
    """Give the start and others around it, drawn from a seed."""
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    middle = start.into(corners.mean(0))
    reach = float(np.linalg.norm(corners - corners.mean(0), axis=1).max())
    starts = [start]
    for _ in range(max(tries - 1, 0)):
        turn = Rotation.from_rotvec(_within(rng) * moved / 4 / reach).as_matrix()
        shift = turn @ (start.translation - middle) + middle + _within(rng) * moved / 4
        starts.append(Pose(turn @ start.rotation, shift))
    return starts


def _within(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a vector (3,) of length 1 at most."""
    way = rng.normal(size=3)
    drawn: NDArray[np.float64] = way / np.linalg.norm(way) * rng.uniform(0.3, 1.0)
    return drawn


def _descended(
    o3d: Any, levels: list[tuple[Any, Any]], first: Pose, spacing: float, coloured: bool
) -> tuple[Pose, float, float]:
    """Align from one start, coarse to fine: pose, fitness, rmse in mm."""
    icp = o3d.pipelines.registration
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = first.rotation, first.translation
    kind = icp.TransformationEstimationForColoredICP if coloured else (
        icp.TransformationEstimationPointToPlane
    )  # fmt: skip
    run = icp.registration_colored_icp if coloured else icp.registration_icp
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        for (cloud, reference), scale, rounds in zip(levels, _SCALES, _ROUNDS, strict=True):
            criteria = icp.ICPConvergenceCriteria(1e-7, 1e-7, rounds)
            try:
                found = run(cloud, reference, _REACH * spacing * scale, matrix, kind(), criteria)
            except RuntimeError:
                return first, 0.0, float("inf")
            matrix = found.transformation
    left, _, right = np.linalg.svd(matrix[:3, :3])
    return Pose(left @ right, matrix[:3, 3].copy()), float(found.fitness), float(found.inlier_rmse)

"""Bundle adjustment: all lenses, all cameras' poses and all poses of the target at once.

One solver serves a single camera, a rig and a projector, because a projector is a camera whose
pixels are read in another one. Its own derivatives, not OpenCV's, so that every number's standard
deviation comes from the same equations, cameras of unlike sharpness are weighed by their own
noise, and circles are compared with the centres of their ellipses.

Levenberg and Marquardt's method on Huber's loss; single points beyond six standard deviations are
left out in the end. The target's points are few and known, so the
normal equations are small: fifteen numbers a camera and six a view.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

INNER = 9
"""fx, fy, cx, cy, k1, k2, p1, p2, k3 of a camera."""
CAMERA = INNER + 6
VIEW = 6
_HUBER = 3.0
_RAYLEIGH_MEDIAN = 1.17741
_ROUNDS, _REWEIGHTED = 60, 4
_DAMPING, _MOST_DAMPING = 1e-4, 1e10
_DONE = 1e-7
_FAR, _FEWEST = 6.0, 6
_LEAST_SIGMA = 0.01
_LEAST_WEIGHT = 1e-9


@dataclass(frozen=True)
class Block:
    """One target as one camera saw it.

    Parameters
    ----------
    camera, view : int
        Which.
    points : array (n, 3), mm
        In the target's frame.
    pixels : array (n, 2), px
        Where they were seen.
    radius : float, mm
        Of the circles whose centres were seen; 0 for corners.
    """

    camera: int
    view: int
    points: Array
    pixels: Array
    radius: float = 0.0


@dataclass(frozen=True)
class State:
    """Everything that is solved for.

    Parameters
    ----------
    inner : array (camera, 9)
        As ``INNER``.
    turns, shifts : array (camera, 3, 3), array (camera, 3) in mm
        From the rig's frame into the cameras'.
    board_turns, board_shifts : array (view, 3, 3), array (view, 3) in mm
        From the target's frame into the rig's.
    """

    inner: Array
    turns: Array
    shifts: Array
    board_turns: Array
    board_shifts: Array


@dataclass(frozen=True)
class Solution:
    """What was found, and how well.

    Parameters
    ----------
    state : State
    residuals : list of array (n, 2), px
        Found minus seen, by block.
    sigma : array (camera,), px
        Standard deviation of one coordinate of one point.
    deviations : array (15 · cameras + 6 · views,)
        Standard deviation of every parameter, turns in radians; 0 where it was held, infinite
        where the views say nothing.
    cost : float
        Huber's loss in units of ``sigma``.
    """

    state: State
    residuals: list[Array]
    sigma: Array
    deviations: Array
    cost: float


def project(block: Block, state: State) -> tuple[Array, Array]:
    """Find where a block's points fall.

    Parameters
    ----------
    block : Block
    state : State

    Returns
    -------
    array (n, 2), px
        Of circles the ellipses' centres.
    array (n, 2, 21)
        Derivatives by the camera's 15 and the view's 6 numbers.
    """
    turn, inner = state.turns[block.camera], state.inner[block.camera]
    board = state.board_turns[block.view]
    on_board = block.points @ board.T
    in_rig = on_board + state.board_shifts[block.view]
    turned = in_rig @ turn.T
    seen = turned + state.shifts[block.camera]
    if block.radius:
        normal = turn @ board[:, 2]
        leaning = np.array([0.0, 0.0, 1.0]) - normal * normal[2]
        seen = seen - (block.radius**2 / seen[:, 2:]) * leaning
    pixels, by_inner, by_place = _pixels(seen, inner)
    slopes = np.empty((len(pixels), 2, CAMERA + VIEW))
    slopes[:, :, :INNER] = by_inner
    slopes[:, :, INNER : INNER + 3] = by_place @ -_cross(turned)
    slopes[:, :, INNER + 3 : CAMERA] = by_place
    by_rig = by_place @ turn
    slopes[:, :, CAMERA : CAMERA + 3] = by_rig @ -_cross(on_board)
    slopes[:, :, CAMERA + 3 :] = by_rig
    return pixels, slopes


def _pixels(seen: Array, inner: Array) -> tuple[Array, Array, Array]:
    """Project points (n, 3) of a camera's frame, with derivatives by lens and by place."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = inner
    z = seen[:, 2]
    x, y = seen[:, 0] / z, seen[:, 1] / z
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2 * (k1 + r2 * (2 * k2 + 3 * r2 * k3))
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    one, none = np.ones_like(x), np.zeros_like(x)
    by_inner = np.stack(
        [
            [u, none, one, none, fx * x * r2, fx * x * r2**2],
            [none, v, none, one, fy * y * r2, fy * y * r2**2],
        ]
    )
    tangential = np.stack(
        [
            [fx * 2 * x * y, fx * (r2 + 2 * x * x), fx * x * r2**3],
            [fy * (r2 + 2 * y * y), fy * 2 * x * y, fy * y * r2**3],
        ]
    )
    mixed = slope * x * y + 2 * p1 * x + 2 * p2 * y
    by_x = np.stack([fx * (radial + slope * x * x + 2 * p1 * y + 6 * p2 * x), fy * mixed])
    by_y = np.stack([fx * mixed, fy * (radial + slope * y * y + 6 * p1 * y + 2 * p2 * x)])
    by_place = np.stack([by_x / z, by_y / z, -(by_x * x + by_y * y) / z])
    pixels = np.stack([fx * u + cx, fy * v + cy], axis=1)
    inner_slopes = np.concatenate([by_inner, tangential], axis=1)
    return pixels, np.moveaxis(inner_slopes, -1, 0), np.moveaxis(by_place, (0, 1, 2), (2, 1, 0))


def _cross(vectors: Array) -> Array:
    """Give the matrices (n, 3, 3) of cross products with vectors (n, 3)."""
    x, y, z = vectors.T
    none = np.zeros_like(x)
    return np.stack([none, -z, y, z, none, -x, -y, x, none], axis=-1).reshape(-1, 3, 3)


def solve(
    blocks: Sequence[Block], start: State, free: NDArray[np.bool_], sigma: Array | None = None
) -> Solution:
    """Find the cameras and poses under which the points fall where they were seen.

    Parameters
    ----------
    blocks : sequence of Block
    start : State
    free : array (15 · cameras + 6 · views,), bool
        Which numbers may change.
    sigma : array (camera,), px, optional
        Noise of each camera to begin with; 1 px when left out. It is estimated on the way.

    Returns
    -------
    Solution
    """
    state = start
    sigma = np.ones(len(start.inner)) if sigma is None else sigma
    near = blocks
    for _ in range(_REWEIGHTED):
        state, cost = _descend(near, state, free, sigma)
        residuals = [project(block, state)[0] - block.pixels for block in blocks]
        before, sigma = sigma, _noise(blocks, residuals, free, len(start.inner))
        if near is not blocks and np.allclose(before, sigma, rtol=0.01):
            break
        near = [_near(block, r, sigma) for block, r in zip(blocks, residuals, strict=True)]
    normal, _, cost = _equations(near, state, sigma)
    return Solution(state, residuals, sigma, _deviations(normal, free), cost)


def _near(block: Block, residuals: Array, sigma: Array) -> Block:
    """Leave out a block's points beyond six standard deviations, unless most of them are."""
    near = np.linalg.norm(residuals, axis=1) <= _FAR * sigma[block.camera]
    if near.all() or near.sum() < max(len(near) / 2, _FEWEST):
        return block
    return replace(block, points=block.points[near], pixels=block.pixels[near])


def _descend(
    blocks: Sequence[Block], state: State, free: NDArray[np.bool_], sigma: Array
) -> tuple[State, float]:
    """Go down to the least cost for given noise."""
    damping = _DAMPING
    normal, slope, cost = _equations(blocks, state, sigma)
    chosen = np.flatnonzero(free)
    for _ in range(_ROUNDS):
        part = normal[np.ix_(chosen, chosen)]
        scale = np.sqrt(np.maximum(np.diag(part), np.finfo(float).tiny))
        step = np.zeros(len(free))
        scaled = part / np.outer(scale, scale) + damping * np.eye(len(chosen))
        step[chosen] = -np.linalg.solve(scaled, slope[chosen] / scale) / scale
        trial = moved(state, step)
        new_normal, new_slope, new_cost = _equations(blocks, trial, sigma)
        if not new_cost <= cost:
            damping *= 10
            if damping > _MOST_DAMPING:
                break
            continue
        gain, state, normal, slope = cost - new_cost, trial, new_normal, new_slope
        cost, damping = new_cost, max(damping / 10, 1e-12)
        if gain <= _DONE * cost:
            break
    return state, cost


def _equations(blocks: Sequence[Block], state: State, sigma: Array) -> tuple[Array, Array, float]:
    """Sum up the normal equations: matrix, gradient, and Huber's loss."""
    count = CAMERA * len(state.inner) + VIEW * len(state.board_turns)
    normal, slope, cost = np.zeros((count, count)), np.zeros(count), 0.0
    for block in blocks:
        with np.errstate(all="ignore"):
            pixels, slopes = project(block, state)
            off = (pixels - block.pixels) / sigma[block.camera]
            far = np.linalg.norm(off, axis=1)
            weights = np.minimum(1.0, _HUBER / np.maximum(far, _LEAST_WEIGHT))
            cost += float(robust_loss(off).sum())
        flat = (slopes / sigma[block.camera]).reshape(-1, CAMERA + VIEW)
        weighed = flat * np.repeat(weights, 2)[:, None]
        first = CAMERA * block.camera
        last = CAMERA * len(state.inner) + VIEW * block.view
        places = np.r_[first : first + CAMERA, last : last + VIEW]
        normal[np.ix_(places, places)] += weighed.T @ flat
        slope[places] += weighed.T @ off.ravel()
    return normal, slope, cost if np.isfinite(slope).all() else np.inf


def moved(state: State, step: Array) -> State:
    """Change a state by a step in all its numbers.

    Parameters
    ----------
    state : State
    step : array (15 · cameras + 6 · views,)

    Returns
    -------
    State
    """
    cameras = step[: CAMERA * len(state.inner)].reshape(-1, CAMERA)
    views = step[CAMERA * len(state.inner) :].reshape(-1, VIEW)
    return State(
        state.inner + cameras[:, :INNER],
        rotations(cameras[:, INNER : INNER + 3]) @ state.turns,
        state.shifts + cameras[:, INNER + 3 :],
        rotations(views[:, :3]) @ state.board_turns,
        state.board_shifts + views[:, 3:],
    )


def rotations(vectors: Array) -> Array:
    """Give the rotations (n, 3, 3) about vectors (n, 3) by their lengths in radians."""
    from scipy.spatial.transform import Rotation

    matrices: Array = Rotation.from_rotvec(vectors).as_matrix()
    return matrices


def _noise(
    blocks: Sequence[Block], residuals: list[Array], free: NDArray[np.bool_], cameras: int
) -> Array:
    """Estimate each camera's noise (camera,) from the median distance of its points, px."""
    shared = float(free[CAMERA * cameras :].sum()) / max(cameras, 1)
    sigma = np.ones(cameras)
    for camera in range(cameras):
        own = [r for block, r in zip(blocks, residuals, strict=True) if block.camera == camera]
        if not own:
            continue
        far = np.linalg.norm(np.concatenate(own), axis=1)
        taken = shared + free[CAMERA * camera : CAMERA * (camera + 1)].sum()
        left = max(1 - taken / (2 * len(far)), 0.1)
        sigma[camera] = max(np.median(far) / _RAYLEIGH_MEDIAN / np.sqrt(left), _LEAST_SIGMA)
    return sigma


def _deviations(normal: Array, free: NDArray[np.bool_]) -> Array:
    """Give the standard deviation of every number from the normal equations."""
    chosen = np.flatnonzero(free)
    deviations = np.zeros(len(free))
    part = normal[np.ix_(chosen, chosen)]
    scale = np.sqrt(np.diag(part))
    deviations[chosen] = np.inf
    if not (scale > 0).all():
        return deviations
    try:
        half = np.linalg.inv(np.linalg.cholesky(part / np.outer(scale, scale)))
    except np.linalg.LinAlgError:
        return deviations
    deviations[chosen] = np.sqrt((half**2).sum(0)) / scale
    return deviations


def robust_loss(off: Array) -> Array:
    """Give Huber's loss (n,) of residuals (n, 2) in units of their standard deviation.

    Parameters
    ----------
    off : array (n, 2), 1

    Returns
    -------
    array (n,), 1
    """
    far: Array = np.linalg.norm(off, axis=1)
    return np.where(far <= _HUBER, far**2, _HUBER * (2 * far - _HUBER))

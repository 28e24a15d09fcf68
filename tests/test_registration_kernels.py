"""The compiled loops of registration against the same things written plainly."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.registration._mesh import BRIDGED, GUESSED, MEASURED, NOTHING, WALL
from mmdefect.registration._raster import rasterise
from mmdefect.registration._sample import sample
from mmdefect.registration._scratch import scratch
from mmdefect.registration._squares import cut

pytestmark = pytest.mark.usefixtures("three_threads")
STATES = [NOTHING, MEASURED, MEASURED, MEASURED, BRIDGED, GUESSED]
SLOPE, SLACK = 0.01, 0.2


def mesh(rows: int, columns: int, seed: int) -> tuple[np.ndarray, ...]:
    """Depth and state of a scanner's points, with holes, steps and equal depths."""
    random = np.random.default_rng(seed)
    state = random.choice(STATES, (rows, columns)).astype(np.uint8)
    depth = 100 + random.integers(0, 4, (rows, columns)) * random.choice([0.1, 5.0])
    return np.where(state == NOTHING, np.nan, depth).astype(np.float32), state


def triangles(depth: np.ndarray, state: np.ndarray) -> list[tuple[int, list[tuple[int, int]]]]:
    """List every triangle's kind and corners."""
    found = []
    for i, j in itertools.product(range(depth.shape[0] - 1), range(depth.shape[1] - 1)):
        a, b, c, d = (i, j), (i, j + 1), (i + 1, j), (i + 1, j + 1)
        gone = [corner for corner in (a, b, c, d) if state[corner] == NOTHING]
        if len(gone) == 1:
            falls = gone[0] in (b, c)
        else:
            falls = abs(depth[a] - depth[d]) <= abs(depth[b] - depth[c])
        for corners in ([a, d, b], [a, d, c]) if falls else ([b, c, a], [b, c, d]):
            if any(state[corner] == NOTHING for corner in corners):
                continue
            depths = [depth[corner] for corner in corners]
            jump = max(depths) - min(depths) > np.float32(SLOPE * min(depths) + SLACK)
            found.append((WALL if jump else max(state[corner] for corner in corners), corners))
    return found


def squares(depth: np.ndarray, state: np.ndarray) -> np.ndarray:
    made = np.empty((depth.shape[0] - 1, depth.shape[1] - 1), np.uint8)
    cut(0, 0, len(made), depth, state, SLOPE, SLACK, made)
    return made


@settings(deadline=None, max_examples=20)
@given(rows=st.integers(2, 6), columns=st.integers(2, 7), seed=st.integers(0, 999))
def test_squares_are_cut_along_the_smaller_step(rows, columns, seed):
    depth, state = mesh(rows, columns, seed)
    kinds = []
    for square in squares(depth, state).ravel():
        kinds += [kind for kind in (square >> 1 & 7, square >> 4) if kind != NOTHING]
    assert kinds == [kind for kind, _ in triangles(depth, state)]


@settings(deadline=None, max_examples=20)
@given(
    rows=st.integers(2, 6),
    columns=st.integers(2, 7),
    seed=st.integers(0, 999),
    walls=st.booleans(),
    lens=st.booleans(),
)
def test_the_nearest_triangle_is_drawn(rows, columns, seed, walls, lens):
    depth, state = mesh(rows, columns, seed)
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns] * 1.7 + random.uniform(-0.8, 1.9, (2, rows, columns))
    x, y, w = x.astype(np.float32), y.astype(np.float32), (1 / depth).astype(np.float32)
    size = (11, 13)
    at = np.stack(np.mgrid[: size[0], : size[1]][::-1]).astype(np.float32)
    bent = (np.stack([x, y]), at) if lens else (None, None)
    near, kind = rasterise((x, y, w, squares(depth, state)), size, *bent, walls=walls)
    wanted, unsure = np.zeros(size), np.zeros(size, bool)
    of = np.zeros(size, int)
    for number, corners in triangles(depth, state):
        if number == WALL and not walls:
            continue
        places = np.array([[x[c], y[c], 1.0] for c in corners], np.float64)
        if abs(np.linalg.det(places)) < 1e-3:
            unsure[:] = True
            continue
        shares = np.stack([*at, np.ones(size)], -1) @ np.linalg.inv(places)
        inside, edge = shares.min(-1) >= 0, np.abs(shares.min(-1)) < 1e-3
        found = shares @ np.array([w[c] for c in corners], np.float64)
        unsure |= edge | (inside & (np.abs(found - wanted) < 1e-7))
        of = np.where(inside & (found > wanted), number, of)
        wanted = np.where(inside, np.maximum(wanted, found), wanted)
    np.testing.assert_allclose(near[~unsure], wanted[~unsure], rtol=1e-5)
    assert (kind[~unsure] == of[~unsure]).all()


@settings(deadline=None, max_examples=20)
@given(
    wide=st.one_of(st.just(0.0), st.floats(0.05, 2.6)),
    channels=st.integers(1, 3),
    seed=st.integers(0, 999),
)
def test_a_frame_is_averaged_over_the_square_that_a_pixel_sees(wide, channels, seed):
    random = np.random.default_rng(seed)
    frame = random.random((channels, 9, 10)).astype(np.float32)
    frame[:, 6, 7] = np.nan
    places = random.uniform(-1, 10, (2, 1, 40))
    surface = np.stack([*places, np.ones((1, 40))]).astype(np.float32)
    out = np.empty((channels, 1, 40), np.float32)
    none, still = np.zeros((0, 0), np.float32), np.array([*np.eye(3).ravel(), 0, 0, 0])
    sample(
        0, 0, 1, surface, still, np.array([1.0, 1, 0, 0]), np.array([0.0] * 6 + [np.inf]),
        np.sqrt(1 + wide**2), none, np.zeros(4), 0.0, 0.0, none.astype(bool), frame, out,
    )  # fmt: skip
    for n in range(40):
        at = places[:, 0, n].astype(np.float32).astype(float)
        if doubtful(at[0], wide) or doubtful(at[1], wide):
            continue
        across, down = (shares(at[axis], wide, (10, 9)[axis]) for axis in (0, 1))
        if across is None or down is None:
            assert np.isnan(out[:, 0, n]).all()
            continue
        counts = np.outer(down, across) > 0
        mean = np.where(counts, frame, 0) * np.outer(down, across)
        np.testing.assert_allclose(out[:, 0, n], mean.sum((1, 2)), rtol=2e-3, atol=1e-4)


def doubtful(at: float, wide: float) -> bool:
    """Whether a pixel's share is near to what still counts."""
    share = every_share(at, wide, np.arange(-6, 17))
    return bool(((share > 2e-5) & (share < 1e-3)).any())


def every_share(at: float, wide: float, pixels: np.ndarray) -> np.ndarray:
    """Add up pixels' shares of a mean."""
    steps = at + (np.arange(4001) / 4000 - 0.5) * wide
    return np.maximum(0, 1 - np.abs(steps[:, None] - pixels)).mean(0)


def shares(at: float, wide: float, size: int) -> np.ndarray | None:
    """Every pixel's share of a mean, by adding up; None where one that counts is not there."""
    share = every_share(at, wide, np.arange(-4, size + 4))
    share[share < 1e-4] = 0
    if share[:4].any() or share[-4:].any():
        return None
    return share[4:-4] / share.sum()


def test_memory_is_written_to_again_unless_it_is_much():
    first = scratch("test", (3, 5), np.float32)
    again = scratch("test", (2, 4), np.uint8)
    assert np.shares_memory(first, again)
    assert not np.shares_memory(first, scratch("another test", (3, 5), np.float32))
    large = scratch("test", (5, 2048, 2048), np.float32)
    assert not np.shares_memory(large, scratch("test", (5, 2048, 2048), np.float32))

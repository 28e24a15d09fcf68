"""The same part captured again: planted spreads, and the simulator's takes."""

import numpy as np
import pytest

from mmdefect.repeatability import repeatability
from mmdefect.simulate.specimen import render_capture


def planted(within: float, between: float, parts: int = 400, takes: int = 5) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 10 + between * rng.normal(size=(parts, 1)) + within * rng.normal(size=(parts, takes))


@pytest.mark.parametrize(("within", "between"), [(0.5, 2.0), (2.0, 0.5), (1.0, 0.0)])
def test_planted_spreads_are_told_apart(within, between):
    told = repeatability(planted(within, between), threshold=10 + 3 * within)
    assert told.within == pytest.approx(within, rel=0.06)
    assert told.between == pytest.approx(between, rel=0.15, abs=0.2)
    assert told.share == pytest.approx(within**2 / (within**2 + between**2), abs=0.06)
    assert told.margin == pytest.approx(3, abs=0.3)
    assert (told.parts, told.takes) == (400, 5)


def test_parts_on_the_threshold_flip_and_those_far_from_it_never():
    on, far = planted(1.0, 0.0), planted(0.1, 0.0)
    flips = repeatability(on, 10.0).flips
    assert flips == pytest.approx(1 - 2 * 0.5**5, abs=0.05)
    assert repeatability(on, 10.0).near > 0.99
    assert repeatability(far, 12.0).flips == 0 == repeatability(far, 12.0).near
    assert np.isnan(repeatability(far, None).margin)
    assert repeatability(far, None).flips == 0


@pytest.mark.parametrize(
    "scores", [[[1.0, 2.0]], [[1.0], [2.0]], [1.0, 2.0], [[1, np.nan], [1, 2]]]
)
def test_too_few_captures_are_refused(scores):
    with pytest.raises(ValueError, match="two parts and two captures of each at least"):
        repeatability(scores, 1.0)


def test_another_take_shows_the_same_part_in_another_light_and_clamped_anew_elsewhere():
    first, again, moved = (
        render_capture("panel", seed=3, size=48, sensors=("points",), take=take, clamped_anew=anew)
        for take, anew in ((0, False), (1, False), (1, True))
    )
    corners = [np.concatenate([b.vertices for b in c.part.bodies]) for c in (first, again, moved)]
    parts = [c.part.to_rig(rows) for c, rows in zip((first, again, moved), corners, strict=True)]
    np.testing.assert_array_equal(parts[0], parts[1])
    assert not np.array_equal(first.frames["points"], again.frames["points"], equal_nan=True)
    # the part's own shape stays; the table's, given in its coordinates, moves the other way
    same = [b.name for b, c in zip(first.part.bodies, moved.part.bodies, strict=True)
            if np.array_equal(b.vertices, c.vertices)]  # fmt: skip
    assert len(same) >= len(first.part.bodies) - 1
    assert not np.allclose(parts[0], parts[2])

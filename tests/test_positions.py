"""Scores held against what is usual at their place: planted levels, honest fallbacks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdefect.fusion._positions import Positions, cell_of, coarse

NAN = float("nan")


@given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 99))
def test_coarse_cells_are_the_means_of_what_is_there(height, width, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(size=(height, width)).astype(np.float32)
    pixels[rng.random(pixels.shape) < 0.3] = NAN
    cells, cell = coarse(pixels), cell_of(pixels.shape)
    assert max(cells.shape) <= 64
    for y, x in ((0, 0), (cells.shape[0] - 1, cells.shape[1] - 1)):
        here = pixels[y * cell : (y + 1) * cell, x * cell : (x + 1) * cell]
        known = here[np.isfinite(here)]
        if known.size:
            assert cells[y, x] == pytest.approx(known.mean(), abs=1e-5)
        else:
            assert np.isnan(cells[y, x])


def placed(count: int, seed: int = 0) -> tuple[list[np.ndarray], list[int]]:
    """Maps of good parts: a rim that scores 5 ± 2 in a field that scores 1 ± 0.1."""
    rng = np.random.default_rng(seed)
    level, spread = np.full((30, 40), 1.0), np.full((30, 40), 0.1)
    level[:, 15:25], spread[:, 15:25] = 5.0, 2.0
    made = [
        (level + spread * rng.normal(size=level.shape)).astype(np.float32) for _ in range(count)
    ]
    return made, [n % 4 for n in range(count)]


def test_a_faint_defect_in_a_quiet_place_outranks_the_usual_rim():
    maps, folds = placed(40)
    positions = Positions.learn(maps, folds)
    assert positions.level[15, 5] == pytest.approx(1.0, abs=0.15)
    assert positions.level[15, 20] == pytest.approx(5.0, abs=0.6)
    assert positions.spread[15, 5] < 0.5 < 1.5 < positions.spread[15, 20]
    good, _ = placed(20, seed=1)
    defective = [part.copy() for part in good]
    for part in defective:
        part[20:24, 2:6] += 1.5
    assert np.mean([p.max() for p in defective]) == pytest.approx(np.mean([p.max() for p in good]))
    told = [[positions.part(coarse(part)) for part in parts] for parts in (good, defective)]
    assert np.median(told[1]) > max(told[0])
    assert np.mean(np.less.outer(told[0], told[1])) > 0.95
    assert positions.relative(defective[0])[20:24, 2:6].mean() > 3


def test_where_parts_lie_anyhow_places_say_nothing():
    maps, folds = placed(40)
    rng = np.random.default_rng(5)
    anyhow = [np.roll(part, int(rng.integers(40)), axis=1) for part in maps]
    assert not Positions.learn(maps, folds).is_flat
    assert Positions.learn(anyhow, folds).is_flat


def test_few_parts_or_one_fold_teach_no_places():
    maps, folds = placed(7)
    assert Positions.learn(maps, folds).is_flat
    maps, _ = placed(20)
    assert Positions.learn(maps, [0] * 20).is_flat
    assert Positions.learn([], []).is_flat
    blind = [np.full((3, 4), NAN, np.float32)] * 20
    assert Positions.learn(blind, [n % 4 for n in range(20)]).is_flat


def test_flat_places_leave_a_map_as_it_is_and_holes_stay_holes():
    part = np.array([[1.0, NAN], [3.0, 4.0]], dtype=np.float32)
    np.testing.assert_array_equal(Positions.flat().relative(part), part)
    maps, folds = placed(12)
    for own in maps:
        own[3:5] = NAN
    positions = Positions.learn(maps, folds)
    assert np.isfinite(positions.level).all()
    assert (positions.spread > 0).all()
    told = positions.relative(maps[0])
    np.testing.assert_array_equal(np.isnan(told), np.isnan(maps[0]))
    assert np.isnan(positions.part(np.full((30, 40), NAN, np.float32)))


def test_no_score_of_a_part_rises_when_its_map_falls():
    maps, folds = placed(20)
    positions = Positions.learn(maps, folds)
    lower = maps[0] - np.random.default_rng(2).random(maps[0].shape).astype(np.float32)
    assert positions.part(coarse(lower)) <= positions.part(coarse(maps[0]))
    assert (positions.relative(lower) <= positions.relative(maps[0])).all()


def test_places_on_a_large_map_are_drawn_between_the_cells():
    maps, folds = placed(20)
    large = [np.kron(part, np.ones((5, 5), np.float32)) for part in maps]
    positions = Positions.learn([coarse(part) for part in large], folds)
    assert cell_of(large[0].shape) == 4
    told = positions.relative(np.ones((150, 200), np.float32))
    assert told.shape == (150, 200)
    assert abs(told[70, 20]) < 0.5
    assert told[70, 100] < -1
    again = Positions.from_state(positions.state())
    np.testing.assert_array_equal(again.relative(large[0]), positions.relative(large[0]))

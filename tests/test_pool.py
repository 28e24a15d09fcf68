"""Streams of patches under a byte budget: against everything held at once, and by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_coreset import gaussian, plain_greedy, radius

from mmdefect.detectors._coreset import k_center, projected
from mmdefect.detectors._pool import _COPIES, _FIXED, Pool


def crowded(count: int, width: int, seed: int = 0) -> torch.Tensor:
    """Rows about a few centres, in no order."""
    generator = torch.Generator().manual_seed(seed)
    centres = 3 * torch.randn(8, width, generator=generator)
    chosen = torch.randint(8, (count,), generator=generator)
    return centres[chosen] + torch.randn(count, width, generator=generator)


def streamed(rows: torch.Tensor, room: int, most: int, a_scene: int = 50) -> Pool:
    """Add rows scene by scene to a pool that holds so many."""
    pool = Pool(_COPIES * 4 * rows.shape[1] * room, 0.5, 0, most)
    for scene in rows.split(a_scene):
        pool.add(scene)
        assert sum(map(len, pool._rows)) <= room
    return pool


@given(st.integers(0, 99), st.integers(1, 60), st.integers(0, 200), st.integers(1, 5))
@settings(deadline=None, max_examples=10)
def test_picks_go_on_from_fixed_ones_as_a_plain_greedy_does(seed, fixed, more, width):
    rows = gaussian(600, width, seed)
    picks = k_center(rows, fixed + more, seed, fixed)
    assert picks[:fixed].tolist() == list(range(fixed))
    assert len(picks.unique()) == fixed + more
    gaps = torch.cdist(rows.double(), rows[:fixed].double()).min(1).values
    for pick in picks[fixed:]:
        assert gaps[pick] >= gaps.max() - 1e-4
        gaps = torch.minimum(gaps, (rows - rows[pick]).double().norm(dim=1))


@pytest.mark.parametrize("width", [6, 40, 200])
def test_a_stream_is_covered_as_well_as_if_it_had_been_held_at_once(width):
    rows = crowded(6000, width)
    pool = streamed(rows, room=900, most=150)
    kept = pool.coreset()
    assert len(kept) == 150
    seen, own = projected(rows, 0), projected(kept, 0)
    offline = seen[k_center(rows, 150)]
    assert radius(seen, own) <= 1.1 * radius(seen, offline)


def test_all_that_was_let_go_is_within_reach_of_rows_that_stay():
    rows = crowded(4000, 5)
    pool = streamed(rows, room=500, most=100)
    fixed = torch.cat(pool._rows)[: pool._plan.fixed]
    assert len(fixed) == int(_FIXED * 100)
    held = {tuple(row.tolist()) for row in torch.cat(pool._rows)}
    gone = torch.stack([row for row in rows if tuple(row.tolist()) not in held])
    assert len(gone) > 3000
    assert radius(gone, fixed) <= pool._plan.reach + 1e-5
    kept = {tuple(row.tolist()) for row in pool.coreset()}
    assert {tuple(row.tolist()) for row in fixed} <= kept <= held


def test_a_stream_that_drifts_is_followed():
    rows = gaussian(4000, 4) + torch.arange(4000)[:, None] / 100
    kept = streamed(rows, room=400, most=100).coreset()
    offline = rows[plain_greedy(rows, 0, 100)]
    assert radius(rows, kept) <= 1.5 * radius(rows, offline)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_copies_fill_no_pool_and_every_level_is_kept(levels):
    rows = torch.randint(levels, (3000, 2), generator=torch.Generator().manual_seed(1)).float()
    kept = streamed(rows, room=120, most=40).coreset()
    assert len(kept.unique(dim=0)) == levels**2
    assert radius(rows, kept) == 0


@pytest.mark.parametrize("room", [2, 3, 5])
def test_a_tiny_pool_keeps_what_it_can(room):
    rows = gaussian(40, 3)
    pool = streamed(rows, room, most=10, a_scene=7)
    assert 1 <= len(pool.coreset()) <= room
    pool.add(torch.empty(0, 3))
    assert 1 <= len(pool.coreset()) <= room


def test_marks_stay_with_their_rows_and_fewer_rows_than_fixed_can_be_asked_for():
    rows = crowded(2000, 4)
    marks = torch.arange(2000, dtype=torch.int32)[:, None]
    pool = Pool(_COPIES * 4 * 4 * 300, 0.02, 0, 120)
    for start in range(0, 2000, 40):
        pool.add(rows[start : start + 40], marks[start : start + 40])
    kept, theirs = pool.marked()
    assert len(kept) == 40 < pool._plan.fixed
    assert torch.equal(rows[theirs[:, 0].long()], kept)
    assert radius(rows, kept) <= 1.5 * radius(rows, rows[k_center(rows, 40)])

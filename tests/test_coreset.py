"""What the memory bank is made of: against plain float64, against scikit-learn, by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.detectors import _search
from mmdefect.detectors._coreset import k_center
from mmdefect.detectors._maps import to_pixels, worst_mean
from mmdefect.detectors._pool import Pool
from mmdefect.detectors._quantised import rounded
from mmdefect.detectors._search import Rows, nearest, spacing


def gaussian(rows: int, features: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, features, generator=torch.Generator().manual_seed(seed))


def radius(rows: torch.Tensor, chosen: torch.Tensor) -> float:
    """Farthest that any row is from its nearest chosen one, in float64."""
    apart = torch.cdist(rows.double(), chosen.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return float(apart.min(1).values.max())


def plain_greedy(rows: torch.Tensor, first: int, count: int) -> list[int]:
    """The farthest row, again and again, in float64."""
    points, picks = rows.double().numpy(), [first]
    gaps = ((points - points[first]) ** 2).sum(1)
    while len(picks) < count:
        gaps[picks[-1]] = -1
        picks.append(int(gaps.argmax()))
        gaps = np.minimum(gaps, ((points - points[picks[-1]]) ** 2).sum(1))
    return picks


# ---------------------------------------------------------------- coreset


@pytest.mark.parametrize(
    ("rows", "features", "count"), [(1000, 3, 50), (1500, 40, 200), (700, 128, 600), (257, 1, 9)]
)
def test_the_coreset_covers_as_well_as_a_plain_greedy_in_float64(rows, features, count):
    points = gaussian(rows, features)
    picks = k_center(points, count)
    assert picks.shape == picks.unique().shape == (count,)
    wanted = radius(points, points[plain_greedy(points, int(picks[0]), count)])
    assert radius(points, points[picks]) == pytest.approx(wanted, rel=1e-4)


@given(st.integers(2, 700), st.integers(1, 6), st.integers(1, 40), st.integers(1, 4), st.data())
@settings(deadline=None, max_examples=40)
def test_every_pick_is_a_farthest_row_also_among_ties_and_copies(n, width, count, levels, draw):
    seed = draw.draw(st.integers(0, 1000))
    generator = torch.Generator().manual_seed(seed)
    points = torch.randint(levels, (n, width), generator=generator).float()
    picks = k_center(points, count, seed).tolist()
    if count >= n:
        assert picks == list(range(n))
        return
    assert len(picks) == len(set(picks)) == count
    gaps = (points - points[picks[0]]).square().sum(1)
    for pick in picks[1:]:
        assert gaps[pick] >= gaps.max() - 1e-4
        gaps = torch.minimum(gaps, (points - points[pick]).square().sum(1))


def test_few_rows_are_all_kept_and_copies_are_told_apart():
    assert k_center(gaussian(5, 2), 5).tolist() == k_center(gaussian(5, 2), 9).tolist()
    assert k_center(torch.zeros(1, 3), 1).tolist() == [0]
    assert len(k_center(torch.full((600, 3), 7.0), 400).unique()) == 400


def test_wide_rows_are_projected_and_still_covered():
    centers = 20 * gaussian(12, 300)
    points = (centers[:, None] + gaussian(12 * 40, 300, seed=1).reshape(12, 40, 300)).flatten(0, 1)
    picks = k_center(points, 12)
    assert sorted((picks // 40).tolist()) == list(range(12))
    wanted = radius(points, points[plain_greedy(points, int(picks[0]), 12)])
    assert radius(points, points[picks]) == pytest.approx(wanted, rel=0.2)


def test_the_seed_and_nothing_else_decides_the_coreset():
    points, threads = gaussian(900, 8), torch.get_num_threads()
    picks = k_center(points, 60, seed=3)
    torch.set_num_threads(threads + 1)
    try:
        assert torch.equal(k_center(points, 60, seed=3), picks)
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert not torch.equal(k_center(points, 60, seed=4), picks)


def drifting(scenes: int = 30) -> list[torch.Tensor]:
    """Patches of scenes, each about another place: what is forgotten shows."""
    return [gaussian(100, 4, seed) + 3 * seed for seed in range(scenes)]


def test_a_pool_never_holds_more_than_its_budget_and_still_covers_what_came_first():
    scenes = drifting()
    pool = Pool(byte_budget=400 * 16, share=0.1, seed=0)
    for rows in scenes:
        pool.add(rows)
        assert sum(held.nbytes for held in pool._rows) <= pool.byte_budget
    everything, kept = torch.cat(scenes), pool.coreset()
    assert kept.nbytes <= pool.byte_budget
    offline = everything[k_center(everything, len(kept))]
    assert radius(everything, kept) <= 3 * radius(everything, offline)


@pytest.mark.parametrize(("share", "size"), [(0.1, 300), (0.001, 3), (1e-9, 1), (1.0, 3000)])
def test_a_coreset_is_the_promised_share_of_all_that_was_added(share, size):
    pool = Pool(byte_budget=1 << 20, share=share, seed=0)
    for rows in drifting():
        pool.add(rows)
    assert len(pool.coreset()) == size


def test_the_share_counts_what_a_full_pool_let_go_and_a_coreset_has_a_largest_size():
    pool = Pool(byte_budget=3 * 400 * 16, share=0.05, seed=0)
    capped = Pool(byte_budget=1 << 20, share=0.05, seed=0, most=70)
    for rows in drifting():
        pool.add(rows)
        capped.add(rows)
    assert len(pool.coreset()) == 150
    assert len(capped.coreset()) == 70


def test_an_empty_pool_has_an_empty_coreset():
    pool = Pool(byte_budget=1 << 20, share=0.1, seed=0)
    assert pool.coreset().shape == (0, 0)
    pool.add(torch.empty(0, 7))
    assert pool.coreset().shape == (0, 7)


# ---------------------------------------------------------------- search


@given(st.integers(1, 60), st.integers(1, 90), st.integers(1, 40), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_the_nearest_row_is_that_of_scikit_learn(queries, rows, features, seed):
    from sklearn.neighbors import NearestNeighbors

    asked, stored = gaussian(queries, features, seed), gaussian(rows, features, seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_search, "_ROWS", 32)
        patch.setattr(_search, "_QUERIES", 16)
        distances, indices = nearest(asked, stored)
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(stored.double().numpy())
    wanted = search.kneighbors(asked.double().numpy())[0][:, 0]
    np.testing.assert_allclose(distances, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((asked - stored[indices]).norm(dim=1), wanted, rtol=1e-5)


def crowded(count, features, seed):
    """Rows that differ in few directions, around few centres."""
    shape = gaussian(features, features, 77) * (0.5 ** torch.arange(features))[:, None]
    centres = 3 * gaussian(5, features, 78)
    return (gaussian(count, features, seed) + centres[torch.arange(count) % 5]) @ shape


@given(
    st.integers(1, 40),
    st.integers(40, 300),
    st.integers(12, 48),
    st.integers(0, 1000),
    st.sampled_from(["crowded", "even", "copies", "one spot", "zeros"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=80)
def test_a_bound_never_loses_the_nearest_row(queries, count, features, seed, kind, in_bytes):
    made = gaussian if kind == "even" else crowded
    rows, asked = made(count, features, seed), made(queries, features, seed + 1)
    if kind == "copies":
        rows = rows[torch.arange(count) // 3]
        asked = rows[torch.arange(queries) % count] + 1e-4 * asked
    if kind == "one spot":
        rows = rows[:1].expand(count, -1).contiguous()
    if kind == "zeros":
        rows[::2], asked[::2] = 0, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_search, "_ROWS", 64)
        patch.setattr(_search, "_QUERIES", 16)
        patch.setattr(_search, "_LOOKS", 40)
        patch.setattr(_search, "_ASKED", 20)
        patch.setattr(_search, "_DIRECTIONS", (2, 4))
        patch.setattr(_search, "_DEARER", 0.0)
        patch.setattr(_search, "_AROUND_A_PRODUCT", -1e9)
        patch.setattr(_search, "byte_cost", lambda: 0.1 if in_bytes else 9.0)
        ready = Rows(rows)
        distances, indices = ready.nearest(asked)
        lower, upper = count // 3, count // 2
        less = ready.nearest(asked, skip=(lower, upper))
        plain = Rows(rows, pruned=False).nearest(asked)
    assert (ready.basis is None, ready.bytes is None) == (in_bytes, not in_bytes)
    assert torch.equal(plain[0], distances)
    assert torch.equal(plain[1], indices)
    kept = torch.cat([rows[:lower], rows[upper:]])
    for (found, at), left in (((distances, indices), rows), (less, kept)):
        exact = torch.cdist(
            asked.double(), left.double(), compute_mode="donot_use_mm_for_euclid_dist"
        ).min(1)
        np.testing.assert_allclose(found, exact.values, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose((asked - rows[at]).norm(dim=1), exact.values, atol=1e-5)
    assert not ((less[1] >= lower) & (less[1] < upper)).any()


def test_rows_in_bytes_are_searched_where_the_machine_is_quick_at_them(monkeypatch):
    rows, asked = gaussian(2500, 120, 1), gaussian(300, 120, 2)
    monkeypatch.setattr(_search, "byte_cost", lambda: 0.1)
    ready = Rows(rows)
    monkeypatch.setattr(_search, "byte_cost", lambda: float("inf"))
    slow = Rows(rows)
    assert ready.bytes is not None
    assert slow.bytes is None
    assert all(map(torch.equal, ready.nearest(asked), slow.nearest(asked)))


@given(st.integers(1, 20), st.integers(1, 300), st.sampled_from([1e-30, 1e-3, 1.0, 1e15]))
@settings(deadline=None, max_examples=40)
def test_rounding_to_bytes_loses_no_more_than_it_says(count, features, scale):
    rows = scale * gaussian(count, features, features)
    rows[0] = 0
    levels = rounded(rows)
    apart = rows.double() - levels.values.double() * levels.scale.double()[:, None]
    assert (apart.norm(dim=1) <= levels.lost.double()).all()
    assert (levels.lost[1:] <= 0.01 * features**0.5 * rows[1:].abs().amax(1)).all()


def test_of_rows_at_the_same_distance_the_first_one_is_told():
    rows = gaussian(9000, 6).repeat(2, 1)
    rows[5] = rows[8000]
    distances, indices = Rows(rows).nearest(rows[8000:8010])
    assert indices.tolist() == [5, *range(8001, 8010)]
    assert not distances.any()


def test_directions_are_used_where_rows_crowd_and_not_where_they_are_spread_evenly(monkeypatch):
    monkeypatch.setattr(_search, "byte_cost", lambda: 9.0)
    assert Rows(crowded(2500, 120, 1)).basis is not None
    assert Rows(gaussian(2500, 120, 1)).basis is None
    assert Rows(crowded(500, 120, 1)).basis is None


def test_no_row_is_infinitely_far():
    distances, _ = Rows(gaussian(10, 4)).nearest(gaussian(3, 4, 1), skip=(0, 10))
    assert distances.isinf().all()


def test_near_copies_far_from_zero_are_told_apart_once_they_are_standardised():
    raw = 300 + 0.01 * gaussian(4000, 60)
    rows = (raw - raw.mean(0)) / raw.std(0)
    rows[1::2] = rows[::2] + 1e-4 * gaussian(2000, 60, seed=1)
    asked = rows[:200] + 1e-5 * gaussian(200, 60, seed=2)
    distances, indices = nearest(asked, rows)
    exact = torch.cdist(
        asked.double(), rows.double(), compute_mode="donot_use_mm_for_euclid_dist"
    ).min(1)
    assert torch.equal(indices, exact.indices)
    np.testing.assert_allclose(distances, exact.values, rtol=1e-4)


def test_spacing_is_the_mean_distance_to_the_five_rows_around():
    line = torch.arange(7.0)[:, None]
    np.testing.assert_allclose(spacing(line), [3, 11 / 5, 9 / 5, 9 / 5, 9 / 5, 11 / 5, 3])
    np.testing.assert_allclose(spacing(torch.tensor([[0.0, 0.0], [3.0, 4.0]])), [5, 5])
    assert spacing(torch.zeros(1, 3)).tolist() == [1]
    assert spacing(torch.empty(0, 0)).tolist() == []
    assert spacing(torch.ones(9, 3)).tolist() == [0] * 9


# ---------------------------------------------------------------- maps


def test_a_hot_patch_lands_at_its_place_on_an_oblong_map():
    grid = np.zeros((6, 10))
    grid[4, 7] = 1.0
    pixels = to_pixels(grid, np.ones((48, 60), bool), blur=0.5)
    row, column = np.unravel_index(pixels.argmax(), pixels.shape)
    assert (row // 8, column // 6) == (4, 7)
    assert pixels.dtype == np.float32
    assert pixels[:12].max() == pixels[:, :24].max() == 0


def test_a_slope_keeps_its_place_between_patches():
    centers = (np.arange(10) + 0.5) * 6 - 0.5
    pixels = to_pixels(np.tile(centers, (4, 1)), np.ones((16, 60), bool), blur=0.0)
    np.testing.assert_allclose(pixels[:, 3:-3], np.tile(np.arange(3.0, 57), (16, 1)), rtol=1e-5)


def test_a_constant_grid_stays_constant_up_to_borders_and_holes():
    grid, valid = np.full((8, 8), 3.0), np.ones((32, 32), bool)
    grid[2:4, 5] = np.nan
    valid[20:25, 3:9] = False
    pixels = to_pixels(grid, valid, blur=1.0)
    np.testing.assert_allclose(pixels[np.isfinite(pixels)], 3.0, rtol=1e-5)
    assert np.isnan(pixels[~valid]).all()
    assert np.isfinite(pixels[[0, 0, -1, -1], [0, -1, 0, -1]]).all()


def test_what_is_beyond_a_hole_does_not_reach_across():
    grid, valid = np.zeros((8, 24)), np.ones((32, 96), bool)
    grid[:, 16:] = 100.0
    grid[:, 8:16] = np.nan
    valid[:, 32:64] = False
    pixels = to_pixels(grid, valid, blur=0.5)
    assert np.isnan(pixels[:, 32:64]).all()
    np.testing.assert_array_equal(pixels[:, :32], 0.0)
    np.testing.assert_allclose(pixels[:, 64:], 100.0, rtol=1e-5)


def test_patches_without_evidence_leave_no_score_where_pixels_were_measured():
    grid = np.ones((8, 8))
    grid[:, 4:] = np.nan
    pixels = to_pixels(grid, np.ones((32, 32), bool), blur=0.5)
    assert np.isfinite(pixels[:, :16]).all()
    assert np.isnan(pixels[:, 20:]).all()
    assert np.isnan(to_pixels(np.full((2, 2), np.nan), np.ones((8, 8), bool), 0.5)).all()


def test_the_worst_share_is_averaged_by_hand():
    pixels = np.array([[1.0, 9.0, np.nan], [5.0, 7.0, np.nan]])
    assert worst_mean(pixels, 0.5) == 8.0
    assert worst_mean(pixels, 0.001) == 9.0
    assert np.isnan(worst_mean(np.full((2, 2), np.nan), 0.5))

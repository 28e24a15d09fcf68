"""Metrics of pixels in bounded memory: the budget changes what is kept, and no result."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from mmdefect.errors import SceneError
from mmdefect.metrics import pixel_metrics
from mmdefect.metrics._collect import collect, plan, survey
from mmdefect.metrics._counting import count_above, precisions, ramps
from mmdefect.metrics._pixels import score_keys
from mmdefect.metrics._sweep import Sweep, ramp_area

pytestmark = pytest.mark.usefixtures("three_threads")


def planted(captures, size=24, seed=0, levels=None):
    """Make maps in which every second capture has defects that score higher."""
    rng = np.random.default_rng(seed)
    maps = []
    for number in range(captures):
        mask = np.zeros((size, size + number % 3), dtype=bool)
        if number % 2 == 0:
            for y, x in rng.integers(0, size - 5, (2, 2)):
                mask[y : y + 4, x : x + 1 + number % 5] = True
        score_map = rng.gamma(2, 1, mask.shape) + mask * rng.uniform(1, 5)
        if levels:
            score_map = np.round(score_map * levels)
        maps.append((score_map.astype(np.float32), mask))
    return maps


def assert_same(estimates, expected):
    """Compare values and intervals up to the order of summation."""
    assert estimates.keys() == expected.keys()
    for name, estimate in estimates.items():
        if expected[name].low is None:
            assert estimate == pytest.approx(expected[name], abs=1e-12), name
        else:
            assert tuple(estimate) == pytest.approx(tuple(expected[name]), abs=1e-12), name


@pytest.mark.parametrize("levels", [None, 20])
@pytest.mark.parametrize("byte_budget", [0, 2_000, 15_000])
def test_a_small_budget_changes_neither_values_nor_intervals(byte_budget, levels):
    maps = planted(12, levels=levels)
    most = int(byte_budget / 2 / 96)
    spans = plan(survey(maps, byte_budget).buckets, most)
    assert len(spans) > 1
    assert_same(pixel_metrics(maps, byte_budget=byte_budget), pixel_metrics(maps))


def test_many_scores_in_one_bucket_are_told_apart_without_being_sorted():
    rng = np.random.default_rng(8)
    maps = planted(6)
    steps = [rng.integers(0, 50, mask.shape) + 20 * mask for _, mask in maps]
    crowded = [
        ((1 + step * 2.0**-23).astype(np.float32), maps[i][1]) for i, step in enumerate(steps)
    ]
    spread = [(step.astype(np.float32), maps[i][1]) for i, step in enumerate(steps)]
    buckets = survey(crowded, 0).buckets
    assert np.count_nonzero(buckets) == 1
    assert plan(buckets, 10) == [(0xBF80, 0xBF80, buckets.sum())]
    assert_same(pixel_metrics(crowded, byte_budget=0), pixel_metrics(spread))


def test_spans_hold_all_defect_pixels_and_at_most_the_budget_unless_they_are_one_bucket():
    rng = np.random.default_rng(4)
    buckets = np.zeros(65536, dtype=np.int64)
    buckets[rng.integers(0, 65536, 300)] = rng.integers(1, 40, 300)
    buckets[[0, 65535]] = 7
    spans = plan(buckets, 60)
    assert sum(span.pixels for span in spans) == buckets.sum()
    for span, below in pairwise(spans):
        assert below.high < span.low <= span.high
    for span in spans:
        assert span.pixels == buckets[span.low : span.high + 1].sum() > 0
        assert span.pixels <= 60 or span.low == span.high
    assert len(plan(buckets, int(buckets.sum()))) == 1


def test_bins_are_many_and_dense_at_the_top_and_the_same_within_any_budget():
    rng = np.random.default_rng(6)
    mask = np.arange(64 * 64).reshape(64, 64) % 2 == 0
    maps = [(rng.random(mask.shape, dtype=np.float32), mask) for _ in range(4)]
    edges = []
    for byte_budget in (2_000, 2**24):
        found = survey(maps, byte_budget)
        sweep = Sweep(found.totals)
        for steps in collect(found, byte_budget):
            sweep.add(steps)
        edges.append(sweep.edges())
    np.testing.assert_array_equal(*edges)
    assert 1000 < edges[0].size <= 2001
    assert np.all(edges[0][1:] < edges[0][:-1])
    scores = np.stack([score_map for score_map, _ in maps])
    top = score_keys(np.quantile(scores, [[0.98]]).astype(np.float32))
    assert np.mean(edges[0] > top) > 0.05


def test_a_capture_without_defect_free_pixels_counts_within_any_budget():
    whole = (np.full((3, 3), 2, dtype=np.float32), np.ones((3, 3), dtype=bool))
    maps = [whole, *planted(3)]
    assert_same(pixel_metrics(maps, byte_budget=0), pixel_metrics(maps))


def test_maps_that_can_be_read_only_once_are_refused_when_they_do_not_fit():
    class Once(list):
        unread = True

        def __iter__(self):
            captures = super().__iter__() if self.unread else iter(())
            self.unread = False
            return captures

    maps = Once(planted(6))
    assert pixel_metrics(maps) == pixel_metrics(planted(6))
    maps.unread = True
    with pytest.raises(SceneError, match="0 captures were read, but 6 were promised"):
        pixel_metrics(maps, byte_budget=0)


def test_memory_stays_bounded_however_many_captures_there_are():
    class Drawn:
        """Captures that are drawn when they are read, so that none is held."""

        def __len__(self):
            return 96

        def __iter__(self):
            for number in range(96):
                rng = np.random.default_rng(number)
                mask = np.zeros((256, 256), dtype=bool)
                mask[:64] = number % 2 == 0
                scores = rng.random(mask.shape, dtype=np.float32)
                yield np.where(mask, np.ceil(scores * 4) / 3, scores), mask

    peaks, estimates = [], []
    for byte_budget in (2**20, 2**30):
        tracemalloc.start()
        estimates.append(pixel_metrics(Drawn(), byte_budget=byte_budget))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    all_keys = 96 * 256 * 256 * 4
    assert peaks[0] < all_keys / 3
    assert peaks[1] > all_keys
    assert_same(*estimates)


@pytest.mark.parametrize("levels", [3, 1000])
@pytest.mark.parametrize("good", [0, 1, 7, 8, 9, 500])
def test_pixels_are_counted_against_keys_as_a_plain_search_counts_them(good, levels):
    rng = np.random.default_rng(good)
    pixels = np.sort(rng.integers(0, levels, good).astype(np.uint32))
    keys = np.unique(rng.integers(0, levels + 5, 40).astype(np.uint32))
    above, reached = np.ones(keys.size, np.int64), np.ones(keys.size, np.int64)
    count_above(pixels, keys, above, reached)
    np.testing.assert_array_equal(above - 1, good - np.searchsorted(pixels, keys, "right"))
    np.testing.assert_array_equal(reached - 1, good - np.searchsorted(pixels, keys, "left"))


def test_areas_under_ramps_add_up_to_those_of_each_step():
    rng = np.random.default_rng(0)
    above = np.sort(rng.integers(0, 900, 300))
    reached = above + rng.integers(0, 3, 300) * rng.integers(0, 200, 300)
    weights = rng.random(300)
    for limit in (0.5, 30.0, 500.0, 2000.0):
        wanted = weights @ ramp_area(above, reached, limit)
        assert ramps(above, reached, weights, limit) == pytest.approx(wanted, rel=1e-13)
    found = np.cumsum(rng.integers(1, 5, 300))
    wanted = float(found @ (found / (found + reached)))
    assert precisions(found, reached, found) == pytest.approx(wanted, rel=1e-13)

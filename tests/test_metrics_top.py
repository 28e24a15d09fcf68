"""AUPRO alone, from the top scores, against all metrics and the direct evaluation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import label
from test_metrics_budget import planted
from test_metrics_pixel import LIMITS, direct_aupro, small_maps

from mmdefect.errors import SceneError
from mmdefect.metrics import _top as top
from mmdefect.metrics import aupro, pixel_metrics
from mmdefect.metrics._collect import Good, survey
from mmdefect.metrics._pixels import Reader, good_keys, overlap_weights, write_good

pytestmark = pytest.mark.usefixtures("three_threads")
EIGHT = np.ones((3, 3))


def cut_of(maps):
    """Tell where the maps are cut, and what lies above."""
    sampled = top._Sampled(maps)
    found = survey(sampled, 0)
    cut = top._down_to(found, top._cut(sampled.buckets))
    assert sum(map(len, cut.good.chunks(1000))) == cut.good.seen
    return found, cut


@given(small_maps(), st.sampled_from([0, 2**20]))
@settings(deadline=None, max_examples=25)
def test_aupro_of_the_top_equals_the_direct_evaluation(maps, byte_budget):
    found = aupro(maps, byte_budget=byte_budget)
    for name, limit in LIMITS.items():
        assert found[name] == pytest.approx(direct_aupro(maps, limit), abs=1e-12)


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("byte_budget", [0, 20_000, 2**24])
def test_what_scores_too_low_is_left_out_and_changes_nothing(byte_budget, levels):
    maps = planted(9, size=130, levels=levels)
    maps[2][0][:3, :50] = np.nan
    maps[3][0][0, :4] = np.nan, np.inf, -np.inf, np.nan
    found, cut = cut_of(maps)
    wanted = {name: pixel_metrics(maps)[name].value for name in LIMITS}
    assert aupro(maps, byte_budget=byte_budget) == pytest.approx(wanted, abs=1e-12)
    assert 0.3 * found.totals.good <= cut.good.seen
    if levels is None:
        assert cut.good.seen < 0.5 * found.totals.good


def test_a_sample_that_misleads_costs_time_and_no_exactness():
    ((scores, mask),) = planted(1, size=240)
    step = int(np.sqrt(mask.size / top._A_SAMPLE))
    assert step == 2
    scores[::step, ::step] += 1
    scores[::step, ::step][::2, ::2] += 50
    found, cut = cut_of([(scores, mask)])
    assert cut.good.seen < 0.3 * found.totals.good
    wanted = pixel_metrics([(scores, mask)])
    assert aupro([(scores, mask)]) == pytest.approx({n: wanted[n].value for n in LIMITS}, abs=1e-12)


def test_defects_that_score_below_all_others_have_no_overlap():
    ((scores, mask),) = planted(1)
    assert aupro([(np.where(mask, -scores - 1, scores), mask)]) == dict.fromkeys(LIMITS, 0.0)


def test_aupro_is_not_a_number_where_it_is_undefined():
    scores = np.ones((2, 3), dtype=np.float32)
    for mask in (np.zeros((2, 3), bool), np.ones((2, 3), bool)):
        assert all(np.isnan(value) for value in aupro([(scores, mask)]).values())
    with pytest.raises(SceneError, match="float32"):
        aupro([(scores.astype(np.float64), mask)])


@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(-2, 2, width=32, allow_nan=False) | st.sampled_from([np.nan, np.inf]),
    ),
    st.integers(0, 9),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=50)
def test_keys_down_to_a_floor_are_those_of_a_plain_choice(score_map, seed, floor):
    mask = np.random.default_rng(seed).random(score_map.shape) < seed / 9
    room = np.empty(mask.size, dtype=np.uint32)
    size = write_good(score_map, mask, floor, room)
    keys = good_keys(score_map, mask)
    np.testing.assert_array_equal(room[:size], keys[keys >= floor])


def test_chunks_hold_every_key_once_whether_kept_or_read_again():
    maps = planted(7, size=30)
    reader = Reader(maps)
    every = np.sort(np.concatenate([good_keys(*pair) for pair in maps]))
    for source in (reader, list(reader)):
        for floor in (0, int(np.median(every))):
            good = Good(source).down_to(floor)
            chunks = [chunk.copy() for chunk in good.chunks(2000)]
            assert len(chunks) > 1
            found = np.sort(np.concatenate(chunks))
            np.testing.assert_array_equal(found, every[every >= floor])
            assert good.seen == found.size


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)), st.integers(0, 2**31))
@settings(deadline=None, max_examples=50)
def test_regions_are_those_of_a_plain_labelling(mask, seed):
    mask = mask | (np.random.default_rng(seed).random(mask.shape) < 0.3)
    labels, regions = label(mask, structure=EIGHT)
    weight, found = overlap_weights(mask)
    assert found == regions
    np.testing.assert_array_equal(weight, 1 / np.bincount(labels.ravel())[labels[mask]])


def test_the_teeth_of_a_comb_are_one_region_whichever_way_it_lies():
    mask = np.zeros((9, 21), dtype=bool)
    mask[:, ::2] = mask[-1] = True
    for lying in (mask, mask[::-1], mask.T, mask.T[:, ::-1]):
        weight, regions = overlap_weights(lying)
        assert regions == 1
        assert set(weight) == {1 / mask.sum()}

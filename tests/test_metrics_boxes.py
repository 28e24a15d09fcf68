"""Boxes solved by hand, and their intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.boxes import box_mask, read_boxes
from mmdefect.errors import CardError, SensorError
from mmdefect.metrics import box_metrics, match_boxes


def hot(*places: tuple[slice, slice]) -> np.ndarray:
    score_map = np.zeros((40, 40))
    for place in places:
        score_map[place] = 1.0
    return score_map


@pytest.mark.parametrize(
    ("region", "hit"),
    [
        ((slice(14, 15), slice(14, 15)), True),  # one pixel, the centre
        ((slice(10, 12), slice(10, 15)), True),  # IoU 10/100, not the centre
        ((slice(10, 12), slice(10, 14)), False),  # IoU 8/100
        ((slice(0, 40), slice(0, 40)), True),  # everything holds every centre
        ((slice(18, 32), slice(18, 32)), False),  # IoU 4/292
        ((slice(30, 35), slice(30, 35)), False),
    ],
)
def test_a_box_is_hit_by_its_centre_or_by_a_tenth_of_overlap(region: tuple, hit: bool) -> None:
    hits, false = match_boxes(hot(region), [(10, 10, 19, 19), (10, 10, 20, 20)][1:], 0.5)
    # the centre pixel of rows 10..19 is 15: the one-pixel region lies beside it
    if region == (slice(14, 15), slice(14, 15)):
        hits, false = match_boxes(hot(region), [(10, 10, 19, 19)], 0.5)
    assert hits == [hit]
    assert false == (0 if hit else 1)


def test_a_region_that_finds_two_boxes_is_not_false_and_nan_is_no_region() -> None:
    score_map = hot((slice(0, 10), slice(0, 20)))
    score_map[30:, 30:] = np.nan
    hits, false = match_boxes(score_map, [(0, 0, 10, 10), (0, 10, 10, 20), (30, 30, 38, 38)], 0.5)
    assert hits == [True, True, False]
    assert false == 0


def test_pixels_that_touch_at_a_corner_are_one_region_and_the_threshold_is_exceeded() -> None:
    score_map = np.zeros((6, 6))
    score_map[1, 1] = score_map[2, 2] = 0.7
    score_map[5, 5] = 0.5
    assert match_boxes(score_map, [], 0.5) == ([], 1)
    assert match_boxes(score_map, [], 0.4) == ([], 2)


def test_rates_over_frames_are_sums_and_their_intervals_hold_them() -> None:
    frames = [(hot((slice(12, 18), slice(12, 18))), [(10.0, 10.0, 20.0, 20.0)])] * 6
    frames += [(hot((slice(30, 34), slice(2, 5))), [(10.0, 10.0, 20.0, 20.0)])] * 2
    frames += [(hot((slice(30, 34), slice(2, 5))), [])] * 2
    found = box_metrics(frames, 0.5, seed=0)
    assert found["box_recall"].value == pytest.approx(6 / 8)
    assert found["false_boxes_per_frame"].value == pytest.approx(4 / 10)
    for estimate in found.values():
        assert estimate.low < estimate.value < estimate.high
    nothing = box_metrics([(hot(), [])] * 10, 0.5, seed=0)
    assert nothing["box_recall"].value is None
    assert nothing["false_boxes_per_frame"].high == pytest.approx(0.3689, abs=1e-4)
    assert box_metrics(frames, None, seed=0)["box_recall"].value is None


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.9))
def test_every_region_is_either_false_or_finds_a_box(seed: int, threshold: float) -> None:
    from scipy.ndimage import label

    rng = np.random.default_rng(seed)
    score_map = rng.random((12, 12)) * (rng.random((12, 12)) < 0.2)
    hits, false = match_boxes(score_map, [(2, 2, 6, 7), (8, 1, 11, 5)], threshold)
    regions = label(score_map > threshold, np.ones((3, 3)))[1]
    assert 0 <= false <= regions
    assert (regions > false) == any(hits)


def test_a_box_list_is_read_in_the_cards_order_and_bad_rows_are_named(tmp_path) -> None:
    path = tmp_path / "boxes.txt"
    path.write_text("3, 10, 2, 20, 4\n\n3, 0, 0, 1, 1\n")
    read = read_boxes(path, ("frame", "top", "left", "bottom", "right"), origin=0)
    assert read == {3: [(10, 2, 21, 5), (0, 0, 2, 2)]}
    assert box_mask(read[3], (30, 30)).sum() == 11 * 3 + 4
    path.write_text("1 2 3 4\n")
    with pytest.raises(SensorError, match="row 1 is '1 2 3 4'"):
        read_boxes(path, ("frame", "left", "right", "top", "bottom"))
    path.write_text("1 9 3 4 5\n")
    with pytest.raises(SensorError, match="is no box"):
        read_boxes(path, ("frame", "left", "right", "top", "bottom"))


def test_columns_that_are_not_named_once_each_are_refused() -> None:
    from mmdefect.boxes import check_columns

    with pytest.raises(CardError, match="once each, were promised"):
        check_columns(["frame", "left", "left", "top", "bottom"])

"""Metrics of pixels, against slow direct evaluations written here and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, roc_auc_score

from mmdefect.errors import SceneError
from mmdefect.metrics import pixel_metrics
from mmdefect.metrics._pixels import score_keys
from mmdefect.metrics.pixel import PIXEL_METRICS, PRO_POINTS

pytestmark = pytest.mark.usefixtures("three_threads")

LIMITS = {"aupro_30": 0.3, "aupro_10": 0.1, "aupro_05": 0.05, "aupro_01": 0.01}
UNDEFINED = (None, None, None)


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


@st.composite
def small_maps(draw):
    """Draw up to three captures of a few pixels and few levels, both labels among them."""
    maps = []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 5)))
        scores = draw(arrays(np.int8, shape, elements=st.integers(-3, 3)))
        maps.append((scores.astype(np.float32) / 2, draw(arrays(np.bool_, shape))))
    ends = np.array([[draw(st.integers(-3, 3)), draw(st.integers(-3, 3))]], dtype=np.float32)
    maps.append((ends, np.array([[False, True]])))
    return maps


def flat(maps):
    masks = np.concatenate([mask.ravel() for _, mask in maps])
    return masks, np.concatenate([score_map.ravel() for score_map, _ in maps])


def region_scores(maps):
    """List the scores of each defect region."""
    regions = []
    for score_map, mask in maps:
        labels, count = label(mask, structure=np.ones((3, 3)))
        regions += [score_map[labels == number] for number in range(1, count + 1)]
    return regions


def area(x, y, limit):
    """Integrate a polyline segment by segment up to a limit."""
    total = 0.0
    for x0, x1, y0, y1 in zip(x, x[1:], y, y[1:], strict=False):
        if x0 < limit:
            stop = min(x1, limit)
            y_stop = y0 + (y1 - y0) * (stop - x0) / (x1 - x0) if x1 > x0 else y1
            total += (stop - x0) * (y0 + y_stop) / 2
    return total / limit


def direct_aupro(maps, limit):
    """Try every distinct threshold on every region."""
    masks, scores = flat(maps)
    regions = region_scores(maps)
    x, y = [0.0], [0.0]
    for threshold in np.unique(scores)[::-1]:
        x.append(np.mean(scores[~masks] >= threshold))
        y.append(np.mean([np.mean(region >= threshold) for region in regions]))
    return area(x, y, limit)


def direct_pro(maps, at):
    """Find the largest mean overlap that marks at most a share of the good pixels."""
    masks, scores = flat(maps)
    good, regions = scores[~masks], region_scores(maps)
    allowed = [t for t in np.unique(scores) if (good >= t).sum() <= at * good.size + 1e-9]
    return max((np.mean([np.mean(r >= t) for r in regions]) for t in allowed), default=0.0)


def literature_aupro(maps, limit, thresholds):
    """Try thresholds equidistant in rank, as the code behind published tables does."""
    masks, scores = flat(maps)
    good, regions = np.sort(scores[~masks]), region_scores(maps)
    x, y = [1.0], [1.0]
    for place in np.linspace(0, good.size - 1, num=thresholds, dtype=int):
        x.append(1 - (place + 1) / good.size)
        y.append(np.mean([np.mean(region > good[place]) for region in regions]))
    return area(x[::-1], y[::-1], limit)


def values(estimates):
    return {name: estimate.value for name, estimate in estimates.items()}


@given(small_maps())
@settings(deadline=None)
def test_pixel_auroc_and_average_precision_equal_scikit_learn(maps):
    estimates, (masks, scores) = pixel_metrics(maps), flat(maps)
    assert estimates["pixel_auroc"].value == pytest.approx(roc_auc_score(masks, scores), abs=1e-12)
    expected = average_precision_score(masks, scores)
    assert estimates["pixel_ap"].value == pytest.approx(expected, abs=1e-12)


@given(small_maps())
@settings(deadline=None)
def test_aupro_equals_the_direct_evaluation_at_every_threshold(maps):
    estimates = pixel_metrics(maps)
    for name, limit in LIMITS.items():
        assert estimates[name].value == pytest.approx(direct_aupro(maps, limit), abs=1e-12)
        assert estimates[name].value <= 1


@given(small_maps())
@settings(deadline=None, max_examples=30)
def test_the_points_of_the_pro_curve_equal_the_direct_evaluation(maps):
    estimates = pixel_metrics(maps)
    for name, at in PRO_POINTS.items():
        assert estimates[name].value == pytest.approx(direct_pro(maps, at), abs=1e-12)


@given(small_maps())
@settings(deadline=None, max_examples=30)
def test_aupro_on_a_grid_equals_the_direct_evaluation_at_its_thresholds(maps):
    estimates = pixel_metrics(maps)
    for thresholds in (99, 100):
        for name, limit in LIMITS.items():
            expected = literature_aupro(maps, limit, thresholds)
            found = estimates[f"{name}_grid{thresholds}"]
            assert found == (pytest.approx(expected, abs=1e-9), None, None)


def test_all_pixel_metrics_equal_direct_evaluations_on_continuous_scores():
    maps = planted(4)
    masks, scores = flat(maps)
    expected = {
        "pixel_auroc": roc_auc_score(masks, scores),
        "pixel_ap": average_precision_score(masks, scores),
    }
    for name, limit in LIMITS.items():
        expected[name] = direct_aupro(maps, limit)
        for thresholds in (99, 100):
            expected[f"{name}_grid{thresholds}"] = literature_aupro(maps, limit, thresholds)
    expected |= {name: direct_pro(maps, at) for name, at in PRO_POINTS.items()}
    assert values(pixel_metrics(maps)) == pytest.approx(expected, abs=1e-10)


def test_aupro_of_a_case_solved_by_hand():
    # eleven defect-free pixels; regions {9.5, 6.5} and {8.5}: their mean overlap is 0.25 at once,
    # 0.75 after one false positive (9), 1 after three (9, 8, 7)
    scores = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9.5, 6.5, 0, 8.5]
    mask = np.isin(scores, [9.5, 6.5, 8.5])
    estimates = pixel_metrics([(np.array([scores], dtype=np.float32), mask[None])])
    assert estimates["aupro_30"].value == pytest.approx((0.25 + 0.75 * 2 + 1 * 0.3) / 3.3)
    assert estimates["aupro_10"].value == pytest.approx((0.25 + 0.75 * 0.1) / 1.1)
    assert estimates["aupro_05"].value == pytest.approx(0.25)
    assert estimates["pixel_auroc"].value == pytest.approx((11 + 10 + 8) / 33)
    assert estimates["pixel_ap"].value == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)


def test_a_tie_of_everything_is_one_straight_step():
    mask = np.eye(20, dtype=bool)
    estimates = pixel_metrics([(np.zeros((20, 20), dtype=np.float32), mask)])
    assert estimates["pixel_auroc"].value == pytest.approx(0.5)
    assert estimates["pixel_ap"].value == pytest.approx(20 / 400)
    for name, limit in LIMITS.items():
        assert estimates[name].value == pytest.approx(limit / 2)


def test_pixels_that_touch_at_a_corner_are_one_region():
    mask = np.zeros((5, 5), dtype=bool)
    mask[0, 0] = mask[1, 1] = mask[4, 4] = True
    score_map = np.zeros((5, 5), dtype=np.float32)
    score_map[0, 0] = 2
    score_map[4, 4] = -1
    assert pixel_metrics([(score_map, mask)])["aupro_30"].value == pytest.approx(
        0.5 * (0.5 + 0.5 * 0.3 / 2)
    )


def test_a_perfect_map_has_metrics_of_one_and_none_above():
    maps = [(mask.astype(np.float32), mask) for _, mask in planted(9)]
    for name, estimate in pixel_metrics(maps).items():
        assert estimate.value == pytest.approx(1, abs=1e-12) or "grid" in name
        assert estimate.value <= 1


def test_a_coarse_grid_hides_what_happens_below_one_percent():
    rng = np.random.default_rng(3)
    mask = np.zeros((200, 200), dtype=bool)
    mask[:10, :10] = True
    scores = rng.random((200, 200))
    scores[mask] = 0.998  # above all but 0.2 % of the others
    estimates = pixel_metrics([(scores.astype(np.float32), mask)])
    assert estimates["aupro_01"].value == pytest.approx(0.8, abs=0.05)
    for grid in ("grid99", "grid100"):
        assert estimates[f"aupro_01_{grid}"].value == pytest.approx(0.5, abs=0.02)
        assert estimates[f"aupro_30_{grid}"].value == pytest.approx(
            estimates["aupro_30"].value, abs=0.02
        )


def test_a_pixel_without_a_finite_score_counts_as_the_lowest_of_its_map():
    (score_map, mask), *rest = planted(4)
    holes = score_map + 3
    holes[0, :4] = np.nan, np.inf, -np.inf, np.nan
    filled = np.where(np.isfinite(holes), holes, holes[np.isfinite(holes)].min())
    assert pixel_metrics([(holes, mask), *rest]) == pixel_metrics([(filled, mask), *rest])


def test_a_map_without_any_finite_score_counts_as_lower_than_all_others():
    (score_map, mask), *rest = [(scores - 9, mask) for scores, mask in planted(4)]
    blind, lowest = np.full_like(score_map, np.nan), np.full_like(score_map, -3e38)
    found = pixel_metrics([(blind, mask), *rest])
    assert found == pixel_metrics([(lowest, mask), *rest])
    assert (
        found["pixel_auroc"].value < pixel_metrics([(score_map, mask), *rest])["pixel_auroc"].value
    )


@given(
    arrays(np.float32, (2, 8), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
)
def test_keys_compare_as_their_scores_do(score_map):
    keys, scores = score_keys(score_map), score_map.ravel()
    np.testing.assert_array_equal(keys[:, None] < keys, scores[:, None] < scores)
    np.testing.assert_array_equal(keys[:, None] == keys, scores[:, None] == scores)


def test_minus_zero_and_zero_tie():
    score_map = np.array([[-0.0, 0.0]], dtype=np.float32)
    for mask in ([[True, False]], [[False, True]]):
        assert pixel_metrics([(score_map, np.array(mask))])["pixel_auroc"].value == 0.5


def test_pixel_intervals_hold_their_value_and_narrow_with_more_captures():
    few, many = pixel_metrics(planted(8)), pixel_metrics(planted(80))
    for name, (value, low, high) in many.items():
        if "grid" in name or name in PRO_POINTS:
            assert (low, high) == (None, None)
        else:
            assert 0 <= low < value < high <= 1
            assert high - low < few[name].high - few[name].low


def test_pixel_intervals_agree_with_a_bootstrap_of_whole_captures():
    maps = planted(30, size=12, levels=4)
    rng = np.random.default_rng(21)
    groups = [[i for i in range(30) if i % 2 == odd] for odd in (0, 1)]
    replicates = {"pixel_auroc": [], "pixel_ap": [], "aupro_30": [], "aupro_05": []}
    for _ in range(200):
        drawn = [maps[i] for group in groups for i in rng.choice(group, len(group))]
        masks, scores = flat(drawn)
        replicates["pixel_auroc"].append(roc_auc_score(masks, scores))
        replicates["pixel_ap"].append(average_precision_score(masks, scores))
        replicates["aupro_30"].append(direct_aupro(drawn, 0.3))
        replicates["aupro_05"].append(direct_aupro(drawn, 0.05))
    estimates = pixel_metrics(maps)
    for name, metrics in replicates.items():
        low, high = np.percentile(metrics, [2.5, 97.5])
        assert estimates[name].low == pytest.approx(low, abs=0.2 * (high - low)), name
        assert estimates[name].high == pytest.approx(high, abs=0.2 * (high - low)), name


def test_coarse_bins_hardly_move_the_intervals(monkeypatch):
    fine = pixel_metrics(planted(40))
    monkeypatch.setattr("mmdefect.metrics._sweep._BINS_BY_FPR", 12)
    monkeypatch.setattr("mmdefect.metrics._sweep._BINS_BY_RECALL", 4)
    for name, (value, low, high) in pixel_metrics(planted(40)).items():
        if low is not None:
            width = fine[name].high - fine[name].low
            assert value == fine[name].value
            assert (low, high) == pytest.approx((fine[name].low, fine[name].high), abs=width / 20)


def test_the_seed_decides_the_pixel_intervals_and_leaves_the_values():
    first, again, other = (pixel_metrics(planted(6), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["aupro_30"] != other["aupro_30"]
    assert values(first) == values(other)


def test_a_group_of_one_capture_gives_no_interval():
    maps = planted(5)
    defective, good = maps[::2], maps[1::2]
    assert pixel_metrics([*defective, *good])["aupro_30"].low is not None
    assert pixel_metrics(defective)["aupro_30"].low is not None
    for lonely in ([defective[0], *good], [*defective, good[0]]):
        value, low, high = pixel_metrics(lonely)["aupro_30"]
        assert value > 0
        assert (low, high) == (None, None)


def test_metrics_without_defect_or_defect_free_pixels_are_undefined():
    score_map = np.arange(4, dtype=np.float32).reshape(2, 2)
    for maps in ([], [(score_map, score_map > 9)], [(score_map, score_map > -1)]):
        assert pixel_metrics(maps) == dict.fromkeys(PIXEL_METRICS, UNDEFINED)


def test_a_wrong_map_or_mask_is_refused_by_name():
    score_map = np.zeros((4, 5), dtype=np.float32)
    mask = score_map > 0
    wrong = {
        r"the mask of capture 2 of 2 is bool of shape \(5, 4\)": (score_map, mask.T),
        r"the mask of capture 2 of 2 is uint8": (score_map, mask.astype(np.uint8)),
        r"the score map of capture 2 of 2 is float64": (score_map.astype(np.float64), mask),
        r"of shape \(1, 4, 5\), but float32 \(y, x\) was promised": (score_map[None], mask[None]),
    }
    for message, capture in wrong.items():
        with pytest.raises(SceneError, match=message):
            pixel_metrics([(score_map, mask), capture])

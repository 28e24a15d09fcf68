"""Metrics of parts, against scikit-learn, published numbers and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from sklearn.metrics import average_precision_score, roc_auc_score

from mmdefect.errors import SceneError
from mmdefect.metrics import (
    METRICS,
    auroc_interval,
    box_metrics,
    part_metrics,
    pixel_metrics,
    rates,
    wilson,
)
from mmdefect.metrics.pixel import PRO_POINTS

TIED_SCORES = st.lists(st.integers(-3, 3), min_size=1, max_size=30)
SCORES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30)


def labels_and_scores(good, defect):
    return np.repeat([0, 1], [len(good), len(defect)]), np.concatenate([good, defect])


@given(st.one_of(TIED_SCORES, SCORES), st.one_of(TIED_SCORES, SCORES))
@settings(deadline=None)
def test_auroc_and_average_precision_equal_scikit_learn(good, defect):
    estimates = part_metrics(good, defect)
    labels, scores = labels_and_scores(good, defect)
    assert estimates["image_auroc"].value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    expected = average_precision_score(labels, scores)
    assert estimates["image_ap"].value == pytest.approx(expected, abs=1e-12)


@given(TIED_SCORES, TIED_SCORES, st.integers(0, 9))
@settings(deadline=None)
def test_part_intervals_hold_their_value_and_stay_between_0_and_1(good, defect, seed):
    for estimate in (
        *part_metrics(good, defect, seed=seed).values(),
        *rates(good, defect, 0).values(),
    ):
        if estimate.value is not None:
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_part_metrics_of_a_case_solved_by_hand():
    estimates = part_metrics(good=[1, 2, 2, 5], defect=[2, 7])
    assert estimates["image_auroc"].value == pytest.approx((1 + 2 / 2 + 4) / 8)
    assert estimates["image_ap"].value == pytest.approx((1 / 1 + 2 / 5) / 2)


def test_infinite_part_scores_are_ranked_and_tie():
    estimates = part_metrics(good=[0, np.inf], defect=[np.inf, np.inf])
    assert estimates["image_auroc"].value == pytest.approx(0.75)
    assert estimates["image_ap"].value == pytest.approx(2 / 3)


def test_part_metrics_without_a_good_or_a_defective_part_are_undefined():
    for good, defect in (([], [1.0]), ([1.0], []), ([], [])):
        for estimate in part_metrics(good, defect).values():
            assert estimate == (None, None, None)


def test_the_interval_of_average_precision_agrees_with_a_bootstrap_part_by_part():
    rng = np.random.default_rng(5)
    good, defect = rng.normal(size=40), rng.normal(1, 1, size=25)
    replicates = [
        average_precision_score(
            *labels_and_scores(rng.choice(good, good.size), rng.choice(defect, defect.size))
        )
        for _ in range(1000)
    ]
    _, low, high = part_metrics(good, defect)["image_ap"]
    assert (low, high) == pytest.approx(np.percentile(replicates, [2.5, 97.5]), abs=0.02)


def test_the_bootstrap_does_not_depend_on_how_many_replicates_are_drawn_at_once(monkeypatch):
    good, defect = np.arange(30), np.arange(20, 40)
    whole = part_metrics(good, defect)["image_ap"]
    monkeypatch.setattr("mmdefect.metrics.part._CELLS_AT_ONCE", 50 * 7)
    _, low, high = part_metrics(good, defect)["image_ap"]
    assert (low, high) == pytest.approx((whole.low, whole.high), abs=0.02)


def test_the_seed_decides_the_bootstrap():
    good, defect = np.arange(30) / 7, np.arange(20, 40) / 7
    first, again, other = (part_metrics(good, defect, seed=seed)["image_ap"] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_higher_level_gives_wider_part_intervals():
    good, defect = np.arange(30), np.arange(20, 40)
    narrow, wide = (part_metrics(good, defect, level=level) for level in (0.8, 0.99))
    for name in narrow:
        assert wide[name].low < narrow[name].low
        assert wide[name].high > narrow[name].high


def test_rates_of_a_case_solved_by_hand():
    estimates = rates(good=[1, 2, 3, 4], defect=[3, 5, 6], threshold=3)
    values = {name: estimate.value for name, estimate in estimates.items()}
    assert values == {"precision": 2 / 3, "recall": 2 / 3, "fpr": 1 / 4, "fnr": 1 / 3}
    assert estimates["fpr"] == wilson(1, 4)
    assert rates([1, 2, 3, 4], [3, 5, 6], 3, level=0.5)["fpr"] == wilson(1, 4, 0.5)


def test_a_part_that_scores_exactly_the_threshold_is_not_called_defect():
    assert rates([2.0], [2.0], threshold=2.0)["recall"].value == 0
    assert rates([2.0], [2.0], threshold=2.0)["fpr"].value == 0


def test_rates_are_undefined_where_there_is_nothing_to_divide_by():
    assert rates([1.0], [2.0], threshold=3.0)["precision"] == (None, None, None)
    assert rates([], [2.0], threshold=1.0)["fpr"] == (None, None, None)
    assert rates([1.0], [], threshold=1.0)["recall"] == (None, None, None)
    assert set(rates([1.0], [2.0], threshold=None).values()) == {(None, None, None)}


@pytest.mark.parametrize("measure", [part_metrics, lambda good, defect: rates(good, defect, None)])
def test_part_scores_that_are_nan_are_refused(measure):
    with pytest.raises(SceneError, match="1 of 3 scores of the defect parts are NaN"):
        measure([1.0, 2.0], [np.nan, 1.0, 2.0])
    with pytest.raises(SceneError, match=r"the good parts are float64 of shape \(1, 2\)"):
        measure([[1.0, 2.0]], [1.0])
    with pytest.raises(SceneError, match="give a list of numbers"):
        measure([1.0], ["high"])


# R. G. Newcombe, Statistics in Medicine 17, 1998, 857-872, table I, method 3
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(hits, n, low, high):
    assert wilson(hits, n) == pytest.approx((hits / n, low, high), abs=5e-5)
    assert wilson(n - hits, n) == pytest.approx((1 - hits / n, 1 - high, 1 - low), abs=5e-5)


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_holds_its_value(n, share, level):
    value, low, high = wilson(round(share * n), n, level)
    assert 0 <= low <= value <= high <= 1
    assert low < high


def test_wilson_of_nothing_is_undefined():
    assert wilson(0, 0) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "n_good", "n_defect"), [(0.8, 20, 30), (0.5, 7, 7), (0.97, 80, 15)]
)
def test_the_auroc_interval_ends_where_the_score_equation_holds(value, n_good, n_defect):
    def excess(theta):
        extra = (n_good + n_defect) / 2 - 1
        wilcoxon = theta * (1 - theta)
        shared = extra * (theta / (2 - theta) - theta**2 + 2 * theta**2 / (1 + theta) - theta**2)
        error = np.sqrt((wilcoxon + shared) / (n_good * n_defect))
        return abs(value - theta) - 1.959963984540054 * error

    expected = value, brentq(excess, 1e-9, value), brentq(excess, value, 1 - 1e-9)
    assert auroc_interval(value, n_good, n_defect) == pytest.approx(expected, abs=1e-9)


def test_a_perfect_auroc_keeps_an_interval_that_shrinks_with_more_parts():
    few, many = auroc_interval(1.0, 10, 10), auroc_interval(1.0, 1000, 1000)
    assert few.high == many.high == 1
    assert few.low < 0.9 < many.low < 1
    assert auroc_interval(0.0, 10, 10).high == pytest.approx(1 - few.low)
    assert part_metrics(range(10), range(10, 20))["image_auroc"] == few


def test_the_auroc_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(11)
    truth, shift = 0.9, 1.2815515655446004 * np.sqrt(2)
    covered = 0
    for _ in range(1500):
        good, defect = rng.normal(size=30), rng.normal(shift, 1, size=20)
        auroc = np.mean(defect[:, None] > good)
        _, low, high = auroc_interval(auroc, 30, 20)
        covered += low <= truth <= high
    assert 0.92 < covered / 1500 < 0.985


def test_every_listed_metric_is_measured_by_one_function_and_in_report_order():
    score_map = np.arange(6, dtype=np.float32).reshape(2, 3)
    pixels = pixel_metrics([(score_map, score_map > 4)])
    boxes = box_metrics([(score_map, [(0, 0, 1, 1)])], 4, seed=0)
    measured = [*part_metrics([1], [2]), *pixels, *rates([1], [2], 1), *boxes]
    listed = [name for name in measured if "grid" not in name and name not in PRO_POINTS]
    assert tuple(listed) == METRICS
    assert len(measured) == len(METRICS) + len(PRO_POINTS) + 8

"""Paired differences: scikit-learn on redrawn parts, the coverage of the interval, pixels."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mmdefect.errors import SceneError
from mmdefect.metrics import auroc_replicates, difference, pixel_metrics, pixel_replicates


def test_replicates_are_scikit_learns_auroc_of_the_redrawn_parts():
    rng = np.random.default_rng(0)
    good, defect = rng.integers(0, 6, 12).astype(float), rng.integers(2, 9, 7).astype(float)
    told = auroc_replicates(good, defect, seed=3, replicates=20)
    truth = np.repeat([0, 1], [12, 7])
    assert told[0] == pytest.approx(roc_auc_score(truth, [*good, *defect]))
    drawn = np.random.default_rng(3)
    times = [drawn.multinomial(n, np.full(n, 1 / n), size=20) for n in (12, 7)]
    for number in range(20):
        own = np.repeat(good, times[0][number]), np.repeat(defect, times[1][number])
        assert told[1 + number] == pytest.approx(roc_auc_score(truth, np.concatenate(own)))


def test_the_interval_of_a_difference_holds_the_true_one_as_often_as_it_says():
    rng, held = np.random.default_rng(1), []
    for seed in range(120):
        seen = rng.normal(size=(2, 60))
        first = seen + np.array([[0.0], [1.5]]) + 0.3 * rng.normal(size=(2, 60))
        second = seen + np.array([[0.0], [1.5]]) + 0.8 * rng.normal(size=(2, 60))
        apart = difference(
            auroc_replicates(*first, seed=seed, replicates=300)
            - auroc_replicates(*second, seed=seed, replicates=300)
        )
        held.append(apart.low <= TRUE_DIFFERENCE <= apart.high)
    assert 0.88 <= np.mean(held) <= 0.995


def _normal_auroc(spread: float) -> float:
    from scipy.stats import norm

    return float(norm.cdf(1.5 / np.sqrt(2 * (1 + spread**2))))


TRUE_DIFFERENCE = _normal_auroc(0.3) - _normal_auroc(0.8)


def test_a_difference_of_the_same_scores_is_zero_and_of_nothing_undefined():
    scores = auroc_replicates([1.0, 2.0, 3.0], [2.5, 4.0])
    assert difference(scores - scores) == (0.0, 0.0, 0.0)
    assert difference([np.nan]) == (None, None, None)
    assert difference([0.2]) == (0.2, None, None)
    with pytest.raises(SceneError, match="0 good and 1 defective parts"):
        auroc_replicates([], [1.0])
    with pytest.raises(SceneError, match="1 of them without a score"):
        auroc_replicates([np.nan], [1.0])


def test_pixel_replicates_are_those_the_intervals_are_made_of():
    rng = np.random.default_rng(2)
    maps = []
    for number in range(8):
        truth = np.zeros((24, 24), dtype=bool)
        truth[4:9, 6 : 10 + number] = number % 2
        maps.append(((rng.random((24, 24)) + truth).astype(np.float32), truth))
    told, estimates = pixel_replicates(maps, seed=4), pixel_metrics(maps, seed=4)
    for name in ("aupro_30", "aupro_05", "pixel_auroc"):
        own = difference(told[name])
        assert own.value == estimates[name].value
        assert (own.low, own.high) == pytest.approx((estimates[name].low, estimates[name].high))
    worse = [(np.float32(0.5) * score + rng.random((24, 24), np.float32), t) for score, t in maps]
    apart = difference(told["aupro_05"] - pixel_replicates(worse, seed=4)["aupro_05"])
    assert 0 < apart.low < apart.value < apart.high
    nothing = pixel_replicates([(score, np.zeros_like(t)) for score, t in maps])
    assert np.isnan(nothing["aupro_30"]).all()

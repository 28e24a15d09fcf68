"""How many good parts, and honest p-values: against simulation, by hand, and with controls."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mmdefect.fusion.late import Late
from mmdefect.good_parts import alarms_interval, parts_for, rate_bound
from mmdefect.verdict import conformal_threshold, parts_needed

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SENSORS = ("rgb", "points", "infrared", "xray")


@pytest.fixture(scope="module")
def honest():
    """The measuring code of the benchmark on thousands of simulated parts."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import honest_p
    finally:
        sys.path.remove(str(BENCHMARKS))
    return honest_p


def good_parts(seed: int, count: int) -> np.ndarray:
    """Evidence of good parts: sensors that depend on each other, one with a scale that is off."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(count, 1))
    return np.exp(0.6 * shared + rng.normal(size=(count, 4))) * np.array([1.0, 1.0, 5.0, 0.1])


@pytest.mark.parametrize(("parts", "rate"), [(19, 0.05), (60, 0.05), (99, 0.02), (9, 0.1)])
def test_one_draws_rate_stays_below_its_bound_as_often_as_said(parts, rate):
    rng = np.random.default_rng(3)
    own = []
    for _ in range(1000):
        threshold = conformal_threshold(rng.random(parts), rate)
        own.append(1 - threshold)
    below = np.mean(np.array(own) <= rate_bound(parts, rate, 0.9))
    assert below == pytest.approx(0.9, abs=4 * (0.09 / 1000) ** 0.5)


@pytest.mark.parametrize("rate", [0.2, 0.1, 0.05, 0.01])
def test_from_so_many_parts_on_the_bound_holds_and_not_before(rate):
    enough = parts_for(rate, 2 * rate)
    assert parts_needed(rate) < enough
    for more in range(0, 3 * enough, max(1, enough // 20)):
        assert rate_bound(enough + more, rate) <= 2 * rate
    # just where one more part raises the rank, the rate is highest
    previous = enough - round(1 / rate)
    assert rate_bound(previous, rate) > 2 * rate


def test_too_few_parts_alarm_never_and_a_rate_of_one_always():
    assert rate_bound(18, 0.05) == 0
    assert alarms_interval(18, 500, 0.05) == (0, 0)
    assert rate_bound(1, 0.5) == pytest.approx(0.9)
    with pytest.raises(ValueError, match=r"most is 0.05; a rate between 0.05 and 1 was promised"):
        parts_for(0.05, 0.05)
    with pytest.raises(ValueError, match=r"keep the rate below 0.0501 when 0.05 is wanted"):
        parts_for(0.05, 0.0501)


def test_the_number_of_alarms_lies_in_its_interval_as_often_as_said():
    rng = np.random.default_rng(5)
    low, high = alarms_interval(39, 200, 0.05)
    counts = []
    for _ in range(1000):
        threshold = conformal_threshold(rng.random(39), 0.05)
        counts.append(int((rng.random(200) > threshold).sum()))
    inside = np.mean([low <= count <= high for count in counts])
    assert 0.93 <= inside <= 0.99


def test_holms_method_by_hand(honest):
    adjusted = honest.holm(np.array([0.04, 0.01, 0.03]))
    np.testing.assert_allclose(adjusted, [0.06, 0.03, 0.06])
    assert honest.holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("rule", ["norm", "fisher", "max", "harmonic"])
def test_p_values_of_good_parts_are_super_uniform_for_every_subset_of_sensors(honest, rule):
    statistic = honest.combined(good_parts(1, 600), SENSORS, Late(SENSORS, rule=rule).combine)
    found = honest.drawn(statistic, parts=99, draws=100)
    assert found.shape == (100, 15, 6)
    assert honest.subsets(SENSORS)[-1] == SENSORS
    assert (honest.holm(honest.too_many(found / 501)) > 0.05).all()
    wanted = np.array(honest.RATES)
    np.testing.assert_allclose((found / 501).mean((0, 1)), wanted, rtol=0.15)


def test_calibration_parts_that_look_better_than_they_are_are_found_out(honest):
    combine = Late(SENSORS).combine
    known = honest.combined(0.7 * good_parts(2, 400), SENSORS, combine)
    fresh = honest.combined(good_parts(3, 400), SENSORS, combine)
    rng = np.random.default_rng(4)
    told = np.array([honest.alarms(known[rng.permutation(400)[:99]], fresh) for _ in range(50)])
    assert (honest.holm(honest.too_many(told / 400)) < 1e-6).all()

"""Verdicts: conformal p-values by hand, as properties, and by simulation."""

from math import ceil

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.division import calibrates, divide
from mmdefect.errors import NotFittedError, SceneError
from mmdefect.inspection import Inspection
from mmdefect.prediction import VERDICTS
from mmdefect.verdict import Calibration, conformal_p, conformal_threshold, parts_needed

NAN = float("nan")
CHECK = settings(derandomize=True, database=None, deadline=None)
# few distinct values, so that ties are the rule and not the exception
SCORES = st.lists(st.integers(0, 9).map(float), min_size=0, max_size=40).map(np.array)
RATES = st.one_of(
    st.floats(0.001, 0.999),
    st.integers(2, 100).flatmap(lambda n: st.integers(1, n - 1).map(lambda k: k / n)),
)


# ---------------------------------------------------------------- p-values and thresholds


@pytest.mark.parametrize(
    ("score", "expected"),
    [(9.0, 1 / 5), (4.0, 2 / 5), (3.5, 2 / 5), (2.0, 4 / 5), (0.0, 5 / 5)],
)
def test_the_p_value_counts_the_good_parts_that_score_at_least_as_high(score, expected):
    assert conformal_p(score, np.array([4.0, 2.0, 1.0, 2.0])) == expected


def test_without_calibration_parts_nothing_is_unusual_and_without_score_nothing_is_known():
    assert conformal_p(1e9, np.empty(0)) == 1.0
    assert np.isnan(conformal_p(NAN, np.array([1.0, 2.0])))
    assert np.isnan(conformal_p(NAN, np.empty(0)))


@pytest.mark.parametrize(
    ("rate", "threshold"),
    [(0.19, None), (0.2, 4.0), (0.39, 4.0), (0.4, 3.0), (0.6, 2.0), (0.8, 1.0), (0.99, 1.0)],
)
def test_the_threshold_is_the_score_that_the_wanted_rate_reaches_down_to(rate, threshold):
    assert conformal_threshold(np.array([2.0, 4.0, 1.0, 3.0]), rate) == threshold


@given(SCORES, RATES, st.integers(-1, 10).map(float))
@CHECK
def test_above_the_threshold_and_p_at_most_alpha_are_one_thing(good, rate, score):
    threshold = conformal_threshold(good, rate)
    # a rate of k / n is meant as the fraction, so p may exceed its float by a rounding
    alarm = conformal_p(score, good) <= rate + 1e-12
    if threshold is None:
        assert not alarm
    else:
        assert alarm == (score > threshold)


@given(SCORES.filter(len), st.integers(-1, 10).map(float), st.integers(-1, 10).map(float))
@CHECK
def test_a_higher_score_never_has_a_higher_p_value(good, one, other):
    low, high = sorted((one, other))
    assert conformal_p(high, good) <= conformal_p(low, good)


@given(RATES)
@CHECK
def test_parts_needed_is_the_first_number_that_gives_a_threshold(rate):
    needed = parts_needed(rate)
    assert conformal_threshold(np.arange(float(needed)), rate) is not None
    if needed:
        assert conformal_threshold(np.arange(float(needed - 1)), rate) is None


@pytest.mark.parametrize(("rate", "needed"), [(0.5, 1), (0.1, 9), (0.05, 19), (0.01, 99)])
def test_parts_needed_at_the_usual_rates(rate, needed):
    assert parts_needed(rate) == needed


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("parts", "rate"), [(19, 0.05), (19, 0.1), (30, 0.1), (99, 0.01)])
def test_good_parts_alarm_at_most_at_the_wanted_rate(parts, rate, ties):
    draws = 4000
    rng = np.random.default_rng([parts, round(1 / rate), ties])
    scores = rng.standard_gamma(0.7, size=(draws, parts + 1))
    if ties:
        scores = scores.round(1)
    alarms = [conformal_p(row[0], row[1:]) <= rate for row in scores]
    deviation = np.sqrt(rate * (1 - rate) / draws)
    assert np.mean(alarms) <= rate + 3.5 * deviation
    if not ties:  # then the rate is met as far as parts + 1 ranks can express it
        assert np.mean(alarms) >= int(rate * (parts + 1) + 1e-9) / (parts + 1) - 3.5 * deviation


# ---------------------------------------------------------------- verdicts


def prediction(rgb: float, points: float) -> xr.Dataset:
    evidence = np.array([rgb, points])
    known = evidence[np.isfinite(evidence)]
    return xr.Dataset(
        {
            "evidence": ("sensor", evidence),
            "sensor_score": ("sensor", 10 * evidence),
            "image_score": known.sum() if known.size else NAN,
        },
        coords={"sensor": ["rgb", "points"]},
        attrs={"reference": "rgb"},
    )


def add(evidence: xr.DataArray) -> xr.DataArray:
    return evidence.sum("sensor", min_count=1)


@pytest.fixture
def calibration() -> Calibration:
    """Nine parts; the last one lacked its points."""
    evidence = np.array([[float(n), 0.1 * n] for n in range(9)])
    evidence[8, 1] = NAN
    return Calibration(("rgb", "points"), evidence, 10 * evidence, add)


def test_a_part_is_held_against_the_parts_that_had_the_same_sensors(calibration):
    np.testing.assert_allclose(calibration.fused(["rgb", "points"]), 1.1 * np.arange(8))
    np.testing.assert_allclose(calibration.fused(["points", "rgb"]), 1.1 * np.arange(8))
    np.testing.assert_allclose(calibration.fused(["points"]), 0.1 * np.arange(8))
    np.testing.assert_allclose(calibration.fused(["rgb"]), np.arange(9))
    np.testing.assert_allclose(calibration.of_sensor("points"), np.arange(8))
    np.testing.assert_allclose(calibration.of_sensor("rgb"), 10 * np.arange(9))


def test_a_fusion_whose_word_depends_on_who_is_there_is_held_against_parts_judged_alike():
    """Parts score ten times as high where points are missing; who is only not heard was seen."""
    rows = np.stack([np.arange(9.0), 0.1 * np.arange(9)], axis=1)
    left = {("rgb",): np.stack([10 * np.arange(9.0), np.full(9, NAN)], axis=1)}
    empty = Calibration(("rgb", "points"), np.empty((0, 2)), np.empty((0, 2)), add)
    told = [{("rgb",): row} for row in left[("rgb",)]]
    held = empty.joined(rows, rows, left=told)
    np.testing.assert_allclose(held.fused(["rgb"]), np.arange(9))
    np.testing.assert_allclose(held.fused(["rgb"], ["rgb"]), 10 * np.arange(9))
    lone = prediction(45.0, NAN)
    assert held.judge(lone, 0.2)["p_value"].item() == pytest.approx(5 / 10)
    sources = np.array([[4.5, 3.0], [1.0, 1.0]])
    heard = prediction(4.5, NAN).assign(source_evidence=(("source", "sensor"), sources))
    assert held.judge(heard, 0.2)["p_value"].item() == pytest.approx(5 / 10)
    blind = heard.assign(source_evidence=heard["source_evidence"].where([True, False]))
    assert held.judge(blind, 0.2)["p_value"].item() == pytest.approx(9 / 10)
    more = held.joined(rows[:2], rows[:2], left=told[:2])
    assert more.left[("rgb",)].shape == (11, 2)
    assert held.joined(rows[:2], rows[:2]).left == {}
    assert held.joined([], []).left is held.left


def test_a_capture_that_lacks_a_sensor_has_the_threshold_of_those_it_has(calibration):
    both = calibration.judge(prediction(0.0, 0.75), 0.2)
    assert both["p_value"].item() == pytest.approx(8 / 9)
    assert both.attrs["threshold"] == pytest.approx(7.7)
    assert both.attrs["verdict"] == "good"
    alone = calibration.judge(prediction(NAN, 0.75), 0.2)
    assert alone["p_value"].item() == pytest.approx(1 / 9)
    assert alone.attrs["threshold"] == pytest.approx(0.7)
    assert alone.attrs["verdict"] == "defect"


def test_every_sensor_has_a_p_value_and_a_verdict_of_its_own(calibration):
    judged = calibration.judge(prediction(8.5, 0.65), 0.2)
    np.testing.assert_allclose(judged["sensor_p_value"], [1 / 10, 2 / 9])
    assert judged["sensor_verdict"].values.tolist() == ["defect", "good"]
    judged = calibration.judge(prediction(8.5, NAN), 0.2)
    assert judged["sensor_verdict"].values.tolist() == ["defect", "not_inspectable"]
    assert np.isnan(judged["sensor_p_value"].values[1])


def test_too_few_parts_for_the_rate_make_refer_without_a_threshold(calibration):
    judged = calibration.judge(prediction(100.0, 100.0), 0.05)  # eight parts had both
    assert judged.attrs["verdict"] == "refer"
    assert "threshold" not in judged.attrs
    assert judged["p_value"].item() == pytest.approx(1 / 9)
    assert judged["sensor_verdict"].values.tolist() == ["refer", "refer"]


def test_a_sensor_that_good_parts_hardly_had_does_not_take_the_verdict_from_the_others(calibration):
    judged = calibration.judge(prediction(8.5, 100.0), 0.1)  # nine parts had rgb, eight both
    assert calibration.usable(("points", "rgb"), 0.1) == ("rgb",)
    assert judged.attrs["verdict"] == "defect"
    assert judged["p_value"].item() == pytest.approx(1 / 10)
    assert judged["image_score"].item() == pytest.approx(8.5)
    assert np.isnan(judged["evidence"].values[1])


def test_a_capture_without_any_evidence_is_not_inspectable(calibration):
    judged = calibration.judge(prediction(NAN, NAN), 0.2)
    assert judged.attrs["verdict"] == "not_inspectable"
    assert np.isnan(judged["p_value"].item())
    assert judged["sensor_verdict"].values.tolist() == ["not_inspectable"] * 2


def test_no_calibration_part_at_all_makes_refer():
    empty = Calibration(("rgb", "points"), np.empty((0, 2)), np.empty((0, 2)), add)
    judged = empty.judge(prediction(3.0, 3.0), 0.2)
    assert judged.attrs["verdict"] == "refer"
    assert judged["p_value"].item() == 1.0


def test_judging_leaves_the_prediction_as_it_was(calibration):
    given_ = prediction(1.0, 1.0)
    before = given_.copy(deep=True)
    assert calibration.judge(given_, 0.2).attrs["verdict"] in VERDICTS
    assert given_.identical(before)


# ---------------------------------------------------------------- the inspection


class Echo:
    """A fusion whose evidence is what the scene says, and which remembers what it was shown."""

    sensors = ("rgb", "points")

    def fit(self, scenes):
        self.seen = list(scenes)
        return self

    def predict(self, scene):
        told = prediction(*scene["told"].values.tolist())
        shown = told["evidence"].values[:, None, None] * np.ones((2, 4, 6))
        told["evidence_map"] = (("sensor", "y", "x"), shown)
        return told.assign_coords(grid=("sensor", ["rgb", "rgb"]))

    def combine(self, evidence):
        return add(evidence)


def scene(rgb: float, points: float) -> xr.Dataset:
    return xr.Dataset(
        {"told": ("sensor", [rgb, points])},
        coords={"sensor": ["rgb", "points"], "y": np.arange(4.0), "x": np.arange(6.0)},
        attrs={"reference": "rgb"},
    )


def test_an_inspection_fits_on_the_one_and_calibrates_on_the_other():
    good = [(float(n), float(n)) for n in range(4)]
    learnt = [scene(9.0, 9.0)]
    inspection = Inspection(Echo(), 0.25).fit(learnt, [scene(*part) for part in good])
    assert inspection.fusion.seen == learnt
    assert inspection.calibration_.sensors == ("rgb", "points")
    np.testing.assert_array_equal(inspection.calibration_.evidence, good)
    np.testing.assert_array_equal(inspection.calibration_.scores, 10 * np.array(good))
    assert inspection.smallest_false_alarm == 0.2
    assert inspection.predict(scene(3.0, 3.0)).attrs["verdict"] == "good"
    assert inspection.predict(scene(3.0, 3.1)).attrs["verdict"] == "defect"


def test_an_inspection_says_what_is_wrong_with_how_it_is_used():
    with pytest.raises(NotFittedError, match="the inspection knows no part; fit it first"):
        Inspection(Echo()).predict(scene(1.0, 1.0))
    for rate in (0, 1, -1, NAN):
        with pytest.raises(ValueError, match=f"false_alarm is {rate}; a rate between 0 and 1"):
            Inspection(Echo(), rate)
    inspection = Inspection(Echo(), 0.25).fit([scene(9, 9)], [scene(1, 1)])
    with pytest.raises(SceneError, match="rgb, but rgb, points were learnt; give 'points'"):
        inspection.predict(scene(1, 1).sel(sensor=["rgb"]))
    with pytest.raises(SceneError, match="2x6 pixels, but 4x6 were learnt"):
        inspection.predict(scene(1, 1).isel(y=slice(2)))


@given(
    st.integers(0, 200), st.integers(0, 60), st.sampled_from([0.2, 0.1, 0.05]), st.integers(0, 5)
)
@CHECK
def test_no_part_both_fits_and_calibrates(good, extra, rate, seed):
    train, aside = list(range(good)), list(range(1000, 1000 + extra))
    fit, calibrate = divide(train, aside, rate, seed)
    assert not set(fit) & set(calibrate)
    assert sorted(fit + calibrate) == train + aside
    assert fit == sorted(fit)
    assert set(aside) <= set(calibrate)
    assert len(fit) >= ceil(good * 2 / 3)
    if len(calibrate) < parts_needed(rate):
        assert len(fit) == good - good // 3


@pytest.mark.parametrize(
    ("good", "extra", "rate", "sizes"),
    [
        (100, 0, 0.05, (75, 25)),  # the usual quarter is enough
        (60, 0, 0.05, (41, 19)),  # what the rate takes
        (40, 0, 0.05, (27, 13)),  # never more than a third
        (100, 20, 0.05, (100, 20)),  # what is set aside is enough
        (100, 10, 0.05, (91, 19)),  # it is filled up
        (2, 0, 0.05, (2, 0)),
        (0, 0, 0.05, (0, 0)),
    ],
)
def test_how_many_fit_and_how_many_calibrate(good, extra, rate, sizes):
    fit, calibrate = divide(range(good), range(1000, 1000 + extra), rate, 0)
    assert (len(fit), len(calibrate)) == sizes


def test_the_seed_draws_who_calibrates():
    drawn = [divide(range(60), [], 0.05, seed)[1] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("share", [0.0, 0.25, 1 / 3, 1.0])
def test_later_parts_calibrate_at_their_share_and_the_same_ones_every_time(frames, share):
    rng = np.random.default_rng(frames)
    parts = [[rng.bytes(32).hex() for _ in range(frames)] for _ in range(4000)]
    sides = [calibrates(part, share) for part in parts]
    assert np.mean(sides) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 4000))
    assert sides == [calibrates(part[::-1], share) for part in parts]

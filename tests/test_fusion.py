"""Late fusion: scales and rules by hand, sensors that come and go on planted defects."""

import json
from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from scipy.stats import genpareto, norm

from mmdefect.errors import MmdefectError, NotFittedError, SceneError, UnknownNameError
from mmdefect.fusion import _held_out
from mmdefect.fusion._rules import RULES, correlation_of, deviates, labelled
from mmdefect.fusion._scales import Scale
from mmdefect.fusion.late import Late
from mmdefect.scene import new_scene

NAN = float("nan")
SIDE = 40
SENSORS = ("rgb", "infrared", "xray")
PLANTED = (slice(12, 20), slice(20, 28))

# ---------------------------------------------------------------- scales


@settings(deadline=None)  # the first call compiles a loop
@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(NAN), max_size=60),
    st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=20),
    st.sampled_from([0.2, 0.01]),
)
def test_a_scale_is_monotone_and_starts_at_zero(good, scores, tail):
    scale = Scale(tail).fit(good)
    evidence = scale.evidence(np.sort(scores))
    if np.isnan(good).all():
        assert np.isnan(evidence).all()
        return
    assert (np.diff(evidence) >= 0).all()
    assert scale.evidence(np.nanmin(good)) == 0 <= evidence.min()
    assert np.isnan(scale.evidence([NAN, 0.0])).tolist() == [True, False]


@pytest.mark.parametrize("spread", [5e-324, 2.2e-309, 1e-300, 1e-280])
def test_scores_that_hardly_differ_have_evidence_too(spread):
    """A unit holds more steps of them than a number can tell."""
    scale = Scale(0.2).fit([0.0, 0.0, -spread])
    evidence = scale.evidence([-2 * spread, -spread, -0.5 * spread, 0.0, 1.0])
    assert np.isfinite(evidence).all()
    assert (np.diff(evidence) >= 0).all()
    assert evidence[1] == 0 < evidence[3]


def test_evidence_of_exponential_scores_is_minus_log_p():
    rng = np.random.default_rng(0)
    scale = Scale(0.2).fit(rng.exponential(3.0, size=4000))
    held_out = rng.exponential(3.0, size=4000)
    evidence = scale.evidence(held_out)
    assert evidence.dtype == np.float32
    near = held_out < 18
    np.testing.assert_allclose(evidence[near], held_out[near] / 3, atol=0.1, rtol=0.1)
    for level in (1, 2, 4):
        assert (evidence > level).mean() == pytest.approx(np.exp(-level), rel=0.35)


def test_the_tail_goes_on_at_the_mean_excess():
    good = np.arange(101.0)
    scale = Scale(0.2).fit(good)
    assert scale.knots_[-1] == 80
    assert scale.excess_ == np.arange(1, 21).mean()
    wanted = -np.log(0.2) + np.array([0, 1, 3])
    np.testing.assert_allclose(scale.evidence(80 + 10.5 * np.array([0, 1, 3])), wanted, rtol=1e-6)
    np.testing.assert_allclose(scale.evidence(50.0), -np.log(0.5), rtol=0.01)


@pytest.mark.parametrize("shape", [0.0, 0.3])
def test_the_tail_is_the_generalised_pareto_that_good_scores_follow(shape):
    good = genpareto.rvs(shape, scale=2.0, size=20_000, random_state=4)
    scale = Scale(0.2, heavy=True).fit(good)
    assert scale.shape_ == pytest.approx(shape, abs=0.06)
    beyond = np.array([20.0, 40.0, 80.0])
    wanted = -genpareto.logsf(beyond, shape, scale=2.0)
    np.testing.assert_allclose(scale.evidence(beyond), wanted, rtol=0.15)


def test_a_tail_of_few_parts_is_drawn_towards_the_exponential():
    heavy = genpareto.ppf((np.arange(40) + 0.5) / 40, 0.5)
    few, many = (Scale(0.2, heavy=True).fit(np.repeat(heavy, n)) for n in (1, 100))
    assert 0 < few.shape_ < 0.5 * 9 / 19
    assert few.shape_ < many.shape_ <= 0.5
    assert Scale(0.2).fit(heavy).shape_ == 0


def test_good_scores_that_are_all_the_same_or_only_two_still_make_a_scale():
    same = Scale(0.2).fit([5.0] * 9)
    assert same.evidence([4.0, 5.0]).tolist() == [0, 0]
    assert 0 < same.evidence(5.1) < same.evidence(6.0) < np.inf
    two = Scale(0.2).fit([1.0, 2.0])
    assert two.evidence(1.0) == 0 < two.evidence(1.5) < two.evidence(2.0) < two.evidence(3.0) < 100


def test_a_scale_without_good_scores_knows_nothing_and_scales_come_back_from_json():
    empty = Scale(0.2).fit([NAN, NAN])
    assert np.isnan(empty.evidence(np.array([[1.0, 2.0]]))).all()
    assert empty.evidence(np.zeros((2, 3))).shape == (2, 3)
    scores = np.linspace(-3, 30, 50)
    for scale in (empty, Scale(0.01).fit(np.random.default_rng(0).gamma(2.0, size=300))):
        again = Scale.from_state(json.loads(json.dumps(scale.state())))
        np.testing.assert_array_equal(again.evidence(scores), scale.evidence(scores))


# ---------------------------------------------------------------- rules


def evidence_of(*rows: list[float]) -> xr.DataArray:
    return xr.DataArray(np.array(rows), dims=("sensor", "y"))


BY_HAND = {
    "bonferroni": [4 - np.log(2), 3, NAN, 0],
    "fisher": [7, 3, NAN, 0],
    "harmonic": [-np.log(2 / (np.exp(3) + np.exp(4))), 3, NAN, 0],
    "max": [4, 3, NAN, 0],
    "mean": [3.5, 3, NAN, 0],
    "norm": [5, 3, NAN, 0],
    # the sum of the normal deviates of p = exp(−e), over the root of their number
    "stouffer": [
        (norm.isf(np.exp(-3)) + norm.isf(np.exp(-4))) / 2**0.5,
        norm.isf(np.exp(-3)),
        NAN,
        norm.isf(np.exp(-0.001)),
    ],
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_by_hand_and_what_is_not_there_contributes_nothing(rule):
    evidence = evidence_of([3, 3, NAN, 0], [4, NAN, NAN, NAN])
    np.testing.assert_allclose(Late(rule=rule).combine(evidence), BY_HAND[rule], rtol=1e-9)
    alone = Late(rule=rule).combine(evidence[:0])
    assert alone.dims == ("y",)
    assert np.isnan(alone).all()


@given(
    st.sampled_from(sorted(RULES)),
    st.lists(st.floats(0, 60) | st.just(NAN), min_size=1, max_size=4),
    st.integers(0, 3),
    st.floats(0.01, 40),
)
def test_no_rule_falls_when_an_evidence_rises(rule, evidence, which, more):
    low = np.array(evidence)
    high = low.copy()
    high[which % len(low)] += more
    told = [Late(rule=rule).combine(xr.DataArray(row, dims="sensor")) for row in (low, high)]
    assert np.isnan(low).all() == np.isnan(told[0])
    assert np.isnan(low).all() or told[1] >= told[0]


def test_deviates_are_those_of_the_p_values_however_small():
    evidence = np.array([NAN, 0.0, np.log(2), 3.0, 50.0, 599.0, 601.0, 5000.0])
    found = deviates(evidence)
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1:6], norm.isf(np.exp(-np.maximum(evidence[1:6], 0.001))))
    # the survival function in logarithms is scipy's own, and does not underflow
    np.testing.assert_allclose(-norm.logsf(found[6:]), evidence[6:], rtol=1e-4)


def test_a_second_sensor_that_always_says_the_same_adds_nothing_to_stouffer():
    rng = np.random.default_rng(3)
    good = rng.exponential(size=4000)
    alone = np.stack([good, good], axis=1)
    found = correlation_of(alone)
    assert found[0, 1] == pytest.approx(1)
    assert np.linalg.eigvalsh(found).min() >= -1e-12
    independent = correlation_of(rng.exponential(size=(4000, 3)))
    assert abs(independent - np.eye(3)).max() < 0.06
    assert (correlation_of(alone[:7]) == np.eye(2)).all()
    labels = {"sensor": ["a", "b"], "other": ["a", "b"]}
    twin = xr.DataArray(found, labels, ("sensor", "other"))
    told = RULES["stouffer"](xr.DataArray([4.0, 4.0], {"sensor": ["a", "b"]}, "sensor"), twin)
    assert told == pytest.approx(norm.isf(np.exp(-4.0)), rel=1e-3)


@pytest.mark.parametrize("rule", ["norm", "stouffer"])
def test_a_sensor_that_is_there_twice_counts_once(rule):
    rng = np.random.default_rng(4)
    good, seen = rng.exponential(size=(40, 3)), rng.exponential(size=(20, 3)) + 2
    names = ["a", "b", "c", "copy"]
    twice = labelled(correlation_of(good[:, [0, 1, 2, 0]]), names)
    once = labelled(correlation_of(good), names[:3])
    alone = RULES[rule](xr.DataArray(seen.T, {"sensor": names[:3]}, ("sensor", "part")), once)
    rows = xr.DataArray(seen[:, [0, 1, 2, 0]].T, {"sensor": names}, ("sensor", "part"))
    tolerance = 1e-6 if rule == "norm" else 0.35
    np.testing.assert_allclose(RULES[rule](rows, twice), alone, rtol=tolerance)
    # where the copy is blind its twin has the whole voice again
    rows[3] = NAN
    np.testing.assert_allclose(RULES[rule](rows, twice), alone, rtol=1e-6)


def test_sensors_that_only_resemble_each_other_keep_their_voices():
    rng = np.random.default_rng(5)
    shared = rng.normal(size=(4000, 1))
    good = -norm.logsf(0.8 * shared + 0.6 * rng.normal(size=(4000, 2)))
    found = labelled(correlation_of(good), ["a", "b"])
    assert 0.55 < found[0, 1] < 0.75
    told = RULES["norm"](xr.DataArray([3.0, 4.0], {"sensor": ["a", "b"]}, "sensor"), found)
    assert float(told) == 5.0


def test_an_unknown_rule_is_told_what_there_is():
    with pytest.raises(
        UnknownNameError, match="no fusion rule named 'vote'; there are: bonferroni, fisher, "
    ):
        Late(rule="vote")


# ---------------------------------------------------------------- late fusion


def frame(name: str, shown: np.ndarray) -> xr.DataArray:
    """What a sensor makes of a pattern: colour, kelvins, or counts of its own."""
    if name == "rgb":
        values, dims, unit = np.stack([0.5 + 0.05 * shown] * 3), ("color", "y", "x"), "1"
    elif name == "xray":
        values, dims, unit = 1000 + 100 * shown[None], ("energy", "y", "x"), "relative"
    else:
        values, dims, unit = 300 + shown, ("y", "x"), "K"
    coords = {"color": ["red", "green", "blue"]} if name == "rgb" else {}
    attrs = {"modality": "rgb" if name == "rgb" else name, "units": unit}
    return xr.DataArray(values.astype(np.float32), dims=dims, coords=coords, attrs=attrs)


def scene(seed: int, *, defect: tuple[str, ...] = (), absent: tuple[str, ...] = ()) -> xr.Dataset:
    """A part seen by three sensors, of which the X-ray lies on a grid of its own."""
    frames = {}
    for number, name in enumerate(SENSORS):
        shown = np.random.default_rng([seed, number]).standard_normal((SIDE, SIDE))
        if name in defect:
            shown[PLANTED] += 4.0
        frames[name] = frame(name, np.full_like(shown, np.nan) if name in absent else shown)
    grids = {name: "xray" if name == "xray" else "rgb" for name in SENSORS}
    return new_scene(frames, reference="rgb", grids=grids)


@pytest.fixture(scope="module")
def fitted() -> Late:
    return Late().fit([scene(seed) for seed in range(16)])


def test_evidence_of_good_parts_is_comparable_between_sensors(fitted):
    told = [fitted.predict(scene(seed)) for seed in range(100, 140)]
    for key in ("evidence", "evidence_map"):
        by_part = np.array([prediction[key].values.reshape(3, -1).mean(1) for prediction in told])
        mean = by_part.mean(0)
        assert ((mean > 0.25) & (mean < 2)).all(), (key, mean)


def test_a_sensors_unit_has_no_say():
    def scenes(factor: float) -> list[xr.Dataset]:
        made = [scene(seed)[["rgb", "xray", "valid"]].sel(sensor=["xray"]) for seed in range(9)]
        for part in made:
            part["xray"] = (part["xray"] * factor).assign_attrs(part["xray"].attrs)
        return made

    small, large = scenes(1.0), scenes(1000.0)
    told = Late().fit(small[:8]).predict(small[8])
    same = Late().fit(large[:8]).predict(large[8])
    np.testing.assert_allclose(same["evidence"], told["evidence"], rtol=0.02)
    np.testing.assert_allclose(same["evidence_map"], told["evidence_map"], atol=0.3)


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_defect_that_one_sensor_sees_is_found(fitted, sensor):
    good = [fitted.predict(scene(seed))["image_score"].item() for seed in range(100, 112)]
    told = fitted.predict(scene(200, defect=(sensor,)))
    assert told["image_score"].item() > max(good)
    assert told["evidence"].idxmax().item() == sensor
    worst = told["anomaly_map"].argmax(["y", "x"])
    inside = worst["y"].item() in range(12, 20) and worst["x"].item() in range(20, 28)
    assert inside == (sensor != "xray")


def test_pixels_are_combined_on_the_common_grid_and_parts_over_all_sensors(fitted):
    told, xrayed = fitted.predict(scene(7)), fitted.predict(scene(7, defect=("xray",)))
    xr.testing.assert_identical(told["anomaly_map"], xrayed["anomaly_map"])
    assert xrayed["image_score"] > 2 * told["image_score"]
    on_grid = told["evidence_map"].sel(sensor=["rgb", "infrared"])
    xr.testing.assert_equal(told["anomaly_map"], fitted.combine(on_grid))
    xr.testing.assert_equal(told["image_score"], fitted.combine(told["evidence"]))


@pytest.mark.parametrize("absent", [c for n in range(4) for c in combinations(SENSORS, n)])
def test_without_some_sensors_the_rest_is_combined_as_if_there_were_no_more(fitted, absent):
    whole = fitted.predict(scene(9, defect=("infrared",)))
    told = fitted.predict(scene(9, defect=("infrared",), absent=absent))
    rest = [name for name in SENSORS if name not in absent]
    xr.testing.assert_equal(told["evidence"].sel(sensor=rest), whole["evidence"].sel(sensor=rest))
    assert np.isnan(told["evidence"].sel(sensor=list(absent))).all()
    assert np.isnan(told["sensor_score"].sel(sensor=list(absent))).all()
    on_grid = [name for name in rest if name != "xray"]
    for key, evidence in (
        ("image_score", whole["evidence"].sel(sensor=rest)),
        ("anomaly_map", whole["evidence_map"].sel(sensor=on_grid)),
    ):
        np.testing.assert_array_equal(told[key], fitted.combine(evidence))
    assert np.isnan(told["image_score"]) == (not rest)
    assert np.isnan(told["anomaly_map"]).all() == (not on_grid)


def test_a_fusion_comes_back_from_safetensors_and_json(fitted):
    tensors, told = fitted.state()
    again = Late.from_state(load_tensors(save_tensors(tensors)), json.loads(json.dumps(told)))
    for without in (None, 2):
        wanted = fitted.predict(scene(9, defect=("rgb",)), without)
        found = again.predict(scene(9, defect=("rgb",)), without)
        xr.testing.assert_identical(found.drop_vars("seconds"), wanted.drop_vars("seconds"))
    assert json.dumps(again.state()[1]) == json.dumps(told)


def test_a_held_out_part_is_scored_without_its_own_fold(fitted):
    known = [fitted.predict(scene(k))["sensor_score"].values for k in range(8)]
    stranger = [fitted.predict(scene(k), without=k % 4)["sensor_score"].values for k in range(8)]
    assert (np.mean(stranger, 0) > np.mean(known, 0)).all()


def test_scales_are_fitted_on_parts_that_the_detectors_had_not_seen(fitted):
    held_out = np.array([fitted.predict(scene(k), without=k % 4)["evidence"] for k in range(16)])
    np.testing.assert_array_equal(held_out.min(0), 0)
    assert ((held_out.mean(0) > 0.6) & (held_out.mean(0) < 1.4)).all()


def test_scores_held_against_their_places_are_those_of_strangers_and_come_back_from_disk():
    placed = Late(places=True, heavy_tails=True, rule="stouffer")
    placed.fit([scene(seed) for seed in range(16)])
    assert not any(positions.is_flat for positions in placed.positions_.values())
    fresh = np.array([placed.predict(scene(k))["evidence"] for k in range(300, 330)])
    known = np.array([placed.predict(scene(k))["evidence"] for k in range(16)])
    assert (known.mean(0) < fresh.mean(0) - 0.2).all()
    assert ((fresh.mean(0) > 0.3) & (fresh.mean(0) < 1.7)).all(), fresh.mean(0)
    tensors, told = placed.state()
    again = Late.from_state(load_tensors(save_tensors(tensors)), json.loads(json.dumps(told)))
    seen = scene(9, defect=("rgb",), absent=("xray",))
    wanted, found = placed.predict(seen), again.predict(seen)
    xr.testing.assert_identical(found.drop_vars("seconds"), wanted.drop_vars("seconds"))
    assert wanted["image_score"] > np.median(
        [placed.predict(scene(k))["image_score"] for k in range(300, 310)]
    )


def test_training_parts_may_lack_a_sensor():
    gaps = Late().fit([scene(k, absent=("infrared",) if k % 3 == 0 else ()) for k in range(12)])
    good = [gaps.predict(scene(seed))["image_score"].item() for seed in range(100, 106)]
    assert gaps.predict(scene(200, defect=("infrared",)))["image_score"] > max(good)
    never = Late().fit([scene(k, absent=("infrared",)) for k in range(8)])
    told = never.predict(scene(200, defect=("infrared", "rgb")))
    assert np.isnan(told["evidence"]).values.tolist() == [False, True, False]
    assert told["image_score"] > never.predict(scene(101))["image_score"]
    tensors, state = never.state()
    again = Late.from_state(load_tensors(save_tensors(tensors)), json.loads(json.dumps(state)))
    assert again.predict(scene(101))["image_score"] == never.predict(scene(101))["image_score"]


def test_one_good_part_gives_scores_and_sensors_that_never_saw_anything_give_none():
    one = Late().fit([scene(0)])
    told = one.predict(scene(1))
    assert np.isfinite(told["evidence"]).all()
    assert one.predict(scene(200, defect=("rgb",)))["image_score"] > told["image_score"]
    blind = Late().fit([scene(k, absent=("rgb", "infrared", "xray")) for k in range(2)])
    for asked in (scene(9), scene(9, absent=("rgb", "infrared", "xray"))):
        told = blind.predict(asked)
        assert told["evidence"].isnull().all()
        assert told["image_score"].isnull()
        assert told["anomaly_map"].isnull().all()


def test_only_the_chosen_sensors_are_used():
    chosen = Late(sensors=("infrared",)).fit([scene(seed) for seed in range(8)])
    told = chosen.predict(scene(9, defect=("rgb",)))
    assert told["sensor"].values.tolist() == ["infrared"]
    assert told["image_score"] == chosen.predict(scene(9))["image_score"]


def test_a_fusion_without_parts_or_sensors_says_so():
    with pytest.raises(MmdefectError, match="there is no good part to learn from; one at least"):
        Late().fit([])
    with pytest.raises(SceneError, match=r"no sensor 'sonar'.*there are: rgb, infrared, xray"):
        Late(sensors=("sonar",)).fit([scene(0)])
    for ask in (Late.state, lambda fusion: fusion.predict(scene(0))):
        with pytest.raises(NotFittedError, match="the fusion knows no part; fit it first"):
            ask(Late())


@settings(deadline=None, max_examples=5)
@given(st.integers(2, 9))
def test_pixels_kept_for_the_scales_do_not_grow_with_the_number_of_parts(parts):
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_held_out, "_PIXELS", 900)
        fit = Scale.fit
        patch.setattr(
            Scale, "fit", lambda scale, scores: kept.append(len(scores)) or fit(scale, scores)
        )
        Late(sensors=("infrared",)).fit([scene(seed) for seed in range(parts)])
    assert kept[0] == parts
    assert 0.9 * 900 - parts < kept[1] <= 900

"""Explanations of planted defects: what they measure, which good patches they show, what if."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from plates import ATTENUATION, DEPTH, KELVIN, PITCH, PLACE, SIDE, plate

from mmdefect.detectors.memory_bank import MemoryBank
from mmdefect.errors import NotFittedError, SceneError
from mmdefect.familiar import Familiar
from mmdefect.geometry.around import height_above_ring
from mmdefect.inspection import Inspection
from mmdefect.referral import Referral
from mmdefect.registry import load
from mmdefect.usual import Usual

AREA = 64 * PITCH**2


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    fitted = Inspection(load("fusion", "late")(), 0.1)
    return fitted.fit([plate(n) for n in range(12)], [plate(100 + n) for n in range(12)])


@pytest.fixture(scope="module")
def dented(inspection):
    return inspection.explain(plate(500, dent=True, hot=True))


def measured(explanation) -> dict[str, float]:
    return {one.quantity: one.value for one in explanation.findings[0].measures}


# ---------------------------------------------------------------- shares


def test_the_shares_sum_to_the_score_less_that_of_a_usual_good_part(inspection, dented):
    told = dented.prediction
    fused = inspection.calibration_.fused(inspection.calibration_.sensors)
    assert dented.baseline == pytest.approx(np.median(fused))
    above = float(told["image_score"]) - dented.baseline
    assert float(dented.attribution.sum()) == pytest.approx(above, abs=1e-6)
    wanted = told["anomaly_map"] - dented.pixel_baseline
    np.testing.assert_allclose(dented.attribution_map.sum("sensor"), wanted, rtol=1e-6, atol=1e-6)


def test_the_sensors_that_see_the_defect_have_the_largest_shares(dented):
    shares = dented.attribution.to_series()
    assert shares["xray"] < 0.1 * shares[["points", "infrared"]].min()
    assert set(dented.findings[0].region.sensors) == {"points", "infrared"}


def test_a_usual_good_part_has_nothing_to_share_out(inspection):
    totals = [float(inspection.explain(plate(700 + n)).attribution.sum()) for n in range(5)]
    assert np.median(np.abs(totals)) < 0.5 * inspection.explain(plate(1)).baseline + 1


# ---------------------------------------------------------------- what a region measures


def test_a_dent_has_its_depth_in_mm_and_a_hot_spot_its_kelvins(dented):
    told = measured(dented)
    assert told["depth"] == pytest.approx(DEPTH, abs=0.05)
    assert told["temperature"] == pytest.approx(KELVIN, abs=0.3)
    assert abs(told["attenuation"]) < 0.05
    assert AREA < told["area"] < 8 * AREA  # features look at windows, so evidence spreads
    words = dented.findings[0].words
    assert "mm deep against the surface around (points)" in words
    assert "K warmer than the surroundings (infrared)" in words


def test_a_void_lets_more_through(inspection):
    told = measured(inspection.explain(plate(501, void=True)))
    assert told["attenuation"] == pytest.approx(-ATTENUATION, abs=0.05)
    assert "depth" not in told or told["depth"] < 0.05


def test_a_region_is_held_against_good_parts_at_the_same_place_too(inspection, dented):
    told = {(one.quantity, one.against): one.value for one in dented.findings[0].measures}
    assert told["temperature", "good parts there"] == pytest.approx(KELVIN, abs=0.3)
    assert abs(told["attenuation", "good parts there"]) < 0.1
    assert "K warmer than good parts there (infrared)" in dented.findings[0].words
    warmer = plate(500, dent=True, hot=True)
    warmer["infrared"] += 3.0  # a warmer hall is no defect
    again = inspection.familiar_.usual.apart("infrared", warmer["infrared"])
    before = inspection.familiar_.usual.apart("infrared", warmer["infrared"] - 3.0)
    np.testing.assert_allclose(again, before, atol=1e-3)


def test_what_every_good_part_shows_there_is_no_difference_to_them():
    def riveted(seed: int) -> xr.DataArray:
        frame = plate(seed)["infrared"]
        frame.values[PLACE] -= 5.0
        return frame

    usual = Usual()
    for seed in range(7):
        usual.see("infrared", riveted(seed))
    assert np.isnan(usual.apart("infrared", riveted(50))).all()  # seven parts are too few
    usual.see("infrared", riveted(7))
    apart = usual.apart("infrared", riveted(50))
    assert abs(np.median(apart[PLACE])) < 0.2
    again = Usual.from_state(usual.state()).apart("infrared", riveted(50))
    np.testing.assert_allclose(again, apart, atol=1e-4)
    plain = usual.apart("infrared", plate(50)["infrared"])
    assert np.median(plain[PLACE]) == pytest.approx(5.0, abs=0.3)
    assert usual.apart("xray", plate(50)["xray"]) is None


def test_a_large_frame_is_held_against_good_parts_cell_by_cell():
    rng = np.random.default_rng(0)
    attrs = {"modality": "infrared", "units": "K"}

    def frame(step: float) -> xr.DataArray:
        values = 300 + rng.normal(0, 0.01, (301, 700)).astype(np.float32)
        values[90:120, 300:330] += step
        return xr.DataArray(values, dims=("y", "x"), attrs=attrs)

    usual = Usual()
    for _ in range(8):
        usual.see("hot", frame(0.0))
    apart = usual.apart("hot", frame(2.0))
    assert apart.shape == (301, 700)
    assert apart[93:117, 303:327].mean() == pytest.approx(2.0, abs=0.05)
    assert max(held.size for held in usual.state().values()) <= 256 * 256
    assert usual.apart("hot", frame(0.0)[:100]) is None


def test_nothing_is_measured_in_relative_units():
    units = ("relative", "relative", "relative")
    fitted = Inspection(load("fusion", "late")(), 0.1).fit(
        [plate(n, units=units) for n in range(8)], [plate(100 + n, units=units) for n in range(9)]
    )
    explanation = fitted.explain(plate(500, dent=True, units=units))
    assert explanation.findings
    assert not [one for finding in explanation.findings for one in finding.measures]


@pytest.mark.parametrize("tilt", [0.0, 0.4])
@pytest.mark.parametrize("bend", [0.0, 0.002])
@pytest.mark.parametrize("away", [False, True])
def test_a_dent_is_as_deep_on_a_tilted_or_bent_surface(tilt, bend, away):
    y, x = np.mgrid[:40, :40] - 20.0
    height = tilt * x + bend * x**2
    place = x**2 + y**2 < 25
    slope = np.sqrt(1 + (tilt + 2 * bend * x) ** 2)
    height = np.where(place, height - 0.5 * slope, height)
    z = 300 - height if away else height  # a camera looks along +z
    cloud = np.stack([x, y, z]).astype(np.float32)
    ring = (x**2 + y**2 > 64) & (x**2 + y**2 < 225)
    found = height_above_ring(cloud, place, ring)
    np.testing.assert_allclose(found[place], -0.5, atol=0.02)
    assert np.isnan(found[~place]).all()


def test_without_surroundings_nothing_is_measured():
    cloud = np.zeros((3, 8, 8), dtype=np.float32)
    everywhere = np.ones((8, 8), dtype=bool)
    assert np.isnan(height_above_ring(cloud, everywhere, ~everywhere)).all()


# ---------------------------------------------------------------- evidence


def test_a_strange_patch_is_shown_beside_the_good_ones_it_is_nearest_to(inspection, dented):
    (finding, *_) = dented.findings
    for match in finding.matches:
        assert PLACE[0].start - 4 <= match.y <= PLACE[0].stop + 4
        assert PLACE[1].start - 4 <= match.x <= PLACE[1].stop + 4
        assert match.score == match.nearest[0].distance > 1
        captures = [one.capture for one in match.nearest]
        assert len(set(captures)) == 3
        assert set(captures) <= {f"plate/{n:03d}" for n in range(12)}
        assert sum(match.groups.values()) == pytest.approx(1.0)
        assert all(0 <= one.y < SIDE and 0 <= one.x < SIDE for one in match.nearest)


def test_the_nearest_good_patch_is_the_patch_it_says_it_is(inspection):
    bank = inspection.fusion.detectors_["infrared"]
    seen = plate(500, hot=True)
    match = bank.recall(seen).match(np.ones((SIDE, SIDE), dtype=bool), 1)
    best = match.nearest[0]
    good = plate(int(best.capture.removeprefix("plate/")))
    apart = {}
    for name, scene, (y, x) in (
        ("own", seen, (match.y, match.x)),
        ("good", good, (best.y, best.x)),
    ):
        rows, believed = bank._rows(scene)
        side = SIDE / believed.shape[0]
        apart[name] = rows[int(y // side) * believed.shape[1] + int(x // side)]
    index = (bank.bank_ == apart["good"]).all(1).nonzero()[0, 0]
    distance = (apart["own"] - apart["good"]).norm() / bank.reach_[index]
    assert float(distance) == pytest.approx(match.score, rel=1e-4)


def test_channels_sum_to_the_detector_s_own_map(inspection, dented):
    seen = plate(500, dent=True, hot=True)
    for name, detector in inspection.fusion.detectors_.items():
        own = dented.channel_map[dented.channel_map["channel_sensor"].values == name]
        assert len(own) > 3
        whole = detector.predict(seen)["sensor_map"].sel(sensor=name)
        np.testing.assert_allclose(own.sum("channel", skipna=False), whole, rtol=1e-4, atol=1e-4)


def test_a_counterfactual_takes_the_score_of_the_sensors_that_saw_it(dented):
    alone = {one.sensors: one for one in dented.findings[0].counterfactuals}
    both = next(one for names, one in alone.items() if len(names) == 2)
    score = float(dented.prediction["image_score"])
    for names, one in alone.items():
        assert one.before == score
        assert both.after <= one.after < score, names
    assert both.after < 0.3 * score
    assert dented.prediction.attrs["verdict"] == "defect"


def test_parts_added_later_are_named_as_evidence_too():
    bank = MemoryBank("infrared", share=0.3).fit([plate(n) for n in range(6)])
    assert bank.add([plate(500, hot=True)]) > 0
    match = bank.recall(plate(500, hot=True)).match(np.ones((SIDE, SIDE), bool), 2)
    odd = bank.recall(plate(501, hot=True)).match(np.ones((SIDE, SIDE), bool), 2)
    assert "plate/500" in {one.capture for told in (match, odd) for one in told.nearest}


def test_a_model_remembers_where_its_patches_came_from(inspection, dented, tmp_path):
    inspection.save(tmp_path / "model")
    again = Inspection.load(tmp_path / "model").explain(plate(500, dent=True, hot=True))
    assert again.told() == dented.told()
    json.dumps(again.told(), allow_nan=False)


def test_a_model_of_old_explains_without_naming_parts(inspection):
    bank = inspection.fusion.detectors_["infrared"]
    tensors, told = bank.state()
    old = {name: held for name, held in tensors.items() if not name.endswith("origin")}
    del told["captures"]
    match = (
        MemoryBank.from_state(old, told)
        .recall(plate(500, hot=True))
        .match(np.ones((SIDE, SIDE), bool), 3)
    )
    assert match.nearest[0].capture == ""
    assert len(match.nearest) == 1
    assert match.score > 1


# ---------------------------------------------------------------- words and bad input


def test_the_words_say_the_verdict_the_regions_and_the_promise(dented):
    words = str(dented)
    assert words.startswith("plate/500: defect (score ")
    assert "times the usual distance from the nearest good patch" in words
    assert "the score falls from" in words
    assert "of good parts like the 12 that calibrated it" in words
    assert repr(dented).startswith("Explanation of plate/500: defect, ")


def test_an_absent_sensor_has_no_share_and_no_match(inspection):
    told = inspection.explain(plate(500, dent=True, blind=("xray",)))
    assert float(told.attribution.sel(sensor="xray")) == 0.0
    assert "xray" not in {match.sensor for match in told.matches}


def test_what_cannot_be_explained_says_why(inspection, dented):
    with pytest.raises(NotFittedError, match="fit it first"):
        Inspection(load("fusion", "late")()).explain(plate(0))
    lacking = plate(0).drop_vars("xray").sel(sensor=["points", "infrared"])
    with pytest.raises(SceneError, match="give 'xray' too"):
        inspection.explain(lacking)
    with pytest.raises(SceneError, match="the prediction is of another scene: its capture is 'pla"):
        inspection.explain(plate(3), dented.prediction)
    with pytest.raises(SceneError, match="48x16 pixels, but 48x48 were learnt"):
        inspection.explain(plate(0).isel(x=slice(16)))


def test_a_scene_of_another_rig_is_refused_by_its_units(inspection):
    other = plate(0, units=("relative", "K", "1"))
    with pytest.raises(
        SceneError, match="'points' measures points in 'relative', but points in 'm"
    ):
        inspection.explain(other)


# ---------------------------------------------------------------- not inspectable, referred


def turned(scene: xr.Dataset, change) -> xr.Dataset:
    """The scene with every frame changed."""
    made = scene.copy()
    for name in scene["sensor"].values.tolist():
        made[name] = scene[name].copy(data=change(scene[name].values).astype(np.float32))
    return made


def stepped(seed: int) -> xr.Dataset:
    """A plate with a step, so that it can be told from its mirror image."""
    step = 0.2 * (np.arange(SIDE) < SIDE // 3)
    return turned(plate(seed), lambda frame: frame + step)


@pytest.fixture(scope="module")
def familiar() -> Familiar:
    learnt = Familiar.learn([stepped(n) for n in range(20)])
    return learnt.joined([max(learnt.of(stepped(100 + n)).values()) for n in range(20)])


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame[..., ::-1].copy(),
        lambda frame: np.roll(frame, 12, -1),
        lambda frame: np.full_like(frame, frame.mean()),
    ],
    ids=["mirrored", "shifted", "blank"],
)
def test_a_part_the_wrong_way_round_or_a_blank_sensor_is_named(familiar, change):
    assert familiar.why_not(stepped(5)) == ""
    assert "is it the right part, the right way round" in familiar.why_not(
        turned(stepped(5), change)
    )


def test_a_part_that_looks_like_none_that_was_learnt_is_not_inspectable(inspection):
    odd = turned(plate(5), lambda frame: np.random.default_rng(0).standard_normal(frame.shape))
    told = inspection.predict(odd)
    assert told.attrs["verdict"] == "not_inspectable"
    assert "looks like no part that was learnt" in told.attrs["why"]
    assert "looks like no part" in str(inspection.explain(odd, told))


@pytest.mark.parametrize("kind", ["dent", "hot", "void"])
def test_a_defect_is_not_taken_for_another_part(inspection, kind):
    verdicts = {
        inspection.predict(plate(800 + n, **{kind: True})).attrs["verdict"] for n in range(3)
    }
    assert "not_inspectable" not in verdicts


def test_of_good_parts_no_more_are_refused_than_is_stated():
    familiar = Familiar.learn([plate(n) for n in range(20)])
    familiar = familiar.joined([max(familiar.of(plate(100 + n)).values()) for n in range(60)])
    assert familiar.refused == pytest.approx(1 / 61)
    assert not [n for n in range(60) if familiar.why_not(plate(300 + n))]


def test_half_a_part_unseen_is_not_inspectable_and_a_single_blind_sensor_is_no_reason(inspection):
    def half(frame: np.ndarray) -> np.ndarray:
        return np.where(np.arange(frame.shape[-1]) < 0.7 * frame.shape[-1], np.nan, frame)

    seen = turned(plate(5), half)
    seen["valid"] = seen["valid"] & (xr.DataArray(np.arange(SIDE), dims="x") >= 0.7 * SIDE)
    told = inspection.predict(seen)
    assert told.attrs["verdict"] == "not_inspectable"
    assert "too little was measured" in told.attrs["why"]
    assert inspection.predict(plate(5, blind=("xray",))).attrs["verdict"] != "not_inspectable"


def test_a_band_between_good_and_defect_is_referred(inspection):
    told = inspection.predict(plate(5))
    p_value = float(told["p_value"])
    inspection.refer = Referral(high=p_value)
    try:
        banded = inspection.predict(plate(5))
    finally:
        inspection.refer = Referral()
    assert told.attrs["verdict"] == "good"
    assert banded.attrs["verdict"] == "refer"
    assert "lies in the band" in banded.attrs["why"]


def test_a_constant_map_has_no_region_and_is_explained_all_the_same(inspection):
    told = inspection.predict(plate(5))
    flat = told.assign(evidence_map=xr.zeros_like(told["evidence_map"]))
    explanation = inspection.explain(plate(5), flat)
    assert explanation.findings == ()
    assert "weaker" not in explanation.words


def test_a_fusion_without_patches_is_explained_by_shares_and_measures(inspection):
    late = inspection.fusion
    bare = SimpleNamespace(combine=late.combine)
    kept, inspection.fusion = inspection.fusion, bare
    try:
        seen = plate(500, dent=True)
        told = inspection.explain(seen, late_judged(inspection, late, seen))
    finally:
        inspection.fusion = kept
    assert told.channel_map is None
    assert told.matches == ()
    assert told.findings[0].counterfactuals == ()
    assert "depth" in measured(told)


def late_judged(inspection: Inspection, late, seen: xr.Dataset) -> xr.Dataset:
    return inspection._judge.judged(late.predict(seen), inspection.zones.places(seen))

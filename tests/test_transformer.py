"""The cross-modal fusion: what it finds that no sensor sees alone, and what it says without it."""

from importlib import import_module
from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from crossed import PLANTED, frame, relief, scene

from mmdefect import Inspection, load
from mmdefect.errors import MmdefectError, SceneError, UnknownNameError
from mmdefect.scene import new_scene

Transformer = load("fusion", "transformer")
Late = load("fusion", "late")
reader, training, joints = (
    import_module(f"mmdefect.fusion._{name}") for name in ("reader", "training", "joint")
)
SENSORS = ("rgb", "points", "infrared")


def three(seed: int, **told) -> xr.Dataset:
    return scene(seed, sensors=SENSORS, **told)


@pytest.fixture(scope="module")
def fitted():
    """Three sensors that show one relief, twenty good parts."""
    return Transformer(cells=12, most_steps=100).fit([three(seed) for seed in range(20)])


def joined(said: np.ndarray) -> np.ndarray:
    """Join evidence (source, part) of bank and network."""
    return joints._floor(said, list(joints.DOUBTS.values()))[0]


def told_of(fusion, source: str, parts: list[xr.Dataset]) -> np.ndarray:
    told = [fusion.predict(part)["source_evidence"].sel(source=source).max() for part in parts]
    return np.array(told, dtype=float)


def test_what_is_usual_in_every_sensor_but_does_not_go_together_is_found(fitted):
    good = [three(seed) for seed in range(100, 112)]
    unlike = [three(seed, unlike="infrared") for seed in range(100, 106)]
    judged = [fitted.predict(part) for part in unlike]
    usual = [fitted.predict(part)["image_score"].item() for part in good]
    assert min(p["image_score"].item() for p in judged) > np.median(usual)
    assert np.mean([p["image_score"].item() for p in judged]) > max(usual)
    crossed = [told_of(fitted, "transformer", parts) for parts in (good, unlike)]
    assert np.median(crossed[1]) > 2 * np.median(crossed[0])
    for part in judged[:3]:
        inside = part["evidence_map"].sel(sensor="infrared").values[PLANTED]
        assert np.nanmean(inside) > 2 * np.nanmean(part["evidence_map"].sel(sensor="infrared"))


def test_a_prediction_names_its_sources_and_rests_on_both(fitted):
    told = fitted.predict(three(200))
    assert told["source_evidence"].dims == ("source", "sensor")
    assert told["source"].values.tolist() == ["bank", "transformer"]
    both = told["source_evidence"].values
    floor = np.maximum(both[0], both[1] - np.log(10))
    joint = [
        fitted.joint_.parts[name].evidence(own) for name, own in zip(SENSORS, floor, strict=True)
    ]
    np.testing.assert_allclose(told["evidence"], joint, rtol=1e-5)
    bank = fitted.late_.predict(three(200))
    for key in ("sensor_score", "sensor_map"):
        np.testing.assert_array_equal(told[key], bank[key])
    np.testing.assert_array_equal(both[0], bank["evidence"])
    assert (told["seconds"] > bank["seconds"] * 0).all()


def test_a_network_that_only_scatters_leaves_the_banks_words_as_they_are():
    """Banks see the defect, the network does not; and the other way round, where it is sure."""
    rng = np.random.default_rng(0)
    good, bad = rng.exponential(size=(2, 4000)), rng.exponential(size=(2, 4000))
    seen = [bad + np.array([[4.0], [0.0]]), bad + np.array([[0.0], [9.0]])]
    alone = [np.mean(own[k][:, None] > good[k]) for k, own in enumerate(seen)]
    both = [np.mean(joined(own)[:, None] > joined(good)) for own in seen]
    assert alone[0] - 0.005 < both[0] < alone[0]
    assert both[1] > 0.99
    assert np.mean(np.hypot(*seen[0])[:, None] > np.hypot(*good)) < both[0] - 0.005


def test_one_source_alone_is_not_doubted():
    nan = np.nan
    said = np.array([[3, nan, 0.5, nan, 1], [1, 4, 6, nan, nan]])
    joint, whole = joints._floor(said, list(joints.DOUBTS.values()))
    np.testing.assert_allclose(joint, [3, 4, 6 - np.log(10), nan, 1])
    assert whole.tolist() == [True, False, True, False, False]


def test_what_a_source_was_doubted_by_stays_with_a_model(fitted, monkeypatch):
    tensors, told = fitted.state()
    monkeypatch.setattr(joints, "DOUBTS", {"bank": 0.0, "transformer": 0.5})
    again = Transformer.from_state(tensors, told)
    xr.testing.assert_equal(
        again.predict(three(7))["evidence"], fitted.predict(three(7))["evidence"]
    )
    old = dict(
        told["learnt"], joint={k: v for k, v in told["learnt"]["joint"].items() if k != "doubts"}
    )
    with pytest.raises(KeyError, match="doubts"):  # told as a model of another version
        Transformer.from_state(tensors, dict(told, learnt=old))


def test_evidence_without_sensors_is_that_of_a_part_in_which_they_are_blind(fitted):
    told = fitted.evidence_left(three(8), fitted.predict(three(8)))
    assert set(told) == {c for n in (1, 2) for c in combinations(SENSORS, n)}
    for left, weight in told.items():
        absent = tuple(name for name in SENSORS if name not in left)
        blind = fitted.predict(three(8, absent=absent))["evidence"]
        np.testing.assert_allclose(weight, blind, rtol=1e-6)
    lone = Transformer(sources=("bank",)).fit([three(0)])
    assert lone.evidence_left(three(8), lone.predict(three(8))) == {}


def test_a_sensor_on_a_grid_of_its_own_may_be_left_too():
    parts = [three(seed, apart=("infrared",)) for seed in range(8)]
    fusion = Transformer(cells=8, most_steps=5).fit(parts)
    shown = three(30, apart=("infrared",))
    told = fusion.evidence_left(shown, fusion.predict(shown))
    for absent in (("infrared",), ("rgb",), ("rgb", "points"), ("points", "infrared")):
        left = tuple(name for name in SENSORS if name not in absent)
        blind = fusion.predict(three(30, apart=("infrared",), absent=absent))["evidence"]
        np.testing.assert_allclose(told[left], blind, rtol=1e-6)


@pytest.fixture(scope="module")
def inspected(fitted):
    """An inspection by the fitted fusion, calibrated on five parts."""
    made = Inspection(fitted, false_alarm=0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitted, "fit", lambda scenes: fitted)
        return made.fit([three(k) for k in range(8)], [three(k) for k in range(400, 405)])


def test_a_model_keeps_how_calibration_parts_are_judged_without_sensors(inspected, tmp_path):
    inspected.save(tmp_path / "model")
    again = Inspection.load(tmp_path / "model")
    left = again.calibration_.left
    assert len(left) == 6
    for names, rows in inspected.calibration_.left.items():
        np.testing.assert_array_equal(left[names], rows)
    part = three(410, absent=("rgb",))
    assert again.predict(part)["p_value"] == inspected.predict(part)["p_value"]
    both = ["points", "infrared"]
    there = inspected.calibration_.fused(both, both)
    alike = [inspected.fusion.combine(row) for row in _of(left["points", "infrared"])]
    np.testing.assert_allclose(there, alike)


def test_a_named_sensor_misleads_no_other(inspected):
    """The camera shows another part: by itself that raises what is said of the others."""
    odd = three(420)
    odd["rgb"].values[:] = three(9000)["rgb"].values
    line = inspected.reliability()
    line.monitors["rgb"].fault = "strange"
    alone = inspected.fusion.late_.predict(odd)["sensor_score"]
    told, blind = inspected.predict(odd, line), inspected.predict(three(420, absent=("rgb",)))
    assert told.attrs["faults"] == {"rgb": "strange"}
    np.testing.assert_array_equal(told["watched"], alone)  # which no other sensor misleads
    for key in ("p_value", "image_score", "evidence", "anomaly_map"):
        np.testing.assert_array_equal(told[key], blind[key])
    seen = inspected.predict(odd)["evidence"].sel(sensor=["points", "infrared"])
    assert (seen > 2 * told["evidence"].sel(sensor=["points", "infrared"])).any()


def _of(rows: np.ndarray) -> list[xr.DataArray]:
    return [xr.DataArray(row[1:], {"sensor": list(SENSORS[1:])}, ("sensor",)) for row in rows]


def test_evidence_of_good_parts_nobody_had_seen_is_on_one_scale(fitted):
    told = [fitted.predict(three(k)) for k in range(300, 316)]
    strange = np.array([fitted.predict(three(k), k % 4)["evidence"].values for k in range(20)])
    assert ((strange.mean(0) > 0.5) & (strange.mean(0) < 1.5)).all(), strange.mean(0)
    # twenty parts make the scale, sixteen are asked; banks know all twenty: they are rather low
    crossed = np.mean([part["source_evidence"].sel(source="transformer") for part in told])
    assert 0.25 < crossed < 2.5
    assert 0.1 < np.mean([part["evidence"] for part in told]) < 2.5


@pytest.mark.parametrize("absent", [c for n in (1, 2, 3) for c in combinations(SENSORS, n)])
def test_with_any_sensors_missing_the_rest_is_judged(fitted, absent):
    told = fitted.predict(three(9, absent=absent))
    there = [name for name in SENSORS if name not in absent]
    assert np.isnan(told["evidence"].sel(sensor=list(absent))).all()
    assert np.isnan(told["evidence_map"].sel(sensor=list(absent))).all()
    assert np.isfinite(told["evidence"].sel(sensor=there)).all()
    assert np.isfinite(told["image_score"]) == bool(there)
    crossed = told["source_evidence"].sel(source="transformer", sensor=there)
    assert not len(there) or np.isfinite(crossed).all() == (len(there) > 1)
    left = told["evidence"].sel(sensor=there)
    xr.testing.assert_equal(told["image_score"], fitted.combine(left))


@pytest.mark.parametrize("absent", SENSORS)
def test_evidence_keeps_its_scale_when_a_sensor_is_missing(fitted, absent):
    """Strangers among the good parts: by their own fold's network, without one sensor."""
    told = [fitted.predict(three(k, absent=(absent,)), k % 4)["source_evidence"] for k in range(20)]
    mean = np.mean([part.sel(source="transformer") for part in told], axis=0)
    left = mean[[name != absent for name in SENSORS]]
    assert ((left > 0.6) & (left < 1.5)).all(), mean


def test_features_are_computed_once_a_scene_and_never_remembered_beyond_it(fitted, monkeypatch):
    eyes = fitted.crossing_.reader.extractors
    asked = []
    kind = type(eyes["rgb"].inner)
    features = kind.features
    monkeypatch.setattr(
        kind, "features", lambda own, shown: asked.append(0) or features(own, shown)
    )
    part = three(40)
    before = fitted.predict(part)["image_score"].item()
    assert len(asked) == 3
    part["infrared"].values[PLANTED] += 9
    assert fitted.predict(part)["image_score"].item() > 2 * before
    assert all(not eye._held for eye in eyes.values())


def test_each_source_alone_says_what_it_says_beside_the_other_by_one_training(
    tmp_path, monkeypatch
):
    parts, told = [scene(seed) for seed in range(8)], {"cells": 8, "checkpoint": tmp_path}
    alone = Transformer(sources=("transformer",), most_steps=20, **told).fit(parts)
    assert alone.late_ is None
    monkeypatch.setattr(training._Trainer, "_step", None)  # there is nothing left to learn
    both = Transformer(most_steps=20, **told).fit(parts)
    banks = Transformer(sources=("bank",)).fit(parts)
    by_net, by_bank, joint = (made.predict(scene(50)) for made in (alone, banks, both))
    for source, own in (("transformer", by_net), ("bank", by_bank)):
        assert own["source"].values.tolist() == [source]
        np.testing.assert_array_equal(own["evidence"], own["source_evidence"][0])
        np.testing.assert_array_equal(
            joint["source_evidence"].sel(source=source), own["source_evidence"][0]
        )
    late = both.late_.predict(scene(50))
    for key in ("evidence", "evidence_map", "image_score", "anomaly_map"):
        np.testing.assert_array_equal(by_bank[key], late[key], strict=True)


def test_a_sensor_on_a_grid_of_its_own_has_its_bank_only():
    parts = [three(seed, apart=("infrared",)) for seed in range(8)]
    fusion = Transformer(cells=8, most_steps=10).fit(parts)
    assert fusion.crossing_.reader.sensors == ["rgb", "points"]
    told = fusion.predict(three(30, apart=("infrared",)))["source_evidence"]
    assert np.isfinite(told.values).tolist() == [[True] * 3, [True, True, False]]
    lone = [scene(seed, apart=("points",)) for seed in range(8)]
    fusion = Transformer().fit(lone)
    assert fusion.crossing_ is None
    assert np.isfinite(fusion.predict(lone[0])["image_score"])
    with pytest.raises(
        MmdefectError, match="1 of the sensors on the reference's grid, two at least"
    ):
        Transformer(sources=("transformer",)).fit(lone)


def test_a_sensor_that_was_blind_in_every_good_part_has_no_say_and_spoils_nothing():
    blind = [three(seed, absent=("infrared",)) for seed in range(8)]
    fusion = Transformer(cells=8, most_steps=10).fit(blind)
    told = fusion.predict(three(50))
    assert np.isfinite(told["evidence"]).values.tolist() == [True, True, False]
    assert np.isfinite(told["image_score"])
    again = Transformer.from_state(*fusion.state())
    xr.testing.assert_equal(again.predict(three(50))["evidence"], told["evidence"])


def test_too_few_parts_are_refused_with_the_number_it_takes():
    for count, told in ((1, "1 good part to"), (7, "7 good parts to")):
        with pytest.raises(MmdefectError, match=f"{told} learn from; the transformer takes 8 at"):
            Transformer().fit([scene(seed) for seed in range(count)])
    one = Transformer(sources=("bank",)).fit([scene(0)])
    assert np.isfinite(one.predict(scene(1))["image_score"])
    with pytest.raises(MmdefectError, match="there is no good part to learn from"):
        Transformer().fit([])


def test_a_model_of_other_sensors_says_which_it_misses(fitted):
    with pytest.raises(SceneError, match="give 'infrared' too, blind where it measured nothing"):
        fitted.predict(scene(0))
    with pytest.raises(SceneError, match="no sensor 'sonar', which the fusion was told to use"):
        Transformer(sensors=("sonar",)).fit([scene(0)])


def test_unknown_rules_and_sources_are_told_what_there_is():
    with pytest.raises(UnknownNameError, match="no fusion rule named 'vote'; there are: bonf"):
        Transformer(rule="vote")
    with pytest.raises(UnknownNameError, match="no source 'oracle'; there are: bank, transformer"):
        Transformer(sources=("bank", "oracle"))


def test_a_cell_of_which_most_is_a_hole_is_no_token_and_places_are_millimetres():
    shown = frame("points", relief(3))
    shown.values[:, :40, :40] = np.nan
    frames = {"rgb": frame("rgb", relief(3)), "points": shown}
    parts = [new_scene(frames, reference="rgb")] * 2
    made = reader.Reader(reader.eyes_of({"rgb": "builtin", "points": "builtin"}, parts), 8)
    held = made.learn(parts)[0]
    assert made.geometry_ == "points"
    assert held.there[0].all()
    assert (~held.there[1]).sum() == (~held.placed).sum() == 25
    place = held.place * made.reach_ + made.center_
    np.testing.assert_allclose(place[-1, :2], [29.75, 29.75], atol=0.3)

"""Weights learnt from labelled defects: used where they help, unused where they do not."""

import json
import shutil

import numpy as np
import pytest
import xarray as xr

from mmdefect.cards import read_card
from mmdefect.contracts import Weighable
from mmdefect.dataset import Dataset
from mmdefect.errors import MmdefectError, NotFittedError
from mmdefect.fusion._rules import RULES
from mmdefect.fusion._weights import Weights, weights_of
from mmdefect.fusion.late import Late
from mmdefect.learning import Learning
from mmdefect.miniature import write_miniature
from mmdefect.settings import Settings
from mmdefect.verdict import Calibration
from mmdefect.weighing import weighed

SENSORS = ("rgb", "points", "infrared", "xray")


def good(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.exponential(size=(count, 4))


def one_useless(rng: np.random.Generator, count: int) -> np.ndarray:
    """Defects that three sensors see a little, and the fourth never."""
    rows = good(rng, count)
    rows[:, :3] += rng.exponential(1.2, size=(count, 3))
    return rows


def one_each(rng: np.random.Generator, count: int) -> np.ndarray:
    """Defects that one sensor sees well, each sensor as many."""
    rows = good(rng, count)
    rows[np.arange(count), rng.integers(4, size=count)] += rng.exponential(4.0, size=count)
    return rows


def taught(seed: int, defects, count: int = 80) -> Weights:
    rng = np.random.default_rng(seed)
    return weights_of(SENSORS, good(rng, 100), defects(rng, count), RULES["norm"], seed)


def auroc(low: np.ndarray, high: np.ndarray) -> float:
    return float((high[:, None] > low).mean())


def test_where_one_sensor_is_useless_the_weights_beat_the_rule_on_fresh_parts():
    rng = np.random.default_rng(100)
    fresh = [xr.DataArray(rows, {"sensor": list(SENSORS)}, ("part", "sensor")) for rows in
             (good(rng, 600), one_useless(rng, 600))]  # fmt: skip
    rule = auroc(*(Late(SENSORS).combine(rows).values for rows in fresh))
    told = [taught(seed, one_useless) for seed in range(4)]
    assert sum(weights.better for weights in told) >= 3
    for weights in told:
        assert weights.weights[3] < 0.4 < min(weights.weights[:3])
        assert np.mean(weights.weights) == pytest.approx(1)
        assert auroc(*(weights.combined(rows).values for rows in fresh)) > rule + 0.02
        assert "learnt from 80 labelled defective parts: rgb " in str(weights)


def test_where_all_sensors_are_worth_the_same_the_rule_stays():
    told = [taught(seed, one_each) for seed in range(10)]
    assert sum(weights.better for weights in told) <= 2
    assert all(weights.low < weights.auroc - weights.rule_auroc for weights in told)
    assert "not shown to be better: the rule stays" in str(told[0])


def test_what_is_ranked_perfectly_already_cannot_be_improved():
    weights = taught(0, lambda rng, count: good(rng, count) + 50)
    assert weights.auroc == weights.rule_auroc == 1
    assert not weights.better


@pytest.mark.parametrize(("parts", "defects"), [(100, 9), (9, 50), (1, 0)])
def test_ten_parts_of_each_kind_are_needed(parts, defects):
    rng = np.random.default_rng(0)
    weights = weights_of(SENSORS, good(rng, parts), one_useless(rng, defects), RULES["norm"])
    assert not weights.better
    assert weights.weights == (1.0,) * 4
    assert f"{defects} labelled defective parts were found; ten, and ten good" in str(weights)


def test_weights_are_never_negative_and_missing_evidence_contributes_nothing():
    rng = np.random.default_rng(1)
    misleading = one_useless(rng, 60)
    misleading[:, 3] = 0
    weights = weights_of(SENSORS, good(rng, 100), misleading, RULES["norm"])
    assert min(weights.weights) >= 0.05 * max(weights.weights) * 0.999
    rows = xr.DataArray(
        [[1.0, np.nan, np.nan], [2.0, 3.0, np.nan]], {"sensor": ["rgb", "xray"]}, ("sensor", "part")
    )
    first, last = weights.weights[0], weights.weights[3]
    expected = [first + 2 * last, 3 * last, np.nan]
    np.testing.assert_allclose(weights.combined(rows), expected)
    gaps = one_useless(rng, 60)
    gaps[::3, 0] = np.nan
    assert min(weights_of(SENSORS, good(rng, 100), gaps, RULES["stouffer"]).weights) > 0


def test_the_false_alarm_rate_holds_with_weights_as_without():
    rng = np.random.default_rng(2)
    weights = taught(3, one_useless)
    rates = []
    for _ in range(100):
        held, fresh = good(rng, 59), good(rng, 100)
        calibration = Calibration(SENSORS, held, held, weights.combined)
        labelled = xr.DataArray(fresh, {"sensor": list(SENSORS)}, ("part", "sensor"))
        limit = np.sort(calibration.fused(SENSORS))[-3]
        rates.append(float((weights.combined(labelled) > limit).mean()))
    assert np.mean(rates) == pytest.approx(3 / 60, abs=0.012)


# ---------------------------------------------------------------- in the fusion, from a card


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A data set whose training split has twelve defective captures."""
    root, card = tmp_path_factory.mktemp("labelled"), read_card("folder")
    write_miniature(card, root, train=12, test=26, side=32)
    for sensor in ("rgb", "infrared"):
        here = root / "plate" / "test" / "patch" / sensor
        there = root / "plate" / "train" / "patch" / sensor
        if here.is_dir():
            there.mkdir(parents=True)
            for path in sorted(here.iterdir())[:12]:
                shutil.move(path, there / path.name)
    return card, root


def test_labelled_defects_of_a_card_weigh_the_sensors_when_asked_and_are_named_when_not(labelled):
    dataset = Dataset(*labelled, sensors=("rgb", "infrared"))
    (category,) = dataset.categories
    asked = Learning(dataset, category, Settings(sensors=("rgb", "infrared"), learn_weights=True))
    assert len(asked.defective_parts) == 12
    assert len(asked.learnt_parts) == 12 + 4 + 12
    inspection = asked.inspection()
    told = inspection.fusion.weights_
    assert told.defects == 12
    assert len(told.weights) == 2
    assert any(f"{category}: {told}" == note for note in dataset.notes)
    tensors, state = inspection.fusion.state()
    again = Late.from_state(tensors, json.loads(json.dumps(state)))
    assert again.weights_ == told
    again.weights_ = told._replace(low=0.1, weights=(1.5, 0.5))
    scene = next(iter(dataset.scenes(asked.defective_parts)))
    seen = again.predict(scene)
    assert seen["image_score"] == pytest.approx(
        float(seen["evidence"].values @ np.array([1.5, 0.5]))
    )
    ruled = inspection.fusion.predict(scene)
    xr.testing.assert_equal(ruled["anomaly_map"], seen["anomaly_map"])
    with pytest.raises(MmdefectError, match="a fusion from a model does not know what its good"):
        again.learn_weights([])
    unasked = Learning(Dataset(*labelled), category, Settings())
    assert len(unasked.learnt_parts) == 12 + 4
    assert "12 defective captures outside the test split are not learnt from; learn_weights" in (
        " ".join(unasked.dataset.notes)
    )


def test_a_fusion_that_cannot_weigh_says_so():
    assert isinstance(Late(), Weighable)
    with pytest.raises(NotFittedError):
        Late().learn_weights([])
    with pytest.raises(MmdefectError, match="object cannot weigh its sensors by defective parts"):
        weighed(object(), [])

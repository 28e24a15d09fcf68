"""The published baselines, by hand: crossmodal mapping, and one bank on concatenated features."""

from importlib import import_module

import numpy as np
import pytest
import torch
import xarray as xr
from crossed import scene

from mmdefect import load
from mmdefect.errors import MmdefectError, SceneError

Concat, Mapping = (load("fusion", name) for name in ("concat", "mapping"))
concat, mapping = (import_module(f"mmdefect.fusion.{name}") for name in ("concat", "mapping"))
pairs = import_module("mmdefect.fusion._pairs")
tokens = import_module("mmdefect.fusion._tokens")
NAN = float("nan")


def toy(*rows: list[list[float]], there: list[list[bool]] | None = None) -> "tokens.Tokens":
    """Tokens of one scene: for every sensor its cells' two numbers."""
    values = torch.tensor(rows, dtype=torch.float32)
    seen = torch.ones(values.shape[:2], dtype=bool) if there is None else torch.tensor(there)
    nowhere = torch.zeros(values.shape[1], 3)
    return tokens.Tokens(values, seen, nowhere, torch.zeros(values.shape[1], dtype=bool))


def foretelling(*answers: list[float]) -> "pairs.Pairs":
    """Mappings that foretell the same for every cell: by sensor that is foretold."""
    made = pairs.Pairs([2] * len(answers))
    for one, other in made.between():
        last = made.maps[f"{one}-{other}"][-1]
        torch.nn.init.zeros_(last.weight)
        last.bias.data = torch.tensor(answers[other])
    return made


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Nothing here rests on how well the mappings were trained."""
    monkeypatch.setattr(pairs, "_LEAST_STEPS", 4)


# ---------------------------------------------------------------- mapping


def test_the_distance_is_between_directions_both_ways():
    # sensor 1 is always foretold as (3, 4), sensor 0 as (0, −5)
    made = foretelling([0.0, -5.0], [3.0, 4.0])
    shown = toy([[0, -1], [0, 9], [2, 0]], [[6, 8], [1, 0], [-3, -4]])
    found = pairs.distances(made, shown)
    np.testing.assert_allclose(found[0, 1], [0, np.sqrt(0.16 + 0.64), 2], atol=1e-6)
    np.testing.assert_allclose(found[1, 0], [0, 2, np.sqrt(2)], atol=1e-6)
    assert found[[0, 1], [0, 1]].isnan().all()


def test_holes_have_no_distance_in_either_direction():
    made = foretelling([1.0, 0.0], [1.0, 0.0])
    found = pairs.distances(
        made, toy([[1, 0]] * 3, [[1, 0]] * 3, there=[[True, True, False], [True, False, True]])
    )
    for one, other in made.between():
        assert found[one, other].isfinite().tolist() == [True, False, False]


def test_the_loss_is_one_less_the_cosine():
    foretold = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    shown = torch.tensor([[5.0, 0.0], [0.0, -1.0], [1.0, -1.0]])
    assert pairs.cosine_loss(foretold, shown).item() == pytest.approx((0 + 2 + 1) / 3)


def test_widths_are_those_of_the_paper():
    made = pairs.Pairs([768, 1152])
    layers = [(m.in_features, m.out_features) for m in made.maps["0-1"] if hasattr(m, "weight")]
    assert layers == [(768, 960), (960, 960), (960, 1152)]
    back = [(m.in_features, m.out_features) for m in made.maps["1-0"] if hasattr(m, "weight")]
    assert back == [(1152, 960), (960, 960), (960, 768)]


def test_the_map_is_the_product_and_the_part_its_maximum_over_the_root_of_its_mean():
    maps = np.array([[[2.0, 9.0, NAN]], [[8.0, 4.0, 3.0]]])
    np.testing.assert_allclose(mapping.product(maps), [[4.0, 6.0, 3.0]])
    scores = mapping.at_the_maximum(maps)
    np.testing.assert_allclose(scores, np.array([9.0, 4.0]) / np.sqrt(5.0))
    assert Mapping().combine(xr.DataArray(scores, dims="sensor")) == pytest.approx(6 / np.sqrt(5))
    lone = mapping.at_the_maximum(np.stack([maps[1], np.full_like(maps[1], NAN)]))
    np.testing.assert_allclose(lone, [8 / np.sqrt(5.0), NAN])
    assert np.isnan(mapping.at_the_maximum(np.full((2, 1, 3), NAN))).all()


def test_a_missing_sensor_leaves_the_mappings_between_the_others():
    three = ("rgb", "points", "infrared")
    fusion = Mapping(epochs=2).fit([scene(seed, sensors=three) for seed in range(6)])
    told = fusion.predict(scene(9, sensors=three, absent=("points",)))
    assert np.isfinite(told["evidence"]).values.tolist() == [True, False, True]
    whole = fusion.predict(scene(9, sensors=three))
    assert (told["evidence_map"].sel(sensor="rgb") != whole["evidence_map"].sel(sensor="rgb")).any()
    alone = fusion.predict(scene(9, sensors=three, absent=("points", "rgb")))
    assert np.isnan(alone["image_score"])


def test_a_mapping_takes_two_parts_and_two_sensors_on_one_grid():
    with pytest.raises(MmdefectError, match="1 good parts with 2 sensors on the reference's grid"):
        Mapping().fit([scene(0)])
    with pytest.raises(MmdefectError, match="2 good parts with 1 sensors on the reference's grid"):
        Mapping().fit([scene(k, apart=("points",)) for k in range(2)])
    with pytest.raises(MmdefectError, match="there is no good part to learn from"):
        Mapping().fit([])


def test_features_that_are_not_finite_are_told(monkeypatch):
    monkeypatch.setattr(pairs, "cosine_loss", lambda *_: torch.tensor(NAN))
    with pytest.raises(MmdefectError, match="loss of the mapping was nan in epoch 0, a finite one"):
        Mapping(epochs=1).fit([scene(k) for k in range(2)])


# ---------------------------------------------------------------- concatenation


@pytest.fixture(scope="module")
def joined():
    return Concat(folds=2).fit([scene(seed) for seed in range(4)])


def test_the_sensors_shares_are_the_distance_in_the_concatenated_space(joined):
    read = joined.reader_.read(scene(9))
    rows, there = joined._rows(read)
    assert there.all()
    wanted = torch.cdist(rows.double(), joined.bank_.double()).min(1).values
    shares = joined._shares(read, None)
    np.testing.assert_allclose(np.sqrt((shares**2).sum(0)).ravel(), wanted, rtol=1e-4)
    fold = joined.starts_[1]
    strange = torch.cdist(rows.double(), joined.bank_[:fold].double()).min(1).values
    without = joined._shares(read, 1)
    np.testing.assert_allclose(np.sqrt((without**2).sum(0)).ravel(), strange, rtol=1e-4)


def test_sensors_weigh_the_same_however_many_features_they_have(joined):
    widths = joined.reader_.kept.sum(1).tolist()
    assert widths[0] != widths[1]
    rows, _ = joined._rows(joined.reader_.read(scene(2)))
    parts = torch.split(rows, widths, dim=1)
    power = [float(part.square().sum(1).mean()) for part in parts]
    assert power == pytest.approx([1, 1], rel=0.3)


def test_without_a_sensor_the_distance_is_that_of_the_others(joined):
    told = joined.predict(scene(9, absent=("points",)))
    assert np.isfinite(told["evidence"]).values.tolist() == [True, False]
    read = joined.reader_.read(scene(9, absent=("points",)))
    rows, _ = joined._rows(read)
    own = slice(0, int(joined.reader_.kept[0].sum()))
    wanted = torch.cdist(rows[:, own].double(), joined.bank_[:, own].double()).min(1).values
    np.testing.assert_allclose(joined._shares(read, None)[0].ravel(), wanted, rtol=1e-4)


def test_the_part_scores_by_the_worst_pixels_of_all_sensors_together():
    maps = np.zeros((2, 1, 2000))
    maps[0, 0, :2], maps[1, 0, :2] = 3.0, 4.0
    maps[1, 0, 5] = 4.5
    np.testing.assert_allclose(concat.worst_shares(maps), [3, 4])
    maps[1] = NAN
    np.testing.assert_allclose(concat.worst_shares(maps), [3, NAN])


@pytest.mark.parametrize("fusion", [Concat(), Mapping()])
def test_a_scene_without_a_learnt_sensor_is_refused(fusion):
    fusion.fit([scene(k) for k in range(2)])
    with pytest.raises(SceneError, match="give 'points' too, blind where it measured nothing"):
        fusion.predict(scene(0, sensors=("rgb",)))

"""The memory bank on planted defects, half-blind sensors and parts it must not know."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from mmdefect.detectors._pool import Pool
from mmdefect.detectors.memory_bank import MemoryBank
from mmdefect.errors import NotFittedError
from mmdefect.scene import new_scene

pytestmark = pytest.mark.usefixtures("three_threads")

SIDE = 48
PLANTED = (slice(20, 30), slice(12, 22))


def scene(seed: int, *, hot: bool = False, striped: bool = False, blind: object = None):
    """A noisy plate seen by a thermal camera; it may be hot in a place, striped, or half seen."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    kelvin = 300 + np.sin(x / 4) * np.sin(y / 4) + 0.1 * rng.standard_normal((SIDE, SIDE))
    if hot:
        kelvin[PLANTED] += 2.0
    if striped:
        kelvin[24:] += 2 * (x[24:] // 2 % 2)
    if blind is not None:
        kelvin[blind] = np.nan
    frame = xr.DataArray(
        kelvin.astype(np.float32),
        dims=("y", "x"),
        attrs={"modality": "infrared", "units": "K"},
    )
    return new_scene({"infrared": frame}, reference="infrared")


def score(bank: MemoryBank, seen: xr.Dataset, without: int | None = None) -> float:
    return bank.predict(seen, without=without)["sensor_score"].item()


@pytest.fixture(scope="module")
def bank() -> MemoryBank:
    return MemoryBank("infrared").fit([scene(seed) for seed in range(12)])


def test_a_planted_defect_scores_above_every_good_part_and_is_found_in_its_place(bank):
    good = [score(bank, scene(seed)) for seed in range(100, 112)]
    for seed in range(200, 206):
        told = bank.predict(scene(seed, hot=True))
        assert told["sensor_score"].item() > max(good)
        worst = told["sensor_map"].isel(sensor=0).argmax(["y", "x"])
        assert worst["y"].item() in range(20, 30)
        assert worst["x"].item() in range(12, 22)


@pytest.mark.parametrize("first", [24, 25, 26, 27])
def test_half_a_blind_sensor_has_no_score_there_and_nowhere_else(bank, first):
    seen = scene(1, hot=True, blind=np.s_[:, first:])
    told = bank.predict(seen)["sensor_map"].sel(sensor="infrared")
    np.testing.assert_array_equal(np.isnan(told), ~seen["valid"].sel(sensor="infrared"))
    whole = score(bank, scene(1, hot=True))
    assert score(bank, seen) == pytest.approx(whole, rel=0.3)
    assert score(bank, scene(1, blind=np.s_[:, first:])) < 0.7 * whole


def test_an_absent_sensor_has_no_score(bank):
    told = bank.predict(scene(1, blind=np.s_[:]))
    assert np.isnan(told["sensor_score"]).all()
    assert np.isnan(told["sensor_map"]).all()


def test_a_sensor_that_no_training_part_had_has_no_score():
    empty = MemoryBank("infrared").fit([scene(seed, blind=np.s_[:]) for seed in range(3)])
    assert len(empty.bank_) == 0
    assert np.isnan(score(empty, scene(1)))
    tensors, told = empty.state()
    again = MemoryBank.from_state(load_tensors(save_tensors(tensors)), told)
    assert np.isnan(score(again, scene(1)))


def test_leaving_a_fold_out_makes_strangers_of_its_parts_only():
    scenes = [scene(seed, striped=seed % 4 == 1) for seed in range(12)]
    bank = MemoryBank("infrared").fit(scenes)
    usual = max(score(bank, seen, without=k % 4) for k, seen in enumerate(scenes) if k % 4 != 1)
    for odd in scenes[1::4]:
        assert score(bank, odd) < 1.2 * usual
        assert score(bank, odd, without=1) > 2 * usual
        assert score(bank, odd, without=2) == pytest.approx(score(bank, odd), rel=0.5)


@pytest.mark.parametrize("fold", range(4))
def test_without_a_fold_the_bank_is_that_of_the_other_folds(bank, fold):
    tensors, told = bank.state()
    start, stop = told["starts"][fold : fold + 2]
    assert stop > start
    rest = {name: np.delete(tensors[name], np.s_[start:stop], axis=0) for name in ("bank", "reach")}
    other = MemoryBank.from_state(tensors | rest, told)
    seen = scene(70, hot=True)
    xr.testing.assert_identical(bank.predict(seen, without=fold), other.predict(seen))


def test_the_same_seed_gives_the_same_bank_and_prediction(bank):
    again = MemoryBank("infrared").fit([scene(seed) for seed in range(12)])
    assert torch.equal(again.bank_, bank.bank_)
    xr.testing.assert_identical(again.predict(scene(50)), bank.predict(scene(50)))
    other = MemoryBank("infrared", seed=1).fit([scene(seed) for seed in range(12)])
    assert not torch.equal(other.bank_, bank.bank_)


def test_a_bank_comes_back_from_safetensors_and_json(bank):
    tensors, told = bank.state()
    again = MemoryBank.from_state(load_tensors(save_tensors(tensors)), json.loads(json.dumps(told)))
    for without in (None, 0, 3):
        xr.testing.assert_identical(
            again.predict(scene(50, hot=True), without), bank.predict(scene(50, hot=True), without)
        )


@pytest.mark.parametrize("ask", [lambda bank: bank.predict(scene(0)), MemoryBank.state])
def test_a_bank_that_knows_no_part_says_so(ask):
    with pytest.raises(NotFittedError, match="memory bank of 'infrared' knows no part; fit it"):
        ask(MemoryBank("infrared"))


def test_the_bank_is_no_larger_than_its_bytes(monkeypatch):
    held = []
    add = Pool.add
    monkeypatch.setattr(Pool, "add", lambda pool, *rows: (add(pool, *rows), held.append(pool)))
    small = MemoryBank("infrared", share=1.0, bank_bytes=40_000)
    small.fit([scene(seed) for seed in range(12)])
    assert 4_000 < small.bank_.nbytes <= 40_000
    assert {pool.byte_budget for pool in held} == {10_000}
    assert score(small, scene(200, hot=True)) > max(score(small, scene(s)) for s in range(100, 104))


def test_one_training_part_is_enough_to_score_but_not_to_hold_out():
    single = MemoryBank("infrared").fit([scene(0)])
    assert score(single, scene(200, hot=True)) > score(single, scene(100))
    assert np.isnan(score(single, scene(0), without=0))


@pytest.mark.parametrize("side", [SIDE, 4])
def test_parts_that_look_flat_and_the_same_are_good_and_a_change_is_a_defect(side):
    flat = scene(0).isel(y=slice(side), x=slice(side)).copy(deep=True)
    flat["infrared"][:] = 300.0
    changed = flat.copy(deep=True)
    changed["infrared"][:3, :3] += 5.0
    for parts in (1, 8):
        bank = MemoryBank("infrared").fit([flat] * parts)
        assert score(bank, flat) == 0
        assert 1 < score(bank, changed) < 1e4
        assert np.isfinite(bank.predict(changed)["sensor_map"]).all()

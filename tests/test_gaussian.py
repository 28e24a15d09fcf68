"""The Gaussian detector: moments against numpy, halves that make a whole, planted defects."""

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from sklearn.covariance import OAS

from mmdefect.contracts import Mergeable
from mmdefect.detectors._moments import Moments
from mmdefect.detectors._normal import shrinkage, whitening
from mmdefect.detectors.gaussian import Gaussian
from mmdefect.errors import MmdefectError, NotFittedError, SceneError
from mmdefect.scene import new_scene

SIDE = 48
PLANTED = (slice(20, 30), slice(12, 22))


def scene(seed: int, *, hot: bool = False, blind: object = None, side: int = SIDE) -> xr.Dataset:
    """A plate seen by a thermal camera: a busy right half, a quiet left half, maybe a hot spot."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    kelvin = 300 + np.sin(x / 4) * np.sin(y / 4) + 0.1 * rng.standard_normal((side, side))
    kelvin[:, side // 2 :] += rng.standard_normal((side, side - side // 2))
    if hot:
        kelvin[PLANTED] += 2.0
    if blind is not None:
        kelvin[blind] = np.nan
    attrs = {"modality": "infrared", "units": "K"}
    frame = xr.DataArray(kelvin.astype(np.float32), dims=("y", "x"), attrs=attrs)
    return new_scene({"infrared": frame}, reference="infrared")


def score(made: Gaussian, seen: xr.Dataset, without: int | None = None) -> float:
    return made.predict(seen, without=without)["sensor_score"].item()


@pytest.fixture(scope="module", params=["position", "level"])
def fitted(request) -> Gaussian:
    return Gaussian("infrared", place=request.param).fit([scene(seed) for seed in range(16)])


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(1, 5), st.sampled_from(["own", "shared", "one"]))
def test_moments_of_pieces_are_those_of_the_whole(seed, pieces, blocks):
    rng = np.random.default_rng(seed)
    block = {"own": np.arange(4), "shared": np.array([0, 1, 0, 1]), "one": np.zeros(4, int)}[blocks]
    rows = rng.normal(1e3, 2.0, size=(60, 3))
    group = rng.integers(4, size=60)
    made = Moments.empty(block, 3)
    for part in np.array_split(np.arange(60), pieces):
        made = made.with_rows(rows[part], group[part])
    for own in range(4):
        here = rows[group == own]
        assert made.counts[own] == len(here)
        if len(here):
            np.testing.assert_allclose(made.mean[own], here.mean(0), rtol=1e-12)
    for shared in range(len(made.scatter)):
        wanted = sum(
            np.cov(rows[group == own].T, bias=True) * (group == own).sum()
            for own in np.flatnonzero(block == shared)
            if (group == own).any()
        )
        np.testing.assert_allclose(made.scatter[shared], wanted, atol=1e-8)
    mean, covariance = made.level
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(rows.T, bias=True), rtol=1e-9, atol=1e-9)


def test_shrinkage_is_scikit_learns_on_standardised_rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 6)) @ rng.normal(size=(6, 6))
    rows = (rows - rows.mean(0)) / rows.std(0)
    found = shrinkage(np.cov(rows.T, bias=True)[None], np.array([30.0]))
    assert found[0] == pytest.approx(OAS(assume_centered=True).fit(rows).shrinkage_, rel=0.1)


def test_whitened_rows_have_unit_spread_and_no_correlation():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(5000, 4)) @ rng.normal(size=(4, 4)) + 7
    made = Moments.empty(np.zeros(1, int), 4).with_rows(rows, np.zeros(5000, int))
    mean, factor = whitening(made)
    deviates = (rows - mean[0]) @ factor[0].T
    np.testing.assert_allclose(np.cov(deviates.T), np.eye(4), atol=0.03)


def test_a_planted_defect_scores_above_every_good_part_and_is_found_in_its_place(fitted):
    good = [score(fitted, scene(seed)) for seed in range(100, 112)]
    for seed in range(200, 206):
        told = fitted.predict(scene(seed, hot=True))
        worst = told["sensor_map"].isel(sensor=0).argmax(["y", "x"])
        inside = worst["y"].item() in range(18, 32) and worst["x"].item() in range(10, 24)
        if fitted.place == "position":
            assert told["sensor_score"].item() > max(good)
            assert inside


def test_good_patches_score_about_one(fitted):
    told = fitted.predict(scene(100))["sensor_map"].values
    assert 0.5 < np.nanmean(told) < 2


@pytest.mark.parametrize("place", ["position", "level"])
def test_two_halves_merged_are_the_whole(place):
    parts = [scene(seed) for seed in range(16)]
    whole = Gaussian("infrared", place=place).fit(parts)
    halves = [Gaussian("infrared", place=place).fit(half) for half in (parts[:8], parts[8:])]
    merged = halves[0].merge(halves[1])
    assert isinstance(merged, Mergeable)
    for without in (None, 1):
        wanted = whole.predict(scene(99), without)["sensor_map"].values
        found = merged.predict(scene(99), without)["sensor_map"].values
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert score(halves[0], scene(99)) != pytest.approx(score(whole, scene(99)))


def test_only_like_can_be_merged():
    one = Gaussian("infrared").fit([scene(0), scene(1)])
    other = Gaussian("infrared", place="level").fit([scene(2)])
    with pytest.raises(MmdefectError, match="two Gaussians differ in place: 'position' and"):
        one.merge(other)
    with pytest.raises(NotFittedError, match="the Gaussian of 'infrared' knows no part"):
        one.merge(Gaussian("infrared"))


def test_a_held_out_part_is_scored_without_its_own_fold(fitted):
    known = np.mean([score(fitted, scene(k)) for k in range(16)])
    stranger = np.mean([score(fitted, scene(k), without=k % 4) for k in range(16)])
    assert stranger > known


def test_one_good_part_is_enough_to_score_by():
    one = Gaussian("infrared").fit([scene(0)])
    assert score(one, scene(5, hot=True)) > score(one, scene(5)) > 0
    never = Gaussian("infrared").fit([scene(0, blind=np.s_[:])])
    assert np.isnan(score(never, scene(1)))


def test_neighbours_share_a_covariance_where_bytes_are_few():
    few = Gaussian("infrared", bank_bytes=200_000).fit([scene(seed) for seed in range(8)])
    own = few.moments_[0]
    assert len(own.scatter) < len(own.mean)
    assert own.scatter.nbytes * 4 + len(own.scatter) * 5 * 4 * own.mean.shape[1] ** 2 <= 200_000
    assert score(few, scene(5, hot=True)) > score(few, scene(5))


def test_many_features_are_projected():
    few = Gaussian("infrared", most_features=8).fit([scene(seed) for seed in range(8)])
    assert few.basis_.shape == (21, 8)
    np.testing.assert_allclose(few.basis_.T @ few.basis_, np.eye(8), atol=1e-12)
    assert np.isfinite(score(few, scene(5)))


def test_it_comes_back_from_safetensors_and_json(fitted):
    tensors, told = fitted.state()
    again = Gaussian.from_state(load_tensors(save_tensors(tensors)), json.loads(json.dumps(told)))
    for without in (None, 2):
        wanted = fitted.predict(scene(9, hot=True, blind=np.s_[:, 30:]), without)
        xr.testing.assert_identical(
            again.predict(scene(9, hot=True, blind=np.s_[:, 30:]), without), wanted
        )


def test_another_size_or_place_is_refused():
    made = Gaussian("infrared").fit([scene(0), scene(1)])
    with pytest.raises(SceneError, match=r"gives 16x16 patches, but 12x12 were learnt"):
        made.predict(scene(2, side=64))
    with pytest.raises(ValueError, match="place is 'stage'; one of position, level was promised"):
        Gaussian(place="stage")

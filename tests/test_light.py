"""A few per cent of light are forgiven; another pattern, another place and much light are not."""

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from mmdefect import light
from mmdefect.familiar import Familiar, coarse
from mmdefect.light import FORGIVEN, in_its_light, light_of
from mmdefect.scene import new_scene

SIDE = 48
RGB, RAW, XRAY = ("rgb", "1"), ("xray", "relative"), ("xray", "1")
RNG = np.random.default_rng(0)
PART, OTHER = (ndimage.gaussian_filter(RNG.normal(size=(SIDE, SIDE)), 3) for _ in range(2))
MEAN, SPREAD = 0.3 + PART, np.full((SIDE, SIDE), 0.004)


def lit(gain: float, frame: tuple[str, str], usual: np.ndarray = MEAN) -> np.ndarray:
    """The usual picture in stronger light; of X-rays in unit 1 it shows −ln T."""
    return -np.log(gain * np.exp(-usual)) if frame == XRAY else gain * usual


def scene(seed: int, gain: float = 1.0, part: np.ndarray = PART) -> xr.Dataset:
    """A part seen by a colour camera and by X-rays, in light of some strength."""
    noise = np.random.default_rng(seed).normal(size=(2, SIDE, SIDE)) * 0.005
    color = np.broadcast_to(gain * (0.3 + part + noise[0]), (3, SIDE, SIDE))
    through = gain * np.exp(-(0.4 + part + noise[1]))[None]
    told = {"rgb": (color, "color", list("rgb")), "xray": (through, "energy", [0])}
    frames = {
        name: xr.DataArray(
            np.ascontiguousarray(values, dtype=np.float32),
            dims=(channel, "y", "x"),
            attrs={"modality": name, "units": "1"},
        )
        for name, (values, channel, _) in told.items()
    }
    frames["rgb"] = frames["rgb"].assign_coords(color=["red", "green", "blue"])
    return new_scene(frames, reference="rgb", attrs={"capture": str(seed)})


def familiar_with(gains: np.ndarray) -> Familiar:
    """Half of the parts learnt, the others for the limit."""
    scenes = [scene(seed, gain) for seed, gain in enumerate(gains)]
    learnt = Familiar.learn(scenes[::2])
    return learnt.joined([max(learnt.of(one).values()) for one in scenes[1::2]])


@pytest.fixture(scope="module")
def familiar() -> Familiar:
    return familiar_with(np.ones(40))


@pytest.mark.parametrize("share", [-0.05, -0.02, 0.0, 0.03, 0.05])
@pytest.mark.parametrize("frame", [RGB, RAW, XRAY])
def test_the_light_is_found_exactly(share, frame):
    seen = lit(1 + share, frame)
    assert light_of(seen, MEAN, SPREAD, frame) == pytest.approx(share, abs=1e-12)
    np.testing.assert_allclose(in_its_light(seen, MEAN, SPREAD, frame), seen, rtol=1e-12)


@pytest.mark.parametrize("gain", [0.5, 0.94, 1.06, 1.2])
@pytest.mark.parametrize("frame", [RGB, RAW, XRAY])
def test_no_more_is_forgiven_than_stated(gain, frame):
    assert light_of(lit(gain, frame), MEAN, SPREAD, frame) == pytest.approx(gain - 1)
    found = in_its_light(lit(gain, frame), MEAN, SPREAD, frame)
    most = lit(1 + float(np.sign(gain - 1)) * FORGIVEN, frame)
    np.testing.assert_allclose(found, most, rtol=1e-12)


@pytest.mark.parametrize("gain", [0.95, 1.05])
def test_a_capture_in_light_at_the_border_has_no_light_left(gain):
    usual, seen = scene(7)["xray"], scene(7, gain)["xray"]
    mean, cells = coarse(usual), coarse(seen)
    found = in_its_light(cells, mean, np.full_like(mean, 0.01), XRAY)
    np.testing.assert_allclose(found, cells, atol=1e-6)


def test_less_than_half_of_the_weight_does_not_pull():
    odd = np.arange(SIDE) < 0.4 * SIDE
    found = in_its_light(np.where(odd, 3 * MEAN, 0.98 * MEAN), MEAN, np.abs(MEAN), RGB)
    np.testing.assert_allclose(found, 0.98 * MEAN, rtol=1e-12)


@pytest.mark.parametrize("frame", [RGB, XRAY])
def test_weight_counts_and_not_area(frame):
    heavy = np.broadcast_to(np.arange(SIDE) < 0.25 * SIDE, MEAN.shape)
    mean = np.full_like(MEAN, 0.5)
    spread = np.where(heavy, 0.001, 0.03)
    usual, dim = lit(1, frame, mean), lit(0.96, frame, mean)
    assert (1 / spread)[heavy].sum() > 0.9 * (1 / spread).sum()
    found = in_its_light(np.where(heavy, dim, usual), mean, spread, frame)
    np.testing.assert_allclose(found, dim, rtol=1e-12)
    assert (np.abs(found - usual) / spread)[~heavy].max() < 2
    found = in_its_light(np.where(heavy, dim, 3 * usual), mean, spread, frame)
    np.testing.assert_allclose(found, dim, rtol=1e-12)


@pytest.mark.parametrize("frame", [RGB, XRAY])
def test_no_other_light_brings_the_usual_picture_nearer(frame):
    rng = np.random.default_rng(3)
    spread = rng.uniform(0.001, 0.05, MEAN.shape)
    cells = lit(0.98, frame) + 2 * spread * rng.standard_t(2, MEAN.shape)
    least = (np.abs(cells - in_its_light(cells, MEAN, spread, frame)) / spread).sum()
    others = [lit(gain, frame) for gain in np.linspace(0.95, 1.05, 41)]
    assert least <= min((np.abs(cells - other) / spread).sum() for other in others)


@pytest.mark.parametrize("frame", [("infrared", "K"), ("points", "mm"), ("depth", "mm")])
def test_light_has_no_part_in_temperatures_and_heights(frame):
    assert in_its_light(1.02 * MEAN, MEAN, SPREAD, frame) is MEAN
    assert np.isnan(light_of(1.02 * MEAN, MEAN, SPREAD, frame))


@pytest.mark.parametrize(("cells", "mean"), [(np.full_like(MEAN, np.nan), MEAN), (MEAN, 0 * MEAN)])
def test_what_shows_nothing_has_no_light(cells, mean):
    assert in_its_light(cells, mean, SPREAD, RGB) is mean
    assert np.isnan(light_of(cells, mean, SPREAD, RGB))


@pytest.mark.parametrize("gain", [0.95, 0.97, 1.03, 1.05])
def test_a_part_in_a_little_other_light_is_judged(familiar, gain, monkeypatch):
    assert familiar.why_not(scene(99, gain)) == ""
    monkeypatch.setattr(light, "FORGIVEN", 0.0)
    assert "looks like no part that was learnt" in familiar.why_not(scene(99, gain))


@pytest.mark.parametrize(("dimmed", "other"), [("rgb", "xray"), ("xray", "rgb")])
def test_each_sensor_is_held_in_its_own_light(familiar, dimmed, other):
    usual = scene(99)
    part = usual.assign({dimmed: scene(99, 0.96)[dimmed]})
    assert familiar.why_not(part) == ""
    assert familiar.of(part) == pytest.approx(familiar.of(usual), rel=0.05)
    part = usual.assign({dimmed: scene(99, 0.8)[dimmed]})
    assert familiar.of(part)[other] == familiar.of(usual)[other]
    told = familiar.why_not(part).partition("learnt: ")[2]
    assert dimmed in told
    assert other not in told


@pytest.mark.parametrize(
    "odd",
    [
        scene(99, 1.2),
        scene(99, 0.8),
        scene(99, 0.02),
        scene(99, part=OTHER),
        scene(99, 0.97, part=OTHER),
        scene(99, part=PART[::-1, ::-1]),
        scene(99, part=np.roll(PART, 4, 1)),
    ],
    ids=["bright", "dim", "black", "other", "other dim", "turned", "shifted"],
)
def test_much_light_and_another_pattern_stay_strange(familiar, odd):
    odd_ones = familiar.why_not(odd).partition("learnt: ")[2]
    assert "rgb" in odd_ones
    assert "xray" in odd_ones


def test_parts_learnt_in_changing_light_teach_the_pattern_as_well():
    gains = np.random.default_rng(1).uniform(0.96, 1.04, 40)
    steady, changing = familiar_with(np.ones(40)), familiar_with(gains)
    for name in ("rgb", "xray"):
        assert np.median(changing.spread[name]) > 2 * np.median(steady.spread[name])
        assert np.median(changing.pattern[name]) == pytest.approx(
            np.median(steady.pattern[name]), rel=0.1
        )
    pushed = scene(99, part=np.roll(PART, 1, 1))
    assert changing.of(pushed) == pytest.approx(steady.of(pushed), rel=0.1)
    assert changing.why_not(pushed)


def test_a_model_of_old_counts_in_the_spreads_that_it_knows(familiar):
    arrays, told = familiar.state()
    again = Familiar.from_state(arrays, told)
    assert again.of(scene(7)) == familiar.of(scene(7))
    old = {key: held for key, held in arrays.items() if not key.endswith("/pattern")}
    aged = Familiar.from_state(old, told)
    assert all((aged.pattern[name] == familiar.spread[name]).all() for name in ("rgb", "xray"))
    assert aged.why_not(scene(7, 0.97)) == ""
    assert aged.why_not(scene(7, 1.2))

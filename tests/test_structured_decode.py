"""Codes and decoding: round trips, phases solved by hand, what cannot be believed."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.errors import SensorError
from mmdefect.structured._loops import DARK, SATURATED, UNSURE
from mmdefect.structured.codes import Code, common_unit, complete
from mmdefect.structured.decode import Limits, decode_files, decode_frames
from mmdefect.structured.patterns import draw, lines, write_patterns
from mmdefect.structured.stack import write_stack
from mmdefect.structured.unwrap import PER_PX, chain, table

pytestmark = pytest.mark.usefixtures("three_threads")

WIDE = (320, 24)
EVERY = [
    ("gray", (18.0,)),
    ("gray", ()),
    ("binary", (18.0,)),
    ("binary", ()),
    ("temporal", (18.0,)),
    ("heterodyne", (18.0,)),
    ("number", (18.0,)),
    ("number", (18.0, 19.0)),
]


def seen(code: Code, *, gain: float = 0.7, offset: float = 20, noise: float = 0, seed: int = 0):
    """What a camera whose pixels are the projector's records."""
    rng = np.random.default_rng(seed)
    shown = np.stack(list(draw(code))).astype(np.float64)
    counts = gain * shown + offset + noise * rng.standard_normal(shown.shape)
    return np.clip(np.rint(counts), 0, 255).astype(np.uint8)


# ---------------------------------------------------------------- patterns


@pytest.mark.parametrize(("name", "periods"), EVERY)
@pytest.mark.parametrize("axes", [("column",), ("row",), ("column", "row")])
def test_every_pixel_of_the_projector_is_told_apart(name, periods, axes):
    code = complete(name, WIDE, periods, steps=8, axes=axes)
    decoded = decode_frames(code, seen(code))
    assert decoded.valid.all()
    rows, columns = np.mgrid[: WIDE[1], : WIDE[0]]
    for axis, truth in (("column", columns), ("row", rows)):
        if axis in axes:
            np.testing.assert_allclose(decoded.places[axis], truth, atol=0.03 if periods else 0.01)
    assert set(decoded.places) == set(axes)


@pytest.mark.parametrize(("name", "periods"), EVERY)
def test_noise_is_as_large_as_the_spread_says(name, periods):
    code = complete(name, WIDE, periods)
    decoded = decode_frames(code, seen(code, noise=2.0))
    assert decoded.valid.all()
    error = decoded.places["column"] - np.arange(WIDE[0])
    assert np.abs(error).max() < 0.5
    if periods:
        np.testing.assert_allclose(error.std(), decoded.spreads["column"].mean(), rtol=0.05)
        assert decoded.snr.mean() == pytest.approx(0.35 * 255 * 2 / 2, rel=0.02)


def test_neighbouring_words_of_the_gray_code_differ_in_one_stripe():
    code = Code("gray", (64, 8), periods=())
    stripes = [lines(code, group)[0] for group in code.groups() if group.kind == "stripe"]
    words = np.stack(stripes, axis=1)
    assert len({tuple(word) for word in words}) == 64
    assert all(np.abs(a - b).sum() == 1 for a, b in pairwise(words))


def test_a_phase_worked_out_by_hand_is_found():
    """Four steps of a fringe at a quarter of a period: cos(90° - 0°, 90°, 180°, 270°)."""
    code = Code("temporal", (20, 2), periods=(20.0,), steps=4, references=False)
    frames = np.array([100, 160, 100, 40], np.uint8).reshape(4, 1, 1).repeat(2, 1).repeat(3, 2)
    decoded = decode_frames(code, frames)
    np.testing.assert_allclose(decoded.places["column"], 5.0, atol=1e-4)
    np.testing.assert_allclose(decoded.modulation, 60.0, rtol=1e-6)
    # σ_φ = √(2/N) σ / B in rad, times the period over 2π
    np.testing.assert_allclose(
        decoded.spreads["column"], np.sqrt(2 / 4) * 2 / 60 * 20 / (2 * np.pi), rtol=1e-5
    )


def test_a_gray_edge_is_found_between_pixels():
    """The share of a cell follows from the differences of the two stripes that end there."""
    code = Code("gray", (4, 2), periods=(), references=False)
    coarse, fine = (160, 20), (110, 50)  # bit 1 and bit 0 set: word 0b11, cell 2
    frames = np.array([*coarse, *fine], np.uint8).reshape(4, 1, 1)
    decoded = decode_frames(code, frames, Limits(sure=0))
    # cell 2 starts at an edge of the coarse stripe: share = |140| / (|140| + |60|)
    np.testing.assert_allclose(decoded.places["column"], 2 + 140 / 200 - 0.5, rtol=1e-6)


@pytest.mark.parametrize("name", ["gray", "temporal", "heterodyne", "number"])
def test_a_projectors_gamma_is_undone_or_outvoted(name):
    """Three steps need the gamma; eight do without."""
    for steps, gamma, worst in ((3, 2.2, 0.06), (8, 1.0, 0.06), (3, 1.0, 999.0)):
        code = complete(name, WIDE, (18.0,), steps=steps, gamma=gamma)
        shown = np.stack(list(draw(code))) / 255.0
        decoded = decode_frames(code, np.rint(200 * shown**2.2 + 10).astype(np.uint8))
        error = np.abs(decoded.places["column"] - np.arange(WIDE[0]))[decoded.valid]
        assert error.size > 0
        assert np.quantile(error, 0.99) < worst
        if worst > 1:
            assert np.quantile(error, 0.9) > 0.1


# ---------------------------------------------------------------- exposures, masks, streams


def test_shiny_and_dark_parts_are_taken_from_the_exposure_that_suits_them():
    code = complete("gray", WIDE, (18.0,))
    gains = np.full(WIDE[::-1], 0.6)
    gains[:8], gains[8:16] = 6.0, 0.03
    shown = np.stack(list(draw(code))).astype(np.float64)
    rng = np.random.default_rng(0)

    def expose(time):
        counts = time * (gains * shown + 8) + rng.normal(0, 2, shown.shape)
        return np.clip(np.rint(counts), 0, 255).astype(np.uint8)

    middle = expose(1.0)
    alone = decode_frames(code, middle)
    merged = decode_frames(code, [middle, expose(0.1), expose(10.0)])
    assert (alone.flags[:8] & SATURATED).mean() > 0.9
    assert (alone.flags[8:16] & DARK).all()
    assert alone.valid[16:].all()
    assert merged.valid.all()
    assert np.abs(merged.places["column"] - np.arange(WIDE[0])).max() < 0.3


def test_shadow_saturation_and_doubt_are_told_apart():
    code = complete("heterodyne", WIDE, (18.0,))
    frames = seen(code)
    frames[:, 0:4] = 30
    frames[5, 4:8] = 255
    third = next(g for g in code.groups() if g.kind == "fringe")
    mixed = frames[third.first : third.first + third.count, 8:12]
    frames[third.first : third.first + third.count, 8:12] = np.roll(mixed, 3, axis=0)
    decoded = decode_frames(code, frames)
    assert (decoded.flags[0:4] & DARK).all()
    assert (decoded.flags[4:8] & SATURATED).all()
    assert (decoded.flags[8:12] & UNSURE).mean() > 0.9
    assert decoded.valid[12:].all()


@pytest.mark.parametrize(("name", "periods"), EVERY)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_streamed_stack_gives_what_one_in_memory_gives(tmp_path, name, periods, depth):
    from PIL import Image

    code = complete(name, (64, 24), periods, axes=("column", "row"))
    exposures = [seen(code, gain=gain, noise=2).astype(depth) for gain in (0.2, 0.9)]
    named = []
    for number, frames in enumerate(exposures):
        named.append([f"{number}_{place}.png" for place in range(len(frames))])
        for file, frame in zip(named[-1], frames, strict=True):
            Image.fromarray(frame).save(tmp_path / file)
    stack = write_stack(tmp_path, code, named, white=255)
    whole = decode_frames(code, exposures, white=255)
    for held in (2, 3, 100):
        streamed = decode_files(stack, held=held)
        np.testing.assert_array_equal(streamed.flags, whole.flags)
        for axis in code.axes:
            np.testing.assert_allclose(streamed.places[axis], whole.places[axis], atol=2e-3)


def test_patterns_are_a_stack_that_decodes_to_the_projector(tmp_path):
    stack = write_patterns(tmp_path, (96, 40), "number", periods=(16,), axes=("column", "row"))
    decoded = decode_files(tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == len(stack.code) == 2 + 2 * 3 * 8
    full = Limits(saturation=2.0)  # white reaches 255 in the patterns themselves
    decoded = decode_files(tmp_path, full)
    assert decoded.valid.all()
    np.testing.assert_allclose(decoded.places["row"][:, 0], np.arange(40), atol=0.02)


# ---------------------------------------------------------------- unwrapping


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["temporal", "heterodyne", "number"]),
    extent=st.integers(40, 2000),
    period=st.floats(14, 40),
)
def test_chosen_periods_tell_every_place_apart(name, extent, period):
    code = complete(name, (extent, 2), (period,), references=False)
    place = np.linspace(-0.5, extent - 0.5, 97)
    turns = np.stack([place / p for p in code.periods])
    shift = np.arange(code.steps)[:, None, None] / code.steps
    frames = 30000 + 25000 * np.cos(2 * np.pi * (turns - shift))
    order = [g.index for g in code.groups()]
    stack = np.concatenate([frames[:, index] for index in order])
    counts = np.rint(stack).astype(np.uint16)[:, None, :]
    decoded = decode_frames(code, counts)
    assert decoded.valid.all()
    np.testing.assert_allclose(decoded.places["column"][0], place, atol=0.02)


@settings(max_examples=40, deadline=None)
@given(
    factors=st.sampled_from([(5, 6, 7), (7, 8, 9), (9, 10, 11), (5, 7, 9), (11, 12), (8, 9)]),
    unit=st.floats(1.0, 3.0),
    data=st.data(),
)
def test_remainders_tell_the_fringe_in_spite_of_noise(factors, unit, data):
    periods = tuple(unit * factor for factor in factors)
    extent = int(unit * np.prod(factors) - max(periods)) - 4
    runs = table(periods, extent)
    x = data.draw(st.floats(0, extent - 1))
    rest = [(x + data.draw(st.floats(-0.2, 0.2)) * unit) % p for p in periods]
    row = round((rest[0] - rest[1] + periods[1]) * PER_PX)
    column = round((rest[0] - rest[2] + periods[2]) * PER_PX) if len(periods) > 2 else 0
    found = rest[0] + periods[0] * runs[min(row, len(runs) - 1), min(column, runs.shape[1] - 1)]
    assert abs(found - x) <= 0.2 * unit + 1e-6


@settings(max_examples=60, deadline=None)
@given(extent=st.integers(40, 4000), period=st.floats(8, 40), x=st.floats(0, 1))
def test_beats_lead_from_the_whole_projector_to_the_finest_fringe(extent, period, x):
    periods = complete("heterodyne", (extent, 2), (period,)).periods
    factors, lengths = chain("heterodyne", periods, extent)
    assert lengths[0] >= extent
    assert lengths[-1] == periods[0]
    place = x * (extent - 1)
    for factor, length in zip(factors, lengths, strict=True):
        phase = sum(f * place / p for f, p in zip(factor, periods, strict=True))
        off = (phase - place / length) % 1
        assert min(off, 1 - off) < 1e-6


def test_a_common_unit_is_found_where_there_is_one():
    assert common_unit((16.0, 17.0)) == (1.0, (16, 17))
    unit, factors = common_unit((14.4, 16.0, 17.6))
    assert (round(unit, 9), factors) == (1.6, (9, 10, 11))
    assert common_unit((16.0, 18.0, 20.0)) is None
    assert common_unit((10.0, 14.1421356)) is None


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "morse"}, r"the code is 'morse', but one of gray, .* was promised"),
        ({"size": (0, 10)}, r"size is \(0, 10\), but \[columns, rows\] up to 16384"),
        ({"axes": ("row", "column")}, "column, row or both"),
        ({"axes": ()}, "column, row or both"),
        ({"steps": 2}, "steps is 2, but 3 to 64 was promised"),
        ({"gamma": 0.0}, r"gamma is 0.0, but 0.1 to 10"),
        ({"periods": (20.0, 18.0)}, "px, rising"),
        ({"periods": (float("nan"),)}, "px, rising"),
        ({"name": "number", "periods": (16.0, 18.0, 20.0)}, "coprime multiples of one unit"),
        ({"name": "number", "periods": (9000.0, 9001.0)}, "2 to 64 px, rising"),
        ({"name": "number", "periods": (5.0, 6.0)}, "tell 22 px apart, but 320 px were"),
        ({"name": "heterodyne", "periods": (18.0, 22.0)}, "tell 99 px apart, but 320 px"),
        ({"name": "temporal", "periods": (18.0, 100.0)}, "tell 100 px apart, but 320 px"),
        ({"name": "temporal", "periods": ()}, "0 periods are given, but 1 to 6"),
    ],
)
def test_what_makes_no_code_is_refused(change, told):
    with pytest.raises(SensorError, match=told):
        Code(**({"name": "gray", "size": WIDE} | change))


def test_no_remainders_near_a_short_period_are_refused():
    with pytest.raises(SensorError, match="cannot tell 4000 px apart by remainders"):
        complete("number", (4000, 2), (4.0,))


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ([np.zeros((5, 3, 4), np.uint8)], r"5 frames were given, but the code 'gray' shows 22"),
        ([np.zeros((22, 3, 4), np.float32)], "float32 of shape .* 8 or 16-bit frames"),
        ([np.zeros((22, 3), np.uint8)], "8 or 16-bit frames"),
        ([np.zeros((22, 3, 4), np.uint8), np.zeros((22, 3, 5), np.uint8)], "alike for all"),
        ([], "no exposure was given"),
    ],
)
def test_frames_that_are_not_the_codes_are_refused(frames, told):
    with pytest.raises(SensorError, match=told):
        decode_frames(complete("gray", WIDE, (18.0,)), frames)


@pytest.mark.parametrize("limit", ["snr", "noise", "saturation", "apart"])
def test_limits_are_numbers(limit):
    with pytest.raises(SensorError, match=f"{limit} is (-1|nan)"):
        Limits(**{limit: -1})
    with pytest.raises(SensorError, match=f"{limit} is nan"):
        Limits(**{limit: float("nan")})
    with pytest.raises(SensorError, match="neighbours is 9, but 0 to 8"):
        Limits(neighbours=9)

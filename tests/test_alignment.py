"""Warps between contrasts: planted ones are found, and what cannot be known is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from mmdefect.alignment import Alignment, Trust, Warp, refine, together
from mmdefect.alignment.climb import EdgeMeasure, climb, gathered
from mmdefect.alignment.edges import edges_of, picture_of
from mmdefect.alignment.information import BINS, InformationMeasure, information
from mmdefect.alignment.refine import lowered, pyramid
from mmdefect.alignment.warps import MODELS, corners_of, frame_of, pixels_of, sampled, slopes
from mmdefect.errors import RegistrationError

SIZE = (160, 192)
SPANS = np.array([4, 4, 2, 2, 2, 2, 0.8, 0.8])

numbers = st.lists(st.floats(-4, 4), min_size=8, max_size=8).map(np.array)


def part(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Levels of a made-up part: plates of random places, (y, x), whole numbers."""
    rng = np.random.default_rng(seed)
    levels = np.zeros(size)
    for level in range(1, 32):
        top, left = (rng.integers(6, side - 30) for side in size)
        high, wide = rng.integers(8, 24, 2)
        levels[top : top + high, left : left + wide] = level
    return levels


def contrast(levels: np.ndarray, seed: int, noise: float = 0.02) -> np.ndarray:
    """What a sensor sees of them: grey values that follow from the levels in no order."""
    rng = np.random.default_rng([seed, 9])
    grey = rng.uniform(0, 1, 32)[levels.astype(int)]
    return gaussian_filter(grey, 0.8) + rng.normal(0, noise, levels.shape)


def planted(model: str, seed: int) -> tuple[np.ndarray, np.ndarray, Warp]:
    """Two contrasts of one part, the second warped, and the warp between them."""
    rng = np.random.default_rng([seed, 4])
    warp = Warp.of(rng.uniform(-1, 1, MODELS[model]) * SPANS[: MODELS[model]], SIZE)
    second = contrast(part(seed), seed + 1)
    return contrast(part(seed), seed), sampled(second, warp, SIZE), warp.inverse()


@given(one=numbers, other=numbers)
def test_warps_compose_as_their_points_do(one, other):
    first, second = Warp.of(one, SIZE), Warp.of(other, SIZE)
    corners = corners_of(SIZE)
    np.testing.assert_allclose(
        (second @ first).at(corners), second.at(first.at(corners)), atol=1e-6
    )


@given(told=numbers)
def test_a_warp_and_its_inverse_undo_each_other(told):
    warp = Warp.of(told, SIZE)
    corners = corners_of(SIZE)
    np.testing.assert_allclose(warp.inverse().at(warp.at(corners)), corners, atol=1e-6)
    assert (warp @ warp.inverse()).apart(Warp(), corners).max() < 1e-6


@given(told=numbers, steps=st.integers(-3, 3))
def test_a_warp_told_on_halved_pictures_is_the_same_warp(told, steps):
    warp = Warp.of(told, SIZE)
    back = lowered(lowered(warp, steps), -steps)
    assert back.apart(warp, corners_of(SIZE)).max() < 1e-6


@pytest.mark.parametrize("model", MODELS)
def test_slopes_are_how_pixels_move_with_a_warps_numbers(model):
    moves, step = slopes(SIZE, model), 1e-4
    for number in range(MODELS[model]):
        told = np.zeros(MODELS[model])
        told[number] = step
        moved = (Warp.of(told, SIZE).at(pixels_of(SIZE)) - pixels_of(SIZE)) / step
        np.testing.assert_allclose(np.moveaxis(moves[number], 0, -1), moved, atol=1e-4)


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.eye(2)])
def test_a_matrix_that_is_no_warp_is_refused(bad):
    with pytest.raises(RegistrationError, match="invertible 3x3 matrix"):
        Warp(bad)


def test_pixels_beyond_the_horizon_are_nowhere():
    tilted = Warp(np.array([[1, 0, 0], [0, 1, 0], [-0.02, 0, 1.0]]))
    assert np.isfinite(tilted.at(np.array([[10.0, 0.0]]))).all()
    assert np.isnan(tilted.at(np.array([[60.0, 0.0]]))).all()


def test_sampling_outside_a_frame_gives_nothing():
    out = sampled(np.ones((20, 30)), Warp.shift(5, 0), (20, 30))
    assert np.isnan(out[:, 25:]).all()
    np.testing.assert_allclose(out[:, :25], 1)


def test_edges_forget_the_sign_of_a_contrast_and_its_gain():
    one = picture_of(contrast(part(), 3))
    other = picture_of(5 - 7 * one.values)
    np.testing.assert_allclose(edges_of(one).tensor, edges_of(other).tensor, atol=2e-3)


def test_holes_of_a_picture_are_filled_and_only_large_ones_are_told():
    frame = contrast(part(), 0)
    frame[5, 5] = frame[40:60, 40:60] = np.nan
    found = picture_of(frame)
    assert np.isfinite(found.values).all()
    assert found.seen[5, 5]
    assert not found.seen[40:60, 40:60].any()
    assert (~found.seen).sum() == 400


@pytest.mark.parametrize("make", [EdgeMeasure, InformationMeasure])
def test_the_pull_on_a_warp_is_the_slope_of_the_measure(make):
    one, other, truth = planted("affine", 2)
    measure = make(picture_of(one), picture_of(other))
    start = truth @ Warp.shift(0.8, -0.6)
    pull, bend = gathered(measure.at(start), slopes(SIZE, "shift").astype(np.float32))
    for number, push in enumerate([(0.1, 0.0), (0.0, 0.1)]):
        ahead = measure.at(start @ Warp.shift(*push)).value
        behind = measure.at(start @ Warp.shift(-push[0], -push[1])).value
        assert pull[number] == pytest.approx((ahead - behind) / 0.2, rel=0.25)
    assert np.linalg.eigvalsh(bend).min() > 0


def test_information_is_that_of_the_joint_histogram():
    rng = np.random.default_rng(0)
    same = rng.integers(0, 4, 20_000) * 5.0
    value, _, _ = information(same, same, np.ones(len(same)))
    assert value == pytest.approx(np.log(4), abs=1e-3)
    other = rng.integers(0, 4, 20_000) * 5.0
    assert information(same, other, np.ones(len(same)))[0] < 1e-3
    assert same.max() < BINS


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_warp_between_two_contrasts_is_found(model, seed):
    one, other, truth = planted(model, seed)
    found = refine(one, other, model=model)
    assert found.trusted, found.trust
    assert found.warp.apart(truth, pixels_of(SIZE)).mean() < 0.2
    assert found.trust.predicted < 0.3
    assert found.trust.agreement < 0.5


def test_mutual_information_finds_it_too():
    one, other, truth = planted("affine", 1)
    pictures = picture_of(one), picture_of(other)
    start = truth @ Warp.shift(0.7, 0.7)
    found = climb(InformationMeasure(*pictures), start, "affine")
    assert found.warp.apart(truth, pixels_of(SIZE)).mean() < 0.2


def test_frames_of_two_sizes_are_aligned_corner_on_corner():
    one = contrast(part(4), 4)
    half = contrast(part(4), 5).reshape(80, 2, 96, 2).mean((1, 3))
    found = refine(one, half)
    truth = Warp.between(SIZE, half.shape)
    assert found.trusted
    assert found.warp.apart(truth, pixels_of(SIZE)).mean() < 0.15


def test_a_frame_that_is_blind_in_places_is_aligned_by_the_rest():
    one, other, truth = planted("affine", 5)
    other[20:60, 30:70] = np.nan
    found = refine(one, other)
    assert found.trusted
    assert found.warp.apart(truth, pixels_of(SIZE)).mean() < 0.3


def unrelated(what: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    if what == "flat":
        return np.full(SIZE, 0.5)
    if what == "noise":
        return rng.normal(0, 1, SIZE)
    if what == "blind":
        return np.full(SIZE, np.nan)
    if what == "stripes":
        return np.broadcast_to(np.sin(np.arange(SIZE[1]) / 2.0), SIZE).copy()
    return contrast(part(77), 6)


@pytest.mark.parametrize("what", ["flat", "noise", "blind", "stripes", "another part"])
def test_what_has_nothing_in_common_is_refused(what):
    found = refine(contrast(part(6), 6), unrelated(what))
    assert not found.trusted
    assert found.trust.refusal


def test_a_pattern_that_fits_in_several_places_is_refused():
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    dots = np.sin(rows * 2 * np.pi / 8) * np.sin(columns * 2 * np.pi / 8)
    assert not refine(dots, np.roll(dots, 3, 1), model="shift").trusted


def test_what_cannot_be_aligned_is_said():
    with pytest.raises(RegistrationError, match=r"no warp model 'spline'; there are: shift"):
        refine(part(), part(), model="spline")
    with pytest.raises(RegistrationError, match="10x10 pixels cannot be aligned"):
        refine(np.zeros((10, 10)), part())


def test_the_coarsest_pictures_keep_something_to_see():
    levels = pyramid(picture_of(part()), picture_of(part()))
    assert [one.size for one, _ in levels] == [(160, 192), (80, 96), (40, 48)]


def test_a_rigid_warp_keeps_lengths_and_a_similarity_shapes():
    corners = corners_of(SIZE)
    sides = np.linalg.norm(corners[1:] - corners[0], axis=1)
    for told, growth in (([3, -2, 40], 1.0), ([3, -2, 0, 25], 1 + 25 / frame_of(SIZE)[0])):
        moved = Warp.of(np.array(told), SIZE).at(corners)
        found = np.linalg.norm(moved[1:] - moved[0], axis=1)
        np.testing.assert_allclose(found, growth * sides, rtol=1e-9)
    right, down = Warp.of(np.array([0, 0, 5.0]), SIZE).at(corners[1]) - corners[1]
    assert min(right, down) > 0


def estimate(right: float, down: float = 0.0, refusal: str = "") -> Alignment:
    return Alignment(Warp.shift(right, down), Trust(0.5, 0.1, 0.1, 0.0, 0.0, refusal))


def test_several_captures_say_where_the_warp_is_and_how_sure_it_is():
    rng = np.random.default_rng(1)
    every = [estimate(*rng.normal([2, -1], 0.2)) for _ in range(400)]
    found = together([*every, estimate(9), estimate(2, refusal="no")], SIZE)
    assert found.trusted
    np.testing.assert_allclose(found.warp.matrix[:2, 2], [2, -1], atol=0.05)
    assert found.trust.predicted == pytest.approx(0.2 * np.sqrt(2 / 400), rel=0.1)
    assert found.trust.agreement < 0.1
    assert together(every[:1], SIZE) is every[0]


def test_several_captures_that_contradict_each_other_are_refused():
    torn = [estimate(right) for right in (0, 4, 8, 12, 16, 20, 24)]
    assert "parts of the picture" not in together([estimate(1)] * 3, SIZE).trust.refusal
    assert not together(torn, SIZE).trusted
    told = together([estimate(1), estimate(1, refusal="no"), estimate(1, refusal="no")], SIZE)
    assert told.trust.refusal == "only 1 of 3 captures can be aligned and agree"
    with pytest.raises(RegistrationError, match="no capture was given"):
        together([], SIZE)

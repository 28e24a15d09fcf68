"""A bumped camera is noticed, and where it could not be, that is said."""

import numpy as np
import pytest
import xarray as xr
from test_alignment import contrast, part

from mmdefect.alignment import KnownPair, KnownPairs, Warp
from mmdefect.alignment.warps import pixels_of, sampled
from mmdefect.captures import Capture
from mmdefect.doctor.bumped import BumpCheck, plane_warp, small, usual_place
from mmdefect.doctor.findings import DOUBTFUL, Seen
from mmdefect.errors import RegistrationError
from mmdefect.registration import Plane
from mmdefect.simulate.station import station

SIZE = (96, 112)
LEVELS = part(3, SIZE)
ATTRS = {"modality": "infrared", "units": "relative"}


def capture(number: int, split: str = "train") -> Capture:
    return Capture("plates", split, "good", f"{number:03d}", "good", {})


def frame(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values.astype(np.float32), dims=("y", "x"), attrs=ATTRS)


def frames(number: int, bump: tuple[float, float] = (0, 0), *, what: str = "part") -> dict:
    """Two contrasts of a part that lies otherwise in every capture; the second may be bumped."""
    rng = np.random.default_rng([number, 5])
    pose = Warp.of(rng.uniform(-1, 1, 6) * [1.5, 1.5, 1, 1, 1, 1], SIZE)
    seen = {}
    for sensor, seed, away in (("rgb", 1, Warp()), ("infrared", 2, Warp.shift(*bump))):
        values = sampled(contrast(LEVELS, seed, 0.0), pose @ away, SIZE)
        if what == "noise" and sensor == "infrared":
            values = rng.normal(0, 1, SIZE)
        seen[sensor] = frame(values + rng.normal(0, 0.01, SIZE))
    return seen


def checked(bumps: list[tuple[float, float]], *, what: str = "part", training: int = 12):
    """What is found after good training captures and some that are bumped."""
    every = {capture(number).id: frames(number, what=what) for number in range(training)}
    captures = [capture(number) for number in range(training)]
    check = BumpCheck("plates", "infrared", "rgb", captures, lambda one, _: every[one.id])
    for one in captures:
        check.look(Seen(one, every[one.id]))
    for number, bump in enumerate(bumps):
        told = capture(100 + number, "test")
        check.look(Seen(told, frames(100 + number, bump, what=what)))
    return list(check.findings())


def test_a_bump_of_two_pixels_is_found_and_good_captures_are_not_blamed():
    place, told = checked([(0, 0), (2, 0), (-1.2, 1.6), (0, 0)])
    assert "the place of infrared against rgb repeats to 0." in place.what
    assert "16 of 16 captures were measured" in place.what
    assert told.severity == DOUBTFUL
    assert told.captures == ("plates/test/good/101", "plates/test/good/102")
    assert "in 2 captures infrared lies elsewhere against rgb" in told.what
    assert "(limit 0.6 px)" in told.what


def test_the_bump_is_told_in_the_sensors_pixels():
    _, told = checked([(2, -1)] * 2)
    right, down = (
        float(word) for word in told.what.split() if word[0] in "+-" and word[1:2] in "0123"
    )
    assert abs(right + 2) < 0.4
    assert abs(down - 1) < 0.4


def test_a_sensor_that_shows_nothing_is_not_called_fine():
    (told,) = checked([(0, 0)], what="noise")
    assert "whether infrared was bumped is not measurable" in told.what
    assert "differ too much" in told.what


def test_few_training_captures_say_nothing():
    (told,) = checked([], training=6)
    assert "not measurable: 10 good training captures are needed" in told.what


def test_the_limit_follows_the_spread_of_training():
    rng = np.random.default_rng(0)
    usual, limit = usual_place(rng.normal([3, 1], 0.2, (4000, 2)))
    np.testing.assert_allclose(usual, [3, 1], atol=0.02)
    assert limit == pytest.approx(1.0, rel=0.05)
    assert usual_place(np.zeros((20, 2)))[1] == 0.6
    assert usual_place(np.zeros((2, 2)))[1] == float("inf")


def test_known_captures_register_another_part_of_the_kind():
    pairs = []
    for number in range(4):
        seen = frames(number)
        pairs.append(KnownPair(seen["rgb"].values, seen["infrared"].values, Warp()))
    seen = frames(9, (2.5, -1.5))
    found = KnownPairs(pairs).refine(seen["rgb"].values, seen["infrared"].values)
    assert found.trusted, found.trust
    away = found.warp.apart(Warp.shift(-2.5, 1.5), pixels_of(SIZE))
    assert away[10:-10, 10:-10].mean() < 0.2
    with pytest.raises(RegistrationError, match="two at least were promised"):
        KnownPairs(pairs[:1])
    close = KnownPairs(pairs, part="similarity")
    shared = [frames(number, (2.5, -1.5)) for number in (9, 10, 11)]
    one = close.refine_together([(seen["rgb"].values, seen["infrared"].values) for seen in shared])
    assert one.trusted, one.trust
    away = one.warp.apart(Warp.shift(-2.5, 1.5), pixels_of(SIZE))
    assert away[10:-10, 10:-10].mean() < 0.3


def test_large_frames_are_halved_and_a_scanners_holes_bridged():
    cloud = frame(np.full((400, 300), 2.0))
    cloud.values[100:200, 100:200] = np.nan
    picture, steps = small(cloud)
    assert picture.shape == (100, 75)
    assert steps == 2
    assert np.isnan(picture).any()
    cloud.attrs["modality"] = "depth"
    assert np.isfinite(small(cloud)[0]).all()


@pytest.mark.parametrize("sensor", ["infrared", "xray"])
def test_the_rigs_plane_tells_how_pixels_lie(sensor):
    rig = station(128)
    assert isinstance(rig.surface, Plane)
    pixels = np.array([[64.0, 64.0], [50.0, 70.0]])
    eye = rig.cameras["rgb"]
    rays = eye.directions(pixels)
    far = (rig.surface.point[2] - eye.centre[2]) / rays[:, 2:]
    wanted = rig.cameras[sensor].project(eye.centre + rays * far)
    assert np.abs(plane_warp(rig, sensor).at(pixels) - wanted).max() < 0.2

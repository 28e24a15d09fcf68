"""A patch beside its nearest good one: the right pixels, one scale, and none where none can be."""

import base64
from io import BytesIO

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from shown import SENSORS, good_parts, match_of, scene_of

from mmdefect.report.colors import COLOR_MAPS
from mmdefect.viewer.beside import beside


def picture_of(told, whose) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(told[whose]["picture"])))


def values_of(told, whose) -> np.ndarray:
    """Values of a picture, read back from its colours; NaN where it is grey."""
    levels = np.asarray(picture_of(told, whose)).astype(float)
    first, last = told["ends"]
    count = len(COLOR_MAPS[told["colors"]])
    return np.where(levels == count, np.nan, first + levels / (count - 1) * (last - first))


def ramped(slope: float, at: float) -> xr.Dataset:
    """A scene whose temperature rises to the right, 0 above its median at a column."""
    scene = scene_of(width=96, height=96)
    scene["infrared"][:] = 300 + slope * (np.arange(96) - at)
    return scene


def test_both_pictures_hold_what_lies_around_their_patches_in_one_scale():
    told = beside(ramped(0.1, 47), match_of(), good_parts())
    own = values_of(told, "own")
    assert own.shape == (48, 48)
    step = (told["ends"][1] - told["ends"][0]) / 31
    expected = 0.1 * (np.arange(20, 68) - 47)  # the patch lies at x 44.5
    np.testing.assert_allclose(own[0], expected.clip(*told["ends"]), atol=0.51 * step)
    assert told["ends"] == pytest.approx((-1.5, 1.0), abs=0.15)  # 12 px around, and the good bowl
    assert (told["quantity"], told["unit"]) == ("temperature less its part's median", "K")


@pytest.mark.parametrize("sensor", SENSORS)
def test_every_sensor_has_pictures_with_its_patch_in_them(sensor):
    told = beside(scene_of(), match_of(sensor), good_parts())
    for whose, x, y in (("own", 44.5, 23.5), ("good", 60.0, 5.0)):
        assert picture_of(told, whose).size == (48, 48)
        left, top, width, height = told[whose]["patch"]
        assert (width, height) == (pytest.approx(4 / 48, abs=1e-4),) * 2
        corner = np.clip(round(x - 24), 0, 16)
        assert left * 48 + corner + 2 == pytest.approx(x + 0.5, abs=0.01)
        assert top * 48 + 2 == pytest.approx(y + 0.5, abs=0.01)
    assert ("ends" in told) == (sensor != "rgb")


def test_what_absorbs_more_is_darker():
    told = beside(scene_of(), match_of("xray"), good_parts())
    assert told["ends"][0] > told["ends"][1]
    assert told["quantity"] == "attenuation"


def test_blind_pixels_are_grey_and_a_constant_frame_is_no_error():
    scene = scene_of(constant=True)
    scene["infrared"][23, 44] = np.nan
    told = beside(scene, match_of(), good_parts(constant=True))
    assert told["ends"][1] == told["ends"][0] + 1
    assert np.argwhere(np.isnan(values_of(told, "own"))).tolist() == [[23, 28]]


@pytest.mark.parametrize(
    ("match", "good"),
    [
        (match_of(capture="part/2"), good_parts()),
        (match_of(capture=""), good_parts()),
        (match_of(), good_parts(learnt="another part of that name")),
        (match_of(), good_parts(absent=["infrared"])),
    ],
    ids=["not there", "unknown", "not what was learnt", "sensor absent"],
)
def test_a_good_part_that_cannot_be_shown_is_left_out(match, good):
    assert beside(scene_of(), match, good) is None

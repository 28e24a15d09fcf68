"""The report's pictures, decoded again, and its colours, converted back."""

import base64
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmdefect.report.colors import COLOR_MAPS
from mmdefect.report.pictures import (
    HATCH,
    OUTLINE,
    SIDE,
    map_png,
    overlaid,
    photo_colors,
    shaded,
    shrink,
    shrink_mask,
)


def png(*arguments):
    address = map_png(*arguments)
    encoded = address.removeprefix("data:image/png;base64,")
    return np.asarray(Image.open(BytesIO(base64.b64decode(encoded))).convert("RGB")).astype(int)


def oklab(colors):
    """Convert sRGB to OKLab, the other way round than the package does."""
    share = np.asarray(colors) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    cones = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                      [0.2119034982, 0.6806995451, 0.1073969566],
                      [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
    lab = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                    [1.9779984951, -2.4285922050, 0.4505937099],
                    [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
    return np.cbrt(linear @ cones.T) @ lab.T


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(0, 698))
def test_a_defect_of_one_pixel_survives_shrinking(row, column):
    evidence = np.zeros((1000, 699), dtype=np.float32)
    evidence[row, column] = 30
    small = shrink(evidence, "max")
    assert small.shape == (SIDE, round(699 * SIDE / 1000))
    assert small.max() == 30
    assert (small > 0).sum() == 1
    found = np.argwhere(small > 0)[0]
    assert found == pytest.approx([row * 0.224, column * 0.224], abs=1)
    assert (shrink_mask(evidence > 0) == (small > 0)).all()


def test_frames_shrink_by_the_mean_of_what_is_known():
    values = np.full((448, 448), np.nan)
    values[::2] = 4.0
    values[:2, :2] = [[1, 2], [np.nan, 3]]
    values[10:12, 10:12] = np.nan
    small = shrink(values, "mean")
    assert small[0, 0] == 2
    assert np.isnan(small[5, 5])
    assert np.isnan(small).sum() == 1
    assert small[100, 100] == 4


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 400))
def test_thumbnails_keep_their_shape_and_fit(height, width):
    small = shrink(np.zeros((height, width)), "mean")
    assert max(small.shape) <= SIDE
    assert max(small.shape) > SIDE / 2
    assert small.shape[0] / small.shape[1] == pytest.approx(height / width, rel=1.01 / min(
        small.shape) + 1e-9)  # fmt: skip


def test_blind_pixels_are_hatched_in_grey_that_no_map_has():
    values = np.full((60, 60), 5.0)
    values[10:40, 10:40] = np.nan
    for name in ("score", "height", "temperature"):
        drawn = png(values, name, 0.0, 10.0, None)
        blind = drawn[10:40, 10:40].reshape(-1, 3)
        assert set(map(tuple, blind)) == set(map(tuple, HATCH.astype(int)))
        assert len(set(map(tuple, drawn[:10].reshape(-1, 3)))) == 1
        assert not {*map(tuple, COLOR_MAPS[name])} & {*map(tuple, HATCH)}
    planes = np.stack([values / 10] * 3)
    planes[0, 50, 50] = np.nan
    photo = photo_colors(planes)
    factor = SIDE // 60
    assert {*map(tuple, photo[20 * factor : 30 * factor, 60].tolist())} <= {
        *map(tuple, HATCH.tolist())
    }
    assert photo[50 * factor, 50 * factor].tolist() in HATCH.tolist()
    assert photo[0, 0].tolist() == [128, 128, 128]


def test_the_outline_surrounds_the_mask_and_covers_none_of_it():
    mask = np.zeros((30, 30), dtype=bool)
    mask[10:20, 12:18] = True
    plain = png(np.full((30, 30), 5.0), "score", 0.0, 10.0, None)
    drawn = png(np.full((30, 30), 5.0), "score", 0.0, 10.0, mask)
    changed = (plain != drawn).any(-1)
    assert not changed[mask].any()
    bright = (drawn == OUTLINE[0]).all(-1)
    assert bright.sum() == 12 * 8 - 10 * 6
    assert bright[9, 11:19].all()
    assert changed.sum() == 14 * 10 - 10 * 6


def test_values_beyond_the_scale_take_its_last_colours():
    drawn = png(np.array([[-5.0, 0.0, 10.0, 99.0, np.inf]]), "score", 0.0, 10.0, None)[0]
    assert (drawn[:2] == COLOR_MAPS["score"][0]).all()
    assert (drawn[2:] == COLOR_MAPS["score"][-1]).all()


@pytest.mark.parametrize("name", COLOR_MAPS)
def test_a_colour_map_rises_in_lightness_in_even_steps(name):
    lab = oklab(COLOR_MAPS[name])
    assert (np.diff(lab[:, 0]) > 0).all()
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.min() > 0.75 * steps.mean()
    assert steps.max() < 1.25 * steps.mean()
    linear = ((COLOR_MAPS[name] / 255 + 0.055) / 1.055) ** 2.4
    assert (np.diff(linear @ [0.2126, 0.7152, 0.0722]) > 0).all()


def test_evidence_colours_a_grey_picture_only_where_there_is_some():
    photo = np.full((4, 4, 3), (200, 100, 50), dtype=np.uint8)
    evidence = np.array([[0.0, 10.0, np.nan, 5.0]] * 4)
    laid = overlaid(photo, evidence, 10.0).astype(int)
    grey = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    assert (laid[:, 0] == grey).all()
    assert (laid[:, 2] == grey).all()
    hottest = 0.15 * grey + 0.85 * COLOR_MAPS["score"][-1].astype(float)
    assert laid[0, 1] == pytest.approx(hottest, abs=1)


def test_shading_shows_a_dent_that_colour_hides():
    heights = np.random.default_rng(0).normal(0, 0.001, (100, 100))
    heights[:10] -= 100.0
    y, x = np.indices(heights.shape)
    dent = np.hypot(y - 60, x - 60) < 12
    heights += np.where(dent, 0.05 * (12 - np.hypot(y - 60, x - 60)), 0)
    heights[0, 0] = np.nan
    colors = np.full((100, 100, 3), 120, dtype=np.uint8)
    lit = shaded(colors, heights).astype(int)
    assert np.abs(lit[dent] - 120).mean() > 20
    assert np.abs(lit[90:] - 120).mean() < 10
    assert lit[0, 0].tolist() == [120, 120, 120]
    assert (shaded(colors, np.ones((100, 100))) == colors).all()

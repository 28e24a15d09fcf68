"""The simulated rig: twins, physics, and what the measured contrast says."""

import numpy as np
import pytest
from scipy import ndimage

from mmdefect.errors import CardError
from mmdefect.simulate import KINDS, Capture, render_capture
from mmdefect.simulate.heat import delamination_contrast, surface_rise
from mmdefect.simulate.truth import Grid

DEFECTS = KINDS[1:]
SENSORS = ("rgb", "points", "infrared")
PITCH_MM = Grid(192).pitch
REACH_MM = 16.0


@pytest.fixture(scope="module")
def captures() -> dict[str, list[Capture]]:
    return {kind: [render_capture(kind, index=index) for index in range(6)] for kind in KINDS}


def depth_below(capture: Capture) -> np.ndarray:
    return np.asarray(capture.points[..., 2], np.float64)


def test_another_seed_gives_another_part_in_every_sensor() -> None:
    one, other = (render_capture(seed=seed, size=64) for seed in (3, 4))
    for sensor in SENSORS:
        assert not np.array_equal(getattr(one, sensor), getattr(other, sensor), equal_nan=True)


@pytest.mark.parametrize("kind", DEFECTS)
def test_twins_differ_only_within_the_reach_of_the_defect(
    captures: dict[str, list[Capture]], kind: str
) -> None:
    for good, defect in zip(captures["good"], captures[kind], strict=True):
        far = ndimage.distance_transform_edt(~defect.mask) * PITCH_MM > REACH_MM
        assert 0.2 < far.mean() < 1
        for sensor in SENSORS:
            one, other = getattr(good, sensor)[far], getattr(defect, sensor)[far]
            np.testing.assert_array_equal(one, other, err_msg=sensor)


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_is_seen_by_at_least_one_sensor(
    captures: dict[str, list[Capture]], kind: str
) -> None:
    for capture in captures[kind]:
        assert max(capture.contrast.values()) > 1
        assert set(capture.contrast) == set(SENSORS)


@pytest.mark.parametrize(
    ("kind", "seeing"),
    [
        ("stain", "rgb"),
        ("scratch", "rgb"),
        ("misplaced_label", "rgb"),
        ("delamination", "infrared"),
        ("dent", "points"),
    ],
)
def test_most_defects_show_in_one_sensor_alone(
    captures: dict[str, list[Capture]], kind: str, seeing: str
) -> None:
    contrast = {s: np.mean([c.contrast[s] for c in captures[kind]]) for s in SENSORS}
    blind = [contrast[s] for s in SENSORS if s != seeing]
    assert contrast[seeing] > 2
    assert contrast[seeing] > 2 * max(blind)
    if kind != "dent":  # a dent shades a little, and the twins say so
        assert max(blind) < 0.5


def test_a_missing_fastener_shows_in_every_sensor(captures: dict[str, list[Capture]]) -> None:
    for capture in captures["missing_fastener"]:
        assert min(capture.contrast.values()) > 5


def test_a_good_part_has_no_mask_no_sizes_and_no_contrast(
    captures: dict[str, list[Capture]],
) -> None:
    for capture in captures["good"]:
        assert not capture.mask.any()
        assert capture.sizes == capture.contrast == {}


def test_contrast_is_the_difference_of_the_twins_over_their_noise(
    captures: dict[str, list[Capture]],
) -> None:
    good, stained = captures["good"][2], captures["stain"][2]
    # averaged over the noise instead of taken from the noise-free renderings
    difference = stained.rgb.astype(float) - good.rgb.astype(float)
    noise = stained.renderings["rgb"].noise[stained.mask].mean()
    measured = np.abs(difference[stained.mask]).mean() / noise
    assert stained.contrast["rgb"] == pytest.approx(measured, rel=0.15)


def test_the_drawn_noise_is_the_noise_that_is_stated(captures: dict[str, list[Capture]]) -> None:
    for capture in captures["good"][:3]:
        views = {
            "rgb": (capture.rgb.astype(float), 1 / 12),
            "points": (depth_below(capture), 0),
            "infrared": (capture.infrared, 0),
        }
        for sensor, (frame, rounding) in views.items():
            rendering = capture.renderings[sensor]
            spread = (frame - rendering.signal) / np.sqrt(rendering.noise**2 + rounding)
            spread = spread[np.isfinite(spread) & (np.abs(spread) < 6)]
            assert spread.std() == pytest.approx(1, abs=0.03), sensor
            assert spread.mean() == pytest.approx(0, abs=0.03), sensor


def test_a_dent_is_found_in_the_points_at_the_drawn_depth(
    captures: dict[str, list[Capture]],
) -> None:
    for good, dented in zip(captures["good"], captures["dent"], strict=True):
        sunk = (depth_below(dented) - depth_below(good))[dented.mask]
        # a cosine bowl holds (1/2 - 2/π²) of its depth on average over its circle
        expected = dented.sizes["depth_mm"] * (0.5 - 2 / np.pi**2)
        assert np.nanmean(sunk) == pytest.approx(expected, rel=0.12)
        across = 2 * np.sqrt(dented.mask.sum() / np.pi) * PITCH_MM
        assert across == pytest.approx(dented.sizes["diameter_mm"], abs=0.5)
        assert 0.15 <= dented.sizes["depth_mm"] <= 0.5


def test_a_delamination_is_warm_and_its_mask_is_as_wide_as_drawn(
    captures: dict[str, list[Capture]],
) -> None:
    for good, weak in zip(captures["good"], captures["delamination"], strict=True):
        warmer = (weak.infrared - good.infrared)[weak.mask]
        assert np.nanmean(warmer) > 0.04
        across = 2 * np.sqrt(weak.mask.sum() / np.pi) * PITCH_MM
        assert across == pytest.approx(weak.sizes["diameter_mm"], abs=0.5)
        assert weak.contrast["rgb"] == weak.contrast["points"] == 0


def test_large_shallow_delaminations_stand_out_and_small_deep_ones_hardly_do() -> None:
    drawn = [render_capture("delamination", index=index, size=96) for index in range(30)]
    reach = np.array([c.sizes["diameter_mm"] / c.sizes["depth_mm"] for c in drawn])
    contrast = np.array([c.contrast["infrared"] for c in drawn])
    assert contrast[reach > 10].min() > 3
    assert contrast.min() < 3
    assert np.corrcoef(np.log(reach), np.log(contrast))[0, 1] > 0.5


@pytest.mark.parametrize(
    ("depth", "diameter", "gap", "seconds", "kelvin"),
    [
        # peaks of an independent axisymmetric model, 10 kJ/m², plate of 4 mm
        (0.5, 10, 0.02, 0.5, 2.2),
        (0.5, 10, 0.10, 0.8, 5.0),
        (1.0, 10, 0.02, 1.6, 0.596),
        (1.0, 10, 0.10, 1.9, 1.5),
        (1.0, 4, 0.02, 1.6, 0.263),
        (1.5, 10, 0.02, 3.0, 0.230),
        (1.5, 10, 0.10, 3.2, 0.599),
        (1.5, 4, 0.02, 3.0, 0.068),
        (2.0, 10, 0.10, 5.0, 0.273),
    ],
)
def test_the_heat_model_agrees_with_an_independent_one(
    depth: float, diameter: float, gap: float, seconds: float, kelvin: float
) -> None:
    radius, contrast = delamination_contrast(depth, diameter, gap, seconds)
    assert contrast[0] == pytest.approx(kelvin, rel=0.12)
    assert contrast[0] == contrast.max()
    assert contrast[-1] == 0
    assert np.all(np.diff(radius) > 0)


def test_a_wide_gap_that_insulates_leaves_the_heat_in_the_plies_above() -> None:
    # a plate of 0.5 mm: Q/(ρcL) in the end, when the gap is wide, thick and the time long
    _, contrast = delamination_contrast(0.5, 60, 50.0, 2.0)
    sound = surface_rise(1e4, 2.0)
    assert sound + contrast[0] == pytest.approx(1e4 / (1550 * 930 * 0.5e-3), rel=0.02)


def test_no_gap_gives_no_contrast() -> None:
    _, contrast = delamination_contrast(1.0, 10, 0.0, 2.0)
    assert np.abs(contrast).max() < 1e-6


def test_holes_are_a_plausible_share_and_lie_at_heads_and_edges(
    captures: dict[str, list[Capture]],
) -> None:
    for capture in captures["good"]:
        hole = np.isnan(depth_below(capture))
        assert 0.01 < hole.mean() < 0.25
        middle = hole[80:112, 80:112]
        assert middle.mean() < 0.002
        assert np.array_equal(np.isnan(capture.points).any(axis=-1), hole)


def test_points_lie_on_the_rays_of_the_camera(captures: dict[str, list[Capture]]) -> None:
    x, y, z = np.moveaxis(captures["good"][0].points.astype(np.float64), -1, 0)
    across, down = x / z * 450, y / z * 450
    axis = (np.arange(192) + 0.5) * 0.5 - 48
    assert np.nanmax(np.abs(across - axis[None, :])) < 1e-3
    assert np.nanmax(np.abs(down - axis[:, None])) < 1e-3
    assert 440 < np.nanmin(z) < np.nanmax(z) < 460


def test_infrared_is_in_a_plausible_range_of_temperature(
    captures: dict[str, list[Capture]],
) -> None:
    for kind in KINDS:
        for capture in captures[kind]:
            assert 290 < np.nanmin(capture.infrared) < np.nanmax(capture.infrared) < 308
            assert 1.0 < np.nanmax(capture.infrared) - np.nanmin(capture.infrared) < 8.0


def test_bad_pixels_belong_to_the_camera_and_stay_where_they_are(
    captures: dict[str, list[Capture]],
) -> None:
    first, *others = (np.isnan(c.infrared) for c in captures["good"])
    assert 2 <= first.sum() <= 20
    assert all(np.array_equal(first, other) for other in others)


def test_parts_vary_in_pose_within_their_tolerance(captures: dict[str, list[Capture]]) -> None:
    centres = []
    for capture in captures["good"]:
        panel = ndimage.binary_opening(capture.infrared > np.nanmin(capture.infrared) + 0.7)
        centres.append(ndimage.center_of_mass(ndimage.binary_fill_holes(panel)))
    offset = (np.array(centres) - 95.5) * PITCH_MM
    assert np.abs(offset).max() < 1.0
    assert offset.std() > 0.05


def test_unknown_kinds_and_splits_are_named_with_what_there_is() -> None:
    with pytest.raises(CardError, match="no kind 'rust' on the simulated panel; there are: good"):
        render_capture("rust", size=64)
    with pytest.raises(CardError, match="no split 'val'; there are: train, test"):
        render_capture(split="val", size=64)


@pytest.mark.parametrize("size", [48, 100, 256])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_rendered_at_other_sizes(size: int, kind: str) -> None:
    capture = render_capture(kind, size=size)
    assert capture.rgb.shape == capture.points.shape == (size, size, 3)
    assert capture.infrared.shape == capture.mask.shape == (size, size)
    assert capture.mask.any() == (kind != "good")

"""Extractors of geometry: what they promise of points, and what they refuse."""

import numpy as np
import pytest
import xarray as xr

from mmdefect.detectors.memory_bank import MemoryBank
from mmdefect.errors import FeatureError
from mmdefect.features import extractor
from mmdefect.geometry.fpfh import fpfh
from mmdefect.geometry.normals import local_planes
from mmdefect.scene import PROMISES, blank_frame, new_scene

pytestmark = pytest.mark.usefixtures("three_threads")

SPECS = ["fpfh", "fpfh?radius=3", "surface", "surface?scales=2,4&degree=2"]


def frame(height: int = 64, width: int = 96, unit: str = "mm", seed: int = 7) -> xr.DataArray:
    """A rough plate under a camera, 0.5 mm a pixel."""
    y, x = np.mgrid[:height, :width] / 2.0
    rng = np.random.default_rng(seed)
    depth = 300 + 0.3 * np.sin(x / 3) * np.cos(y / 4) + rng.normal(0, 0.02, x.shape)
    values = np.stack([x - width / 4, y - height / 4, depth]).astype(np.float32)
    attrs = {"modality": "points", "units": unit}
    return xr.DataArray(values, dims=("axis", "y", "x"), attrs=attrs)


@pytest.mark.parametrize("spec", SPECS)
def test_the_name_makes_the_extractor_again(spec):
    assert extractor(spec).name == spec
    assert extractor("fpfh?radius=3.0&stride=8").name == "fpfh?radius=3&stride=8"


@pytest.mark.parametrize("spec", SPECS)
def test_patches_lie_in_scene_pixels_and_a_hole_is_missing(spec):
    made, measured = extractor(spec), frame()
    measured[:, :, :32] = np.nan
    measured[:, 50, 60:63] = np.nan
    before = measured.copy(deep=True)
    made.adapt([measured])
    told = made.features(measured)
    assert told.dims == ("feature", "y", "x")
    assert told.dtype == np.float32
    assert told.sizes["feature"] == (33 if spec.startswith("fpfh") else 11 + 4 * ("?" not in spec))
    np.testing.assert_allclose(told.y, np.arange(16) * 4 + 1.5)
    np.testing.assert_allclose(told.x, np.arange(24) * 4 + 1.5)
    assert np.isnan(told.sel(x=slice(0, 31))).all()
    assert np.isfinite(told.sel(x=slice(32, None))).all()
    assert np.isnan(made.features(measured * np.nan)).all()
    assert measured.identical(before)


@pytest.mark.parametrize("spec", SPECS)
def test_a_dent_moves_the_features_most_at_its_place(spec):
    made, good, dented = extractor(spec), frame(), frame()
    y, x = np.mgrid[:64, :96]
    dented[2] += (1.5 * np.exp(-((x - 70) ** 2 + (y - 30) ** 2) / 30)).astype(np.float32)
    made.adapt([good])
    one, other = made.features(good), made.features(dented)
    moved = (((other - one) / (one.std(["y", "x"]) + 1e-6)) ** 2).sum("feature")
    where = moved.where(moved == moved.max(), drop=True)
    assert abs(where.x.item() - 70) < 12
    assert abs(where.y.item() - 30) < 12
    assert moved.max() > 20 * moved.sel(x=slice(0, 40)).median()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("modality", [name for name in PROMISES if name != "points"])
def test_what_is_no_cloud_is_refused_with_a_way_out(spec, modality):
    measured = blank_frame(modality, PROMISES[modality].units[0], 16, 16)
    for ask in (lambda made: made.adapt([measured]), lambda made: made.features(measured)):
        with pytest.raises(FeatureError, match=rf"modality '{modality}'.*points={spec[:4]}"):
            ask(extractor(spec))


@pytest.mark.parametrize("spec", ["fpfh?radius=3", "fpfh?normals=2", "surface?scales=2"])
def test_millimetres_of_a_cloud_without_a_unit_are_refused(spec):
    with pytest.raises(FeatureError, match=r"in mm, but the points are in 'relative'; state their"):
        extractor(spec).features(frame(unit="relative"))
    with pytest.raises(FeatureError, match="state their unit in the card"):
        extractor(spec).adapt([frame(unit="relative")])


def test_without_a_radius_the_unit_does_not_matter():
    relative = frame(unit="relative") / 1000
    relative.attrs = frame(unit="relative").attrs
    made, other = extractor("fpfh"), extractor("fpfh")
    made.adapt([relative])
    other.adapt([frame()])
    assert other.scale == pytest.approx((0.5,), rel=0.02)
    apart = abs(made.features(relative) - other.features(frame()))
    assert apart.quantile(0.99) < 0.05


@pytest.mark.parametrize("spec", ["fpfh?radius=0.6", "surface?scales=0.6,4"])
def test_a_radius_that_holds_no_neighbour_is_refused(spec):
    with pytest.raises(FeatureError, match=r"0\.6 mm, but the pixels are 0\.5\d* mm apart; choose"):
        extractor(spec).adapt([frame()])
    with pytest.raises(FeatureError, match="choose"):
        extractor(spec).features(frame())


@pytest.mark.parametrize(
    "spec",
    ["fpfh?radius=0", "fpfh?radius=-1", "fpfh?radius=big", "fpfh?stride=0", "fpfh?thin=1.5",
     "fpfh?normals=True", "surface?scales=1,a", "surface?degree=5", "surface?stride=2.5"],
)  # fmt: skip
def test_options_of_another_kind_are_refused(spec):
    with pytest.raises(FeatureError, match="was promised; correct the spec"):
        extractor(spec)


def test_a_patch_is_the_mean_of_its_descriptors():
    measured = frame(16, 24)
    told = extractor("fpfh?radius=2&normals=1").features(measured)
    normals = local_planes(measured.values, 1.0).normals
    described = fpfh(measured.values, normals, 2.0)
    np.testing.assert_allclose(told[:, 1, 1], described[:, :12, :12].mean((1, 2)), rtol=1e-4)


def test_a_large_radius_is_described_on_every_nth_pixel():
    measured = frame(96, 96)
    coarse = extractor("fpfh?radius=9&normals=6")
    points = measured.values[:, 1::3, 1::3]
    described = fpfh(points, local_planes(points, 6.0).normals, 9.0)
    told = coarse.features(measured)
    assert told.shape == (33, 24, 24)
    np.testing.assert_allclose(told.mean(["y", "x"]), described.mean((1, 2)), atol=0.5)
    fine = extractor("fpfh?radius=9&normals=6&thin=1").features(measured)
    assert 0 < abs(told - fine).mean() < 3


def test_the_surface_tells_height_roughness_and_curvature_in_their_units():
    y, x = (np.mgrid[:64, :64] - 31.5) / 2
    depth = 300 - np.where(x**2 + y**2 < 64, np.sqrt(np.maximum(400 - x**2 - y**2, 0)) - 18.33, 0)
    measured = frame(64, 64).copy(data=np.stack([x, y, depth]).astype(np.float32))
    told = extractor("surface?scales=1.5").features(measured)
    height, spread, share, curvature, size, roughness, variation = told.values
    np.testing.assert_allclose(
        height[7:9, 7:9], 20 - 18.33, atol=0.25
    )  # the mean of 3 by 3 patches
    np.testing.assert_allclose(curvature[7:9, 7:9], 1 / 20, rtol=0.05)
    np.testing.assert_allclose(curvature[0], 0, atol=1e-3)
    assert (size >= np.abs(curvature) - 1e-6).all()
    assert (share == 1).all()
    assert spread[0, 0] < 1e-3
    assert roughness[0, 0] < 1e-3 < roughness[8, 8] < 0.1
    assert variation.max() < 1 / 3


def test_a_bank_of_shapes_survives_its_state():
    scenes = [new_scene({"points": frame(32, 32, seed=s)}, reference="points") for s in range(6)]
    bank = MemoryBank("points", features="fpfh?radius=2").fit(scenes)
    again = MemoryBank.from_state(*bank.state())
    assert again.extractor.scale == bank.extractor.scale
    one, other = (b.predict(scenes[0])["sensor_map"] for b in (bank, again))
    xr.testing.assert_identical(one, other)

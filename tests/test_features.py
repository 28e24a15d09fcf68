"""Patch features: their names, what every extractor promises, and the bank without weights."""

import numpy as np
import pytest
import timm
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from mmdefect.errors import FeatureError, UnknownNameError
from mmdefect.features import extractor, parse_spec
from mmdefect.registry import load, names
from mmdefect.scene import PROMISES, blank_frame

# ---------------------------------------------------------------- specs

NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
WORDS = st.text("stuvwxyz", min_size=1, max_size=8)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
VALUES = NUMBERS | WORDS | st.lists(NUMBERS, min_size=2, max_size=3).map(tuple)
SPEC_CHECK = settings(derandomize=True, database=None, deadline=None)


@given(NAMES, NAMES, NAMES, st.dictionaries(NAMES, VALUES, max_size=3))
@SPEC_CHECK
def test_a_spec_reads_back_as_what_it_was_written_from(name, model, file, options):
    spec = f"{name}:{model}.x@a/{file}=1.pt"
    if options:
        spec += "?" + "&".join(f"{key}={value}" for key, value in options.items())
    given_ = {"model": f"{model}.x", "weights": f"a/{file}=1.pt"}
    assert parse_spec(spec) == (name, given_ | options)


@given(st.text("ab12,.()[]{}:'\"&=%+-?@"))
@SPEC_CHECK
def test_whatever_is_written_is_read_or_refused(spec):
    try:
        _, options = parse_spec(spec)
    except FeatureError:
        assert "?" in spec
    else:
        assert all(options)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("builtin", ("builtin", {})),
        ("builtin?stride=8", ("builtin", {"stride": 8})),
        ("timm:vit.in1k@w.pt", ("timm", {"model": "vit.in1k", "weights": "w.pt"})),
        ("timm:m?stages=2,3&pad_type=same", ("timm", {"stages": (2, 3), "pad_type": "same"})),
        ("timm:m?bn_eps=1e-3&a=True&b=1e+3", ("timm", {"bn_eps": 1e-3, "a": True, "b": 1e3})),
        ("timm:m?mean=0.5,0.5,0.4", ("timm", {"mean": (0.5, 0.5, 0.4)})),
    ],
)
def test_specs_by_example(spec, expected):
    name, options = parse_spec(spec)
    assert name == expected[0]
    assert options.items() >= expected[1].items()


@pytest.mark.parametrize("spec", ["builtin?stride", "builtin?=", "builtin?stride=4&&", "a?b="])
def test_a_spec_that_cannot_be_read_is_told_the_grammar(spec):
    with pytest.raises(FeatureError, match=r"were given; NAME\[:MODEL\].* was promised"):
        parse_spec(spec)


def test_unknown_names_and_options_are_named():
    with pytest.raises(
        UnknownNameError,
        match="no features named 'dino'; there are: builtin, deviation, fpfh, surface, timm",
    ):
        extractor("dino:small")
    with pytest.raises(FeatureError, match=r"'builtin\?size=3' cannot be made: .*'size'"):
        extractor("builtin?size=3")


@pytest.mark.parametrize("spec", ["builtin", "builtin?stride=8"])
def test_the_name_of_the_bank_makes_it_again(spec):
    assert extractor(extractor(spec).name).name == extractor(spec).name == spec


# ---------------------------------------------------------------- every extractor


def frame(modality: str, height: int = 64, width: int = 96, channels: int = 1) -> xr.DataArray:
    """A textured measurement of a modality, seen everywhere."""
    rng = np.random.default_rng(7)
    blank = blank_frame(modality, PROMISES[modality].units[0], height, width)
    texture = 0.3 + 0.2 * rng.random((channels, height, width))
    if modality == "xray":
        values = texture
    elif modality == "points":
        y, x = np.mgrid[:height, :width].astype(float)
        values = np.stack([x, y, 300 + texture[0]])
    elif modality == "rgb":
        values = 0.3 + 0.2 * rng.random((3, height, width))
    else:
        values = 300 + texture[0]
    return xr.DataArray(values.astype(np.float32), dims=blank.dims, attrs=blank.attrs)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of the smallest backbone's weights, drawn at random."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(timm.create_model("test_efficientnet").state_dict(), path)
    return path


@pytest.fixture(scope="module", params=["builtin", "builtin?stride=8", "timm"])
def described(request, weights):
    """An extractor, and the pixels between its patches."""
    spec = f"timm:test_efficientnet@{weights}" if request.param == "timm" else request.param
    return extractor(spec), 4 if spec == "builtin" else 8


def test_every_extractor_is_made_without_arguments():
    for name in names("features"):
        made = type(load("features", name)())
        assert all(callable(getattr(made, promised)) for promised in ("adapt", "features"))
        assert hasattr(made, "name")


@pytest.mark.parametrize("modality", PROMISES)
def test_features_are_labelled_with_the_centres_of_patches_in_scene_pixels(modality, described):
    made, stride = described
    measurement = frame(modality)
    before = measurement.copy(deep=True)
    told = made.features(measurement)
    assert told.dims == ("feature", "y", "x")
    assert told.dtype == np.float32
    for axis, length in (("y", 64), ("x", 96)):
        centres = np.arange(length).reshape(-1, stride).mean(1)
        np.testing.assert_allclose(told[axis], centres)
    assert np.isfinite(told).all()
    assert measurement.identical(before)
    assert told.identical(made.features(measurement))


@pytest.mark.parametrize("modality", PROMISES)
def test_a_patch_is_nan_in_every_feature_where_the_sensor_is_blind(modality, described):
    made, _ = described
    measurement = frame(modality)
    measurement[..., :32] = np.nan
    told = made.features(measurement)
    seen = np.isfinite(told)
    assert not seen.sel(x=slice(0, 32)).any()
    assert seen.sel(x=slice(32, None)).all()
    assert np.isnan(made.features(measurement * np.nan)).all()


def test_a_hole_of_a_few_pixels_blinds_no_patch(described):
    measurement = frame("infrared")
    measurement[5, 5] = np.nan
    assert np.isfinite(described[0].features(measurement)).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_radiographs_of_any_number_of_energies_are_described(channels, described):
    told = described[0].features(frame("xray", channels=channels))
    assert np.isfinite(told).all()


@pytest.mark.parametrize("modality", PROMISES)
def test_a_planted_change_moves_the_features_most_at_its_place(modality, described):
    made, _ = described
    good, changed = frame(modality, 96, 96), frame(modality, 96, 96)
    stripes = 0.3 * (np.arange(24) // 2 % 2).astype(np.float32)
    if modality == "points":
        changed[2, 40:64, 16:40] += stripes
    else:
        changed[..., 40:64, 16:40] += stripes
    made.adapt([good])
    one, other = made.features(good), made.features(changed)
    moved = (((other - one) / (one.std(["y", "x"]) + 1e-6)) ** 2).sum("feature")
    where = moved.where(moved == moved.max(), drop=True)
    assert 40 - 4 <= where.y.item() <= 64 + 3
    assert 16 - 4 <= where.x.item() <= 40 + 3
    assert moved.max() > 10 * moved.sel(x=slice(72, None)).median()


# ---------------------------------------------------------------- the bank without weights


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("modality", ["rgb", "infrared", "xray"])
def test_a_picture_moved_by_whole_patches_moves_its_features(modality, stride):
    made = extractor(f"builtin?stride={stride}")
    picture = frame(modality, 128, 128)
    moved = picture.roll(y=2 * stride, x=-stride)
    one = made.features(picture).roll(y=2, x=-1)
    other = made.features(moved)
    inside = {"y": slice(48, 80), "x": slice(48, 80)}
    one = one.assign_coords(other.coords)
    np.testing.assert_allclose(one.sel(inside), other.sel(inside), rtol=1e-3, atol=1e-5)
    assert not np.allclose(made.features(picture).sel(inside), other.sel(inside), atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(50, 70), (33, 48), (5, 3)])
def test_pictures_of_any_size_are_tiled_to_the_last_pixel(height, width):
    told = extractor("builtin").features(frame("rgb", height, width))
    assert told.shape[1:] == (-(-height // 4), -(-width // 4))
    assert np.isfinite(told).all()
    assert 0 <= told.y[0] < told.y[-1] <= height - 1 or told.sizes["y"] == 1
    assert told.x[-1] <= width - 1


def test_a_warmer_room_and_a_tilted_table_change_nothing():
    made = extractor("builtin")
    warm = frame("infrared")
    np.testing.assert_allclose(made.features(warm + 4), made.features(warm), atol=1e-4)
    cloud = frame("points")
    tilted = cloud.copy(deep=True)
    tilted[2] += 0.05 * tilted[0] - 0.03 * tilted[1] + 20
    difference = abs(made.features(tilted) - made.features(cloud)).max()
    assert difference < 0.01 * float(abs(made.features(cloud)).max())


def test_more_energies_are_more_features_and_geometry_tells_its_holes():
    made = extractor("builtin")
    counts = [made.features(frame("xray", channels=n)).sizes["feature"] for n in range(1, 5)]
    assert len(set(np.diff(counts))) == 1
    assert counts[1] > counts[0]
    holed = frame("depth")
    holed[20:24, 20:24] = np.nan
    told = made.features(holed) - made.features(frame("depth"))
    assert abs(told.sel(y=21.5, x=25.5)).max() > 0.01

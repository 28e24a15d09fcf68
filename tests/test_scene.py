"""The scene's promises, and what a breach is told."""

import numpy as np
import pytest
import xarray as xr

from mmdefect.errors import SceneError
from mmdefect.scene import (
    PROMISES,
    blank_frame,
    check,
    crop,
    new_scene,
    present_in,
    registered_in,
    stack,
    to_tensors,
)


def colors(side: int = 4) -> xr.DataArray:
    return xr.DataArray(
        np.linspace(0, 1, 3 * side * side, dtype=np.float32).reshape(3, side, side),
        dims=("color", "y", "x"),
        coords={"color": ["red", "green", "blue"]},
        attrs={"modality": "rgb", "units": "1"},
    )


def heat(side: int = 4) -> xr.DataArray:
    values = np.full((side, side), 300.0, dtype=np.float32)
    values[0, 0] = np.nan
    return xr.DataArray(values, dims=("y", "x"), attrs={"modality": "infrared", "units": "K"})


def scene() -> xr.Dataset:
    return new_scene({"rgb": colors(), "infrared": heat()}, reference="rgb")


def test_valid_is_false_exactly_where_a_sensor_is_blind() -> None:
    assert scene().valid.sel(sensor="rgb").all()
    assert int((~scene().valid.sel(sensor="infrared")).sum()) == 1
    assert np.isnan(scene()["infrared"].values[0, 0])


def test_one_blind_channel_makes_the_pixel_blind_in_all() -> None:
    frame = colors()
    frame[1, 2, 2] = np.nan
    made = new_scene({"rgb": frame}, reference="rgb")
    assert np.isnan(made["rgb"].values[:, 2, 2]).all()
    assert not made.valid.values[0, 2, 2]


@pytest.mark.parametrize("modality", PROMISES)
def test_an_absent_sensor_is_blind_everywhere_and_keeps_every_promise(modality: str) -> None:
    blank = blank_frame(modality, PROMISES[modality].units[0], 4, 4)
    made = new_scene({"rgb": colors(), "other": blank}, reference="rgb")
    assert present_in(made) == ["rgb"]
    assert not made.valid.sel(sensor="other").any()


def test_a_sensor_on_a_grid_of_its_own_is_not_registered() -> None:
    made = new_scene(
        {"rgb": colors(), "infrared": heat()}, reference="rgb", grids={"infrared": "infrared"}
    )
    assert registered_in(made) == ["rgb"]


BREACHES = {
    "in 'm', but 'mm' or 'relative' was promised": lambda s: s["p"].attrs.update(units="m"),
    "modality 'sonar'": lambda s: s["rgb"].attrs.update(modality="sonar"),
    "'valid' disagrees": lambda s: s["rgb"].values.__setitem__((0, 1, 1), np.nan),
    "label 'OK'": lambda s: s.attrs.update(label="OK"),
}


@pytest.mark.parametrize("message", BREACHES)
def test_a_broken_promise_is_named(message: str) -> None:
    points = blank_frame("points", "mm", 4, 4)
    made = new_scene({"rgb": colors(), "p": points}, reference="rgb")
    BREACHES[message](made)
    with pytest.raises(SceneError, match=message):
        check(made)


def test_frames_of_two_sizes_are_refused_with_the_sizes() -> None:
    with pytest.raises(SceneError, match=r"\(4, 4\).*\(5, 5\).*one size was promised"):
        new_scene({"rgb": colors(4), "infrared": heat(5)}, reference="rgb")


def test_a_double_precision_frame_is_refused() -> None:
    with pytest.raises(SceneError, match="float64, but float32 was promised"):
        new_scene({"rgb": colors().astype(np.float64)}, reference="rgb")


def test_a_scene_without_labels_is_told_how_to_be_built() -> None:
    with pytest.raises(SceneError, match="build it with new_scene"):
        check(xr.Dataset({"rgb": colors()}))


def test_a_shifted_crop_cannot_be_added_by_mistake() -> None:
    one, other = crop(scene(), slice(0, 2), slice(0, 2)), crop(scene(), slice(1, 3), slice(0, 2))
    with xr.set_options(arithmetic_join="exact"), pytest.raises(ValueError, match="exact"):
        one["rgb"] + other["rgb"]


def test_tensors_share_the_scenes_memory() -> None:
    made = scene()
    to_tensors(made)["rgb"][0, 0, 0] = 0.5
    assert made["rgb"].values[0, 0, 0] == 0.5


def test_the_stack_is_filled_and_says_where() -> None:
    filled, mask = stack(scene(), fill=-1.0)
    assert filled.shape == (4, 4, 4)
    assert filled[3, 0, 0] == -1.0
    assert not mask[1, 0, 0]
    assert int((~mask).sum()) == 1

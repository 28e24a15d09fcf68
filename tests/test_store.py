"""Scenes on disk: the same again, or a clear refusal."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from mmdefect.dataset import Dataset
from mmdefect.errors import MmdefectError, SceneError, SensorError
from mmdefect.store import load_scene, save_scene


@pytest.fixture
def stored(miniature, tmp_path: Path) -> tuple[xr.Dataset, Path]:
    dataset = Dataset("mvtec3d", miniature("mvtec3d"))
    capture = next(c for c in dataset.captures("plate", "test") if c.label == "defect")
    scene = dataset.scene(capture)
    path = tmp_path / "scene.nc"
    save_scene(scene, path)
    return scene, path


def test_a_scene_comes_back_identical(stored: tuple[xr.Dataset, Path]) -> None:
    scene, path = stored
    again = load_scene(path)
    xr.testing.assert_identical(again, scene)
    assert again["rgb"].dtype == np.float32
    assert again["valid"].dtype == bool
    assert not list(path.parent.glob("*.partial"))


def test_a_scene_that_breaks_a_promise_is_not_written(
    stored: tuple[xr.Dataset, Path], tmp_path: Path
) -> None:
    scene, _ = stored
    broken = scene.copy(deep=True)
    broken["rgb"].values[0, 0, 0] = np.nan
    with pytest.raises(SceneError, match="'valid' disagrees"):
        save_scene(broken, tmp_path / "broken.nc")
    assert not (tmp_path / "broken.nc").exists()


def test_a_file_that_points_elsewhere_is_refused(stored: tuple[xr.Dataset, Path]) -> None:
    _, path = stored
    with h5py.File(path, "a") as file:
        file["secret"] = h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(SensorError, match="link at 'secret'"):
        load_scene(path)


def test_a_file_that_keeps_its_values_in_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.bin").write_bytes(bytes(64))
    path = tmp_path / "scene.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("rgb", (4, 4), "f4", external=[(str(tmp_path / "other.bin"), 0, 64)])
    with pytest.raises(SensorError, match="in other files"):
        load_scene(path)


def test_a_small_file_that_declares_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scene.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("rgb", (200_000, 200_000), "f4", chunks=(64, 64))
    with pytest.raises(SensorError, match="bytes"):
        load_scene(path)


def test_something_else_is_told_apart_from_a_scene(tmp_path: Path) -> None:
    text, other = tmp_path / "text.nc", tmp_path / "other.nc"
    text.write_text("no scene")
    xr.Dataset({"a": ("x", np.arange(3.0))}).to_netcdf(other, engine="h5netcdf")
    with pytest.raises(MmdefectError, match="no HDF5 file"):
        load_scene(text)
    with pytest.raises(SceneError, match="build it with new_scene"):
        load_scene(other)

"""The cache's own form of scenes: the same again, and nothing else believed."""

import json

import h5py
import numpy as np
import pytest
import xarray as xr

from mmdefect.errors import SceneError, SensorError
from mmdefect.packed import pack_scene, unpack_scene
from mmdefect.scene import new_scene


@pytest.fixture
def scene() -> xr.Dataset:
    random = np.random.default_rng(0)
    color = xr.DataArray(random.random((3, 5, 7), dtype=np.float32), dims=("color", "y", "x"),
                         coords={"color": ["red", "green", "blue"]},
                         attrs={"modality": "rgb", "units": "1"})  # fmt: skip
    height = random.random((5, 7), dtype=np.float32)
    height[2, 3] = np.nan
    depth = xr.DataArray(height, dims=("y", "x"), attrs={"modality": "depth", "units": "mm"})
    made = new_scene({"rgb": color, "depth": depth}, reference="rgb", defect=height > 0.5,
                     attrs={"capture": "käse/1", "label": "good"})  # fmt: skip
    made["depth"].attrs |= {"gain": np.float32(2), "taps": np.arange(3), "odd": np.nan}
    return made


def changed(path, **told):
    """Change what is told of the first variable of numbers."""
    with h5py.File(path, "a") as file:
        whole = json.loads(file["told"][()].tobytes())
        next(line for line in whole["variables"] if "place" in line).update(told)
        del file["told"]
        file["told"] = np.frombuffer(json.dumps(whole).encode(), np.uint8)


def test_a_scene_comes_back_identical(scene, tmp_path):
    pack_scene(scene, tmp_path / "a.h5")
    again = unpack_scene(tmp_path / "a.h5")
    xr.testing.assert_identical(again, scene)
    assert [again[name].dtype for name in again] == [scene[name].dtype for name in scene]
    assert list(again["depth"].attrs["taps"]) == [0, 1, 2]
    again["depth"][:] = 1  # nobody else's memory
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5"]


@pytest.mark.parametrize(
    "told",
    [
        {"place": 10**9},
        {"place": -4},
        {"shape": [10**6, 10**6]},
        {"type": "|O"},
        {"type": "|V8"},
        {"dims": list("abcde")},
        {"attrs": 5},
    ],
)
def test_what_contradicts_itself_is_no_scene(scene, tmp_path, told):
    pack_scene(scene, tmp_path / "a.h5")
    changed(tmp_path / "a.h5", **told)
    with pytest.raises(SceneError, match="holds no packed scene"):
        unpack_scene(tmp_path / "a.h5")


def test_a_file_that_declares_too_much_or_is_another(scene, tmp_path):
    pack_scene(scene, tmp_path / "a.h5")
    with pytest.raises(SensorError, match="bytes"):
        unpack_scene(tmp_path / "a.h5", max_bytes=100)
    (tmp_path / "b.h5").write_bytes(b"no HDF5")
    with pytest.raises(SceneError, match="holds no packed scene"):
        unpack_scene(tmp_path / "b.h5")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["values"] = np.zeros(3, np.uint8)
    with pytest.raises(SceneError, match="holds no packed scene"):
        unpack_scene(tmp_path / "c.h5")

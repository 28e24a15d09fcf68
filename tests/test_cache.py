"""The cache of scenes: the same scenes again, never stale, never without bound."""

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from mmdefect import Dataset
from mmdefect.cache import SceneCache
from mmdefect.cards import read_card
from mmdefect.errors import CardError
from mmdefect.evaluate import evaluate
from mmdefect.miniature import write_miniature
from mmdefect.packed import pack_scene, unpack_scene
from mmdefect.settings import Settings


@pytest.fixture
def plates(tmp_path) -> Path:
    root = tmp_path / "plates"
    write_miniature(read_card("mvtec3d"), root, train=3, test=2, side=32)
    return root


def opened(plates: Path, cache: SceneCache | None, card: str | Path = "mvtec3d") -> Dataset:
    return Dataset(card, plates, cache=cache)


def reads(monkeypatch) -> list[Path]:
    """Give the list of frames that are read from now on, but for the look at their sizes."""
    from mmdefect.reading import FrameReader

    seen: list[Path] = []
    original = FrameReader.frame

    def counted(self, capture, name, captures):
        seen.append(capture.frames[name])
        return original(self, capture, name, captures)

    monkeypatch.setattr(FrameReader, "frame", counted)
    return seen


def test_a_scene_comes_from_the_cache_as_it_went_in(plates, tmp_path, monkeypatch):
    cache = SceneCache(tmp_path / "cache")
    wanted = list(opened(plates, None).scenes(opened(plates, None).captures("plate")))
    first = opened(plates, cache)
    list(first.scenes(first.captures("plate")))
    seen = reads(monkeypatch)
    again = opened(plates, SceneCache(tmp_path / "cache"))
    found = list(again.scenes(again.captures("plate")))
    assert seen == []
    for one, other in zip(found, wanted, strict=True):
        xr.testing.assert_identical(one, other)
    assert len(list((tmp_path / "cache").iterdir())) == len(wanted)
    assert "MiB)" in repr(cache)


def test_another_file_or_setting_is_another_scene(plates, tmp_path, monkeypatch):
    cache = SceneCache(tmp_path / "cache")
    own = opened(plates, cache)
    capture = own.captures("plate", "train")[0]
    own.scene(capture)
    seen = reads(monkeypatch)
    opened(plates, cache).scene(capture)
    assert seen == []
    other = tmp_path / "card.toml"
    polygon = [[-1, -1], [8, -1], [8, 40], [-1, 40]]
    other.write_text(f'base = "mvtec3d"\n[zones.a]\nignore = true\npolygon = {polygon}\n')
    blind = opened(plates, cache, other)
    assert np.isnan(blind.scene(capture)["rgb"].values[:, :, :8]).all()
    assert len(seen) == 2
    shutil.copy(own.captures("plate", "train")[1].frames["rgb"], capture.frames["rgb"])
    changed = opened(plates, cache).scene(capture)
    assert len(seen) == 4
    assert not changed["rgb"].equals(own.scene(capture)["rgb"])


def test_the_oldest_scenes_go_when_the_folder_is_full(plates, tmp_path):
    own = opened(plates, None)
    scenes = list(own.scenes(own.captures("plate")))[:4]
    pack_scene(scenes[0], tmp_path / "one.h5")
    size = (tmp_path / "one.h5").stat().st_size
    cache = SceneCache(tmp_path / "cache", most_bytes=int(2.5 * size))
    cache.serve(plates)
    for age, name in ((300, "a"), (200, "b")):
        cache.put(name, scenes[0])
        stamp = (tmp_path / "cache" / f"{name}.h5").stat().st_mtime - age
        os.utime(tmp_path / "cache" / f"{name}.h5", (stamp, stamp))
    assert cache.get("a") is not None  # asked for, so "b" is now the oldest
    cache.put("c", scenes[1])
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["a.h5", "c.h5"]
    assert cache.get("b") is None


def test_a_poisoned_or_broken_entry_is_removed_and_made_anew(plates, tmp_path):
    cache = SceneCache(tmp_path / "cache")
    own = opened(plates, cache)
    capture = own.captures("plate", "train")[0]
    wanted = own.scene(capture)
    (entry,) = (tmp_path / "cache").iterdir()
    with h5py.File(entry, "a") as file:
        file["secret"] = h5py.ExternalLink("other.h5", "/x")
    xr.testing.assert_identical(opened(plates, cache).scene(capture), wanted)
    assert "secret" not in unpack_scene(entry)
    entry.write_bytes(entry.read_bytes()[:1000])
    xr.testing.assert_identical(opened(plates, cache).scene(capture), wanted)


def test_a_scene_with_a_refused_file_is_not_kept(plates, tmp_path):
    cache = SceneCache(tmp_path / "cache")
    own = opened(plates, None)
    capture = own.captures("plate", "train")[0]
    capture.frames["rgb"].write_bytes(b"broken")
    for _ in range(2):
        dataset = opened(plates, cache)
        dataset.scene(capture)
        assert [refusal.sensor for refusal in dataset.refused] == ["rgb"]
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_never_lies_in_the_data_set_and_a_full_disk_stops_nothing(
    plates, tmp_path, monkeypatch
):
    with pytest.raises(CardError, match="scenes would be written into the data set"):
        opened(plates, SceneCache(plates / "cache"))
    assert not (plates / "cache").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(CardError, match="cannot be made a folder for scenes"):
        opened(plates, SceneCache(tmp_path / "file" / "cache"))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mmdefect.cache.pack_scene", full)
    own = opened(plates, SceneCache(tmp_path / "cache"))
    assert own.scene(own.captures("plate")[0])["valid"].any()


def test_an_evaluation_with_a_cache_has_the_same_results(plates, tmp_path):
    settings = Settings(features={"rgb": "builtin", "points": "builtin"}, false_alarm=0.4)
    told = []
    for name, cache in (("a", None), ("b", tmp_path / "cache"), ("c", tmp_path / "cache")):
        found = evaluate(
            "mvtec3d",
            plates,
            tmp_path / name,
            settings=settings,
            cache=cache and SceneCache(cache),
        )
        told.append([(r["capture"], r["image_score"], r["regions"]) for r in found["captures"]])
    assert told[0] == told[1] == told[2]

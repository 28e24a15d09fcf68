"""Models of rigs: what a rig and its sensors' files make of frames goes along with the model."""

import shutil
from pathlib import Path

import pytest
import xarray as xr

from mmdefect.cache import SceneCache
from mmdefect.cards import read_card
from mmdefect.dataset import Dataset
from mmdefect.fitting import fit
from mmdefect.line import inspect
from mmdefect.miniature import write_miniature
from mmdefect.model import ModelFolder
from mmdefect.settings import Settings
from mmdefect.simulate import simulate
from mmdefect.update import update

SENSORS = ("rgb", "points", "infrared", "xray")
SETTINGS = Settings(features=dict.fromkeys(SENSORS, "builtin"), false_alarm=0.25)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """The captures of a station of four sensors, and a model of them."""
    place = tmp_path_factory.mktemp("station")
    simulate(place / "captures", products=["panel"], train=8, test=4, size=48)
    fit(
        place / "captures/card.toml",
        place / "captures",
        place / "model",
        settings=SETTINGS,
        cache=SceneCache(place / "cache"),
    )
    return place


def told(model: Path, folder: Path) -> list[dict]:
    """Give the lines of a folder's captures, without what differs from run to run or by place."""
    lines = []
    for line in inspect(model, [folder]):
        sensors = {n: {**s, "seconds": 0} for n, s in line["sensors"].items()}
        lines.append({**line, "sensors": sensors, "seconds": 0, "files": sorted(line["files"])})
    return lines


def test_a_model_elsewhere_registers_and_corrects_frames_by_its_own_rig_and_flats(place, tmp_path):
    there = told(place / "model", place / "captures/panel/test")
    assert len(there) == 4
    assert all(len(line["files"]) == 4 and not line["refused"] for line in there)
    model = Path(shutil.copytree(place / "model", tmp_path / "model"))
    held = {path.name for path in (model / "card").iterdir()}
    assert {"card.json", "rig.toml", "xray-flat.png", "xray-dark.png"} <= held
    moved = tmp_path / "elsewhere"
    shutil.copytree(place / "captures/panel/test", moved / "panel/test")
    assert told(model, moved) == there


def test_a_model_learnt_through_the_cache_is_the_one_learnt_from_the_files(place, tmp_path):
    captures = place / "captures"
    fit(captures / "card.toml", captures, tmp_path / "plain", settings=SETTINGS)
    fit(
        captures / "card.toml",
        captures,
        tmp_path / "cached",
        settings=SETTINGS,
        cache=SceneCache(place / "cache"),
    )
    hashes = {ModelFolder(path).hash for path in (place / "model", *tmp_path.iterdir())}
    assert len(hashes) == 1


def test_a_station_s_model_takes_further_parts_in(place, tmp_path):
    simulate(tmp_path / "more", products=["panel"], train=3, test=1, size=48, seed=5)
    model = Path(shutil.copytree(place / "model", tmp_path / "model"))
    before = told(model, place / "captures/panel/test")
    update(model, tmp_path / "more/card.toml", [tmp_path / "more/panel/train/good"])
    after = told(model, place / "captures/panel/test")
    assert [change.what for change in ModelFolder(model).history] == ["fit", "update"]
    for old, new in zip(before, after, strict=True):
        assert new["image_score"] <= old["image_score"] or new["threshold"] != old["threshold"]
        for name, sensor in new["sensors"].items():
            assert sensor["score"] <= old["sensors"][name]["score"]


@pytest.mark.parametrize("name", ["gdxray", "crack_rgbdt", "visa"])
def test_marks_and_padding_come_back_from_the_cache(name, tmp_path):
    root = tmp_path / "set"
    write_miniature(read_card(name), root)

    def scenes(cache: SceneCache | None) -> list[xr.Dataset]:
        dataset = Dataset(name, root, cache=cache)
        return [
            scene for kind in dataset.categories for scene in dataset.scenes(dataset.captures(kind))
        ]

    fresh = scenes(None)
    scenes(SceneCache(tmp_path / "cache"))
    for one, other in zip(scenes(SceneCache(tmp_path / "cache")), fresh, strict=True):
        xr.testing.assert_identical(one, other)

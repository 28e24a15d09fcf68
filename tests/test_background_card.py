"""The card's word for background: what it does to scenes, and what never happens to files."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray as xr
from PIL import Image

from mmdefect.cards import read_card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, SceneError
from mmdefect.geometry.removal import without_background
from mmdefect.scene import blank_frame, check, new_scene

CARD = """
base = "folder"
[sensors.points]
unit = "{unit}"
[rig]
registered = ["points"]
background = "plane"
"""


def cloud(side: int = 64) -> np.ndarray:
    """A block of 20 mm on a table, (y, x, axis), mm, with a hole on each."""
    y, x = (np.mgrid[:side, :side] - side / 2) * 1.2
    depth = np.full((side, side), 400.0)
    depth[20:44, 22:40] -= 20
    points = np.stack([x, y, depth], axis=-1).astype(np.float32)
    points[30:33, 30:33] = points[5:8, 50:53] = 0
    return points


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    """Three good captures; the last one has no points."""
    for index in range(3):
        for sensor in ("rgb", "points", "infrared"):
            folder = tmp_path / "captures" / "train" / "good" / sensor
            folder.mkdir(parents=True, exist_ok=True)
            if sensor == "points" and index < 2:
                tifffile.imwrite(folder / f"{index}.tiff", cloud(), photometric="rgb")
            elif sensor == "rgb":
                color = np.random.default_rng(index).integers(60, 200, (64, 64, 3), dtype=np.uint8)
                Image.fromarray(color).save(folder / f"{index}.png")
            elif sensor == "infrared":
                counts = np.random.default_rng(index).integers(900, 999, (64, 64), dtype=np.uint16)
                Image.fromarray(counts).save(folder / f"{index}.png")
    return tmp_path / "captures"


def dataset(captures: Path, unit: str = "mm") -> Dataset:
    card = captures.parent / "card.toml"
    card.write_text(CARD.format(unit=unit))
    return Dataset(card, captures)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_plane_is_taken_from_every_registered_sensor_and_from_no_file(captures):
    before = digests(captures)
    parts = dataset(captures)
    category = parts.categories[0]
    scene = parts.scene(parts.captures(category, "train")[0])
    part = np.zeros((64, 64), bool)
    part[20:44, 22:40] = True
    hole = np.zeros((64, 64), bool)
    hole[30:33, 30:33] = hole[5:8, 50:53] = True
    valid = scene["valid"]
    np.testing.assert_array_equal(valid.sel(sensor="points"), part & ~hole)
    np.testing.assert_array_equal(valid.sel(sensor="rgb"), part | hole)
    assert valid.sel(sensor="infrared").all()
    assert np.isnan(scene["rgb"].values[:, ~(part | hole)]).all()
    removed = (~(part | hole)).sum() / (~hole).sum()
    assert scene.attrs["background"] == f"plane: {removed:.4f} of the points of 'points' removed"
    assert scene["points"].units == "mm"
    assert scene["points"].dtype == np.float32
    check(scene)
    assert digests(captures) == before


def test_without_points_nothing_is_removed_and_the_scene_says_so(captures):
    parts = dataset(captures)
    lacking = parts.captures(parts.categories[0], "train")[2]
    scene = parts.scene(lacking)
    assert scene.attrs["background"] == "nothing removed: no points in this capture"
    assert scene["valid"].sel(sensor="rgb").all()


def test_without_a_unit_it_is_refused(captures):
    parts = dataset(captures, unit="relative")
    with pytest.raises(SceneError, match=r"'points' is in 'relative', but .* state the unit"):
        parts.scene(parts.captures(parts.categories[0], "train")[0])


def test_by_default_nothing_is_touched(captures):
    card = dataset(captures).card
    assert read_card("folder").background == "keep"
    kept = Dataset(replace(card, background="keep"), captures)
    scene = kept.scene(kept.captures(kept.categories[0], "train")[0])
    assert "background" not in scene.attrs
    assert scene["valid"].sel(sensor="points").mean() > 0.99


@pytest.mark.parametrize("word", ['"table"', "true", '["plane"]', "5"])
def test_another_word_is_refused(tmp_path, word):
    card = tmp_path / "card.toml"
    card.write_text(f'base = "folder"\n[rig]\nbackground = {word}\n')
    with pytest.raises(CardError, match=r"\[rig\] background is .*; there are: keep, plane"):
        read_card(card)


def scene_of(points: np.ndarray, grids: dict[str, str]) -> xr.Dataset:
    frame = xr.DataArray(
        np.where((points == 0).all(-1), np.nan, np.moveaxis(points, -1, 0)),
        dims=("axis", "y", "x"),
        attrs={"modality": "points", "units": "mm"},
    )
    color = blank_frame("rgb", "1", 64, 64).fillna(0.5)
    color.attrs = {"modality": "rgb", "units": "1"}
    return new_scene({"rgb": color, "points": frame}, reference="rgb", grids=grids)


def test_a_sensor_on_another_grid_keeps_its_pixels():
    scene = scene_of(cloud(), {"points": "points"})
    cleared = without_background(scene)
    assert cleared["valid"].sel(sensor="rgb").all()
    assert cleared["valid"].sel(sensor="points").sum() == 24 * 18 - 9
    assert scene["valid"].sel(sensor="points").mean() > 0.9


def test_a_frame_without_a_plane_is_left_as_it_is():
    points = np.random.default_rng(0).uniform(100, 300, (64, 64, 3)).astype(np.float32)
    scene = scene_of(points, {})
    cleared = without_background(scene)
    assert cleared.attrs["background"] == "nothing removed: no plane behind the part in 'points'"
    xr.testing.assert_equal(cleared, scene)

"""Official layouts, file by file, as their owners describe them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdefect.captures import Capture
from mmdefect.cards import read_card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError
from mmdefect.scene import registered_in

RNG = np.random.default_rng(0)


def picture(path: Path, *, grey: bool = False, mask: str = "") -> None:
    """Write a small picture; a mask is empty or marks a square."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if mask:
        counts = np.zeros((24, 24), np.uint8)
        counts[4:8, 4:8] = 255 if mask == "marked" else 0
    else:
        counts = RNG.integers(20, 200, (24, 24) if grey else (24, 24, 3)).astype(np.uint8)
    Image.fromarray(counts).save(path)


def captures(dataset: Dataset) -> dict[str, Capture]:
    return {c.id: c for category in dataset.categories for c in dataset.captures(category)}


def test_mvtec_ad_joins_masks_that_lie_beside_the_splits(tmp_path: Path) -> None:
    picture(tmp_path / "grid/train/good/000.png", grey=True)
    picture(tmp_path / "grid/test/good/000.png", grey=True)
    picture(tmp_path / "grid/test/bent/000.png", grey=True)
    picture(tmp_path / "grid/ground_truth/bent/000_mask.png", mask="marked")
    dataset = Dataset("mvtec_ad", tmp_path)
    found = captures(dataset)
    assert set(found) == {"grid/train/good/000", "grid/test/good/000", "grid/test/bent/000"}
    assert found["grid/test/bent/000"].mask is not None
    assert found["grid/test/good/000"].mask is None
    assert int(dataset.scene(found["grid/test/bent/000"])["defect"].sum()) == 16


def test_visa_takes_its_split_from_the_official_table(tmp_path: Path) -> None:
    for name in ("000", "001", "002"):
        picture(tmp_path / f"candle/Data/Images/Normal/{name}.JPG")
    picture(tmp_path / "candle/Data/Images/Anomaly/000.JPG")
    picture(tmp_path / "candle/Data/Masks/Anomaly/000.png", mask="marked")
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv/1cls.csv").write_text(
        "object,split,label,image,mask\n"
        "candle,train,normal,candle/Data/Images/Normal/000.JPG,\n"
        "candle,test,normal,candle/Data/Images/Normal/001.JPG,\n"
        "candle,train,normal,candle/Data/Images/Normal/002.JPG,\n"
        "candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png\n"
    )
    found = captures(Dataset("visa", tmp_path))
    assert set(found) == {
        "candle/train/Normal/000",
        "candle/test/Normal/001",
        "candle/train/Normal/002",
        "candle/test/Anomaly/000",
    }
    assert found["candle/test/Anomaly/000"].mask is not None
    (tmp_path / "split_csv/1cls.csv").unlink()
    with pytest.raises(CardError, match=r"split table 'split_csv/1cls.csv', which cannot be read"):
        Dataset("visa", tmp_path)


def test_eyecandies_labels_parts_by_their_masks_and_scales_every_depth_map(tmp_path: Path) -> None:
    for split, mask in (("train", "empty"), ("test_public", "marked"), ("test_private", "")):
        data = tmp_path / "CandyCane" / split / "data"
        for light in range(6):
            picture(data / f"000_image_{light}.png")
        Image.fromarray(np.linspace(0, 65535, 576).reshape(24, 24).astype(np.uint16)).save(
            data / "000_depth.png"
        )
        (data / "000_info_depth.yaml").write_text("normalization:\n  max: 0.9\n  min: 0.4\n")
        picture(data / "000_normals.png")
        if mask:
            picture(data / "000_mask.png", mask=mask)
    dataset = Dataset("eyecandies", tmp_path)
    found = captures(dataset)
    assert set(found) == {"CandyCane/train/good/000", "CandyCane/test/defect/000"}
    scene = dataset.scene(found["CandyCane/test/defect/000"])
    assert len(registered_in(scene)) == 7
    assert scene["depth"].units == "mm"
    assert scene["depth"].min().item() == pytest.approx(400)
    assert scene["depth"].max().item() == pytest.approx(900)


def test_mulsen_finds_two_sensors_and_says_that_the_third_is_left_out(tmp_path: Path) -> None:
    for sensor in ("RGB", "Infrared"):
        picture(tmp_path / f"capsule/{sensor}/train/0.png", grey=sensor == "Infrared")
        picture(tmp_path / f"capsule/{sensor}/test/hole/0.png", grey=sensor == "Infrared")
        picture(tmp_path / f"capsule/{sensor}/test/good/0.png", grey=sensor == "Infrared")
        picture(tmp_path / f"capsule/{sensor}/GT/hole/0.png", mask="marked")
    (tmp_path / "capsule/Pointcloud/train").mkdir(parents=True)
    (tmp_path / "capsule/Pointcloud/train/0.stl").write_bytes(b"solid")
    dataset = Dataset("mulsen", tmp_path)
    found = captures(dataset)
    assert set(found) == {"capsule/train//0", "capsule/test/good/0", "capsule/test/hole/0"}
    assert all(set(c.frames) == {"rgb", "infrared"} for c in found.values())
    mask = found["capsule/test/hole/0"].mask
    assert mask is not None
    assert mask.parts[-4] == "RGB"
    assert any("cannot be put on a grid" in note for note in dataset.notes)


def test_gdxray_keeps_a_casting_on_one_side_and_reads_both_kinds_of_truth(tmp_path: Path) -> None:
    castings, welds = tmp_path / "Castings", tmp_path / "Welding"
    for series in ("C0001", "C0047"):
        for number in (1, 2):
            picture(castings / series / f"{series}_000{number}.png", grey=True)
        (castings / series / "ground_truth.txt").write_text(
            "   2.0000000e+00   5.0e+00   8.0e+00   11.0e+00   20.0e+00\n"
        )
    for number in (0, 1):
        picture(welds / "W0001" / f"W0001_000{number}.png", grey=True)
    picture(welds / "W0002" / "W0002_0001.png", mask="marked")
    dataset = Dataset("gdxray", tmp_path)
    found = captures(dataset)
    splits = {c.series: c.split for c in found.values() if c.series}
    assert splits == {"C0001": "train", "C0047": "test"}
    bad = found["Castings/test/defect/C0047_0002"]
    assert bad.boxes == ((10.0, 4.0, 20.0, 8.0),)
    assert found["Castings/test/good/C0047_0001"].boxes == ()
    scene = dataset.scene(bad)
    assert scene["defect"].values[10:20, 4:8].all()
    assert int(scene["defect"].sum()) == 40
    assert [c.name for c in dataset.captures("Welding")] == ["0001"]
    assert "neither a mask nor a box list" in dataset.refused[0].why


def test_frames_of_several_sizes_are_padded_as_blind_where_the_card_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "Castings/C0001"
    folder.mkdir(parents=True)
    for number, size in ((1, (10, 30)), (2, (20, 16))):
        counts = RNG.integers(20, 200, size).astype(np.uint8)
        Image.fromarray(counts).save(folder / f"C0001_000{number}.png")
    (folder / "ground_truth.txt").write_text("2 1 4 1 4\n")
    dataset = Dataset("gdxray", tmp_path)
    assert dataset.grid_size("Castings") == (20, 30)
    for capture, seen in zip(dataset.captures("Castings"), (320, 300), strict=True):
        scene = dataset.scene(capture)
        assert int(scene["valid"].sum()) == seen
        assert not scene["valid"].values[0, -1, -1]
    assert read_card("gdxray").pad

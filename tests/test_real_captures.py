"""Real captures, as they lie: found whole, read without a refusal."""

from collections import Counter
from pathlib import Path

import pytest

from mmdefect.dataset import Dataset


@pytest.mark.parametrize(("category", "train", "test"), [("capsule", 64, 58), ("cube", 110, 51)])
def test_mulsen_is_read_by_the_folder_card_as_it_lies(
    shared_folder: Path, category: str, train: int, test: int
) -> None:
    dataset = Dataset("folder", shared_folder / "data" / "mulsen-mini")
    splits = Counter(capture.split for capture in dataset.captures(category))
    assert splits == {"train": train, "test": test}
    assert dataset.sensors(category) == ["rgb", "infrared"]
    assert "color" in {capture.kind for capture in dataset.captures(category, "test")}
    scene = dataset.scene(dataset.captures(category, "test")[0])
    assert scene["grid"].values.tolist() == ["rgb", "infrared"]
    assert scene["infrared"].units == "relative"
    assert not dataset.refused


def test_a_tire_whose_scanner_is_missing_is_read_all_the_same(shared_folder: Path) -> None:
    dataset = Dataset("mvtec3d", shared_folder / "data" / "mvtec3d-half")
    splits = Counter(capture.split for capture in dataset.captures("tire"))
    assert splits == {"train": 80, "calibration": 29, "test": 112}
    defect = next(c for c in dataset.captures("tire", "test") if c.label == "defect")
    scene = dataset.scene(defect)
    assert scene["rgb"].shape == (3, 400, 300)
    assert bool(scene["defect"].any())
    assert not scene["valid"].sel(sensor="points").any()
    assert dataset.notes == ["tire: 221 of 221 captures have no points frame"]

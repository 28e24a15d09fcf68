"""Good pixels of defective parts: what they teach, and what they must not."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from mmdefect.cards import read_card
from mmdefect.dataset import Dataset
from mmdefect.detectors.memory_bank import MemoryBank
from mmdefect.evaluate import Settings, evaluate
from mmdefect.learnable import learnable
from mmdefect.miniature import write_miniature
from mmdefect.scene import new_scene

pytestmark = pytest.mark.usefixtures("three_threads")

SIDE = 64


def scene(seed: int, *, cracked: bool, margin: float | None = None) -> xr.Dataset:
    """A noisy plate with a crack that is far hotter than anything good."""
    rng = np.random.default_rng(seed)
    values = 300 + 0.1 * rng.standard_normal((SIDE, SIDE))
    defect = np.zeros((SIDE, SIDE), dtype=bool)
    if cracked:
        defect[28:34, :] = True
        values[defect] += 5.0
    frame = xr.DataArray(
        values.astype(np.float32), dims=("y", "x"), attrs={"modality": "infrared", "units": "K"}
    )
    made = new_scene({"infrared": frame}, reference="infrared", defect=defect)
    return made if margin is None else learnable(made, margin)


def test_the_margin_is_kept_and_measurements_stay_as_they_are() -> None:
    plain, marked = scene(0, cracked=True), scene(0, cracked=True, margin=5)
    learn = marked["learn"].values
    assert not learn[28 - 5 : 34 + 5].any()
    assert learn[: 28 - 5].all()
    assert learn[34 + 5 :].all()
    np.testing.assert_array_equal(plain["infrared"], marked["infrared"])
    assert marked["valid"].all()


def test_a_bank_learnt_from_cracked_parts_finds_the_crack_as_one_from_good_parts() -> None:
    test = scene(99, cracked=True)
    crack, rest = test["defect"].values, ~learnable(test, 8)["learn"].values
    maps = {}
    for name, scenes in {
        "good": [scene(i, cracked=False) for i in range(8)],
        "good pixels": [scene(i, cracked=True, margin=8) for i in range(8)],
        "everything": [scene(i, cracked=True) for i in range(8)],
    }.items():
        found = MemoryBank("infrared").fit(scenes).predict(test)
        maps[name] = found["sensor_map"].values[0]
    for name in ("good", "good pixels"):
        assert maps[name][crack].min() > 3 * np.median(maps[name][~rest])
    assert maps["everything"][crack].mean() < 0.5 * maps["good pixels"][crack].mean()


def test_no_row_of_the_bank_comes_from_near_a_marked_defect() -> None:
    scenes = [scene(i, cracked=True, margin=8) for i in range(6)]
    bank = MemoryBank("infrared").fit(scenes)
    good = MemoryBank("infrared").fit([scene(i, cracked=False) for i in range(6)])
    hottest = [torch.as_tensor(b.bank_).abs().max().item() for b in (bank, good)]
    assert hottest[0] < 2 * hottest[1]


def test_held_out_scores_of_cracked_parts_are_those_of_their_good_pixels() -> None:
    bank = MemoryBank("infrared").fit([scene(i, cracked=True, margin=8) for i in range(8)])
    held_out = [
        bank.predict(scene(i, cracked=True, margin=8), without=i % bank.folds) for i in range(8)
    ]
    cracked = bank.predict(scene(50, cracked=True))["sensor_score"].item()
    assert max(told["sensor_score"].item() for told in held_out) < cracked / 3
    assert np.isnan(held_out[0]["sensor_map"].values[0][30]).all()


def test_an_unknown_defect_teaches_nothing_and_another_grid_neither() -> None:
    unknown = scene(0, cracked=True).drop_vars("defect")
    assert not learnable(unknown, 3)["learn"].any()
    frame = scene(0, cracked=True)["infrared"]
    two = new_scene(
        {"infrared": frame, "side": frame},
        reference="infrared",
        grids={"side": "side"},
        defect=np.zeros((SIDE, SIDE), dtype=bool),
    )
    marked = learnable(two, 3)
    assert marked["learn"].all()
    assert not marked["valid"].sel(sensor="side").any()


def test_data_without_a_good_part_are_evaluated_by_pixels_alone(tmp_path: Path) -> None:
    root = tmp_path / "road"
    write_miniature(read_card("crack_rgbdt"), root, train=16, test=12, side=64)
    for path in [*root.glob("train/*/*"), *root.glob("test/*/*")]:
        number = int(path.stem)
        if path.parts[-3] == "test" and number < 32:
            path.unlink()  # good test parts
    masks = sorted((root / "train/gt").glob("*.png"))
    from PIL import Image

    for mask in masks:
        marked = np.zeros((64, 64), np.uint8)
        marked[:6, :6] = 255
        Image.fromarray(marked).save(mask)
    dataset = Dataset("crack_rgbdt", root)
    assert {c.label for c in dataset.captures("road")} == {"defect"}
    settings = Settings(features=dict.fromkeys(("rgb", "depth", "infrared"), "builtin"))
    results = evaluate("crack_rgbdt", root, tmp_path / "out", settings=settings)
    fused = next(row for row in results["rows"] if row["sensor"] == "fused")
    assert fused["pixel_auroc"] > 0.8
    for key in ("image_auroc", "recall", "precision", "fpr", "fnr", "threshold"):
        assert fused[key] is None
    assert {record["verdict"] for record in results["captures"]} == {"refer"}
    assert any("no part-level number is defined" in note for note in results["notes"])


@pytest.mark.parametrize("value", ["16", True, -1, [3]])
def test_a_margin_that_is_no_number_of_pixels_is_refused(value: object, tmp_path: Path) -> None:
    import json

    from mmdefect.errors import CardError

    own = tmp_path / "own.toml"
    own.write_text(f'base = "folder"\n[learn]\ngood_pixels = {json.dumps(value)}\n')
    with pytest.raises(CardError, match=r"good_pixels is .*pixels from 0 up were promised"):
        read_card(own)

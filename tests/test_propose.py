"""Cards proposed for folders: they load, and find the captures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mmdefect.cards import card_names, read_card
from mmdefect.cli import app
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError
from mmdefect.propose import propose


def read_back(text: str, root: Path, place: Path) -> Dataset:
    own = place / "proposed.toml"
    own.write_text(text)
    return Dataset(own, root)


def counts(dataset: Dataset) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for category in dataset.categories:
        for capture in dataset.captures(category):
            key = capture.split, capture.label
            found[key] = found.get(key, 0) + 1
    return found


@pytest.mark.parametrize("name", card_names())
def test_the_card_proposed_for_a_miniature_finds_what_its_own_card_finds(
    name: str, miniature, tmp_path: Path
) -> None:
    root = miniature(name)
    proposed = read_back(propose(root).text, root, tmp_path)
    assert counts(proposed) == counts(Dataset(name, root))
    (category,) = proposed.categories
    assert set(proposed.sensors(category)) == set(read_card(name).sensors)


@pytest.mark.parametrize(
    ("folder", "captures"),
    [("crack-rgbdt", 60), ("gdxray", 281), ("mulsen-mini", 283), ("mvtec3d-half", 221)],
)
def test_the_cards_proposed_for_real_captures_find_them(
    folder: str, captures: int, shared_folder: Path, tmp_path: Path
) -> None:
    root = shared_folder / "data" / folder
    proposal = propose(root)
    assert proposal.captures == captures
    assert sum(counts(read_back(proposal.text, root, tmp_path)).values()) == captures


def write(root: Path, *paths: str) -> None:
    for path in paths:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        grey = "thermo" in path or "mask" in path.lower() or "range" in path
        size = (8, 8) if grey else (8, 8, 3)
        Image.fromarray(np.arange(np.prod(size), dtype=np.uint8).reshape(size)).save(place)


OTHER_LAYOUTS = {
    "words of its own": (
        ["A/Vis/training/Pass/1.png", "A/Thermo/training/Pass/1.png", "A/Vis/testing/Dirt/2.png",
         "A/Thermo/testing/Dirt/2.png", "A/Labels/testing/Dirt/2.png"],
        {("train", "good"): 1, ("test", "defect"): 1},
        {"rgb", "infrared"},
    ),
    "sensors in the names": (
        ["train/good/1_vis.png", "train/good/1_range.png", "test/burr/7_vis.png",
         "test/burr/7_range.png", "test/burr/7_mask.png"],
        {("train", "good"): 1, ("test", "defect"): 1},
        {"rgb", "depth"},
    ),
    "no split": (
        ["pass/heat/1.png", "burr/heat/1.png", "burr/heat/2.png"],
        {("test", "defect"): 2, ("train", "good"): 1},
        {"infrared"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHER_LAYOUTS)
def test_layouts_that_no_card_knows_are_read_off_the_folders_names(
    case: str, tmp_path: Path
) -> None:
    paths, expected, sensors = OTHER_LAYOUTS[case]
    root = tmp_path / "parts"
    write(root, *paths)
    proposal = propose(root)
    dataset = read_back(proposal.text, root, tmp_path)
    found = counts(dataset)
    if case == "no split":  # drawn by name
        assert sum(found.values()) == 3
        assert found["test", "defect"] == 2
    else:
        assert found == expected
        assert any(c.mask for name in dataset.categories for c in dataset.captures(name))
    assert {s for name in dataset.categories for s in dataset.sensors(name)} == sensors


def test_units_are_asked_for_and_never_guessed(miniature, tmp_path: Path) -> None:
    root = miniature("folder")
    asked: dict[str, tuple[str, ...]] = {}

    def answer(sensor: str, units: tuple[str, ...]) -> str | None:
        asked[sensor] = units
        return {"infrared": "K", "points": "mm"}.get(sensor)

    told = propose(root, answer)
    card = read_back(told.text, root, tmp_path).card
    assert set(asked) == {"points", "depth", "infrared", "xray"}
    assert card.sensors["infrared"].options["unit"] == "K"
    assert card.sensors["points"].options["unit"] == "mm"
    assert card.sensors["depth"].options["unit"] == "relative"
    assert told.unknown == ["depth", "xray"]
    silent = propose(root)
    assert silent.text.count('unit = "relative"  # not known: one of') == 4


def test_the_command_prints_toml_and_says_what_it_does_not_know(miniature, tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["card", str(miniature("folder"))])
    assert run.exit_code == 0
    assert run.stdout.startswith('base = "folder"')
    assert "not known: the unit of infrared; it stays relative" in run.stderr
    out = tmp_path / "new.toml"
    assert (
        CliRunner().invoke(app, ["card", str(miniature("folder")), "--out", str(out)]).exit_code
        == 0
    )
    assert read_card(out).sensors
    again = CliRunner().invoke(app, ["card", str(miniature("folder")), "--out", str(out)])
    assert isinstance(again.exception, CardError)
    inside = CliRunner().invoke(
        app, ["card", str(miniature("folder")), "--out", str(miniature("folder") / "x.toml")]
    )
    assert isinstance(inside.exception, CardError)
    assert not (miniature("folder") / "x.toml").exists()


def test_a_folder_that_tells_nothing_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="is no folder"):
        propose(tmp_path / "nowhere")
    with pytest.raises(CardError, match="holds no pictures or arrays"):
        propose(tmp_path)
    write(tmp_path, "things/a.png", "things/b.png")
    with pytest.raises(CardError, match="has the name of a sensor"):
        propose(tmp_path)


@pytest.mark.parametrize(
    ("suffix", "sensor"),
    [(".dcm", "xray"), (".nxs", "xray"), (".zdf", "points"), (".pcd", "points"), (".png", "rgb")],
)
def test_a_file_that_only_one_sensor_writes_tells_the_sensor(
    suffix: str, sensor: str, tmp_path: Path
) -> None:
    for kind in ("ok", "scratch"):
        (tmp_path / "parts" / kind).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "parts" / kind / f"{number}{suffix}").touch()
    dataset = read_back(propose(tmp_path / "parts").text, tmp_path / "parts", tmp_path)
    assert sorted(dataset.sensors(dataset.categories[0])) == [sensor]
    assert sum(counts(dataset).values()) == 4

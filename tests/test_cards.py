"""Cards: the grammar both ways, and what a wrong card is told."""

from pathlib import Path

import pytest

from mmdefect.cards import card_names, read_card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError
from mmdefect.layout import Slot
from mmdefect.miniature import write_miniature


@pytest.mark.parametrize("name", card_names())
def test_every_card_reads_back_the_miniature_it_lays_out(name: str, miniature) -> None:
    root, card = miniature(name), read_card(name)
    dataset = Dataset(name, root)
    (category,) = dataset.categories
    assert set(dataset.sensors(category)) == set(card.sensors)
    assert len(dataset.captures(category, "train")) == 30
    in_calibration = 10 if "calibration" in card.splits else 0
    assert len(dataset.captures(category, "calibration")) == in_calibration
    test = dataset.captures(category, "test")
    assert [c.label for c in test].count("defect") == 6
    assert all(len(c.frames) == len(card.sensors) for c in test)
    if card.layout.places("boxes"):
        assert all(bool(c.boxes) == (c.label == "defect") for c in test)
    elif card.truth.labels == "truth":
        assert all(c.mask is not None for c in test)
    elif card.layout.places("mask"):
        assert all((c.mask is not None) == (c.label == "defect") for c in test)
    assert not dataset.refused


@pytest.mark.parametrize("name", [n for n in card_names() if n != "real3d_ad"])
def test_every_card_gives_scenes_with_their_truth(name: str, miniature) -> None:
    dataset = Dataset(name, miniature(name))
    (category,) = dataset.categories
    bad = next(c for c in dataset.captures(category, "test") if c.label == "defect")
    scene = dataset.scene(bad)
    assert scene["valid"].any(["y", "x"]).all()
    assert int(scene["defect"].sum()) == 81
    assert "learn" not in scene
    assert not dataset.refused


def test_unorganised_clouds_are_found_and_refused_with_the_reason(miniature) -> None:
    dataset = Dataset("real3d_ad", miniature("real3d_ad"))
    assert "cannot be put on a grid" in dataset.notes[0]
    with pytest.raises(CardError, match="lists 2304 points, but no shape was promised"):
        dataset.scene(dataset.captures("plate")[0])


@pytest.mark.parametrize("name", card_names())
def test_a_path_matches_the_place_it_was_written_for(name: str) -> None:
    card = read_card(name)
    for target in [*card.sensors, "mask"]:
        places = card.layout.places(target)
        if not places:
            continue
        written = Slot("plate", "test", "scratch", "007", target, "S1")
        category = (*places.get("category", ()), "plate")[0]
        expected = Slot(
            category if "category" in places else "root",
            "test" if "split" in places else "",
            "scratch" if "kind" in places else "",
            "007",
            target,
            "S1" if "series" in places else "",
        )
        path = card.layout.path(written._replace(category=category), ".png")
        assert card.layout.match(path, "root") == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("capsule/train/good/rgb/000.png", ("capsule", "train", "good", "000", "rgb")),
        ("train/good/rgb/000.png", ("root", "train", "good", "000", "rgb")),
        ("good/ir/1.tiff", ("root", "", "good", "1", "infrared")),
        ("capsule/test/color/rgb/000.png", ("capsule", "test", "color", "000", "rgb")),
        ("a/test/infrared/color/001.png", ("a", "test", "color", "001", "infrared")),
        ("a/test/mask/color/001.png", ("a", "test", "color", "001", "mask")),
        ("rgb/scratch/1.jpg", ("root", "", "scratch", "1", "rgb")),
        ("x/rgb/test/hole/3.jpg", ("x", "test", "hole", "3", "rgb")),
        ("cap/val/ok/x-ray/a.b.tiff", ("cap", "calibration", "ok", "a.b", "xray")),
        ("cap/test/hole/gt/001.png", ("cap", "test", "hole", "001", "mask")),
    ],
)
def test_the_folder_card_takes_captures_as_they_lie(path: str, expected: tuple) -> None:
    assert read_card("folder").layout.match(path, "root") == Slot(*expected)


@pytest.mark.parametrize("path", ["readme.txt", "a/b/c/d/e/f.png", "train/good/notes/1.png"])
def test_other_files_are_no_frames(path: str) -> None:
    assert read_card("folder").layout.match(path, "root") is None


def test_a_card_of_three_lines_builds_on_folder(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('base = "folder"\n[sensors.infrared]\nunit = "K"\nscale = 0.01\n')
    card = read_card(own)
    assert card.name == "own"
    assert card.sensors["infrared"].options == {"unit": "K", "scale": 0.01}
    assert "thermal" in card.sensors["infrared"].folders
    assert card.sensors["rgb"] == read_card("folder").sensors["rgb"]


def test_a_file_name_with_an_ending_of_its_own_is_matched_exactly(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[frames]\nrgb = "{split}/{kind}/{capture}.png"\n'
        'mask = "ground_truth/{kind}/{capture}_mask.png"\n[sensors.rgb]\n'
    )
    card = read_card(own)
    assert card.layout.match("test/hole/004.png", "nut") == Slot(
        "nut", "test", "hole", "004", "rgb"
    )
    assert card.layout.match("ground_truth/hole/004_mask.png", "nut") == Slot(
        "nut", "", "hole", "004", "mask"
    )
    assert card.layout.match("test/hole/004.jpg", "nut") is None


WRONG = {
    "no such card": ("sonar.toml", None, "no card .*folder, gdxray"),
    "not TOML": ("c.toml", "name = ", "is not TOML"),
    "a slip of the pen": ("c.toml", 'base = "folder"\nsensor = 1', "has the key 'sensor'"),
    "no sensors": ("c.toml", 'name = "x"', "must have .sensors.NAME. and .frames."),
    "a table expected": ("c.toml", 'base = "folder"\nrig = 3', r"\[rig\] must be a table"),
    "unknown reference": (
        "c.toml",
        'base = "folder"\n[rig]\nreference = "sonar"',
        "names 'sonar', but the sensors are: rgb",
    ),
    "no capture in the pattern": (
        "c.toml",
        '[frames]\nrgb = "{split}/x.png"\n[sensors.rgb]',
        "must hold {capture}",
    ),
    "unknown placeholder": (
        "c.toml",
        '[frames]\nrgb = "{lot}/{capture}.png"\n[sensors.rgb]',
        "may hold, once each, capture, category",
    ),
    "sensor outside any": (
        "c.toml",
        '[frames]\nrgb = "{sensor}/{capture}.png"\n[sensors.rgb]',
        "belongs in the patterns of 'any'",
    ),
    "a name that a scene uses": (
        "c.toml",
        'base = "folder"\n[sensors.valid]\nadapter = "rgb"',
        "cannot be called 'valid'",
    ),
    "a base in a circle": ("c.toml", 'base = "c.toml"', "not in a circle"),
    "good is no text": ("c.toml", 'base = "folder"\ngood = 3', "good must be a text"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_card_is_told_what_was_found_and_promised(case: str, tmp_path: Path) -> None:
    file, text, message = WRONG[case]
    path = tmp_path / file
    if text is not None:
        path.write_text(text)
    with pytest.raises(CardError, match=message):
        read_card(path)


def test_an_option_the_adapter_does_not_know_is_named(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('base = "folder"\n[sensors.rgb]\nemissivity = 0.9\n')
    root = tmp_path / "captures"
    write_miniature(read_card("folder"), root, train=2, test=2)
    dataset = Dataset(own, root)
    with pytest.raises(CardError, match=r"\[sensors.rgb\] has an option .*emissivity"):
        dataset.scene(dataset.captures("plate")[0])

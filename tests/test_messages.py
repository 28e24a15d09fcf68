"""What a user is told: what was found, what was promised, what to do, and no machine talk."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mmdefect.cards import read_card
from mmdefect.dataset import Dataset
from mmdefect.errors import MmdefectError
from mmdefect.evaluate import Settings, evaluate
from mmdefect.features import extractor
from mmdefect.inspection import Inspection
from mmdefect.miniature import write_miniature
from mmdefect.registration import to_scene
from mmdefect.registry import load
from mmdefect.scene import blank_frame, check, new_scene
from mmdefect.simulate import simulate

MACHINE_TALK = r"np\.|numpy|array\(|dtype\(|<xarray|PosixPath|Traceback|0x[0-9a-f]{6}|\n|\x1b"
# a name that went through an array or a file, as names in xarray attributes do
NUMPY_TEXT = {text: np.str_(text) for text in ("m", "sonar", "odd")}


def frame(modality: str = "depth", unit: str = "mm", side: int = 4) -> xr.DataArray:
    return blank_frame(modality, unit, side, side).fillna(1.0)


def scene(**attrs: object) -> xr.Dataset:
    return new_scene({"depth": frame()}, reference="depth", attrs=attrs)


def written(place: Path, text: str) -> Path:
    card = place / "own.toml"
    card.write_text(text)
    return card


def read_first(card: Path | str, place: Path) -> None:
    dataset = Dataset(card, place / "plates")
    dataset.scene(dataset.captures("plate")[0])


def file_of(place: Path, sensor: str, body: bytes) -> None:
    path = place / f"frame.{'tiff' if sensor == 'points' else 'png'}"
    path.write_bytes(body)
    load("sensors", sensor)().read(path)


def stems(place: Path) -> None:
    for path in (place / "plates").rglob("xyz/*.tiff"):
        path.rename(path.with_stem(f"c{path.stem}"))
    Dataset("mvtec3d", place / "plates")


def untrained(place: Path) -> None:
    shutil.rmtree(place / "plates/plate/train")
    shutil.rmtree(place / "plates/plate/validation")
    evaluate("mvtec3d", place / "plates", place / "out")


def resumed(place: Path) -> None:
    for seed in (1, 2):
        simulate(place / "rig", products=["panel"], train=1, test=0, size=64, seed=seed)


MISTAKES: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "a card's name": (
        lambda place: read_card("sonar"),
        "no card 'sonar'",
        "there are: crack_rgbdt, eyecandies, folder,",
        'or give the path of a TOML file (for your own captures: base = "folder")',
    ),
    "a slip in a card": (
        lambda place: read_card(written(place, 'base = "folder"\nsensor = 1')),
        "has the key 'sensor'",
        "there are: assign, base, boxes, frames, good,",
        "",
    ),
    "a unit that nobody converts": (
        lambda place: read_first(
            written(place, 'base = "mvtec3d"\n[sensors.points]\nunit = "inch"'), place
        ),
        "unit is 'inch'",
        "but one of m, cm, mm, um, relative was promised",
        "; choose one",
    ),
    "an option that the adapter has not": (
        lambda place: read_first(
            written(place, 'base = "mvtec3d"\n[sensors.rgb]\ngamma = 2.2'), place
        ),
        "[sensors.rgb] has an option",
        "that the adapter 'rgb' does not know",
        "'gamma'",
    ),
    "a folder of other things": (
        lambda place: Dataset("folder", place / "plates" / "plate" / "test" / "good" / "rgb"),
        "no capture below 'rgb' for the card 'folder'",
        "it looks for [{category}/]{split}/{kind}/{sensor}/{capture};",
        "with sensors in the folders rgb, color",
    ),
    "a sensor that the card has not": (
        lambda place: Dataset("mvtec3d", place / "plates", sensors=[NUMPY_TEXT["sonar"]]),
        "no sensors named 'sonar'",
        "the card 'mvtec3d' has: rgb, points",
        "",
    ),
    "stems that never meet": (
        stems,
        "in 'plate' no capture has two sensors: 'points' has files like 'c000', 'rgb' like '000'",
        "the frames of one capture must have one name",
        "or say with --sensors which sensor to use",
    ),
    "no good part": (
        untrained,
        "'plate' has no good part to learn from",
        "kinds of good parts are good, splits are",
        "test",
    ),
    "results in the data set": (
        lambda place: evaluate("mvtec3d", place / "plates", place / "plates" / "out"),
        "results would be written into the data set",
        "",
        "give --out a folder elsewhere",
    ),
    "an empty file": (
        lambda place: file_of(place, "rgb", b""),
        "frame.png: is empty",
        "but a frame was promised",
        "record or copy it again",
    ),
    "a web page for a picture": (
        lambda place: file_of(place, "rgb", b"<html>"),
        "frame.png: begins with the bytes 3c 68 74 6d",
        "but PNG, JPEG or BMP was promised",
        "correct the suffix or record the frame again",
    ),
    "frames of two sizes": (
        lambda place: new_scene({"a": frame(), "b": frame(side=5)}, reference="a"),
        "frames have the sizes {'a': (4, 4), 'b': (5, 5)}",
        "but one size was promised",
        "bring them onto one grid with mmdefect.registration.to_scene",
    ),
    "another field of view": (
        lambda place: to_scene(
            {"a": frame(), "b": frame().isel(y=slice(2))},
            reference="a",
            registered=["b"],
            size=(4, 4),
        ),
        "'b' has 2x4 pixels",
        "but the reference's field of view was promised (4x4)",
        "take it out of the card's 'registered', or give frames of one field of view",
    ),
    "a unit that the scene does not promise": (
        lambda place: new_scene(
            {"depth": frame().assign_attrs(units=NUMPY_TEXT["m"])}, reference="depth"
        ),
        "'depth' is in 'm'",
        "but 'mm' or 'relative' was promised",
        "convert it where it is read",
    ),
    "a modality that nobody knows": (
        lambda place: new_scene(
            {"depth": frame().assign_attrs(modality=NUMPY_TEXT["sonar"])}, reference="depth"
        ),
        "'depth' has the modality 'sonar'",
        "there are: rgb, points, depth, infrared, xray",
        "",
    ),
    "a label that is none": (
        lambda place: scene(label=NUMPY_TEXT["odd"]),
        "label 'odd' was found",
        "there are: good, defect",
        "",
    ),
    "a scene that was tampered with": (
        lambda place: check(scene().assign(depth=frame() * np.nan)),
        "'valid' disagrees with where 'depth' is finite",
        "NaN exactly where not valid was promised",
        "build the scene with new_scene",
    ),
    "features that nobody makes": (
        lambda place: extractor("dino"),
        "no features named 'dino'",
        "there are: builtin, deviation, fpfh, surface, timm",
        "",
    ),
    "features without a value": (
        lambda place: extractor("builtin?stride="),
        "the features 'builtin?stride=' were given",
        "NAME[:MODEL][@FILE][?OPTION=VALUE&...] was promised",
        "",
    ),
    "a backbone that nobody made": (
        lambda place: load("features", "timm")("000").network,
        "timm has no model '000'",
        "near: none",
        "correct the name, timm.list_models() knows all",
    ),
    "a rule that nobody made": (
        lambda place: load("fusion", "late")(rule="odd"),
        "no fusion rule named 'odd'",
        "there are: bonferroni, fisher, harmonic, max, mean, norm, stouffer",
        "",
    ),
    "asked before it was fitted": (
        lambda place: Inspection(load("fusion", "late")()).predict(scene()),
        "the inspection knows no part",
        "",
        "fit it first",
    ),
    "a simulation resumed otherwise": (
        resumed,
        "products=panel revision=2 seed=1 ",
        "products=panel revision=2 seed=2 ",
        "name a new folder, or repeat the old settings to resume",
    ),
}


@pytest.fixture(scope="module")
def plates(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("messages")
    write_miniature(read_card("mvtec3d"), root, train=4, test=2, side=32)
    return root


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_what_was_found_what_was_promised_and_what_to_do(
    mistake, plates, tmp_path
):
    make, *parts = MISTAKES[mistake]
    shutil.copytree(plates, tmp_path / "plates")
    with pytest.raises(MmdefectError) as caught:
        make(tmp_path)
    said = str(caught.value)
    assert re.search(".*".join(map(re.escape, parts)), said), said
    assert not re.search(MACHINE_TALK, said), said


def test_refusals_notes_and_results_hold_no_machine_talk(plates, tmp_path):
    root = tmp_path / "plates"
    shutil.copytree(plates, root)
    (root / "plate/test/good/rgb/000.png").write_bytes(b"")
    (root / "plate/test/patch/gt/000.png").write_bytes(b"<html>")
    (root / "plate/train/good/xyz/000.tiff").unlink()
    features = dict.fromkeys(("rgb", "points"), "builtin")
    results = evaluate("mvtec3d", root, tmp_path / "out", settings=Settings(features=features))
    told = [*results["notes"], *(refusal["why"] for refusal in results["refused"])]
    assert len(results["refused"]) == 2
    assert len(results["notes"]) >= 3
    for said in told:
        assert not re.search(MACHINE_TALK, said), said
        assert str(tmp_path) not in said
    for name in ("results.json", "results.md"):
        assert "np." not in (tmp_path / "out" / name).read_text()

"""Bad files in a data set: each is listed, the rest is judged, and nothing is written there."""

import io
import json
import re
import shutil
import struct
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from mmdefect.cards import read_card
from mmdefect.cli import DONE, NOTHING_DONE, REFUSALS, main
from mmdefect.errors import CardError
from mmdefect.evaluate import Settings, evaluate
from mmdefect.miniature import write_miniature

SIDE = 32
BUILTIN = {"rgb": "builtin", "points": "builtin"}
SETTINGS = Settings(sensors=("rgb", "points"), features=BUILTIN, false_alarm=0.4)
TEST, TRAIN = "plate/test/good/001", "plate/train/good/003"
SUFFIXES = {"rgb": ".png", "points": ".tiff", "mask": ".png"}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A small miniature of colour and points."""
    root = tmp_path_factory.mktemp("made")
    write_miniature(read_card("folder"), root, side=SIDE, train=6, test=4)
    return root


@pytest.fixture
def lay(made, tmp_path):
    """Give a function that lays a copy of it out, to be changed."""
    return lambda: shutil.copytree(made, tmp_path / "captures")


def frame(root: Path, capture: str, sensor: str) -> Path:
    folder, name = capture.rsplit("/", 1)
    return root / folder / sensor / f"{name}{SUFFIXES[sensor]}"


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(root).as_posix(): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(root.rglob("*"))
    }


def picture(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def cloud(points: np.ndarray) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, points.astype(np.float32), photometric="minisblack")
    return stream.getvalue()


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def external() -> bytes:
    """Make an HDF5 file whose values are the bytes of another file."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("a", (2, 2, 3), "u1", external=[("/etc/hostname", 0, 12)])
    return stream.getvalue()


def huge() -> bytes:
    """Make a TIFF of a few hundred bytes that declares 60,000 x 60,000 pixels of 16 bits."""
    tags = {256: 60000, 257: 60000, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: 60000, 279: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, said) for tag, said in tags.items())
    start = struct.pack("<2sHI", b"II", 42, 108) + bytes(100)
    return start + struct.pack("<H", len(tags)) + entries + bytes(4)


def damaged() -> bytes:
    body = bytearray(picture(RANDOM))
    body[len(body) // 2] ^= 1
    return bytes(body)


RANDOM = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
GREY = RANDOM[..., 0]
RED = np.full((SIDE, SIDE, 3), (200, 50, 50), np.uint8)
CLOUD = np.random.default_rng(0).normal(5, 1, (SIDE, SIDE, 3)).astype(np.float32)
BAD = {
    "empty": ("rgb", ".png", b"", "is empty, but a frame was promised"),
    "corrupt": ("rgb", ".png", damaged(), "could not be decoded .*, but an intact .png"),
    "truncated": ("rgb", ".png", picture(RANDOM)[:900], "could not be decoded .* record or copy"),
    "text": ("rgb", ".png", b"<html>404</html>", "begins with .* but PNG, JPEG or BMP was prom"),
    "one channel": ("rgb", ".png", picture(GREY), "holds one channel .* but rgb promises three"),
    "transparent": ("rgb", ".png", picture(np.dstack([RANDOM, GREY])), "is transparent in"),
    "wrong size": (
        "rgb",
        ".png",
        picture(RANDOM[:24, :20]),
        "24x20 pixels were found, but 32x32 as in the other captures was promised",
    ),
    "one grey": ("rgb", ".png", picture(RED * 0 + 51), "every pixel is 0.2, 0.2, 0.2; a picture"),
    "one colour": ("rgb", ".png", picture(RED), "every pixel is 0.784314, 0.196078, 0.196078; a"),
    "brighter than white": (
        "rgb",
        ".npy",
        saved(RANDOM * 2.0),
        "holds values from 0 to 508, but reflectance from 0 to 1 was promised",
    ),
    "pickled": ("rgb", ".npy", saved(np.array([[print]], object)), "of type object, but real num"),
    "other files' bytes": ("rgb", ".h5", external(), "in other files .* but a frame lies in its"),
    "blind everywhere": ("points", ".tiff", cloud(CLOUD * np.nan), "no pixel holds a measurement"),
    "holes only": ("points", ".tiff", cloud(CLOUD * 0), "no pixel holds a measurement; a frame"),
    "two channels": ("points", ".tiff", cloud(CLOUD[..., :2]), "array of shape .* and 3 channels"),
    "7 GB declared": ("points", ".tiff", huge(), "declares 7200000000 bytes, but at most"),
    "unordered": ("points", ".npy", saved(CLOUD.reshape(-1, 3)), "lists 1024 points, but no shap"),
    "a folder": ("points", ".tiff", None, "is no regular file, but a frame was promised"),
    "a link to nowhere": ("points", ".tiff", "gone.tiff", "is not there, but a frame was promised"),
}


def plant(root: Path, capture: str, sensor: str, suffix: str, body: bytes | str | None) -> Path:
    """Put bytes, a folder (None) or a link (text) in a frame's place."""
    path = frame(root, capture, sensor)
    path.unlink()
    path = path.with_suffix(suffix)
    if isinstance(body, bytes):
        path.write_bytes(body)
    elif body is None:
        path.mkdir()
    else:
        path.symlink_to(body)
    return path


@pytest.mark.parametrize("case", BAD)
def test_a_bad_frame_is_listed_and_everything_else_is_judged(case, lay, tmp_path):
    sensor, suffix, body, why = BAD[case]
    root = lay()
    files = [plant(root, capture, sensor, suffix, body) for capture in (TEST, TRAIN)]
    before = tree(root)
    results = evaluate("folder", root, tmp_path / "out", settings=SETTINGS)
    assert tree(root) == before
    listed = {(r["capture"], r["sensor"], r["file"]) for r in results["refused"]}
    names = [path.relative_to(root).as_posix() for path in files]
    assert listed == {(TEST, sensor, names[0]), (TRAIN, sensor, names[1])}
    for refusal in results["refused"]:
        assert re.search(why, refusal["why"]), refusal["why"]
        assert str(tmp_path) not in refusal["why"]
    records = {record["capture"]: record for record in results["captures"]}
    assert len(records) == 4
    assert {record["verdict"] for record in records.values()} <= {"good", "defect"}
    other = "points" if sensor == "rgb" else "rgb"
    assert records[TEST]["sensors"][sensor]["present"] is False
    assert records[TEST]["sensors"][sensor]["verdict"] == "not_inspectable"
    assert records[TEST]["image_score"] == records[TEST]["sensors"][other]["evidence"]
    told = json.loads((tmp_path / "out/results.json").read_text())
    assert told == json.loads(json.dumps(results))


def test_a_capture_of_which_no_frame_is_left_is_not_inspectable(lay, tmp_path):
    root = lay()
    for sensor in BUILTIN:
        plant(root, TEST, sensor, SUFFIXES[sensor], b"")
    results = evaluate("folder", root, tmp_path / "out", settings=SETTINGS)
    records = {record["capture"]: record for record in results["captures"]}
    assert records[TEST]["verdict"] == "not_inspectable"
    assert records[TEST]["p_value"] is records[TEST]["image_score"] is None
    assert {r["verdict"] for name, r in records.items() if name != TEST} <= {"good", "defect"}
    fused = next(row for row in results["rows"] if row["sensor"] == "fused")
    assert (fused["n_good"], fused["n_defect"]) == (1, 2)
    assert "not_inspectable" in (tmp_path / "out/report.html").read_text()


def test_a_test_part_that_was_learnt_from_is_taken_out(lay, tmp_path):
    root = lay()
    shutil.copy(frame(root, TRAIN, "rgb"), frame(root, TEST, "rgb"))
    twin = "plate/calibration/good/000"
    shutil.copy(frame(root, twin, "points"), frame(root, "plate/test/patch/000", "points"))
    results = evaluate("folder", root, tmp_path / "out", settings=SETTINGS)
    assert {(r["capture"], r["sensor"]): r["why"] for r in results["refused"]} == {
        (TEST, "rgb"): f"the same image as {TRAIN}, which is learnt from; a part cannot be both: "
        "remove one of them",
        ("plate/test/patch/000", "points"): f"the same image as {twin}, which is learnt from; a "
        "part cannot be both: remove one of them",
    }
    assert {record["capture"] for record in results["captures"]} == {
        "plate/test/good/000",
        "plate/test/patch/001",
    }


def test_a_calibration_part_that_was_learnt_from_is_taken_out(lay, tmp_path):
    root = lay()
    held = "plate/calibration/good/000"
    shutil.copy(frame(root, TRAIN, "rgb"), frame(root, held, "rgb"))
    results = evaluate("folder", root, tmp_path / "out", settings=SETTINGS)
    assert [r["capture"] for r in results["refused"]] == [held]
    assert results["splits"]["plate"] == {"fit": 6, "calibration": 1, "test": 4}


def test_the_file_that_a_failed_scanner_writes_every_time_makes_no_copies(lay, tmp_path):
    root = lay()
    for capture in (TEST, TRAIN, "plate/test/patch/000"):
        plant(root, capture, "points", ".tiff", cloud(CLOUD * 0))
    results = evaluate("folder", root, tmp_path / "out", settings=SETTINGS)
    assert not any("same image" in refusal["why"] for refusal in results["refused"])
    records = {record["capture"]: record for record in results["captures"]}
    assert records.keys() >= {TEST, "plate/test/patch/000"}
    assert records["plate/test/patch/000"]["verdict"] == "defect"


def test_missing_masks_leave_the_part_metrics_and_are_told(lay, tmp_path):
    root = lay()
    shutil.rmtree(root / "plate/test/patch/mask")
    results = evaluate("folder", root, tmp_path / "out", settings=SETTINGS)
    fused = next(row for row in results["rows"] if row["sensor"] == "fused")
    assert fused["image_auroc"] is not None
    assert fused["pixel_auroc"] is fused["aupro_30"] is None
    assert fused["n_with_truth"] == 2
    assert results["refused"] == []
    assert results["notes"] == [
        "plate: 2 of 4 test captures have no usable mask and are left out of the pixel metrics; "
        "their label comes from the folder"
    ]


@pytest.mark.parametrize("shape", [(SIDE, 9), (SIDE, SIDE, 3)])
def test_a_mask_that_is_none_costs_the_truth_and_not_the_verdict(shape, lay, tmp_path):
    root = lay()
    mask = frame(root, "plate/test/patch/000", "mask")
    Image.fromarray(np.resize(RANDOM, shape)).save(mask)
    results = evaluate("folder", root, tmp_path / "out", settings=SETTINGS)
    assert [r["sensor"] for r in results["refused"]] == ["mask"]
    assert {r["capture"]: r["verdict"] for r in results["captures"]}[
        "plate/test/patch/000"
    ] == "defect"


def test_stems_that_never_meet_are_one_clear_error(lay, tmp_path):
    root = lay()
    for path in root.rglob("points/*.tiff"):
        path.rename(path.with_stem(f"cloud_{path.stem}"))
    with pytest.raises(CardError, match="'points' has files like 'cloud_000', 'rgb' like '000'"):
        evaluate("folder", root, tmp_path / "out", settings=SETTINGS)
    assert not (tmp_path / "out").exists()


def test_one_stem_that_does_not_meet_makes_two_captures_and_a_note(lay, tmp_path):
    root = lay()
    path = frame(root, TEST, "points")
    path.rename(path.with_stem("x001"))
    results = evaluate("folder", root, tmp_path / "out", settings=SETTINGS)
    assert len(results["captures"]) == 5
    assert results["refused"] == []
    assert "plate: 1 of 13 captures have no rgb frame" in results["notes"]


def test_a_category_that_fails_does_not_take_the_others_along(lay, tmp_path):
    root = lay()
    shutil.copytree(root / "plate/test", root / "lid/test")
    results = evaluate("folder", root, tmp_path / "out", settings=SETTINGS)
    assert {row["category"] for row in results["rows"]} == {"plate"}
    (refusal,) = results["refused"]
    assert refusal["capture"] == "lid"
    assert refusal["why"].startswith("'lid' has no good part to learn from; kinds of good parts")


# ---------------------------------------------------------------- exit codes


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Give a function that runs the command line and gives its exit code and standard error."""

    def of(*arguments: object) -> tuple[int, str]:
        out = () if "--out" in arguments else ("--out", tmp_path / "out")
        monkeypatch.setattr(sys, "argv", ["mmdefect", *map(str, (*arguments, *out))])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr().err

    return of


QUICK = ("--features", "builtin", "--sensors", "rgb", "--false-alarm", 0.4)


def test_the_exit_code_tells_a_clean_run_from_one_with_refusals(lay, run):
    root = lay()
    assert run("evaluate", "folder", root, *QUICK) == (DONE, "")
    plant(root, TEST, "rgb", ".png", b"")
    code, said = run("evaluate", "folder", root, *QUICK)
    assert code == REFUSALS
    assert said == (
        "refused: plate/test/good/rgb/001.png: is empty, but a frame was promised; record or copy "
        "it again\n"
    )


def test_when_nothing_can_be_done_one_line_says_why_and_the_code_is_2(lay, run, tmp_path):
    root = lay()
    (tmp_path / "empty").mkdir()
    untrained = tmp_path / "untrained"
    shutil.copytree(root / "plate/test", untrained / "test")
    cases = {
        ("folder", tmp_path / "empty"): "no capture below 'empty' for the card 'folder'; it looks",
        ("folder", tmp_path / "gone"): "gone' is no folder; give the folder that holds the capt",
        ("folder", frame(root, TEST, "rgb")): "001.png' is no folder",
        ("mvtec3d", root / "plate/train"): "no capture below 'train' for the card 'mvtec3d'",
        ("sonar", root): "no card 'sonar'; there are: crack_rgbdt, .*folder, .*mvtec3d",
        ("folder", root, "--category", "lid"): "no category named 'lid'; there are: plate",
        ("folder", root, "--sensors", "sonar"): "no sensors named 'sonar'; the card 'folder' has",
        ("folder", root, "--out", root / "out"): "written into the data set .*give --out a folder",
        ("folder", root, "--out", frame(root, TEST, "rgb").parent): "written into the data set",
        ("folder", untrained): "'untrained' has no good part to learn from",
    }
    before = tree(root)
    for arguments, why in cases.items():
        code, said = run("evaluate", *arguments, "--features", "builtin")
        assert code == NOTHING_DONE, arguments
        assert said.startswith("mmdefect: ")
        assert said.count("\n") == 1, said
        assert re.search(why, said), said
    assert tree(root) == before

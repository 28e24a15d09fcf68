"""The doctor on planted illnesses, and on healthy data."""

import io
import json
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from typer.testing import CliRunner

from mmdefect.captures import Capture
from mmdefect.cards import read_card
from mmdefect.cli import app
from mmdefect.doctor import DOUBTFUL, GOOD_TO_KNOW, WRONG, Examination, examine
from mmdefect.doctor.copies import same
from mmdefect.doctor.drift import holm, trend
from mmdefect.doctor.findings import CHECKS, Seen
from mmdefect.doctor.registered import RegistrationCheck
from mmdefect.errors import CardError
from mmdefect.miniature import write_miniature

OWN = (
    'base = "folder"\n[sensors.infrared]\nunit = "K"\nscale = 0.01\n[sensors.depth]\nunit = "mm"\n'
)
PARTS = 24


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good parts with a camera and an infrared camera, told apart by texture and noise."""
    folder = tmp_path_factory.mktemp("healthy")
    (folder / "own.toml").write_text(OWN + '[rig]\nregistered = ["infrared"]\n')
    rng = np.random.default_rng(7)
    for split, kind, count in (("train", "good", PARTS), ("test", "good", 20), ("test", "dent", 6)):
        for index in range(count):
            save(folder / "parts", split, kind, index, rng)
    return folder


@pytest.fixture
def healthy(made: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of them, to be changed: the card, and the folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "own.toml", tmp_path / "parts"


def save(root: Path, split: str, kind: str, index: int, rng: np.random.Generator) -> None:
    """Write one part: rivets and a groove that both sensors see, a texture of its own."""
    y, x = np.mgrid[:96, :96]
    part = np.full((96, 96), 0.45) + 0.02 * rng.standard_normal((12, 12)).repeat(8, 0).repeat(8, 1)
    for top, left in rng.integers(12, 84, size=(7, 2)):
        part += 0.25 * (np.hypot(y - top, x - left) < 5)
    mask = np.zeros((96, 96), dtype=bool)
    if kind == "dent":
        mask[30:40, 30:40] = True
        part[mask] -= 0.2
    seen = part[..., None] * [1.0, 0.95, 0.9] + 0.01 * rng.standard_normal((96, 96, 3))
    kelvin = 300 + 12 * part + 0.05 * rng.standard_normal((96, 96))
    for sensor, counts in (
        ("rgb", (255 * seen.clip(0, 1)).astype(np.uint8)),
        ("infrared", (100 * kelvin).astype(np.uint16)),
        ("mask", (255 * mask).astype(np.uint8)),
    ):
        if sensor == "mask" and kind == "good":
            continue
        path = root / split / kind / sensor / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(counts).save(path)


def of(found: Examination, check: str, severity: str = "") -> list[str]:
    return [
        f"{f.sensor}|{f.what}|{' '.join(f.captures)}"
        for f in found.findings
        if f.check == check and severity in ("", f.severity)
    ]


def test_nothing_is_wrong_or_doubtful_about_healthy_parts(healthy) -> None:
    found = examine(*healthy)
    assert found.is_fit_for_training
    told = [f for f in found.findings if f.severity != GOOD_TO_KNOW]
    assert [f.check for f in told] == ["split"]  # 8 of 24 parts are too few to calibrate on
    assert found.contents["parts"] == {"test": {"dent": 6, "good": 20}, "train": {"good": PARTS}}
    assert found.sensors["parts"]["infrared"]["units"] == "K"


@pytest.mark.parametrize("copy", ["exact", "recompressed", "noisy"])
def test_a_copy_of_a_training_part_in_the_test_split_is_wrong(healthy, copy: str) -> None:
    card, root = healthy
    picture = Image.open(root / "train/good/rgb/005.png")
    if copy == "recompressed":
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=90)
        picture = Image.open(stream)
    elif copy == "noisy":
        noise = np.random.default_rng(0).normal(0, 1.5, np.asarray(picture).shape)
        picture = Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))
    picture.save(root / "test/good/rgb/003.png")
    found = examine(card, root)
    (told,) = of(found, "copies", WRONG)
    assert told.startswith("rgb|1 pairs")
    assert "on both sides of the split" in told
    assert ("1 exactly" in told) == (copy == "exact")
    assert "parts/test/good/003 = parts/train/good/005" in told
    assert not found.is_fit_for_training


def test_the_same_picture_under_two_labels_and_within_a_split_is_told_apart(healthy) -> None:
    card, root = healthy
    shutil.copy(root / "test/good/rgb/001.png", root / "test/dent/rgb/001.png")
    shutil.copy(root / "train/good/rgb/001.png", root / "train/good/rgb/002.png")
    found = examine(card, root)
    assert ["under different labels" in told for told in of(found, "copies", WRONG)] == [True]
    assert ["within a split" in told for told in of(found, "copies", DOUBTFUL)] == [True]


def test_pictures_of_noise_are_no_copies_of_each_other_but_share_it_with_their_copy() -> None:
    rng = np.random.default_rng(1)
    ramp = np.linspace(0, 50, 96)[:, None].repeat(96, 1)
    one, other = (ramp + 0.5 * rng.standard_normal((96, 96)) for _ in range(2))
    assert not same(one, other)
    assert same(one, one + 0.2 * rng.standard_normal((96, 96)))
    assert not same(one, np.where(ramp > 45, np.nan, one))


def registration(shift: int, *, common: bool = True) -> RegistrationCheck:
    """Let two sensors see the same rivets, the second some pixels to the right."""
    rng = np.random.default_rng(3)
    check = RegistrationCheck("part", "depth", "rgb")
    y, x = np.mgrid[:128, :128]
    for number in range(8):
        seen, deep = rng.normal(0, 0.02, (128, 128)), rng.normal(0, 0.1, (128, 128))
        for top, left in rng.integers(20, 108, size=(6, 2)):
            seen += np.hypot(y - top, x - left) < 6
            deep -= 3.0 * (np.hypot(y - top, x - left - shift) < 6) * common
        frames = {
            "rgb": xr.DataArray(
                np.stack([seen] * 3).astype(np.float32),
                dims=("color", "y", "x"),
                attrs={"modality": "rgb", "units": "1"},
            ),
            "depth": xr.DataArray(
                (400 + deep).astype(np.float32),
                dims=("y", "x"),
                attrs={"modality": "depth", "units": "mm"},
            ),
        }
        capture = Capture("part", "train", "good", str(number), "good", {})
        check.look(Seen(capture, frames))
    return check


@pytest.mark.parametrize("shift", [3, -6])
def test_a_sensor_that_lies_off_is_found_with_its_offset(shift: int) -> None:
    check = registration(shift)
    down, right, _ = check.estimate()
    assert down == pytest.approx(0, abs=0.3)
    assert right == pytest.approx(shift, abs=0.3)
    (told,) = check.findings()
    assert told.severity == WRONG
    assert f"{shift:+.1f} px right of rgb" in told.what


def test_a_registered_sensor_is_not_reported() -> None:
    check = registration(0)
    assert check.estimate() is not None
    assert not list(check.findings())


def test_where_sensors_share_no_edge_the_offset_is_not_measurable() -> None:
    (told,) = registration(3, common=False).findings()
    assert told.severity == GOOD_TO_KNOW
    assert "not measurable" in told.what


def test_a_shift_of_three_pixels_on_disk_is_found_and_none_is_not(healthy) -> None:
    card, root = healthy
    assert not of(examine(card, root), "registration", WRONG)
    for path in root.rglob("infrared/*.png"):
        counts = np.roll(np.array(Image.open(path)), 3, axis=1)
        Image.fromarray(counts).save(path)
    (told,) = of(examine(card, root), "registration", WRONG)
    assert told.startswith("infrared|")
    assert "+3.0 px right of rgb" in told


def test_a_line_that_warms_up_drifts_and_numbers_in_names_are_numbers(healthy) -> None:
    card, root = healthy
    folder = root / "train/good/infrared"
    for index in range(PARTS):
        path = folder / f"{index:03d}.png"
        counts = np.array(Image.open(path)) + np.uint16(20 * index)
        Image.fromarray(counts).save(path)
        for sensor in ("rgb", "infrared"):  # 2 must come before 10
            old = root / "train/good" / sensor / f"{index:03d}.png"
            old.rename(old.with_name(f"part{index}.png"))
    (told,) = of(examine(card, root), "drift")
    assert told.startswith("infrared|the level of infrared rises over the 24 good parts of train")


def test_stationary_numbers_hardly_ever_drift() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        found += bool(holm([trend(rng.normal(size=40))[1] for _ in range(6)], 0.01))
    assert found <= 8  # 2 are expected; 8 or more have a chance of one in a thousand


@pytest.mark.parametrize(
    ("kind", "mask", "severity", "said"),
    [
        ("good", np.ones((96, 96)), WRONG, "under good have a mask that marks a defect"),
        ("dent", np.zeros((96, 96)), DOUBTFUL, "defective captures have an empty mask"),
        ("dent", np.eye(96)[:, ::-1] * (np.arange(96) < 5), DOUBTFUL, "mark 9 pixels or fewer"),
        ("dent", np.ones((96, 96)), GOOD_TO_KNOW, "mark more than half of the picture"),
        ("dent", np.eye(40), DOUBTFUL, "masks have another size than the reference's frame"),
        ("dent", None, DOUBTFUL, "1 defective captures have no mask"),
    ],
)
def test_labels_and_masks_that_contradict_are_found(
    healthy, kind: str, mask: np.ndarray | None, severity: str, said: str
) -> None:
    card, root = healthy
    path = root / "test" / kind / "mask" / "002.png"
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if mask is not None:
        Image.fromarray((255 * mask).astype(np.uint8)).save(path)
    (told,) = [t for t in of(examine(card, root), "truth", severity) if said in t]
    assert f"parts/test/{kind}/002" in told


def test_a_wrong_scale_a_dark_frame_and_a_saturated_camera_are_found(healthy) -> None:
    card, root = healthy
    card.write_text(card.read_text().replace("scale = 0.01", "scale = 0.1"))
    for index in range(2):
        path = root / f"train/good/rgb/{index:03d}.png"
        Image.fromarray((np.array(Image.open(path)) * 0.2).astype(np.uint8)).save(path)
    for path in (root / "test/good/rgb").glob("*.png"):
        counts = np.array(Image.open(path))
        counts[:20] = 255
        Image.fromarray(counts).save(path)
    found = examine(card, root)
    (units,) = of(found, "units", WRONG)
    assert units.startswith("infrared|50 of 50 frames have values from 3")
    (dark,) = of(found, "exposure")
    assert "parts/train/good/000 parts/train/good/001" in dark
    assert any("the highest value" in told for told in of(found, "saturation", DOUBTFUL))


def test_a_bad_file_and_a_missing_sensor_are_findings_and_no_crash(healthy) -> None:
    card, root = healthy
    (root / "train/good/infrared/004.png").write_bytes(b"no picture")
    for path in (root / "test/dent/infrared").glob("*.png"):
        path.unlink()
    found = examine(card, root)
    assert any("PNG, JPEG or BMP was promised" in told for told in of(found, "files", DOUBTFUL))
    (told,) = of(found, "sensors", DOUBTFUL)
    assert told.startswith("infrared|6 of 50 captures have no infrared frame")
    shutil.rmtree(root / "train/good/infrared")
    (told,) = of(examine(card, root), "sensors", WRONG)
    assert "24" in told or "30 of 50" in told


def test_no_good_part_and_a_series_on_both_sides_are_wrong(healthy, tmp_path: Path) -> None:
    card, root = healthy
    shutil.rmtree(root / "train")
    assert any(
        "no good part to learn from" in told for told in of(examine(card, root), "split", WRONG)
    )
    own = tmp_path / "series.toml"
    own.write_text(
        '[frames]\nxray = "{series}/{capture}.png"\n[sensors.xray]\n'
        '[assign]\ntrain = ["*_0.png", "*_1.png"]\ntest = ["*"]\n'
    )
    parts = tmp_path / "wheels"
    for series in ("a", "b"):
        (parts / series).mkdir(parents=True)
        for index in range(4):
            noise = np.random.default_rng(index).integers(0, 255, (40, 40)).astype(np.uint8)
            Image.fromarray(noise).save(parts / series / f"{series}_{index}.png")
    (told,) = of(examine(own, parts), "series", WRONG)
    assert "a, b are both learnt from and tested" in told


def test_the_command_tells_the_gravest_first_and_how_it_ends(healthy) -> None:
    card, root = healthy
    run = CliRunner().invoke(app, ["doctor", str(card), str(root)])
    assert run.exit_code == 0
    assert "train: 24 captures (good 24)" in run.output
    assert "0 wrong, 1 doubtful" in run.output
    shutil.copy(root / "train/good/rgb/001.png", root / "test/good/rgb/002.png")
    run = CliRunner().invoke(app, ["doctor", str(card), str(root), "--json"])
    assert run.exit_code == 1
    told = json.loads(run.output)
    assert told["findings"][0]["severity"] == "wrong"
    assert told["findings"][0]["check"] == "copies"
    assert told["counts"]["wrong"] == 1
    assert not told["fit_for_training"]


def test_checks_that_are_left_out_do_not_look_and_are_named(healthy, monkeypatch) -> None:
    card, root = healthy
    shutil.copy(root / "train/good/rgb/001.png", root / "test/good/rgb/002.png")
    for check in ("BumpCheck", "CopiesCheck"):
        monkeypatch.setattr(import_module("mmdefect.doctor.examine"), check, None)
    run = CliRunner().invoke(app, ["doctor", str(card), str(root), "--skip", "copies,bump,invalid"])
    assert run.exit_code == 0
    assert run.output.rstrip().endswith("not looked at: invalid, bump, copies")
    found = examine(card, root, skip=["copies", "bump", "split"])
    assert {f.check for f in found.findings}.isdisjoint({"copies", "bump", "split"})
    assert found.as_json()["skipped"] == ["split", "bump", "copies"]
    with pytest.raises(CardError, match="no check named 'bumps'; there are: split, series"):
        examine(card, root, skip=["bumps"])


def test_every_check_of_the_table_can_be_left_out() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs/doctor.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 6]
    told = [row.split("`")[1] for row in rows]
    assert sorted(told) == sorted(CHECKS)


@pytest.mark.parametrize("name", ["mvtec3d", "gdxray", "crack_rgbdt", "real3d_ad"])
def test_every_kind_of_card_can_be_examined(name: str, tmp_path: Path) -> None:
    write_miniature(read_card(name), tmp_path / "m", train=10, test=8)
    found = examine(name, tmp_path / "m")
    assert found.as_json()["findings"]
    wrong = {f.check for f in found.findings if f.severity == WRONG}
    assert wrong == ({"files"} if name == "real3d_ad" else set())


def test_memory_does_not_grow_with_the_number_of_captures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tracemalloc

    monkeypatch.setattr("mmdefect.doctor.copies._BLOCK", 8)  # signatures compared at a time
    peaks = []
    for count in (8, 12, 72):  # the first run also imports
        root = tmp_path / str(count)
        write_miniature(read_card("mvtec3d"), root, train=count, test=6, side=64)
        tracemalloc.start()
        examine("mvtec3d", root)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    frames = 60 * 2 * 3 * 64 * 64 * 4  # what 60 more captures would hold
    assert peaks[2] - peaks[1] < 0.1 * frames

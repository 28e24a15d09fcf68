"""Data sets as they lie: found, split, read with suspicion, and never written to."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdefect.cards import read_card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, RegistrationError
from mmdefect.evaluate import Settings, evaluate
from mmdefect.miniature import write_miniature
from mmdefect.scene import present_in, registered_in

SIDE = 32


@pytest.fixture
def lay(tmp_path):
    """Give a function that lays out a small miniature of its own for a test."""

    def of(name: str = "mvtec3d", **counts: int) -> Path:
        root = tmp_path / "captures"
        write_miniature(read_card(name), root, side=SIDE, **({"train": 6, "test": 4} | counts))
        return root

    return of


def tree(root: Path) -> dict[str, tuple[int, str]]:
    """Time of change and content of everything below a folder."""
    return {
        path.relative_to(root).as_posix(): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted(root.rglob("*"))
    }


def touch(root: Path, *names: str) -> None:
    """Make empty files: enough to be found."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write_grey(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def test_captures_come_sorted_with_ids_labels_and_masks(lay):
    test = Dataset("mvtec3d", lay()).captures("plate", "test")
    assert [capture.id for capture in test] == [
        "plate/test/good/000",
        "plate/test/good/001",
        "plate/test/patch/000",
        "plate/test/patch/001",
    ]
    assert [capture.label for capture in test] == ["good", "good", "defect", "defect"]
    assert [capture.mask is not None for capture in test] == [False, False, True, True]
    assert test[0].frames["points"].name == "000.tiff"


def test_finding_reads_no_file_until_a_scene_is_asked_for(tmp_path, monkeypatch):
    touch(tmp_path, "good/rgb/1.png", "good/infrared/1.png", "hole/rgb/2.png")

    def never(*arguments, **options):
        raise AssertionError("a file was read")

    with monkeypatch.context() as patch:
        patch.setattr("mmdefect.sensors._frame.read_array", never)
        dataset = Dataset("folder", tmp_path)
        captures = dataset.captures(tmp_path.name)
        scenes = dataset.scenes(captures)
        assert len(scenes) == len(captures) == 2
        assert dataset.refused == []
        with pytest.raises(AssertionError, match="was read"):
            next(iter(scenes))
    with pytest.raises(CardError, match=r"no frame of .* can be read: .*is empty"):
        next(iter(scenes))


def test_without_split_folders_seventy_percent_of_the_good_train(tmp_path):
    root = tmp_path / "parts"
    touch(root, *(f"good/rgb/{n:03d}.png" for n in range(200)))
    touch(root, *(f"hole/rgb/{n:03d}.png" for n in range(50)))
    captures = Dataset("folder", root).captures("parts")
    train = {capture.id for capture in captures if capture.split == "train"}
    assert all(capture.split == "test" for capture in captures if capture.label == "defect")
    assert 120 <= len(train) <= 160
    assert {capture.split for capture in captures} == {"train", "test"}
    assert {c.id for c in Dataset("folder", root).captures("parts", "train")} == train


def test_the_automatic_split_outlives_new_captures_and_another_place(tmp_path):
    root = tmp_path / "parts"
    touch(root, *(f"good/rgb/{n:03d}.png" for n in range(60)))
    before = {c.name: c.split for c in Dataset("folder", root).captures("parts")}
    touch(root, *(f"good/rgb/{n:03d}.png" for n in range(60, 90)))
    grown = {c.name: c.split for c in Dataset("folder", root).captures("parts")}
    moved = root.rename(tmp_path / "renamed")
    after = {c.name: c.split for c in Dataset("folder", moved).captures("renamed")}
    assert before == {name: grown[name] for name in before}
    assert grown == after


def test_split_folders_are_kept_as_they_are(tmp_path):
    touch(tmp_path, *(f"train/good/rgb/{n}.png" for n in range(9)), "testing/ok/rgb/1.png")
    dataset = Dataset("folder", tmp_path)
    assert len(dataset.captures(tmp_path.name, "train")) == 9
    assert [c.kind for c in dataset.captures(tmp_path.name, "test")] == ["ok"]
    assert dataset.captures(tmp_path.name, "calibration") == []


def test_categories_sensors_and_the_repr_tell_what_is_there(tmp_path):
    touch(tmp_path, "nut/train/good/rgb/1.png", "nut/test/hole/rgb/1.png")
    touch(tmp_path, "bolt/train/good/ir/1.png", "bolt/train/good/depth/1.png")
    dataset = Dataset("folder", tmp_path)
    assert dataset.categories == ["bolt", "nut"]
    assert dataset.sensors("bolt") == ["depth", "infrared"]
    assert dataset.reference("bolt") == "depth"
    assert dataset.reference("nut") == "rgb"
    assert repr(dataset) == (
        "Dataset 'folder': 3 captures\n"
        "  bolt: train 1; sensors depth, infrared\n"
        "  nut: test 1, train 1; sensors rgb"
    )


def test_hidden_files_and_folders_are_no_captures(tmp_path):
    touch(tmp_path, "good/rgb/1.png", "good/rgb/.2.png", ".trash/rgb/3.png")
    assert [c.name for c in Dataset("folder", tmp_path).captures(tmp_path.name)] == ["1"]


def test_two_files_in_one_place_are_one_frame_and_one_refusal(tmp_path):
    touch(tmp_path, "good/rgb/1.jpg", "good/rgb/1.png")
    dataset = Dataset("folder", tmp_path)
    (capture,) = dataset.captures(tmp_path.name)
    assert capture.frames["rgb"].name == "1.jpg"
    (refusal,) = dataset.refused
    assert (refusal.sensor, refusal.file) == ("rgb", "good/rgb/1.png")
    assert refusal.why == "1.jpg is there too; one file was promised: move one away"


def test_chosen_sensors_are_the_only_ones_looked_at(lay):
    root = lay()
    dataset = Dataset("mvtec3d", root, sensors=["points"])
    assert dataset.sensors("plate") == ["points"]
    assert dataset.reference("plate") == "points"
    scene = dataset.scene(dataset.captures("plate", "test")[2])
    assert list(scene["sensor"].values) == ["points"]
    assert scene["defect"].values.any()
    assert registered_in(scene) == ["points"]
    with pytest.raises(CardError, match="no sensors named 'sonar'; the card 'mvtec3d' has: rgb, p"):
        Dataset("mvtec3d", root, sensors=["sonar"])


def test_a_sensor_that_some_captures_lack_is_nan_and_never_valid_there(lay):
    root = lay("folder")
    (root / "plate/test/good/infrared/001.png").unlink()
    dataset = Dataset("folder", root)
    has, lacks = dataset.captures("plate", "test")[:2]
    assert present_in(dataset.scene(has)) == dataset.sensors("plate")
    scene = dataset.scene(lacks)
    assert np.isnan(scene["infrared"].values).all()
    assert not scene["valid"].sel(sensor="infrared").values.any()
    assert scene["infrared"].attrs == dataset.scene(has)["infrared"].attrs
    assert "plate: 1 of 12 captures have no infrared frame" in dataset.notes
    assert dataset.refused == []


def test_the_grid_stays_when_the_reference_fails_in_a_capture(lay):
    root = lay()
    (root / "plate/test/good/rgb/000.png").write_bytes(b"")
    dataset = Dataset("mvtec3d", root)
    failed, fine = (dataset.scene(c) for c in dataset.captures("plate", "test")[:2])
    for coordinate in ("sensor", "grid", "y", "x"):
        assert failed[coordinate].identical(fine[coordinate])
    assert failed.attrs["reference"] == "rgb"
    assert present_in(failed) == ["points"]
    assert registered_in(failed) == ["rgb", "points"]
    assert [(r.capture, r.sensor) for r in dataset.refused] == [("plate/test/good/000", "rgb")]


def test_an_unregistered_sensor_of_another_size_is_resampled_on_its_own_grid(lay):
    root = lay("folder")
    for path in root.glob("plate/*/*/infrared/*.png"):
        picture = np.full((20, 40), 1000, np.uint16)
        picture[:, 20:] = 3000
        write_grey(path, picture)
    dataset = Dataset("folder", root, sensors=["rgb", "infrared"])
    scene = dataset.scene(dataset.captures("plate", "test")[0])
    assert scene["infrared"].shape == scene["rgb"].shape[1:] == (SIDE, SIDE)
    assert scene["grid"].to_series().to_dict() == {"rgb": "rgb", "infrared": "infrared"}
    assert registered_in(scene) == ["rgb"]
    np.testing.assert_allclose(scene["infrared"].values[:, : SIDE // 2 - 2], 1000)
    np.testing.assert_allclose(scene["infrared"].values[:, SIDE // 2 + 2 :], 3000)


def test_a_registered_sensor_may_have_another_pitch_but_no_other_field_of_view(lay, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('base = "folder"\n[rig]\nregistered = ["infrared"]\n')
    root = lay("folder")

    def with_infrared(height: int, width: int):
        ramp = np.tile(np.linspace(1000, 2000, width), (height, 1)).astype(np.uint16)
        for path in root.glob("plate/*/*/infrared/*.png"):
            write_grey(path, ramp)
        dataset = Dataset(own, root, sensors=["rgb", "infrared"])
        return dataset.scene(dataset.captures("plate")[0])

    assert registered_in(with_infrared(SIDE // 2, SIDE // 2)) == ["rgb", "infrared"]
    with pytest.raises(RegistrationError, match="'infrared' has 16x32 pixels, but the reference's"):
        with_infrared(SIDE // 2, SIDE)


def test_a_promised_sensor_that_is_nowhere_is_blind_in_every_scene(lay):
    root = lay()
    for folder in root.glob("plate/*/*/xyz"):
        shutil.rmtree(folder)
    dataset = Dataset("mvtec3d", root)
    assert dataset.sensors("plate") == ["rgb", "points"]
    scene = dataset.scene(dataset.captures("plate", "test")[0])
    assert present_in(scene) == ["rgb"]
    assert scene["points"].dims == ("axis", "y", "x")
    assert np.isnan(scene["points"].values).all()
    assert dataset.notes == ["plate: 12 of 12 captures have no points frame"]


def test_the_truth_is_known_for_good_parts_and_readable_masks_only(lay):
    root = lay(test=10)
    masks = root / "plate/test/patch/gt"
    (masks / "000.png").unlink()
    write_grey(masks / "001.png", np.zeros((SIDE, SIDE), np.uint8))
    write_grey(masks / "002.png", np.full((SIDE, 9), 255, np.uint8))
    write_grey(root / "plate/test/good/gt/000.png", np.full((SIDE, SIDE), 255, np.uint8))
    write_grey(root / "plate/test/good/gt/001.png", np.zeros((SIDE, SIDE), np.uint8))
    dataset = Dataset("mvtec3d", root)
    scenes = {s.attrs["capture"]: s for s in dataset.scenes(dataset.captures("plate", "test"))}
    known = {name.removeprefix("plate/test/") for name in scenes if "defect" in scenes[name]}
    assert known == {*(f"good/00{n}" for n in (1, 2, 3, 4)), "patch/003", "patch/004"}
    assert not scenes["plate/test/good/002"]["defect"].values.any()
    assert scenes["plate/test/patch/003"]["defect"].values.any()
    assert [(refusal.capture, refusal.sensor, refusal.why) for refusal in dataset.refused] == [
        (
            "plate/test/good/000",
            "mask",
            "a mask marks a defect on a part that lies under good; an empty mask, or none, was "
            "promised: move the part or remove the mask",
        ),
        (
            "plate/test/patch/002",
            "mask",
            f"the mask has {SIDE}x9 pixels, but the reference's {SIDE}x{SIDE} were promised; draw "
            "it on the reference's frame",
        ),
    ]


def test_scenes_can_be_gone_through_again_and_refuse_a_file_once(lay):
    root = lay()
    (root / "plate/test/good/rgb/000.png").write_bytes(b"no picture")
    dataset = Dataset("mvtec3d", root)
    scenes = dataset.scenes(dataset.captures("plate", "test"))
    first, second = list(scenes), list(scenes)
    assert len(first) == len(second) == len(scenes) == 4
    assert all(one.identical(other) for one, other in zip(first, second, strict=True))
    assert len(dataset.refused) == 1


def test_a_file_that_may_not_be_opened_costs_one_frame(lay, monkeypatch):
    root = lay()
    locked = root / "plate/test/good/rgb/000.png"
    unlocked = Path.open

    def opened(path: Path, *arguments, **options):
        if path == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return unlocked(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)
    dataset = Dataset("mvtec3d", root)
    train, test = (dataset.captures("plate", split) for split in ("train", "test"))
    assert dataset.without_copies(test, train) == test
    assert len(dataset.manifest(test)) == 64
    assert present_in(dataset.scene(test[0])) == ["points"]
    (refusal,) = dataset.refused
    assert refusal.file == "plate/test/good/rgb/000.png"
    assert "Permission denied" in refusal.why


def manifest(root: Path) -> str:
    dataset = Dataset("mvtec3d", root)
    return dataset.manifest(dataset.captures("plate"))


def test_the_manifest_knows_bytes_and_names_and_nothing_else(lay, tmp_path):
    root = lay()
    whole = manifest(root)
    for path in root.rglob("*.png"):
        os.utime(path, (1, 1))
    (root / "readme.txt").write_text("not a capture")
    assert manifest(root) == whole
    assert manifest(root.rename(tmp_path / "elsewhere")) == whole
    root = tmp_path / "elsewhere"
    frame = root / "plate/train/good/rgb/000.png"
    body = frame.read_bytes()
    frame.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    assert manifest(root) != whole
    frame.write_bytes(body)
    assert manifest(root) == whole
    frame.rename(frame.with_name("900.png"))
    assert manifest(root) != whole


def test_the_manifest_covers_masks_and_only_the_captures_asked_for(lay):
    root = lay()
    dataset = Dataset("mvtec3d", root)
    train, test = (dataset.captures("plate", split) for split in ("train", "test"))
    before = dataset.manifest(train), dataset.manifest(test)
    write_grey(root / "plate/test/patch/gt/000.png", np.zeros((SIDE, SIDE), np.uint8))
    dataset = Dataset("mvtec3d", root)
    assert dataset.manifest(train) == before[0]
    assert dataset.manifest(test) != before[1]


def test_an_evaluation_leaves_the_data_set_untouched(lay, tmp_path):
    root = lay()
    (root / "plate/test/good/rgb/000.png").write_bytes(b"")
    before = tree(root)
    settings = Settings(features={"rgb": "builtin", "points": "builtin"}, false_alarm=0.3)
    evaluate("mvtec3d", root, tmp_path / "out", settings=settings)
    assert tree(root) == before
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.html",
        "results.json",
        "results.md",
        "viewer",
    }


def test_a_card_may_build_on_a_card_that_builds_on_another(tmp_path, miniature):
    (tmp_path / "plant.toml").write_text('base = "folder"\n[sensors.infrared]\nscale = 2.0\n')
    (tmp_path / "line.toml").write_text('base = "plant.toml"\ntitle = "line 3"\n')
    card = read_card(tmp_path / "line.toml")
    assert card.title == "line 3"
    assert card.sensors["infrared"].options["scale"] == 2.0
    assert card.sensors["rgb"].folders == read_card("folder").sensors["rgb"].folders


def test_without_its_reference_a_sensor_of_another_grid_has_no_truth(miniature):
    dataset = Dataset("folder", miniature("folder"), sensors=["infrared", "xray"])
    defect = next(c for c in dataset.captures("plate", "test") if c.label == "defect")
    scene = dataset.scene(defect)
    assert "defect" not in scene
    assert scene["grid"].values.tolist() == ["infrared", "xray"]


def test_a_side_car_file_does_not_displace_its_picture(tmp_path):
    write_miniature(read_card("mvtec3d"), tmp_path, train=3, test=2)
    frames = sorted(tmp_path.rglob("*.png"))
    for path in frames:
        path.with_suffix(".json").write_text("{}")
    dataset = Dataset("folder", tmp_path, sensors=["rgb"])
    assert not dataset.refused
    assert all(c.frames["rgb"].suffix == ".png" for c in dataset.captures("plate"))


def test_a_mask_without_a_capture_is_listed(tmp_path):
    write_miniature(read_card("mvtec3d"), tmp_path, train=3, test=2)
    mask = next(tmp_path.rglob("gt/*.png"))
    mask.rename(mask.with_name("000_mask.png"))
    (refusal,) = Dataset("mvtec3d", tmp_path).refused
    assert refusal.sensor == "mask"
    assert "there is no frame of that name" in refusal.why

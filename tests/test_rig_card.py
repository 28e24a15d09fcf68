"""A card with a rig file: held against it, registered by it, hashed with it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmdefect.card_text import packed, unpacked
from mmdefect.cards import read_card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError
from mmdefect.registration import Camera, Plane, Pose, Rig, read_rig, write_rig
from mmdefect.scene import present_in, registered_in

SIDE = 40
CARD = """
name = "cell"
good = "good"
[frames]
any = "{split}/{kind}/{sensor}/{capture}"
mask = "{split}/{kind}/mask/{capture}"
[sensors.rgb]
[sensors.points]
unit = "m"
[sensors.infrared]
unit = "K"
scale = 0.01
[sensors.xray]
[rig]
file = "rig.toml"
"""


def make_rig(**more) -> Rig:
    def eye(height: int, width: int, x: float) -> Camera:
        pose = Pose(np.eye(3), np.array([x, 0.0, 0.0]))
        return Camera(height, width, 100.0, 100.0, (width - 1) / 2, (height - 1) / 2, pose=pose)

    cameras = {"rgb": eye(SIDE, SIDE, 0), "points": eye(SIDE, SIDE, 6), "infrared": eye(30, 50, -6)}
    return Rig("cell", "rgb", cameras | more.pop("cameras", {}), **more)


def write_captures(root: Path) -> None:
    """Two captures of a plane at 300 mm; the infrared camera sees a step of temperature."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    cloud = np.stack([columns * 3, rows * 3, np.full_like(rows, 300)], -1) / 1000
    for place in ("train/good", "test/dent"):
        frames = {
            "rgb/0.png": rng.integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8),
            "points/0.tiff": cloud.astype(np.float32),
            "infrared/0.png": np.where(np.arange(50) < 25, 30000, 31000)
            .repeat(30).reshape(50, 30).T.astype(np.uint16),
            "xray/0.png": rng.integers(0, 255, (SIDE, SIDE)).astype(np.uint8),
        }  # fmt: skip
        for name, values in frames.items():
            path = root / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".tiff":
                tifffile.imwrite(path, values, photometric="rgb")
            else:
                Image.fromarray(values).save(path)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[3:9, 4:12] = 255
    (root / "test/dent/mask").mkdir()
    Image.fromarray(mask).save(root / "test/dent/mask/0.png")


@pytest.fixture
def cell(tmp_path):
    """Give a function that writes captures, a card with changes, and a rig beside or below."""

    def of(change=("", ""), *, beside: bool = False, **more) -> tuple[Path, Path]:
        root = tmp_path / "captures"
        write_captures(root)
        card = tmp_path / "cards/cell.toml"
        card.parent.mkdir()
        card.write_text(CARD.replace(*change) if change[0] else CARD + change[1])
        write_rig(make_rig(**more), (card.parent if beside else root) / "rig.toml")
        return card, root

    return of


@pytest.mark.parametrize("beside", [True, False])
def test_captures_are_registered_by_the_rig(cell, beside):
    card, root = cell(beside=beside)
    dataset = Dataset(card, root)
    (capture,) = dataset.captures("captures", "test")
    scene = dataset.scene(capture)
    assert dataset.reference("captures") == scene.attrs["reference"] == "rgb"
    assert registered_in(scene) == ["rgb", "points", "infrared"]
    assert scene["grid"].sel(sensor="xray") == "xray"
    warm = scene["infrared"].values[5:35, 1:36]
    wanted = np.where(np.arange(1, 36) < 22, 300.0, 310.0)
    np.testing.assert_allclose(warm, np.broadcast_to(wanted, warm.shape), atol=1e-3)
    assert np.isnan(scene["infrared"].values[:5]).all()
    assert scene["defect"].values.sum() == 48
    assert dataset.refused == []


def test_points_are_told_in_mm_and_in_the_references_frame(cell):
    dataset = Dataset(*cell())
    points = dataset.scene(dataset.captures("captures")[0])["points"]
    assert points.attrs["units"] == "mm"
    z = points.values[2]
    assert np.nanmedian(z) == pytest.approx(300.0, abs=1e-3)
    columns = points.values[0] / z * 100 + (SIDE - 1) / 2
    wanted = np.broadcast_to(np.arange(SIDE), z.shape)[np.isfinite(z)]
    np.testing.assert_allclose(columns[np.isfinite(z)], wanted, atol=1e-3)
    assert np.isnan(z[:, -2:]).all()


def test_a_rig_goes_along_with_its_mesh_under_names_of_its_own(cell, tmp_path):
    mesh = tmp_path / "captures/cad/back plane.ply"
    corners = "-400 -400 300\n400 -400 300\n400 400 300\n-400 400 300\n3 0 1 2\n3 0 2 3\n"
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    mesh.parent.mkdir(parents=True)
    mesh.write_text(
        f"ply\nformat ascii 1.0\nelement vertex 4\n{axes}element face 2\n"
        f"property list uchar int vertex_indices\nend_header\n{corners}"
    )
    card, root = cell(surface=Path("cad/back plane.ply"))
    for path in root.rglob("points/*"):
        path.unlink()

    def warm(read) -> np.ndarray:
        dataset = Dataset(read, root)
        return dataset.scene(dataset.captures("captures", "test")[0])["infrared"].values

    there = warm(card)
    assert np.isfinite(there).mean() > 0.5
    told, files = packed(Dataset(card, root).card)
    assert set(files) == {"rig.toml", "rig-mesh.ply"}
    for name, held in files.items():
        (tmp_path / name).write_bytes(held)
    shutil.rmtree(mesh.parent)
    (root / "rig.toml").unlink()
    np.testing.assert_array_equal(warm(unpacked(told, tmp_path, "model")), there)


def test_a_missing_reference_leaves_the_grid_and_a_missing_cloud_the_own_grid(cell):
    card, root = cell()
    (root / "test/dent/rgb/0.png").unlink()
    (root / "train/good/points/0.tiff").unlink()
    dataset = Dataset(card, root)
    test, train = (dataset.captures("captures", split)[0] for split in ("test", "train"))
    scene = dataset.scene(test)
    assert present_in(scene) == ["points", "infrared", "xray"]
    assert "infrared" in registered_in(scene)
    assert scene["defect"].values.sum() == 48
    assert "infrared" not in registered_in(dataset.scene(train))


def test_without_a_cloud_the_rigs_plane_serves(cell):
    card, root = cell(surface=Plane(np.array([0, 0, 300.0]), np.array([0, 0, -1.0])))
    dataset = Dataset(card, root)
    capture = dataset.captures("captures", "test")[0]
    by_cloud = dataset.scene(capture)["infrared"].values
    (root / "test/dent/points/0.tiff").unlink()
    dataset = Dataset(card, root)
    by_plane = dataset.scene(dataset.captures("captures", "test")[0])["infrared"].values
    both = np.isfinite(by_cloud)
    assert both.mean() > 0.6
    np.testing.assert_allclose(by_plane[both], by_cloud[both], atol=0.02)


def test_a_scanner_that_is_not_asked_for_places_the_others_all_the_same(cell):
    card, root = cell()
    whole = Dataset(card, root)
    alone = Dataset(card, root, sensors=["infrared"])
    scene = alone.scene(alone.captures("captures", "test")[0])
    assert list(scene["sensor"].values) == alone.sensors("captures") == ["infrared"]
    wanted = whole.scene(whole.captures("captures", "test")[0])
    np.testing.assert_array_equal(scene["infrared"], wanted["infrared"])
    np.testing.assert_array_equal(scene["defect"], wanted["defect"])


def test_a_frame_of_another_size_costs_that_frame_only(cell):
    card, root = cell()
    Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(40, 30)).save(
        root / "test/dent/infrared/0.png"
    )
    dataset = Dataset(card, root)
    scene = dataset.scene(dataset.captures("captures", "test")[0])
    assert present_in(scene) == ["rgb", "points", "xray"]
    assert "infrared" in registered_in(scene)
    (refusal,) = dataset.refused
    assert (refusal.sensor, refusal.file) == ("infrared", "test/dent/infrared/0.png")
    assert refusal.why == (
        "40x30 pixels (rows x columns) were found, but the rig 'cell' promises 30x50 for "
        "'infrared'; record it as it was calibrated, or correct size in the rig file"
    )


def test_sensors_of_one_view_and_sensors_with_cameras_go_together(cell):
    dataset = Dataset(*cell(('file = "rig.toml"', 'file = "rig.toml"\nregistered = ["xray"]')))
    scene = dataset.scene(dataset.captures("captures", "test")[0])
    assert registered_in(scene) == ["rgb", "points", "infrared", "xray"]


def test_a_card_over_another_takes_the_reference_from_its_rig(cell):
    card, root = cell()
    card.write_text('base = "folder"\n[sensors.points]\nunit = "m"\n[rig]\nfile = "rig.toml"\n')
    assert read_card("folder").reference == "rgb"
    assert read_card(card).reference == ""
    assert Dataset(card, root).reference("captures") == "rgb"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"rig.toml"', '"other.toml"'), r"\[rig\] file is 'other.toml', but there is no such"),
        (('"rig.toml"', '"rig.toml"\nreference = "points"'), r"reference is 'points', but file"),
        (('"rig.toml"', '"rig.toml"\nregistered = ["points"]'), r"registered names 'points', wh"),
        (("[sensors.rgb]", '[sensors.photo]\nadapter = "rgb"'), r"reference 'rgb', but the senso"),
        (('unit = "m"', ""), r"\[sensors.points\] is in 'relative', but the rig 'rig.toml' is in"),
    ],
)
def test_a_card_that_contradicts_its_rig_is_refused(cell, change, said):
    with pytest.raises(CardError, match=said):
        Dataset(*cell(change))


def test_points_in_the_rigs_frame_need_an_adapter_that_keeps_them(cell):
    eye = make_rig().cameras["points"]
    turned = {"points": Camera(**{**vars(eye), "points_in": "rig"})}
    with pytest.raises(CardError, match="add camera_frame = false"):
        Dataset(*cell(cameras=turned))


def test_a_rig_file_that_is_none_is_a_matter_of_the_card(cell):
    card, root = cell()
    (root / "rig.toml").write_text("reference = [")
    with pytest.raises(CardError, match=r"card 'cell': the rig file 'rig.toml' is not TOML"):
        Dataset(card, root)


@pytest.mark.parametrize("beside", [True, False])
def test_another_rig_makes_another_manifest(cell, beside):
    card, root = cell(beside=beside)
    before = Dataset(card, root)
    told = before.manifest(before.captures("captures"))
    path = (card.parent if beside else root) / "rig.toml"
    path.write_text(path.read_text() + "\n# calibrated again\n")
    after = Dataset(card, root)
    assert after.manifest(after.captures("captures")) != told


def test_the_documented_rig_file_is_read(tmp_path):
    page = (Path(__file__).resolve().parents[1] / "docs/rig-file.md").read_text(encoding="utf-8")
    example = next(b for b in page.split("```toml\n")[1:] if b.startswith("name ="))
    (tmp_path / "rig.toml").write_text(example.split("```")[0])
    rig = read_rig(tmp_path / "rig.toml")
    assert rig.reference == "rgb"
    assert list(rig.cameras) == ["rgb", "points", "xray"]
    assert rig.cameras["xray"].through
    aim = rig.cameras["points"].project(np.array([[0.0, 0.0, 450.0]]))
    assert np.abs(aim - 400).max() < 20

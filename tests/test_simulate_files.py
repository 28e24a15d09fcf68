"""The simulated station's files: same seed same bytes, resumption, and folders that are refused."""

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmdefect import Dataset
from mmdefect.errors import CardError
from mmdefect.registration import read_rig
from mmdefect.simulate import PRODUCTS, SENSORS, Capture, render_capture, simulate
from mmdefect.simulate.station import station
from mmdefect.simulate.writing import plan, shown_kinds

ASKED = {"products": ["panel"], "train": 2, "test": 10, "seed": 3, "size": 64}
DEFECTS = shown_kinds(PRODUCTS["panel"])
ENDINGS = {"rgb": "tiff", "points": "pcd", "infrared": "png", "xray": "png"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rig") / "set"
    simulate(out, **ASKED)
    return out


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_a_capture_does_not_depend_on_how_many_or_which_others_there_are(
    written: Path, tmp_path: Path
) -> None:
    others = {"train": 3, "test": 3, "kinds": ["impact", "void"], "products": ["bracket", "panel"]}
    simulate(tmp_path / "more", **{**ASKED, **others})
    known = {name: raw for name, raw in contents(written).items() if name.startswith("panel")}
    found = contents(tmp_path / "more")
    shared = known.keys() & found.keys()
    assert {name.split("/")[2] for name in shared} == {"good", "impact"}
    assert {name: known[name] for name in shared} == {name: found[name] for name in shared}
    assert any(name.startswith("bracket/test/void/xray") for name in found)


def test_every_capture_of_a_data_set_is_another_part(written: Path) -> None:
    truth = json.loads((written / "truth.json").read_text(encoding="utf-8"))
    seeds = {tuple(entry["seed"]) for entry in truth["captures"].values()}
    assert len(seeds) == len(truth["captures"]) == 12


def test_what_is_written_is_what_was_rendered_and_what_is_read(written: Path) -> None:
    job = next(job for job in plan(PRODUCTS["panel"], 2, 10) if job.kind == "impact")
    capture = render_capture("panel", "impact", seed=3, index=job.index, size=64)
    folder = written / "panel" / "test" / "impact"
    np.testing.assert_array_equal(tifffile.imread(folder / "rgb/000.tiff"), capture.frames["rgb"])
    counts = np.asarray(Image.open(folder / "infrared/000.png"))
    kelvin = capture.frames["infrared"]
    assert counts.dtype == np.uint16
    assert np.array_equal(counts == 0, np.isnan(kelvin))
    np.testing.assert_allclose(np.where(counts == 0, np.nan, counts * 0.01), kelvin, atol=0.006)
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "xray/000.png")),
                                  capture.frames["xray"])  # fmt: skip
    np.testing.assert_array_equal(
        np.asarray(Image.open(folder / "mask/000.png")), capture.mask * 255
    )
    o3d = pytest.importorskip("open3d")
    cloud = np.asarray(o3d.io.read_point_cloud(str(folder / "points/000.pcd")).points)
    points = capture.frames["points"].reshape(-1, 3)
    kept = np.isfinite(points).all(1)
    assert not kept.all()
    np.testing.assert_array_equal(cloud[np.isfinite(cloud).all(1)], points[kept])


def test_a_written_capture_becomes_a_registered_scene_of_four_sensors(written: Path) -> None:
    dataset = Dataset(written / "card.toml", written)
    scene = dataset.scene(dataset.captures("panel", "test")[0])
    assert set(scene.sensor.values) == set(SENSORS)
    assert set(scene.grid.values) == {"rgb"}
    assert scene.rgb.shape == (3, 64, 64)
    assert scene.xray.attrs["units"] == "1"
    assert scene.infrared.attrs["units"] == "K"
    middle = scene.isel(y=slice(16, 48), x=slice(16, 48))
    assert (middle.valid.mean(("y", "x")) > 0.8).all()
    assert not dataset.refused


def test_each_kind_has_its_files(written: Path) -> None:
    jobs = Counter(f"{job.split}/{job.kind}" for job in plan(PRODUCTS["panel"], 2, 10))
    expected = {f"test/{kind}": 0 for kind in DEFECTS} | jobs
    assert (jobs["train/good"], jobs["test/good"]) == (2, 4)
    for folder, count in expected.items():
        place = written / "panel" / folder
        for sensor, ending in ENDINGS.items():
            found = sorted(place.glob(f"{sensor}/*"))
            assert [f.name for f in found] == [f"{n:03d}.{ending}" for n in range(count)]
        masks = list(place.glob("mask/*.png"))
        assert len(masks) == (0 if folder.endswith("good") else count)
    assert {p.name for p in (written / "calibration").iterdir()} == {"flat.png", "dark.png"}
    assert read_rig(written / "rig.toml") == station(64)


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_test_set_is_forty_percent_good_and_the_rest_is_in_proportion(product: str) -> None:
    kinds = PRODUCTS[product].kinds
    counts = Counter((job.split, job.kind) for job in plan(PRODUCTS[product], 40, 203))
    assert counts["train", "good"] == 40
    assert counts["test", "good"] == 81
    assert ("test", "null") not in counts
    shares = {kind: kinds[kind].share for kind in shown_kinds(PRODUCTS[product])}
    assert sum(counts["test", kind] for kind in shares) == 122
    for kind, share in shares.items():
        assert abs(counts["test", kind] - 122 * share / sum(shares.values())) <= 1


def test_the_truth_names_every_capture_with_its_sizes_and_contrast(written: Path) -> None:
    truth = json.loads((written / "truth.json").read_text(encoding="utf-8"))
    assert set(truth["captures"]) == {job.key for job in plan(PRODUCTS["panel"], 2, 10)}
    for key, entry in truth["captures"].items():
        assert entry["kind"] == key.split("/")[2]
        if entry["kind"] != "good":
            assert set(entry["contrast_to_noise"]) == set(entry["visibility"]) == set(SENSORS)
            assert entry["group"] == PRODUCTS["panel"].kinds[entry["kind"]].group
            assert entry["sizes"]


def test_the_card_says_how_it_was_made(written: Path) -> None:
    card = tomllib.loads((written / "card.toml").read_text(encoding="utf-8"))
    assert card["name"] == "simulated-station"
    assert card["source"] == (
        "mmdefect simulate --product panel --train 2 --test 10 --size 64 --seed 3 --layout station"
    )


def test_the_layout_of_mvtec_is_read_by_its_card(tmp_path: Path) -> None:
    card = simulate(tmp_path, products=["bracket"], kinds=["dent"], train=4, test=4, size=64,
                    layout="mvtec3d")  # fmt: skip
    assert card == "mvtec3d"
    dataset = Dataset(card, tmp_path)
    assert {split: len(dataset.captures("bracket", split))
            for split in ("train", "calibration", "test")} == {
        "train": 4, "calibration": 1, "test": 4}  # fmt: skip
    dent = next(c for c in dataset.captures("bracket", "test") if c.kind == "dent")
    scene = dataset.scene(dent)
    assert scene.defect.values.any()
    stored = tifffile.imread(dent.frames["points"])
    hole = (stored == 0).all(-1)
    assert hole.any()
    assert 0.4 < stored[~hole][:, 2].mean() < 0.5  # metres
    assert np.array_equal(np.isnan(scene.points.values).any(0), hole)
    assert np.asarray(Image.open(dent.frames["rgb"])).dtype == np.uint8
    assert not dataset.refused


def test_colour_and_points_of_the_mvtec_layout_lie_pixel_on_pixel(tmp_path: Path) -> None:
    capture = render_capture("bracket", size=64, aligned=True)
    points = capture.frames["points"].reshape(-1, 3).astype(np.float64)
    pixels = capture.rig.cameras["rgb"].project(points)
    grid = np.stack(np.meshgrid(np.arange(64), np.arange(64)), -1).reshape(-1, 2)
    assert np.nanmax(np.abs(pixels - grid)) < 1e-3


class Interrupted(Exception):
    """Stands for a user who stops the run."""


def test_an_interrupted_run_resumes_to_the_same_bytes(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"

    def stop_after_five(jobs: Iterable, total: int, doing: str) -> Iterable:
        assert (total, doing) == (12, "simulating")
        for done, job in enumerate(jobs):
            if done == 5:
                raise Interrupted
            yield job

    with pytest.raises(Interrupted):
        simulate(out, **ASKED, track=stop_after_five)
    assert not (out / "card.toml").exists()
    made = count_renderings(monkeypatch)
    simulate(out, **ASKED)
    assert len(made) == 7
    assert contents(out) == contents(written)
    (out / "panel/test/impact/infrared/000.png").unlink()
    made.clear()
    simulate(out, **ASKED)
    assert made == ["impact"]
    assert contents(out) == contents(written)


def count_renderings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    real: Callable[..., Capture] = render_capture

    def counted(product: str, kind: str, **choices: object) -> Capture:
        made.append(kind)
        return real(product, kind, **choices)

    monkeypatch.setattr("mmdefect.simulate.writing.render_capture", counted)
    return made


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CardError, match=r"holds other files and no 'truth.json'.*name a new one"):
        simulate(tmp_path, train=1, test=0, size=64)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_of_other_settings_is_refused(written: Path) -> None:
    before = contents(written)
    with pytest.raises(CardError, match=r"simulated with .*seed=3.*but .*seed=4.*was asked for"):
        simulate(written, **{**ASKED, "seed": 4})
    assert contents(written) == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 1}'])
def test_a_truth_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "truth.json").write_text(text, encoding="utf-8")
    with pytest.raises(CardError, match="not the truth of a simulated data set"):
        simulate(tmp_path, train=1, test=0, size=64)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("mine", encoding="utf-8")
    with pytest.raises(CardError, match="is a file, a folder was promised"):
        simulate(tmp_path / "set", train=1, test=0, size=64)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": 0}, "at least one training capture"),
        ({"test": -1}, "no negative numbers"),
        ({"seed": -1}, "no negative numbers"),
        ({"size": 47}, "at least 48 px"),
        ({"layout": "zip"}, "no layout 'zip'; there are: station, mvtec3d"),
        ({"products": ["spoon"]}, "no product 'spoon'"),
        ({"kinds": ["rust"]}, "no kind 'rust' on bracket, panel, board; there are: "),
    ],
)
def test_an_order_that_makes_no_data_set_is_refused(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(CardError, match=message):
        simulate(tmp_path / "set", **{"train": 1, "test": 0, **wrong})
    assert not (tmp_path / "set").exists()

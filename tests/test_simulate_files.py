"""The simulated rig's files: same seed same bytes, resumption, and folders that are refused."""

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmdefect.errors import CardError
from mmdefect.simulate import KINDS, Capture, render_capture, simulate
from mmdefect.simulate.writing import plan

DEFECTS = KINDS[1:]
SENSORS = ("rgb", "points", "infrared")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rig") / "set"
    simulate(out, train=2, test=10, seed=3, size=64)
    return out


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_the_same_seed_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "again", train=2, test=10, seed=3, size=64)
    assert contents(tmp_path / "again") == contents(written)


def test_a_capture_does_not_depend_on_how_many_there_are(written: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "more", train=3, test=20, seed=3, size=64)
    more = contents(tmp_path / "more")
    few = {name: raw for name, raw in contents(written).items() if name.startswith("panel")}
    assert few.items() <= more.items()
    assert len(more) > len(few)


def test_every_capture_of_a_data_set_is_another_part(written: Path) -> None:
    truth = json.loads((written / "truth.json").read_text(encoding="utf-8"))
    seeds = {tuple(entry["seed"]) for entry in truth["captures"].values()}
    assert len(seeds) == len(truth["captures"]) == 12


def test_what_is_written_is_what_was_rendered(written: Path) -> None:
    job = next(job for job in plan(2, 10) if job.kind == "dent")
    capture = render_capture("dent", seed=3, index=job.index, size=64)
    files = job.files(written)
    points = tifffile.imread(files["points"])
    assert points.dtype == np.float32
    assert points.shape == (64, 64, 3)
    hole = np.isnan(capture.points[..., 2])
    assert hole.any()
    assert np.all(points[hole] == 0)
    np.testing.assert_array_equal(points[~hole], capture.points[~hole])
    counts = np.asarray(Image.open(files["infrared"]))
    assert counts.dtype == np.uint16
    assert np.array_equal(counts == 0, np.isnan(capture.infrared))
    kelvin = np.where(counts == 0, np.nan, counts * 0.01)
    np.testing.assert_allclose(kelvin, capture.infrared, atol=0.006)
    np.testing.assert_array_equal(np.asarray(Image.open(files["rgb"])), capture.rgb)
    np.testing.assert_array_equal(np.asarray(Image.open(files["mask"])), capture.mask * 255)


def test_each_kind_has_its_files(written: Path) -> None:
    expected = {"train/good": 2, "test/good": 4, **{f"test/{kind}": 1 for kind in DEFECTS}}
    for folder, count in expected.items():
        for sensor, ending in (("rgb", "png"), ("points", "tiff"), ("infrared", "png")):
            found = sorted((written / "panel" / folder / sensor).iterdir())
            assert [f.name for f in found] == [f"{n:03d}.{ending}" for n in range(count)]
        masks = list((written / "panel" / folder).glob("mask/*.png"))
        assert len(masks) == (0 if folder.endswith("good") else count)


def test_a_test_set_is_forty_percent_good_and_shared_evenly() -> None:
    counts = Counter((job.split, job.kind) for job in plan(40, 63))
    assert counts[("train", "good")] == 40
    assert counts[("test", "good")] == 25
    each = [counts[("test", kind)] for kind in DEFECTS]
    assert sum(each) == 38
    assert max(each) - min(each) == 1


def test_the_truth_names_every_capture_with_its_sizes_and_contrast(written: Path) -> None:
    truth = json.loads((written / "truth.json").read_text(encoding="utf-8"))
    assert set(truth["captures"]) == {job.key for job in plan(2, 10)}
    for key, entry in truth["captures"].items():
        assert entry["kind"] == key.split("/")[2]
        if entry["kind"] != "good":
            assert set(entry["contrast_to_noise"]) == set(SENSORS)
            assert all(name.endswith(("_mm", "_deg", "strength")) for name in entry["sizes"])


def test_the_card_says_how_it_was_made(written: Path) -> None:
    card = tomllib.loads((written / "card.toml").read_text(encoding="utf-8"))
    assert card["name"] == "simulated-panel"
    assert card["source"] == "mmdefect simulate --train 2 --test 10 --seed 3"
    assert card["frames"]["points"] == "{category}/{split}/{kind}/points/{capture}.tiff"
    assert card["sensors"]["infrared"] == {"adapter": "infrared", "unit": "K", "scale": 0.01}
    assert card["rig"] == {"reference": "rgb", "registered": ["points", "infrared"]}


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
        simulate(out, train=2, test=10, seed=3, size=64, track=stop_after_five)
    assert not (out / "card.toml").exists()
    made = count_renderings(monkeypatch)
    simulate(out, train=2, test=10, seed=3, size=64)
    assert len(made) == 7
    assert contents(out) == contents(written)


def test_a_lost_frame_is_made_again_and_nothing_else(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    simulate(out, train=2, test=10, seed=3, size=64)
    (out / "panel/test/dent/infrared/000.png").unlink()
    made = count_renderings(monkeypatch)
    simulate(out, train=2, test=10, seed=3, size=64)
    assert made == ["dent"]
    assert contents(out) == contents(written)


def count_renderings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    real: Callable[..., Capture] = render_capture

    def counted(kind: str, **choices: object) -> Capture:
        made.append(kind)
        return real(kind, **choices)

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
        simulate(written, train=2, test=10, seed=4, size=64)
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
    ],
)
def test_numbers_that_make_no_data_set_are_refused(
    tmp_path: Path, wrong: dict[str, int], message: str
) -> None:
    with pytest.raises(CardError, match=message):
        simulate(tmp_path / "set", **{"train": 1, "test": 0, **wrong})
    assert not (tmp_path / "set").exists()

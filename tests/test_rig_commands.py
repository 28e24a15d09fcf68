"""`mmdefect rig` on the command line: the walk of docs/rigs.md, and the tools that it shows."""

import json
import os
import re
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner, Result

from mmdefect.acquire import frame as frames
from mmdefect.acquire.frame import Damaged, Frame
from mmdefect.acquire.scanning import scan, shower
from mmdefect.acquire.session import Session
from mmdefect.acquire.setup import setup_of
from mmdefect.calibration import Target, target_text
from mmdefect.cli import DONE, NOTHING_DONE, REFUSALS, app
from mmdefect.errors import AcquisitionError
from mmdefect.frames import read_array
from mmdefect.registration import BrownConrady, Camera, Pose, read_rig, write_rig
from mmdefect.simulate.body import Body, Finish, Part
from mmdefect.simulate.light.fringes import light_rig, light_up, photograph_stack
from mmdefect.simulate.shapes import box
from mmdefect.simulate.station import DISTANCE_MM
from mmdefect.simulate.tracer import World
from mmdefect.structured.codes import complete

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import boards

ROOT = Path(__file__).resolve().parents[1]

PAGE = (ROOT / "docs" / "rigs.md").read_text(encoding="utf-8")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def blocks(language: str) -> list[str]:
    """What stands in the page's blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.S | re.M)
    return [body for told, body in found if told == language]


def shown() -> dict[tuple[str, ...], str]:
    """Every command of the page with what it shows of its output."""
    told = {}
    for body in blocks(""):
        for block in re.split(r"^\$ mmdefect ", body, flags=re.M)[1:]:
            line, _, output = block.partition("\n")
            told[tuple(shlex.split(line))] = output
    return told


def test_every_command_of_the_page_is_taken_by_its_parser():
    named = {words[:2] for words in shown() if words[0] == "rig"}
    assert named == {("rig", name) for name in get_command(app).commands["rig"].commands}
    for words in shown():
        command = get_command(app).commands[words[0]]
        if words[0] == "rig":
            command, words = command.commands[words[1]], words[1:]
        command.make_context(words[0], list(words[1:]))


def test_the_quick_steps_of_the_page_give_what_it_shows(tmp_path, monkeypatch):
    """Lists and cards to the letter; of captures, whose ball is elsewhere each time, the shape."""
    pytest.importorskip("harvesters", reason="the extra 'rig' is not installed")
    monkeypatch.chdir(tmp_path)
    cameras, card = blocks("toml")
    Path("cameras.toml").write_text(cameras)
    outputs = {words[1]: (words, output) for words, output in shown().items() if words[0] == "rig"}
    words, output = outputs["list"]
    told = run(*words).stdout.splitlines()[:4]
    assert [line.split() for line in told] == [line.split() for line in output.splitlines()]
    words, output = outputs["patterns"]
    assert run(*words).stdout == output
    words, output = outputs["grab"]
    told = run(*words)
    assert told.exit_code == DONE, told.output
    numbers = r"\d+(?:\.\d+)?"
    assert re.sub(numbers, "#", told.stdout) == re.sub(numbers, "#", output)
    told = run("rig", "record", "cameras.toml", "parts", "--count", 2)
    assert told.exit_code == DONE, told.output
    line = json.loads(told.stdout.splitlines()[-1])
    shown_line = next(o for w, o in shown().items() if w[:2] == ("rig", "record") and "parts" in w)
    assert all(f'"{key}": ' in shown_line for key in list(line)[:7])
    assert Path("parts/card.toml").read_text() == card


# structured light


@pytest.fixture(scope="module")
def plane(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A small capture of a table, and its depth."""
    folder = tmp_path_factory.mktemp("light")
    rig = light_rig((60, 80), lenses=False)
    write_rig(rig, folder / "rig.toml")
    table = Body("table", *box(400, 400, -5, 0), "abs", Finish((0.7, 0.7, 0.7), roughness=0.6))
    world = World(Part((table,), Pose(np.eye(3), np.array([0, 0, DISTANCE_MM]))))
    scenery = light_up(world, rig.cameras["points"], rig.cameras["projector"])
    code = complete("gray", (1280, 800), (18.0,), steps=8, axes=("column",), gamma=1.0)
    photograph_stack(folder / "capture", scenery, code, exposures=(1.0,))
    return folder, scenery.depth


@pytest.mark.parametrize("suffix", [".ply", ".npy", ".nc"])
def test_decode_writes_the_cloud_of_a_plane(plane, tmp_path, suffix):
    folder, depth = plane
    out = tmp_path / f"cloud{suffix}"
    told = run("rig", "decode", folder / "capture", folder / "rig.toml", out)
    assert told.exit_code == DONE, told.output
    assert re.search(r"^cloud:    60x80 px, \d+\.\d% measured$", told.stdout, re.M)
    middle = float(re.search(r"^depth:    (\S+) mm", told.stdout, re.M)[1])
    assert abs(middle - np.median(depth)) < 0.1
    if suffix == ".npy":
        found = read_array(out)[..., 2]
        assert np.nanmedian(np.abs(found - depth)) < 0.05
        assert np.isfinite(found).mean() > 0.9


def test_decode_says_when_nothing_is_left(plane, tmp_path):
    folder, _ = plane
    far = ("--near", 600, "--far", 700)
    told = run("rig", "decode", folder / "capture", folder / "rig.toml", tmp_path / "c.ply", *far)
    assert told.exit_code == NOTHING_DONE
    assert "no pixel was decoded" in told.stderr


def test_patterns_need_a_size_that_is_one(tmp_path):
    told = run("rig", "patterns", tmp_path / "p", "--size", "wide")
    assert told.exit_code == NOTHING_DONE
    assert "like 1280x800" in told.stderr
    assert not (tmp_path / "p").exists()


# patterns shown and recorded


class Watching:
    """A camera that photographs the pattern that is shown; some of its frames lose packets."""

    def __init__(self, photographs: dict[str, np.ndarray], spoiled: set[int]) -> None:
        self.id, self._photographs, self._spoiled = "cam", photographs, spoiled
        self.shown, self._sent, self._waiting = "", 0, 0

    def show(self, picture: Path) -> None:
        self.shown = picture.name

    def start(self, trigger: str, line: str) -> None:
        assert trigger == "software"

    def trigger(self) -> None:
        self._waiting += 1

    def fetch(self, timeout: float) -> Frame | Damaged | None:
        if not self._waiting:
            time.sleep(0.001)
            return None
        self._waiting, self._sent = self._waiting - 1, self._sent + 1
        now = time.monotonic_ns()
        if self._sent in self._spoiled:
            return Damaged(self.id, "missing packets", self._sent, now)
        return Frame(
            self.id, self._sent, now, (frames.Part("Mono8", self._photographs[self.shown]),)
        )

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


ONE = setup_of({"sensors": {"left": {"camera": "cam", "adapter": "rgb"}}})


@pytest.fixture
def patterns(plane, tmp_path) -> tuple[Path, dict[str, np.ndarray]]:
    """The patterns of the plane's capture, and what a camera sees of each."""
    folder, _ = plane
    assert run("rig", "patterns", tmp_path / "patterns", "--size", "1280x800").exit_code == DONE
    seen = [read_array(path) for path in sorted((folder / "capture").glob("*.png"))]
    names = [path.name for path in sorted((tmp_path / "patterns").glob("*.png"))]
    return tmp_path / "patterns", dict(zip(names, seen, strict=True))


def test_a_scan_is_the_capture_pattern_by_pattern_and_damaged_frames_are_taken_again(
    plane, patterns, tmp_path
):
    folder, _ = plane
    shown, seen = patterns
    camera = Watching(seen, spoiled={4, 9, 10})
    with Session(ONE, {"cam": camera}) as session:
        stacks = scan(session, shown, tmp_path / "scan", camera.show, settle=0)
        assert session.told() == {"cam": {"missing packets": 3}}
    assert stacks == {"left": tmp_path / "scan"}
    for name, frame in seen.items():
        assert np.array_equal(read_array(tmp_path / "scan" / name), frame)
    for capture, out in ((folder / "capture", "true.npy"), (tmp_path / "scan", "scan.npy")):
        told = run("rig", "decode", capture, folder / "rig.toml", tmp_path / out)
        assert told.exit_code == DONE, told.output
    true, scanned = (np.load(tmp_path / f"{name}.npy") for name in ("true", "scan"))
    assert np.array_equal(true, scanned, equal_nan=True)
    with pytest.raises(AcquisitionError, match="is there already"):
        scan(session, shown, tmp_path / "scan", camera.show)


def test_a_pattern_that_cannot_be_recorded_leaves_no_scan(patterns, tmp_path):
    shown, seen = patterns
    camera = Watching(seen, spoiled=set(range(3, 100)))
    with Session(ONE, {"cam": camera}) as session, pytest.raises(AcquisitionError) as told:
        scan(session, shown, tmp_path / "scan", camera.show, settle=0)
    assert "pattern 002.png could not be recorded in 5 tries: cam" in str(told.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["patterns"]


def test_a_command_shows_the_pattern_and_its_failure_is_told(tmp_path):
    copy = shower(
        f"{sys.executable} -c 'import sys, shutil; shutil.copy(*sys.argv[1:])' {{}} shown"
    )
    (tmp_path / "a.png").write_bytes(b"picture")
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        copy(tmp_path / "a.png")
        assert Path("shown").read_bytes() == b"picture"
        with pytest.raises(AcquisitionError, match="failed with exit code 1"):
            copy(tmp_path / "b.png")
    finally:
        os.chdir(here)
    with pytest.raises(AcquisitionError, match="there is no program 'projectorist'"):
        shower("projectorist {}")(tmp_path / "a.png")
    with pytest.raises(AcquisitionError, match="holds no "):
        shower("feh")


# calibration


SMALL = Target("charuco", 6, 8, 10.0, marker=7.0, dictionary="4X4_50")
LENS = BrownConrady(-0.1, 0.05, 0.0, 0.0, 0.0)
SEEN = {
    "a": Camera(300, 400, 560.0, 561.0, 198.0, 151.0, LENS),
    "b": Camera(
        300, 400, 558.0, 557.0, 201.0, 149.0, LENS,
        Pose(boards.turned(0, 12, 0), np.array([-55.0, 0.0, 6.0])),
    ),
}  # fmt: skip


def views(folder: Path, cameras: dict[str, Camera], count: int, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    poses = boards.placed(SMALL, rng, count, distance=260, spread=20)
    for name, camera in cameras.items():
        (folder / name).mkdir(parents=True)
        for number, pose in enumerate(poses):
            frame = boards.render(SMALL, camera, pose, rng)
            Image.fromarray(frame).save(folder / name / f"{number:02d}.png")
    return folder


def test_a_rig_is_calibrated_and_a_bumped_camera_is_told_by_the_exit_code(tmp_path):
    pytest.importorskip("cv2", reason="OpenCV finds targets")
    target, rig = tmp_path / "target.toml", tmp_path / "rig.toml"
    target.write_text(target_text(SMALL))
    words = ("rig", "calibrate", views(tmp_path / "views", SEEN, 6, 3), target, rig)
    told = run(*words, "--reference", "a")
    assert told.exit_code in (DONE, REFUSALS), told.output
    assert told.stdout.endswith(f"rig:      {rig}\n")
    found = read_rig(rig)
    assert found.reference == "a"
    shift = found.cameras["b"].pose.translation - SEEN["b"].pose.translation
    assert np.abs(shift).max() < 3.0
    assert "exists" in str(run(*words).exception)
    told = run("rig", "check", views(tmp_path / "monday", SEEN, 2, 4), target, rig, "--json")
    assert told.exit_code == DONE, told.output
    assert json.loads(told.stdout)["holds"] is True
    turn = boards.turned(0, 0.8, 0)
    pose = Pose(turn @ SEEN["b"].pose.rotation, turn @ SEEN["b"].pose.translation)
    moved = SEEN | {"b": Camera(300, 400, 558.0, 557.0, 201.0, 149.0, LENS, pose)}
    told = run("rig", "check", views(tmp_path / "tuesday", moved, 2, 4), target, rig)
    assert told.exit_code == REFUSALS, told.output
    assert "does not hold" in told.stdout

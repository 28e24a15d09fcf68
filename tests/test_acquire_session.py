"""Cameras that run together, and what is written of them: planted frames come back exactly."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmdefect.acquire.frame import Damaged, Frame, Part
from mmdefect.acquire.recording import Recorder, Target
from mmdefect.acquire.scan3d import Axis, Scan3d
from mmdefect.acquire.session import Session
from mmdefect.acquire.setup import read_setup, setup_of
from mmdefect.cli import DONE, REFUSALS, app
from mmdefect.dataset import Dataset
from mmdefect.errors import AcquisitionError

MEANING = Scan3d("Millimeter", output="CalibratedABC_Grid", axes=(Axis(0.5, -3.0),) * 3)


class Planted:
    """A camera that gives planted frames, one a trigger; what is no frame stands for a fate.

    ``lost``: nothing comes; ``damaged``: half of it comes; a number: it comes so many seconds late.
    """

    def __init__(self, camera: str, plan: list, first: int = 1) -> None:
        self.id, self._plan, self._first = camera, plan, first
        self._triggers: list[float] = []
        self._sent = 0
        self.closed = False

    def start(self, trigger: str, line: str) -> None:
        self.armed = trigger

    def trigger(self) -> None:
        self._triggers.append(time.monotonic())

    def fetch(self, timeout: float) -> Frame | Damaged | None:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self._sent < min(len(self._triggers), len(self._plan)):
                fate = self._plan[self._sent]
                if isinstance(fate, Exception):
                    raise fate
                if not isinstance(fate, float):
                    return self._given(fate)
                if time.monotonic() > self._triggers[self._sent] + fate:
                    return self._given(frame_of(self._sent)[0])
            time.sleep(0.001)
        return None

    def _given(self, fate) -> Frame | Damaged | None:
        number, self._sent = self._first + self._sent, self._sent + 1
        arrived = time.monotonic_ns()
        if fate == "damaged":
            return Damaged(self.id, "missing packets", number, arrived)
        if isinstance(fate, str):
            return None
        meaning = MEANING if fate[0].format.startswith("Coord3D") else None
        return Frame(self.id, number, arrived, fate, 1000 + number, meaning)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def frame_of(seed: int, **formats: str) -> list[tuple[Part, ...]]:
    """Plant a frame of each of the formats."""
    random = np.random.default_rng(seed)
    made = []
    for told in formats.values() or ("Mono8",):
        if told == "Coord3D_ABC16":
            counts = random.integers(0, 65536, (6, 7, 3)).astype("u2")
        elif told == "RGB8":
            counts = random.integers(0, 256, (6, 7, 3)).astype("u1")
        else:
            depth = int(told.removeprefix("Mono"))
            counts = random.integers(0, 2**depth, (6, 7)).astype("u1" if depth == 8 else "u2")
        made.append((Part(told, counts),))
    return made


SENSORS = {
    "rgb": {"camera": "color"},
    "points": {"camera": "scanner"},
    "infrared": {"camera": "thermal", "unit": "K", "scale": 0.01},
}
FORMATS = {"color": "RGB8", "scanner": "Coord3D_ABC16", "thermal": "Mono16"}


def cameras(fates: list[dict[str, str]], first: tuple[int, ...] = (1, 7, 65534)) -> dict:
    """Cameras of which each counts from elsewhere; a fate replaces a planted frame."""
    made = {}
    for place, (name, told) in enumerate(FORMATS.items()):
        plan = [
            fate.get(name) or frame_of(10 * number + place, only=told)[0]
            for number, fate in enumerate(fates)
        ]
        made[name] = Planted(name, plan, first[place])
    return made


def setup(**told: object):
    return setup_of({"timeout_s": 0.3, "sensors": SENSORS, **told})


def test_a_recorded_data_set_reads_back_exactly(tmp_path):
    """Frames lost, damaged and whole; every value that is read is the one that was planted."""
    fates = [{}, {"thermal": "lost"}, {"scanner": "damaged"}, {}]
    ours = cameras(fates)
    out = tmp_path / "captures"
    with Recorder(Target(out, "train"), setup()) as recorder, Session(setup(), ours) as session:
        rows = [recorder.write(taken) for taken in session.captures(4)]
        refused = session.told()
    assert all(camera.closed for camera in ours.values())
    assert refused == {"scanner": {"missing packets": 1}}
    assert [row["missing"] for row in rows] == [[], ["infrared"], ["points"], []]
    assert rows[2]["damaged"] == {"scanner": "missing packets"}
    assert [row["cameras"]["color"]["number"] for row in rows] == [1, 2, 3, 4]
    assert rows[0]["cameras"]["thermal"] == {
        "number": 65534, "taken_ns": 66534, "formats": ["Mono16"]
    }  # fmt: skip
    assert rows[0]["scan3d"]["points"]["axes"][0] == {"scale": 0.5, "offset": -3.0, "hole": None}
    assert [json.loads(x) for x in (out / "captures.jsonl").read_text().splitlines()] == rows
    found = Dataset(out / "card.toml", out)
    assert found.sensors("captures") == ["rgb", "points", "infrared"]
    captures = found.captures("captures")
    assert [capture.name for capture in captures] == ["0000", "0001", "0002", "0003"]
    for number, capture in enumerate(captures):
        frames = found.frames(capture)
        missing = rows[number]["missing"]
        assert set(frames) == set(SENSORS) - set(missing)
        planted = [frame_of(10 * number + n, only=told)[0][0].counts
                   for n, told in enumerate(FORMATS.values())]  # fmt: skip
        color, points, heat = (planted[0] / 255, planted[1] * 0.5 - 3.0, planted[2] * 0.01)
        assert np.array_equal(frames["rgb"].values, np.moveaxis(color, -1, 0).astype("f4"))
        if "points" not in missing:
            assert np.array_equal(frames["points"].values, np.moveaxis(points, -1, 0).astype("f4"))
        if "infrared" not in missing:
            promised = np.where(planted[2] == 0, np.nan, heat).astype("f4")
            assert np.array_equal(frames["infrared"].values, promised, equal_nan=True)


def one_more(out: Path) -> dict:
    ours = cameras([{}])
    with Recorder(Target(out, "train"), setup()) as recorder, Session(setup(), ours) as session:
        return recorder.write(next(session.captures(1)))


def test_numbers_go_on_where_a_folder_ends_and_nothing_is_overwritten(tmp_path):
    out = tmp_path / "captures"
    for turn in range(2):
        with (
            Recorder(Target(out, "train"), setup()) as recorder,
            Session(setup(), cameras([{}])) as session,
        ):
            rows = [recorder.write(taken) for taken in session.captures(1)]
        assert rows[0]["capture"] == f"train/good/000{turn}"
    lost = out / "train" / "good" / "rgb" / "0002.png"  # as a kill before the line leaves it
    lost.write_bytes(b"kept")
    with (
        Recorder(Target(out, "train"), setup()) as recorder,
        Session(setup(), cameras([{}])) as session,
    ):
        assert recorder.write(next(session.captures(1)))["capture"] == "train/good/0003"
    assert lost.read_bytes() == b"kept"
    other = setup_of({"sensors": {"rgb": {"camera": "color"}}})
    with (
        Recorder(Target(out, "train"), other) as recorder,
        Session(other, {"color": cameras([{}])["color"]}) as session,
    ):
        taken = next(session.captures(1))
        with pytest.raises(AcquisitionError, match="is the card of other captures"):
            recorder.write(taken)


def test_a_folder_that_is_watched_gets_no_card_and_twelve_bits_are_told_in_one(tmp_path):
    grey = setup_of({"sensors": {"rgb": {"camera": "color"}}, "timeout_s": 1})
    planted = frame_of(3, only="Mono12")[0]
    for kind in ("", "good"):
        target = Target(tmp_path / f"out{kind}", "", kind)
        camera = {"color": Planted("color", [planted])}
        with Recorder(target, grey) as recorder, Session(grey, camera) as session:
            recorder.write(next(session.captures(1)))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["captures.jsonl", "rgb"]
    found = Dataset(tmp_path / "outgood" / "card.toml", tmp_path / "outgood")
    (capture,) = found.captures("outgood")
    frame = found.frames(capture)["rgb"].values
    assert np.array_equal(frame[1], (planted[0].counts * (1 / 4095)).astype("f4"))


def test_a_frame_that_comes_after_its_time_is_not_taken_for_the_next_part():
    one = setup_of({"sensors": {"rgb": {"camera": "color"}}, "timeout_s": 0.3})
    plan = [frame_of(0)[0], 0.45, frame_of(2)[0], frame_of(3)[0]]
    with Session(one, {"color": Planted("color", plan)}) as session:
        taken = list(session.captures(4))
    assert [capture.missing for capture in taken] == [(), ("color",), (), ()]
    assert [c.frames["color"].number for c in taken if c.frames] == [1, 3, 4]
    assert session.told() == {"color": {"late": 1}}


def test_a_camera_that_did_not_take_a_trigger_ends_the_session():
    """Its count is one short for ever, so each part would get the frame of the one before."""
    one = setup_of({"sensors": {"rgb": {"camera": "color"}}, "timeout_s": 0.1})
    camera = Planted("color", [frame_of(n)[0] for n in range(9)])
    with Session(one, {"color": camera}) as session:
        captures = session.captures(8)
        assert next(captures).missing == ()
        camera.trigger, taking = lambda: None, camera.trigger
        assert next(captures).missing == ("color",)
        camera.trigger = taking
        with pytest.raises(AcquisitionError, match="out of step: its frames are 1 triggers late"):
            list(captures)


def test_a_frame_too_many_ends_the_session():
    """A camera that also hears another trigger."""
    one = setup_of({"sensors": {"rgb": {"camera": "color"}}, "timeout_s": 0.3})
    camera = Planted("color", [frame_of(n)[0] for n in range(5)])
    with Session(one, {"color": camera}) as session:
        camera.trigger()
        time.sleep(0.1)
        captures = session.captures(2)
        assert next(captures).frames["color"].number == 2
        assert session.told() == {"color": {"before any trigger": 1}}
        camera.trigger()
        time.sleep(0.1)
        with pytest.raises(AcquisitionError, match="more than the triggers that were sent"):
            next(captures)


def test_cameras_that_are_out_of_step_end_the_session():
    """One waits for the line, the other is armed a trigger too late: its count is one short."""
    plans = {name: [frame_of(n)[0] for n in range(3)] for name in ("a", "b")}
    ours = {name: Planted(name, plan) for name, plan in plans.items()}
    told = {"rgb": {"camera": "a"}, "xray": {"camera": "b"}}
    both = setup_of({"sensors": told, "trigger": "hardware", "timeout_s": 30, "window_ms": 50})
    with Session(both, ours) as session:
        ours["a"].trigger()
        ours["b"].trigger()
        captures = session.captures(idle=1)
        assert next(captures).missing == ()
        ours["a"].trigger()
        time.sleep(0.6)
        ours["b"].trigger()
        with pytest.raises(AcquisitionError, match="a camera missed a trigger"):
            next(captures)


def test_captures_of_a_line_end_when_nothing_comes_any_more():
    ours = cameras([{}, {"color": "lost"}])
    with Session(setup(trigger="hardware"), ours) as session:
        for _ in range(2):
            for camera in ours.values():
                camera.trigger()
            time.sleep(0.1)
        taken = list(session.captures(idle=0.5))
    assert [capture.missing for capture in taken] == [(), ("color",)]


def test_a_camera_that_fails_is_told_and_the_others_are_let_go():
    ours = cameras([{"thermal": OSError("cable")}])
    with (
        pytest.raises(AcquisitionError, match="a camera failed: cable"),
        Session(setup(), ours) as s,
    ):
        list(s.captures(1))
    assert all(camera.closed for camera in ours.values())


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"sensors": {}}, r"no \[sensors.NAME\]"),
        ({"speed": 3}, "'speed' is no word of a file of cameras; there are: cameras"),
        ({"trigger": "laser"}, "trigger is 'laser', but one of software, hardware, free"),
        ({"window_ms": "5"}, "window_ms is '5'"),
        ({"sensors": {"rgb": {}}}, "names no camera"),
        ({"sensors": {"sonar": {"camera": "a"}}}, "is no sensor that is read; there are: rgb"),
        ({"cameras": {"b": {}}}, "is no sensor's camera"),
        ({"sensors": {"rgb": {"camera": "a"}, "xray": {"camera": "a"}}}, "both take a picture"),
    ],
)
def test_a_file_of_cameras_that_says_something_odd_is_refused(tmp_path, told, said):
    told = {"sensors": {"rgb": {"camera": "a"}}, **told}
    with pytest.raises(AcquisitionError, match=said):
        setup_of(told)


def test_a_file_that_is_not_there_or_no_toml_is_named(tmp_path):
    with pytest.raises(AcquisitionError, match="which camera is which sensor"):
        read_setup(tmp_path / "no.toml")
    (tmp_path / "bad.toml").write_text("trigger = [")
    with pytest.raises(AcquisitionError, match="is no TOML"):
        read_setup(tmp_path / "bad.toml")


# the commands, with the virtual producer


VIRTUAL = """
producers = ["viky"]
trigger = "free"
window_ms = 400

[sensors.rgb]
camera = "VikyTL_DEV_red"
[sensors.points]
camera = "VikyTL_DEV_red"
[sensors.xray]
camera = "VikyTL_DEV_green"

[cameras.VikyTL_DEV_green]
PixelFormat = "Mono8"

[rig]
registered = ["points"]
"""


@pytest.fixture
def virtual(tmp_path) -> Path:
    pytest.importorskip("harvesters", reason="the extra 'rig' is not installed")
    (tmp_path / "cameras.toml").write_text(VIRTUAL)
    return tmp_path / "cameras.toml"


def run(*words: object):
    return CliRunner().invoke(app, ["rig", *map(str, words)])


def test_the_virtual_rig_is_listed_grabbed_and_recorded(virtual, tmp_path):
    told = run("list", "--producer", "viky", "--json")
    assert told.exit_code == DONE
    ids = {entry["id"] for entry in json.loads(told.stdout)}
    assert ids >= {"VikyTL_DEV_red", "VikyTL_DEV_green", "VikyTL_DEV_blue"}
    told = run("grab", virtual, "--out", tmp_path / "look")
    assert told.exit_code == DONE, told.output
    assert "points    400x400 px, 100.0% measured, z 0.000 to " in told.stdout
    assert "Cartesian, Anchor, CalibratedABC_Grid, in Millimeter" in told.stdout
    assert "xray      400x400 px, uint8" in told.stdout
    assert (tmp_path / "look" / "points" / "0000.pcd").is_file()
    out = tmp_path / "captures"
    told = run("record", virtual, out, "--count", 2)
    assert told.exit_code == DONE, told.output
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert [row["missing"] for row in rows] == [[], []]
    found = Dataset(out / "card.toml", out)
    for capture in found.captures("captures"):
        frames = found.frames(capture)
        rows_, columns = np.indices((400, 400))
        assert np.array_equal(frames["points"].values[0], columns)
        assert np.array_equal(frames["points"].values[1], rows_)
        scene = found.scene(capture)
        assert scene["valid"].sel(sensor="points").values.all()


def test_the_command_says_what_is_missing(virtual, tmp_path):
    """Two cameras by a window so narrow that no two frames fall into it."""
    virtual.write_text(VIRTUAL.replace("window_ms = 400", "window_ms = 0\ntimeout_s = 0.3"))
    told = run("record", virtual, tmp_path / "captures", "--count", 1)
    assert told.exit_code == REFUSALS
    assert json.loads(told.stdout)["missing"]
    virtual.write_text(VIRTUAL.replace('"free"', '"hardware"'))
    told = run("grab", virtual)
    assert isinstance(told.exception, AcquisitionError)

"""`mmdefect watch`: one verdict a capture, never two, none lost, whatever happens in between."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mmdefect.cards import read_card
from mmdefect.cli import DONE, app
from mmdefect.errors import CardError, JournalError
from mmdefect.inspection import Inspection
from mmdefect.journal import Journal
from mmdefect.line import inspect, judged
from mmdefect.miniature import write_miniature
from mmdefect.watch import loop, watch
from mmdefect.watch.arrivals import Arrivals, Stamp
from mmdefect.watch.loop import Patience

QUICK = Patience(settle=0.15, timeout=0.6, rescan=0.5)


# arrivals: a clock of our own, so that every story can be planted


@st.composite
def stories(draw):
    """Captures of up to three sensors, each file written in up to three goes at known times."""
    count = draw(st.integers(1, 5))
    moments = st.lists(st.integers(0, 40), min_size=1, max_size=3, unique=True).map(sorted)
    return [
        draw(st.dictionaries(st.sampled_from(["rgb", "points", "xray"]), moments, min_size=1))
        for _ in range(count)
    ]


@given(stories(), st.integers(1, 5), st.integers(60, 90))
def test_a_capture_is_ready_once_and_not_a_moment_early(story, settle, timeout):
    """With times this far apart the planted truth is a formula: last change + settle, or + timeout.

    A capture whose sensors are all there is ready when the last of them has settled. Before its
    last sensor came it can be neither complete nor late: the time-out is longer than the story.
    """
    arrivals = Arrivals(frozenset({"rgb", "points"}), settle, timeout)
    events = sorted(
        (moment, number, sensor, size)
        for number, frames in enumerate(story)
        for sensor, moments in frames.items()
        for size, moment in enumerate(moments, 1)
    )
    promised, begun = {}, {}
    for moment, number, sensor, _ in events:
        begun.setdefault(number, {})[sensor] = moment
        promised.setdefault(number, []).append((moment, dict(begun[number])))
    found = {}
    for now in range(200):
        for moment, number, sensor, size in events:
            if moment == now and number not in found:
                path = Path(sensor, str(number))
                arrivals.see(number, sensor, path, Stamp(size, moment), now)
        for number in arrivals.ready(now):
            found[number] = now
            arrivals.done(number)
    assert found == {n: _ready_at(told, settle, timeout) for n, told in promised.items()}
    assert len(arrivals) == 0


def _ready_at(told, settle, timeout):
    """Find when a capture is first complete and still, from the list of its changes."""
    for place, (moment, there) in enumerate(told):
        following = told[place + 1][0] if place + 1 < len(told) else 10**6
        if {"rgb", "points"} <= there.keys() and moment + settle < following:
            return moment + settle
    return told[-1][0] + timeout


def test_a_capture_that_was_put_back_waits_for_a_change_or_for_its_time():
    arrivals = Arrivals(frozenset({"rgb"}), 1, 10)
    arrivals.see("a", "rgb", Path("a"), Stamp(5, 0), 0)
    assert arrivals.ready(1) == ["a"]
    arrivals.put_back("a")
    assert arrivals.ready(2) == []
    arrivals.see("a", "rgb", Path("a"), Stamp(9, 3), 3)
    assert arrivals.ready(3) == []
    assert arrivals.ready(4) == ["a"]
    arrivals.put_back("a")
    assert arrivals.ready(12.9) == []
    assert arrivals.ready(13) == ["a"]
    assert arrivals.late("a", 13)


def test_an_empty_file_is_not_complete_and_a_file_that_went_is_forgotten():
    arrivals = Arrivals(frozenset({"rgb"}), 1, 10)
    arrivals.see("a", "rgb", Path("a"), Stamp(0, 0), 0)
    assert arrivals.ready(5) == []
    assert arrivals.ready(10) == ["a"]
    arrivals.forget(Path("a"))
    assert len(arrivals) == 0
    assert arrivals.paths() == []


# the journal


ROWS = [{"capture": f"part {number}", "text": "°\n\"'" * number} for number in range(4)]


@given(st.data())
@settings(max_examples=60)
def test_a_torn_line_is_cut_off_and_all_before_it_is_kept(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("journal") / "verdicts.jsonl"
    with Journal(path) as journal:
        for row in ROWS:
            journal.write(row)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    zeros = data.draw(
        st.sampled_from([b"", b"\0" * 7, b"\0\n\0\0\n", b'{"capture": "par', b"[1]\n"])
    )
    path.write_bytes(whole[:cut] + zeros)
    kept = whole[:cut].count(b"\n")
    ended = whole[: whole[:cut].rfind(b"\n") + 1]
    with Journal(path) as journal:
        assert journal.cut == cut + len(zeros) - len(ended)
        assert list(journal.rows()) == ROWS[:kept]
        journal.write(ROWS[3])
    assert path.read_bytes() == ended + json.dumps(ROWS[3]).encode() + b"\n"


def test_a_line_broken_before_a_good_one_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    body = b'{"capture": 1}\n{"captu\n{"capture": 3}\n'
    path.write_bytes(body)
    with pytest.raises(JournalError, match=r"line 2 .* is no line of a journal"):
        Journal(path)
    assert path.read_bytes() == body


def test_two_programs_cannot_write_one_journal(tmp_path):
    with Journal(tmp_path / "j"), pytest.raises(JournalError, match="another program writes"):
        Journal(tmp_path / "j")
    Journal(tmp_path / "j").close()


def test_a_line_that_cannot_be_written_leaves_the_journal_as_it_was(tmp_path, monkeypatch):
    """A full disk takes a part of a line, then refuses."""
    with Journal(tmp_path / "j") as journal:
        journal.write(ROWS[0])
        real = os.write
        parts = iter([5, None])

        def full(handle, body):
            part = next(parts)
            if part is None:
                raise OSError(28, "No space left on device")
            return real(handle, body[:part])

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(JournalError, match="No space left on device"):
                journal.write(ROWS[1])
        assert list(journal.rows()) == ROWS[:1]
        journal.write(ROWS[2])
        assert list(journal.rows()) == [ROWS[0], ROWS[2]]


# the watcher, with a real model


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Captures in the folder grammar, and a model of them."""
    place = tmp_path_factory.mktemp("place")
    write_miniature(read_card("mvtec3d"), place / "made", train=18, test=6, side=32)
    for split in ("train", "test"):
        for kind in (place / "made" / "plate" / split).iterdir():
            for old, new in (("rgb", "rgb"), ("xyz", "points")):
                shutil.copytree(kind / old, place / "captures" / split / kind.name / new)
    (place / "card.toml").write_text(
        'base = "folder"\n[sensors.points]\nunit = "m"\n[rig]\nregistered = ["points"]\n'
    )
    asked = ("fit", place / "card.toml", place / "captures", "--out", place / "model")
    asked += ("--features", "builtin", "--false-alarm", "0.25")
    told = CliRunner().invoke(app, [str(word) for word in asked])
    assert told.exit_code == DONE, told.output
    return place


@pytest.fixture
def incoming(tmp_path) -> Path:
    for sensor in ("rgb", "points"):
        (tmp_path / "line" / "incoming" / sensor).mkdir(parents=True)
    return tmp_path / "line" / "incoming"


def frames_of(place: Path, kind: str = "patch", name: str = "000") -> dict[str, Path]:
    folder = place / "captures" / "test" / kind
    return {"rgb": folder / "rgb" / f"{name}.png", "points": folder / "points" / f"{name}.tiff"}


def arrive(frames: dict[str, Path], incoming: Path, name: str) -> None:
    for sensor, path in frames.items():
        shutil.copy(path, incoming / sensor / f"{name}{path.suffix}")


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in [folder, *sorted(folder.rglob("*"))]
    }


def test_verdicts_are_those_of_inspect_and_a_restart_repeats_none(place, incoming):
    for number, kind in enumerate(("good", "patch")):
        arrive(frames_of(place, kind), incoming, str(number))
    before = tree(incoming)
    journal = incoming.parent / "verdicts.jsonl"
    rows = list(watch(incoming, place / "model", journal, patience=QUICK, once=True))
    told = {row["capture"]: row for row in inspect(place / "model", [incoming])}
    assert {row["capture"] for row in rows} == set(told)
    for row in rows:
        for key in ("verdict", "image_score", "p_value", "regions", "files", "refused", "model"):
            assert row[key] == told[row["capture"]][key]
        assert row["missing"] == []
    assert [json.loads(line) for line in journal.read_text().splitlines()] == rows
    arrive(frames_of(place), incoming, "2")
    again = list(watch(incoming, place / "model", journal, patience=QUICK, once=True))
    assert [row["capture"].rpartition("/")[2] for row in again] == ["2"]
    shutil.move(incoming, incoming.parent.parent / "incoming")  # mounted elsewhere
    moved = incoming.parent.parent / "incoming"
    assert list(watch(moved, place / "model", journal, patience=QUICK, once=True)) == []
    assert len(journal.read_text().splitlines()) == 3
    kept = {path: stamp for path, stamp in tree(moved).items() if Path(path).stem in "01"}
    old = {str(moved) + path.removeprefix(str(incoming)): s for path, s in before.items()}
    assert kept == {path: stamp for path, stamp in old.items() if Path(path).stem in "01"}


def test_a_sensor_that_gives_one_frame_twice_is_named_and_known_after_a_restart(place, incoming):
    journal = incoming.parent / "verdicts.jsonl"
    other = {**frames_of(place, name="001"), "rgb": frames_of(place)["rgb"]}
    faults = []
    third = frames_of(place, name="002")
    for name, frames in (("0", frames_of(place)), ("1", other), ("2", other), ("3", third)):
        arrive(frames, incoming, name)
        (row,) = watch(incoming, place / "model", journal, patience=QUICK, once=True)
        faults.append(row["faults"])
        assert row["verdict"] != "good"
    frozen = {"rgb": "frozen", "points": "frozen"}
    assert faults == [{}, {"rgb": "frozen"}, frozen, frozen]  # until it was well for a while


def test_a_frame_written_in_pieces_is_read_when_it_is_whole(place, incoming, monkeypatch):
    """The writer rests, with half a file on disk, until the watcher has tried to read it."""
    frames = frames_of(place)
    arrive({"rgb": frames["rgb"]}, incoming, "slow")
    body = frames["points"].read_bytes()
    target = incoming / "points" / "slow.tiff"
    target.write_bytes(body[: len(body) // 2])
    tried = []

    def judged_while_written(*given, **named):
        row = judged(*given, **named)
        tried.append(row)
        if len(tried) == 1:
            with target.open("ab") as file:
                file.write(body[len(body) // 2 :])
        return row

    monkeypatch.setattr(loop, "judged", judged_while_written)
    patience = Patience(QUICK.settle, timeout=60, rescan=0.5)
    (row,) = watch(incoming, place / "model", incoming.parent / "j", patience=patience, once=True)
    assert len(tried) == 2
    assert tried[0]["refused"][0]["sensor"] == "points"
    assert row["refused"] == row["missing"] == []
    assert row["faults"] == {}  # it was looked at twice, which must not look like a frozen sensor
    assert row["verdict"] == "defect"
    assert row["sensors"]["points"]["present"]


def test_what_stays_incomplete_or_broken_is_judged_by_the_rest_and_says_so(place, incoming):
    frames = frames_of(place)
    arrive({"rgb": frames["rgb"]}, incoming, "half")
    arrive(frames, incoming, "torn")
    (incoming / "points" / "torn.tiff").write_bytes(frames["points"].read_bytes()[:900])
    (incoming / "rgb" / ".hidden.png").write_bytes(b"")
    (incoming / "rgb" / "coming.png.part").write_bytes(b"")
    journal = incoming.parent / "j"
    rows = {
        row["capture"].rpartition("/")[2]: row
        for row in watch(incoming, place / "model", journal, patience=QUICK, once=True)
    }
    assert set(rows) == {"half", "torn"}
    assert rows["half"]["missing"] == ["points"]
    assert rows["half"]["sensors"]["points"]["present"] is False
    assert rows["half"]["verdict"] in ("good", "defect", "refer")
    assert rows["torn"]["missing"] == []
    (refusal,) = rows["torn"]["refused"]
    assert refusal["sensor"] == "points"
    arrive(frames, incoming, "half")  # too late: one capture, one verdict
    assert list(watch(incoming, place / "model", journal, patience=QUICK, once=True)) == []


def test_a_capture_on_which_the_program_fails_does_not_stop_the_line(place, incoming, monkeypatch):
    for name in ("bad", "fine"):
        arrive(frames_of(place, "good"), incoming, name)

    def failing(inspection, dataset, capture, *given, **named):
        if capture.name == "bad":
            raise ZeroDivisionError("planted")
        return judged(inspection, dataset, capture, *given, **named)

    monkeypatch.setattr(loop, "judged", failing)
    notes = []
    with Journal(incoming.parent / "j") as journal:
        opened = loop.Watch(
            incoming, Inspection.load(place / "model"), journal, QUICK, notes.append
        )
        rows = {row["capture"].rpartition("/")[2]: row for row in opened.rows(once=True)}
    assert rows["fine"]["verdict"] == "good"
    assert rows["bad"]["verdict"] == "not_inspectable"
    assert rows["bad"]["refused"][0]["why"] == (
        "a mistake of this program: ZeroDivisionError: planted"
    )
    assert any("Traceback" in note and "planted" in note for note in notes)


def test_another_kind_of_part_beside_the_learnt_one_gives_a_line_without_verdict(place, tmp_path):
    for category in ("captures", "lids"):
        for sensor, path in frames_of(place, "good").items():
            (tmp_path / "line" / category / "good" / sensor).mkdir(parents=True)
            shutil.copy(path, tmp_path / "line" / category / "good" / sensor)
    line = tmp_path / "line"
    rows = watch(line, place / "model", tmp_path / "j", patience=QUICK, once=True)
    told = {row["capture"].split("/")[0]: row for row in rows}
    assert told["captures"]["verdict"] == "good"
    assert told["lids"]["verdict"] is None
    assert "'lids' was found, but the model knows 'captures'" in told["lids"]["refused"][0]["why"]


def test_the_command_refuses_a_journal_in_the_watched_folder_and_a_folder_that_is_not(
    place, incoming
):
    asked = ["watch", str(incoming), str(place / "model"), "--journal", str(incoming / "j")]
    told = CliRunner().invoke(app, asked)
    assert isinstance(told.exception, JournalError)
    assert "lies in the watched folder" in str(told.exception)
    assert sorted(incoming.iterdir()) == [incoming / "points", incoming / "rgb"]
    told = CliRunner().invoke(app, ["watch", str(incoming / "no"), str(place / "model")])
    assert isinstance(told.exception, CardError)


def test_a_program_that_is_asked_to_end_ends_and_one_that_is_killed_goes_on(place, incoming):
    """The real command: killed after its first verdict, started again, then asked to end."""
    for number in range(6):
        arrive(frames_of(place), incoming, str(number))
    command = [sys.executable, "-m", "mmdefect", "watch", str(incoming), str(place / "model")]
    command += ["--settle", "0.1", "--rescan", "0.5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        seen = json.loads(first.stdout.readline())
        first.kill()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as second:
        journal = incoming.with_name("incoming.verdicts.jsonl")
        deadline = time.monotonic() + 60
        while journal.read_bytes().count(b"\n") < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
        second.send_signal(signal.SIGTERM)
        rest = [json.loads(line) for line in second.stdout]
    assert second.returncode == DONE
    kept = [json.loads(line)["capture"] for line in journal.read_text().splitlines()]
    assert len(kept) == len(set(kept)) == 6
    assert kept[0] == seen["capture"]
    assert seen["capture"] not in {row["capture"] for row in rest}


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from types import SimpleNamespace
from mmdefect.cards import read_card
from mmdefect.model import Origin
from mmdefect.watch import loop

folder, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)

def slow_verdict(inspection, dataset, capture, reliability, *, whole):
    "Stands for the model: takes its time, and tells what it was shown."
    shown = {name: Path(path).read_bytes().decode() for name, path in capture.frames.items()}
    time.sleep(0.004)
    torn = [name for name, text in shown.items() if not text.endswith("!")]
    return {"capture": capture.id, "verdict": "good", "shown": shown,
            "refused": [{"sensor": name} for name in torn]}

loop.judged = slow_verdict
origin = Origin(read_card("folder"), "line", ("rgb", "xray"), {})
inspection = SimpleNamespace(origin_=origin, model_=None)
patience = loop.Patience(settle=0.03, timeout=3.0, rescan=0.1)
written = iter(range(10 ** 6))

def write_some():
    "Writes frames in two goes each, so that a kill finds half-written ones too."
    for number in (next(written) for _ in range(chance.randint(0, 4))):
        for sensor in ("rgb", "xray"):
            path = folder / "part" / sensor / f"{number:05d}.png"
            with path.open("w") as file:
                file.write(f"{number} ")
                file.flush()
                time.sleep(chance.choice((0, 0, 0.01)))
                file.write(f"{sensor}!")

for turn in range(kills + 1):
    child = os.fork()
    if child == 0:
        watch = loop.Watch(
            folder, inspection, loop.Journal(folder.parent / "j"), patience, run_length=0
        )
        for row in watch.rows(once=turn == kills):
            with open(folder.parent / "told", "a") as told:
                told.write(row["capture"] + chr(10))
        os._exit(0)
    if turn < kills:
        end = time.monotonic() + chance.uniform(0, 0.25)
        while time.monotonic() < end:
            write_some()
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
    _, ended = os.waitpid(child, 0)
    assert ended == (signal.SIGKILL if turn < kills else 0), ended
print(next(written))
"""


@pytest.mark.parametrize("seed", [1])
def test_killed_at_random_moments_no_capture_is_lost_or_repeated(tmp_path, seed):
    """Twelve kills while captures arrive; a stand-in for the model keeps it quick."""
    for sensor in ("rgb", "xray"):
        (tmp_path / "line" / "part" / sensor).mkdir(parents=True)
    words = [sys.executable, "-c", KILLED, str(tmp_path / "line"), str(seed), "12"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    rows = [json.loads(line) for line in (tmp_path / "j").read_text().splitlines()]
    numbers = sorted(int(row["capture"].rpartition("/")[2]) for row in rows)
    assert numbers == list(range(int(ran.stdout)))
    assert len(numbers) > 25
    for row in rows:
        number = int(row["capture"].rpartition("/")[2])
        assert row["shown"] == {name: f"{number} {name}!" for name in ("rgb", "xray")}
        assert row["missing"] == []
    told = (tmp_path / "told").read_text().splitlines()
    assert len(told) == len(set(told))
    assert set(told) <= {row["capture"] for row in rows}

"""An evaluation that was killed goes on where it was, and ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mmdefect.cards import read_card
from mmdefect.errors import CardError
from mmdefect.evaluate import evaluate
from mmdefect.miniature import write_miniature
from mmdefect.progress import progress_shown
from mmdefect.settings import Settings
from mmdefect.work import FOLDER, Work

SETTINGS = Settings(
    sensors=("rgb",), features=dict.fromkeys(("rgb", "points"), "builtin"), false_alarm=0.4
)
TIMES = ("seconds", "seconds_per_capture", "peak_bytes", "created")


@pytest.fixture(scope="module")
def plates(tmp_path_factory) -> Path:
    """Two kinds of part, with a broken frame each, so that refusals have to survive too."""
    root = tmp_path_factory.mktemp("plates")
    for number, category in enumerate(("one", "two")):
        made = tmp_path_factory.mktemp("made")
        write_miniature(read_card("mvtec3d"), made, train=6, test=4, side=32, seed=number)
        (made / "plate").rename(root / category)
        broken = root / category / ("train", "test")[number] / "good" / "rgb" / "001.png"
        broken.write_bytes(b"broken")
    return root


def told(folder: Path) -> str:
    """Give the results as text, without times."""

    def timeless(tree: object) -> object:
        if isinstance(tree, dict):
            return {key: timeless(value) for key, value in tree.items() if key not in TIMES}
        return [timeless(value) for value in tree] if isinstance(tree, list) else tree

    return json.dumps(timeless(json.loads((folder / "results.json").read_text())), indent=1)


@pytest.fixture(scope="module")
def uninterrupted(plates, tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("whole")
    evaluate("mvtec3d", plates, out, settings=SETTINGS)
    assert sorted(path.name for path in out.iterdir()) == [
        "report.html",
        "results.json",
        "results.md",
        "viewer",
    ]
    return told(out)


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


STOPS = {
    "while learning": ("mmdefect.detectors.memory_bank.MemoryBank.fit", 1),
    "while calibrating": ("mmdefect.peaks.Peaks.measure", 2),
    "while saving the model": ("mmdefect.model._folder._write_facts", 1),
    "after saving the model": ("mmdefect.work.CategoryWork.finish_fit", 1),
    "at the first capture": ("mmdefect.spill.MapSpill.put", 1),
    "while picturing": ("mmdefect.judged.capture_card", 3),
    "before a line": ("mmdefect.work.CategoryWork.finish_capture", 4),
    "while measuring": ("mmdefect.trial.rows_of_category", 1),
    "in the second category": ("mmdefect.judged.capture_card", 6),
    "while reporting": ("mmdefect.evaluate.write_page", 1),
}


@pytest.mark.parametrize("stop", STOPS)
def test_a_run_that_ended_anywhere_is_finished_by_the_next(
    plates, uninterrupted, tmp_path, monkeypatch, stop
):
    name, time_of_death = STOPS[stop]
    calls = 0

    with monkeypatch.context() as patch:
        original = _resolve(name)

        def dies(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == time_of_death:
                raise Killed
            return original(*arguments, **options)

        patch.setattr(name, dies)
        with pytest.raises(Killed):
            evaluate("mvtec3d", plates, tmp_path, settings=SETTINGS)
    assert (tmp_path / FOLDER).is_dir()
    evaluate("mvtec3d", plates, tmp_path, settings=SETTINGS)
    assert told(tmp_path) == uninterrupted
    assert not (tmp_path / FOLDER).exists()


def _resolve(name: str) -> object:
    import importlib

    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


def test_a_process_killed_in_the_middle_of_it_is_finished_by_the_next(
    plates, uninterrupted, tmp_path
):
    options = ["--sensors", "rgb", "--features", "builtin", "--false-alarm", "0.4"]
    command = [sys.executable, "-m", "mmdefect", "evaluate", "mvtec3d", str(plates), *options]
    command += ["--out", str(tmp_path)]
    lines = tmp_path / FOLDER / "0000" / "judged.jsonl"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not (lines.is_file() and lines.read_bytes().count(b"\n") >= 2):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "report.html").exists()
    with lines.open("ab") as file:  # what a kill in the middle of a write leaves
        file.write(b'{"record": {"cap')
    model = tmp_path / FOLDER / "0000" / "model" / "model.json"
    before = model.stat().st_mtime_ns
    done = lines.read_bytes().count(b"\n")
    seen: list[int] = []
    original = Work.category

    def looked_at(self, number, name, shaping):
        work = original(self, number, name, shaping)
        seen.append(len(work.lines))
        assert number or model.stat().st_mtime_ns == before
        return work

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "category", looked_at)
        evaluate("mvtec3d", plates, tmp_path, settings=SETTINGS)
    assert seen == [done, 0]
    assert told(tmp_path) == uninterrupted


def test_other_settings_start_anew_and_that_is_said(plates, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mmdefect.work.CategoryWork.finish_capture", _kill)
    with pytest.raises(Killed):
        evaluate("mvtec3d", plates, tmp_path, categories=["one"], settings=SETTINGS)
    monkeypatch.undo()
    other = replace(SETTINGS, seed=5)
    with progress_shown():
        evaluate("mvtec3d", plates, tmp_path, categories=["one"], settings=other)
    said = capsys.readouterr().err
    assert "one: an evaluation with other settings, files or versions did not end here" in said
    resumed = told(tmp_path)
    evaluate("mvtec3d", plates, tmp_path / "fresh", categories=["one"], settings=other)
    assert told(tmp_path / "fresh") == resumed


def _kill(*arguments: object) -> None:
    raise Killed


def test_going_on_is_said_and_two_at_once_are_refused(plates, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mmdefect.work.CategoryWork.finish_capture", _kill)
    with pytest.raises(Killed):
        evaluate("mvtec3d", plates, tmp_path, categories=["one"], settings=SETTINGS)
    monkeypatch.undo()
    held = Work(tmp_path)
    with pytest.raises(CardError, match=r"another evaluation is writing into .*wait for it"):
        evaluate("mvtec3d", plates, tmp_path, categories=["one"], settings=SETTINGS)
    held.close()
    with progress_shown():
        evaluate("mvtec3d", plates, tmp_path, categories=["one"], settings=SETTINGS)
    said = capsys.readouterr().err
    assert said == "one: going on with an evaluation that did not end (fitted, 0 captures judged)\n"


def test_a_changed_file_is_another_evaluation(plates, tmp_path, monkeypatch, capsys):
    import shutil

    own = Path(shutil.copytree(plates, tmp_path / "in"))
    monkeypatch.setattr("mmdefect.work.CategoryWork.finish_capture", _kill)
    with pytest.raises(Killed):
        evaluate("mvtec3d", own, tmp_path / "out", categories=["one"], settings=SETTINGS)
    monkeypatch.undo()
    frames = own / "one" / "train" / "good" / "rgb"
    shutil.copy(plates / "two" / "train" / "good" / "rgb" / "003.png", frames / "003.png")
    with progress_shown():
        evaluate("mvtec3d", own, tmp_path / "out", categories=["one"], settings=SETTINGS)
    assert "starting anew" in capsys.readouterr().err

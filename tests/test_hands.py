"""Captures judged by several processes: the same results, whatever becomes of a process."""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from mmdefect.cards import read_card
from mmdefect.errors import CardError
from mmdefect.evaluate import evaluate
from mmdefect.hands import hired
from mmdefect.miniature import write_miniature
from mmdefect.settings import Settings
from mmdefect.work import CategoryWork

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")

SETTINGS = Settings(features=dict.fromkeys(("rgb", "points"), "builtin"), false_alarm=0.4)
MADE = re.compile(r'"made":"[^"]*"')
TIMES = ("seconds", "seconds_per_capture", "peak_bytes", "created")


@pytest.fixture(scope="module")
def plates(tmp_path_factory) -> Path:
    """Plates of two sensors, with a broken frame, so that a refusal has to come back too."""
    root = tmp_path_factory.mktemp("plates")
    write_miniature(read_card("mvtec3d"), root, train=6, test=8, side=32)
    (root / "plate" / "test" / "good" / "rgb" / "001.png").write_bytes(b"broken")
    return root


@pytest.fixture(scope="module")
def alone(plates, tmp_path_factory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("alone")
    evaluate("mvtec3d", plates, out, settings=SETTINGS)
    return told(out)


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as started:
        yield started


def told(folder: Path) -> dict[str, str]:
    """Give every file of the results as text, without times."""

    def timeless(tree: object) -> object:
        if isinstance(tree, dict):
            return {key: timeless(value) for key, value in tree.items() if key not in TIMES}
        return [timeless(value) for value in tree] if isinstance(tree, list) else tree

    results = json.loads((folder / "results.json").read_text())
    pages = sorted((folder / "viewer").iterdir())
    return {
        "results": json.dumps(timeless(results), indent=1),
        **{page.name: MADE.sub("", page.read_text()) for page in pages},
    }


def test_a_worker_killed_in_mid_run_costs_nothing_but_time(
    plates, alone, cluster, tmp_path, monkeypatch
):
    killed: list[int] = []
    first = cluster.workers[0].pid

    finish = CategoryWork.finish_capture

    def kills(work: CategoryWork, line: dict[str, object]) -> None:
        if not killed:
            killed.append(first)
            os.kill(first, signal.SIGKILL)
        finish(work, line)

    monkeypatch.setattr(CategoryWork, "finish_capture", kills)
    with hired(scheduler=cluster.scheduler_address) as hands:
        evaluate("mvtec3d", plates, tmp_path, settings=SETTINGS, hands=hands)
    assert killed
    assert cluster.workers[0].pid != first
    assert told(tmp_path) == alone


def test_the_command_line_hires_a_process(plates, alone, tmp_path):
    from typer.testing import CliRunner

    from mmdefect.cli import app

    options = ["--features", "rgb=builtin", "--features", "points=builtin", "--false-alarm", "0.4"]
    command = ["evaluate", "mvtec3d", str(plates), *options, "--workers", "1"]
    ended = CliRunner().invoke(app, [*command, "--out", str(tmp_path)])
    assert ended.exit_code == 1, ended.output  # a frame was refused
    assert told(tmp_path) == alone


def test_a_worker_that_sees_other_files_is_found_out(plates, cluster, tmp_path):
    own = tmp_path / "own"
    own.symlink_to(plates)
    with hired(scheduler=cluster.scheduler_address) as hands:
        judged = hands.judged

        def elsewhere(judge, captures):
            (plates / "plate" / "test" / "good" / "rgb" / "000.png").rename(tmp_path / "away.png")
            (plates / "plate" / "test" / "good" / "xyz" / "000.tiff").rename(tmp_path / "away.tiff")
            return judged(judge, captures)

        hands.judged = elsewhere
        with pytest.raises(CardError, match="workers have to see the same files"):
            evaluate("mvtec3d", own, tmp_path / "out", settings=SETTINGS, hands=hands)


def test_what_cannot_be_hired_is_said():
    with pytest.raises(CardError, match="leave one out"), hired(2, "tcp://localhost:8786"):
        pass
    with pytest.raises(CardError, match="leave one out"), hired(-1):
        pass
    with pytest.raises(CardError, match="no dask scheduler answers"), hired(scheduler="nonsense"):
        pass


def test_a_cluster_without_workers_is_refused():
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(CardError, match="has no worker; start some"),
        hired(scheduler=empty.scheduler_address),
    ):
        pass

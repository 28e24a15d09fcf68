"""An evaluation's processor time and memory against the number of captures judged.

    python benchmarks/scaling.py [--captures 10,100,1000,10000] [--side 48] [--out FOLDER]

Miniature captures of colour and points, made up; 60 good parts are learnt from. Every evaluation
runs in a process of its own with the command line's settings, so that its peak memory is its own.
The largest one is killed (SIGKILL) half way and begun again; its numbers are those of both runs
together, and its results are held against those of the run that was not killed when --twice is
given. Printed: processor seconds a capture, peak memory, bytes on disk for each capture.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mmdefect.cards import read_card
from mmdefect.miniature import write_miniature
from mmdefect.work import FOLDER

OPTIONS = ["--features", "rgb=builtin", "--features", "points=builtin", "--viewer-bytes", "0"]


def begun(root: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "mmdefect", "evaluate", "mvtec3d", str(root), *OPTIONS]
    return subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.DEVNULL)


def ended(process: subprocess.Popen) -> tuple[float, int]:
    """Wait; give processor seconds and peak bytes."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, used.ru_maxrss << 10


def killed(process: subprocess.Popen, out: Path, after: int) -> tuple[float, int]:
    """Kill a run when so many captures are judged."""
    lines = out / FOLDER / "0000" / "judged.jsonl"
    while not (lines.is_file() and lines.read_bytes().count(b"\n") >= after):
        if process.poll() is not None:
            raise SystemExit("the evaluation ended before it could be killed")
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    return ended(process)


def results(out: Path) -> str:
    told = json.loads((out / "results.json").read_text())
    rows = [{k: v for k, v in row.items() if "second" not in k} for row in told["rows"]]
    verdicts = [(r["capture"], r["fused"], r["verdict"]) for r in told["captures"]]
    return json.dumps([rows, verdicts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captures", default="10,100,1000,10000")
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--twice", action="store_true")
    given = parser.parse_args()
    folder = given.out or Path(tempfile.mkdtemp())
    counts = [int(text) for text in given.captures.split(",")]
    print("captures  CPU s  CPU ms a further capture  peak MB  runs", flush=True)
    before: tuple[int, float] | None = None
    for count in counts:
        root, out = folder / f"{count}", folder / f"{count}-results"
        write_miniature(read_card("mvtec3d"), root, train=60, test=count, side=given.side)
        runs = [killed(begun(root, out), out, count // 2)] if count == counts[-1] else []
        runs.append(ended(begun(root, out)))
        seconds, peak = sum(run[0] for run in runs), max(run[1] for run in runs)
        further = (seconds - before[1]) / (count - before[0]) * 1e3 if before else float("nan")
        print(
            f"{count:8d}  {seconds:5.1f}  {further:24.1f}  {peak / 1e6:7.0f}  {len(runs)}",
            flush=True,
        )
        before = count, seconds
    if given.twice:
        again = folder / "again"
        ended(begun(root, again))
        print(
            "the same results as those of a run that was not killed:",
            results(again) == results(out),
        )
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")


if __name__ == "__main__":
    main()

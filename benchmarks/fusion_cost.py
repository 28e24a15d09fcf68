"""What the cross-modal transformer costs: training, every capture, memory, beside the banks alone.

    python benchmarks/fusion_cost.py captures/card.toml captures panel --parts 100 --captures 20

Times are processor seconds, so that other work on the machine counts as little as can be. Two
processes fit the same good parts, one after the other: banks alone, and banks and transformer; each
tells its own peak memory and keeps its model. Then both models take turns on the same captures in
a third process, and the share that the transformer adds is the median over captures.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmdefect import load
from mmdefect.dataset import Dataset


def cpu_seconds(work: Callable[[], object]) -> float:
    """Processor seconds of some work."""
    started = time.process_time()
    work()
    return time.process_time() - started


def made(kind: str, dataset: Dataset, category: str) -> Any:
    """Make a fusion with the features that are there without weights."""
    sensors = tuple(dataset.sensors(category))
    return load("fusion", kind)(sensors=sensors, features=dict.fromkeys(sensors, "builtin"))


def fitted(asked: argparse.Namespace) -> None:
    """Fit one kind of fusion in this process, keep it, and tell what it took."""
    dataset = Dataset(asked.card, asked.root)
    train = dataset.captures(asked.category, "train")[: asked.parts]
    scenes = list(dataset.scenes(train))
    fusion = made(asked.fit, dataset, asked.category)
    told: dict[str, Any] = {"parts": len(train), "sensors": list(fusion.sensors)}
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told["seconds"] = cpu_seconds(lambda: fusion.fit(scenes))
    told["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    told["mib_before"] = held >> 10
    if asked.fit == "transformer":
        courses = fusion.crossing_.surprise.courses_
        told["steps"] = [len(course.losses) for course in courses]
        told["parameters"] = fusion.crossing_.parameters
    tensors, state = fusion.state()
    np.savez(asked.keep / f"{asked.fit}.npz", **tensors)
    (asked.keep / f"{asked.fit}.json").write_text(json.dumps(state))
    print(json.dumps(told))


def kept(kind: str, folder: Path) -> Any:
    """Take a fusion that another process fitted."""
    with np.load(folder / f"{kind}.npz") as held:
        tensors = {name: held[name] for name in held.files}
    state = json.loads((folder / f"{kind}.json").read_text())
    return load("fusion", kind).from_state(tensors, state)


def in_a_process_of_its_own(kind: str, folder: Path) -> dict[str, Any]:
    """Fit there; give what was told."""
    command = [sys.executable, __file__, *sys.argv[1:], "--fit", kind, "--keep", str(folder)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def by_turns(asked: argparse.Namespace, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Score captures by banks alone and by the whole fusion: processor seconds of each."""
    dataset = Dataset(asked.card, asked.root)
    captures = dataset.captures(asked.category, "test")[: asked.captures]
    both = kept("transformer", folder)
    fusions = (both.late_, both)
    scenes = list(dataset.scenes(captures))
    for fusion in fusions:  # what is built when it is first needed
        fusion.predict(scenes[0])
    pairs = [[cpu_seconds(lambda f=f, s=s: f.predict(s)) for f in fusions] for s in scenes]
    banks, whole = np.array(pairs).T
    return banks, whole


def main() -> None:
    """Fit twice, score by turns, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("card")
    parser.add_argument("root")
    parser.add_argument("category")
    parser.add_argument("--parts", type=int, default=100)
    parser.add_argument("--captures", type=int, default=20)
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fit:
        fitted(asked)
        return
    with tempfile.TemporaryDirectory() as below:
        folder = Path(below)
        late, both = (in_a_process_of_its_own(kind, folder) for kind in ("late", "transformer"))
        print("| | banks | banks and transformer |\n|---|---|---|")
        print(f"| fit {both['parts']} good parts, processor s | {late['seconds']:.0f} | "
              f"{both['seconds']:.0f} |")  # fmt: skip
        print(f"| peak memory of fitting, MiB (scenes alone {late['mib_before']}) | {late['mib']} "
              f"| {both['mib']} |", flush=True)  # fmt: skip
        banks, whole = by_turns(asked, folder)
    print(f"| a capture, processor ms | {1e3 * np.median(banks):.0f} | "
          f"{1e3 * np.median(whole):.0f} |")  # fmt: skip
    low, middle, high = np.quantile(whole / banks - 1, [0.25, 0.5, 0.75])
    print(f"\nadded a capture: {middle:+.0%} (quartiles {low:+.0%} to {high:+.0%}, {len(whole)} "
          f"captures); {both['parameters']} parameters, {both['steps']} steps")  # fmt: skip


if __name__ == "__main__":
    main()

"""What an explanation costs, in predictions of the same capture.

    mmdefect simulate FOLDER --product panel --train 40 --test 40 --size 256
    python benchmarks/explain_cost.py FOLDER panel

Processor time, not the clock's, of predicting a capture, and of predicting and explaining it
(shares, regions with what they measure, good patches, counterfactuals), in turns; the ratio is
taken capture by capture. The map by channels is made only when it is asked for, and told apart.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np

from mmdefect import Dataset, Inspection, load


def seconds(ask) -> float:
    started = time.process_time()
    ask()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("category")
    parser.add_argument("--fit", type=int, default=16)
    parser.add_argument("--calibrate", type=int, default=20)
    parser.add_argument("--captures", type=int, default=12)
    given = parser.parse_args()
    dataset = Dataset(str(given.folder / "card.toml"), given.folder)
    good = dataset.captures(given.category, "train")
    scenes = dataset.scenes
    inspection = Inspection(load("fusion", "late")(), 0.05)
    split = given.fit, given.fit + given.calibrate
    inspection.fit(scenes(good[: split[0]]), scenes(good[split[0] : split[1]]))
    test = [c for c in dataset.captures(given.category, "test") if c.label == "defect"]
    rows = []
    for capture in test[: given.captures]:
        scene = dataset.scene(capture)
        told = inspection.explain(scene)
        channels = seconds(partial(getattr, told, "channel_map"))
        predict = np.median([seconds(partial(inspection.predict, scene)) for _ in range(3)])
        explain = np.median([seconds(partial(inspection.explain, scene)) for _ in range(3)])
        rows.append((predict, explain / predict, channels / predict, len(told.findings)))
    size = f"{scene.sizes['y']}x{scene.sizes['x']}"
    table = np.array(rows)
    print(f"{len(rows)} defective captures of {size} px, {scene.sizes['sensor']} sensors")
    print(f"predicting: {np.median(table[:, 0]):.2f} s of processor time")
    print(f"predicting and explaining: {np.median(table[:, 1]):.2f} times that, most "
          f"{table[:, 1].max():.2f}, with {table[:, 3].mean():.1f} regions on average")  # fmt: skip
    print(f"and the map by channels: {np.median(table[:, 2]):.2f} more")


if __name__ == "__main__":
    main()

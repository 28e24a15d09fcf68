"""What the cross-modal transformer costs: training, and every capture, beside the memory banks.

    python benchmarks/fusion_cost.py captures/card.toml captures panel --parts 56 --captures 20

Times are CPU seconds of this process, so that other work on the machine counts as little as can
be; the banks alone and the whole fusion take turns on the same captures, and the ratio is the
median over captures of whole to banks.
"""

import argparse
import resource
import time
from itertools import islice

import numpy as np

from mmdefect import load
from mmdefect.dataset import Dataset


def cpu_seconds(work) -> float:
    """CPU seconds of some work."""
    started = time.process_time()
    work()
    return time.process_time() - started


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("card")
    asked.add_argument("root")
    asked.add_argument("category")
    asked.add_argument("--parts", type=int, default=100)
    asked.add_argument("--captures", type=int, default=20)
    asked.add_argument("--cells", type=int, default=24)
    told = asked.parse_args()
    dataset = Dataset(told.card, told.root)
    train = dataset.captures(told.category, "train")[: told.parts]
    test = dataset.captures(told.category, "test")[: told.captures]
    scenes = list(dataset.scenes(train))
    sensors = tuple(dataset.sensors(told.category))
    late = load("fusion", "late")(sensors=sensors)
    rows = [("good parts, sensors", f"{len(train)}, {len(sensors)}")]
    rows.append(("banks alone: fit, CPU s", f"{cpu_seconds(lambda: late.fit(scenes)):.1f}"))
    rows.append(("peak memory so far, MiB", f"{peak_mib():.0f}"))
    both = load("fusion", "transformer")(sensors=sensors, cells=told.cells)
    rows.append(
        ("banks and transformer: fit, CPU s", f"{cpu_seconds(lambda: both.fit(scenes)):.1f}")
    )
    crossing = both.crossing_
    steps = [len(course.losses) for course in crossing.surprise.courses_]
    rows.append(("  steps of the three networks", " + ".join(map(str, steps))))
    rows.append(("  parameters of the one that scores", f"{crossing.parameters}"))
    rows.append(("peak memory, MiB", f"{peak_mib():.0f}"))
    pairs = []
    for scene in islice(dataset.scenes(test), told.captures):
        pairs.append([cpu_seconds(lambda f=f, s=scene: f.predict(s)) for f in (both.late_, both)])
    banks, whole = np.array(pairs[1:]).T
    rows.append(("banks alone, CPU ms a capture", f"{1e3 * np.median(banks):.0f}"))
    rows.append(("banks and transformer, CPU ms a capture", f"{1e3 * np.median(whole):.0f}"))
    ratio = whole / banks
    low, high = np.quantile(ratio, [0.25, 0.75])
    rows.append(("ratio, median (quartiles)", f"{np.median(ratio):.2f} ({low:.2f}–{high:.2f})"))
    for name, value in rows:
        print(f"{name:42} {value}", flush=True)


if __name__ == "__main__":
    main()

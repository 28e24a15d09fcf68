"""Faults that a sensor's own state tells, whatever its scores do: level and place of its picture.

    mmdefect simulate captures --product panel --train 288 --test 750 --size 192 --seed 6006
    python benchmarks/sensor_signs.py captures --work kept --product panel

No detector is needed: good parts teach the mean picture, others calibrate, others go by on 40
lines of 30 healthy captures and then faulty ones, with scores drawn at random, as of a sensor
whose scores do not tell. ``after``: captures from the first faulty one until the monitor names the
sensor, median and most; ``within 30``: of 40 lines. ``moved by``: the mean change of level, across
and down, in standard deviations of good parts. The last table tells how often the signs of
defective parts lie in the outer 5 % of good ones, low and high: 0.05 where no defect moves them.
"""

from typing import Any

import numpy as np
from faults import PLANTED, spoiled

from fusion import parser_of
from mmdefect.cache import SceneCache
from mmdefect.dataset import Dataset
from mmdefect.familiar import Familiar
from mmdefect.progress import progress_shown, track
from mmdefect.reliability import Monitor
from mmdefect.signs import SIGNS, signs_of

LINES, HEALTHY, FAULTY, RUN_LENGTH = 40, 30, 60, 10_000
FEWEST = 30


def after(calibration: np.ndarray, healthy: np.ndarray, faulty: np.ndarray, seed: int) -> Any:
    """Captures until the monitor names the sensor and as what; None when it never does."""
    rng = np.random.default_rng(seed)
    monitor = Monitor(rng.normal(size=len(calibration)), RUN_LENGTH, seed, calibration)
    turns = [rng.permutation(len(healthy)) for _ in range(HEALTHY + FAULTY)]
    for number, part in enumerate(np.concatenate(turns)[: HEALTHY + FAULTY]):
        shown = (faulty if number >= HEALTHY else healthy)[part]
        fault = monitor.see(rng.normal(), shown)
        if fault and number >= HEALTHY:
            return number - HEALTHY + 1, fault
    return None, ""


def main() -> None:
    """Plant, watch, print."""
    parser = parser_of(__doc__ or "")
    parser.set_defaults(good=76, defective=40)
    parser.add_argument("--line", type=int, default=40, help="of the good test parts")
    asked = parser.parse_args()
    cache = SceneCache(asked.work / "scenes", 16 << 30)
    dataset = Dataset(asked.card or asked.folder / "card.toml", asked.folder, cache=cache)
    captures, sensors = dataset.captures(asked.product), dataset.sensors(asked.product)
    train = [c for c in captures if c.split == "train"][:: asked.seeds]
    tested = [c for c in captures if c.split == "test"]
    good = [c for c in tested if c.label == "good"][: asked.good]
    bad = [c for c in tested if c.label == "defect"]
    bad = bad[:: -(-len(bad) // asked.defective)]
    learn, rest = train[: -len(train) // 4], train[-len(train) // 4 :]
    with progress_shown():
        familiar = Familiar.learn(dataset.scene(c) for c in track(learn, len(learn), "learning"))
        known, told, line = [], [], []
        for c in track([*rest, *good], len(rest) + len(good), "good parts"):
            scene = dataset.scene(c).load()
            known.append(signs_of(scene, familiar, sensors))
            if c in good[-asked.line :]:
                line.append(scene)
        told = [signs_of(dataset.scene(c), familiar, sensors) for c in bad]
    signs, moving = np.array(known[: -asked.line]), np.array(known[-asked.line :])
    print(f"{asked.product}: {len(learn)} learn, {len(signs)} calibrate, {len(line)} go by")
    print("| product | sensor | fault | named | within 30 | as | after | moved by |")
    print("|---|---|---|---|---|---|---|---|")
    for column, name in enumerate(sensors):
        for fault in PLANTED:
            bent = [spoiled(scene, name, fault, n) for n, scene in enumerate(line)]
            shown = np.array([signs_of(scene, familiar, [name])[0] for scene in bent])
            tried = [after(signs[:, column], moving[:, column], shown, s) for s in range(LINES)]
            _row(asked.product, name, fault, tried, shown - moving[:, column], signs[:, column])
    _defects(asked.product, sensors, np.concatenate([signs, moving]), np.array(told))


def _row(
    product: str, name: str, fault: str, tried: list[Any], change: np.ndarray, signs: np.ndarray
) -> None:
    named = [count for count, _ in tried if count is not None]
    words = ", ".join(sorted({word for _, word in tried if word})) or "–"
    when = f"{np.median(named):.0f}, {max(named)}" if named else "–"
    soon = sum(count <= FEWEST for count in named)
    moved = np.nanmean(change, axis=0) / np.nanstd(signs, axis=0)
    far = ", ".join(f"{value:+.1f}" for value in moved)
    counts = f"{len(named)}/{LINES} | {soon}/{LINES}"
    print(f"| {product} | {name} | {fault} | {counts} | {words} | {when} | {far} |", flush=True)


def _defects(product: str, sensors: Any, good: np.ndarray, bad: np.ndarray) -> None:
    """Tell where the signs of defective parts lie among those of good ones."""
    print(f"\n{len(bad)} defective parts\n| product | sensor | " + " | ".join(SIGNS) + " |")
    print("|---|---|" + "---|" * len(SIGNS))
    for column, name in enumerate(sensors):
        cells = []
        for sign in range(len(SIGNS)):
            higher = (good[:, column, sign] > bad[:, column, sign][:, None]).mean(1)
            cells.append(f"{(higher > 0.95).mean():.2f}, {(higher < 0.05).mean():.2f}")
        print(f"| {product} | {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

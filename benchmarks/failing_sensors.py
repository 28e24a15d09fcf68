"""Sensors that fail while a line runs: are they named, and what do the verdicts do meanwhile?

    mmdefect simulate captures --product panel --train 288 --test 750 --size 192 --seed 6006
    python benchmarks/fusion.py captures --work kept --product panel --first 1
    python benchmarks/failing_sensors.py captures --work kept --product panel

The first seed's model of `fusion.py` judges; its calibration parts and some good parts of the
other seeds calibrate. Good test captures go by on the line, one in ten of them replaced by a
defective one. Faults are planted in the registered frames of one sensor at a time: noise of the
frame's own level and spread, one frame for ever (frozen), black, gain 1.2 (2 K of offset for
infrared, 0.2 % of the distance for points), blur of 2 px, a shift by the whole pixels that make
1 mm at least. Every capture's evidence under every fault is extracted once and kept, so a line of
hundreds costs nothing. Every line: healthy captures, then the fault, then healthy again. Whether
a sensor is named is asked of 40 lines, by its monitor alone; what becomes of the verdicts, of
``--lines`` whole ones.

``after``: captures from the first faulty one until the monitor names it, median and most over the
lines. ``escapes``: defective parts that left as good while it was faulty, of those that the healthy
sensors alone condemn, over all lines; promised are none. ``of them before``: before it was named.
``alarms``: different good parts called defective after it was named, and the 95 % interval of the
rate asked for; a table of its own asks all good test parts without one sensor. ``harm``: the AUROC
that the faulty sensor takes from the fusion without it, on the same parts, as long as it has a say.
"""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from faults import PLANTED, spoiled
from fusion_scores import kept_late
from lines import (
    FAULTY,
    HEALTHY,
    RATE,
    Line,
    Passing,
    Seen,
    condemned,
    judged,
    never_twice,
    passing,
    watched,
)
from sklearn.metrics import roc_auc_score

from fusion import features, parser_of, tested
from mmdefect.cache import SceneCache
from mmdefect.captures import Capture
from mmdefect.dataset import Dataset
from mmdefect.division import divide
from mmdefect.good_parts import alarms_interval
from mmdefect.inspection import Inspection
from mmdefect.judging import Judge
from mmdefect.peaks import Peaks
from mmdefect.progress import track
from mmdefect.reliability import Monitor
from mmdefect.signs import SIGNS, signs_of
from mmdefect.verdict import conformal_threshold

NAMING, EVERY_GOOD = 40, 300
FAULTS = ("frozen", *PLANTED)
CHECKED = ("gain",)  # the first line is judged twice


def fitted(dataset: Dataset, asked: Any) -> Inspection:
    """Fit the first seed's model; further good parts calibrate."""
    train = [c for c in dataset.captures(asked.product) if c.split == "train"]
    fit, calibrate = divide(train[:: asked.seeds], [], RATE, 0)
    others = [c for place, c in enumerate(train) if place % asked.seeds]
    folder = asked.work / asked.product / "seed0"
    fusion = kept_late(folder, features(dataset, asked.product, asked.weights), 0)
    sides = (fit, [*calibrate, *others[: asked.more]])
    scenes = [[dataset.scene(c) for c in track(side, len(side), "reading")] for side in sides]
    return Inspection(fusion, RATE).fit(*scenes)


def looked_at(inspection: Inspection, scene: xr.Dataset, name: str = "", fault: str = "") -> Any:
    """Evidence, score and signs of all sensors, or of one with a fault."""
    fusion: Any = inspection.fusion
    if not fault:
        told = fusion.predict(scene)
        shown = signs_of(scene, inspection.familiar_, fusion.sensors)
        return told["evidence"].values, told["sensor_score"].values, shown
    number = int(hashlib.sha256(scene.attrs["capture"].encode()).hexdigest()[:8], 16)
    bad, kept = spoiled(scene, name, fault, number), fusion.detectors_
    fusion.detectors_ = {name: kept[name].made}  # not what is kept of the healthy frame
    try:
        told = fusion.predict(bad)
    finally:
        fusion.detectors_ = kept
    shown = signs_of(bad, inspection.familiar_, [name])[0]
    return float(told["evidence"].item()), float(told["sensor_score"].item()), shown


def seen(
    inspection: Inspection, dataset: Dataset, captures: list[Capture], work: Path, faults: list[str]
) -> Any:
    """Look at every capture, healthy and under some faults of every sensor; keep what is said."""
    sensors = tuple(inspection.calibration_.sensors)
    columns: dict[tuple[str, str], list[Any]] = {("", ""): []}
    work.mkdir(parents=True, exist_ok=True)
    for capture in track(captures, len(captures), "planting faults"):
        path = work / f"{hashlib.sha256(capture.id.encode()).hexdigest()[:24]}.npz"
        if not path.exists():
            scene, told = dataset.scene(capture).load(), {}
            for name, fault in [("", ""), *((n, f) for n in sensors for f in faults)]:
                evidence, score, shown = looked_at(inspection, scene, name, fault)
                told[f"{name}/{fault}"] = np.column_stack(
                    [np.atleast_1d(evidence), np.atleast_1d(score), np.atleast_2d(shown)]
                )
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, **told)
            partial.replace(path)
        with np.load(path) as held:
            for key in held.files:
                columns.setdefault(tuple(key.split("/")), []).append(held[key])
    labels = np.array([c.label for c in captures])
    made = {}
    for key, rows in columns.items():
        table = np.array(rows)  # (part, sensor, 2 + sign)
        names = (key[0],) if key[0] else sensors
        made[key] = Seen(names, labels, table[..., 0], table[..., 1], table[..., 2:])
    return made


def run(judge: Judge, line: Line, healthy: Seen, faulty: Seen | None, name: str, seed: int,
        again: bool = False) -> dict:  # fmt: skip
    """Let a line go by and be judged; ``again`` by the product's own code as well."""
    shown, column = passing(line, healthy, faulty, name), healthy.sensors.index(name)
    told = watched(judge, shown, seed)
    if again:
        other = judged(judge, healthy.sensors, shown, seed)
        assert all((one == two).all() for one, two in zip(told, other, strict=True))
    rest = tuple(c for c in range(len(healthy.sensors)) if c != column)
    return {
        "verdict": told.verdict,
        "fault": told.faults[:, column],
        "others": (told.faults[:, rest] != "").any(1),
        "alone": condemned(judge, shown.evidence)[rest],
    }


def measured(line: Line, told: dict) -> dict:
    """Numbers of one line."""
    named = told["fault"] != ""
    first = np.flatnonzero(named & line.faulty)
    start = first[0] if len(first) else HEALTHY + FAULTY
    before = line.faulty & (np.arange(len(named)) < start)
    after = line.faulty & (np.arange(len(named)) >= start)
    healed = np.flatnonzero(~named[HEALTHY + FAULTY :])
    caught = line.bad & told["alone"]
    passed = (told["verdict"] == "good") & caught
    called = told["verdict"] == "defect"
    return {
        "named": start - HEALTHY + 1 if len(first) else None,
        "early": int(named[:HEALTHY].any()),
        "escapes": np.array([(passed & when).sum() for when in (line.faulty, before)]),
        "caught": np.array([(caught & when).sum() for when in (line.faulty, before)]),
        "alarms": set(line.parts[called & ~line.bad & after].tolist()),
        "good": set(line.parts[~line.bad & after].tolist()),
        "recovered": int(healed[0]) if len(healed) else None,
        "blamed": int(told["others"].sum() > 0),
    }


def named_after(
    judge: Judge, healthy: Seen, faulty: Seen | None, name: str, seed: int
) -> tuple[int | None, str]:
    """Captures until the sensor is named, and as what, by its monitor alone: for many lines."""
    line, column = Line(healthy.labels, seed), healthy.sensors.index(name)
    held = judge.calibration
    monitor = Monitor(held.of_sensor(name).tolist(), 10_000, seed, held.signs_of_sensor(name))
    for number, part in enumerate(line.parts[: HEALTHY + FAULTY]):
        source, row, at = healthy, part, column
        if line.faulty[number]:
            stuck = (healthy, line.parts[HEALTHY], column)
            source, row, at = stuck if faulty is None else (faulty, part, 0)
        fault = monitor.see(source.scores[row, at], source.signs[row, at])
        if fault and line.faulty[number]:
            return number - HEALTHY + 1, fault
    return None, ""


def harm(healthy: Seen, faulty: Seen | None, name: str) -> float:
    """AUROC that the faulty sensor takes from the fusion without it, over all parts."""
    column = healthy.sensors.index(name)
    evidence = healthy.evidence.copy()
    evidence[:, column] = healthy.evidence[0, column] if faulty is None else faulty.evidence[:, 0]
    bad = healthy.labels == "defect"
    without = np.delete(evidence, column, axis=1)
    areas = [roc_auc_score(bad, np.sqrt((rows**2).sum(1))) for rows in (evidence, without)]
    return float(areas[1] - areas[0])


def report(judge: Judge, healthy: Seen, under: dict, lines: int, product: str) -> None:
    """Print one row per sensor and fault."""
    parts = len(judge.calibration.evidence)
    print("| product | sensor | fault | named | within 30 | as | after (median, most) | escapes | "
          "of them before | alarms (interval) | harm | recovered after | "
          "others blamed |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for (name, fault), faulty in under.items():
        going = [(seed, Line(healthy.labels, seed)) for seed in range(lines)]
        rows = [
            measured(x, run(judge, x, healthy, faulty, name, seed, not seed and fault in CHECKED))
            for seed, x in going
        ]
        tried = [named_after(judge, healthy, faulty, name, seed) for seed in range(NAMING)]
        named = [count for count, _ in tried if count is not None]
        told = ", ".join(word for word, _ in Counter(w for _, w in tried if w).most_common())
        when = f"{np.median(named):.0f}, {max(named)}" if named else "–"
        escaped, caught = (np.sum([row[k] for row in rows], axis=0) for k in ("escapes", "caught"))
        good, alarms = (set[int]().union(*(row[k] for row in rows)) for k in ("good", "alarms"))
        low, high = alarms_interval(parts, max(len(good), 1), RATE)
        called = f"{len(alarms)}/{len(good)} ({low} to {high})" if good else "–"
        back = [row["recovered"] for row in rows if row["named"] and row["recovered"] is not None]
        print(
            f"| {product} | {name} | {fault} | {len(named)}/{NAMING} | "
            f"{sum(count <= 30 for count in named)}/{NAMING} | {told or '–'} | {when} | "
            f"{escaped[0]}/{caught[0]} | {escaped[1]}/{caught[1]} | {called} | "
            f"{harm(healthy, faulty, name):+.3f} | {f'{np.median(back):.0f}' if back else '–'} | "
            f"{sum(row['blamed'] for row in rows)}/{lines} |",
            flush=True,
        )


def defective_run(judge: Judge, healthy: Seen, seed: int, length: int = 30) -> tuple[int, ...]:
    """A run of defective parts among good ones.

    Gives how many were passed as good that are condemned unwatched; whether a sensor was blamed
    meanwhile, and whether one still was after as many good parts.
    """
    rng = np.random.default_rng(seed)
    good, bad = (np.flatnonzero(healthy.labels == label) for label in ("good", "defect"))
    before, after = np.array_split(rng.permutation(good), 2)
    after = np.resize(after, length)
    parts = np.concatenate([before, never_twice(rng, bad, length), after])
    told = watched(judge, Passing(*(rows[parts] for rows in healthy[2:])), seed)
    run_of = np.arange(len(before), len(before) + length)
    condemning = condemned(judge, healthy.evidence[parts])[tuple(range(len(healthy.sensors)))]
    passed = condemning[run_of] & (told.verdict[run_of] == "good")
    blamed = told.faults != ""
    return int(passed.sum()), int(blamed[run_of].any()), int(blamed[-1].any())


def alarms_without(judge: Judge, good: np.ndarray) -> None:
    """Good parts (part, sensor), each once, that are called defective without one sensor."""
    calibration = judge.calibration
    low, high = alarms_interval(len(calibration.evidence), len(good), RATE)
    for column, name in enumerate(calibration.sensors):
        rest = [n for n in calibration.sensors if n != name]
        threshold = conformal_threshold(calibration.fused(rest), RATE)
        score = np.sqrt((np.delete(good, column, axis=1) ** 2).sum(1))
        called = 0 if threshold is None else int((score > threshold).sum())
        print(f"| {name} | {called}/{len(good)} ({low} to {high}) |")


def main() -> None:
    """Plant, let lines go by, print."""
    parser = parser_of(__doc__ or "")
    parser.set_defaults(good=30, defective=12)
    parser.add_argument("--more", type=int, default=36, help="good parts that calibrate as well")
    parser.add_argument("--lines", type=int, default=1)
    parser.add_argument("--faults", default=",".join(FAULTS))
    asked = parser.parse_args()
    cache = SceneCache(asked.work / "scenes", 16 << 30)
    dataset = Dataset(asked.card or asked.folder / "card.toml", asked.folder, cache=cache)
    inspection = fitted(dataset, asked)
    captures = tested(dataset, asked.product, asked.good, asked.defective)
    faults = [fault for fault in asked.faults.split(",") if fault in PLANTED]
    folder = asked.work / asked.product / f"faults-{'-'.join(faults)}"
    told = seen(inspection, dataset, captures, folder, faults)
    healthy = told[("", "")]
    under = {(n, f): told.get((n, f)) for n in healthy.sensors for f in asked.faults.split(",")}
    judge = Judge(inspection.calibration_, Peaks(), RATE)
    counted = f"{asked.good} good and {asked.defective} defective parts, {len(SIGNS)} signs"
    print(f"{asked.product}: {len(judge.calibration.evidence)} calibrate, line of {counted}")
    report(judge, healthy, under, asked.lines, asked.product)
    print("\n| taken out | alarms on good parts |\n|---|---|")
    every = tested(dataset, asked.product, EVERY_GOOD, 0)
    said = (inspection.fusion.predict(dataset.scene(c)) for c in track(every, len(every), "good"))
    alarms_without(judge, np.array([one["evidence"].values for one in said]))
    runs = [defective_run(judge, healthy, seed) for seed in range(asked.lines)]
    passed, blamed, still = (sum(column) for column in zip(*runs, strict=True))
    print(
        f"\nruns of 30 defective parts: {passed} passed as good that were condemned unwatched; a "
        f"sensor was blamed in {blamed} of {len(runs)}, and still so 30 good parts later in {still}"
    )


if __name__ == "__main__":
    main()

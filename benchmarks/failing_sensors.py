"""Sensors that fail while a line runs: are they named, and what do the verdicts do meanwhile?

    mmdefect simulate good --product panel --train 2138 --test 1 --size 96 --seed 77
    mmdefect simulate bad --product panel --train 1 --test 60 --size 96 --seed 77
    OMP_NUM_THREADS=1 python benchmarks/failing_sensors.py good bad --work failing

Both folders are of one rig. Some good captures fit, some calibrate, the others go by on the line,
one in ten of them replaced by a defective one. Faults are planted in the registered frames of one
sensor at a time: noise of the frame's own level and spread, one frame for ever (frozen), black,
gain 1.2 (2 K of offset for infrared), blur of 2 px, a shift of 1 mm. Every capture's evidence under
every fault is extracted once, so a line of hundreds costs nothing. Every line: healthy captures,
then the fault, then healthy again. Whether a sensor is named is asked of 40 lines, by its monitor
alone; what becomes of the verdicts, of ``--lines`` whole ones.

``after``: captures from the first faulty one until the monitor names it, median and most over the
lines. ``escapes``: defective parts that left as good while it was faulty, named or not, though the
healthy sensors alone would have condemned them; promised are none. ``alarms``: good parts called
defective after it was named, and the 95 % interval of the rate asked for. ``harm``: the AUROC that
the faulty sensor takes from the fusion without it, on the same parts, as long as it has a say.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from evidence import Kept, extracted, fitted, kept
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from mmdefect.dataset import Dataset
from mmdefect.good_parts import alarms_interval
from mmdefect.inspection import Inspection
from mmdefect.judging import Judge
from mmdefect.peaks import Peaks
from mmdefect.reliability import Monitor, Reliability
from mmdefect.verdict import Calibration, conformal_threshold
from mmdefect.zones import Place

RATE, FIELD_MM = 0.05, 112.0
HEALTHY, FAULTY, AFTER, DEFECTIVE = 30, 60, 30, 0.1
NAMING = 40
FAULTS = ("noise", "frozen", "black", "gain", "blur", "shift")
PART = Place("part", "rgb", np.ones((1, 1), bool), 0.0, 1.0)

Planting = Callable[[np.ndarray, str, np.random.Generator], np.ndarray]


def _noise(values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    level, spread = np.nanmean(values), np.nanstd(values)
    return np.where(np.isfinite(values), rng.normal(level, spread, values.shape), np.nan)


def _black(values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    lowest = 273.15 if name == "infrared" else 450.0 if name == "points" else 0.0
    return np.where(np.isfinite(values), lowest, np.nan)


def _gain(values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    if name == "points":
        return values * np.array([1.0, 1.0, 1.002])[:, None, None]
    return values + 2.0 if name == "infrared" else values * 1.2


def _blur(values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    known = np.isfinite(values)
    sigma = (*[0] * (values.ndim - 2), 2, 2)
    weight = ndimage.gaussian_filter(known.astype(float), sigma)
    smooth = ndimage.gaussian_filter(np.where(known, values, 0.0), sigma)
    return np.where(known, smooth / np.maximum(weight, 1e-6), np.nan)


def _shift(values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    pixels = values.shape[-1] / FIELD_MM
    return ndimage.shift(values, (*[0] * (values.ndim - 1), pixels), order=1, mode="nearest")


PLANTED: dict[str, Planting] = {
    "noise": _noise, "black": _black, "gain": _gain, "blur": _blur, "shift": _shift,
}  # fmt: skip


def spoiled(scene: xr.Dataset, name: str, fault: str, number: int) -> xr.Dataset:
    """The scene as a sensor with that fault would have seen it."""
    told = scene.copy()
    rng = np.random.default_rng(number)
    values = PLANTED[fault](scene[name].values.astype(np.float64), name, rng)
    told[name] = scene[name].copy(data=values.astype(np.float32))
    valid = scene["valid"].copy()
    seen = np.isfinite(values).all(axis=tuple(range(values.ndim - 2)))
    valid.loc[{"sensor": name}] = valid.sel(sensor=name).values & seen
    told["valid"] = valid
    return told


def evidence_under(
    inspection: Inspection, dataset: Dataset, captures: list, work: Path, name: str, fault: str
) -> Kept:
    """Evidence of captures when one sensor has a fault: only that sensor is looked at again."""
    fusion = inspection.fusion
    others = fusion.detectors_

    def make() -> Kept:
        fusion.detectors_ = {name: others[name]}
        try:
            scenes = (
                spoiled(scene, name, fault, number)
                for number, scene in enumerate(dataset.scenes(captures))
            )
            return extracted(fusion, scenes)._replace(sensors=(name,))
        finally:
            fusion.detectors_ = others

    return kept(work / f"{name}-{fault}-{len(captures)}.npz", make)


def prediction(sensors: tuple[str, ...], evidence: np.ndarray, scores: np.ndarray) -> xr.Dataset:
    """What the judge needs of a capture; maps are not looked at where no zone is."""
    maps = np.zeros((len(sensors), 1, 1))
    return xr.Dataset(
        {
            "evidence": ("sensor", evidence),
            "sensor_score": ("sensor", scores),
            "evidence_map": (("sensor", "y", "x"), maps),
            "sensor_map": (("sensor", "y", "x"), maps),
            "anomaly_map": (("y", "x"), maps[0]),
            "image_score": float(np.sqrt((evidence**2).sum())),
        },
        coords={"sensor": list(sensors), "grid": ("sensor", ["rgb"] * len(sensors))},
        attrs={"reference": "rgb"},
    )


class Line:
    """Captures that go by: indices of parts, which are defective, and when the fault is there."""

    def __init__(self, labels: np.ndarray, seed: int) -> None:
        rng = np.random.default_rng(seed)
        length = HEALTHY + FAULTY + AFTER
        good, bad = (np.flatnonzero(labels == label) for label in ("good", "defect"))
        order = np.concatenate([rng.permutation(good) for _ in range(-(-length // len(good)) + 1)])
        self.parts = order[:length].copy()
        self.bad = rng.random(length) < DEFECTIVE
        self.parts[self.bad] = rng.choice(bad, self.bad.sum())
        self.faulty = np.zeros(length, bool)
        self.faulty[HEALTHY : HEALTHY + FAULTY] = True


def run(judge: Judge, line: Line, healthy: Kept, faulty: Kept | None, name: str, seed: int) -> dict:
    """Let a line go by; ``faulty`` None is a frozen frame."""
    watch = Reliability(judge, seed=seed)
    column = healthy.sensors.index(name)
    rest = [n for n in healthy.sensors if n != name]
    told: dict = {"verdict": [], "fault": [], "others": [], "alone": []}
    stuck = line.parts[HEALTHY]
    for part, is_faulty in zip(line.parts, line.faulty, strict=True):
        evidence, scores = healthy.evidence[part].copy(), healthy.scores[part].copy()
        if is_faulty:
            source, row = (healthy, stuck) if faulty is None else (faulty, part)
            at = column if faulty is None else 0
            evidence[column], scores[column] = source.evidence[row, at], source.scores[row, at]
        judged = watch.judged(prediction(healthy.sensors, evidence, scores), [PART])
        alone = np.delete(evidence, column)
        good = judge.calibration.fused(rest)
        p_value = (1 + (good >= np.sqrt((alone**2).sum())).sum()) / (len(good) + 1)
        told["verdict"].append(judged.attrs["verdict"])
        told["fault"].append(judged.attrs["faults"].get(name, ""))
        told["others"].append(bool(set(judged.attrs["faults"]) - {name}))
        told["alone"].append(p_value <= RATE)
    return {key: np.array(values) for key, values in told.items()}


def measured(line: Line, told: dict) -> dict:
    """Numbers of one line."""
    named = told["fault"] != ""
    first = np.flatnonzero(named & line.faulty)
    start = first[0] if len(first) else HEALTHY + FAULTY
    before = line.faulty & (np.arange(len(named)) < start)
    after = line.faulty & (np.arange(len(named)) >= start)
    healed = np.flatnonzero(~named[HEALTHY + FAULTY :])
    passed = (told["verdict"] == "good") & line.bad
    called = told["verdict"] == "defect"
    return {
        "named": start - HEALTHY + 1 if len(first) else None,
        "early": int(named[:HEALTHY].any()),
        "escapes": int((passed & told["alone"] & (before | after)).sum()),
        "alarms": len(np.unique(line.parts[called & ~line.bad & after])),
        "good": len(np.unique(line.parts[~line.bad & after])),
        "bad_before": int((line.bad & before).sum()),
        "recovered": int(healed[0]) if len(healed) else None,
        "blamed": int(told["others"].sum() > 0),
    }


def named_after(judge: Judge, healthy: Kept, faulty: Kept | None, name: str, seed: int):
    """Captures until the sensor is named, by its monitor alone: cheap, so for many lines."""
    line, column = Line(healthy.labels, seed), healthy.sensors.index(name)
    monitor = Monitor(judge.calibration.of_sensor(name).tolist(), 10_000, seed)
    for number, part in enumerate(line.parts[: HEALTHY + FAULTY]):
        score = healthy.scores[part, column]
        if line.faulty[number]:
            stuck = healthy.scores[line.parts[HEALTHY], column]
            score = stuck if faulty is None else faulty.scores[part, 0]
        if monitor.see(score) and line.faulty[number]:
            return number - HEALTHY + 1
    return None


def harm(healthy: Kept, faulty: Kept | None, name: str) -> float:
    """AUROC that the faulty sensor takes from the fusion without it, over all parts."""
    column = healthy.sensors.index(name)
    evidence = healthy.evidence.copy()
    evidence[:, column] = healthy.evidence[0, column] if faulty is None else faulty.evidence[:, 0]
    bad = healthy.labels == "defect"
    without = np.delete(evidence, column, axis=1)
    areas = [roc_auc_score(bad, np.sqrt((rows**2).sum(1))) for rows in (evidence, without)]
    return float(areas[1] - areas[0])


def report(judge: Judge, healthy: Kept, under: dict, lines: int) -> None:
    """Print one row per sensor and fault."""
    parts = len(judge.calibration.evidence)
    print("| sensor | fault | named | after (median, most) | escapes | alarms (interval) | harm "
          "| recovered after | other sensors blamed |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for (name, fault), faulty in under.items():
        passing = [(seed, Line(healthy.labels, seed)) for seed in range(lines)]
        rows = [measured(x, run(judge, x, healthy, faulty, name, seed)) for seed, x in passing]
        tried = [named_after(judge, healthy, faulty, name, seed) for seed in range(NAMING)]
        named = [count for count in tried if count is not None]
        when = f"{np.median(named):.0f}, {max(named)}" if named else "–"
        total = sum(row["good"] for row in rows)
        spread = [alarms_interval(parts, row["good"], RATE) for row in rows if row["good"]]
        low, high = sum(s[0] for s in spread), sum(s[1] for s in spread)
        alarms = f"{sum(r['alarms'] for r in rows)}/{total} ({low} to {high})" if total else "–"
        back = [row["recovered"] for row in rows if row["named"] and row["recovered"] is not None]
        print(
            f"| {name} | {fault} | {len(named)}/{NAMING} | {when} | "
            f"{sum(row['escapes'] for row in rows)} | {alarms} | "
            f"{harm(healthy, faulty, name):+.3f} | "
            f"{f'{np.median(back):.0f}' if back else '–'} | "
            f"{sum(row['blamed'] for row in rows)}/{lines} |",
            flush=True,
        )


def defective_run(judge: Judge, healthy: Kept, seed: int, length: int = 30) -> tuple[int, ...]:
    """A run of defective parts among good ones.

    Gives how many were passed as good that are condemned unwatched; whether a sensor was blamed
    meanwhile, and whether one still was after as many good parts.
    """
    rng = np.random.default_rng(seed)
    good, bad = (np.flatnonzero(healthy.labels == label) for label in ("good", "defect"))
    before, after = np.array_split(rng.permutation(good), 2)
    after = np.resize(after, length)
    watch, passed, blamed = Reliability(judge, seed=seed), 0, False
    for part in (*before, *rng.choice(bad, length), *after):
        seen = prediction(healthy.sensors, healthy.evidence[part], healthy.scores[part])
        judged = watch.judged(seen, [PART])
        if healthy.labels[part] == "defect":
            unwatched = judge.judged(seen, [PART]).attrs["verdict"]
            passed += unwatched == "defect" and judged.attrs["verdict"] == "good"
            blamed |= bool(judged.attrs["faults"])
    return passed, int(blamed), int(bool(judged.attrs["faults"]))


def alarms_without(judge: Judge, healthy: Kept) -> None:
    """Good parts of the line, each once, that are called defective without one sensor."""
    good, calibration = healthy.evidence[healthy.labels == "good"], judge.calibration
    low, high = alarms_interval(len(calibration.evidence), len(good), RATE)
    for column, name in enumerate(healthy.sensors):
        rest = [n for n in healthy.sensors if n != name]
        threshold = conformal_threshold(calibration.fused(rest), RATE)
        score = np.sqrt((np.delete(good, column, axis=1) ** 2).sum(1))
        called = 0 if threshold is None else int((score > threshold).sum())
        print(f"| {name} | {called}/{len(good)} ({low} to {high}) |")


def duplicated(calibration: Calibration, healthy: Kept) -> None:
    """AUROC when one sensor is there twice."""
    bad = healthy.labels == "defect"
    base = roc_auc_score(bad, np.sqrt((healthy.evidence**2).sum(1)))
    for column, name in enumerate(healthy.sensors):
        twice = np.c_[healthy.evidence, healthy.evidence[:, column]]
        area = roc_auc_score(bad, np.sqrt((twice**2).sum(1)))
        print(f"| {name} | {base:.4f} | {area:.4f} | {area - base:+.4f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("good", type=Path)
    parser.add_argument("bad", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--fit", type=int, default=40)
    parser.add_argument("--calibrate", type=int, default=59)
    parser.add_argument("--line", type=int, default=40, help="good captures that go by")
    parser.add_argument("--defective", type=int, default=18, help="defective ones, evenly chosen")
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--sensors", default="", help="those that fail in turn; all when empty")
    parser.add_argument("--lines", type=int, default=1)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    sets = [Dataset(folder / "card.toml", folder) for folder in (asked.good, asked.bad)]
    good = sets[0].captures(sets[0].categories[0], "train")
    bad = [c for c in sets[1].captures(sets[1].categories[0], "test") if c.label == "defect"]
    bad = bad[:: -(-len(bad) // asked.defective)]
    end = asked.fit + asked.calibrate
    model = asked.work / f"model-{asked.fit}-{asked.calibrate}"
    fitted(sets[0], good[: asked.fit], good[asked.fit : end], model)
    inspection = Inspection.load(model)
    sides = list(zip(sets, (good[end : end + asked.line], bad), ("good", "bad"), strict=True))

    def both(name: str, fault: str) -> Kept:
        told = []
        for dataset, captures, side in sides:
            work = asked.work / side
            work.mkdir(exist_ok=True)
            if fault:
                told.append(evidence_under(inspection, dataset, captures, work, name, fault))
            else:
                scenes = dataset.scenes(captures)
                path = work / f"healthy-{len(captures)}.npz"
                told.append(kept(path, lambda s=scenes: extracted(inspection.fusion, s)))
        rows = (np.concatenate(pair) for pair in list(zip(*told, strict=True))[1:])
        return Kept(told[0].sensors, *rows)

    healthy = both("", "")
    under = {
        (name, fault): None if fault == "frozen" else both(name, fault)
        for name in (asked.sensors.split(",") if asked.sensors else healthy.sensors)
        for fault in asked.faults.split(",")
    }
    judge = Judge(inspection.calibration_, Peaks(), RATE)
    print(f"{asked.fit} fit, {asked.calibrate} calibrate, line of {asked.line} good and {len(bad)} "
          f"defective parts, {asked.lines} lines each")  # fmt: skip
    report(judge, healthy, under, asked.lines)
    print("\n| taken out | alarms on good parts |\n|---|---|")
    alarms_without(judge, healthy)
    print("\n| sensor there twice | AUROC | with the copy | difference |\n|---|---|---|---|")
    duplicated(inspection.calibration_, healthy)
    runs = [defective_run(judge, healthy, seed) for seed in range(asked.lines)]
    passed, blamed, still = (sum(column) for column in zip(*runs, strict=True))
    print(
        f"\nruns of 30 defective parts: {passed} passed as good that were condemned unwatched; a "
        f"sensor was blamed in {blamed} of {len(runs)}, and still so 30 good parts later in {still}"
    )


if __name__ == "__main__":
    main()

"""Lines of captures of which one sensor fails for a while, judged as `mmdefect watch` judges them.

Thousands of lines have to be judged. So what every set of sensors says of every capture is combined
at once, and the monitors go through the scores. ``judged`` does the same by the product's own
`Reliability`, capture by capture; the benchmark holds one against the other.
"""

from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import xarray as xr

from mmdefect.judging import Judge
from mmdefect.reliability import Reliability
from mmdefect.verdict import conformal_threshold
from mmdefect.zones import Place

RATE = 0.05
HEALTHY, FAULTY, AFTER, DEFECTIVE = 30, 60, 30, 0.1
PART = Place("part", "rgb", np.ones((1, 1), bool), 0.0, 1.0)


class Seen(NamedTuple):
    """What is said of captures: labels; evidence and scores (part, sensor); signs of sensors."""

    sensors: tuple[str, ...]
    labels: np.ndarray
    evidence: np.ndarray
    scores: np.ndarray
    signs: np.ndarray


def prediction(
    sensors: tuple[str, ...], evidence: np.ndarray, scores: np.ndarray, signs: np.ndarray
) -> xr.Dataset:
    """What the judge needs of a capture; maps are not looked at where no zone is."""
    maps = np.zeros((len(sensors), 1, 1))
    return xr.Dataset(
        {
            "evidence": ("sensor", evidence),
            "sensor_score": ("sensor", scores),
            "signs": (("sensor", "sign"), signs),
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
        turns = [rng.permutation(good) for _ in range(-(-length // len(good)) + 1)]
        for before, after in pairwise(turns):
            if before[-1] == after[0]:  # the same capture twice running would be a frozen frame
                after[:] = np.roll(after, 1)
        self.parts = np.concatenate(turns)[:length]
        self.bad = rng.random(length) < DEFECTIVE
        self.parts[self.bad] = never_twice(rng, bad, self.bad.sum())
        self.faulty = np.zeros(length, bool)
        self.faulty[HEALTHY : HEALTHY + FAULTY] = True


def never_twice(rng: np.random.Generator, parts: np.ndarray, count: int) -> np.ndarray:
    """Draw parts of which none comes twice running."""
    drawn: list[int] = []
    for _ in range(count):
        drawn.append(int(rng.choice(parts[parts != drawn[-1]] if drawn else parts)))
    return np.array(drawn, dtype=int)


class Passing(NamedTuple):
    """What a line shows: evidence, scores (capture, sensor) and signs (capture, sensor, sign)."""

    evidence: np.ndarray
    scores: np.ndarray
    signs: np.ndarray


class Told(NamedTuple):
    """What is said of a line's captures: verdict, and the fault of each sensor, empty for none."""

    verdict: np.ndarray
    faults: np.ndarray


def passing(line: Line, healthy: Seen, faulty: Seen | None, name: str) -> Passing:
    """Let a line go by; ``faulty`` None is a frozen frame."""
    column, rows = healthy.sensors.index(name), [held[line.parts].copy() for held in healthy[2:]]
    if faulty is None:
        stuck = line.parts[HEALTHY]
        instead = [held[[stuck], column].repeat(line.faulty.sum(), 0) for held in healthy[2:]]
    else:
        instead = [held[line.parts[line.faulty], 0] for held in faulty[2:]]
    for held, own in zip(rows, instead, strict=True):
        held[line.faulty, column] = own
    return Passing(*rows)


def condemned(judge: Judge, evidence: np.ndarray) -> dict[tuple[int, ...], np.ndarray]:
    """Which captures (capture, sensor) every set of sensors calls defective, by columns."""
    names, calibration = judge.calibration.sensors, judge.calibration
    told = {(): np.zeros(len(evidence), bool)}
    for size in range(1, len(names) + 1):
        for columns in combinations(range(len(names)), size):
            used = [names[c] for c in columns]
            rows = xr.DataArray(evidence[:, columns].T, {"sensor": used}, ("sensor", "part"))
            threshold = conformal_threshold(calibration.fused(used), judge.false_alarm)
            told[columns] = calibration.combine(rows).values > threshold
    return told


def watched(judge: Judge, shown: Passing, seed: int) -> Told:
    """Judge captures in their order, as `Reliability` does; every sensor saw every capture."""
    names, told = judge.calibration.sensors, condemned(judge, shown.evidence)
    monitors = Reliability(judge, seed=seed).monitors
    faults = np.array([
        [monitors[n].see(shown.scores[k, c], shown.signs[k, c]) for c, n in enumerate(names)]
        for k in range(len(shown.scores))
    ])  # fmt: skip
    every, verdict = tuple(range(len(names))), []
    for number, row in enumerate(faults):
        left = tuple(c for c in every if not row[c])
        without = [tuple(c for c in left if c != k) for k in left] if len(left) > 1 else []
        if told[left][number]:
            verdict.append("defect")
        elif any(told[more][number] for more in _with_some_of(left, every)) or (
            left and any(told[few][number] for few in without)
        ):
            verdict.append("refer")
        else:
            verdict.append("good" if left else "not_inspectable")
    return Told(np.array(verdict), faults)


def _with_some_of(left: tuple[int, ...], every: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Sets of the sensors that are left and of some that are named, all of them at last."""
    named = [c for c in every if c not in left]
    back = [b for size in range(1, len(named) + 1) for b in combinations(named, size)]
    return [tuple(sorted((*left, *b))) for b in back]


def judged(judge: Judge, names: tuple[str, ...], shown: Passing, seed: int) -> Told:
    """Judge captures in their order by `Reliability` itself."""
    watch, verdict, faults = Reliability(judge, seed=seed), [], []
    for rows in zip(*shown, strict=True):
        told = watch.judged(prediction(names, *rows), [PART])
        verdict.append(told.attrs["verdict"])
        faults.append([told.attrs["faults"].get(name, "") for name in names])
    return Told(np.array(verdict), np.array(faults))

"""Whether late fusion's p-values are honest, on thousands of good parts that nothing had seen.

    mmdefect simulate good --product panel --train 2138 --test 1 --size 96 --seed 77
    OMP_NUM_THREADS=1 python benchmarks/honest_p.py good --work good-evidence

Some captures fit, all others are fresh. Their evidence is extracted once and kept in ``--work``.
Then, many times: calibration parts are drawn from the fresh ones, and all the rest are judged by
every non-empty subset of the sensors. p-values are honest (super-uniform) when at no rate α more
than the share α of good parts has p ≤ α. Given the captures, the draws are independent of each
other, so at every rate the mean over draws is held against α by a one-sided t-test; a subset's
p-value is the smallest of its rates' times their number, and Holm's method joins the subsets.
A single draw may miss α: the number of its alarms follows a beta-binomial distribution, and the
table says how many draws lie in its central 95 %.

Two controls show that the test can fail: calibrated on the parts that the detectors were fitted
on, and on the same parts scored as strangers by the cross-fit (whose scales they fitted).
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from evidence import Kept, extracted, fitted, kept, kept_in_pieces
from scipy.stats import t as student

from mmdefect.dataset import Dataset
from mmdefect.fusion.late import Late
from mmdefect.good_parts import alarms_interval
from mmdefect.verdict import Calibration, Combine, conformal_threshold

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
LEVEL = 0.05


def subsets(sensors: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Every non-empty subset, the small ones first."""
    return [c for size in range(1, len(sensors) + 1) for c in combinations(sensors, size)]


def combined(evidence: np.ndarray, sensors: tuple[str, ...], combine: Combine) -> np.ndarray:
    """Statistic (part, subset) of parts (part, sensor) that have every sensor."""
    held = Calibration(sensors, evidence, evidence, combine)
    return np.stack([held.fused(names) for names in subsets(sensors)], axis=1)


def alarms(good: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Alarms (subset, rate) on fresh good parts (part, subset), calibrated on others."""
    limits = [[conformal_threshold(column, rate) for rate in RATES] for column in good.T]
    return np.array(
        [
            [0 if limit is None else int((scores > limit).sum()) for limit in row]
            for row, scores in zip(limits, fresh.T, strict=True)
        ]
    )


def drawn(statistic: np.ndarray, parts: int, draws: int) -> np.ndarray:
    """Alarms (draw, subset, rate): each draw calibrates on some parts and judges the rest."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(statistic)) for _ in range(draws)]
    return np.array([alarms(statistic[o[:parts]], statistic[o[parts:]]) for o in orders])


def too_many(shares: np.ndarray) -> np.ndarray:
    """One-sided p-value (subset,) that alarms (draw, subset, rate) are oftener than their rate."""
    count = len(shares)
    spread = np.maximum(shares.std(0, ddof=1), 1e-12) / np.sqrt(count)
    over = student.sf((shares.mean(0) - np.array(RATES)) / spread, count - 1)
    return np.minimum(len(RATES) * over.min(1), 1.0)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values by Holm's step-down method."""
    order = np.argsort(p_values)
    stepped = (len(p_values) - np.arange(len(p_values))) * p_values[order]
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def evidence_of(folder: Path, work: Path, fit: int) -> tuple[Kept, Kept, Kept]:
    """Evidence of fresh parts, of those that fitted, and of these as strangers."""
    dataset = Dataset(folder / "card.toml", folder)
    captures = dataset.captures(dataset.categories[0], "train")
    work.mkdir(parents=True, exist_ok=True)
    known, fresh = captures[:fit], captures[fit:]
    fusion = fitted(dataset, known, [], work / f"model-{fit}")

    def made(some, predict=None):
        return extracted(fusion, dataset.scenes(some), predict)

    def stranger(scene, number):
        return fusion.predict(scene, number % fusion.folds)

    return (
        kept_in_pieces(work, fresh, made),
        kept(work / f"known-{fit}.npz", lambda: made(known)),
        kept(work / f"stranger-{fit}.npz", lambda: made(known, stranger)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--fit", type=int, default=40)
    parser.add_argument("--calibrate", type=int, default=59)
    parser.add_argument("--draws", type=int, default=200)
    asked = parser.parse_args()
    fresh, known, stranger = evidence_of(asked.folder, asked.work, asked.fit)
    combine = Late(fresh.sensors).combine
    parts, rest = asked.calibrate, len(fresh.evidence) - asked.calibrate
    statistic = combined(fresh.evidence, fresh.sensors, combine)
    found = drawn(statistic, parts, asked.draws)
    shares = found / rest
    p_values = holm(too_many(shares))
    inside = [alarms_interval(parts, rest, rate) for rate in RATES]
    print(f"{asked.fit} parts fit, {parts} calibrate, {rest} are judged, {asked.draws} draws")
    print("| sensors | " + " | ".join(f"α = {r:g}" for r in RATES) + " | draws inside | p (Holm) |")
    print("|---|" + "---|" * (len(RATES) + 2))
    for index, names in enumerate(subsets(fresh.sensors)):
        cells = " | ".join(f"{share:.4f}" for share in shares[:, index].mean(0))
        held = [
            np.mean((found[:, index, k] >= low) & (found[:, index, k] <= high))
            for k, (low, high) in enumerate(inside)
        ]
        print(
            f"| {', '.join(names)} | {cells} | {min(held):.0%} to {max(held):.0%} | "
            f"{p_values[index]:.2g} |"
        )
    verdict = "honest" if (p_values > LEVEL).all() else "NOT HONEST"
    print(f"\nsmallest adjusted p {p_values.min():.2g}: {verdict} at {LEVEL:g}")
    print("\ncontrols, all sensors: rates of alarms at α = " + ", ".join(f"{r:g}" for r in RATES))
    for told, other in (("on parts that fitted", known), ("cross-fitted", stranger)):
        rates = alarms(combined(other.evidence, other.sensors, combine), statistic)[-1]
        print(f"calibrated {told}: " + ", ".join(f"{n / len(fresh.evidence):.4f}" for n in rates))


if __name__ == "__main__":
    main()

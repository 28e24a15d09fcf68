"""Whether the transformer's p-values are honest, whichever sensors are there.

    mmdefect simulate good --product panel --train 2138 --test 1 --size 96 --seed 77
    OMP_NUM_THREADS=1 python benchmarks/honest_left.py good --work good-transformer

As `honest_p.py` asks it of late fusion: some captures fit, all others are fresh; many times some of
these calibrate and the rest are judged by every set of sensors. What a sensor can be foretold to
depends on which others are there, so an inspection asks its calibration parts, which had them all,
what they would be worth without some. ``--recombined`` takes their evidence with all sensors
instead, as late fusion may: the control, which shows that the test can fail.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from honest_p import LEVEL, RATES, alarms, holm, subsets, too_many

from mmdefect.captures import Capture
from mmdefect.dataset import Dataset
from mmdefect.good_parts import alarms_interval
from mmdefect.inspection import Inspection
from mmdefect.learning import Learning
from mmdefect.progress import progress_shown, track
from mmdefect.registry import load
from mmdefect.settings import Settings
from mmdefect.verdict import Calibration

PIECE = 100


def fitted(dataset: Dataset, fit: Sequence[Capture], path: Path) -> Any:
    """Fit a transformer, or take the one that was fitted."""
    if not path.exists():
        features = Learning(dataset, fit[0].category, Settings()).features
        sensors = tuple(dataset.sensors(fit[0].category))
        fusion = load("fusion", "transformer")(sensors=sensors, features=features)
        Inspection(fusion).fit(list(dataset.scenes(list(fit))), []).save(path)
    return Inspection.load(path).fusion


def evidence_of(fusion: Any, scene: xr.Dataset, sets: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Give evidence (set, sensor) of a part, judged by every set of sensors."""
    said = fusion.predict(scene)
    told = {tuple(fusion.sensors): said["evidence"].values, **fusion.evidence_left(scene, said)}
    return np.stack([told[names] for names in sets])


def kept(fusion: Any, dataset: Dataset, captures: Sequence[Capture], work: Path) -> np.ndarray:
    """Give evidence (part, set, sensor) of captures, kept a hundred at a time."""
    sets, pieces = subsets(tuple(fusion.sensors)), []
    starts = range(0, len(captures), PIECE)
    for start in track(starts, len(starts), "scoring fresh parts, hundreds"):
        path = work / f"{start:05d}.npy"
        if not path.exists():
            scenes = dataset.scenes(list(captures[start : start + PIECE]))
            partial = path.with_suffix(".partial.npy")
            np.save(partial, np.stack([evidence_of(fusion, scene, sets) for scene in scenes]))
            partial.replace(path)
        pieces.append(np.load(path))
    return np.concatenate(pieces)


def statistics(
    fusion: Any, evidence: np.ndarray, recombined: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Combine evidence (part, set, sensor) as of calibration parts, and as of judged ones."""
    names = tuple(fusion.sensors)
    sets = subsets(names)
    left = {chosen: evidence[:, index] for index, chosen in enumerate(sets)}
    whole = evidence[:, -1]
    parts = Calibration(names, whole, whole, fusion.combine, left=left)
    judged = np.stack([parts.fused(chosen, chosen) for chosen in sets], 1)
    return np.stack([parts.fused(chosen) for chosen in sets], 1) if recombined else judged, judged


def main() -> None:
    """Fit, score, draw, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--fit", type=int, default=40)
    parser.add_argument("--calibrate", type=int, default=59)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--recombined", action="store_true", help="the control")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    dataset = Dataset(asked.folder / "card.toml", asked.folder)
    captures = dataset.captures(dataset.categories[0], "train")
    with progress_shown():
        fusion = fitted(dataset, captures[: asked.fit], asked.work / "model")
        evidence = kept(fusion, dataset, captures[asked.fit :], asked.work)
    whole, judged = statistics(fusion, evidence, asked.recombined)
    parts, rest, rng = asked.calibrate, len(judged) - asked.calibrate, np.random.default_rng(0)
    orders = [rng.permutation(len(judged)) for _ in range(asked.draws)]
    found = np.array([alarms(whole[o[:parts]], judged[o[parts:]]) for o in orders])
    p_values = holm(too_many(found / rest))
    inside = [alarms_interval(parts, rest, rate) for rate in RATES]
    print(f"{asked.fit} parts fit, {parts} calibrate, {rest} are judged, {asked.draws} draws")
    print("| sensors | " + " | ".join(f"{r:g}" for r in RATES) + " | draws inside | p (Holm) |")
    for index, names in enumerate(subsets(tuple(fusion.sensors))):
        own = found[:, index]
        held = [np.mean((own[:, k] >= a) & (own[:, k] <= b)) for k, (a, b) in enumerate(inside)]
        cells = " | ".join(f"{share:.4f}" for share in (own / rest).mean(0))
        print(f"| {', '.join(names)} | {cells} | {min(held):.0%} to {max(held):.0%} | "
              f"{p_values[index]:.2g} |")  # fmt: skip
    verdict = "honest" if (p_values > LEVEL).all() else "NOT HONEST"
    print(f"\nsmallest adjusted p {p_values.min():.2g}: {verdict} at {LEVEL:g}")


if __name__ == "__main__":
    main()

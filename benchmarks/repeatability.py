"""The same simulated parts captured again and again: how far does the score move?

    mmdefect simulate good --product panel --train 2138 --test 1 --size 96 --seed 77
    OMP_NUM_THREADS=1 python benchmarks/repeatability.py good --work repeat

Good parts that nothing had seen and defective ones, each captured several times: in another light
with other noise, and besides taken out of the fixture and put back. Spread of the score within a
part against that between parts, distance to the threshold at the false-alarm rate asked for, and
how many parts got both verdicts, every sensor alone and fused.
"""

import argparse
from pathlib import Path

import numpy as np
from evidence import fitted

from mmdefect.dataset import Dataset
from mmdefect.inspection import Inspection
from mmdefect.repeatability import repeatability
from mmdefect.simulate.files import frame_paths, write_card, write_frames, write_station
from mmdefect.simulate.specimen import render_capture
from mmdefect.verdict import conformal_threshold

RATE, SEED, SIZE, FIRST = 0.05, 77, 96, 5000
KINDS = ("good", "impact", "delamination")


def rendered(folder: Path, parts: int, takes: int, anew: bool) -> None:
    """Write every part's takes; the numbers of captures tell part and take."""
    write_station(folder, seed=SEED, size=SIZE)
    for kind in KINDS:
        below = folder / "panel" / "test" / kind
        for part in range(parts):
            for take in range(takes):
                paths = frame_paths("station", below, part * takes + take, kind)
                if all(path.exists() for path in paths.values()):
                    continue
                seen = render_capture(
                    "panel", kind, seed=SEED, index=FIRST + part, size=SIZE, take=take,
                    clamped_anew=anew,
                )  # fmt: skip
                write_frames(seen, "station", paths)
    write_card(folder, "benchmarks/repeatability.py")


def scores_of(inspection: Inspection, folder: Path, kind: str) -> dict[str, np.ndarray]:
    """Scores (capture,) of every sensor and of the fusion, in order."""
    dataset = Dataset(folder / "card.toml", folder)
    captures = [c for c in dataset.captures("panel", "test") if c.kind == kind]
    captures = sorted(captures, key=lambda capture: int(capture.name))
    told = [inspection.predict(scene) for scene in dataset.scenes(captures)]
    found = {
        name: np.array([float(one["sensor_score"].sel(sensor=name)) for one in told])
        for name in inspection.fusion.sensors
    }
    return found | {"fused": np.array([float(one["image_score"]) for one in told])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--fit", type=int, default=40)
    parser.add_argument("--calibrate", type=int, default=59)
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--takes", type=int, default=5)
    asked = parser.parse_args()
    dataset = Dataset(asked.folder / "card.toml", asked.folder)
    good = dataset.captures("panel", "train")
    end = asked.fit + asked.calibrate
    model = asked.work / f"model-{asked.fit}-{asked.calibrate}"
    fitted(dataset, good[: asked.fit], good[asked.fit : end], model)
    inspection = Inspection.load(model)
    calibration = inspection.calibration_
    print(f"{asked.parts} parts of each kind, {asked.takes} captures of each, α = {RATE:g}")
    print("| taken | kind | score of | within | between | share of variance | margin | flips |")
    print("|---|---|---|---|---|---|---|---|")
    for taken, anew in (("again", False), ("clamped anew", True)):
        folder = asked.work / taken.replace(" ", "-")
        rendered(folder, asked.parts, asked.takes, anew)
        for kind in KINDS:
            for name, scores in scores_of(inspection, folder, kind).items():
                own = (
                    calibration.fused(calibration.sensors)
                    if name == "fused"
                    else calibration.of_sensor(name)
                )
                told = repeatability(
                    scores.reshape(asked.parts, asked.takes), conformal_threshold(own, RATE)
                )
                print(
                    f"| {taken} | {kind} | {name} | {told.within:.3g} | {told.between:.3g} | "
                    f"{told.share:.0%} | {told.margin:+.1f} | {told.flips:.0%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

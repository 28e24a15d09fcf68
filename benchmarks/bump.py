"""Captures of the simulated station with one sensor bumped by 2 px: caught, missed, false alarms.

    mmdefect simulate FOLDER --product panel --train 288 --test 750 --size 192 --seed 6006
    python benchmarks/bump.py FOLDER --most 300

Of the good captures of a product the first 20 of the train split are training, as the doctor would
have them; others, of whatever split, are looked at twice, as they are and with the sensor's raw
frame shifted by 2 px in a direction drawn anew. Alarms and limits are the doctor's own
(``mmdefect.doctor.bumped``).
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect import Dataset
from mmdefect.alignment import Warp
from mmdefect.alignment.edges import picture_of
from mmdefect.alignment.warps import sampled
from mmdefect.doctor.bumped import MOST_LIMIT, BumpCheck, small, usual_place
from mmdefect.plane import plane_of
from mmdefect.registration import read_rig

TRAINING = 20
BUMP = 2.0


def bumped(frame: xr.DataArray, rng: np.random.Generator) -> xr.DataArray:
    """The picture of a frame, moved by 2 px."""
    turn = rng.uniform(0, 2 * np.pi)
    values = picture_of(plane_of(frame)).values
    moved = sampled(values, Warp.shift(BUMP * np.cos(turn), BUMP * np.sin(turn)), values.shape)
    return xr.DataArray(moved.astype(np.float32), dims=("y", "x"), attrs=frame.attrs)


def measure(dataset: Dataset, category: str, sensor: str, most: int) -> dict[str, np.ndarray]:
    """Residuals (capture, 2), px, NaN where not measurable: of training, good and bumped."""
    rig = read_rig(dataset.card.files[dataset.card.rig])
    good = [c for c in dataset.captures(category) if c.label == "good"]
    good = sorted(good, key=lambda c: c.split != "train")[: TRAINING + most]
    training = good[:TRAINING]
    check = BumpCheck(category, sensor, rig.reference, training, dataset.frames, rig)
    check.learn()
    found: dict[str, list] = {"training": [], "good": [], "bumped": []}
    if check.known is None:
        return {name: np.full((1, 2), np.nan) for name in found}
    for number, capture in enumerate(good):
        frames = dataset.frames(capture, [rig.reference, sensor])
        here = check.known.fixed_on_known(small(frames[rig.reference])[0])
        moving = frames[sensor]
        told = check.residual(here, small(moving)[0])
        found["training" if number < TRAINING else "good"].append(told or (np.nan, np.nan))
        if number >= TRAINING:
            rng = np.random.default_rng([number, len(sensor)])
            told = check.residual(here, small(bumped(moving, rng))[0])
            found["bumped"].append(told or (np.nan, np.nan))
    return {name: np.array(values) for name, values in found.items()}


def summary(found: dict[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """One line, and counts: good, false alarms, bumped, caught."""
    training = found["training"]
    usual, limit = usual_place(training[np.isfinite(training).all(1)])
    if limit > MOST_LIMIT:
        return f"not measurable (training repeats to {limit:.1f} px)", np.zeros(4, int)
    away = {name: np.linalg.norm(found[name] - usual, axis=1) for name in ("good", "bumped")}
    known = {name: np.isfinite(values) for name, values in away.items()}
    counts = np.array(
        [
            known["good"].sum(),
            (away["good"] > limit).sum(),
            known["bumped"].sum(),
            (away["bumped"] > limit).sum(),
        ]
    )
    blind = sum(int((~values).sum()) for values in known.values())
    most = np.nanmax(away["good"]), np.nanmin(away["bumped"])
    return (
        f"limit {limit:.2f} px; {counts[1]} of {counts[0]} good called bumped (the farthest at "
        f"{most[0]:.2f} px), {counts[3]} of {counts[2]} bumped caught (the nearest at "
        f"{most[1]:.2f} px); {blind} not measurable"
    ), counts


def main() -> None:
    """Measure."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("folder", type=Path)
    asked.add_argument("--sensors", default="infrared,xray,points")
    asked.add_argument("--most", type=int, default=1000, help="captures of a product")
    told = asked.parse_args()
    dataset = Dataset(told.folder / "card.toml", told.folder)
    for sensor in told.sensors.split(","):
        total = np.zeros(4, int)
        for category in dataset.categories:
            text, counts = summary(measure(dataset, category, sensor, told.most))
            total += counts
            print(f"{category:<8} {sensor:<9} {text}", flush=True)
        print(
            f"all      {sensor:<9} false alarms {total[1]} of {total[0]}, "
            f"caught {total[3]} of {total[2]}",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Evidence of every capture of a data set, extracted once and kept, so that thousands are cheap.

Shared by the benchmarks of late fusion. A fit's settings are the product's own defaults.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from mmdefect.captures import Capture
from mmdefect.dataset import Dataset
from mmdefect.fusion.late import Late
from mmdefect.learning import Learning
from mmdefect.settings import Settings


class Kept(NamedTuple):
    """Evidence and scores (part, sensor), with each capture's id and label."""

    sensors: tuple[str, ...]
    captures: np.ndarray
    labels: np.ndarray
    evidence: np.ndarray
    scores: np.ndarray

    def saved(self, path: Path) -> "Kept":
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **{**self._asdict(), "sensors": np.array(self.sensors)})
        partial.replace(path)
        return self

    @classmethod
    def read(cls, path: Path) -> "Kept":
        with np.load(path) as held:
            rows = {name: held[name] for name in cls._fields}
        return cls(**{**rows, "sensors": tuple(rows["sensors"].tolist())})


def learnt(dataset: Dataset, category: str, captures: list[Capture]) -> Late:
    """Late fusion of some good captures, with the features that ``fit`` would choose."""
    features = Learning(dataset, category, Settings()).features
    fusion = Late(sensors=tuple(dataset.sensors(category)), features=features)
    return fusion.fit(dataset.scenes(captures))


def extracted(
    fusion: Late,
    scenes: Iterable[xr.Dataset],
    predict: Callable[[xr.Dataset, int], xr.Dataset] | None = None,
) -> Kept:
    """Score scenes; ``predict`` gets each with its number."""
    rows: list[tuple] = []
    for number, scene in enumerate(scenes):
        told = predict(scene, number) if predict else fusion.predict(scene)
        rows.append(
            (
                scene.attrs["capture"],
                scene.attrs["label"],
                told["evidence"].values,
                told["sensor_score"].values,
            )
        )
    ids, labels, evidence, scores = zip(*rows, strict=True)
    return Kept(
        tuple(fusion.sensors), np.array(ids), np.array(labels), np.array(evidence), np.array(scores)
    )


def kept(path: Path, make: Callable[[], Kept]) -> Kept:
    """What the file holds; made and written first where there is none."""
    return Kept.read(path) if path.exists() else make().saved(path)

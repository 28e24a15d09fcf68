"""Evidence of every capture of a data set, extracted once and kept, so that thousands are cheap.

Shared by the benchmarks of late fusion. Settings are the product's own defaults.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from mmdefect.captures import Capture
from mmdefect.dataset import Dataset
from mmdefect.fusion.late import Late
from mmdefect.inspection import Inspection
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


def joined(pieces: list[Kept]) -> Kept:
    """Several extractions as one."""
    rows = (np.concatenate(column) for column in list(zip(*pieces, strict=True))[1:])
    return Kept(pieces[0].sensors, *rows)


def fitted(dataset: Dataset, fit: list[Capture], calibrate: list[Capture], path: Path) -> Late:
    """Late fusion of some good captures, with the features that ``fit`` would choose."""
    if not path.exists():
        category = fit[0].category
        features = Learning(dataset, category, Settings()).features
        fusion = Late(sensors=tuple(dataset.sensors(category)), features=features)
        Inspection(fusion).fit(dataset.scenes(fit), dataset.scenes(calibrate)).save(path)
    fusion = Inspection.load(path).fusion
    assert isinstance(fusion, Late)
    return fusion


def extracted(
    fusion: Late,
    scenes: Iterable[xr.Dataset],
    predict: Callable[[xr.Dataset, int], xr.Dataset] | None = None,
) -> Kept:
    """Score scenes; ``predict`` gets each with its number."""
    rows: list[tuple] = []
    for number, scene in enumerate(scenes):
        told = predict(scene, number) if predict else fusion.predict(scene)
        head = (scene.attrs["capture"], scene.attrs["label"])
        rows.append((*head, told["evidence"].values, told["sensor_score"].values))
    return Kept(tuple(fusion.sensors), *(np.array(column) for column in zip(*rows, strict=True)))


def kept(path: Path, make: Callable[[], Kept]) -> Kept:
    """What the file holds; made and written first where there is none."""
    return Kept.read(path) if path.exists() else make().saved(path)


def kept_in_pieces(
    folder: Path, captures: list[Capture], make: Callable[[list[Capture]], Kept], size: int = 100
) -> Kept:
    """The same in files of a hundred captures each, so that a run that was stopped goes on."""
    pieces = []
    for start in range(0, len(captures), size):
        some = captures[start : start + size]
        path = folder / f"{start:05d}-{len(some)}.npz"
        pieces.append(kept(path, lambda some=some: make(some)))
    return joined(pieces)

"""What `fusion.py` measures, kept on disk: every detector, and all that it said of every capture.

Fitting banks and searching them is nearly all of the time, and has nothing to do with how their
scores are fused. So a detector's fit and its predictions are kept, and everything after them
(scales, rules, tables) is computed anew in seconds. A run that was killed goes on where it was.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mmdefect.contracts import Detector, Scenes
from mmdefect.prediction import new_prediction
from mmdefect.registry import load

MOST = 60_000  # float16 ends at 65,504


class Kept:
    """A detector of one sensor whose fit and predictions are kept.

    Maps are kept as float16: 11 bits rank pixels well enough, and a test set is 300 MB.
    """

    def __init__(self, made: Detector, maker: Any, sensor: str, folder: Path) -> None:
        self.made, self.maker, self.sensor, self.folder = made, maker, sensor, folder
        self.folds = made.folds
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def extractor(self) -> Any:
        """The detector's features, which the transformer shares."""
        return self.made.extractor  # type: ignore[attr-defined]

    @extractor.setter
    def extractor(self, made: Any) -> None:
        self.made.extractor = made  # type: ignore[attr-defined]

    def fit(self, scenes: Scenes) -> "Kept":
        """Fit, or take what was fitted."""
        tensors, told = self.folder / "state.npz", self.folder / "state.json"
        if told.exists():
            with np.load(tensors) as held:
                state = {name: held[name] for name in held.files}
            self.made = self.maker.from_state(state, json.loads(told.read_text()))
        else:
            arrays, settings = self.made.fit(scenes).state()
            np.savez(tensors, **arrays)
            told.write_text(json.dumps(settings))
        return self

    def predict(self, scene: xr.Dataset, without: int | None = None) -> xr.Dataset:
        """Predict, or say what was said before."""
        path = self.path(scene.attrs["capture"], without)
        if not path.exists():
            said = self.made.predict(scene, without=without)
            score_map = np.clip(said["sensor_map"].values, -MOST, MOST).astype(np.float16)
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, map=score_map, score=said["sensor_score"].values)
            os.replace(partial, path)
        with np.load(path) as held:
            return new_prediction(
                scene, [self.sensor], held["map"].astype(np.float32), held["score"]
            )

    def path(self, capture: str, without: int | None) -> Path:
        """Name the file of what is said of a capture."""
        name = f"{capture} without {without}"
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.npz"

    def state(self) -> Any:
        """Give the detector's state."""
        return self.made.state()


def kept_late(folder: Path, features: Mapping[str, str], seed: int, **options: Any) -> Any:
    """Make a late fusion whose detectors are kept below a folder."""
    late: Any = load("fusion", "late")

    class KeptLate(late):  # type: ignore[misc]
        def _detector(self, sensor: str, sharing: int) -> Any:
            made = super()._detector(sensor, sharing)
            return Kept(made, type(made), sensor, folder / sensor)

    return KeptLate(features=dict(features), seed=seed, **options)


def kept_transformer(folder: Path, features: Mapping[str, str], seed: int) -> Any:
    """Make a transformer over banks that are kept; its training is kept too."""
    transformer: Any = load("fusion", "transformer")

    class KeptTransformer(transformer):  # type: ignore[misc]
        def _late(self, sensors: tuple[str, ...]) -> Any:
            return kept_late(folder, features, seed, sensors=sensors)

    return KeptTransformer(features=dict(features), seed=seed, checkpoint=folder / "training")


class Spill:
    """Evidence maps of all captures, float16, one capture read at a time."""

    def __init__(
        self, path: Path, captures: int, sensors: tuple[str, ...], size: Any = None
    ) -> None:
        self.path, self.sensors = path, sensors
        if size is not None:  # otherwise they are there
            np.lib.format.open_memmap(path, "w+", np.float16, (captures, len(sensors), *size))

    def put(self, number: int, maps: np.ndarray) -> None:
        """Keep one capture's maps (sensor, y, x)."""
        clipped = np.minimum(maps, MOST).astype(np.float16)
        np.load(self.path, mmap_mode="r+")[number] = clipped

    def joined(self, names: tuple[str, ...], truth: np.ndarray, combine: Any) -> "Joined":
        """Combine the maps of some sensors."""
        return Joined(self, names, truth, combine)


class Scored:
    """All evidence of one seed: kept whole once every test part is scored, or not at all.

    It is taken again only where it was said of the same parts by the same scales.
    """

    def __init__(
        self, work: Path, seed: int, sensors: tuple[str, ...], test: list[str], fusion: Any
    ) -> None:
        self.path, self.maps = work / f"scored{seed}.npz", work / f"maps{seed}.npy"
        self.sensors, self.count = sensors, len(test)
        told = {"test": test, "fusion": fusion.state()[1]}
        self.settings = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @property
    def is_there(self) -> bool:
        """Whether it was kept, of the same settings."""
        if not (self.path.exists() and self.maps.exists()):
            return False
        with np.load(self.path) as held:
            return str(held["settings"]) == self.settings

    def keep(self, evidence: np.ndarray) -> None:
        """Keep evidence of parts (capture, sensor), whose maps are there."""
        partial = self.path.with_suffix(".partial.npz")
        np.savez(partial, evidence=evidence, settings=self.settings)
        os.replace(partial, self.path)

    @property
    def evidence(self) -> np.ndarray:
        """Evidence of parts (capture, sensor)."""
        with np.load(self.path) as held:
            rows: np.ndarray = held["evidence"]
        return rows

    @property
    def spill(self) -> Spill:
        """Evidence of pixels."""
        return Spill(self.maps, self.count, self.sensors)


class Joined:
    """Pairs of a combined map and its truth."""

    def __init__(
        self, spill: Spill, names: tuple[str, ...], truth: np.ndarray, combine: Any
    ) -> None:
        self.spill, self.names, self.truth, self.combine = spill, names, truth, combine

    def __len__(self) -> int:
        """Count the captures."""
        return len(self.truth)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go through map (y, x) and truth (y, x)."""
        columns = [self.spill.sensors.index(name) for name in self.names]
        held = np.load(self.spill.path, mmap_mode="r")
        for number, truth in enumerate(self.truth):
            maps = held[number, columns].astype(np.float32)
            labelled = xr.DataArray(maps, {"sensor": list(self.names)}, ("sensor", "y", "x"))
            yield self.combine(labelled).values.astype(np.float32), truth

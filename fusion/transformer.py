"""Cross-modal fusion: what each sensor shows is foretold from the others, and held against it.

* A component of the right look and the wrong height is usual for the camera and usual for the
  scanner; only both together are not. A memory bank of one sensor cannot know that, so a small
  transformer learns on good parts what goes with what.
* A sensor's evidence has two sources then: its memory bank, and how badly it was foretold. Both
  are brought to one scale on held-out good parts and joined, and the joint statistic is brought to
  the scale once more. The network's word on a part weighs a tenth, so that a network that tells
  nothing takes little away. All else is late fusion.
* It works with whatever sensors are there: a missing one is hidden from the others' predictions
  as sensors were in training. Without the network's evidence a sensor keeps its bank's.
* Sensors on a grid of their own share no cell with the others. They have a bank only.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

from mmdefect.contracts import Scenes, Tensors
from mmdefect.errors import MmdefectError, NotFittedError, UnknownNameError
from mmdefect.familiar import check_sensors
from mmdefect.keyed import below, under
from mmdefect.progress import say, track

from . import _together
from ._crossing import Crossing
from ._joint import Joint, Said, combined
from ._left import left
from ._lessons import Schedule
from ._reader import Once, chosen, eyes_of
from ._rules import RULES
from ._surprise import LEAST_PARTS
from .late import Late

__all__ = ["Transformer"]

SOURCES = ("bank", "transformer")
_MOST_PARTS = 1000
_SETTINGS = (
    "detector", "rule", "places", "heavy_tails", "bank_bytes", "folds", "seed", "cells", "dims",
    "width", "layers", "heads", "most_steps",
)  # fmt: skip


class Transformer:
    """Late fusion with a cross-modal transformer as every sensor's second source.

    Parameters
    ----------
    sensors : sequence of str
        The sensors to use; all that the scenes have when empty.
    detector : str
        Name of the detector that every sensor gets.
    features : mapping of str to str, optional
        Spec of the features by sensor; ``builtin`` where not named.
    rule : str
        How sensors are combined; see `mmdefect.fusion._rules`.
    places, heavy_tails, bank_bytes, folds
        As in late fusion.
    seed : int
        The same seed gives the same network.
    sources : sequence of str
        ``bank``, ``transformer`` or both.
    cells : int
        Cells along the longer side.
    dims : int
        Numbers a token at most.
    width, layers, heads : int
        Of the network.
    most_steps : int
        Of training, which ends earlier when held-out parts say so.
    checkpoint : str or Path, optional
        Folder in which training is kept, and from which it goes on after it was interrupted.
    compiled : bool
        Whether training uses ``torch.compile``.
    amp : bool, optional
        Whether training computes in bfloat16; by default where a GPU can.

    Raises
    ------
    UnknownNameError
        When there is no such rule or source.
    """

    def __init__(
        self,
        sensors: tuple[str, ...] = (),
        detector: str = "memory_bank",
        features: Mapping[str, str] | None = None,
        rule: str = "norm",
        places: bool = False,
        heavy_tails: bool = False,
        bank_bytes: int = 512 << 20,
        folds: int = 4,
        seed: int = 0,
        sources: tuple[str, ...] = SOURCES,
        cells: int = 24,
        dims: int = 48,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        most_steps: int = 200,
        checkpoint: str | Path | None = None,
        compiled: bool = False,
        amp: bool | None = None,
    ) -> None:
        if rule not in RULES:
            raise UnknownNameError(f"no fusion rule named {rule!r}; there are: {', '.join(RULES)}")
        unknown = [name for name in sources if name not in SOURCES]
        if unknown or not sources:
            named = repr(unknown[0]) if unknown else "at all"
            raise UnknownNameError(f"no source {named}; there are: {', '.join(SOURCES)}")
        self.sensors, self.detector, self.features = tuple(sensors), detector, dict(features or {})
        self.rule, self.places, self.heavy_tails = rule, places, heavy_tails
        self.bank_bytes, self.folds, self.seed = bank_bytes, folds, seed
        self.sources = tuple(name for name in SOURCES if name in sources)
        self.cells, self.dims = cells, dims
        self.width, self.layers, self.heads = width, layers, heads
        self.most_steps, self.compiled, self.amp = most_steps, compiled, amp
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.late_: Late | None = None
        self.crossing_: Crossing | None = None
        self.joint_: Joint | None = None

    def __repr__(self) -> str:
        """Tell which sensors it weighs, and by which sources."""
        by = " and ".join(self.sources)
        if self.joint_ is None:
            return f"Transformer({', '.join(self.sensors) or 'all sensors'}; {by}, not fitted)"
        return f"Transformer({self.rule} of {', '.join(self.sensors)}; {by}; {self.crossing_!r})"

    def fit(self, scenes: Scenes) -> Self:
        """Fit the banks, train the networks, then learn what their joint evidence looks like.

        Parameters
        ----------
        scenes : Scenes
            Of good parts, eight at least unless the banks are the only source.

        Returns
        -------
        Transformer
            Itself.

        Raises
        ------
        MmdefectError
            When there are too few scenes, or training fails.
        SceneError
            When the scenes lack one of the sensors to use.
        """
        used, crossed = chosen(scenes, self.sensors)
        self._check_trainable(len(scenes), crossed)
        _together.join()
        self.late_ = self._late(used).fit(scenes) if "bank" in self.sources else None
        trains = "transformer" in self.sources and len(crossed) > 1
        self.crossing_ = self._train(crossed, scenes) if trains else None
        self.sensors = used
        step = -(-len(scenes) // _MOST_PARTS)
        self.joint_ = Joint.learn(
            used, self.sources, self._strangers(scenes, step), -(-len(scenes) // step),
            self.seed, self.heavy_tails,
        )  # fmt: skip
        return self

    def predict(self, scene: xr.Dataset, without: int | None = None) -> xr.Dataset:
        """Score a scene.

        Parameters
        ----------
        scene : Dataset
        without : int, optional
            Score as if this fold's parts had never been seen.

        Returns
        -------
        Dataset
            As late fusion's, with ``source_evidence`` (source, sensor) besides. A sensor's own
            scores, ``sensor_map`` and ``sensor_score``, are its bank's, on which no other sensor
            has a bearing; the network's where there are no banks.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        SceneError
            When the scene has not the sensors that were learnt.
        """
        return self._known(scene).prediction(scene, self._said(scene, without), self.rule)

    def evidence_left(
        self, scene: xr.Dataset, prediction: xr.Dataset
    ) -> dict[tuple[str, ...], np.ndarray]:
        """Give evidence as `predict` would if only some of the scene's sensors were there.

        Parameters
        ----------
        scene : Dataset
        prediction : Dataset
            What ``predict`` said of it.

        Returns
        -------
        dict of tuple of str to float64 array (sensor,)
            By the sensors that are there, NaN for the others: every smaller set where four sensors
            at most are registered and six are there in all, else those that lack one. Empty without
            a network.
        """
        if self.crossing_ is None:
            return {}
        crossed = self.crossing_.parts_left(scene)
        said = prediction["source_evidence"].values
        return left(self._known(scene), self.crossing_.reader.sensors, crossed, said)

    def combine(self, evidence: xr.DataArray) -> xr.DataArray:
        """Combine evidence over sensors.

        Parameters
        ----------
        evidence : DataArray (sensor, …)
            NaN contributes nothing.

        Returns
        -------
        DataArray (…)
            NaN where no sensor has evidence.
        """
        return combined(evidence, self.rule, self.joint_)

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give the banks', the networks' and the scales' states.

        Returns
        -------
        dict of str to array
            Keys ``bank/…`` and ``crossing/…``.
        dict
            Of what JSON can hold.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        learnt: dict[str, Any] = {"joint": self._known().state()}
        tensors: Tensors = {}
        for key, source in (("bank", self.late_), ("crossing", self.crossing_)):
            if source is not None:
                held, learnt[key] = source.state()
                tensors |= under(key, held)
        settings = {name: getattr(self, name) for name in _SETTINGS}
        settings |= {"sensors": list(self.sensors), "sources": list(self.sources)}
        return tensors, {**settings, "features": self.features, "learnt": learnt}

    @classmethod
    def from_state(cls, tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Self:
        """Make the fusion that gave this state."""
        learnt = settings["learnt"]
        fusion = cls(**{name: value for name, value in settings.items() if name != "learnt"})
        if "bank" in learnt:
            fusion.late_ = Late.from_state(below(tensors, "bank"), learnt["bank"])
        if "crossing" in learnt:
            told = learnt["crossing"]
            eyes = fusion._eyes(told["reader"]["sensors"])
            fusion.crossing_ = Crossing.from_state(below(tensors, "crossing"), told, eyes)
        fusion.joint_ = Joint.from_state(learnt["joint"])
        return fusion

    def _known(self, scene: xr.Dataset | None = None) -> Joint:
        """Give what was learnt, if there is something, and of the scene's sensors."""
        if self.joint_ is None:
            raise NotFittedError("the fusion knows no part; fit it first")
        if scene is not None:
            check_sensors(scene, self.sensors)
        return self.joint_

    def _check_trainable(self, parts: int, crossed: Sequence[str]) -> None:
        """Refuse to train on too few parts or sensors; without need of it, train nothing."""
        if "transformer" not in self.sources:
            return
        if len(crossed) > 1 and parts < LEAST_PARTS:
            raise MmdefectError(
                f"{parts} good part{'s' if parts > 1 else ''} to learn from; the transformer "
                f"takes {LEAST_PARTS} at least: take more, or the fusion 'late'"
            )
        if len(crossed) < 2:
            told = f"{len(crossed)} of the sensors on the reference's grid, two at least"
            if "bank" not in self.sources:
                raise MmdefectError(f"{told} were promised; the transformer alone cannot judge it")
            say(f"{told} make a transformer: the memory banks judge alone")

    def _late(self, sensors: tuple[str, ...]) -> Late:
        """Make the late fusion that holds the banks."""
        return Late(
            sensors, self.detector, self.features, self.rule, self.places, self.heavy_tails,
            self.bank_bytes, self.folds, self.seed,
        )  # fmt: skip

    def _eyes(self, sensors: Sequence[str], scenes: Scenes | None = None) -> dict[str, Once]:
        """Give sensors' extractors: those of the banks, which then remember, or new ones."""
        if self.late_ is None:
            return eyes_of({name: self.features.get(name, "builtin") for name in sensors}, scenes)
        eyes: dict[str, Once] = {}
        for name in sensors:
            detector: Any = self.late_.detectors_[name]
            eyes[name] = detector.extractor = Once(detector.extractor)
        return eyes

    def _train(self, sensors: Sequence[str], scenes: Scenes) -> Crossing:
        """Train the cross-modal source."""
        schedule = Schedule(
            most_steps=self.most_steps, seed=self.seed, compiled=self.compiled, amp=self.amp
        )
        return Crossing.fit(
            self._eyes(sensors, scenes), scenes, self.folds, self.cells, self.dims,
            (self.width, self.layers, self.heads), schedule, self.heavy_tails, self.checkpoint,
        )  # fmt: skip

    def _strangers(self, scenes: Scenes, step: int) -> Iterator[tuple[xr.Dataset, Said, int]]:
        """Score good parts as if they had not been learnt from."""
        for index, scene in enumerate(track(scenes, len(scenes), "scoring held-out good parts")):
            if index % step == 0:
                yield scene, self._said(scene, index % self.folds), index % self.folds

    def _said(self, scene: xr.Dataset, without: int | None) -> Said:
        """Ask the sources."""
        own: list[np.ndarray] = []
        shape = (len(self.sources), len(self.sensors))
        parts, seconds = np.full(shape, np.nan), np.zeros(len(self.sensors))
        maps = np.full((*shape, scene.sizes["y"], scene.sizes["x"]), np.nan, dtype=np.float32)
        with ExitStack() as stack:
            for eye in self.crossing_.reader.extractors.values() if self.crossing_ else ():
                stack.enter_context(eye.remembering())
            if self.late_ is not None:
                *own, parts[0], maps[0], spent = self.late_.scores_and_evidence(scene, without)
                seconds += spent
            if self.crossing_ is not None:
                started = time.perf_counter()
                for name, said in self.crossing_.told(scene, without).items():
                    index = self.sensors.index(name)
                    parts[-1, index], maps[-1, index] = said.part, said.pixels
                seconds += (time.perf_counter() - started) / len(seconds)
        return Said(parts, maps, seconds, (own[0], own[1]) if own else None)

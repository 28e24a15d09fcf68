"""Every place where the house can grow, on one page.

Protocols instead of base classes: a plug-in need not import us to fit, and what a protocol
promises is held by ``tests/test_contracts.py`` for every name the registry lists. Every maker can
be called without arguments.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.evidence import Match

Tensors = dict[str, np.ndarray]


class Scenes(Protocol):
    """Scenes that can be gone through more than once, read from disk each time."""

    def __iter__(self) -> Iterator[xr.Dataset]:
        """Go through the scenes, in the same order every time."""
        ...

    def __len__(self) -> int:
        """Count the scenes."""
        ...


class SensorAdapter(Protocol):
    """Reads one kind of file into a frame, in its unit, NaN where the sensor was blind.

    An adapter some of whose options are files (a flat field, a mask of bad pixels) names those
    options in a class attribute ``files``: paths below the data set's folder are handed to it
    resolved, and their content becomes part of the manifest. One whose frames are to be held
    against the part's shape, which needs the rig, says how in an attribute ``shape``
    (``mmdefect.radiography.shape.ShapeOptions`` or None).
    """

    modality: str
    suffixes: tuple[str, ...]

    @property
    def unit_read(self) -> str:
        """The unit of the frames that ``read`` gives."""
        ...

    def read(self, path: Path) -> xr.DataArray:
        """Read a file into a frame (…, y, x), float32; raise SensorError when it is not one."""
        ...


class FeatureExtractor(Protocol):
    """Turns a measurement into patch features.

    One whose steps are too short to be shared out over threads says so by a class attribute
    ``in_short_steps = True``: sensors that have such extractors are then looked at side by side.
    """

    @property
    def name(self) -> str:
        """The spec in full, with everything that shapes the features."""
        ...

    def adapt(self, frames: Sequence[xr.DataArray]) -> None:
        """Look at some frames of good parts once, before the first features are asked for."""
        ...

    def features(self, frame: xr.DataArray) -> xr.DataArray:
        """Describe patches.

        From a measurement (…, y, x) with attrs ``modality`` and ``units``, NaN where blind, to
        (feature, y, x), float32, whose y and x are the patches' centres in SCENE pixels. NaN in
        every feature of a patch that is mostly blind. An extractor that describes some
        modalities only raises FeatureError for the others, as does ``adapt``.
        """
        ...


class Detector(Protocol):
    """Learns good parts, scores others; higher is worse.

    A detector is cross-fitted: training scene ``i`` belongs to fold ``i % folds``, and
    ``predict(scene, without=k)`` scores as if the scenes of fold ``k`` had never been seen.
    That is how scores are brought to one scale on held-out good parts without a second fit.
    """

    folds: int

    def fit(self, scenes: Scenes) -> Self:
        """Learn from scenes of good parts; give itself back."""
        ...

    def predict(self, scene: xr.Dataset, without: int | None = None) -> xr.Dataset:
        """Score a scene: a Prediction with ``sensor_map`` and ``sensor_score`` at least."""
        ...

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give what was learnt: arrays, and settings that JSON can hold.

        Specs of features stand under the key ``features``, as a text or by sensor, so that a
        model can carry their weights.
        """
        ...

    @classmethod
    def from_state(cls, tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Self:
        """Make a fitted detector from what ``state`` gave."""
        ...


class Fusion(Detector, Protocol):
    """A detector of several sensors, whose evidences are on one scale.

    ``sensors`` names them, once it is fitted.
    """

    sensors: tuple[str, ...]

    def combine(self, evidence: xr.DataArray) -> xr.DataArray:
        """Combine evidence (sensor, …) over ``sensor``; NaN contributes nothing."""
        ...


@runtime_checkable
class Updatable(Protocol):
    """A detector, or a fusion, that takes further good parts in after it was fitted.

    No score rises by it: of no scene, no pixel, no sensor. So what calibration parts scored
    before stays an upper bound of what they would score now, and the false-alarm rate holds
    without scoring them again.
    """

    def add(self, scenes: Scenes) -> int:
        """Learn from scenes of further good parts; give how many patches were taken in."""
        ...


@runtime_checkable
class Conditional(Protocol):
    """A fusion whose word on a sensor depends on which other sensors are there.

    Calibration parts had them all; how they would be judged without some has to be asked.
    """

    def evidence_left(
        self, scene: xr.Dataset, prediction: xr.Dataset
    ) -> dict[tuple[str, ...], NDArray[np.float64]]:
        """Give evidence (sensor,) as `predict` would if only some sensors were there, by these."""
        ...


@runtime_checkable
class Weighable(Protocol):
    """A fusion that labelled defective parts can tell what every sensor's word is worth."""

    def learn_weights(self, defective: Scenes) -> object:
        """Learn after ``fit``, before the calibration; give what came of it, whose text says so.

        What was learnt is used only where held-out parts showed that it is better.
        """
        ...


@runtime_checkable
class Mergeable(Protocol):
    """A detector that can be joined with one of the same settings that learnt other parts."""

    def merge(self, other: Self) -> Self:
        """Give what fitting on both sets of parts would give; neither of the two changes."""
        ...


class Memory(Protocol):
    """A scene's patches of one sensor, each beside the good one it is nearest to."""

    def match(self, pixels: np.ndarray, count: int) -> Match | None:
        """Hold the strangest patch under pixels (y, x), bool, beside the nearest good parts'."""
        ...

    def replaced(self, pixels: np.ndarray) -> tuple[xr.Dataset, int]:
        """Predict with the patches under pixels (y, x) as their nearest good ones; count them."""
        ...

    def by_group(self) -> xr.DataArray:
        """Split the detector's map into groups of features (group, y, x), which sum to it."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A detector that can say which good patches a patch is nearest to."""

    def recall(self, scene: xr.Dataset) -> Memory:
        """Hold a scene's patches beside good ones."""
        ...


@runtime_checkable
class Divided(Protocol):
    """A fusion of detectors, one a sensor, that can be asked what if one said otherwise."""

    detectors_: Mapping[str, Detector]

    def replaced(
        self, prediction: xr.Dataset, own: Mapping[str, xr.Dataset], scene: xr.Dataset
    ) -> xr.Dataset:
        """Give a prediction as if the detectors of some sensors had predicted ``own``."""
        ...


class Explainer(Protocol):
    """Says what a score came from.

    ``explains`` names what the shares sum to, less the baseline: ``anomaly_map`` over ``sensor``,
    pixel by pixel, and ``image_score`` over ``sensor``; ``sensor_map`` over a sensor's channels;
    ``patch_score`` over a sensor's pixels. Empty where a method promises no sum. A method that
    can explain no sensor of a scene raises MmdefectError.
    """

    explains: tuple[str, ...]

    def attribute(self, fusion: Fusion, prediction: xr.Dataset, scene: xr.Dataset) -> xr.Dataset:
        """Share a prediction out.

        Gives ``attribution_map`` (sensor, y, x), NaN for a sensor that the method cannot explain,
        and ``attribution`` (sensor), in the unit of what it explains.
        """
        ...

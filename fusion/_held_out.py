"""What one sensor's detector says of good parts it had not seen: all that its scales rest on.

Positions are learnt from these parts too. So that their scores are still those of strangers, each
fold's are held against positions that the other folds taught.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.contracts import Detector, Scenes
from mmdefect.errors import SceneError
from mmdefect.progress import track
from mmdefect.scene import apart_of

from ._beside import answers_of
from ._positions import Plane, Positions, coarse
from ._rules import correlation_of
from ._scales import Scale

_PART_TAIL = 0.2
_PIXEL_TAIL = 0.01
_PIXELS = 2_000_000
_PIXELS_A_SCENE = 2000
_COMMON = 500
_MOST_PARTS = 1000


class Learnt(NamedTuple):
    """What a sensor's held-out good parts taught.

    Attributes
    ----------
    positions : Positions
    parts : float64 array (part,)
        Scores of parts, NaN where one lacked the sensor.
    pixels : float64 array (pixel,)
        Scores of pixels drawn at random, as many of each part.
    common : float64 array (pixel,)
        Scores of the same pixels for every sensor; NaN where this one was blind.
    """

    positions: Positions
    parts: NDArray[np.float64]
    pixels: NDArray[np.float64]
    common: NDArray[np.float64]


class HeldOut:
    """Collects one sensor's held-out good parts.

    Parameters
    ----------
    parts : int
        How many there will be: bounds the pixels kept of each.
    rng : Generator
        Draws the pixels.
    seed : int
        Draws those that are the same for all sensors.
    """

    def __init__(self, parts: int, rng: np.random.Generator, seed: int) -> None:
        self.share = max(1, min(_PIXELS_A_SCENE, _PIXELS // parts))
        self.rng, self.same = rng, np.random.default_rng([seed, 1])
        self.shape = (0, 0)
        self.folds: list[int] = []
        self.scores: list[float] = []
        self.maps: list[Plane] = []
        self.counted: list[Plane] = []
        self.places: list[NDArray[np.int64]] = []
        self.pixels: list[NDArray[np.float32]] = []

    def add(self, prediction: xr.Dataset, apart: NDArray[np.bool_], fold: int) -> None:
        """Take a part in.

        Parameters
        ----------
        prediction : Dataset
            Of the one sensor's detector.
        apart : bool array (y, x)
            Pixels that do not count in the part's score.
        fold : int
        """
        score = float(prediction["sensor_score"].item())
        self.take(prediction["sensor_map"].values[0], score, apart, fold)

    def take(
        self, pixels: NDArray[np.float32], score: float, apart: NDArray[np.bool_], fold: int
    ) -> None:
        """Take a part's map (y, x) and score in, as `add` does."""
        self.shape = pixels.shape
        self.folds.append(fold)
        self.scores.append(score)
        self.maps.append(coarse(pixels))
        here = np.where(apart, np.nan, pixels) if apart.any() else pixels
        self.counted.append(coarse(here) if apart.any() else self.maps[-1])
        known = np.flatnonzero(np.isfinite(pixels))
        drawn = known[self.rng.integers(known.size, size=self.share)] if known.size else known
        drawn = np.concatenate([self.same.integers(pixels.size, size=_COMMON), drawn])
        self.places.append(drawn)
        self.pixels.append(pixels.ravel()[drawn])

    @property
    def knows_nothing(self) -> bool:
        """Whether no part has a score."""
        return bool(np.isnan(self.scores).all())

    def learnt(self, places: bool) -> Learnt:
        """Learn positions, where places may differ, and give the scores that scales rest on.

        Raises
        ------
        SceneError
            When places are asked for and the parts' maps differ in size: no place is the same.
        """
        sizes = sorted({plane.shape for plane in self.maps}) if places else []
        if len(sizes) > 1:
            raise SceneError(
                f"maps of {len(sizes)} sizes were found, {sizes[0]} and {sizes[-1]} cells among "
                "them, but places are learnt of one; bring all scenes onto one grid"
            )
        positions = Positions.learn(self.maps, self.folds) if places else Positions.flat()
        parts = np.array(self.scores)
        pixels = [row.astype(np.float64) for row in self.pixels]
        if not positions.is_flat:
            for fold in sorted(set(self.folds)):
                self._rescore(fold, parts, pixels)
        common = np.concatenate([row[:_COMMON] for row in pixels])
        return Learnt(positions, parts, np.concatenate([row[_COMMON:] for row in pixels]), common)

    def without(self, fold: int) -> Positions:
        """Learn positions from the parts of all other folds."""
        return Positions.anyway(
            [row for row, own in zip(self.maps, self.folds, strict=True) if own != fold]
        )

    def _rescore(
        self, fold: int, parts: NDArray[np.float64], pixels: list[NDArray[np.float64]]
    ) -> None:
        """Hold a fold's parts against what the others taught."""
        positions = self.without(fold)
        for index in np.flatnonzero(np.array(self.folds) == fold):
            parts[index] = positions.part(self.counted[index])
            whole = np.zeros(self.shape, dtype=np.float32).ravel()
            whole[self.places[index]] = self.pixels[index]
            pixels[index] = (
                positions.relative(whole.reshape(self.shape))
                .ravel()[self.places[index]]
                .astype(np.float64)
            )


def held_out(
    detectors: Mapping[str, Detector], scenes: Scenes, folds: int, seed: int
) -> dict[str, HeldOut]:
    """Score training parts as strangers, at most a thousand of them, evenly spread.

    Parameters
    ----------
    detectors : mapping of str to Detector
        Fitted, by sensor.
    scenes : Scenes
        What they were fitted on.
    folds : int
        Folds of their cross-fit.
    seed : int

    Returns
    -------
    dict of str to HeldOut
        By sensor. Where all parts that had a sensor lie in one fold there is no stranger's score;
        they are then scored as known ones. The scale is too strict there, for which the
        verdict's own calibration makes up.
    """
    step = -(-len(scenes) // _MOST_PARTS)
    rng, count = np.random.default_rng(seed), -(-len(scenes) // step)
    held = {name: HeldOut(count, rng, seed) for name in detectors}
    for index, scene in enumerate(track(scenes, len(scenes), "scoring held-out good parts")):
        if index % step:
            continue
        fold = index % folds
        told = answers_of(detectors, partial(_stranger, detectors, scene, fold))
        for name, own in told.items():
            held[name].add(own, apart_of(scene, name), fold)
    for name in [name for name, parts in held.items() if parts.knows_nothing]:
        held[name] = HeldOut(len(scenes), np.random.default_rng(seed), seed)
        for scene in scenes:
            held[name].add(detectors[name].predict(scene), apart_of(scene, name), 0)
    return held


def _stranger(
    detectors: Mapping[str, Detector], scene: xr.Dataset, fold: int, name: str
) -> xr.Dataset:
    """Score a part as if its fold had never been seen."""
    return detectors[name].predict(scene, without=fold)


class Scales(NamedTuple):
    """What brings the sensors' scores to evidence.

    Attributes
    ----------
    parts, pixels : dict of str to Scale
        By sensor.
    correlation : dict of str to float64 array (sensor, sensor)
        Of ``parts`` and of ``pixels``.
    """

    parts: dict[str, Scale]
    pixels: dict[str, Scale]
    correlation: dict[str, NDArray[np.float64]]


def scales_of(learnt: Mapping[str, Learnt], heavy: bool) -> Scales:
    """Fit scales and correlations to held-out scores of good parts.

    Parameters
    ----------
    learnt : mapping of str to Learnt
        By sensor.
    heavy : bool
        Whether tails may be heavier than exponential ones.

    Returns
    -------
    Scales
    """
    parts = {name: Scale(_PART_TAIL, heavy).fit(told.parts) for name, told in learnt.items()}
    pixels = {name: Scale(_PIXEL_TAIL, heavy).fit(told.pixels) for name, told in learnt.items()}
    of_parts = [parts[name].evidence(told.parts) for name, told in learnt.items()]
    of_pixels = [pixels[name].evidence(told.common) for name, told in learnt.items()]
    together = {
        "parts": correlation_of(np.stack(of_parts, axis=1)),
        "pixels": correlation_of(np.stack(of_pixels, axis=1)),
    }
    return Scales(parts, pixels, together)

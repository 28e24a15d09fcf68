"""Several sources of one sensor's evidence, joined and brought to the scale once more.

* **Parts.** Most defects are strange to a sensor's own bank, few only to what the other sensors
  foretell. So the network's word weighs a tenth: the joint p-value is a weighted Bonferroni floor
  [1]_, the larger evidence of the bank's and of the network's less ln 10. Where the network is sure
  it decides; where it only scatters, as the worst of hundreds of cells does, it changes little.
* **Pixels.** Neither source is the worst of many there, and both are often raised at a defect: the
  Euclidean norm.
* Neither of these is evidence: on good parts both are larger. What good parts that no source had
  seen score jointly says what they are worth.
* Where only one source has something to say, its own evidence stands.

References
----------
.. [1] Genovese, Roeder, Wasserman: False discovery control with p-value weighting, Biometrika 93,
   2006.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.jit import compiled
from mmdefect.scene import apart_of

from ._held_out import HeldOut, scales_of
from ._rules import RULES, labelled
from ._scales import Scale
from ._weighing import told

Weighed = tuple[NDArray[np.float64], NDArray[np.float32]]

DOUBTS = {"bank": 0.0, "transformer": float(np.log(10))}
"""By how many nats a source's evidence of a part counts less beside another's."""


class Said(NamedTuple):
    """What the sources say of a scene.

    Attributes
    ----------
    parts : float64 array (source, sensor)
        Evidence of the part; NaN where a source has none.
    maps : float32 array (source, sensor, y, x)
        Evidence of pixels.
    seconds : float64 array (sensor,)
    own : (float64 array (sensor,), float32 array (sensor, y, x)), optional
        What the sensors' own detectors score, on which no other sensor has a bearing.
    """

    parts: NDArray[np.float64]
    maps: NDArray[np.float32]
    seconds: NDArray[np.float64]
    own: Weighed | None = None


class Joint:
    """What joins the sources of every sensor, and then the sensors.

    Parameters
    ----------
    sensors : sequence of str
    sources : sequence of str
    parts, pixels : mapping of str to Scale
        Of the joint statistic, by sensor.
    correlation : mapping of str to float64 array (sensor, sensor)
        Of ``parts`` and of ``pixels``.
    doubts : mapping of str to float
        By how many nats each source's evidence of a part counted less beside another's.
    """

    def __init__(
        self,
        sensors: Sequence[str],
        sources: Sequence[str],
        parts: Mapping[str, Scale],
        pixels: Mapping[str, Scale],
        correlation: Mapping[str, NDArray[np.float64]],
        doubts: Mapping[str, float],
    ) -> None:
        self.sensors, self.sources = list(sensors), list(sources)
        self.doubts = {name: float(doubts[name]) for name in sources}
        self.parts, self.pixels = dict(parts), dict(pixels)
        self.correlation = dict(correlation)

    @classmethod
    def learn(
        cls,
        sensors: Sequence[str],
        sources: Sequence[str],
        scored: Iterable[tuple[xr.Dataset, Said, int]],
        count: int,
        seed: int,
        heavy: bool,
    ) -> Self:
        """Learn from what the sources say of good parts they had not seen.

        Parameters
        ----------
        sensors, sources : sequence of str
        scored : iterable of (Dataset, Said, int)
            Scene, what was said of it as of a stranger, and its fold.
        count : int
            How many there will be.
        seed : int
        heavy : bool
            Whether tails may be heavier than exponential ones.

        Returns
        -------
        Joint
        """
        rng, doubts = np.random.default_rng(seed), [DOUBTS[name] for name in sources]
        held = {name: HeldOut(count, rng, seed) for name in sensors}
        for scene, said, fold in scored:
            (scores, _), (pixels, _) = _floor(said.parts, doubts), _norm(said.maps)
            for name, score, own in zip(sensors, scores, pixels, strict=True):
                held[name].take(own, float(score), apart_of(scene, name), fold)
        scales = scales_of({name: parts.learnt(False) for name, parts in held.items()}, heavy)
        return cls(sensors, sources, scales.parts, scales.pixels, scales.correlation, DOUBTS)

    def parts_weighed(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Join what the sources say of a part, and bring it to the scale.

        Parameters
        ----------
        parts : float64 array (source, sensor)
            Evidence; NaN where a source has none.

        Returns
        -------
        float64 array (sensor,)
            Evidence. Where only one source had its say, that source's own.
        """
        return self._weighed(*_floor(parts, list(self.doubts.values())), self.parts)

    def _weighed(
        self, joint: NDArray[Any], several: NDArray[np.bool_], scales: Mapping[str, Scale]
    ) -> NDArray[Any]:
        """Bring a joint statistic (sensor, …) to the scale, where several sources had their say."""
        evidence = joint.copy()
        for index, name in enumerate(self.sensors if len(self.sources) > 1 else ()):
            own = evidence[index, ...]
            np.copyto(own, scales[name].evidence(own), where=several[index])
        return evidence

    def prediction(self, scene: xr.Dataset, said: Said, rule: str) -> xr.Dataset:
        """Make the prediction of what the sources say.

        Parameters
        ----------
        scene : Dataset
        said : Said
        rule : str
            Combines the sensors.

        Returns
        -------
        Dataset
        """
        scores, several = _floor(said.parts, list(self.doubts.values()))
        pixels, twice = _norm(said.maps)
        own = said.own or (scores, pixels)
        weight = (
            self._weighed(scores, several, self.parts),
            self._weighed(pixels, twice, self.pixels),
        )
        more: dict[str, Any] = {
            "source_evidence": (("source", "sensor"), said.parts),
            "source": (("source",), np.array(self.sources)),
        }
        return told(
            scene, self.sensors, own, weight, said.seconds,
            lambda evidence: combined(evidence, rule, self), more,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Give what was learnt, for JSON."""
        return {
            "sensors": self.sensors,
            "sources": self.sources,
            "doubts": self.doubts,
            "parts": {name: scale.state() for name, scale in self.parts.items()},
            "pixels": {name: scale.state() for name, scale in self.pixels.items()},
            "correlation": {kind: matrix.tolist() for kind, matrix in self.correlation.items()},
        }

    @classmethod
    def from_state(cls, told: Mapping[str, Any]) -> Self:
        """Make what gave this state."""
        parts, pixels = (
            {name: Scale.from_state(held) for name, held in told[kind].items()}
            for kind in ("parts", "pixels")
        )
        together = {kind: np.array(rows) for kind, rows in told["correlation"].items()}
        return cls(told["sensors"], told["sources"], parts, pixels, together, told["doubts"])


def combined(evidence: xr.DataArray, rule: str, joint: Joint | None) -> xr.DataArray:
    """Combine evidence over sensors.

    Parameters
    ----------
    evidence : DataArray (sensor, …)
        NaN contributes nothing.
    rule : str
    joint : Joint or None
        Knows how the sensors go together; without one they are taken for independent.

    Returns
    -------
    DataArray (…)
        NaN where no sensor has evidence.
    """
    if evidence.sizes["sensor"] == 0:
        return xr.full_like(evidence.sum("sensor"), np.nan)
    names = joint.sensors if joint else evidence["sensor"].values.tolist()
    held = joint.correlation["pixels" if "y" in evidence.dims else "parts"] if joint else None
    return RULES[rule](evidence, labelled(held, names))


def _floor(
    evidence: NDArray[np.float64], doubts: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Join sources (source, sensor): the largest less its doubt, and where all are there."""
    there = np.isfinite(evidence)
    less = np.where(there.sum(0) > 1, np.array(doubts)[:, None], 0.0)
    joint = np.max(evidence - less, axis=0, initial=-np.inf, where=there)
    joint[~there.any(0)] = np.nan
    return joint, np.all(there, axis=0)


def _norm(evidence: NDArray[np.floating]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Join sources (source, …): the Euclidean norm of those that are there, and where all are."""
    flat = np.ascontiguousarray(evidence).reshape(len(evidence), -1)
    joint, whole = np.empty(flat.shape[1], flat.dtype), np.empty(flat.shape[1], np.bool_)
    _norms(flat, joint, whole)
    return joint.reshape(evidence.shape[1:]), whole.reshape(evidence.shape[1:])


@compiled
def _norms(
    evidence: NDArray[np.floating], joint: NDArray[np.floating], whole: NDArray[np.bool_]
) -> None:
    """Join sources (source, place); NaN where none is there."""
    zero = evidence.dtype.type(0)
    for place in range(len(joint)):
        squares, there = zero, 0
        for source in range(len(evidence)):
            own = evidence[source, place]
            if np.isfinite(own):
                squares, there = squares + own * own, there + 1
        joint[place] = np.sqrt(squares) if there else np.nan
        whole[place] = there == len(evidence)

"""Late fusion: one detector per sensor, their scores on one scale, combined at the end.

* The scale of each sensor is fitted on good parts its detector had not seen: the detector is
  cross-fitted, so every training part serves. So is what good parts score at each place, by which
  a score counts, and how the sensors' evidences go together.
* Pixels are combined among the sensors of the reference's grid only. Parts are combined over all
  sensors: a score of a part needs no pixel in common.
* A sensor that is absent, or blind at a pixel, contributes nothing there.
"""

import time
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import xarray as xr

from mmdefect.contracts import Detector, Scenes, Tensors, Updatable
from mmdefect.errors import MmdefectError, NotFittedError, UnknownNameError
from mmdefect.familiar import check_sensors
from mmdefect.registry import load
from mmdefect.scene import apart_of

from ._beside import answers_of
from ._held_out import held_out, scales_of
from ._kept import detectors_of, packed, packed_positions, positions_of
from ._reader import chosen
from ._rules import RULES, labelled
from ._scales import Scale
from ._weighing import joined, told, weighed
from ._weights import Weights, weights_of

__all__ = ["Late"]

_SETTINGS = ("detector", "features", "rule", "places", "heavy_tails", "bank_bytes", "folds", "seed")


class Late:
    """Calibrated late fusion.

    Parameters
    ----------
    sensors : sequence of str
        The sensors to use; all that the scenes have when empty.
    detector : str
        Name of the detector that every sensor gets.
    features : mapping of str to str, optional
        Spec of the features by sensor; ``builtin`` where not named.
    rule : str
        ``norm``, or another of `mmdefect.fusion._rules`: ``bonferroni``, ``fisher``,
        ``harmonic``, ``max``, ``mean``, ``stouffer``.
    places : bool
        Hold every score against what good parts score at the same place, where that describes
        held-out good parts better.
    heavy_tails : bool
        Let evidence beyond all good scores grow more slowly where their tail is a heavy one.
    bank_bytes : int
        Bytes for all sensors' detectors together while fitting.
    folds : int
        Folds of the cross-fit.
    seed : int

    Attributes
    ----------
    weights_ : Weights or None
        What `learn_weights` found; in the rule's place for parts where `Weights.better`.

    Raises
    ------
    UnknownNameError
        When there is no such rule.
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
    ) -> None:
        if rule not in RULES:
            raise UnknownNameError(f"no fusion rule named {rule!r}; there are: {', '.join(RULES)}")
        self.sensors = tuple(sensors)
        self.detector = detector
        self.features = dict(features or {})
        self.rule = rule
        self.places = places
        self.heavy_tails = heavy_tails
        self.bank_bytes = bank_bytes
        self.folds = folds
        self.seed = seed
        self.weights_: Weights | None = None
        self.good_evidence_: np.ndarray | None = None

    def __repr__(self) -> str:
        """Tell which sensors it weighs, and how."""
        held = getattr(self, "detectors_", None)
        if held is None:
            return f"Late({', '.join(self.sensors) or 'all sensors'}; {self.rule}, not fitted)"
        rule = "learnt weights" if self._weighs else self.rule
        return f"Late({rule} of {', '.join(map(repr, held.values()))})"

    def fit(self, scenes: Scenes) -> Self:
        """Fit every sensor's detector, then every sensor's scales on held-out good parts.

        Parameters
        ----------
        scenes : Scenes
            Of good parts.

        Returns
        -------
        Late
            Itself.

        Raises
        ------
        MmdefectError
            When there is no scene.
        SceneError
            When the scenes lack one of the sensors to use.
        """
        used, _ = chosen(scenes, self.sensors)
        self.detectors_: dict[str, Detector] = {
            name: self._detector(name, len(used)).fit(scenes) for name in used
        }
        self.sensors = used
        self._fit_scales(scenes)
        return self

    def learn_weights(self, defective: Scenes) -> Weights:
        """Learn from labelled defective parts what every sensor's word is worth.

        After `fit`, before anything is calibrated: where they are better, they replace the rule.

        Parameters
        ----------
        defective : Scenes
            None that will be tested.

        Returns
        -------
        Weights
            Not used where they are not ``better``; its text says which.

        Raises
        ------
        MmdefectError
            Before ``fit``, and for a fusion from a model: what good parts scored is not kept.
        """
        self._check_fitted()
        self.weights_ = None
        found = [self.predict(scene)["evidence"].values for scene in defective]
        self.weights_ = weights_of(
            self.sensors, self.good_evidence_, np.array(found), RULES[self.rule], self.seed
        )
        return self.weights_

    def add(self, scenes: Scenes) -> int:
        """Let every sensor's detector take further good parts in; the scales stay.

        Parameters
        ----------
        scenes : Scenes

        Returns
        -------
        int
            How many patches were taken in.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        MmdefectError
            When the detectors cannot be updated.
        """
        self._check_fitted()
        detectors = list(self.detectors_.values())
        taken = [made.add(scenes) for made in detectors if isinstance(made, Updatable)]
        if len(taken) < len(detectors):
            raise MmdefectError(
                f"the detector {self.detector!r} cannot take parts in after it was fitted; fit anew"
            )
        return sum(taken)

    def predict(self, scene: xr.Dataset, without: int | None = None) -> xr.Dataset:
        """Score a scene.

        Parameters
        ----------
        scene : Dataset
        without : int, optional
            Score as if this fold's parts had never been seen by the detectors.

        Returns
        -------
        Dataset
            ``sensor_map``, ``evidence_map`` (sensor, y, x); ``sensor_score``, ``evidence``,
            ``seconds`` (sensor); ``anomaly_map`` (y, x) over the registered sensors;
            ``image_score`` () over all. A sensor's own scores are the detector's, or, where good
            parts taught what is usual at each place, how far they are above that, in spreads of
            good parts there.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        SceneError
            When the scene lacks a sensor that was learnt.
        """
        scores, maps, seconds = self._scored(scene, without)
        weight = self._weighed(scores, maps)
        return told(scene, self.sensors, (scores, maps), weight, seconds, self.combine)

    def scores_and_evidence(self, scene: xr.Dataset, without: int | None) -> tuple[np.ndarray, ...]:
        """Give scores and evidence, of part (sensor,) and pixels (sensor, y, x) each; seconds."""
        scores, maps, seconds = self._scored(scene, without)
        return scores, maps, *self._weighed(scores, maps), seconds

    def replaced(
        self, prediction: xr.Dataset, own: Mapping[str, xr.Dataset], scene: xr.Dataset
    ) -> xr.Dataset:
        """Predict a scene as if the detectors of some sensors had said ``own``."""
        changed = prediction.copy(deep=True)
        for name, said in own.items():
            pixels, score = self.positions_[name].rescored(said, apart_of(scene, name))
            changed["sensor_map"].loc[{"sensor": name}] = pixels
            changed["sensor_score"].loc[{"sensor": name}] = score
        weight = self._weighed(changed["sensor_score"].values, changed["sensor_map"].values)
        changed["evidence"].values[:], changed["evidence_map"].values[:] = weight
        return joined(changed, self.combine)

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
        if evidence.sizes["sensor"] == 0:
            return xr.full_like(evidence.sum("sensor"), np.nan)
        if self._weighs is not None and "y" not in evidence.dims:
            return self._weighs.combined(evidence)
        held = getattr(self, "correlation_", {}).get("pixels" if "y" in evidence.dims else "parts")
        names = self.sensors if held is not None else evidence["sensor"].values.tolist()
        return RULES[self.rule](evidence, labelled(held, names))

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give all detectors' states and the scales.

        Returns
        -------
        dict of str to array
            Keys ``SENSOR/NAME``.
        dict
            Of what JSON can hold.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._check_fitted()
        tensors, detectors = packed(self.detectors_)
        tensors |= packed_positions(self.positions_)
        settings = {name: getattr(self, name) for name in _SETTINGS}
        learnt = {
            "detectors": detectors,
            "part_scales": {name: scale.state() for name, scale in self.part_scales_.items()},
            "pixel_scales": {name: scale.state() for name, scale in self.pixel_scales_.items()},
            "correlation": {kind: matrix.tolist() for kind, matrix in self.correlation_.items()},
            "weights": self.weights_ and self.weights_.state(),
        }
        return tensors, {**settings, "sensors": list(self.detectors_), "learnt": learnt}

    @classmethod
    def from_state(cls, tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Self:
        """Make the fusion that gave this state."""
        own = {name: value for name, value in settings.items() if name != "learnt"}
        learnt = settings["learnt"]
        fusion = cls(**own)
        held = {name: learnt["detectors"][name] for name in fusion.sensors}
        fusion.detectors_ = detectors_of(fusion.detector, tensors, held)
        fusion.positions_ = positions_of(tensors, fusion.sensors)
        fusion.part_scales_ = {k: Scale.from_state(v) for k, v in learnt["part_scales"].items()}
        fusion.pixel_scales_ = {k: Scale.from_state(v) for k, v in learnt["pixel_scales"].items()}
        fusion.correlation_ = {kind: np.array(rows) for kind, rows in learnt["correlation"].items()}
        told = learnt.get("weights")
        fusion.weights_ = Weights.from_state(told) if told else None
        return fusion

    @property
    def _weighs(self) -> Weights | None:
        return self.weights_ if self.weights_ and self.weights_.better else None

    def _check_fitted(self) -> None:
        if not hasattr(self, "detectors_"):
            raise NotFittedError("the fusion knows no part; fit it first")

    def _detector(self, sensor: str, sharing: int) -> Detector:
        """Make one sensor's detector with its share of the bytes."""
        made: Detector = load("detectors", self.detector)(
            sensor=sensor,
            features=self.features.get(sensor, "builtin"),
            bank_bytes=self.bank_bytes // sharing,
            folds=self.folds,
            seed=self.seed,
        )
        return made

    def _fit_scales(self, scenes: Scenes) -> None:
        """Score training parts as strangers, and learn what good scores look like."""
        held = held_out(self.detectors_, scenes, self.folds, self.seed)
        learnt = {name: parts.learnt(self.places) for name, parts in held.items()}
        self.positions_ = {name: told.positions for name, told in learnt.items()}
        scales = scales_of(learnt, self.heavy_tails)
        self.part_scales_, self.pixel_scales_, self.correlation_ = scales
        self.good_evidence_ = np.stack(
            [self.part_scales_[name].evidence(told.parts) for name, told in learnt.items()], axis=1
        ).astype(np.float64)

    def _scored(self, scene: xr.Dataset, without: int | None) -> tuple[np.ndarray, ...]:
        """Let every detector score the scene, each timed, and hold it against its places."""
        self._check_fitted()
        check_sensors(scene, self.sensors)

        def asked(name: str) -> tuple[float, np.ndarray, float]:
            started = time.perf_counter()
            own = self.detectors_[name].predict(scene, without=without)
            pixels, score = self.positions_[name].rescored(own, apart_of(scene, name))
            return score, pixels, time.perf_counter() - started

        said = answers_of(self.detectors_, asked).values()
        return tuple(np.array(column) for column in zip(*said, strict=True))

    def _weighed(self, scores: np.ndarray, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bring scores to evidence."""
        return weighed(self.sensors, scores, maps, self.part_scales_, self.pixel_scales_)

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
from mmdefect.errors import MmdefectError, NotFittedError, SceneError, UnknownNameError
from mmdefect.prediction import new_prediction
from mmdefect.progress import track
from mmdefect.registry import load
from mmdefect.scene import apart_of, sensors_of

from ._held_out import HeldOut, scales_of
from ._positions import Positions
from ._rules import RULES
from ._scales import Scale
from ._weighing import weighed

__all__ = ["Late"]

_MOST_PARTS = 1000
_PLACES = "late"
_SETTINGS = (
    "detector", "features", "rule", "places", "heavy_tails", "bank_bytes", "folds", "seed"
)  # fmt: skip


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

    def __repr__(self) -> str:
        """Tell which sensors it weighs, and how."""
        held = getattr(self, "detectors_", None)
        if held is None:
            return f"Late({', '.join(self.sensors) or 'all sensors'}; {self.rule}, not fitted)"
        return f"Late({self.rule} of {', '.join(map(repr, held.values()))})"

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
        if len(scenes) == 0:
            raise MmdefectError("there is no good part to learn from; one at least was promised")
        there = sensors_of(next(iter(scenes)))
        used = self.sensors or tuple(there)
        unknown = [name for name in used if name not in there]
        if unknown:
            raise SceneError(
                f"the scenes have no sensor {unknown[0]!r}, which the fusion was told to use; "
                f"there are: {', '.join(there)}"
            )
        self.detectors_: dict[str, Detector] = {
            name: self._detector(name, len(used)).fit(scenes) for name in used
        }
        self.sensors = used
        self._fit_scales(scenes)
        return self

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
        """
        return self._weighed(self._scored(scene, without))

    def replaced(
        self, prediction: xr.Dataset, own: Mapping[str, xr.Dataset], scene: xr.Dataset
    ) -> xr.Dataset:
        """Give a prediction of a scene as if the detectors of some sensors had said ``own``."""
        changed = prediction.copy(deep=True)
        for name, told in own.items():
            pixels, score = self.positions_[name].rescored(told, apart_of(scene, name))
            changed["sensor_map"].loc[{"sensor": name}] = pixels
            changed["sensor_score"].loc[{"sensor": name}] = score
        return self._weighed(changed)

    def _weighed(self, prediction: xr.Dataset) -> xr.Dataset:
        """Bring the sensors' scores to evidence, and combine it."""
        return weighed(prediction, self.part_scales_, self.pixel_scales_, self.combine)

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
        return RULES[self.rule](evidence, self._correlation(evidence))

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
        states = {name: made.state() for name, made in self.detectors_.items()}
        tensors = {
            f"{name}/{key}": array
            for name, (held, _) in states.items()
            for key, array in held.items()
        }
        for name, positions in self.positions_.items():
            told = positions.state().items()
            tensors |= {f"{_PLACES}:{name}/{key}": array for key, array in told}
        settings = {name: getattr(self, name) for name in _SETTINGS}
        learnt = {
            "detectors": {name: own for name, (_, own) in states.items()},
            "part_scales": {name: scale.state() for name, scale in self.part_scales_.items()},
            "pixel_scales": {name: scale.state() for name, scale in self.pixel_scales_.items()},
            "correlation": {kind: matrix.tolist() for kind, matrix in self.correlation_.items()},
        }
        return tensors, {**settings, "sensors": list(self.detectors_), "learnt": learnt}

    @classmethod
    def from_state(cls, tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Self:
        """Make the fusion that gave this state."""
        own = {name: value for name, value in settings.items() if name != "learnt"}
        learnt = settings["learnt"]
        fusion = cls(**own)
        maker: Any = load("detectors", fusion.detector)
        fusion.detectors_ = {}
        for name in fusion.sensors:
            held = learnt["detectors"][name]
            fusion.detectors_[name] = maker.from_state(_below(tensors, name), held)
        fusion.positions_ = {
            name: Positions.from_state(_below(tensors, f"{_PLACES}:{name}"))
            for name in fusion.sensors
        }
        fusion.part_scales_ = {k: Scale.from_state(v) for k, v in learnt["part_scales"].items()}
        fusion.pixel_scales_ = {k: Scale.from_state(v) for k, v in learnt["pixel_scales"].items()}
        fusion.correlation_ = {kind: np.array(rows) for kind, rows in learnt["correlation"].items()}
        return fusion

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

    def _correlation(self, evidence: xr.DataArray) -> xr.DataArray:
        """Give the correlation of parts' or pixels' evidences; none before ``fit``."""
        held = getattr(self, "correlation_", None)
        names = list(self.detectors_) if held else evidence["sensor"].values.tolist()
        matrix = held["pixels" if "y" in evidence.dims else "parts"] if held else np.eye(len(names))
        return xr.DataArray(matrix, {"sensor": names, "other": names}, ("sensor", "other"))

    def _fit_scales(self, scenes: Scenes) -> None:
        """Score training parts as strangers, and learn what good scores look like."""
        step = -(-len(scenes) // _MOST_PARTS)
        rng, count = np.random.default_rng(self.seed), -(-len(scenes) // step)
        held = {name: HeldOut(count, rng, self.seed) for name in self.detectors_}
        for index, scene in enumerate(track(scenes, len(scenes), "scoring held-out good parts")):
            if index % step:
                continue
            fold = index % self.folds
            for name, detector in self.detectors_.items():
                held[name].add(detector.predict(scene, without=fold), apart_of(scene, name), fold)
        for name in [name for name, parts in held.items() if parts.knows_nothing]:
            held[name] = self._as_known(name, scenes)
        learnt = {name: parts.learnt(self.places) for name, parts in held.items()}
        self.positions_ = {name: told.positions for name, told in learnt.items()}
        self.part_scales_, self.pixel_scales_, self.correlation_ = scales_of(
            learnt, self.heavy_tails
        )

    def _as_known(self, name: str, scenes: Scenes) -> HeldOut:
        """Score parts that all lie in one fold as known ones: they have no stranger's score.

        The scale is then too strict, for which the verdict's own calibration makes up.
        """
        known = HeldOut(len(scenes), np.random.default_rng(self.seed), self.seed)
        for scene in scenes:
            known.add(self.detectors_[name].predict(scene), apart_of(scene, name), 0)
        return known

    def _scored(self, scene: xr.Dataset, without: int | None) -> xr.Dataset:
        """Let every detector score the scene, each timed, and hold it against its places."""
        self._check_fitted()
        maps, scores, seconds = [], [], []
        for name, detector in self.detectors_.items():
            started = time.perf_counter()
            own = detector.predict(scene, without=without)
            pixels, score = self.positions_[name].rescored(own, apart_of(scene, name))
            seconds.append(time.perf_counter() - started)
            maps.append(pixels)
            scores.append(score)
        prediction = new_prediction(scene, list(self.detectors_), np.stack(maps), np.array(scores))
        prediction["seconds"] = ("sensor", np.array(seconds))
        return prediction


def _below(tensors: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Give the arrays whose keys start with a name, without it."""
    return {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}

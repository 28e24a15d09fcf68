"""An inspection: a fusion that learnt good parts, with the calibration its verdicts rest on.

The one object that a notebook, the batch commands and a line's watcher share. The false-alarm
rate holds only while the parts that fit and those that calibrate are disjoint
(``mmdefect.division``). With zones every place has its share of the rate (``mmdefect.zones``).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

from mmdefect.calibrating import calibrated
from mmdefect.contracts import Fusion, Scenes, Updatable
from mmdefect.errors import MmdefectError, ModelError, NotFittedError
from mmdefect.explain import Explanation, explained
from mmdefect.familiar import Familiar, check_scene, three_way
from mmdefect.judging import Judge, places_to_regions
from mmdefect.model import Learnt, ModelFolder, Origin, load, save
from mmdefect.peaks import Peaks, usual_area
from mmdefect.records import rows_of
from mmdefect.referral import Referral
from mmdefect.regions import Region, surface_area
from mmdefect.reliability import Reliability
from mmdefect.signs import with_signs
from mmdefect.verdict import Calibration
from mmdefect.weighing import weighed
from mmdefect.withheld import again_of
from mmdefect.zones import Zones


class Inspection:
    """Learn good parts, then judge others at a stated false-alarm rate.

    Parameters
    ----------
    fusion : Fusion
        Not yet fitted.
    false_alarm : float
        The wanted rate of good parts called defective.
    zones : Zones, optional
        What is ignored and what is judged apart; by default those of the card of a `Dataset`.
    refer : float or Referral
        The band of p-values that is referred to a person; a float is its upper end.

    Attributes
    ----------
    calibration_ : Calibration
        What good parts that fitted nothing score.
    peaks_ : Peaks
        How high their maps reach.
    familiar_ : Familiar
        What good parts look like.
    origin_ : Origin or None
        The data set, when the scenes came from one.
    model_ : ModelFolder or None
        Where it was loaded from, or last saved to.
    weighing_ : str
        What labelled defective parts said of the sensors.
    """

    def __init__(
        self,
        fusion: Fusion,
        false_alarm: float = 0.05,
        zones: Zones | None = None,
        refer: float | Referral = 0.0,
    ) -> None:
        if not 0 < false_alarm < 1:
            raise ValueError(f"false_alarm is {false_alarm}; a rate between 0 and 1 was promised")
        self.fusion = fusion
        self.false_alarm = false_alarm
        self.zones = zones or Zones()
        self.refer = Referral(high=refer) if isinstance(refer, float | int) else refer
        self.origin_: Origin | None = None
        self.model_: ModelFolder | None = None
        self.weighing_ = ""

    def __repr__(self) -> str:
        """Tell what it learnt and what it promises."""
        if not hasattr(self, "calibration_"):
            return f"Inspection of {self.fusion!r}, not fitted"
        parts = len(self.calibration_.evidence)
        of = f" of {self.origin_.category!r}" if self.origin_ else ""
        zones = f"\n  {self.zones!r}" if self.zones.entries else ""
        return (
            f"Inspection{of}: false-alarm rate {self.false_alarm:g}, from {parts} calibration "
            f"parts (smallest {self.smallest_false_alarm:.3g})\n  {self.fusion!r}{zones}"
        )

    def fit(self, scenes: Scenes, calibration: Scenes, defective: Scenes | None = None) -> Self:
        """Fit the fusion, then calibrate the verdict.

        Parameters
        ----------
        scenes : Scenes
            Good parts to learn from.
        calibration : Scenes
            Other good parts.
        defective : Scenes, optional
            Labelled defective parts that weigh the sensors; none of them may be tested later.

        Returns
        -------
        Inspection
            Itself.
        """
        origin = getattr(scenes, "origin", None)
        self.origin_ = origin(calibration) if origin is not None else None
        if self.origin_ is not None and not self.zones.entries:
            self.zones = Zones(self.origin_.card.zones)
        self.fusion.fit(scenes)
        if defective is not None:
            self.weighing_ = weighed(self.fusion, defective)
        sensors = tuple(self.fusion.sensors)
        blank = np.empty((0, len(sensors)))
        self.calibration_ = Calibration(sensors, blank, blank, self.fusion.combine)
        first = next(iter(scenes))
        self.size_ = (first.sizes["y"], first.sizes["x"])
        self.familiar_, area = Familiar.learn(scenes), usual_area(scenes, self.zones)
        self.peaks_ = Peaks(tuple(place.name for place in self.zones.places(first)), area=area)
        self._calibrate(calibration)
        return self

    def predict(self, scene: xr.Dataset, reliability: Reliability | None = None) -> xr.Dataset:
        """Judge a scene.

        Parameters
        ----------
        scene : Dataset
        reliability : Reliability, optional
            Of this inspection, for scenes in their order; has a say in the verdict.

        Returns
        -------
        Dataset
            The fusion's with ``p_value``, ``sensor_p_value``, attrs ``verdict`` and, where there is
            one, ``threshold``; with zones judged apart also ``zone_level``, ``zone_p_value`` and
            ``zone_verdict`` (zone). ``image_score`` and ``threshold`` are then the rest's, and
            ``p_value`` is the smallest of all places', each divided by its share.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        SceneError
            When the scene has not the sensors or the size that were learnt.
        """
        self._check(scene)
        said, cells = self.familiar_.scored(self.fusion, scene)
        places = self.zones.places(scene)
        if reliability is None:
            judged = self._judge.judged(said, places)
        else:
            said = with_signs(said, scene, self.familiar_, cells)
            judged = reliability.judged(said, places, again_of(self.fusion, scene))
        return three_way(judged, self.familiar_.why_not(scene, cells), self.refer)

    def reliability(self, run_length: float = 10_000, seed: int = 0) -> Reliability:
        """Begin to watch the sensors of a line.

        Parameters
        ----------
        run_length : float
            Captures between two false alarms of one sensor, on average at least.
        seed : int

        Returns
        -------
        Reliability
            To be given to `predict` with every scene of the line; not before ``fit``.
        """
        self._check_fitted()
        return Reliability(self._judge, run_length, seed)

    def regions(self, scene: xr.Dataset, prediction: xr.Dataset) -> list[Region]:
        """Find where the evidence of a scene is higher than on half of the good parts.

        Parameters
        ----------
        scene : Dataset
        prediction : Dataset
            What ``predict`` said of it.

        Returns
        -------
        list of Region
            The most surprising first; ``p_value`` says how surprising.
        """
        places = self.zones.places(scene)
        areas = {place.grid: surface_area(scene, place.grid) for place in places}
        return places_to_regions(self._judge, prediction, places, areas)

    def explain(
        self, scene: xr.Dataset, prediction: xr.Dataset | None = None, nearest: int = 3
    ) -> Explanation:
        """Say why a scene is judged as it is (``docs/explain.md``).

        ``nearest`` counts the good parts beside a patch. Another scene's prediction is refused.
        """
        self._check(scene)
        told = self.predict(scene) if prediction is None else prediction
        known = (self.zones.places(scene), nearest, self.familiar_.usual)
        return explained(self._judge, self.fusion, scene, told, *known)

    def table(self, scenes: Iterable[xr.Dataset]) -> list[dict[str, Any]]:
        """Judge scenes, and tell the results as tidy rows.

        Parameters
        ----------
        scenes : iterable of Dataset

        Returns
        -------
        list of dict
            One per capture and sensor, the last ``fused``, with ``capture``, ``kind``, ``label``,
            ``sensor``, ``score``, ``evidence``, ``p_value``, ``verdict``; for ``pandas.DataFrame``.
        """
        return [row for scene in scenes for row in rows_of(scene, self.predict(scene))]

    def save(self, path: str | Path, settings: dict[str, Any] | None = None) -> ModelFolder:
        """Write everything to a new folder, from which ``load`` makes the same inspection.

        Parameters
        ----------
        path : str or Path
            Not there yet.
        settings : dict, optional
            What shaped it, to be told by ``mmdefect model``.

        Returns
        -------
        ModelFolder

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ModelError
            When something is there already, or nothing can be written.
        """
        learnt = self.learnt()
        if self.origin_ is None and self.zones.entries:
            raise ModelError(
                "zones are saved with the card they stand in; fit on the scenes of a Dataset"
            )
        told: Any = {"false_alarm": self.false_alarm, "referral": self.refer.state()}
        self.model_ = save(learnt, Path(path), **told, settings=settings or {})
        return self.model_

    @classmethod
    def load(cls, path: str | Path) -> "Inspection":
        """Read an inspection that was saved, here or on another machine.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Inspection
            Predicts as the one that was saved, to the bit where the libraries are the same.

        Raises
        ------
        ModelError
            When the folder holds no model, one of another format, or is not as it was written.
        """
        learnt, folder = load(Path(path))
        card = learnt.origin.card if learnt.origin else None
        zones = Zones(card.zones if card else ())
        refer = Referral.from_state(folder.current.referral)
        inspection = cls(learnt.fusion, folder.current.false_alarm, zones, refer)
        inspection.calibration_, inspection.peaks_ = learnt.calibration, learnt.peaks
        inspection.size_, inspection.familiar_ = learnt.size, learnt.familiar
        inspection.origin_ = learnt.origin
        inspection.model_ = folder
        return inspection

    def learnt(self) -> Learnt:
        """Give everything that was learnt, as a model holds it; not before ``fit``."""
        self._check_fitted()
        rest = (self.peaks_, self.size_, self.origin_, self.familiar_)
        return Learnt(self.fusion, self.calibration_, *rest)

    def update(self, scenes: Scenes, calibration: Scenes) -> int:
        """Take further good parts in, so that the false-alarm rate still holds.

        The detectors learn from the first so that no score rises (`mmdefect.contracts.Updatable`):
        earlier calibration scores stay upper bounds. The others join the calibration after that.

        Parameters
        ----------
        scenes, calibration : Scenes
            Good parts to learn from, and others; either may be empty.

        Returns
        -------
        int
            How many patches the detectors took in.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        MmdefectError
            When a detector cannot be updated.
        SceneError
            When a scene has not the sensors or the size that were learnt.
        """
        self._check_fitted()
        if not isinstance(self.fusion, Updatable):
            raise MmdefectError(
                f"{type(self.fusion).__name__} cannot take parts in after it was fitted; fit anew"
            )
        for scene in calibration:
            self._check(scene)
        taken = self.fusion.add(scenes) if len(scenes) else 0
        self._calibrate(calibration)
        return taken

    @property
    def part_rate(self) -> float:
        """The false-alarm rate that is left for the part outside the zones judged apart."""
        return self.false_alarm * self.zones.rest

    @property
    def smallest_false_alarm(self) -> float:
        """The smallest rate that can be promised for a part that lacks no usable sensor."""
        used = self.calibration_.usable(self.calibration_.sensors, self.part_rate)
        return 1 / (len(self.calibration_.fused(used)) + 1) / self.zones.smallest_share

    def _calibrate(self, scenes: Scenes) -> None:
        """Judge good parts that fitted nothing, and remember it."""
        known = (self.peaks_, self.familiar_, self.calibration_)
        self.calibration_, self.familiar_ = calibrated(self.fusion, self.zones, *known, scenes)

    @property
    def _judge(self) -> Judge:
        return Judge(self.calibration_, self.peaks_, self.false_alarm)

    def _check_fitted(self) -> None:
        if not hasattr(self, "calibration_"):
            raise NotFittedError("the inspection knows no part; fit it first")

    def _check(self, scene: xr.Dataset) -> None:
        self._check_fitted()
        check_scene(scene, self.calibration_.sensors, self.size_, self.familiar_.frames)

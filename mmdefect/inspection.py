"""An inspection: a fusion that learnt good parts, with the calibration its verdicts rest on.

The one object that a notebook, the batch command and later a line's watcher share. Which parts
fit and which calibrate is decided here and nowhere else, because the false-alarm rate holds only
while the two are disjoint.
"""

from collections.abc import Sequence
from typing import Self, TypeVar

import numpy as np
import xarray as xr

from mmdefect.contracts import Fusion, Scenes
from mmdefect.errors import NotFittedError
from mmdefect.progress import track
from mmdefect.verdict import Calibration, parts_needed

T = TypeVar("T")

_USUAL_SHARE = 0.25
_LARGEST_SHARE = 1 / 3


class Inspection:
    """Learn good parts, then judge others at a stated false-alarm rate.

    Parameters
    ----------
    fusion : Fusion
        Not yet fitted.
    false_alarm : float
        The wanted rate of good parts called defective.

    Attributes
    ----------
    calibration_ : Calibration
        What good parts that fitted nothing score.
    """

    def __init__(self, fusion: Fusion, false_alarm: float = 0.05) -> None:
        if not 0 < false_alarm < 1:
            raise ValueError(f"false_alarm is {false_alarm}; a rate between 0 and 1 was promised")
        self.fusion = fusion
        self.false_alarm = false_alarm

    def fit(self, scenes: Scenes, calibration: Scenes) -> Self:
        """Fit the fusion, then calibrate the verdict.

        Parameters
        ----------
        scenes : Scenes
            Good parts to learn from.
        calibration : Scenes
            Other good parts.

        Returns
        -------
        Inspection
            Itself.
        """
        self.fusion.fit(scenes)
        evidence, scores = [], []
        sensors = tuple(self.fusion.sensors)
        for scene in track(calibration, len(calibration), "calibrating on good parts"):
            prediction = self.fusion.predict(scene)
            evidence.append(prediction["evidence"].values)
            scores.append(prediction["sensor_score"].values)
        shape = (len(evidence), len(sensors))
        self.calibration_ = Calibration(
            sensors,
            np.array(evidence, dtype=np.float64).reshape(shape),
            np.array(scores, dtype=np.float64).reshape(shape),
            self.fusion.combine,
        )
        return self

    def predict(self, scene: xr.Dataset) -> xr.Dataset:
        """Judge a scene.

        Parameters
        ----------
        scene : Dataset

        Returns
        -------
        Dataset
            The fusion's prediction with ``p_value``, ``sensor_p_value`` and the attrs
            ``verdict`` and, where there is one, ``threshold``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        if not hasattr(self, "calibration_"):
            raise NotFittedError("the inspection knows no part; fit it first")
        return self.calibration_.judge(self.fusion.predict(scene), self.false_alarm)

    @property
    def smallest_false_alarm(self) -> float:
        """The smallest rate that can be promised for a part that lacks no usable sensor."""
        used = self.calibration_.usable(self.calibration_.sensors, self.false_alarm)
        return 1 / (len(self.calibration_.fused(used)) + 1)


def divide(
    good: Sequence[T], extra: Sequence[T], false_alarm: float, seed: int
) -> tuple[list[T], list[T]]:
    """Divide good parts into those that fit and those that calibrate.

    Parameters
    ----------
    good : sequence
        Parts of the training split.
    extra : sequence
        Parts that the data set sets aside for calibration; all of them calibrate.
    false_alarm : float
        The wanted rate: it takes at least 1/rate − 1 calibration parts.
    seed : int
        Draws which.

    Returns
    -------
    list
        To fit, in the order given.
    list
        To calibrate: ``extra``, and where that is too few, training parts: a quarter of them or
        what the rate takes, but never more than a third.
    """
    usual = 0 if extra else round(_USUAL_SHARE * len(good))
    wanted = max(usual, parts_needed(false_alarm) - len(extra), 0)
    taken = min(wanted, int(_LARGEST_SHARE * len(good)))
    drawn = set(np.random.default_rng(seed).permutation(len(good))[:taken].tolist())
    fit = [part for index, part in enumerate(good) if index not in drawn]
    calibrate = [part for index, part in enumerate(good) if index in drawn]
    return fit, [*calibrate, *extra]

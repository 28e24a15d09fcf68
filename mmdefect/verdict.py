"""The verdict: a conformal p-value, and what follows from it at a stated false-alarm rate.

* Split conformal: the calibration parts are good parts that fitted nothing, so a new good part's
  score has an even chance of any rank among theirs, whatever the detector is worth [1]_.
* p = (1 + number of calibration parts that score at least as high) / (n + 1). Calling a part
  defective when p ≤ α alarms on good parts at most at the rate α, on average over draws of the
  calibration parts. One draw's own rate scatters about that, the more the smaller n is.
* Below 1/(n + 1) no rate can be promised; then the verdict is ``refer`` and there is no
  threshold.
* A capture that lacks a sensor is held against the calibration parts' score from the sensors it
  does have: the guarantee holds for every subset, without refitting. Where what is said of one
  sensor depends on which others are there (`mmdefect.contracts.Conditional`), the calibration
  parts are asked once more without them.

References
----------
.. [1] Vovk, Gammerman, Shafer: Algorithmic learning in a random world, 2005.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Self

import numpy as np
import xarray as xr

Combine = Callable[[xr.DataArray], xr.DataArray]
Left = dict[tuple[str, ...], np.ndarray]


def conformal_p(score: float, calibration: np.ndarray) -> float:
    """Rank a score among those of good parts.

    Parameters
    ----------
    score : float
    calibration : float array (part,)
        Scores of good parts that fitted nothing.

    Returns
    -------
    float
        In (0, 1]; NaN for a NaN score.

    Examples
    --------
    >>> conformal_p(9.0, np.array([1.0, 2.0, 3.0, 4.0]))
    0.2
    """
    if np.isnan(score):
        return float("nan")
    return (1 + int((calibration >= score).sum())) / (len(calibration) + 1)


def conformal_threshold(calibration: np.ndarray, false_alarm: float) -> float | None:
    """Find the score above which a part is called defective.

    Parameters
    ----------
    calibration : float array (part,)
    false_alarm : float
        The wanted rate α.

    Returns
    -------
    float or None
        A score is above it exactly when its p-value is at most α; None when α < 1/(n + 1).
    """
    rank = int(np.floor(false_alarm * (len(calibration) + 1) + 1e-9))
    if rank < 1:
        return None
    return float(np.sort(calibration)[::-1][rank - 1]) if rank <= len(calibration) else -np.inf


def parts_needed(false_alarm: float) -> int:
    """Count the calibration parts that a false-alarm rate takes at least.

    Parameters
    ----------
    false_alarm : float
        In (0, 1).

    Returns
    -------
    int

    Examples
    --------
    >>> parts_needed(0.05), parts_needed(0.01)
    (19, 99)
    """
    return int(np.ceil(1 / false_alarm - 1e-9)) - 1


@dataclass(repr=False)
class Calibration:
    """What good parts that fitted nothing score, sensor by sensor.

    Parameters
    ----------
    sensors : tuple of str
    evidence : float array (part, sensor)
        On the common scale; NaN where a part lacked the sensor.
    scores : float array (part, sensor)
        In each sensor's own units.
    combine : callable
        The fusion's rule, (sensor, …) to (…).
    pixels : float array (part,), optional
        The median of each part's fused map; empty where a model of old does not know.
    signs : float array (part, sensor, sign), optional
        Of each part's frames (`mmdefect.signs`); of no sign where a model of old does not know.
    left : dict of tuple of str to float array (part, sensor), optional
        Their evidence if only some sensors had been there, by these, where that changes what is
        said of a sensor (`mmdefect.contracts.Conditional`).
    """

    sensors: tuple[str, ...]
    evidence: np.ndarray
    scores: np.ndarray
    combine: Combine
    pixels: np.ndarray = field(default_factory=lambda: np.empty(0))
    signs: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 0)))
    left: Left = field(default_factory=dict)
    _fused: dict[tuple[tuple[str, ...], ...], np.ndarray] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """Tell how many parts it rests on, sensor by sensor."""
        counts = np.isfinite(self.evidence).sum(0).tolist()
        had = ", ".join(f"{n} {count}" for n, count in zip(self.sensors, counts, strict=True))
        return f"Calibration of {len(self.evidence)} good parts ({had})"

    def joined(
        self,
        evidence: Sequence[np.ndarray],
        scores: Sequence[np.ndarray],
        pixels: Sequence[float] = (),
        signs: Sequence[np.ndarray] = (),
        left: Sequence[Left] = (),
    ) -> Self:
        """Give the calibration with further good parts.

        Parameters
        ----------
        evidence, scores : sequence of float array (sensor,)
            One each per part.
        pixels : sequence of float
            The median of each part's fused map.
        signs : sequence of float array (sensor, sign)
            Of each part's frames.
        left : sequence of dict of tuple of str to float array (sensor,)
            Evidence if only some sensors had been there; of all parts or of none.

        Returns
        -------
        Calibration
        """
        shape = (len(evidence), len(self.sensors))
        more = [np.array(rows, dtype=np.float64).reshape(shape) for rows in (evidence, scores)]
        held = [
            np.concatenate(pair) for pair in zip((self.evidence, self.scores), more, strict=True)
        ]
        together = np.concatenate([self.pixels, np.array(pixels, dtype=np.float64)])
        shown = [rows for rows in (self.signs, np.array(signs, dtype=np.float64)) if rows.size]
        known = np.concatenate(shown) if shown else self.signs
        fresh = {there: np.stack([one[there] for one in left]) for there in (left or [{}])[0]}
        if not len(evidence):
            fresh = self.left
        elif len(self.evidence):  # all parts tell, or none
            fresh = {k: np.concatenate([v, fresh[k]]) for k, v in self.left.items() if k in fresh}
        return type(self)(self.sensors, held[0], held[1], self.combine, together, known, fresh)

    def fused(self, sensors: Sequence[str], there: Sequence[str] | None = None) -> np.ndarray:
        """Combine a subset of the sensors for every calibration part that had all of them.

        Parameters
        ----------
        sensors : sequence of str
            Those that have a say.
        there : sequence of str, optional
            Those that the fusion saw; all when not told.

        Returns
        -------
        float array (part,)
        """
        seen, key = (
            tuple(name for name in self.sensors if name in chosen)
            for chosen in (self.sensors if there is None else there, sensors)
        )
        if (seen, key) not in self._fused:
            columns = [self.sensors.index(name) for name in key]
            rows = self.left.get(seen, self.evidence)[:, columns]
            rows = rows[np.isfinite(rows).all(1)]
            labelled = xr.DataArray(rows.T, dims=("sensor", "part"), coords={"sensor": list(key)})
            self._fused[seen, key] = self.combine(labelled).values
        return self._fused[seen, key]

    def usable(self, present: Sequence[str], false_alarm: float) -> tuple[str, ...]:
        """Choose the sensors that a verdict can rest on.

        Parameters
        ----------
        present : sequence of str
            The sensors that have evidence.
        false_alarm : float
            The wanted rate.

        Returns
        -------
        tuple of str
            All that are present, where enough calibration parts had them all; else the largest
            set of them of which that is true, so that one sensor that good parts hardly ever had
            does not take the verdict from the others; else all. The choice looks at presence
            only, never at a score, so the guarantee stays.
        """
        here = [name for name in self.sensors if name in present]
        for size in range(len(here), 0, -1):
            sets = combinations(here, size)
            largest = max(sets, key=lambda names: len(self.fused(names)))
            if len(self.fused(largest)) >= parts_needed(false_alarm):
                return largest
        return tuple(here)

    def of_sensor(self, sensor: str) -> np.ndarray:
        """Give one sensor's own scores of the calibration parts that had it.

        Returns
        -------
        float array (part,)
        """
        column = self.scores[:, self.sensors.index(sensor)]
        known: np.ndarray = column[np.isfinite(column)]
        return known

    def signs_of_sensor(self, sensor: str) -> np.ndarray:
        """Give one sensor's signs of the calibration parts.

        Returns
        -------
        float array (part, sign)
            Of no sign where none are known.
        """
        if self.signs.size == 0:
            return np.empty((0, 0))
        known: np.ndarray = self.signs[:, self.sensors.index(sensor)]
        return known

    def judge(self, prediction: xr.Dataset, false_alarm: float) -> xr.Dataset:
        """Add the p-values and the verdict.

        Parameters
        ----------
        prediction : Dataset
            With ``evidence`` and ``sensor_score`` (sensor), ``image_score``.
        false_alarm : float
            The wanted rate.

        Returns
        -------
        Dataset
            With ``p_value`` (); ``sensor_p_value`` and ``sensor_verdict`` (sensor), from that
            sensor's score alone; attrs ``verdict``, and ``threshold`` where there is one;
            ``baseline`` and ``pixel_baseline``, what a good part usually scores: the median of
            the calibration parts' scores and of their fused maps' medians, 0 where there is none.
        """
        names = [str(name) for name in prediction["sensor"].values]
        known = np.isfinite(prediction["evidence"].values)
        present = [name for name, here in zip(names, known, strict=True) if here]
        judged = prediction.copy()
        used = self.usable(present, false_alarm)
        if len(used) < len(present):
            judged["evidence"] = judged["evidence"].where(judged["sensor"].isin(used))
            judged["image_score"] = self.combine(judged["evidence"])
        good = self.fused(used, seen_in(prediction)) if used else np.empty(0)
        score = float(judged["image_score"].item())
        own = dict(zip(names, prediction["sensor_score"].values.tolist(), strict=True))
        alone = [self._alone(own[name], name, false_alarm) for name in self.sensors]
        judged = judged.assign(
            p_value=conformal_p(score, good),
            sensor_p_value=("sensor", [p for p, _ in alone]),
            sensor_verdict=("sensor", [verdict for _, verdict in alone]),
        )
        threshold = conformal_threshold(good, false_alarm)
        judged.attrs["verdict"] = _verdict(score, threshold)
        judged.attrs["baseline"] = _median(good)
        judged.attrs["pixel_baseline"] = _median(self.pixels)
        if threshold is not None:
            judged.attrs["threshold"] = threshold
        return judged

    def _alone(self, score: float, sensor: str, false_alarm: float) -> tuple[float, str]:
        """Give the p-value and the verdict that one sensor would give alone."""
        good = self.of_sensor(sensor)
        return conformal_p(score, good), _verdict(score, conformal_threshold(good, false_alarm))


def seen_in(prediction: xr.Dataset) -> list[str]:
    """Name the sensors that a fusion saw, though some of them may have no say any more.

    Parameters
    ----------
    prediction : Dataset

    Returns
    -------
    list of str
        Those with evidence, of a source where there are several.
    """
    known = prediction["evidence"].notnull()
    if "source_evidence" in prediction:
        known = prediction["source_evidence"].notnull().any("source")
    return [str(name) for name in prediction["sensor"].values[known.values]]


def _median(values: np.ndarray) -> float:
    """Give the median of what is known; 0 where nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else 0.0


def _verdict(score: float, threshold: float | None) -> str:
    """Say what follows from a score."""
    if np.isnan(score):
        return "not_inspectable"
    if threshold is None:
        return "refer"
    return "defect" if score > threshold else "good"

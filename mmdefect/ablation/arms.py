"""Arms of an ablation: which evidences are combined, and how well that ranks and judges.

Whatever is left out is left out of evidences that are there already: that is what happens on a
line when a sensor fails, and no arm is fitted anew. Each is held against its own threshold, from
the calibration parts combined in the same way.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.ablation.scoring import Scored
from mmdefect.metrics import (
    Estimate,
    auroc_replicates,
    difference,
    part_metrics,
    pixel_replicates,
    rates,
)
from mmdefect.records import FUSED
from mmdefect.verdict import Calibration, conformal_threshold

Floats = NDArray[np.float64]
Row = dict[str, Any]

PIXELS = ("aupro_30", "aupro_05")
PART = "image_auroc"
COMPARED = (PART, *PIXELS)


class Arm(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    group : str
        ``sensor``, ``subset`` or ``fusion``.
    scored : Scored
    sensors : tuple of str
        Those whose evidences are combined.
    """

    group: str
    scored: Scored
    sensors: tuple[str, ...]

    @property
    def name(self) -> str:
        """How the table calls it."""
        return self.scored.kind if self.group == "fusion" else " + ".join(self.sensors)


class Measured(NamedTuple):
    """One arm's scores and what its maps are worth.

    Attributes
    ----------
    arm : Arm
    scores : float64 array (capture,)
        NaN for a capture without evidence.
    called : float64 array (capture,)
        1 where it is called defective, 0 where not; NaN without a score or a threshold.
    pixels : dict of str to float64 array (1 + replicate,)
        Empty where no sensor of the arm is on the grid of the ground truth.
    """

    arm: Arm
    scores: Floats
    called: Floats
    pixels: dict[str, Floats]


def arms_of(scored: Sequence[Scored]) -> list[Arm]:
    """List what is compared.

    Parameters
    ----------
    scored : sequence of Scored
        Of the first one sensors are taken away.

    Returns
    -------
    list of Arm
        Each sensor alone, every subset of two and more, each kind of fusion with all.
    """
    first = scored[0]
    arms = [Arm("sensor", first, (name,)) for name in first.sensors]
    for size in range(2, len(first.sensors)):
        arms += [Arm("subset", first, chosen) for chosen in combinations(first.sensors, size)]
    return arms + [Arm("fusion", one, one.sensors) for one in scored]


def judged(
    calibration: Calibration, evidence: Floats, sensors: Sequence[str], false_alarm: float
) -> tuple[Floats, Floats]:
    """Score and judge captures by some of their sensors, as the verdict does.

    Parameters
    ----------
    calibration : Calibration
    evidence : float64 array (capture, sensor)
        Columns as the calibration's.
    sensors : sequence of str
        Those to use.
    false_alarm : float

    Returns
    -------
    float64 array (capture,)
        Scores; NaN without evidence.
    float64 array (capture,)
        1 for a capture called defective, 0 for one that is not; NaN without score or threshold.
    """
    columns = [calibration.sensors.index(name) for name in sensors]
    known = np.isfinite(evidence[:, columns])
    scores, called = np.full(len(evidence), np.nan), np.full(len(evidence), np.nan)
    for pattern in np.unique(known, axis=0):
        present = [name for name, there in zip(sensors, pattern, strict=True) if there]
        if not present:
            continue
        rows = np.flatnonzero((known == pattern).all(1))
        used = calibration.usable(present, false_alarm)
        chosen = [calibration.sensors.index(name) for name in used]
        own = evidence[rows][:, chosen]
        labelled = xr.DataArray(own.T, {"sensor": list(used)}, ("sensor", "part"))
        scores[rows] = calibration.combine(labelled).values
        threshold = conformal_threshold(calibration.fused(used), false_alarm)
        if threshold is not None:
            called[rows] = scores[rows] > threshold
    return scores, called


def measured(arm: Arm, seed: int) -> Measured:
    """Combine what an arm leaves, for parts and for pixels.

    Parameters
    ----------
    arm : Arm
    seed : int
        Of the bootstrap.

    Returns
    -------
    Measured
    """
    one = arm.scored
    calibration, rate = one.inspection.calibration_, one.inspection.part_rate
    scores, called = judged(calibration, one.evidence, arm.sensors, rate)
    on_grid = [name for name in arm.sensors if name in one.on_grid]
    if not on_grid:
        return Measured(arm, scores, called, {})

    def join(maps: NDArray[np.float32]) -> NDArray[np.float32]:
        labelled = xr.DataArray(maps, {"sensor": on_grid}, ("sensor", "y", "x"))
        joined: NDArray[np.float32] = calibration.combine(labelled).values.astype(np.float32)
        return joined

    everything = range(len(one.captures))
    view = (
        one.spill.view(FUSED, everything)
        if arm.group == "fusion"
        else one.spill.joined(on_grid, everything, join)
    )
    return Measured(arm, scores, called, pixel_replicates(view, seed=seed))


def row_of(one: Measured, truth: NDArray[np.bool_], seed: int) -> Row:
    """Measure one arm.

    Parameters
    ----------
    one : Measured
    truth : bool array (capture,)
        Whether each capture is defective.
    seed : int

    Returns
    -------
    dict
        For JSON.
    """
    known, decided = np.isfinite(one.scores), np.isfinite(one.called)
    found = part_metrics(one.scores[known & ~truth], one.scores[known & truth], seed=seed)
    found = {PART: found[PART]}
    found |= rates(
        one.called[decided & ~truth], one.called[decided & truth], 0.5 if decided.any() else None
    )
    found |= {name: difference(one.pixels.get(name, [np.nan])) for name in PIXELS}
    kept = (*COMPARED, "recall", "fpr")
    return {
        "arm": one.arm.name,
        "group": one.arm.group,
        "fusion": one.arm.scored.kind,
        "sensors": list(one.arm.sensors),
        "n_good": int((known & ~truth).sum()),
        "n_defect": int((known & truth).sum()),
        **{name: found[name].value for name in kept},
        "intervals": {name: _interval(found[name]) for name in kept},
        "seconds_per_capture": _seconds(one.arm),
        "fit_seconds": one.arm.scored.fit_seconds if one.arm.group == "fusion" else None,
    }


def rows_per_kind(
    told: Sequence[Measured], truth: NDArray[np.bool_], kinds: Sequence[str]
) -> list[Row]:
    """Measure every arm on each kind of defect against all good parts.

    Parameters
    ----------
    told : sequence of Measured
    truth : bool array (capture,)
    kinds : sequence of str
        Of each capture.

    Returns
    -------
    list of dict
        For JSON: ``kind``, ``arm``, ``group``, ``n_defect``, ``image_auroc`` and its ``interval``.
    """
    named = np.array(kinds)
    rows = []
    for kind in sorted(set(named[truth].tolist())):
        for one in told:
            known = np.isfinite(one.scores)
            bad = known & truth & (named == kind)
            found = part_metrics(one.scores[known & ~truth], one.scores[bad])[PART]
            rows.append(
                {
                    "kind": kind,
                    "arm": one.arm.name,
                    "group": one.arm.group,
                    "n_defect": int(bad.sum()),
                    PART: found.value,
                    "interval": _interval(found),
                }
            )
    return rows


def compared(
    one: Measured, other: Measured, truth: NDArray[np.bool_], seed: int
) -> dict[str, list[float | None]]:
    """Hold one arm against another on the same parts.

    Parameters
    ----------
    one, other : Measured
    truth : bool array (capture,)
    seed : int

    Returns
    -------
    dict of str to list
        ``image_auroc``, ``aupro_30``, ``aupro_05``: how much higher the first is, and the 95 %
        interval of that, by a bootstrap over the parts; None where it is not defined.
    """
    both = np.isfinite(one.scores) & np.isfinite(other.scores)
    good, defect = both & ~truth, both & truth
    told = {PART: Estimate(None, None, None)}
    if good.any() and defect.any():
        told[PART] = difference(
            auroc_replicates(one.scores[good], one.scores[defect], seed=seed)
            - auroc_replicates(other.scores[good], other.scores[defect], seed=seed)
        )
    for name in PIXELS:
        if one.pixels and other.pixels:
            told[name] = difference(one.pixels[name] - other.pixels[name])
        else:
            told[name] = Estimate(None, None, None)
    return {name: list(estimate) for name, estimate in told.items()}


def _interval(estimate: Estimate) -> list[float | None]:
    return [estimate.low, estimate.high]


def _seconds(arm: Arm) -> float | None:
    """Give the median time of the arm's sensors; of the whole prediction with all of them."""
    seconds = arm.scored.seconds
    columns = [arm.scored.sensors.index(name) for name in arm.sensors]
    own = seconds[:, -1] if arm.group == "fusion" else seconds[:, columns].sum(1)
    own = own[np.isfinite(own)]
    return float(np.median(own)) if own.size else None

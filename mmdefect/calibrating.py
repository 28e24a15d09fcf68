"""Good parts that fitted nothing, measured: all that later verdicts are held against."""

import numpy as np
import xarray as xr

from mmdefect.contracts import Conditional, Fusion, Scenes
from mmdefect.familiar import Familiar
from mmdefect.peaks import Peaks
from mmdefect.progress import track
from mmdefect.signs import signs_of
from mmdefect.verdict import Calibration
from mmdefect.zones import Zones


def calibrated(
    fusion: Fusion,
    zones: Zones,
    peaks: Peaks,
    familiar: Familiar,
    calibration: Calibration,
    scenes: Scenes,
) -> tuple[Calibration, Familiar]:
    """Measure good parts, and add them to what is known of them.

    Parameters
    ----------
    fusion : Fusion
        Fitted.
    zones : Zones
    peaks : Peaks
        Grows by how high the parts' maps reach.
    familiar : Familiar
    calibration : Calibration
    scenes : Scenes
        Good parts that fitted nothing.

    Returns
    -------
    Calibration
    Familiar
        Both with these parts.
    """
    evidence, scores, levels, pixels, strange, signs, left = [], [], [], [], [], [], []
    for scene in track(scenes, len(scenes), "calibrating on good parts"):
        prediction, cells = familiar.scored(fusion, scene)
        evidence.append(prediction["evidence"].values)
        scores.append(prediction["sensor_score"].values)
        pixels.append(usual_pixel(prediction))
        signs.append(signs_of(scene, familiar, calibration.sensors, cells))
        strange.append(max(familiar.of(scene, cells).values(), default=np.nan))
        if isinstance(fusion, Conditional):
            left.append(fusion.evidence_left(scene, prediction))
        levels.append(peaks.measure(prediction, zones.places(scene), calibration.combine))
    peaks.add(levels)
    joined = calibration.joined(evidence, scores, pixels, signs, left)
    return joined, familiar.joined(strange)


def usual_pixel(prediction: xr.Dataset) -> float:
    """Give the median of a part's fused map; NaN where there is none.

    Parameters
    ----------
    prediction : Dataset

    Returns
    -------
    float
    """
    fused = prediction.get("anomaly_map")
    known = np.empty(0) if fused is None else fused.values[np.isfinite(fused.values)]
    return float(np.median(known)) if known.size else float("nan")

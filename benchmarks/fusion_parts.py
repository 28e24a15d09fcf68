"""Evidence of parts alone, for `fusion.py --only-parts`: from kept scores, without maps or scenes.

A part's evidence takes its sensors' scores and what good parts scored that the detectors had not
seen. Where both were kept no scene is read, and a product of three seeds takes a minute; what was
not scored before is scored now, and kept as ever. Numbers are those of the whole run.
"""

from typing import Any

import numpy as np
from fusion_scores import Kept
from fusion_tables import Seed

from mmdefect.captures import Capture
from mmdefect.dataset import Dataset
from mmdefect.fusion._held_out import _PART_TAIL
from mmdefect.fusion._rules import correlation_of
from mmdefect.fusion._scales import Scale
from mmdefect.progress import track
from mmdefect.verdict import Calibration


def parts_of(
    dataset: Dataset, fit: list[Capture], test: list[Capture], late: Any, sensors: list[str]
) -> Seed:
    """Score parts by one seed's detectors.

    Parameters
    ----------
    dataset : Dataset
    fit, test : list of Capture
        What the detectors learn from, and what is scored.
    late : Late
        Of `fusion_scores.kept_late`, not fitted; its scales of parts are learnt here.
    sensors : list of str
    """
    scenes = dataset.scenes(fit)
    detectors = {name: late._detector(name, len(sensors)).fit(scenes) for name in sensors}
    known = np.array([
        [scored(detectors[name], dataset, c, index % late.folds) for name in sensors]
        for index, c in enumerate(track(fit, len(fit), "held-out good parts"))
    ])  # fmt: skip
    shown = np.array([
        [scored(detectors[name], dataset, c, None) for name in sensors]
        for c in track(test, len(test), "scoring")
    ])  # fmt: skip
    scales = [Scale(_PART_TAIL, late.heavy_tails).fit(column) for column in known.T]
    of_good, of_test = (
        np.stack([s.evidence(c) for s, c in zip(scales, rows.T, strict=True)], axis=1)
        for rows in (known, shown)
    )
    late.sensors = tuple(sensors)
    late.correlation_ = {"parts": correlation_of(of_good)}
    late.good_evidence_ = of_good.astype(np.float64)
    nothing = np.empty((0, len(sensors)))
    calibration = Calibration(late.sensors, nothing, nothing, late.combine)
    return Seed(of_test.astype(np.float64), late, calibration, None)


def scored(detector: Kept, dataset: Dataset, capture: Capture, without: int | None) -> float:
    """Give one sensor's score of a part: the one that was kept, where there is one."""
    held = detector.path(capture.id, without)
    if not held.exists():
        detector.predict(dataset.scene(capture), without)
    with np.load(held) as told:
        return float(told["score"].item())

"""Numbers of data whose truth is no label per part: boxes, and data without a good part.

The boxes' threshold is conformal like the verdict's, but taken over the highest pixel of each
calibration frame, because a false box is a matter of the map and not of the part's score. Without
a single good part nothing is defined at the part level: whatever is printed there would compare
whole defective parts with the good remainder of others.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mmdefect.captures import Capture
from mmdefect.inspection import Inspection
from mmdefect.metrics import box_metrics
from mmdefect.progress import track
from mmdefect.records import FUSED
from mmdefect.spill import MapSpill
from mmdefect.verdict import conformal_threshold

Row = dict[str, Any]
_PART_NUMBERS = ("precision", "recall", "fpr", "fnr", "threshold")


def highest_pixels(
    inspection: Inspection, scenes: Iterable[xr.Dataset], count: int
) -> dict[str, np.ndarray]:
    """Find the highest pixel of every calibration frame's maps.

    Parameters
    ----------
    inspection : Inspection
        Fitted.
    scenes : iterable of Dataset
        The calibration parts.
    count : int
        How many there are.

    Returns
    -------
    dict of str to float array (part,)
        By sensor, and ``fused``; parts without a map left out.
    """
    found: dict[str, list[float]] = {}
    for scene in track(scenes, count, "highest pixels of good parts"):
        prediction = inspection.fusion.predict(scene)
        maps = {
            str(name): prediction["sensor_map"].sel(sensor=name)
            for name in prediction["sensor"].values
        }
        for name, score_map in (maps | {FUSED: prediction["anomaly_map"]}).items():
            known = score_map.values[np.isfinite(score_map.values)]
            found.setdefault(name, []).extend([float(known.max())] if known.size else [])
    return {name: np.array(highest) for name, highest in found.items()}


def add_box_numbers(
    rows: Sequence[Row],
    spill: MapSpill,
    test: Sequence[Capture],
    highest: dict[str, np.ndarray],
    *,
    on_grid: Iterable[str],
    false_alarm: float,
    seed: int,
) -> None:
    """Measure boxes, and put the numbers into the rows.

    Parameters
    ----------
    rows : sequence of dict
        One per sensor, and ``fused``; changed.
    spill : MapSpill
        The maps of ``test``, in its order.
    test : sequence of Capture
        Those without a box list are left out.
    highest : dict of str to float array
        As from ``highest_pixels``.
    on_grid : iterable of str
        The maps that may be compared with the boxes.
    false_alarm : float
        The wanted rate of good frames with a false box.
    seed : int
    """
    boxed = [index for index, capture in enumerate(test) if capture.boxes is not None]
    comparable = {*on_grid, FUSED}
    for row in rows:
        name = row["sensor"]
        threshold = conformal_threshold(highest.get(name, np.array([])), false_alarm)
        views = zip(
            (score_map for score_map, _ in spill.view(name, boxed)),
            (test[index].boxes or () for index in boxed),
            strict=False,
        )
        chosen = threshold if name in comparable else None
        found = box_metrics(views, chosen, seed=seed)
        row["n_boxes"] = sum(len(test[index].boxes or ()) for index in boxed)
        row["box_threshold"] = chosen if chosen is not None and np.isfinite(chosen) else None
        for key, estimate in found.items():
            row[key] = estimate.value
            if estimate.low is not None:
                row["intervals"][key] = [estimate.low, estimate.high]


def drop_part_numbers(rows: Iterable[Row]) -> None:
    """Take what is not defined without a good part out of rows.

    Parameters
    ----------
    rows : iterable of dict
        Changed.
    """
    for row in rows:
        for key in _PART_NUMBERS:
            row[key] = None
            row["intervals"].pop(key, None)


def refer_all(record: Row) -> None:
    """Take the verdict out of a capture's record: there is no good part to compare it with.

    Parameters
    ----------
    record : dict
        Changed.
    """
    for told in (record, *record["sensors"].values(), *record.get("zones", {}).values()):
        told["verdict"] = "refer" if told["verdict"] != "not_inspectable" else told["verdict"]
        told["p_value"] = None
    record["threshold"] = None

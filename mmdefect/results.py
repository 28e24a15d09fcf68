"""Results of an evaluation: rows of metrics, and what they were made with.

One row per category and sensor, one for the fusion of all, and the same per kind of defect.
Whatever is not defined (no mask, one class only, a sensor that was never there) is null, never a
number. ``docs/results-format.md`` describes the file.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mmdefect import __version__
from mmdefect.metrics import PRO_POINTS, Estimate, part_metrics, pixel_metrics, rates
from mmdefect.provenance import versions
from mmdefect.records import FUSED
from mmdefect.spill import MapSpill
from mmdefect.verdict import Calibration, conformal_threshold
from mmdefect.whole import write_whole

SCHEMA = 1

Row = dict[str, Any]


def rows_of_category(
    records: Sequence[Row],
    spill: MapSpill,
    calibration: Calibration,
    *,
    category: str,
    on_grid: Iterable[str],
    false_alarm: float,
    seed: int,
) -> tuple[list[Row], list[Row]]:
    """Measure every sensor and the fusion, over all kinds and per kind of defect.

    Parameters
    ----------
    records : sequence of dict
        One per test capture, in the spill's order.
    spill : MapSpill
    calibration : Calibration
    category : str
    on_grid : iterable of str
        The maps that may be compared with the ground truth: those on the reference's grid.
    false_alarm : float
    seed : int

    Returns
    -------
    list of dict
        One row per sensor, then ``fused``.
    list of dict
        The same per kind of defect, with ``kind``.
    """
    kinds = sorted({record["kind"] for record in records if record["label"] == "defect"})
    rows, rows_per_kind = [], []
    for name in spill.names:
        threshold = _threshold(calibration, name, false_alarm)
        pixels = spill if name in {*on_grid, FUSED} else None
        row = _row(records, name, threshold, pixels, seed)
        rows.append({"category": category, "sensor": name, **row})
        for kind in kinds:
            row = _row(records, name, threshold, pixels, seed, kind)
            rows_per_kind.append({"category": category, "sensor": name, "kind": kind, **row})
    return rows, rows_per_kind


def _threshold(calibration: Calibration, name: str, false_alarm: float) -> float | None:
    """Find the threshold of one sensor's own scores, or of all sensors' evidence."""
    good = (
        calibration.fused(calibration.usable(calibration.sensors, false_alarm))
        if name == FUSED
        else calibration.of_sensor(name)
    )
    return conformal_threshold(good, false_alarm)


def _row(
    records: Sequence[Row],
    name: str,
    threshold: float | None,
    spill: MapSpill | None,
    seed: int,
    kind: str | None = None,
) -> Row:
    """Measure one sensor, or the fusion, on all captures or on one kind against the good ones."""
    chosen = [
        (index, record)
        for index, record in enumerate(records)
        if _score(record, name) is not None
        and (kind in (None, record["kind"]) or record["label"] == "good")
    ]
    good = [index for index, record in chosen if record["label"] == "good"]
    defect = [index for index, record in chosen if record["label"] == "defect"]
    scores = {label: np.array([_score(records[i], name) for i in group], dtype=np.float64)
              for label, group in (("good", good), ("defect", defect))}  # fmt: skip
    found = part_metrics(scores["good"], scores["defect"], seed=seed)
    found |= _rates(records, name, threshold, good, defect)
    view = spill.view(name, [*good, *defect]) if spill is not None else ()
    found |= pixel_metrics(view, seed=seed)
    pro = [[at, _number(found.pop(name).value)] for name, at in PRO_POINTS.items()]
    seconds = [_seconds(record, name) for _, record in chosen]
    return {
        "n_good": len(good),
        "n_defect": len(defect),
        "n_with_truth": len(view),
        **{key: _number(estimate.value) for key, estimate in found.items() if "grid" not in key},
        "pro": None if pro[0][1] is None else pro,
        "threshold": _number(threshold),
        "seconds_per_capture": _number(float(np.median(seconds))) if seconds else None,
        "peak_bytes": peak_bytes(),
        "intervals": {
            key: [_number(estimate.low), _number(estimate.high)]
            for key, estimate in found.items()
            if estimate.low is not None
        },
        "grids": {key: _number(e.value) for key, e in found.items() if "grid" in key},
    }


def _rates(
    records: Sequence[Row],
    name: str,
    threshold: float | None,
    good: Sequence[int],
    defect: Sequence[int],
) -> dict[str, Estimate]:
    """Count verdicts at the false-alarm rate.

    A capture is called defective by its own conformal p-value, which is the row's threshold
    where no sensor is missing, and the right one where one is.
    """
    if threshold is None:
        return rates([], [], None)
    called = {
        label: np.array([_called(records[index], name) for index in group], dtype=np.float64)
        for label, group in (("good", good), ("defect", defect))
    }
    return rates(called["good"], called["defect"], 0.5)


def _called(record: Row, name: str) -> bool:
    """Tell whether a capture is called defective."""
    if name == FUSED:
        return bool(record["verdict"] == "defect")
    return bool(record["sensors"][name]["verdict"] == "defect")


def _score(record: Row, name: str) -> float | None:
    """Give a capture's score of one sensor, or of the fusion; None without evidence."""
    score = record["image_score"] if name == FUSED else record["sensors"][name]["score"]
    return None if score is None else float(score)


def _seconds(record: Row, name: str) -> float:
    return float(record["seconds"] if name == FUSED else record["sensors"][name]["seconds"])


def _number(value: float | None) -> float | None:
    """Give a number that JSON knows."""
    return None if value is None or not np.isfinite(value) else float(value)


def peak_bytes() -> int:
    """Give the most memory this process has held so far, in bytes.

    The kernel's own mark is read where there is one: ``getrusage`` counts what a parent process
    held when it started this one.
    """
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    marks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    if marks:
        return 1024 * marks[0]
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def header(settings: Row) -> Row:
    """Start a results table with what made it.

    Parameters
    ----------
    settings : dict
        Everything that shapes the numbers.

    Returns
    -------
    dict
    """
    return {
        "schema": SCHEMA,
        "mmdefect": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "settings": settings,
        "seed": settings["seed"],
        "false_alarm": settings["false_alarm"],
        "manifest": {},
        "features": {},
        "splits": {},
        "smallest_false_alarm": {},
        "rows": [],
        "rows_per_kind": [],
        "few": [],
        "costs": [],
        "captures": [],
        "refused": [],
        "notes": [],
    }


def write_json(path: Path, results: Row) -> None:
    """Write results in one go, so that a reader never finds half a file.

    Parameters
    ----------
    path : Path
    results : dict
    """
    text = json.dumps(results, indent=1, allow_nan=False)
    write_whole(path, lambda unfinished: unfinished.write_text(text + "\n", encoding="utf-8"))

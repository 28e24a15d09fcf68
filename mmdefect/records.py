"""What is said of one capture, as numbers and words that JSON holds.

One record for the results of an evaluation, for a line of ``mmdefect inspect`` and for a
notebook's table, so that all three say the same.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from mmdefect.regions import Region

Row = dict[str, Any]

FUSED = "fused"


def plain(value: float) -> float | None:
    """Give a number that JSON knows; None for one that is not finite."""
    return float(value) if np.isfinite(value) else None


def record_of(prediction: xr.Dataset) -> Row:
    """Write down what was said of one capture.

    Parameters
    ----------
    prediction : Dataset
        As ``Inspection.predict`` gives it.

    Returns
    -------
    dict
        ``verdict``, ``image_score``, ``p_value``, ``threshold`` and ``sensors``; with zones
        judged apart also ``zones``, ``faults`` where the sensors are watched, and ``why`` where
        the verdict is not the p-value's.
    """
    told: Row = {
        "verdict": prediction.attrs["verdict"],
        "image_score": plain(prediction["image_score"].item()),
        "p_value": plain(prediction["p_value"].item()),
        "threshold": plain(prediction.attrs.get("threshold", np.nan)),
        "sensors": {str(name): _sensor(prediction, name) for name in prediction["sensor"].values},
    }
    if "why" in prediction.attrs:
        told["why"] = prediction.attrs["why"]
    if "faults" in prediction.attrs:
        told["faults"] = dict(prediction.attrs["faults"])
    if "zone" in prediction.coords:
        told["zones"] = {
            str(name): {
                "level": plain(prediction["zone_level"].sel(zone=name).item()),
                "p_value": plain(prediction["zone_p_value"].sel(zone=name).item()),
                "verdict": str(prediction["zone_verdict"].sel(zone=name).item()),
            }
            for name in prediction["zone"].values
        }
    return told


def _sensor(prediction: xr.Dataset, name: str) -> Row:
    """Write down what one sensor alone says."""
    own = {
        key: prediction[variable].sel(sensor=name).item()
        for key, variable in (
            ("score", "sensor_score"),
            ("evidence", "evidence"),
            ("p_value", "sensor_p_value"),
        )
    }
    told: Row = {
        "present": bool(np.isfinite(own["score"])),
        **{key: plain(value) for key, value in own.items()},
        "verdict": str(prediction["sensor_verdict"].sel(sensor=name).item()),
        "seconds": float(prediction["seconds"].sel(sensor=name).item()),
    }
    if "watched" in prediction:
        told["watched"] = plain(prediction["watched"].sel(sensor=name).item())
    if "signs" in prediction:
        told["signs"] = [plain(value) for value in prediction["signs"].sel(sensor=name).values]
    return told


def region_rows(regions: Sequence[Region]) -> list[Row]:
    """Write regions down.

    Parameters
    ----------
    regions : sequence of Region

    Returns
    -------
    list of dict
    """
    return [
        {key: list(value) if isinstance(value, tuple) else value for key, value in row.items()}
        for row in map(asdict, regions)
    ]


def rows_of(scene: xr.Dataset, prediction: xr.Dataset) -> list[Row]:
    """Tell a prediction as tidy rows: one per sensor, then ``fused``.

    Parameters
    ----------
    scene : Dataset
    prediction : Dataset

    Returns
    -------
    list of dict
    """
    told = record_of(prediction)
    head = {key: scene.attrs.get(key) for key in ("capture", "kind", "label")}
    keys = ("score", "evidence", "p_value", "verdict")
    rows = [
        {**head, "sensor": name, **{key: own[key] for key in keys}}
        for name, own in told["sensors"].items()
    ]
    whole = {
        "score": told["image_score"],
        "evidence": told["image_score"],
        "p_value": told["p_value"],
        "verdict": told["verdict"],
    }
    return [*rows, {**head, "sensor": FUSED, **whole}]

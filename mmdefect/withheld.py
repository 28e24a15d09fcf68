"""Scenes and predictions as if some of their sensors had not been there."""

from collections.abc import Callable, Collection, Sequence

import xarray as xr

from mmdefect.contracts import Fusion
from mmdefect.verdict import Combine

Again = Callable[[Sequence[str]], xr.Dataset]
"""Gives a scene's prediction without the named sensors."""


def without_sensors(scene: xr.Dataset, sensors: Collection[str]) -> xr.Dataset:
    """Give a scene as if some of its sensors had measured nothing.

    Parameters
    ----------
    scene : Dataset
    sensors : collection of str

    Returns
    -------
    Dataset
    """
    rest = scene.assign({name: scene[name].where(False) for name in sensors})
    rest["valid"] = scene["valid"] & ~scene["sensor"].isin(list(sensors))
    return rest


def without(prediction: xr.Dataset, sensors: Collection[str], combine: Combine) -> xr.Dataset:
    """Give a prediction in which some sensors have no say; what is said of the others stays.

    Parameters
    ----------
    prediction : Dataset
    sensors : collection of str
    combine : callable
        The fusion's rule, (sensor, …) to (…).

    Returns
    -------
    Dataset
    """
    if not sensors:
        return prediction
    kept = ~prediction["sensor"].isin(list(sensors))
    rest = prediction.copy()
    for name in ("evidence", "evidence_map", "sensor_score", "sensor_map"):
        rest[name] = prediction[name].where(kept)
    registered = prediction["grid"].values == prediction.attrs["reference"]
    rest["image_score"] = combine(rest["evidence"])
    rest["anomaly_map"] = combine(rest["evidence_map"].isel(sensor=registered))
    return rest


def again_of(fusion: Fusion, scene: xr.Dataset) -> Again:
    """Give what asks a fusion of a scene without some of its sensors.

    Parameters
    ----------
    fusion : Fusion
    scene : Dataset

    Returns
    -------
    callable
    """
    return lambda gone: fusion.predict(without_sensors(scene, gone))

"""From sensors' scores to evidence, and from there to what all sensors say together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.prediction import new_prediction
from mmdefect.scene import registered_in

from ._scales import Scale

Scores = NDArray[np.float64]
Maps = NDArray[np.float32]
Combine = Callable[[xr.DataArray], xr.DataArray]


def weighed(
    sensors: Sequence[str],
    scores: Scores,
    maps: Maps,
    part_scales: Mapping[str, Scale],
    pixel_scales: Mapping[str, Scale],
) -> tuple[Scores, Maps]:
    """Bring the sensors' scores to evidence.

    Parameters
    ----------
    sensors : sequence of str
    scores : float64 array (sensor,)
    maps : float32 array (sensor, y, x)
    part_scales, pixel_scales : mapping of str to Scale
        By sensor.

    Returns
    -------
    float64 array (sensor,)
        Evidence of the part.
    float32 array (sensor, y, x)
        Evidence of pixels.
    """
    evidence = [part_scales[name].evidence(own) for name, own in zip(sensors, scores, strict=True)]
    pixels = [pixel_scales[name].evidence(own) for name, own in zip(sensors, maps, strict=True)]
    return np.array(evidence, dtype=np.float64), np.stack(pixels)


def told(
    scene: xr.Dataset,
    sensors: Sequence[str],
    own: tuple[Scores, Maps],
    weight: tuple[Scores, Maps],
    seconds: Scores,
    combine: Combine,
    more: Mapping[str, tuple[Sequence[str], NDArray[Any]]] | None = None,
) -> xr.Dataset:
    """Make a fusion's prediction.

    Parameters
    ----------
    scene : Dataset
    sensors : sequence of str
    own : (float64 array (sensor,), float32 array (sensor, y, x))
        The sensors' own scores.
    weight : (float64 array (sensor,), float32 array (sensor, y, x))
        Their evidence.
    seconds : float64 array (sensor,)
    combine : callable
        The fusion's rule, (sensor, …) to (…).
    more : mapping of str to (dims, array), optional
        Further variables.

    Returns
    -------
    Dataset
        ``anomaly_map`` of the registered sensors, ``image_score`` of all.
    """
    registered = set(registered_in(scene))
    on_grid = [name in registered for name in sensors]
    named, pixels = list(sensors), weight[1]
    if not all(on_grid):
        named, pixels = [n for n, on in zip(sensors, on_grid, strict=True) if on], pixels[on_grid]
    maps = xr.DataArray(pixels, {"sensor": named}, ("sensor", "y", "x"))
    parts = xr.DataArray(weight[0], {"sensor": list(sensors)}, ("sensor",))
    rest: dict[str, tuple[Sequence[str], NDArray[Any]]] = {
        "evidence": (("sensor",), weight[0]),
        "evidence_map": (("sensor", "y", "x"), weight[1]),
        "seconds": (("sensor",), seconds),
        "anomaly_map": (("y", "x"), combine(maps).values),
        "image_score": ((), combine(parts).values),
    }
    return new_prediction(scene, sensors, own[1], own[0], rest | dict(more or {}))


def joined(prediction: xr.Dataset, combine: Combine) -> xr.Dataset:
    """Combine the sensors' evidence.

    Parameters
    ----------
    prediction : Dataset
        With ``evidence`` (sensor) and ``evidence_map`` (sensor, y, x).
    combine : callable
        The fusion's rule, (sensor, …) to (…).

    Returns
    -------
    Dataset
        With ``anomaly_map`` of the registered sensors and ``image_score`` of all.
    """
    registered = prediction["grid"].values == prediction.attrs["reference"]
    return prediction.assign(
        anomaly_map=combine(prediction["evidence_map"].isel(sensor=registered)),
        image_score=combine(prediction["evidence"]),
    )

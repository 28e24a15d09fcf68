"""Sensors' maps split by what their features describe, joined to one array."""

from collections.abc import Mapping

import xarray as xr

from mmdefect.contracts import Divided, Fusion, Memory, Remembering
from mmdefect.scene import present_in


def memories_of(fusion: Fusion, scene: xr.Dataset) -> dict[str, Memory]:
    """Ask the detectors that keep good patches what they remember of a scene.

    Parameters
    ----------
    fusion : Fusion
    scene : Dataset

    Returns
    -------
    dict of str to Memory
        By sensor; of those that are there.
    """
    if not isinstance(fusion, Divided):
        return {}
    there = set(present_in(scene))
    return {
        name: detector.recall(scene)
        for name, detector in fusion.detectors_.items()
        if name in there and isinstance(detector, Remembering)
    }


def channel_map(memories: Mapping[str, Memory]) -> xr.DataArray | None:
    """Split every sensor's map into groups of features.

    Parameters
    ----------
    memories : mapping of str to Memory
        By sensor.

    Returns
    -------
    DataArray (channel, y, x), float32, or None
        With the coordinates ``channel`` (``SENSOR/GROUP``) and ``channel_sensor``. The channels of
        a sensor sum to its detector's own map.
    """
    parts = []
    for name, memory in memories.items():
        split = memory.by_group().rename(group="channel")
        channels = [f"{name}/{group}" for group in split["channel"].values]
        labels = {"channel": channels, "channel_sensor": ("channel", [name] * len(channels))}
        parts.append(split.assign_coords(labels))
    return xr.concat(parts, "channel") if parts else None

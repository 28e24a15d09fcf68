"""What a region measures: height in mm, temperature in K, attenuation, against what is around it.

* A number is given only where its unit is known: nothing is measured in ``relative``.
* The surroundings are a ring around the region that keeps clear of it, because its edge is
  blurred, and of the other regions.
* Heights are the mean of the most extreme tenth of the region's points, so that one stray point is
  no depth; the others are differences of medians.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mmdefect.contracts import Fusion
from mmdefect.explain._told import Measure
from mmdefect.geometry.around import height_above_ring
from mmdefect.regions import Region

Mask = NDArray[np.bool_]
Window = tuple[slice, slice]

AROUND, SURFACE, DRAWING = "the surroundings", "the surface around", "the drawing"
_CLEAR = 3.0
_LEAST_RING, _MOST_RING = 5.0, 24.0
_EXTREME = 0.1
_LEAST_PIXELS = 12


def measures_of(
    scene: xr.Dataset, fusion: Fusion, region: Region, pixels: Mask, others: Mask, grid: str
) -> tuple[Measure, ...]:
    """Measure a region with every sensor on its grid.

    Parameters
    ----------
    scene : Dataset
    fusion : Fusion
        Its features may know the part's drawing.
    region : Region
    pixels : bool array (y, x)
        The region.
    others : bool array (y, x)
        All regions; they are no surroundings.
    grid : str
        The grid the region lies on.

    Returns
    -------
    tuple of Measure
    """
    window, ring = _ring(pixels, others)
    inside = pixels[window]
    found = []
    if region.area_mm2 is not None:
        found.append(Measure("", "area", region.area_mm2, "mm²", ""))
    for name in [str(sensor) for sensor in scene["sensor"].values]:
        if str(scene["grid"].sel(sensor=name).item()) == grid:
            frame = scene[name]
            found += _measured(name, frame[(..., *window)], inside, ring)
            found += _against_drawing(fusion, name, frame, pixels)
    return tuple(found)


def _ring(pixels: Mask, others: Mask) -> tuple[Window, Mask]:
    """Cut a window around a region, and find its surroundings there."""
    rows, columns = np.nonzero(pixels)
    width = float(np.clip(np.sqrt(rows.size), _LEAST_RING, _MOST_RING))
    reach = int(np.ceil(_CLEAR + width)) + 1
    window = (
        slice(max(int(rows.min()) - reach, 0), int(rows.max()) + reach + 1),
        slice(max(int(columns.min()) - reach, 0), int(columns.max()) + reach + 1),
    )
    away = distance_transform_edt(~pixels[window])
    return window, (away > _CLEAR) & (away <= _CLEAR + width) & ~others[window]


def _measured(name: str, frame: xr.DataArray, inside: Mask, ring: Mask) -> list[Measure]:
    """Measure a region in one sensor's frame, where that has a unit."""
    modality, units = frame.attrs["modality"], frame.attrs["units"]
    if modality == "points" and units == "mm":
        return _height(name, height_above_ring(frame.values, inside, ring), SURFACE)
    if modality == "depth" and units == "mm":
        y, x = np.indices(inside.shape, dtype=np.float64)
        cloud = np.stack([x, y, np.zeros_like(x)]) + 0 * frame.values
        cloud[2] = -frame.values  # along the optical axis, positive towards the sensor
        return _height(name, height_above_ring(cloud, inside, ring), SURFACE)
    plane = _plane(frame, modality, units)
    if plane is None:
        return []
    quantity, unit, values = plane
    here, around = (values[mask & np.isfinite(values)] for mask in (inside, ring))
    if here.size == 0 or around.size < _LEAST_PIXELS:
        return []
    return [Measure(name, quantity, float(np.median(here) - np.median(around)), unit, AROUND)]


def _plane(
    frame: xr.DataArray, modality: str, units: str
) -> tuple[str, str, NDArray[np.floating]] | None:
    """Give what a frame measures, its unit, and the values (y, x); None without a unit."""
    if modality == "infrared" and units == "K":
        return "temperature", "K", frame.values
    if modality == "xray" and units == "1":
        first = frame.values[0]
        if frame.attrs.get("quantity", "transmission") == "transmission":
            return "attenuation", "1", -np.log(np.maximum(first, 1e-6))
        return "attenuation", "1", first
    if modality == "rgb" and units == "1":
        return "reflectance", "1", frame.values.mean(0)
    return None


def _height(name: str, heights: NDArray[np.float64], against: str) -> list[Measure]:
    """Tell the most extreme tenth of some heights, up or down."""
    known = heights[np.isfinite(heights)]
    if known.size == 0:
        return []
    count = max(1, round(_EXTREME * known.size))
    ordered = np.sort(known)
    low, high = float(ordered[:count].mean()), float(ordered[-count:].mean())
    if high >= -low:
        return [Measure(name, "height", high, "mm", against)]
    return [Measure(name, "depth", -low, "mm", against)]


def _against_drawing(
    fusion: Fusion, name: str, frame: xr.DataArray, pixels: Mask
) -> Sequence[Measure]:
    """Measure against the part's drawing, where the sensor's features know it."""
    detector: Any = getattr(fusion, "detectors_", {}).get(name)
    deviation = getattr(getattr(detector, "extractor", None), "deviation", None)
    if deviation is None:
        return []
    return _height(name, deviation(np.where(pixels, frame.values, np.nan))[pixels], DRAWING)
